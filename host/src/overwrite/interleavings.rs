// SPDX-License-Identifier: GPL-2.0

//! Overwriting the oldest bytes, under loom. See `interleavings.rs`.
//!
//! The data are atomics that are accessed with relaxed ordering: they change while the consumer
//! copies them, and this is not a bug. It is one if the consumer then accepts what it copied. Each
//! byte tells its position, so the model knows.
//!
//! B and d are the fences of C11 here, as in user space. Those of the kernel order less; for them,
//! see `litmus/overwrite-*.litmus`.

use crate::{
    explore::{explore, needed, Bug},
    interleavings::{full_fence, Queue},
    ring::{
        framing::Framing,
        overtaken::{Look, Tries},
        overwrite::{Oldest, Overwriting},
        pieces,
        record::{offset, Header},
        Broken, Cursor, End, Fence, Memory, Ring,
    },
};
use loom::{
    sync::{
        atomic::{fence, AtomicBool, AtomicU64, AtomicU8, Ordering},
        Mutex,
    },
    thread,
};
use std::sync::Arc;

// The part of the protocol that is left out. The letters are those of `overwrite.rs`.
const NOTHING: usize = 0;
const A: usize = 1;
const B: usize = 2;
const C: usize = 3;
const HEAD_ACQUIRE: usize = 4;
const OLDEST_ACQUIRE: usize = 5;
const D: usize = 6;
/// The consumer does not load `head` again if `oldest` equals it.
const HEAD_AGAIN: usize = 7;
/// The consumer loads `oldest` before `head`.
const HEAD_FIRST: usize = 8;
/// The producer does not look at `waiting` after a full fence.
const FENCE_PRODUCED: usize = 9;
/// The consumer does not check again between setting `waiting` and sleeping.
const LOOK_AGAIN: usize = 10;

/// The first position of a byte stream, so that positions pass 2^64.
const START: u64 = u64::MAX;
/// The same for records.
const FIRST_RECORD: u64 = u64::MAX - 7;

/// The ordering, unless it is left out.
fn unless(left_out: bool, ordering: Ordering) -> Ordering {
    match left_out {
        true => Ordering::Relaxed,
        false => ordering,
    }
}

struct Head<const L: usize> {
    position: AtomicU64,
    oldest: AtomicU64,
}

impl<const L: usize> End for Head<L> {
    fn load_acquire(&self) -> u64 {
        self.position
            .load(unless(L == HEAD_ACQUIRE, Ordering::Acquire))
    }

    fn store_release(&self, position: u64) {
        self.position
            .store(position, unless(L == C, Ordering::Release));
    }

    fn is_waiting(&self) -> bool {
        unreachable!("the producer never waits")
    }

    fn set_waiting(&self, _: bool) {
        unreachable!("the producer never waits")
    }
}

impl<const L: usize> Oldest for Head<L> {
    fn load_oldest(&self) -> u64 {
        self.oldest
            .load(unless(L == OLDEST_ACQUIRE, Ordering::Acquire))
    }

    fn reload_oldest(&self) -> u64 {
        self.oldest.load(Ordering::Relaxed)
    }

    fn store_oldest(&self, position: u64) {
        self.oldest
            .store(position, unless(L == A, Ordering::Release));
    }
}

/// Nobody loads `tail`.
struct Tail {
    waiting: AtomicBool,
}

impl End for Tail {
    fn load_acquire(&self) -> u64 {
        unreachable!("no producer looks at it")
    }

    fn store_release(&self, _: u64) {}

    fn is_waiting(&self) -> bool {
        self.waiting.load(Ordering::Relaxed)
    }

    fn set_waiting(&self, waiting: bool) {
        self.waiting.store(waiting, Ordering::Relaxed);
    }
}

struct Shared<const L: usize>;

impl<const L: usize> Memory for Shared<L> {
    type Producer = Head<L>;
    type Consumer = Tail;

    fn fence(which: Fence) {
        if L != FENCE_PRODUCED || which != Fence::Produced {
            full_fence();
        }
    }
}

impl<const L: usize> Overwriting for Shared<L> {
    fn before_data() {
        if L != B {
            fence(Ordering::Release);
        }
    }

