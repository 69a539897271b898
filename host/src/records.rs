// SPDX-License-Identifier: GPL-2.0

//! Records in a ring whose producer waits.

use crate::{
    ring::{
        framing::{record_len, Framing, Refused, Reservation},
        pieces,
        record::{check, largest, offset, size_in_ring, Header, Record, Records, Skipped},
        Broken, Cursor, End, Fence, Memory, Ring,
    },
    tests::{config, hostile, start},
};
use proptest::prelude::*;
use std::{cell::Cell, collections::VecDeque};

/// An end that is used by one thread only.
struct PlainEnd(Cell<u64>);

impl End for PlainEnd {
    fn load_acquire(&self) -> u64 {
        self.0.get()
    }

    fn store_release(&self, position: u64) {
        self.0.set(position);
    }

    fn is_waiting(&self) -> bool {
        false
    }

    fn set_waiting(&self, _: bool) {}
}

struct Plain;

impl Memory for Plain {
    type Producer = PlainEnd;
    type Consumer = PlainEnd;

    fn fence(_: Fence) {}
}

/// A queue of records, with the cursors of both ends.
struct Queue {
    ring: Ring<Plain>,
    data: Vec<Cell<u8>>,
    producer: Cursor,
    consumer: Cursor,
    /// How often a header was loaded.
    loads: Cell<usize>,
}

impl Queue {
    fn new(capacity: u64, start: u64) -> Self {
        let cursor = Cursor::new(capacity, start);
        let end = || PlainEnd(Cell::new(start));
        Self {
            ring: Ring {
                producer: end(),
                consumer: end(),
            },
            data: (0..capacity).map(|_| Cell::new(0xff)).collect(),
            producer: cursor,
            consumer: cursor,
            loads: Cell::new(0),
        }
    }

    fn load(&self, offset: usize) -> u64 {
        self.loads.set(self.loads.get() + 1);
        let mut raw = [0; 8];
        for (byte, cell) in raw.iter_mut().zip(&self.data[offset..][..8]) {
            *byte = cell.get();
        }
        u64::from_ne_bytes(raw)
    }

    fn store(&self, offset: usize, raw: u64) {
        for (cell, byte) in self.data[offset..][..8].iter().zip(raw.to_ne_bytes()) {
            cell.set(byte);
        }
    }

    fn reserve(&mut self, len: usize) -> Result<Option<Reservation>, Refused> {
        self.ring.reserve_record(&mut self.producer, len as u64)
    }

    /// Stores the payload and commits it.
    fn commit(&mut self, place: Reservation, payload: &[u8]) -> Result<(), Refused> {
        let mut from = payload.iter();
        for piece in pieces(
            place.payload(),
            payload.len() as u64,
            self.producer.capacity,
        ) {
            for cell in &self.data[piece.offset..][..piece.len] {
                cell.set(*from.next().expect("as many as are cut"));
            }
        }
        let mut own = self.producer;
        let store = |offset, raw| self.store(offset, raw);
        let result = self
            .ring
            .commit_record(&mut own, place, payload.len() as u32, store);
        self.producer = own;
        result
    }

    fn push(&mut self, payload: &[u8]) {
        let place = self.reserve(payload.len()).unwrap().expect("there is room");
        self.commit(place, payload).unwrap();
    }

    fn next(&mut self) -> Result<Option<Record>, Broken> {
        let mut own = self.consumer;
        let record = self.ring.next_record(&mut own, |offset| self.load(offset));
        self.consumer = own;
        record
    }

    fn payload(&self, record: &Record) -> Vec<u8> {
        pieces(record.payload(), record.len.into(), self.consumer.capacity)
            .iter()
            .flat_map(|piece| &self.data[piece.offset..][..piece.len])
            .map(Cell::get)
            .collect()
    }

    fn release(&mut self, record: &Record) {
        self.ring.release_record(&mut self.consumer, record);
    }

    /// Stores a header at `position`.
    fn forge(&self, position: u64, len: u32, flags: u32) {
        let offset = offset(position, self.producer.capacity);
        self.store(offset, Header { len, flags }.to_raw());
    }
}

#[test]
fn header_is_two_numbers_in_native_order() {
    let raw = Header { len: 5, flags: 7 }.to_raw().to_ne_bytes();
    assert_eq!(raw[..4], 5u32.to_ne_bytes());
    assert_eq!(raw[4..], 7u32.to_ne_bytes());
    assert_eq!(Header::new(9), Header { len: 9, flags: 0 });
}

