// SPDX-License-Identifier: GPL-2.0 OR MIT
// Copyright (C) 2026 Seed 1f3ad1c2 maintainers.

//! A producer that overwrites the oldest records.

use super::overwriting::copied;
use super::records::STARTS;
use super::*;
use crate::overwriting::reader::{Outcome, To};
use crate::overwriting::Copied;
use crate::ring::framing::Framing;
use crate::ring::overtaken::Tries;
use crate::ring::record::size_in_ring;

#[test]
fn records_go_through() {
    for start in STARTS {
        let fifo = Fifo::new(1, start);
        let (mut producer, mut consumer) = (fifo.record_overwriter(), fifo.record_reader());
        let mut got = vec![9];
        assert_eq!(consumer.read_any_record(&mut got).unwrap(), Outcome::Empty);
        assert!(got.is_empty());
        for len in [1, 7, 8, 9, 100, 1000, 4087, 4088, 3000, 17] {
            let payload = bytes(len as u64, len);
            producer.push(&payload);
            assert_eq!(consumer.read_any_record(&mut got).unwrap(), copied(len, 0));
            assert_eq!(got, payload);
            producer.push(&payload);
            // It stays if it does not fit.
            let mut small = vec![0; len - 1];
            let error = consumer.read_record(&mut small);
            assert!(is_too_long(error));
            let mut large = vec![0; len + 1];
            assert_eq!(consumer.read_record(&mut large).unwrap(), copied(len, 0));
            assert_eq!(large[..len], payload);
        }
    }
}

#[test]
fn the_oldest_records_make_way() {
    for start in STARTS {
        let fifo = Fifo::new(1, start);
        let (mut producer, mut consumer) = (fifo.record_overwriter(), fifo.record_reader());
        let mut got = Vec::new();
        // More than one batch of them, of 16 bytes each.
        let count = 3 * fifo.capacity / 16;
        for i in 0..count {
            producer.push(&(i as u64).to_ne_bytes());
        }
        let kept = fifo.capacity / 16;
        let lost = 16 * (count - kept) as u64;
        assert_eq!(consumer.read_any_record(&mut got).unwrap(), copied(8, lost));
        assert_eq!(got, (count as u64 - kept as u64).to_ne_bytes());
        // A large one replaces all but the last of them.
        let large = fifo.capacity - 24;
        producer.push(&bytes(0, large));
        let lost = 16 * (kept as u64 - 2);
        assert_eq!(consumer.read_any_record(&mut got).unwrap(), copied(8, lost));
        assert_eq!(got, (count as u64 - 1).to_ne_bytes());
        assert_eq!(
            consumer.read_any_record(&mut got).unwrap(),
            copied(large, 0)
        );
        assert_eq!(got, bytes(0, large));
        assert_eq!(consumer.read_any_record(&mut got).unwrap(), Outcome::Empty);
    }
}

/// A large record may replace more old ones than are dropped at a time.
#[test]
fn many_records_make_way_for_one() {
    let fifo = Fifo::new(8, 0);
    let mut producer = fifo.record_overwriter();
    let count = fifo.capacity / 16;
    assert!(count > 1024);
    for _ in 0..count {
        producer.push(b"x");
    }
    let largest = producer.end.largest();
    producer.push(&vec![1; largest]);
    assert_eq!(fifo.oldest(), fifo.capacity as u64);
    let mut got = Vec::new();
    let read = fifo.record_reader().read_any_record(&mut got).unwrap();
    assert_eq!(read, copied(largest, fifo.capacity as u64));
}

#[test]
fn wrong_headers_are_errors() {
    for start in STARTS {
        let fifo = Fifo::new(1, start);
        let (mut producer, mut consumer) = (fifo.record_overwriter(), fifo.record_reader());
        let all = fifo.capacity;
        producer.push(&vec![0; all - 8 - 16]);
        producer.push(b"second");
        for (len, flags) in [(0, 0), (100, 1), (all as u32, 0), (u32::MAX, 0)] {
            fifo.forge(start, len, flags);
            assert!(is_broken(consumer.read_any_record(&mut Vec::new())));
            assert!(is_broken(consumer.read_record(&mut [])));
            assert!(is_broken(producer.reserve(1)));
            assert_eq!(fifo.oldest(), start);
        }
        // A header that is wrong but possible leads to another one.
        fifo.forge(start, 8, 0);
        fifo.forge(start.wrapping_add(16), 1, 0);
        let mut got = Vec::new();
        assert_eq!(consumer.read_any_record(&mut got).unwrap(), copied(8, 0));
        assert_eq!(consumer.read_any_record(&mut got).unwrap(), copied(1, 0));
    }
}

/// A hostile producer may store any positions between any two loads. The consumer does not start
/// where no record can begin: it starts with the oldest one.
#[test]
fn a_misaligned_start_is_not_used() {
    let fifo = Fifo::new(1, 0);
    let mut producer = fifo.record_overwriter();
    let mut consumer = fifo.record_reader();
    for _ in 0..10 {
        producer.push(b"x");
    }
    let page = fifo.page(0, true);
    let page = page.end_page();
    let mut tries = Tries::new(Framing::Record);
    page.position.store(155, Ordering::Relaxed);
    for _ in 0..3 {
        consumer.end.ring.overtaken(&mut tries);
    }
    page.position.store(160, Ordering::Relaxed);
    let mut record = Vec::new();
    let result = consumer.read(To::Vec(&mut record), |end, _, to| {
        end.copy_record(&tries, to)
    });
    assert_eq!(result.unwrap(), copied(1, 0));
    assert_eq!(record, b"x");
}

/// The same with records, whose payload tells their position.
#[test]
fn records_are_intact_beside_a_fast_writer() {
    for vec in [false, true] {
        let start = u64::MAX - 100_007;
        let fifo = Fifo::new(1, start);
        let stop = AtomicBool::new(false);
        let mut producer = fifo.record_overwriter();
        std::thread::scope(|scope| {
            let stop = &stop;
            let _stop = Stop(stop);
            scope.spawn(move || {
                let mut len = 1;
                while !stop.load(Ordering::Relaxed) {
                    let position = producer.end.cursor.position;
                    producer.push(&bytes(position, len));
                    len = 1 + len * 7 % 997;
                    if len % 8 == 0 {
                        std::thread::yield_now();
                    }
                }
            });
            let mut consumer = fifo.record_reader();
            let mut at = start;
            let mut got = vec![0; fifo.capacity];
            let until = Instant::now() + Duration::from_millis(300);
            while Instant::now() < until {
                let read = match vec {
                    true => consumer.read_wait(|reader| reader.read_any_record(&mut got)),
                    false => consumer.read_wait(|reader| reader.read_record(&mut got)),
                };
                let Copied { len, lost } = read.unwrap();
                at = at.wrapping_add(lost);
                assert_eq!(got[..len], bytes(at, len), "after {lost} lost");
                at = at.wrapping_add(size_in_ring(len as u32));
            }
        });
    }
}
