// SPDX-License-Identifier: GPL-2.0 OR MIT
// Copyright (C) 2026 Seed 1f3ad1c2 maintainers.

//! Records, and a producer that waits for room.

use super::*;
use crate::kind::Records;
use crate::records::{consumer, producer};
use crate::ring::record::{size_in_ring, Header};
use crate::side::Head;

/// As [`STARTS`](super::STARTS), but where a record can begin.
pub(super) const STARTS: [u64; 3] = [0, 4088, u64::MAX - 103];

impl Fifo {
    fn record_producer(&self) -> producer::Port<Pull> {
        let end = self.end().unwrap();
        producer::Port { end }
    }

    fn record_consumer(&self) -> consumer::Port<Pull> {
        let end = self.end().unwrap();
        consumer::Port { end }
    }

    /// Stores a header at a position.
    pub(super) fn forge(&self, position: u64, len: u32, flags: u32) {
        let offset = position as usize % self.capacity;
        self.data(true)
            .store_word(offset, Header { len, flags }.to_raw());
    }
}

impl producer::Port<Pull> {
    fn push(&mut self, payload: &[u8]) {
        let place = self.reserve(payload.len()).unwrap().unwrap();
        place.span().put(0, payload).unwrap();
        place.commit(payload.len()).unwrap();
    }
}

impl consumer::Port<Pull> {
    /// Takes one record out.
    fn pop(&mut self) -> Option<Vec<u8>> {
        let mut batch = self.peek().unwrap()?;
        let payload = batch.next().unwrap().unwrap().to_vec();
        batch.release().unwrap();
        Some(payload)
    }
}

#[test]
fn records_go_through() {
    for start in STARTS {
        let fifo = Fifo::new(1, start);
        let (mut producer, mut consumer) = (fifo.record_producer(), fifo.record_consumer());
        let mut at = 0;
        for len in [1, 7, 8, 9, 100, 1000, 4087, 4088, 3000, 3000, 17] {
            assert!(consumer.peek().unwrap().is_none());
            let payload = bytes(at, len);
            producer.push(&payload);
            let mut batch = consumer.peek().unwrap().unwrap();
            let record = batch.next().unwrap().unwrap();
            assert_eq!(record.len(), len);
            assert_eq!(record.to_vec(), payload);
            assert_eq!(record.iter().collect::<Vec<_>>(), payload);
            assert_eq!(record.as_raw().cast::<u8>() as usize % 8, 0);
            // SAFETY: Nothing else uses the file.
            assert_eq!(unsafe { record.as_slice() }, payload);
            let mut last = [0];
            record.get(len - 1, &mut last).unwrap();
            assert_eq!(last[0], payload[len - 1]);
            assert!(is_invalid(record.get(len, &mut last)));
            assert!(batch.next().unwrap().is_none());
            batch.release().unwrap();
            at += len as u64;
        }
    }
}

#[test]
fn what_is_not_committed_is_no_record() {
    let fifo = Fifo::new(1, 0);
    let (mut producer, mut consumer) = (fifo.record_producer(), fifo.record_consumer());
    let place = producer.reserve(100).unwrap().unwrap();
    assert_eq!(place.len(), 100);
    place.span().put(0, &[1; 100]).unwrap();
    let _ = place;
    assert!(consumer.peek().unwrap().is_none());
    // A record may be shorter than what was reserved, but not longer or empty.
    for (len, good) in [
        (0, false),
        (101, false),
        (usize::MAX, false),
        (1 << 32 | 5, false),
        (5, true),
    ] {
        let place = producer.reserve(100).unwrap().unwrap();
        place.span().put(0, b"hello, world").unwrap();
        let committed = place.commit(len);
        assert_eq!(committed.is_ok(), good, "{len}");
        assert!(good || is_invalid(committed));
        assert_eq!(consumer.pop().is_some(), good, "{len}");
    }
    producer.push(b"hello");
    assert_eq!(consumer.pop().unwrap(), b"hello");
}

