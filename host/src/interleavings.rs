// SPDX-License-Identifier: GPL-2.0

//! The ring under loom, which runs a model once for every possible order of the operations of its
//! threads, and for every value that a load may then return.
//!
//! The data are cells in which loom detects every access that is not ordered with the previous one.
//! A lost wake-up leaves all threads asleep, which loom detects as well. Each ordering of the
//! protocol is then left out, one at a time, and loom must find the bug.
//!
//! For loom, a full fence includes acquire and release. So a model without fences shows that these
//! are needed, and sufficient. Also, loom does not try all orders of a fence and the loads and
//! stores of different variables around it. Therefore each fence here comes with a store to a
//! variable that all threads share and none loads. And a wait queue here is a mutex, which orders
//! more than a look at the kernel's list.
//!
//! So for fences these models show what the code does with them. That they are sufficient on all
//! processors, and which accesses each of them orders, is shown by the tests in `litmus/`, with the
//! kernel's own memory model.

use crate::{
    explore::{explore, needed, Bug},
    ring::{pieces, Cursor, End, Fence, Memory, Queues, Ring},
};
use loom::{
    cell::UnsafeCell,
    sync::{
        atomic::{fence, AtomicBool, AtomicU64, AtomicUsize, Ordering},
        Condvar, Mutex,
    },
    thread,
};
// An `Arc` of loom cannot be dropped while loom reports a deadlock.
use std::sync::Arc;

// The part of the protocol that is left out.
const NOTHING: usize = 0;
const HEAD_RELEASE: usize = 1;
const HEAD_ACQUIRE: usize = 2;
const TAIL_RELEASE: usize = 3;
const TAIL_ACQUIRE: usize = 4;
const FENCE_PRODUCED: usize = 5;
const FENCE_CONSUMED: usize = 6;
const FENCE_CONSUMER_WAITS: usize = 7;
const FENCE_PRODUCER_WAITS: usize = 8;
/// A sleeper checks before it sets `waiting`, and not again afterwards.
const LOOK_AGAIN: usize = 9;
/// One of two sleepers is woken, and `waiting` is not set again for the other.
const SAY_AGAIN: usize = 10;
/// One check decides that pollers need not wait any longer, and another that they are not woken.
const ONE_DECISION: usize = 11;

/// One exclusive poller is woken, and `waiting` is not set again for the others.
const EXCLUSIVE_LEFT: usize = 12;
/// `waiting` is cleared, and set again only after one of them was woken.
const EXCLUSIVE_GAP: usize = 13;

/// A reader that was woken, and came too late, sleeps again without finishing the relay.
const RELAY_TOO_LATE: usize = 14;
/// A reader that was woken does not finish the relay when it is done.
const RELAY_DONE: usize = 15;
/// A reader finishes the relay, and does not wake the next one.
const RELAY_NEXT: usize = 16;

/// The first position of each stream, so that positions pass 2^64.
const START: u64 = u64::MAX;
const CAPACITY: usize = 2;

struct LoomEnd<const RELEASE: usize, const ACQUIRE: usize, const LEFT_OUT: usize> {
    position: AtomicU64,
    waiting: AtomicBool,
}

impl<const R: usize, const A: usize, const L: usize> LoomEnd<R, A, L> {
    fn new() -> Self {
        Self {
            position: AtomicU64::new(START),
            waiting: AtomicBool::new(false),
        }
    }
}

impl<const R: usize, const A: usize, const L: usize> End for LoomEnd<R, A, L> {
    fn load_acquire(&self) -> u64 {
        self.position.load(match L == A {
            true => Ordering::Relaxed,
            false => Ordering::Acquire,
        })
    }

    fn store_release(&self, position: u64) {
        self.position.store(
            position,
            match L == R {
                true => Ordering::Relaxed,
                false => Ordering::Release,
            },
        );
    }

    fn is_waiting(&self) -> bool {
        self.waiting.load(Ordering::Relaxed)
    }

