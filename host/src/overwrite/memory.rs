// SPDX-License-Identifier: GPL-2.0

//! A ring in memory of the host, with a writer that comes in between any two steps of a reader.

use crate::ring::{
    overtaken::{Look, Tries, Window},
    overwrite::{Oldest, Overwriting},
    pieces,
    record::{offset, size_in_ring},
    Broken, Cursor, End, Fence, Memory, Ring,
};
use std::{
    cell::RefCell,
    rc::Rc,
    sync::atomic::{fence, AtomicU64, AtomicU8, Ordering},
};

thread_local! {
    /// What happens between any two steps of a consumer.
    static MEANWHILE: RefCell<Option<Box<dyn FnMut()>>> = const { RefCell::new(None) };
}

/// A consumer is between two steps.
pub(super) fn meanwhile() {
    // Not while something happens in between already.
    let taken = MEANWHILE.take();
    if let Some(mut happens) = taken {
        happens();
        MEANWHILE.set(Some(happens));
    }
}

/// Runs `reader` while `happens` is called between any two of its steps.
pub(super) fn interrupted<T>(happens: impl FnMut() + 'static, reader: impl FnOnce() -> T) -> T {
    MEANWHILE.set(Some(Box::new(happens)));
    let result = reader();
    MEANWHILE.set(None);
    result
}

pub(super) struct TestEnd {
    position: AtomicU64,
    oldest: AtomicU64,
}

impl TestEnd {
    pub(super) fn new(start: u64) -> Self {
        Self {
            position: AtomicU64::new(start),
            oldest: AtomicU64::new(start),
        }
    }
}

impl End for TestEnd {
    fn load_acquire(&self) -> u64 {
        meanwhile();
        self.position.load(Ordering::Acquire)
    }

    fn store_release(&self, position: u64) {
        self.position.store(position, Ordering::Release);
    }

    fn is_waiting(&self) -> bool {
        false
    }

    fn set_waiting(&self, _: bool) {}
}

impl Oldest for TestEnd {
    fn load_oldest(&self) -> u64 {
        meanwhile();
        self.oldest.load(Ordering::Acquire)
    }

    fn reload_oldest(&self) -> u64 {
        meanwhile();
        self.oldest.load(Ordering::Relaxed)
    }

    fn store_oldest(&self, position: u64) {
        self.oldest.store(position, Ordering::Release);
    }
}

pub(super) struct TestMemory;

impl Memory for TestMemory {
    type Producer = TestEnd;
    type Consumer = TestEnd;

    fn fence(_: Fence) {
        fence(Ordering::SeqCst);
    }
}

impl Overwriting for TestMemory {
    fn before_data() {
        fence(Ordering::Release);
    }

    fn after_data() {
        fence(Ordering::Acquire);
    }
}

/// The byte at each position of a stream: rarely the same as that at another one.
pub(super) fn byte(position: u64) -> u8 {
    (position.wrapping_mul(0x9e37_79b9_7f4a_7c15) >> 56) as u8
}

/// The ring and its buffer.
pub(super) struct Shared {
    pub(super) ring: Ring<TestMemory>,
    data: Vec<AtomicU8>,
    capacity: u64,
}

impl Shared {
    pub(super) fn new(capacity: u64, start: u64) -> Self {
        Self {
            ring: Ring {
                producer: TestEnd::new(start),
                consumer: TestEnd::new(start),
            },
            data: (0..capacity).map(|_| AtomicU8::new(0)).collect(),
            capacity,
        }
    }

    pub(super) fn store(&self, position: u64, len: u64) {
        for i in 0..len {
            let position = position.wrapping_add(i);
            self.data[offset(position, self.capacity)].store(byte(position), Ordering::Relaxed);
        }
    }

    /// Writes `len` bytes, which may be more than the capacity.
    pub(super) fn write(&self, own: &mut Cursor, mut len: u64) {
        while len > 0 {
            let part = self.ring.overwrite(own, len);
            self.store(own.position, part);
            self.ring.produce(own, part);
            len -= part;
        }
    }

    pub(super) fn load_header(&self, offset: usize) -> u64 {
        let bytes: Vec<_> = self.data[offset..][..8]
            .iter()
            .map(|cell| cell.load(Ordering::Relaxed))
            .collect();
        u64::from_ne_bytes(bytes.try_into().expect("eight"))
    }

    pub(super) fn store_header(&self, offset: usize, raw: u64) {
        for (cell, byte) in self.data[offset..][..8].iter().zip(raw.to_ne_bytes()) {
            cell.store(byte, Ordering::Relaxed);
        }
    }

