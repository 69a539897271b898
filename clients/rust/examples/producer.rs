// SPDX-License-Identifier: GPL-2.0

//! `producer [DEVICE [LINES]]`: puts lines of text into a vfifo.

use std::io::{self, Write};
use vfifo::Producer;

fn main() -> io::Result<()> {
    let mut args = std::env::args().skip(1);
    let device = args.next().unwrap_or("/dev/vfifo0".into());
    let lines: u64 = args.next().map_or(10, |n| n.parse().expect("a number"));

    // From here on the producer's end is ours alone.
    let mut producer = Producer::open(device)?;
    for i in 1..=lines {
        // Made here, then copied, all at once: the consumer sees the whole line or none of it.
        let line = format!("line {i} of {lines}\n");
        let mut place = producer.reserve_wait(line.len())?;
        place.put(0, line.as_bytes())?;
        place.commit(line.len())?;
    }
    // A producer is a `Write`, too. That may cut a write in two if there is little room.
    writeln!(producer, "that was all")
    // What the consumer has not taken yet stays queued.
}