    fn set_waiting(&self, waiting: bool) {
        self.waiting.store(waiting, Ordering::Relaxed);
    }
}

loom::lazy_static! {
    static ref FENCES: AtomicUsize = AtomicUsize::new(0);
}

pub(crate) fn full_fence() {
    FENCES.store(0, Ordering::Relaxed);
    fence(Ordering::SeqCst);
}

struct Shared<const L: usize>;

impl<const L: usize> Memory for Shared<L> {
    type Producer = LoomEnd<HEAD_RELEASE, HEAD_ACQUIRE, L>;
    type Consumer = LoomEnd<TAIL_RELEASE, TAIL_ACQUIRE, L>;

    fn fence(which: Fence) {
        let left_out = match which {
            Fence::Produced => FENCE_PRODUCED,
            Fence::Consumed => FENCE_CONSUMED,
            Fence::ConsumerWaits => FENCE_CONSUMER_WAITS,
            Fence::ProducerWaits => FENCE_PRODUCER_WAITS,
        };
        if L != left_out {
            full_fence();
        }
    }
}

/// A wait queue of an end. A thread that holds the lock counts as being on the queue, as with a
/// wait queue of the kernel: a waker that comes now wakes it.
pub(crate) struct Queue {
    waiting: Mutex<usize>,
    woken: Condvar,
}

impl Queue {
    pub(crate) fn new() -> Self {
        Self {
            waiting: Mutex::new(0),
            woken: Condvar::new(),
        }
    }

    /// Sleeps unless `ready`, which is called on the queue, returns true. Wake-ups may be spurious.
    pub(crate) fn sleep_unless(&self, ready: impl FnOnce() -> bool) {
        let mut waiting = self.waiting.lock().unwrap();
        *waiting += 1;
        if !ready() {
            waiting = self.woken.wait(waiting).unwrap();
        }
        *waiting -= 1;
    }

    fn has_any(&self) -> bool {
        full_fence();
        *self.waiting.lock().unwrap() > 0
    }

    fn wake_one(&self) {
        let _waiting = self.waiting.lock().unwrap();
        self.woken.notify_one();
    }

    pub(crate) fn wake_all(&self) {
        let _waiting = self.waiting.lock().unwrap();
        self.woken.notify_all();
    }

    /// Wakes one waiter, if any, and returns whether there was one.
    fn wake_one_if_any(&self) -> bool {
        let waiting = self.waiting.lock().unwrap();
        self.woken.notify_one();
        *waiting > 0
    }
}

/// A stream of numbered bytes, with everything that its ends share.
struct Stream<const L: usize> {
    ring: Ring<Shared<L>>,
    data: [UnsafeCell<u8>; CAPACITY],
    readers: Queue,
    /// As `relay.rs` of the driver: whether a reader was woken that has not finished yet. A single
    /// reader needs none.
    relay: Option<AtomicUsize>,
    writers: Queue,
    /// All of them are exclusive. With [`None`], there are fewer orders to explore.
    read_pollers: Option<Queue>,
    exclusive: AtomicBool,
    /// None of them is exclusive.
    write_pollers: Queue,
}

/// Those that wait for bytes, as in the driver.
struct ForBytes<'a, const L: usize>(&'a Stream<L>);
/// Those that wait for room.
struct ForRoom<'a, const L: usize>(&'a Stream<L>);