    fn after_data() {
        if L != D {
            fence(Ordering::Acquire);
        }
    }
}

/// A ring that is full in the beginning: `oldest` and `tail` are at the start.
fn full_ring<const L: usize>(start: u64, capacity: u64) -> Ring<Shared<L>> {
    Ring {
        producer: Head {
            position: AtomicU64::new(start.wrapping_add(capacity)),
            oldest: AtomicU64::new(start),
        },
        consumer: Tail {
            waiting: AtomicBool::new(false),
        },
    }
}

fn producer_of_full_ring(start: u64, capacity: u64) -> Cursor {
    Cursor {
        position: start.wrapping_add(capacity),
        peer: start,
        capacity,
    }
}

fn consumer_of_full_ring(start: u64, capacity: u64) -> Cursor {
    Cursor {
        position: start,
        peer: start.wrapping_add(capacity),
        capacity,
    }
}

const CAPACITY: usize = 2;
const CAPACITY_U64: u64 = CAPACITY as u64;

/// A full ring of two bytes.
struct Stream<const L: usize> {
    ring: Ring<Shared<L>>,
    data: [AtomicU8; CAPACITY],
    /// The only kind of bug to report: one may hide another.
    hunted: Option<Bug>,
    readers: Queue,
}

/// The byte at each position.
fn byte(position: u64) -> u8 {
    position.wrapping_sub(START) as u8
}

impl<const L: usize> Stream<L> {
    fn new(hunted: Option<Bug>) -> Arc<Self> {
        Arc::new(Self {
            ring: full_ring(START, CAPACITY_U64),
            // They begin in the last byte of the buffer.
            data: [AtomicU8::new(1), AtomicU8::new(0)],
            hunted,
            readers: Queue::new(),
        })
    }

    fn report(&self, bug: Bug) {
        if self.hunted.is_none_or(|hunted| hunted == bug) {
            bug.report();
        }
    }

    /// Makes room for `len` bytes and stores them.
    fn store(&self, own: &mut Cursor, len: u64) {
        assert_eq!(self.ring.overwrite(own, len), len);
        let mut at = own.position;
        for piece in pieces(own.position, len, CAPACITY_U64) {
            for cell in &self.data[piece.offset..][..piece.len] {
                cell.store(byte(at), Ordering::Relaxed);
                at = at.wrapping_add(1);
            }
        }
    }

    fn produce(&self, own: &mut Cursor, len: u64) {
        self.store(own, len);
        self.ring.produce(own, len);
    }

    /// [`Ring::look`] at all bytes, or whether it would find an empty ring or an error without a part of it.
    fn look(&self, own: &mut Cursor) -> Result<Option<Look>, Broken> {
        let tries = &Tries::new(Framing::Stream);
        let producer = &self.ring.producer;
        match L {
            HEAD_AGAIN => {
                own.peer = producer.load_acquire();
                match producer.load_oldest() == own.peer {
                    true => Ok(Some(Look::Empty)),
                    false => Ok(None),
                }
            }
            HEAD_FIRST => {
                let oldest = producer.load_oldest();
                let head = producer.load_acquire();
                let possible = head.wrapping_sub(oldest) <= CAPACITY_U64;
                match possible || producer.load_acquire() != head {
                    true => Ok(None),
                    false => Err(Broken),
                }
            }
            _ => self.ring.look(own, tries, CAPACITY_U64).map(Some),
        }
    }

    /// One attempt to take all bytes. Returns whether anything was taken.
    fn try_consume(&self, own: &mut Cursor) -> bool {
        let window = match self.look(own) {
            Ok(Some(Look::Found(window))) => window,
            Ok(None | Some(Look::Overtaken)) => return false,
            Ok(Some(Look::Empty)) => {
                if own.position != own.peer {
                    self.report(Bug::FalselyEmpty);
                }
                return false;
            }
            Err(Broken) => {
                self.report(Bug::FalselyBroken);
                return false;
            }
        };
        let mut copy = Vec::new();
        for piece in pieces(window.start(), window.len(), CAPACITY_U64) {
            let cells = &self.data[piece.offset..][..piece.len];
            copy.extend(cells.iter().map(|cell| cell.load(Ordering::Relaxed)));
        }
        let Some(intact) = self.ring.intact(&window) else {
            return false;
        };
        let first = byte(window.start());
        if (first..).zip(&copy).any(|(sent, got)| sent != *got) {
            self.report(Bug::Torn);
        }
        self.ring.take(own, intact, window.len());
        true
    }
}

