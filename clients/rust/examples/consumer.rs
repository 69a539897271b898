// SPDX-License-Identifier: GPL-2.0 OR MIT
// Copyright (C) 2026 Seed 1f3ad1c2 maintainers.

//! `consumer [DEVICE [LINES]]`: takes lines of text out of a vfifo, and prints them with their
//! lengths. While it waits for the end of a line, its beginning stays queued: see
//! [`Consumer::wait`] for the longest line that works.

use std::io;
use vfifo::Consumer;

fn main() {
    if let Err(error) = run() {
        eprintln!("consumer: {error}");
        std::process::exit(1);
    }
}

fn run() -> io::Result<()> {
    let mut args = std::env::args().skip(1);
    let device = args.next().unwrap_or("/dev/vfifo0".into());
    let mut lines: u64 = args.next().map_or(10, |n| n.parse().expect("a number"));

    // From here on this is the only consumer.
    let mut consumer = Consumer::open(device)?;
    let mut need = 1;
    while lines > 0 {
        // All that is queued, in one piece, even if it wraps around the end of the buffer.
        let bytes = consumer.peek_wait(need)?;
        let Some(len) = bytes.iter().position(|byte| byte == b'\n') else {
            // Not a whole line yet: sleep until there is more.
            need = bytes.len() + 1;
            continue;
        };
        // Others may change queued bytes, so copy them before using them.
        let mut line = vec![0; len];
        bytes.get(0, &mut line)?;
        println!("{len:3}: {}", String::from_utf8_lossy(&line));
        // Give the room back to the producer.
        bytes.release(len + 1)?;
        need = 1;
        lines -= 1;
    }
    Ok(())
    // Bytes not released are there for the next consumer.
}
