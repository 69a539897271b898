// SPDX-License-Identifier: GPL-2.0 OR MIT
// Copyright (C) 2026 Seed 1f3ad1c2 maintainers.

//! `record_sender [DEVICE]`: sends each line of its input as one record. With `--receive`, it
//! prints the records. The device has to have records; as root:
//!
//! ```text
//! echo record > /sys/class/vfifo/vfifo0/framing
//! ```

use std::io::{self, BufRead};
use vfifo::{Error, RecordConsumer, RecordProducer};

fn main() {
    if let Err(error) = run() {
        eprintln!("record_sender: {error}");
        std::process::exit(1);
    }
}

fn run() -> io::Result<()> {
    let mut args: Vec<_> = std::env::args().skip(1).collect();
    let receive = args.first().is_some_and(|arg| arg == "--receive");
    if receive {
        args.remove(0);
    }
    let device = args.first().map_or("/dev/vfifo0", String::as_str);
    match receive {
        false => send(device),
        true => receive_from(device),
    }
}

fn send(device: &str) -> io::Result<()> {
    let mut producer = RecordProducer::open(device)?;
    for line in io::stdin().lock().lines() {
        let line = line?;
        // Sleeps until there is room.
        match producer.write_wait(line.as_bytes()) {
            Err(Error::Length) if line.is_empty() => eprintln!("an empty record does not exist"),
            Err(Error::Length) => eprintln!("a line of {} bytes does not fit", line.len()),
            result => result?,
        }
    }
    Ok(())
}

fn receive_from(device: &str) -> io::Result<()> {
    let mut consumer = RecordConsumer::open(device)?;
    loop {
        let mut records = match consumer.peek_wait() {
            Err(Error::Ended(_)) => return Ok(()),
            records => records?,
        };
        // All that are queued, in place. Only what is printed is copied.
        for record in &mut records {
            let record = record?;
            let text = record.to_vec();
            println!("{:4} {}", record.len(), String::from_utf8_lossy(&text));
        }
        records.release()?;
    }
}