#[test]
fn sizes_are_padded() {
    for (len, size) in [(1, 16), (7, 16), (8, 16), (9, 24), (4088, 4096)] {
        assert_eq!(size_in_ring(len), size, "of {len} bytes");
    }
    // Larger than any ring, but computed without overflow.
    assert_eq!(size_in_ring(u32::MAX), (1 << 32) + 8);
    assert_eq!(largest(4096), 4088);
    assert_eq!(size_in_ring(largest(4096)), 4096);
    assert_eq!(largest(1 << 40), u32::MAX);
    assert_eq!(record_len(0, 64), Err(Refused::Length));
    assert_eq!(record_len(56, 64), Ok(56));
    assert_eq!(record_len(57, 64), Err(Refused::Length));
    assert_eq!(record_len((1 << 32) + 1, 1 << 40), Err(Refused::Length));
}

#[test]
fn poll_looks_for_the_room_of_an_atomic_write() {
    let room = |framing: Framing, claimed| framing.writable_room(4096, 4096, claimed);
    assert_eq!(room(Framing::Stream, false), 4096);
    assert_eq!(room(Framing::Stream, true), 1);
    assert_eq!(room(Framing::Record, false), 4096);
    assert_eq!(room(Framing::Record, true), 16);
    assert_eq!(Framing::Record.writable_room(65536, 4096, false), 4104);
}

#[test]
fn every_field_of_a_header_is_checked() {
    let raw = |len, flags| Header { len, flags }.to_raw();
    // (header, position, published bytes, whether it is believed)
    for (raw, position, queued, good) in [
        (raw(8, 0), 16, 16, true),
        (raw(1, 0), 16, 16, true),
        (raw(9, 0), 16, 24, true),
        (raw(0, 0), 16, 16, false),
        (raw(9, 0), 16, 16, false),
        (raw(u32::MAX, 0), 16, 1 << 32, false),
        (raw(8, 1), 16, 16, false),
        (raw(8, 1 << 31), 16, 16, false),
        (raw(8, 0), 12, 16, false),
        (raw(8, 0), 16, 20, false),
        (raw(8, 0), 16, 8, false),
        (raw(8, 0), 16, 0, false),
    ] {
        let result = check(raw, position, queued);
        assert_eq!(result.is_ok(), good, "{raw:#x} at {position} of {queued}");
        if let Ok(record) = result {
            assert_eq!(record.payload(), position + 8);
            assert!(record.end() <= position + queued);
        }
    }
}

#[test]
fn a_record_is_published_when_it_is_committed() {
    let mut queue = Queue::new(64, u64::MAX - 7);
    let place = queue.reserve(20).unwrap().expect("there is room");
    assert_eq!(queue.next(), Ok(None));
    // Dropping it gives it up.
    drop(place);
    let place = queue.reserve(40).unwrap().expect("there is room");
    assert_eq!(place.len(), 40);
    queue.commit(place, b"less").unwrap();
    // What was not committed is free: 48 bytes are left.
    assert_eq!(queue.reserve(41), Ok(None));
    queue.push(&[7; 40]);
    assert_eq!(queue.reserve(1), Ok(None));
    let record = queue.next().unwrap().expect("the first one");
    assert_eq!(queue.payload(&record), b"less");
    queue.release(&record);
    let record = queue.next().unwrap().expect("the second one");
    assert_eq!(queue.payload(&record), [7; 40]);
    queue.release(&record);
    assert_eq!(queue.next(), Ok(None));
}

#[test]
fn a_reservation_is_good_for_what_it_says() {
    let mut queue = Queue::new(64, 0);
    assert_eq!(queue.reserve(0), Err(Refused::Length));
    assert_eq!(queue.reserve(57), Err(Refused::Length));
    let before = queue.producer;
    for wrong in [0, 9] {
        let place = queue.reserve(8).unwrap().expect("there is room");
        let result = queue.commit(place, &vec![0; wrong]);
        assert_eq!(result, Err(Refused::Length));
        assert_eq!(queue.producer.position, before.position);
    }
    // The first of two reservations takes the place of both.
    let first = queue.reserve(8).unwrap().expect("there is room");
    let second = queue.reserve(8).unwrap().expect("there is room");
    assert_eq!(queue.commit(first, &[1; 8]), Ok(()));
    assert_eq!(queue.commit(second, &[2; 8]), Err(Refused::Length));
}