#[test]
fn no_record_has_a_wrong_length() {
    let fifo = Fifo::new(1, 0);
    let mut producer = fifo.record_producer();
    assert_eq!(producer.end.largest(), fifo.capacity - 8);
    for len in [0, fifo.capacity - 7, fifo.capacity, 1 << 32 | 8, usize::MAX] {
        assert!(is_too_long(producer.reserve(len)), "{len}");
        assert!(is_too_long(producer.reserve_wait(len)), "{len}");
        for timeout in [None, Some(Duration::ZERO)] {
            assert!(is_too_long(producer.wait(len, timeout)), "{len}");
        }
    }
    let place = producer.reserve(8).unwrap().unwrap();
    for (offset, len) in [(0, 9), (8, 1), (9, 0), (usize::MAX, 2)] {
        assert!(is_invalid(place.span().put(offset, &[0; 9][..len])));
    }
}

#[test]
fn full_and_empty() {
    for start in STARTS {
        let fifo = Fifo::new(1, start);
        let (mut producer, mut consumer) = (fifo.record_producer(), fifo.record_consumer());
        let largest = producer.end.largest();
        producer.wait(largest, Some(Duration::ZERO)).unwrap();
        producer.push(&vec![1; largest - 16]);
        // Sixteen bytes are left.
        assert!(producer.reserve(9).unwrap().is_none());
        assert!(is_not_yet(producer.wait(9, Some(Duration::ZERO))));
        producer.wait(8, None).unwrap();
        producer.push(&[2; 8]);
        assert!(producer.reserve(1).unwrap().is_none());
        assert!(is_not_yet(producer.wait(1, Some(Duration::from_millis(1)))));
        assert_eq!(consumer.pop().unwrap().len(), largest - 16);
        producer.wait(largest - 16, None).unwrap();
        assert_eq!(consumer.pop().unwrap(), [2; 8]);
        assert!(consumer.peek().unwrap().is_none());
        let waited = consumer.end.wait(1, Some(Duration::ZERO)).unwrap();
        assert_eq!(waited, None);
    }
}

/// Any number of records are used at the same time, and only those that were returned are released.
#[test]
fn several_are_released_at_once() {
    let fifo = Fifo::new(1, 4080);
    let (mut producer, mut consumer) = (fifo.record_producer(), fifo.record_consumer());
    for i in 0..10 {
        producer.push(&[i; 9]);
    }
    let mut batch = consumer.peek().unwrap().unwrap();
    let three: Vec<_> = batch.iter().take(3).map(Result::unwrap).collect();
    for (i, record) in three.iter().enumerate() {
        assert_eq!(record.to_vec(), [i as u8; 9]);
    }
    batch.release().unwrap();
    assert_eq!(consumer.pop().unwrap(), [3; 9]);

    // Without a release, all stay.
    let mut batch = consumer.peek().unwrap().unwrap();
    assert_eq!(batch.next().unwrap().unwrap().to_vec(), [4; 9]);
    let _ = batch;
    assert_eq!(consumer.pop().unwrap(), [4; 9]);
    // Nothing was returned, so nothing is released.
    consumer.peek().unwrap().unwrap().release().unwrap();

    // One that is put back stays, and so do those after it.
    let mut batch = consumer.peek().unwrap().unwrap();
    let mut records = batch.iter();
    let mut next = || records.next().unwrap().unwrap();
    let (five, six, seven, eight) = (next(), next(), next(), next());
    assert_eq!(five.to_vec(), [5; 9]);
    six.put_back();
    // These are after it.
    eight.put_back();
    seven.put_back();
    assert!(records.next().is_none());
    assert_eq!(batch.next().unwrap().unwrap().to_vec(), [6; 9]);
    let seven = batch.next().unwrap().unwrap();
    assert_eq!(seven.to_vec(), [7; 9]);
    seven.put_back();
    batch.release().unwrap();
    assert_eq!(consumer.pop().unwrap(), [7; 9]);
    assert_eq!(consumer.pop().unwrap(), [8; 9]);
    assert_eq!(consumer.pop().unwrap(), [9; 9]);
    assert!(consumer.peek().unwrap().is_none());
}

#[test]
fn next_owner_goes_on() {
    for start in STARTS {
        let fifo = Fifo::new(1, start);
        fifo.record_producer().push(b"one");
        fifo.record_producer().push(b"two");
        assert_eq!(fifo.record_consumer().pop().unwrap(), b"one");
        assert_eq!(fifo.record_consumer().pop().unwrap(), b"two");
    }
}