/// The producer overwrites with so many bytes at a time; the consumer makes so many attempts.
fn overwrite<const L: usize>(hunted: Option<Bug>, produced: &'static [u64], attempts: usize) {
    let stream = Stream::<L>::new(hunted);
    let consumer = stream.clone();
    let thread = thread::spawn(move || {
        let mut own = consumer_of_full_ring(START, CAPACITY_U64);
        for _ in 0..attempts {
            consumer.try_consume(&mut own);
        }
    });
    let mut own = producer_of_full_ring(START, CAPACITY_U64);
    for len in produced {
        stream.produce(&mut own, *len);
    }
    thread.join().unwrap();
}

/// One byte at a time: the ring is never empty, except for a consumer that has read all of it.
const ONE_BY_ONE: &[u64] = &[1, 1, 1];

/// The second write moves `oldest` past the `head` of the beginning.
const GROWING: &[u64] = &[1, 2];

fn hunt_torn<const L: usize>() {
    overwrite::<L>(Some(Bug::Torn), ONE_BY_ONE, 1);
}

fn hunt_broken<const L: usize>() {
    overwrite::<L>(Some(Bug::FalselyBroken), GROWING, 1);
}

fn hunt_empty<const L: usize>() {
    overwrite::<L>(Some(Bug::FalselyEmpty), ONE_BY_ONE, 1);
}

/// An owner of the producer's end dies at any point of a write. The kernel takes over and goes on.
/// The consumer is at it all the time.
fn owner_dies<const L: usize>() {
    let stream = Stream::<L>::new(None);
    let consumer = stream.clone();
    let thread = thread::spawn(move || {
        let mut own = consumer_of_full_ring(START, CAPACITY_U64);
        consumer.try_consume(&mut own);
    });
    let mut own = producer_of_full_ring(START, CAPACITY_U64);
    stream.produce(&mut own, 1);
    // It has made room and stored its byte, but does not publish it.
    stream.store(&mut own, 1);
    let seen = START.wrapping_add(CAPACITY_U64);
    let before = producer_of_full_ring(START, CAPACITY_U64);
    let mut successor = stream.ring.overwriter_left(&before, seen, Framing::Stream);
    assert_eq!(successor, own, "its positions are possible");
    stream.ring.restore_producer(&successor);
    stream.produce(&mut successor, 1);
    thread.join().unwrap();
}

/// A writer makes room, with B, and then cannot copy its byte. The next one that has the lock finds
/// this room.
fn room_of_another<const L: usize>() {
    let stream = Stream::<L>::new(Some(Bug::Torn));
    let own = Arc::new(Mutex::new(producer_of_full_ring(START, CAPACITY_U64)));
    let consumer = stream.clone();
    let (next, next_own) = (stream.clone(), own.clone());
    let threads = [
        thread::spawn(move || {
            let mut own = consumer_of_full_ring(START, CAPACITY_U64);
            consumer.try_consume(&mut own);
        }),
        thread::spawn(move || next.produce(&mut next_own.lock().unwrap(), 1)),
    ];
    {
        let mut own = own.lock().unwrap();
        assert_eq!(stream.ring.overwrite(&mut own, 1), 1);
        fence(Ordering::Release);
    }
    for thread in threads {
        thread.join().unwrap();
    }
}

