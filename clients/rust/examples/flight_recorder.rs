// SPDX-License-Identifier: GPL-2.0 OR MIT
// Copyright (C) 2026 Seed 1f3ad1c2 maintainers.

//! `flight_recorder [DEVICE]`: puts each line of its input into a FIFO, with the time. It never
//! waits: when the FIFO is full, the oldest lines make way. With `--dump` it prints what is there.
//! The device has to have records, and to overwrite; as root:
//!
//! ```text
//! echo 'flight framing=record overwrite=1' > /sys/class/vfifo/new_device
//! dmesg --follow | flight_recorder /dev/vfifo/flight &
//! flight_recorder --dump /dev/vfifo/flight
//! ```

use std::io::{self, BufRead};
use std::time::{SystemTime, UNIX_EPOCH};
use vfifo::overwriting::{RecordConsumer, RecordProducer};
use vfifo::Error;

fn main() {
    if let Err(error) = run() {
        eprintln!("flight_recorder: {error}");
        std::process::exit(1);
    }
}

fn run() -> io::Result<()> {
    let mut args: Vec<_> = std::env::args().skip(1).collect();
    let dump = args.first().is_some_and(|arg| arg == "--dump");
    if dump {
        args.remove(0);
    }
    let device = args.first().map_or("/dev/vfifo/flight", String::as_str);
    match dump {
        false => record(device),
        true => dump_from(device),
    }
}

fn record(device: &str) -> io::Result<()> {
    let mut producer = RecordProducer::open(device)?;
    for line in io::stdin().lock().lines() {
        let line = line?;
        let now = SystemTime::now().duration_since(UNIX_EPOCH);
        let now = now.map_or(0, |now| now.as_millis() as u64);
        // As much of the line as fits after the time.
        let most = producer.largest() - 8;
        let text = &line.as_bytes()[..line.len().min(most)];
        let mut place = producer.reserve(8 + text.len())?;
        place.put(0, &now.to_le_bytes())?;
        place.put(8, text)?;
        place.commit(8 + text.len())?;
    }
    Ok(())
}

fn dump_from(device: &str) -> io::Result<()> {
    let mut consumer = RecordConsumer::open(device)?;
    let mut record = Vec::new();
    loop {
        match consumer.read_to_vec(&mut record) {
            Ok(copied) => {
                if copied.lost > 0 {
                    println!("... {} bytes are lost ...", copied.lost);
                }
                let Some((now, text)) = record.split_first_chunk() else {
                    continue;
                };
                let now = u64::from_le_bytes(*now);
                let text = String::from_utf8_lossy(text);
                println!("{}.{:03} {text}", now / 1000, now % 1000);
            }
            Err(Error::NotYet) => return Ok(()),
            // The recorder is faster.
            Err(Error::Overtaken) => std::thread::yield_now(),
            Err(error) => return Err(error.into()),
        }
    }
}
