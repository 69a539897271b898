// SPDX-License-Identifier: GPL-2.0 OR MIT
// Copyright (C) 2026 Seed 1f3ad1c2 maintainers.

//! A producer that overwrites the oldest bytes.

use super::records::STARTS as RECORD_STARTS;
use super::*;
use crate::kind::{OverwritingRecords, OverwritingStream};
use crate::overwriting::reader::Outcome;
use crate::overwriting::reader::{Reader, To};
use crate::overwriting::Copied;
use crate::overwriting::{consumer, producer, record_consumer, record_producer};
use crate::ring::overwrite::{Oldest, Overwriting};
use crate::side::Head;
use std::cell::Cell;

impl Fifo {
    fn overwriter(&self) -> producer::Port<Pull> {
        let end = self.end().unwrap();
        producer::Port { end }
    }

    fn reader(&self) -> consumer::Port<Pull> {
        Reader::new(self.end().unwrap())
    }

    pub(super) fn record_overwriter(&self) -> record_producer::Port<Pull> {
        let end = self.end().unwrap();
        record_producer::Port { end }
    }

    pub(super) fn record_reader(&self) -> record_consumer::Port<Pull> {
        Reader::new(self.end().unwrap())
    }

    pub(super) fn oldest(&self) -> u64 {
        let page = self.page(0, false);
        page.end_page().oldest.load(Ordering::Relaxed)
    }
}

impl record_producer::Port<Pull> {
    pub(super) fn push(&mut self, payload: &[u8]) {
        let place = self.reserve(payload.len()).unwrap();
        place.span().put(0, payload).unwrap();
        place.commit(payload.len()).unwrap();
    }
}

impl producer::Port<Pull> {
    fn position(&self) -> u64 {
        self.end.cursor.position
    }

    /// Writes `len` of the bytes that belong here.
    fn push(&mut self, len: usize) {
        let mut left = len;
        while left > 0 {
            left -= self.write(&bytes(self.position(), left)).unwrap();
        }
    }
}

pub(super) fn copied(len: usize, lost: u64) -> Outcome {
    Outcome::Copied(Copied { len, lost })
}

#[test]
fn bytes_go_through() {
    for start in STARTS {
        let fifo = Fifo::new(1, start);
        let (mut producer, mut consumer) = (fifo.overwriter(), fifo.reader());
        let mut got = vec![0; fifo.capacity];
        assert_eq!(consumer.read_bytes(&mut got).unwrap(), Outcome::Empty);
        for len in [1, 7, 8, 9, 100, 1000, 4095, 4096, 3000, 17] {
            let from = producer.position();
            producer.push(len);
            let read = consumer.read_bytes(&mut got[..len.min(50)]).unwrap();
            assert_eq!(read, copied(len.min(50), 0));
            assert_eq!(got[..len.min(50)], bytes(from, len.min(50)));
            let mut rest = vec![0xff; 5];
            let read = consumer.read_all(&mut rest).unwrap();
            match len.checked_sub(50) {
                None | Some(0) => {
                    assert_eq!(read, Outcome::Empty);
                    assert!(rest.is_empty());
                }
                Some(left) => {
                    assert_eq!(read, copied(left, 0));
                    assert_eq!(rest, bytes(from.wrapping_add(50), left));
                }
            }
        }
        assert_eq!(consumer.read_bytes(&mut []).unwrap(), copied(0, 0));
    }
}

#[test]
fn the_oldest_bytes_make_way() {
    for start in STARTS {
        let fifo = Fifo::new(1, start);
        let (mut producer, mut consumer) = (fifo.overwriter(), fifo.reader());
        let all = fifo.capacity;
        let mut got = vec![0; all];
        producer.push(10);
        assert_eq!(consumer.read_bytes(&mut got[..4]).unwrap(), copied(4, 0));
        // More than fits, so bytes 4 to 9 and some of the new ones are gone.
        producer.push(2 * all + 100);
        assert_eq!(fifo.oldest(), start.wrapping_add(all as u64 + 110));
        let lost = all as u64 + 106;
        assert_eq!(consumer.read_bytes(&mut got).unwrap(), copied(all, lost));
        assert_eq!(got, bytes(start.wrapping_add(lost + 4), all));
        assert_eq!(consumer.read_bytes(&mut got).unwrap(), Outcome::Empty);
        // The next owner of each end goes on.
        drop((producer, consumer));
        fifo.overwriter().push(3);
        assert_eq!(
            fifo.reader().read_bytes(&mut got[..2]).unwrap(),
            copied(2, 0)
        );
        assert_eq!(fifo.reader().read_bytes(&mut got).unwrap(), copied(1, 0));
    }
}