impl<const L: usize> Queues for ForBytes<'_, L> {
    fn has_sleepers(&self) -> bool {
        self.0.readers.has_any()
    }

    fn wants_signals(&self) -> bool {
        false
    }

    fn has_pollers(&self) -> bool {
        self.0.read_pollers.as_ref().is_some_and(Queue::has_any)
    }

    fn is_ready(&self) -> bool {
        true
    }

    fn wake_sleepers(&self) {
        match self.0.relay {
            Some(_) => self.0.wake_reader(),
            None => self.0.readers.wake_one(),
        }
    }

    fn exclusive(&self) -> bool {
        self.0.exclusive.load(Ordering::Relaxed)
    }

    fn set_exclusive(&self, exclusive: bool) {
        self.0.exclusive.store(exclusive, Ordering::Relaxed);
    }

    fn wake_pollers(&self) -> bool {
        let pollers = self.0.read_pollers.as_ref();
        pollers.is_some_and(Queue::wake_one_if_any)
    }

    fn wake_all_pollers(&self) {
        self.0.read_pollers.as_ref().unwrap().wake_all();
    }
}

impl<const L: usize> Queues for ForRoom<'_, L> {
    fn has_sleepers(&self) -> bool {
        self.0.writers.has_any()
    }

    fn wants_signals(&self) -> bool {
        false
    }

    fn has_pollers(&self) -> bool {
        self.0.write_pollers.has_any()
    }

    /// Pollers wait until everything is free.
    fn is_ready(&self) -> bool {
        self.0.ring.size(CAPACITY_U64) == Ok(0)
    }

    fn wake_sleepers(&self) {
        self.0.writers.wake_one();
    }

    fn exclusive(&self) -> bool {
        false
    }

    fn set_exclusive(&self, exclusive: bool) {
        assert!(!exclusive);
    }

    fn wake_pollers(&self) -> bool {
        self.0.write_pollers.wake_all();
        false
    }

    fn wake_all_pollers(&self) {
        unreachable!("none is exclusive");
    }
}

// SAFETY: loom checks every access to the cells.
unsafe impl<const L: usize> Sync for Stream<L> {}
// SAFETY: As above.
unsafe impl<const L: usize> Send for Stream<L> {}

const CAPACITY_U64: u64 = CAPACITY as u64;

/// The private state of an end, and the number of its next byte.
struct Own {
    cursor: Cursor,
    next: u8,
}

impl Own {
    fn new() -> Self {
        Self {
            cursor: Cursor::new(CAPACITY_U64, START),
            next: 0,
        }
    }
}

impl<const L: usize> Stream<L> {
    fn new() -> Arc<Self> {
        Self::with(None, None)
    }

    fn with(relay: Option<AtomicUsize>, read_pollers: Option<Queue>) -> Arc<Self> {
        Arc::new(Self {
            ring: Ring {
                producer: LoomEnd::new(),
                consumer: LoomEnd::new(),
            },
            data: [UnsafeCell::new(0xff), UnsafeCell::new(0xff)],
            readers: Queue::new(),
            relay,
            writers: Queue::new(),
            read_pollers,
            exclusive: AtomicBool::new(false),
            write_pollers: Queue::new(),
        })
    }

    /// Produces `len` bytes if they fit.
    fn try_produce(&self, own: &mut Own, len: u64) -> bool {
        if self.ring.free(&mut own.cursor, len).expect("honest ends") < len {
            return false;
        }
        for piece in pieces(own.cursor.position, len, CAPACITY_U64) {
            for cell in &self.data[piece.offset..][..piece.len] {
                // SAFETY: loom checks it.
                cell.with_mut(|byte| unsafe { *byte = own.next });
                own.next += 1;
            }
        }
        self.ring.produce(&mut own.cursor, len);
        true
    }

    /// Consumes up to `len` bytes, at least one; they must be the next ones.
    fn try_consume(&self, own: &mut Own, len: u64) -> bool {
        let used = self.ring.used(&mut own.cursor, len).expect("honest ends");
        let len = len.min(used);
        for piece in pieces(own.cursor.position, len, CAPACITY_U64) {
            for cell in &self.data[piece.offset..][..piece.len] {
                // SAFETY: loom checks it.
                let byte = cell.with(|byte| unsafe { *byte });
                assert_eq!(byte, own.next, "the byte that was sent");
                own.next += 1;
            }
        }
        if len > 0 {
            self.ring.consume(&mut own.cursor, len);
        }
        len > 0
    }