/// Whatever a header contains, the result is an error or a record that is queued.
#[test]
fn wrong_headers_are_errors() {
    for start in STARTS {
        let fifo = Fifo::new(1, start);
        let (mut producer, mut consumer) = (fifo.record_producer(), fifo.record_consumer());
        producer.push(b"first");
        producer.push(&[0; 100]);
        let second = start.wrapping_add(size_in_ring(5));
        for (len, flags, good) in [
            (0, 0, false),
            (100, 1, false),
            (105, 0, false),
            (u32::MAX, 0, false),
            (u32::MAX - 15, 0, false),
            (100, 1 << 31, false),
            (104, 0, true),
            (1, 0, true),
        ] {
            fifo.forge(second, len, flags);
            let mut batch = consumer.peek().unwrap().unwrap();
            assert_eq!(batch.next().unwrap().unwrap().to_vec(), b"first");
            match batch.next() {
                Ok(record) => assert_eq!((record.unwrap().len(), good), (len as usize, true)),
                Err(error) => {
                    assert!(matches!(error, Error::Broken) && !good);
                    // It is still there, and still wrong.
                    assert!(is_broken(batch.next()), "{len} {flags}");
                }
            }
        }
        fifo.forge(second, 0, 0);
        // The record before it can be released.
        let mut batch = consumer.peek().unwrap().unwrap();
        batch.next().unwrap().unwrap();
        assert!(is_broken(batch.next()));
        batch.release().unwrap();
        assert!(is_broken(consumer.peek().unwrap().unwrap().next()));
    }
}

/// The length that was checked is the one that counts.
#[test]
fn a_header_is_loaded_once() {
    let fifo = Fifo::new(1, 0);
    let (mut producer, mut consumer) = (fifo.record_producer(), fifo.record_consumer());
    producer.push(b"first");
    producer.push(b"second");
    let mut batch = consumer.peek().unwrap().unwrap();
    let mut records = batch.iter();
    let first = records.next().unwrap().unwrap();
    fifo.forge(0, 4000, 0);
    assert_eq!((first.len(), first.to_vec()), (5, b"first".to_vec()));
    assert_eq!(records.next().unwrap().unwrap().to_vec(), b"second");
    fifo.forge(16, 1, 0);
    batch.release().unwrap();
    assert!(consumer.peek().unwrap().is_none());
    producer.push(b"third");
    assert_eq!(consumer.pop().unwrap(), b"third");
}

#[test]
fn wrong_positions_are_errors() {
    for start in STARTS {
        let fifo = Fifo::new(1, start);
        let cap = fifo.capacity as u64;
        let (mut producer, mut consumer) = (fifo.record_producer(), fifo.record_consumer());
        producer.push(&[0; 88]);
        let head = start.wrapping_add(96);

        let page = fifo.page(0, true);
        for wrong in [
            start.wrapping_sub(8),
            start.wrapping_add(cap + 8),
            head.wrapping_add(1 << 63),
            head.wrapping_add(4),
        ] {
            page.end_page().position.store(wrong, Ordering::Relaxed);
            assert!(is_broken(consumer.peek()));
            assert!(is_broken(consumer.peek_timeout(None)));
            assert!(is_broken(consumer.end.wait(1, Some(Duration::ZERO))));
            assert!(is_broken(fifo.end::<Tail<Records>>()));
        }
        page.end_page().position.store(head, Ordering::Relaxed);
        assert_eq!(consumer.pop().unwrap().len(), 88);

        let page = fifo.page(1, true);
        for wrong in [
            start.wrapping_sub(8),
            head.wrapping_add(8),
            head.wrapping_sub(cap + 8),
            head.wrapping_add(1 << 63),
            head.wrapping_sub(4),
        ] {
            page.end_page().position.store(wrong, Ordering::Relaxed);
            let largest = producer.end.largest();
            assert!(is_broken(producer.reserve(largest)));
            assert!(is_broken(producer.wait(largest, None)));
        }
        // An end does not begin with a misaligned position, not even with its own.
        let misaligned = head.wrapping_sub(4);
        page.end_page()
            .position
            .store(misaligned, Ordering::Relaxed);
        assert!(is_broken(fifo.end::<Tail<Records>>()));
        page.end_page().position.store(start, Ordering::Relaxed);
        assert!(fifo.end::<Tail<Records>>().is_ok());
        let page = fifo.page(0, true);
        page.end_page()
            .position
            .store(misaligned, Ordering::Relaxed);
        assert!(is_broken(fifo.end::<Head<Records>>()));
    }
}