#[test]
fn a_reservation_makes_room_at_once() {
    let fifo = Fifo::new(1, 0);
    let (mut producer, mut consumer) = (fifo.overwriter(), fifo.reader());
    let all = fifo.capacity;
    producer.push(all);
    let _ = producer.reserve(100).unwrap();
    assert_eq!(fifo.oldest(), 100);
    // There is room now, so nothing else is dropped.
    let place = producer.reserve(100).unwrap();
    place.span().put(0, b"x").unwrap();
    place.commit(1).unwrap();
    assert_eq!(fifo.oldest(), 100);
    let mut got = Vec::new();
    assert_eq!(
        consumer.read_all(&mut got).unwrap(),
        copied(all - 100 + 1, 100)
    );
    assert_eq!(got.pop(), Some(b'x'));
    assert_eq!(got, bytes(100, all - 100));
    // If everything is dropped, nothing is queued.
    producer.reserve(all).unwrap().commit(0).unwrap();
    assert_eq!(consumer.read_all(&mut got).unwrap(), Outcome::Empty);
}

#[test]
fn wrong_lengths_are_refused() {
    let fifo = Fifo::new(1, 0);
    let mut producer = fifo.overwriter();
    for len in [fifo.capacity + 1, usize::MAX] {
        assert!(is_invalid(producer.reserve(len)));
    }
    for len in [5, usize::MAX] {
        assert!(is_invalid(producer.reserve(4).unwrap().commit(len)));
    }
    let place = producer.reserve(4).unwrap();
    for (offset, len) in OUTSIDE_FOUR {
        assert!(is_invalid(place.span().put(offset, &[b'x'; 8][..len])));
    }
    assert_eq!(fifo.oldest(), 0);

    let fifo = Fifo::new(1, 0);
    let mut producer = fifo.record_overwriter();
    assert_eq!(producer.end.largest(), fifo.capacity - 8);
    for len in [0, fifo.capacity - 7, 1 << 32 | 8, usize::MAX] {
        assert!(is_too_long(producer.reserve(len)));
    }
    for len in [0, 5, usize::MAX] {
        assert!(is_invalid(producer.reserve(4).unwrap().commit(len)));
    }
    assert!(is_invalid(fifo.reader().end.wait(fifo.capacity + 1, None)));
}

#[test]
fn wrong_positions_are_errors() {
    for start in RECORD_STARTS {
        let fifo = Fifo::new(1, start);
        let cap = fifo.capacity as u64;
        let mut consumer = fifo.reader();
        fifo.overwriter().push(96);
        assert!(consumer.end.wait(96, None).unwrap().is_some());
        let head = start.wrapping_add(96);
        let page = fifo.page(0, true);
        let page = page.end_page();
        // (position, oldest)
        for (position, oldest) in [
            (head.wrapping_sub(8), start),
            (head.wrapping_add(1 << 63), start),
            (head, head.wrapping_add(8)),
            (head, head.wrapping_sub(cap + 8)),
            (head, head.wrapping_add(1 << 63)),
        ] {
            page.position.store(position, Ordering::Relaxed);
            page.oldest.store(oldest, Ordering::Relaxed);
            assert!(is_broken(consumer.read_bytes(&mut [0])));
            assert!(is_broken(consumer.end.wait(1, None)));
            if position == head {
                assert!(is_broken(fifo.end::<Head<OverwritingStream>>()));
                assert!(is_broken(fifo.end::<Head<OverwritingRecords>>()));
                assert!(is_broken(fifo.end::<Tail<OverwritingStream>>()));
            }
        }
        page.position.store(head, Ordering::Relaxed);
        page.oldest.store(start.wrapping_add(4), Ordering::Relaxed);
        assert!(is_broken(fifo.end::<Tail<OverwritingRecords>>()));
        assert!(is_broken(fifo.end::<Head<OverwritingRecords>>()));
        assert!(fifo.end::<Head<OverwritingStream>>().is_ok());
        assert_eq!(consumer.read_bytes(&mut [0; 100]).unwrap(), copied(92, 4));
    }
}

/// A consumer that is overtaken each time says so, and goes on later where it has ended.
#[test]
fn an_overtaken_consumer_says_so() {
    let fifo = Fifo::new(1, 0);
    let all = fifo.capacity;
    let mut producer = fifo.overwriter();
    producer.push(all);
    let mut consumer = fifo.reader();
    for attempts in [16, 16] {
        let made = Cell::new(0);
        let mut got = vec![1, 2, 3];
        let outcome = consumer.read(To::Vec(&mut got), |end, tries, to| {
            made.set(made.get() + 1);
            // The copy is there, but not intact.
            let before = end.cursor;
            let outcome = end.copy_bytes(tries, to)?;
            assert!(matches!(outcome, Some(Outcome::Copied(_))));
            end.cursor = before;
            Ok(None)
        });
        assert_eq!(outcome.unwrap(), Outcome::Overtaken);
        assert_eq!(made.get(), attempts);
        assert!(got.is_empty());
    }
    // All but the last byte is skipped by now. Once it is read, nothing more is skipped.
    let mut got = Vec::new();
    let last = all as u64 - 1;
    assert_eq!(consumer.read_all(&mut got).unwrap(), copied(1, last));
    producer.push(all);
    assert_eq!(consumer.read_all(&mut got).unwrap(), copied(all, 0));
}