#[test]
fn records_are_looked_at_in_place() {
    let mut queue = Queue::new(64, u64::MAX - 23);
    for payload in [b"one".as_slice(), b"two", b"three"] {
        queue.push(payload);
    }
    let mut records = queue.ring.records(&mut queue.consumer).unwrap();
    let mut seen = Vec::new();
    while let Some(record) = records.next(|offset| queue.load(offset)).unwrap() {
        seen.push((queue.payload(&record), record));
    }
    assert_eq!(queue.loads.get(), 3, "each header is loaded once");
    let payloads: Vec<_> = seen.iter().map(|(payload, _)| payload.as_slice()).collect();
    assert_eq!(payloads, [b"one".as_slice(), b"two", b"three"]);
    // Two at once.
    queue.release(&seen[1].1);
    let record = queue.next().unwrap().expect("the third one");
    assert_eq!(queue.payload(&record), b"three");
    assert_eq!(
        queue
            .producer
            .position
            .wrapping_sub(queue.consumer.position),
        16
    );
}

#[test]
fn a_wrong_header_is_an_error_until_it_is_dropped() {
    let mut queue = Queue::new(64, 0);
    queue.push(&[1; 8]);
    queue.push(&[2; 8]);
    queue.push(&[3; 8]);
    queue.forge(16, 0, 0);
    let record = queue.next().unwrap().expect("the first one is good");
    queue.release(&record);
    assert_eq!(queue.next(), Err(Broken));
    assert_eq!(queue.next(), Err(Broken));
    assert_eq!(queue.ring.clear(&mut queue.consumer), 32);
    queue.push(&[4; 8]);
    assert_eq!(
        queue.next().unwrap().map(|record| record.position),
        Some(48)
    );
}

#[test]
fn misaligned_positions_are_refused() {
    let mut queue = Queue::new(64, 0);
    queue.push(&[1; 8]);
    queue.ring.producer.store_release(20);
    assert_eq!(queue.next(), Err(Broken));
    // It is not believed either.
    assert_eq!(queue.consumer.peer, 0);
    queue.ring.producer.store_release(16);
    assert!(queue.next().unwrap().is_some());

    let mut queue = Queue::new(64, 0);
    queue.push(&[1; 56]);
    queue.ring.consumer.store_release(20);
    assert_eq!(queue.reserve(8), Err(Refused::Broken));
    assert_eq!(queue.producer.peer, 0);
}

#[test]
fn the_end_of_the_last_good_record_is_found() {
    let mut queue = Queue::new(128, 0);
    for _ in 0..5 {
        queue.push(&[0; 8]);
    }
    let load = |offset| queue.load(offset);
    let mut records = Records::new(0, queue.producer.position, 128);
    assert_eq!(records.skip(2, load), Skipped::Some);
    assert_eq!(records.position(), 32);
    assert_eq!(records.skip(3, load), Skipped::All);
    assert_eq!(records.skip(1, load), Skipped::All);
    queue.forge(48, 8, 1);
    let mut records = Records::new(0, queue.producer.position, 128);
    assert_eq!(records.skip(100, load), Skipped::Broken);
    assert_eq!(records.position(), 48);
    // Impossible positions.
    let mut records = Records::new(0, 136, 128);
    assert_eq!(records.skip(100, load), Skipped::Broken);
    assert_eq!(records.position(), 0);
}

#[test]
fn positions_are_rounded_up_when_the_framing_changes() {
    for (start, record) in [
        (0, 0),
        (1, 8),
        (8, 8),
        (u64::MAX, 0),
        (u64::MAX - 8, u64::MAX - 7),
    ] {
        let mut queue = Queue::new(64, start);
        let Queue {
            ring,
            producer,
            consumer,
            ..
        } = &mut queue;
        ring.align(producer, consumer, Framing::Stream);
        assert_eq!(ring.producer.load_acquire(), start);
        ring.align(producer, consumer, Framing::Record);
        assert_eq!(
            (ring.producer.load_acquire(), ring.consumer.load_acquire()),
            (record, record)
        );
        queue.push(&[1; 56]);
        assert!(queue.next().unwrap().is_some());
    }
}

/// After a claim, positions of records are multiples of 8, or the last ones that were.
#[test]
fn successor_of_an_owner_goes_on_at_a_record() {
    let mut queue = Queue::new(64, 0);
    queue.push(&[1; 8]);
    assert!(queue.next().unwrap().is_some());
    let (producer, consumer) = (queue.producer, queue.consumer);
    let framing = Framing::Record;
    for (head, kept) in [
        (16, 16),
        (24, 24),
        (64, 64),
        (72, 16),
        (20, 16),
        (36, 32),
        (63, 56),
        (15, 16),
        (8, 16),
        (1 << 63, 16),
    ] {
        queue.ring.producer.store_release(head);
        let left = queue.ring.producer_left_in(framing, Some(&consumer), 64);
        assert_eq!((left.position, left.peer), (kept, 0), "after {head}");
    }
    queue.ring.producer.store_release(20);
    queue.ring.consumer.store_release(3);
    // Nobody can tell yet whether that is a record.
    assert_eq!(queue.ring.producer_left_in(framing, None, 64).position, 16);
    queue.ring.producer.store_release(3);
    queue.ring.consumer.store_release(3);
    assert_eq!(queue.ring.producer_left_in(framing, None, 64).position, 8);
    queue.ring.producer.store_release(20);
    for (tail, kept) in [(0, 0), (8, 8), (16, 16), (3, 0), (24, 0), (u64::MAX - 7, 0)] {
        queue.ring.consumer.store_release(tail);
        let left = queue.ring.consumer_left_in(framing, Some(&producer), 64);
        assert_eq!((left.position, left.peer), (kept, 16), "after {tail}");
    }
}