/// The consumer has read everything, and sleeps until there is more.
fn sleeper<const L: usize>() {
    let stream = Stream::<L>::new(None);
    let consumer = stream.clone();
    let thread = thread::spawn(move || {
        let mut own = consumer_of_full_ring(START, CAPACITY_U64);
        own.position = own.peer;
        while !consumer.try_consume(&mut own) {
            consumer.readers.sleep_unless(|| {
                consumer.ring.consumer_will_wait();
                // The same test as above.
                L != LOOK_AGAIN && consumer.look(&mut own) != Ok(Some(Look::Empty))
            });
        }
    });
    let mut own = producer_of_full_ring(START, CAPACITY_U64);
    for len in [1, 1] {
        stream.produce(&mut own, len);
        if stream.ring.consumer_waits() {
            stream.ring.consumer.set_waiting(false);
            stream.readers.wake_all();
        }
    }
    thread.join().unwrap();
}

const RECORDS_CAPACITY: u64 = 32;

/// A full ring of records. In the beginning there are two with eight bytes each.
struct Queued<const L: usize> {
    ring: Ring<Shared<L>>,
    data: [AtomicU64; (RECORDS_CAPACITY / 8) as usize],
    hunted: Option<Bug>,
}

/// The length of the record at each position: 8, 8, 16, 8.
fn len_at(position: u64) -> u32 {
    match position.wrapping_sub(FIRST_RECORD) {
        0 | 16 | 56 => 8,
        32 => 16,
        other => unreachable!("no record begins at {other}"),
    }
}

/// A word of payload, as different from all headers as from all other words.
fn word(position: u64) -> u64 {
    !position.wrapping_sub(FIRST_RECORD)
}

impl<const L: usize> Queued<L> {
    fn new(hunted: Option<Bug>) -> Arc<Self> {
        let header = || AtomicU64::new(Header::new(8).to_raw());
        let payload = |offset| AtomicU64::new(word(FIRST_RECORD.wrapping_add(offset)));
        // They begin in the last eight bytes of the buffer.
        assert_eq!(offset(FIRST_RECORD, RECORDS_CAPACITY), 24);
        Arc::new(Self {
            ring: full_ring(FIRST_RECORD, RECORDS_CAPACITY),
            data: [payload(8), header(), payload(24), header()],
            hunted,
        })
    }

    fn report(&self, bug: Bug) {
        if self.hunted.is_none_or(|hunted| hunted == bug) {
            bug.report();
        }
    }

    fn at(&self, position: u64) -> &AtomicU64 {
        &self.data[offset(position, RECORDS_CAPACITY) / 8]
    }

    fn header(&self) -> impl Fn(usize) -> u64 + '_ {
        |offset| self.data[offset / 8].load(Ordering::Relaxed)
    }

    fn produce(&self, own: &mut Cursor) {
        let len = len_at(own.position);
        let reserved = self
            .ring
            .reserve_overwriting(own, len.into(), 4, self.header());
        let place = reserved.expect("honest ends").expect("four are enough");
        for i in (0..len.into()).step_by(8) {
            let position = place.payload().wrapping_add(i);
            self.at(position).store(word(position), Ordering::Relaxed);
        }
        let store = |offset: usize, raw| self.data[offset / 8].store(raw, Ordering::Relaxed);
        let committed = self.ring.commit_record(own, place, len, store);
        assert_eq!(committed, Ok(()));
    }

    fn try_consume(&self, own: &mut Cursor, tries: &Tries) {
        let window = match self.ring.look(own, tries, RECORDS_CAPACITY) {
            Ok(Look::Found(window)) => window,
            Ok(Look::Empty | Look::Overtaken) => return,
            Err(Broken) => return self.report(Bug::FalselyBroken),
        };
        let raw = self.at(window.start()).load(Ordering::Relaxed);
        let Some(intact) = self.ring.intact(&window) else {
            return;
        };
        let Ok(record) = intact.record(raw) else {
            return self.report(Bug::FalselyBroken);
        };
        let copy: Vec<_> = (0..record.len.into())
            .step_by(8)
            .map(|i| record.payload().wrapping_add(i))
            .map(|position| (position, self.at(position).load(Ordering::Relaxed)))
            .collect();
        let Some(intact) = self.ring.intact(&window) else {
            return;
        };
        if record.len != len_at(record.position)
            || copy.iter().any(|(position, got)| *got != word(*position))
        {
            self.report(Bug::Torn);
        }
        self.ring.take(own, intact, record.size());
    }
}