    fn has_bytes(&self) -> bool {
        self.ring.size(CAPACITY_U64) != Ok(0)
    }

    fn exchange_relay(&self, value: usize) -> usize {
        full_fence();
        let before = self.relay.as_ref().unwrap().swap(value, Ordering::AcqRel);
        full_fence();
        before
    }

    /// As `Relay::wake()`.
    fn wake_reader(&self) {
        while self.has_bytes() {
            if self.exchange_relay(1) != 0 {
                return;
            }
            if self.readers.has_any() {
                self.readers.wake_one();
                return;
            }
            self.exchange_relay(0);
            if !self.readers.has_any() {
                return;
            }
        }
    }

    /// As `Fifo::wake_next_reader()`.
    fn wake_next_reader(&self) {
        if L != RELAY_DONE {
            self.exchange_relay(0);
        }
        if L != RELAY_NEXT && self.ring.consumer.is_waiting() && self.readers.has_any() {
            self.wake_reader();
        }
    }

    /// A read(2) of one byte, beside other readers. `own` has the lock of the end.
    fn read(&self, own: &Mutex<Own>) {
        let mut slept = false;
        while !self.try_consume(&mut own.lock().unwrap(), 1) {
            if slept && L != RELAY_TOO_LATE {
                self.exchange_relay(0);
            }
            slept = true;
            self.readers.sleep_unless(|| {
                self.ring.consumer_will_wait();
                self.has_bytes()
            });
        }
        if slept {
            self.wake_next_reader();
        }
    }

    fn tell_consumer(&self) {
        let queues = ForBytes(self);
        if ![SAY_AGAIN, EXCLUSIVE_LEFT, EXCLUSIVE_GAP].contains(&L) {
            return self.ring.tell_consumer(&queues);
        }
        self.ring.consumer.set_waiting(false);
        if queues.has_sleepers() {
            queues.wake_sleepers();
        }
        if queues.has_pollers() && queues.wake_pollers() && L == EXCLUSIVE_GAP {
            self.ring.consumer_will_wait();
        }
    }

    fn tell_producer(&self) {
        let queues = ForRoom(self);
        if L != ONE_DECISION {
            return self.ring.tell_producer(&queues);
        }
        self.ring.producer.set_waiting(false);
        if queues.has_pollers() {
            if !queues.is_ready() {
                self.ring.producer_will_wait();
            }
            if queues.is_ready() {
                queues.wake_pollers();
            }
        }
    }

    fn produce(&self, own: &mut Own, len: u64) {
        while !self.try_produce(own, len) {
            self.writers.sleep_unless(|| {
                if L == LOOK_AGAIN {
                    self.ring.producer_will_wait();
                    return false;
                }
                self.ring.producer_will_wait();
                self.ring.free(&mut own.cursor, len).expect("honest ends") >= len
            });
        }
        if self.ring.consumer_waits() {
            self.tell_consumer();
        }
    }

    fn consume(&self, own: &mut Own, len: u64) {
        while !self.try_consume(own, len) {
            self.readers.sleep_unless(|| {
                if L == LOOK_AGAIN {
                    self.ring.consumer_will_wait();
                    return false;
                }
                self.ring.consumer_will_wait();
                self.ring.used(&mut own.cursor, 1).expect("honest ends") > 0
            });
        }
        if self.ring.producer_waits() {
            self.tell_producer();
        }
    }
}

/// Three operations of one or two bytes at each end, without sleeping, that wrap around the end of
/// the buffer and pass 2^64.
fn transfer<const L: usize>() {
    let stream = Stream::<L>::new();
    let consumer = stream.clone();
    let thread = thread::spawn(move || {
        let mut own = Own::new();
        for len in [1, 2, 2] {
            consumer.try_consume(&mut own, len);
        }
    });
    let mut own = Own::new();
    for len in [1, 2, 1] {
        stream.try_produce(&mut own, len);
    }
    thread.join().unwrap();
}

