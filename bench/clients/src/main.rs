// SPDX-License-Identifier: GPL-2.0
// Copyright (C) 2026 Seed 1f3ad1c2 maintainers.

//! One end of a FIFO of records, with the crate: `records crate|tokio produce|consume DEVICE SIZE
//! COUNT`. It does what `records.c` does.

use std::time::Instant;
use vfifo::tokio::Async;
use vfifo::{RecordConsumer, RecordProducer, Records, Result};

struct Args {
    device: String,
    size: usize,
    count: usize,
}

fn main() -> Result<()> {
    let args: Vec<_> = std::env::args().skip(1).collect();
    let [way, end, device, size, count] = &args[..] else {
        eprintln!("usage: records crate|tokio produce|consume DEVICE SIZE COUNT");
        std::process::exit(2);
    };
    let args = Args {
        device: device.clone(),
        size: size.parse().expect("a size"),
        count: count.parse().expect("a count"),
    };
    match (&way[..], &end[..]) {
        ("crate", "produce") => produce(&args),
        ("crate", _) => consume(&args),
        (_, end) => {
            let runtime = tokio::runtime::Builder::new_current_thread()
                .enable_io()
                .build()?;
            match end {
                "produce" => runtime.block_on(produce_async(&args)),
                _ => runtime.block_on(consume_async(&args)),
            }
        }
    }
}

fn produce(args: &Args) -> Result<()> {
    let memory = vec![b'x'; args.size];
    let mut producer = RecordProducer::open(&args.device)?;
    for _ in 0..args.count {
        let mut place = producer.reserve_wait(args.size)?;
        place.put(0, &memory)?;
        place.commit(args.size)?;
    }
    Ok(())
}

async fn produce_async(args: &Args) -> Result<()> {
    let memory = vec![b'x'; args.size];
    let mut producer = Async::new(RecordProducer::open(&args.device)?)?;
    for _ in 0..args.count {
        let mut place = producer.reserve(args.size).await?;
        place.put(0, &memory)?;
        place.commit(args.size)?;
    }
    Ok(())
}

/// Copies a record that is there.
fn take(mut records: Records<'_>, memory: &mut [u8]) -> Result<()> {
    if let Some(record) = records.next_record()? {
        record.get(0, memory)?;
    }
    records.release()
}

fn consume(args: &Args) -> Result<()> {
    let mut memory = vec![0; args.size];
    let mut consumer = RecordConsumer::open(&args.device)?;
    println!("ready");
    consumer.wait(None)?;
    let begin = Instant::now();
    for _ in 0..args.count {
        take(consumer.peek_wait()?, &mut memory)?;
    }
    println!("{}", begin.elapsed().as_secs_f64());
    Ok(())
}

async fn consume_async(args: &Args) -> Result<()> {
    let mut memory = vec![0; args.size];
    let mut consumer = Async::new(RecordConsumer::open(&args.device)?)?;
    println!("ready");
    consumer.wait().await?;
    let begin = Instant::now();
    for _ in 0..args.count {
        take(consumer.peek().await?, &mut memory)?;
    }
    println!("{}", begin.elapsed().as_secs_f64());
    Ok(())
}
