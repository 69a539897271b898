// SPDX-License-Identifier: GPL-2.0 OR MIT
// Copyright (C) 2026 Seed 1f3ad1c2 maintainers.

//! `producer [DEVICE [LINES]]`: puts lines of text into a vfifo.

use std::io::{self, Write};
use vfifo::Producer;

fn main() {
    if let Err(error) = run() {
        eprintln!("producer: {error}");
        std::process::exit(1);
    }
}

fn run() -> io::Result<()> {
    let mut args = std::env::args().skip(1);
    let device = args.next().unwrap_or("/dev/vfifo0".into());
    let lines: u64 = args.next().map_or(10, |n| n.parse().expect("a number"));

    // From here on this is the only producer.
    let mut producer = Producer::open(device)?;
    for i in 1..=lines {
        // Formatted here and then copied. The consumer sees the whole line or none of it.
        let line = format!("line {i} of {lines}\n");
        let mut place = producer.reserve_wait(line.len())?;
        place.put(0, line.as_bytes())?;
        place.commit(line.len())?;
    }
    // A producer also implements `Write`, which may split a write if there is little room.
    writeln!(producer, "that was all")
    // Bytes that the consumer has not taken yet stay queued.
}