/// Each end does these operations, and sleeps if it has to wait for the other.
fn sleep_and_wake<const L: usize>(produced: &'static [u64], consumed: &'static [u64]) {
    let stream = Stream::<L>::new();
    let consumer = stream.clone();
    let thread = thread::spawn(move || {
        let mut own = Own::new();
        for len in consumed {
            consumer.consume(&mut own, *len);
        }
    });
    let mut own = Own::new();
    for len in produced {
        stream.produce(&mut own, *len);
    }
    thread.join().unwrap();
}

/// The consumer sleeps: there is always room.
fn consumer_sleeps<const L: usize>() {
    sleep_and_wake::<L>(&[1, 1], &[1, 1]);
}

/// Both sleep: four bytes go through a buffer of two.
fn both_sleep<const L: usize>() {
    sleep_and_wake::<L>(&[2, 1, 1], &[1, 1, 2]);
}

/// Two readers sleep in calls, with one `waiting` for both; a mapped producer publishes twice.
fn two_readers<const L: usize>() {
    let stream = Stream::<L>::with(Some(AtomicUsize::new(0)), None);
    let end = Arc::new(Mutex::new(Own::new()));
    let threads: Vec<_> = (0..2)
        .map(|_| {
            let (stream, end) = (stream.clone(), end.clone());
            thread::spawn(move || stream.read(&end))
        })
        .collect();
    let mut own = Own::new();
    for _ in 0..2 {
        assert!(stream.try_produce(&mut own, 1));
        if stream.ring.consumer_waits() {
            stream.tell_consumer();
        }
    }
    for thread in threads {
        thread.join().unwrap();
    }
}

/// Two exclusive pollers: a byte wakes one of them. Each takes one byte and ends. There is a
/// producer for each of `bytes`, which publishes that many bytes, one at a time.
fn exclusive_pollers<const L: usize>(bytes: &'static [usize]) {
    let stream = Stream::<L>::with(None, Some(Queue::new()));
    let (head, tail) = [(); 2].map(|()| Arc::new(Mutex::new(Own::new()))).into();
    let pollers = (0..2).map(|_| {
        let (stream, tail) = (stream.clone(), tail.clone());
        thread::spawn(move || {
            while !stream.try_consume(&mut tail.lock().unwrap(), 1) {
                stream.read_pollers.as_ref().unwrap().sleep_unless(|| {
                    stream.exclusive.store(true, Ordering::Relaxed);
                    stream.ring.consumer_will_wait();
                    stream.ring.size(CAPACITY_U64) != Ok(0)
                });
            }
        })
    });
    let produce = move |stream: &Stream<L>, head: &Mutex<Own>, bytes| {
        for _ in 0..bytes {
            assert!(stream.try_produce(&mut head.lock().unwrap(), 1));
            if stream.ring.consumer_waits() {
                stream.tell_consumer();
            }
        }
    };
    let mut threads: Vec<_> = pollers.collect();
    for bytes in &bytes[1..] {
        let (stream, head) = (stream.clone(), head.clone());
        threads.push(thread::spawn(move || produce(&stream, &head, *bytes)));
    }
    produce(&stream, &head, bytes[0]);
    for thread in threads {
        thread.join().unwrap();
    }
}

/// One producer publishes two bytes.
fn exclusive_and_one<const L: usize>() {
    exclusive_pollers::<L>(&[2]);
}

/// Two producers publish one byte each.
fn exclusive_and_two<const L: usize>() {
    exclusive_pollers::<L>(&[1, 1]);
}

