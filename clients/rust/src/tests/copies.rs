// SPDX-License-Identifier: GPL-2.0 OR MIT
// Copyright (C) 2026 Seed 1f3ad1c2 maintainers.

//! What copies bytes out: `Read` and `BufRead`; timeouts of these and of `Write`; and records that
//! are copied.

use super::*;
use crate::kind::Records;
use crate::records;

#[test]
fn a_line_is_consumed_as_it_is_read() {
    for start in STARTS {
        let fifo = Fifo::new(1, start);
        let (mut producer, mut consumer) = (fifo.producer(), fifo.consumer());
        producer.write(b"one\ntwo\nthree").unwrap();
        for (line, left) in [(&b"one\n"[..], 9), (b"two\n", 5), (b"three", 0)] {
            let buffer = consumer.fill_buf().unwrap();
            assert!(buffer.starts_with(line));
            consumer.consume(line.len());
            // It is no longer there for anybody else.
            assert_eq!(consumer.end.look(usize::MAX).unwrap(), left);
        }
        // One that was not consumed is.
        producer.write(b"more").unwrap();
        assert_eq!(consumer.fill_buf().unwrap(), b"more");
        drop(consumer);
        assert_eq!(fifo.consumer().fill_buf().unwrap(), b"more");
    }
}

/// What was copied does not change, and what others have released is not returned again.
#[test]
fn a_copy_is_of_what_is_queued() {
    let fifo = Fifo::new(1, 0);
    let (mut producer, mut consumer) = (fifo.producer(), fifo.consumer());
    producer.write(b"0123456789").unwrap();
    assert_eq!(consumer.fill_buf().unwrap(), b"0123456789");
    fifo.data(true).store(0, b"changed...");
    assert_eq!(consumer.fill_buf().unwrap(), b"0123456789");
    consumer.peek().unwrap().unwrap().release(4).unwrap();
    assert_eq!(consumer.fill_buf().unwrap(), b"456789");
    // More than there is in the copy is not released.
    producer.write(b"abc").unwrap();
    consumer.consume(100);
    assert_eq!(consumer.fill_buf().unwrap(), b"abc");
    // Released beyond the copy.
    producer.write(b"def").unwrap();
    consumer.peek().unwrap();
    assert_eq!(consumer.end.wait(6, None).unwrap(), Some(6));
    consumer.peek().unwrap().unwrap().release(5).unwrap();
    assert_eq!(consumer.fill_buf().unwrap(), b"f");
    consumer.consume(0);
    assert_eq!(consumer.fill_buf().unwrap(), b"f");
    consumer.consume(1);
    fifo.bell(1).end();
    assert_eq!(consumer.fill_buf().unwrap(), b"");
    consumer.consume(1);
}

#[test]
fn a_stream_of_lines_is_complete() {
    const LINES: u64 = 3000;
    let fifo = Fifo::new(1, u64::MAX - 5000);
    let line = |i: u64| format!("{i} {}\n", "x".repeat(i as usize % 200));
    std::thread::scope(|scope| {
        let mut producer = fifo.producer();
        scope.spawn(move || {
            for i in 0..LINES {
                let line = line(i);
                let mut rest = line.as_bytes();
                while !rest.is_empty() {
                    rest = &rest[producer.write(rest).unwrap()..];
                }
            }
        });
        let mut consumer = fifo.consumer();
        let mut got = Vec::new();
        for i in 0..LINES {
            got.clear();
            while got.last() != Some(&b'\n') {
                let buffer = consumer.fill_buf().unwrap();
                let len = buffer.iter().position(|byte| *byte == b'\n');
                let len = len.map_or(buffer.len(), |at| at + 1);
                got.extend_from_slice(&buffer[..len]);
                consumer.consume(len);
            }
            assert_eq!(got, line(i).as_bytes());
        }
    });
}

#[test]
fn timeouts_expire() {
    let fifo = Fifo::new(1, 0);
    let (mut producer, mut consumer) = (fifo.producer(), fifo.consumer());
    let short = Some(Duration::from_millis(20));
    let from = Instant::now();
    consumer.timeout = short;
    assert!(is_not_yet(consumer.read(&mut [0])));
    assert!(is_not_yet(consumer.fill_buf()));
    assert!(is_not_yet(consumer.peek_timeout(1, short)));
    producer.timeout = short;
    assert_eq!(
        producer.write(&vec![0; fifo.capacity]).unwrap(),
        fifo.capacity
    );
    assert!(is_not_yet(producer.write(b"x")));
    assert!(is_not_yet(producer.reserve_timeout(1, short)));
    assert!(from.elapsed() >= Duration::from_millis(100));
    assert_eq!(consumer.peek_timeout(1, short).unwrap().len, fifo.capacity);
    assert_eq!(consumer.read(&mut [0; 9]).unwrap(), 9);
    assert_eq!(producer.reserve_timeout(9, short).unwrap().len, 9);
    // Nothing to do takes no time.
    consumer.timeout = None;
    assert_eq!(consumer.read(&mut []).unwrap(), 0);
    assert_eq!(producer.write(&[]).unwrap(), 0);
}

#[test]
fn a_record_that_cannot_be_copied_stays() {
    let fifo = Fifo::new(1, 0);
    let mut producer = records::producer::Port {
        end: fifo.end::<crate::side::Head<Records>>().unwrap(),
    };
    let mut consumer = records::consumer::Port {
        end: fifo.end::<Tail<Records>>().unwrap(),
    };
    assert!(is_not_yet(consumer.take(|_| Ok(()))));
    for payload in [b"one", b"two"] {
        let place = producer.reserve(3).unwrap().unwrap();
        place.span().put(0, payload).unwrap();
        place.commit(3).unwrap();
    }
    let refused = consumer.take(|record| match record.len() {
        3 => Err::<(), _>(Error::Length),
        _ => Ok(()),
    });
    assert!(is_too_long(refused));
    for payload in [b"one", b"two"] {
        let copy = consumer.take(|record| Ok(record.to_vec())).unwrap();
        assert_eq!(copy, payload);
    }
    let place = producer.reserve_timeout(4088, Some(Duration::ZERO));
    assert_eq!(place.unwrap().len(), 4088);
}

#[test]
fn ends_can_be_shared_and_sent() {
    fn good<T: Send + Sync>() {}
    good::<crate::Producer>();
    good::<crate::Reservation<'_>>();
    good::<crate::Consumer>();
    good::<crate::Bytes<'_>>();
    good::<crate::Iter<'_>>();
    good::<crate::RecordProducer>();
    good::<crate::RecordReservation<'_>>();
    good::<crate::RecordConsumer>();
    good::<crate::Records<'_>>();
    good::<crate::RecordIter<'_>>();
    good::<crate::Record<'_>>();
    good::<crate::overwriting::Producer>();
    good::<crate::overwriting::Reservation<'_>>();
    good::<crate::overwriting::Consumer>();
    good::<crate::overwriting::RecordProducer>();
    good::<crate::overwriting::RecordReservation<'_>>();
    good::<crate::overwriting::RecordConsumer>();
}