/// A thread that stores to the buffer at full speed changes what is found, nothing else.
#[test]
fn data_may_change_at_any_time() {
    let fifo = Fifo::new(1, 4000);
    let stop = AtomicBool::new(false);
    let data = fifo.data(true);
    std::thread::scope(|scope| {
        scope.spawn(|| {
            for i in 0u32.. {
                if stop.load(Ordering::Relaxed) {
                    break;
                }
                let at = i.wrapping_mul(2_654_435_761) as usize % (2 * fifo.capacity - 8);
                // Lengths and flags that are possible now and then.
                data.store(at, &u64::from(i % 64).to_ne_bytes());
            }
        });
        let _stop = Stop(&stop);
        for _ in 0..2000 {
            // Owners that start where those before them have ended.
            let (mut producer, mut consumer) = (fifo.record_producer(), fifo.record_consumer());
            producer.push(&[0; 40]);
            let mut batch = consumer.peek().unwrap().unwrap();
            match batch.next() {
                Ok(record) => {
                    let record = record.unwrap();
                    assert_eq!(record.to_vec().len(), record.len());
                }
                Err(error) => assert!(matches!(error, Error::Broken)),
            }
            // As the kernel does, for whom there are no records then.
            let head = producer.end.cursor.position;
            let page = fifo.page(1, true);
            page.end_page().position.store(head, Ordering::Relaxed);
        }
    });
}

/// Both ends run at the same time, sleep, and wake each other.
#[test]
fn two_threads_lose_nothing() {
    const RECORDS: u64 = 20_000;
    let fifo = Fifo::new(1, u64::MAX - 1007);
    let len = |i: u64| 1 + (i * 37 % 700) as usize;
    std::thread::scope(|scope| {
        let mut producer = fifo.record_producer();
        scope.spawn(move || {
            for i in 0..RECORDS {
                let place = producer.reserve_wait(len(i) + 3).unwrap();
                place.span().put(0, &bytes(i, len(i))).unwrap();
                place.commit(len(i)).unwrap();
                // Let the other end sleep now and then.
                if i % 16 == 0 {
                    std::thread::yield_now();
                }
            }
        });
        let mut consumer = fifo.record_consumer();
        let mut i = 0;
        while i < RECORDS {
            let mut batch = consumer.peek_timeout(None).unwrap();
            // At most five at a time.
            for _ in 0..5 {
                let Some(record) = batch.next().unwrap() else {
                    break;
                };
                assert_eq!(record.to_vec(), bytes(i, len(i)));
                i += 1;
            }
            batch.release().unwrap();
        }
        assert!(consumer.peek().unwrap().is_none());
    });
}

#[test]
fn files_give_and_take() {
    let fifo = Fifo::new(1, 4088);
    let (mut producer, mut consumer) = (fifo.record_producer(), fifo.record_consumer());
    let (from, to) = pipe();
    producer.push(&bytes(0, 100));
    let mut batch = consumer.peek().unwrap().unwrap();
    let record = batch.next().unwrap().unwrap();
    assert_eq!(record.write_to(&to).unwrap(), 100);
    batch.release().unwrap();
    let place = producer.reserve(200).unwrap().unwrap();
    assert_eq!(place.span().read_from(from.as_fd()).unwrap(), 100);
    place.commit(100).unwrap();
    assert_eq!(consumer.pop().unwrap(), bytes(0, 100));
}

/// At the end, what is there can still be used.
#[test]
fn the_other_end_may_be_gone() {
    let fifo = Fifo::new(1, 0);
    let (mut producer, mut consumer) = (fifo.record_producer(), fifo.record_consumer());
    producer.push(b"last");
    fifo.bell(1).end();
    let mut batch = consumer.peek_timeout(None).unwrap();
    assert_eq!(batch.next().unwrap().unwrap().to_vec(), b"last");
    batch.release().unwrap();
    for timeout in [None, Some(Duration::ZERO), Some(Duration::from_secs(1))] {
        assert_eq!(
            has_ended(consumer.end.wait(1, timeout)),
            Some(Gone::Writers)
        );
    }
    assert!(consumer.peek().unwrap().is_none());

    fifo.bell(0).end();
    let largest = producer.end.largest();
    producer.push(&vec![0; largest - 16]);
    producer.wait(8, None).unwrap();
    for timeout in [None, Some(Duration::ZERO), Some(Duration::from_secs(1))] {
        assert_eq!(has_ended(producer.wait(9, timeout)), Some(Gone::Readers));
    }
    assert_eq!(has_ended(producer.reserve_wait(9)), Some(Gone::Readers));
}