#[derive(Clone, Debug)]
enum Step {
    /// Reserves room for more bytes than it commits.
    Push(Vec<u8>, usize),
    GiveUp(usize),
    Take,
    Peek,
    Clear,
}

fn step() -> impl Strategy<Value = Step> {
    prop_oneof![
        8 => (prop::collection::vec(any::<u8>(), 1..70), 0usize..20)
            .prop_map(|(payload, more)| Step::Push(payload, more)),
        2 => (0usize..80).prop_map(Step::GiveUp),
        8 => Just(Step::Take),
        1 => Just(Step::Peek),
        1 => Just(Step::Clear),
    ]
}

proptest! {
    #![proptest_config(config())]

    #[test]
    fn agrees_with_a_queue_of_records(
        shift in 4u32..9,
        start in start(),
        steps in prop::collection::vec(step(), 0..200),
    ) {
        let capacity = 1u64 << shift;
        let start = Framing::Record.round_up(start);
        let mut queue = Queue::new(capacity, start);
        let mut expected = VecDeque::<Vec<u8>>::new();
        let size = |queue: &VecDeque<Vec<u8>>| -> u64 {
            queue.iter().map(|payload| size_in_ring(payload.len() as u32)).sum()
        };
        for step in steps {
            let loads = queue.loads.get();
            match step {
                Step::Push(payload, more) => {
                    let len = payload.len() + more;
                    let fits = size(&expected) + size_in_ring(len as u32) <= capacity;
                    match queue.reserve(len) {
                        Err(error) => {
                            prop_assert_eq!(error, Refused::Length);
                            prop_assert!(len as u64 > capacity - 8);
                        }
                        Ok(None) => prop_assert!(!fits && len as u64 <= capacity - 8),
                        Ok(Some(place)) => {
                            prop_assert!(fits);
                            queue.commit(place, &payload).unwrap();
                            expected.push_back(payload);
                        }
                    }
                }
                Step::GiveUp(len) => drop(queue.reserve(len)),
                Step::Take | Step::Peek => {
                    let record = queue.next().unwrap();
                    let payload = record.map(|record| queue.payload(&record));
                    prop_assert_eq!(payload.as_ref(), expected.front());
                    prop_assert_eq!(queue.loads.get() - loads, expected.len().min(1));
                    if let (Some(record), Step::Take) = (record, step) {
                        queue.release(&record);
                        expected.pop_front();
                    }
                }
                Step::Clear => {
                    let cleared = queue.ring.clear(&mut queue.consumer);
                    prop_assert_eq!(cleared, size(&expected));
                    expected.clear();
                }
            }
            prop_assert_eq!(queue.ring.size(capacity), Ok(size(&expected)));
        }
    }
}

proptest! {
    #![proptest_config(hostile())]

    /// Whatever is in the buffer and in the positions, a record lies within what is published.
    #[test]
    fn no_header_leads_out_of_the_ring(
        words in prop::collection::vec(
            prop_oneof![any::<u64>(), 0u64..80, (0u64..80).prop_map(|len| len << 32)],
            8,
        ),
        start in start(),
        queued in prop_oneof![0u64..=64, any::<u64>()],
        aligned in any::<bool>(),
    ) {
        const CAPACITY: u64 = 64;
        let (start, queued) = match aligned {
            true => (start & !7, queued & !7),
            false => (start, queued),
        };
        let load = |offset: usize| words[offset / 8];
        let head = start.wrapping_add(queued);
        let mut records = Records::new(start, head, CAPACITY);
        let mut at = start;
        let result = loop {
            match records.next(load) {
                Ok(Some(record)) => {
                    prop_assert_eq!(record.position, at);
                    prop_assert!(record.len > 0);
                    at = record.end();
                    prop_assert!(at.wrapping_sub(start) <= queued.min(CAPACITY));
                }
                Ok(None) => break Ok(()),
                Err(error) => break Err(error),
            }
        };
        prop_assert_eq!(records.position(), at);
        prop_assert_eq!(result.is_ok(), at == head);
    }
}