/// The producer overwrites two records with one, and then one with one.
fn records<const L: usize>(hunted: Option<Bug>) {
    let queue = Queued::<L>::new(hunted);
    let consumer = queue.clone();
    let thread = thread::spawn(move || {
        let mut own = consumer_of_full_ring(FIRST_RECORD, RECORDS_CAPACITY);
        consumer.try_consume(&mut own, &Tries::new(Framing::Record));
    });
    let mut own = producer_of_full_ring(FIRST_RECORD, RECORDS_CAPACITY);
    for _ in 0..2 {
        queue.produce(&mut own);
    }
    thread.join().unwrap();
}

fn hunt_torn_records<const L: usize>() {
    records::<L>(Some(Bug::Torn));
}

fn hunt_broken_records<const L: usize>() {
    records::<L>(Some(Bug::FalselyBroken));
}

#[test]
fn no_byte_is_torn_and_no_producer_called_broken() {
    let model = || overwrite::<NOTHING>(None, ONE_BY_ONE, 1);
    assert_eq!(explore("overwrite", None, model), Ok(()));
}

#[test]
fn two_attempts_see_one_stream() {
    let model = || overwrite::<NOTHING>(None, &[1, 1], 2);
    assert_eq!(explore("overwrite, two attempts", None, model), Ok(()));
}

/// As many bytes at once as the capacity: the ring is empty for a moment.
#[test]
fn no_byte_is_torn_by_large_writes() {
    let hunt = |bug| move || overwrite::<NOTHING>(Some(bug), &[2, 1], 1);
    for bug in [Bug::Torn, Bug::FalselyBroken] {
        assert_eq!(explore("overwrite all", None, hunt(bug)), Ok(()));
    }
}

#[test]
fn death_of_an_owner_tears_nothing() {
    let model = owner_dies::<NOTHING>;
    assert_eq!(explore("owner dies", None, model), Ok(()));
}

#[test]
fn room_of_another_writer_tears_nothing() {
    let model = room_of_another::<NOTHING>;
    assert_eq!(explore("room of another writer", None, model), Ok(()));
}

#[test]
fn an_overtaken_sleeper_is_woken() {
    let model = sleeper::<NOTHING>;
    assert_eq!(explore("overtaken sleeper", Some(3), model), Ok(()));
}

#[test]
fn no_record_is_torn() {
    let model = || records::<NOTHING>(None);
    assert_eq!(explore("overwrite records", None, model), Ok(()));
}

needed! {
    b_is_needed: B, hunt_torn, None => Torn;
    c_is_needed: C, hunt_torn, None => Torn;
    head_acquire_is_needed: HEAD_ACQUIRE, hunt_torn, None => Torn;
    d_is_needed: D, hunt_torn, None => Torn;
    b_is_needed_where_there_is_room: B, room_of_another, None => Torn;

    a_is_needed: A, hunt_broken, None => FalselyBroken;
    head_acquire_is_needed_as_well: HEAD_ACQUIRE, hunt_broken, None => FalselyBroken;
    oldest_acquire_is_needed: OLDEST_ACQUIRE, hunt_broken, None => FalselyBroken;
    head_has_to_be_first: HEAD_FIRST, hunt_broken, None => FalselyBroken;

    a_is_needed_to_be_empty: A, hunt_empty, None => FalselyEmpty;
    oldest_acquire_is_needed_to_be_empty: OLDEST_ACQUIRE, hunt_empty, None => FalselyEmpty;
    head_is_needed_again: HEAD_AGAIN, hunt_empty, None => FalselyEmpty;

    b_is_needed_for_records: B, hunt_torn_records, None => Torn;
    c_is_needed_for_records: C, hunt_torn_records, None => Torn;
    d_is_needed_for_records: D, hunt_torn_records, None => Torn;
    b_is_needed_for_headers: B, hunt_broken_records, None => FalselyBroken;
    d_is_needed_for_headers: D, hunt_broken_records, None => FalselyBroken;

    fence_of_the_producer_is_needed: FENCE_PRODUCED, sleeper, Some(3) => LostWakeUp;
    checking_again_is_needed: LOOK_AGAIN, sleeper, Some(3) => LostWakeUp;
}
