// SPDX-License-Identifier: GPL-2.0 OR MIT
// Copyright (C) 2026 Seed 1f3ad1c2 maintainers.

use super::*;
use std::sync::atomic::{AtomicBool, Ordering};
use vfifo::overwriting::{self, Copied};

fn copied(len: usize, lost: u64) -> Copied {
    Copied { len, lost }
}

fn is_empty(read: vfifo::Result<Copied>) -> bool {
    matches!(read, Err(Error::NotYet))
}

#[test]
fn a_plain_reader_gets_the_newest_bytes() {
    let Some(kind) = kind("stream", "1") else {
        return;
    };
    let mut producer = overwriting::Producer::open(&kind.device.path).unwrap();
    let all = producer.capacity();
    producer.write_all(&bytes(0, 3 * all + 7)).unwrap();
    producer.check().unwrap();
    // This end is owned, so the reader has no lock that stops it; but it is not in use.
    let mut got = vec![0; all + 1];
    let len = kind.device.file().read(&mut got).unwrap();
    assert_eq!(got[..len], bytes(2 * all + 7, len));
    assert_eq!(len, all);
}

#[test]
fn a_mapped_reader_is_told_what_is_lost() {
    let Some(kind) = kind("stream", "1") else {
        return;
    };
    let mut consumer = overwriting::Consumer::open(&kind.device.path).unwrap();
    let all = consumer.capacity();
    let mut got = Vec::new();
    assert!(is_empty(consumer.read_to_vec(&mut got)));
    let mut file = kind.device.file();
    file.write_all(&bytes(0, 10)).unwrap();
    assert_eq!(consumer.read(&mut [0; 4]).unwrap(), copied(4, 0));
    file.write_all(&bytes(10, all)).unwrap();
    consumer.wait(all, Some(deadline())).unwrap();
    assert_eq!(consumer.read_to_vec(&mut got).unwrap(), copied(all, 6));
    assert_eq!(got, bytes(10, all));
    let timeout = Some(Duration::from_millis(20));
    assert!(matches!(consumer.wait(1, timeout), Err(Error::NotYet)));
}

#[test]
fn a_sleeping_consumer_is_woken() {
    let Some(kind) = kind("stream", "1") else {
        return;
    };
    let mut consumer = overwriting::Consumer::open(&kind.device.path).unwrap();
    let mut producer = overwriting::Producer::open(&kind.device.path).unwrap();
    std::thread::scope(|scope| {
        let sleeper = scope.spawn(move || {
            let mut got = [0; 8];
            consumer.read_wait(&mut got).unwrap()
        });
        std::thread::sleep(Duration::from_millis(50));
        producer.write_all(b"x").unwrap();
        let read = sleeper.join().unwrap();
        assert_eq!(read, Copied { len: 1, lost: 0 });
    });
}

/// Bytes that tell their place in the stream: each eight of them are their number.
fn numbered(from: u64, count: u64) -> Vec<u8> {
    (from..from + count).flat_map(u64::to_ne_bytes).collect()
}

/// Ends the other thread of a test, even if it fails.
struct Stop<'a>(&'a AtomicBool);

impl Drop for Stop<'_> {
    fn drop(&mut self) {
        self.0.store(true, Ordering::Relaxed);
    }
}

/// Runs `write`, which gets the number of the next eight bytes, beside a mapped reader.
fn beside(kind: &Kind, mut write: impl FnMut(u64) + Send) {
    let mut consumer = overwriting::Consumer::open(&kind.device.path).unwrap();
    let stop = AtomicBool::new(false);
    std::thread::scope(|scope| {
        let _stop = Stop(&stop);
        scope.spawn(|| {
            let mut at = 0;
            while !stop.load(Ordering::Relaxed) {
                write(at);
                at += 100;
            }
        });
        let (mut at, mut got) = (0, vec![0; 4000]);
        for _ in 0..2000 {
            let Copied { len, lost } = consumer.read_wait(&mut got).unwrap();
            at += lost;
            let first = at / 8;
            let expected = numbered(first, len as u64 / 8 + 2);
            let skipped = (at % 8) as usize;
            assert_eq!(got[..len], expected[skipped..][..len], "at {at}");
            at += len as u64;
        }
    });
}

#[test]
fn bytes_are_intact_beside_a_mapped_producer() {
    let Some(kind) = kind("stream", "1") else {
        return;
    };
    let mut producer = overwriting::Producer::open(&kind.device.path).unwrap();
    beside(&kind, |at| {
        let bytes = numbered(at, 100);
        let mut place = producer.reserve(bytes.len()).unwrap();
        place.put(0, &bytes).unwrap();
        place.commit(bytes.len()).unwrap();
    });
}

#[test]
fn bytes_are_intact_beside_a_plain_writer() {
    let Some(kind) = kind("stream", "1") else {
        return;
    };
    let mut file = kind.device.file();
    beside(&kind, |at| file.write_all(&numbered(at, 100)).unwrap());
}

#[test]
fn the_oldest_records_make_way() {
    let Some(kind) = kind("record", "1") else {
        return;
    };
    let mut producer = overwriting::RecordProducer::open(&kind.device.path).unwrap();
    let kept = producer.capacity() / 16;
    let count = 3 * kept;
    for i in 0..count as u64 {
        let mut place = producer.reserve(8).unwrap();
        place.put(0, &i.to_ne_bytes()).unwrap();
        place.commit(8).unwrap();
    }
    // A plain reader first, then a mapped one.
    let first = (count - kept) as u64;
    let mut got = [0; 16];
    assert_eq!(kind.device.file().read(&mut got).unwrap(), 8);
    assert_eq!(got[..8], first.to_ne_bytes());
    let mut consumer = overwriting::RecordConsumer::open(&kind.device.path).unwrap();
    assert_eq!(consumer.read(&mut got).unwrap(), copied(8, 0));
    assert_eq!(got[..8], (first + 1).to_ne_bytes());
    let small = consumer.read(&mut got[..7]).unwrap_err();
    assert!(matches!(small, Error::Length), "{small}");
    let largest = producer.largest();
    let place = producer.reserve(largest).unwrap();
    place.commit(largest).unwrap();
    let mut record = Vec::new();
    let lost = 16 * (kept as u64 - 2);
    let read = consumer.read_to_vec(&mut record).unwrap();
    assert_eq!(read, copied(largest, lost));
    assert!(is_empty(consumer.read_to_vec(&mut record)));

    drop(producer);
    assert_eq!(kind.device.file().write(b"plain").unwrap(), 5);
    let read = consumer.read_to_vec_wait(&mut record).unwrap();
    assert_eq!(read, Copied { len: 5, lost: 0 });
    assert_eq!(record, b"plain");
}