/// A poller waits until everything is free. When the consumer has freed everything, a writer that
/// does not sleep takes some of the room, and the consumer frees that as well.
fn poller_and_writer<const L: usize>() {
    let stream = Stream::<L>::new();
    let (mut head, mut tail) = (Own::new(), Own::new());
    assert!(stream.try_produce(&mut head, CAPACITY_U64));
    let poller = {
        let stream = stream.clone();
        thread::spawn(move || {
            let mut free = false;
            while !free {
                stream.write_pollers.sleep_unless(|| {
                    stream.ring.producer_will_wait();
                    free = stream.ring.size(CAPACITY_U64) == Ok(0);
                    free
                });
            }
        })
    };
    let writer = {
        let stream = stream.clone();
        thread::spawn(move || stream.try_produce(&mut head, 1))
    };
    stream.consume(&mut tail, CAPACITY_U64);
    if writer.join().unwrap() {
        stream.consume(&mut tail, 1);
    }
    poller.join().unwrap();
}

#[test]
fn nothing_is_torn() {
    assert_eq!(explore("transfer", None, transfer::<NOTHING>), Ok(()));
}

#[test]
fn consumer_misses_no_wake_up() {
    let model = consumer_sleeps::<NOTHING>;
    assert_eq!(explore("consumer sleeps", Some(4), model), Ok(()));
}

#[test]
fn nobody_misses_a_wake_up() {
    let model = both_sleep::<NOTHING>;
    assert_eq!(explore("both sleep", Some(3), model), Ok(()));
}

#[test]
fn two_readers_share_one_flag() {
    let model = two_readers::<NOTHING>;
    assert_eq!(explore("two readers", Some(2), model), Ok(()));
}

#[test]
fn no_exclusive_poller_is_forgotten() {
    let model = exclusive_and_one::<NOTHING>;
    assert_eq!(explore("exclusive pollers", Some(2), model), Ok(()));
}

#[test]
fn no_exclusive_poller_is_forgotten_by_two() {
    let model = exclusive_and_two::<NOTHING>;
    assert_eq!(explore("exclusive, two", Some(2), model), Ok(()));
}

#[test]
fn poller_misses_no_room() {
    let model = poller_and_writer::<NOTHING>;
    assert_eq!(explore("poller and writer", Some(3), model), Ok(()));
}

needed! {
    head_release_is_needed: HEAD_RELEASE, transfer, None => Race;
    head_acquire_is_needed: HEAD_ACQUIRE, transfer, None => Race;
    tail_release_is_needed: TAIL_RELEASE, transfer, None => Race;
    tail_acquire_is_needed: TAIL_ACQUIRE, transfer, None => Race;
    fence_after_producing_is_needed: FENCE_PRODUCED, both_sleep, Some(3) => LostWakeUp;
    fence_after_consuming_is_needed: FENCE_CONSUMED, both_sleep, Some(3) => LostWakeUp;
    fence_of_a_waiting_consumer_is_needed: FENCE_CONSUMER_WAITS, both_sleep, Some(3) => LostWakeUp;
    fence_of_a_waiting_producer_is_needed: FENCE_PRODUCER_WAITS, both_sleep, Some(3) => LostWakeUp;
    checking_again_is_needed: LOOK_AGAIN, both_sleep, Some(3) => LostWakeUp;
    setting_waiting_again_is_needed: SAY_AGAIN, two_readers, Some(2) => LostWakeUp;
    setting_waiting_again_for_exclusive_pollers_is_needed:
        EXCLUSIVE_LEFT, exclusive_and_one, Some(2) => LostWakeUp;
    keeping_waiting_set_for_exclusive_pollers_is_needed:
        EXCLUSIVE_GAP, exclusive_and_two, Some(2) => LostWakeUp;
    finishing_the_relay_before_sleeping_again_is_needed:
        RELAY_TOO_LATE, two_readers, Some(3) => LostWakeUp;
    finishing_the_relay_is_needed: RELAY_DONE, two_readers, Some(2) => LostWakeUp;
    waking_the_next_reader_is_needed: RELAY_NEXT, two_readers, Some(2) => LostWakeUp;
    one_decision_about_pollers_is_needed: ONE_DECISION, poller_and_writer, Some(3) => LostWakeUp;
}