    /// Writes a record of `len` bytes. Old ones are dropped a few at a time.
    pub(super) fn write_record(&self, own: &mut Cursor, len: u64) {
        let mut reserve = || {
            let header = |offset| self.load_header(offset);
            let place = self.ring.reserve_overwriting(own, len, 2, header);
            place.expect("honest ends")
        };
        let place = (0..self.capacity).find_map(|_| reserve());
        let place = place.expect("there is room when all old records are gone");
        self.store(place.payload(), len);
        let store = |offset, raw| self.store_header(offset, raw);
        let committed = self.ring.commit_record(own, place, len as u32, store);
        assert_eq!(committed, Ok(()));
    }

    /// Copies bytes, and is interrupted before every eight of them.
    pub(super) fn copy(&self, position: u64, len: u64) -> Vec<u8> {
        let mut copy = Vec::new();
        for piece in pieces(position, len, self.capacity) {
            for part in self.data[piece.offset..][..piece.len].chunks(8) {
                meanwhile();
                copy.extend(part.iter().map(|cell| cell.load(Ordering::Relaxed)));
            }
        }
        copy
    }

    pub(super) fn look(
        &self,
        own: &mut Cursor,
        tries: &mut Tries,
        most: u64,
    ) -> Result<Attempt, Broken> {
        Ok(match self.ring.look(own, tries, most)? {
            Look::Empty => Attempt::Empty,
            Look::Overtaken => {
                self.ring.overtaken(tries);
                Attempt::Overtaken
            }
            Look::Found(window) => {
                assert!((1..=self.capacity).contains(&window.len()));
                assert_eq!(window.start().wrapping_add(window.len()), own.peer);
                Attempt::Found(window)
            }
        })
    }

    /// An attempt to read at most `most` bytes. Those it returns are right.
    pub(super) fn read(&self, own: &mut Cursor, tries: &mut Tries, most: u64) -> Read {
        let window = match self.look(own, tries, most).expect("honest ends") {
            Attempt::Found(window) => window,
            Attempt::Empty => return Read::Empty,
            Attempt::Overtaken => return Read::Overtaken,
        };
        let len = window.len().min(most);
        let copy = self.copy(window.start(), len);
        let Some(intact) = self.ring.intact(&window) else {
            self.ring.overtaken(tries);
            return Read::Overtaken;
        };
        self.check(window.start(), &copy);
        Read::Done {
            lost: self.ring.take(own, intact, len),
            len,
        }
    }

    pub(super) fn check(&self, position: u64, copy: &[u8]) {
        for (i, got) in copy.iter().enumerate() {
            let position = position.wrapping_add(i as u64);
            assert_eq!(*got, byte(position), "at {position}");
        }
    }

    /// An attempt to read a record.
    pub(super) fn read_record(&self, own: &mut Cursor, tries: &mut Tries) -> Read {
        let window = match self.look(own, tries, 1).expect("honest ends") {
            Attempt::Found(window) => window,
            Attempt::Empty => return Read::Empty,
            Attempt::Overtaken => return Read::Overtaken,
        };
        meanwhile();
        let raw = self.load_header(offset(window.start(), self.capacity));
        let Some(intact) = self.ring.intact(&window) else {
            self.ring.overtaken(tries);
            return Read::Overtaken;
        };
        let record = intact.record(raw).expect("an intact header is right");
        let copy = self.copy(record.payload(), record.len.into());
        let Some(intact) = self.ring.intact(&window) else {
            self.ring.overtaken(tries);
            return Read::Overtaken;
        };
        self.check(record.payload(), &copy);
        Read::Done {
            lost: self.ring.take(own, intact, record.size()),
            len: record.size(),
        }
    }
}

pub(super) enum Attempt {
    Empty,
    Overtaken,
    Found(Window),
}

#[derive(Debug, PartialEq, Eq)]
pub(super) enum Read {
    Empty,
    Overtaken,
    Done { lost: u64, len: u64 },
}

/// A full ring of bytes, shared with a writer, and the cursors of its two ends.
pub(super) fn full(capacity: u64) -> (Rc<Shared>, Cursor, Cursor) {
    let shared = Rc::new(Shared::new(capacity, u64::MAX - 99));
    let mut producer = Cursor::new(capacity, u64::MAX - 99);
    let consumer = producer;
    shared.write(&mut producer, capacity);
    (shared, producer, consumer)
}

/// The same with records of `len` bytes.
pub(super) fn full_of_records(capacity: u64, len: u64) -> (Rc<Shared>, Cursor, Cursor) {
    let start = u64::MAX - 103;
    let shared = Rc::new(Shared::new(capacity, start));
    let mut producer = Cursor::new(capacity, start);
    let consumer = producer;
    for _ in 0..=capacity / size_in_ring(len as u32) {
        shared.write_record(&mut producer, len);
    }
    (shared, producer, consumer)
}