/// A writer at full speed, and a reader that checks every byte.
#[test]
fn bytes_are_intact_beside_a_fast_writer() {
    for (most, vec) in [(1, false), (100, false), (4096, false), (4096, true)] {
        let start = u64::MAX - 100_000;
        let fifo = Fifo::new(1, start);
        let stop = AtomicBool::new(false);
        let mut producer = fifo.overwriter();
        std::thread::scope(|scope| {
            let stop = &stop;
            let _stop = Stop(stop);
            scope.spawn(move || {
                let mut len = 1;
                while !stop.load(Ordering::Relaxed) {
                    producer.push(len);
                    len = 1 + len * 7 % 997;
                    // There may be only one CPU.
                    if len % 8 == 0 {
                        std::thread::yield_now();
                    }
                }
            });
            let mut consumer = fifo.reader();
            let (mut at, mut lost) = (start, 0);
            let mut got = vec![0; most];
            let until = Instant::now() + Duration::from_millis(300);
            while Instant::now() < until {
                let read = match vec {
                    true => consumer.read_wait(|reader| reader.read_all(&mut got)),
                    false => consumer.read_wait(|reader| reader.read_bytes(&mut got)),
                };
                let read = read.unwrap();
                assert!(read.len > 0 && (vec || read.len <= most));
                at = at.wrapping_add(read.lost);
                lost += read.lost;
                assert_eq!(got[..read.len], bytes(at, read.len), "after {lost} lost");
                at = at.wrapping_add(read.len as u64);
            }
        });
    }
}

#[test]
fn a_sleeping_consumer_is_woken() {
    let fifo = Fifo::new(1, 0);
    let mut producer = fifo.overwriter();
    std::thread::scope(|scope| {
        let mut consumer = fifo.reader();
        let sleeper = scope.spawn(move || {
            let mut got = [0; 8];
            let read = consumer.read_wait(|reader| reader.read_bytes(&mut got));
            read.unwrap()
        });
        std::thread::sleep(Duration::from_millis(30));
        producer.push(1);
        let read = sleeper.join().unwrap();
        assert_eq!(read, Copied { len: 1, lost: 0 });
    });
    // It sleeps for as much as it needs, and no longer than it should.
    let mut consumer = fifo.reader();
    assert_eq!(consumer.end.wait(1, Some(Duration::ZERO)).unwrap(), None);
    let timeout = Some(Duration::from_millis(20));
    producer.push(5);
    assert_eq!(consumer.end.wait(6, timeout).unwrap(), None);
    assert_eq!(consumer.end.wait(5, timeout).unwrap(), Some(5));
    producer.push(2 * fifo.capacity);
    let all = Some(fifo.capacity);
    assert_eq!(consumer.end.wait(fifo.capacity, None).unwrap(), all);
    // Nobody waits for room, so reading wakes nobody.
    let page = fifo.page(0, true);
    page.end_page().waiting.store(1, Ordering::Relaxed);
    let wakes = fifo.bell.wakes.load(Ordering::Relaxed);
    assert_eq!(
        consumer.read_all(&mut Vec::new()).unwrap(),
        copied(fifo.capacity, fifo.capacity as u64 + 5)
    );
    assert_eq!(fifo.bell.wakes.load(Ordering::Relaxed), wakes);
}

#[test]
fn the_other_end_may_be_gone() {
    let fifo = Fifo::new(1, 0);
    let (mut producer, mut consumer) = (fifo.overwriter(), fifo.reader());
    producer.end.check().unwrap();
    producer.push(10);
    fifo.bell(1).end();
    let mut got = [0; 20];
    let read = consumer.read_wait(|reader| reader.read_bytes(&mut got));
    assert_eq!(read.unwrap(), Copied { len: 10, lost: 0 });
    assert_eq!(consumer.read_bytes(&mut got).unwrap(), Outcome::Empty);
    let read = consumer.read_wait(|reader| reader.read_bytes(&mut got));
    assert_eq!(has_ended(read), Some(Gone::Writers));

    fifo.bell(0).end();
    producer.push(1);
    assert_eq!(has_ended(producer.end.check()), Some(Gone::Readers));
}

/// The loads and stores of the ring are those of the field.
#[test]
fn oldest_is_in_the_page_of_the_producer() {
    fn overwrites<M: Overwriting>() {}
    overwrites::<Head<OverwritingStream>>();
    overwrites::<Tail<OverwritingRecords>>();
    let fifo = Fifo::new(1, 7);
    let (producer, consumer) = (fifo.overwriter(), fifo.reader());
    producer.end.ring.producer.store_oldest(5);
    assert_eq!(fifo.oldest(), 5);
    assert_eq!(producer.end.ring.producer.load_oldest(), 5);
    assert_eq!(producer.end.ring.producer.reload_oldest(), 5);
    assert_eq!(consumer.end.ring.producer.load_oldest(), 5);
    assert_eq!(consumer.end.ring.producer.reload_oldest(), 5);
}
