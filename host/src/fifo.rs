// SPDX-License-Identifier: GPL-2.0

//! A FIFO, made of the ring as the driver makes it: with data, queues of those who sleep, and calls
//! that sleep and wake. What a function of the driver's `fifo.rs` does is in that of the same name.
//!
//! This file is in the crate several times, over whatever `super::sync` is: the atomics and locks of
//! the machine, those of loom, or those of [`crate::exhaustive`].
//!
//! Each step that the protocol consists of can be left out, to see that it is missed.

use super::sync::{fence, AtomicBool, AtomicU64, AtomicUsize, Byte, Condvar, Mutex};
use crate::ring::{self, pieces, Broken, Cursor, End as _, Fence, Memory, Ring};
use std::{sync::atomic::Ordering, time::Duration};

/// What is said of a byte that is not the one that was sent.
pub(crate) const WRONG: &str = "not the byte that was sent";

/// What is said if the ring finds fault with positions that are right.
pub(crate) const IMPOSSIBLE: &str = "not a possible position";

/// Longer than anybody sleeps who is not forgotten.
const LONG: Duration = Duration::from_secs(60);

/// A step of the protocol.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(usize)]
pub(crate) enum Step {
    /// No step.
    Nothing,
    /// `head` is stored with release.
    HeadRelease,
    /// `head` is loaded with acquire.
    HeadAcquire,
    /// `tail` is stored with release.
    TailRelease,
    /// `tail` is loaded with acquire.
    TailAcquire,
    /// The fence between `head` and the look at the consumer's `waiting`.
    FenceProduced,
    /// The fence between `tail` and the look at the producer's `waiting`.
    FenceConsumed,
    /// The fence between the consumer's `waiting` and the look at `head`.
    FenceConsumerWaits,
    /// The fence between the producer's `waiting` and the look at `tail`.
    FenceProducerWaits,
    /// Who is about to sleep looks again after, not before, it has said so.
    LookAgain,
    /// Who sleeps says so when it is on the queue, not only before.
    QueueThenSay,
    /// The fence between going on a queue and saying so.
    FenceQueued,
    /// The fence between clearing `waiting` and the look at the queue.
    FenceCleared,
    /// Who wakes clears `waiting` before, not after, it looks at the queue.
    ClearThenLook,
    /// Who wakes sets `waiting` again for those who sleep on.
    SetAgain,
    /// Who was woken, and leaves something behind, wakes the next.
    PassOn,
    /// The owner of an end that polled leaves clearing its `waiting` to who wakes.
    LeaveSet,
}

impl Step {
    const fn is_left_out(self, left_out: usize) -> bool {
        self as usize == left_out
    }
}

/// One end, in memory.
pub(crate) struct End {
    position: AtomicU64,
    waiting: AtomicBool,
    acquire: Ordering,
    release: Ordering,
}

impl End {
    fn new<const LEFT_OUT: usize>(position: u64, acquire: Step, release: Step) -> Self {
        let unless_left_out = |step: Step, ordering| match step.is_left_out(LEFT_OUT) {
            true => Ordering::Relaxed,
            false => ordering,
        };
        Self {
            position: AtomicU64::new(position),
            waiting: AtomicBool::new(false),
            acquire: unless_left_out(acquire, Ordering::Acquire),
            release: unless_left_out(release, Ordering::Release),
        }
    }
}

impl ring::End for End {
    fn load_acquire(&self) -> u64 {
        self.position.load(self.acquire)
    }

    fn store_release(&self, position: u64) {
        self.position.store(position, self.release);
    }

    fn is_waiting(&self) -> bool {
        self.waiting.load(Ordering::Relaxed)
    }

    fn set_waiting(&self, waiting: bool) {
        self.waiting.store(waiting, Ordering::Relaxed);
    }
}

/// Memory between the ends, of which a step may be left out.
pub(crate) struct Shared<const LEFT_OUT: usize>;

impl<const LEFT_OUT: usize> Memory for Shared<LEFT_OUT> {
    type Producer = End;
    type Consumer = End;

    fn fence(which: Fence) {
        let step = match which {
            Fence::Produced => Step::FenceProduced,
            Fence::Consumed => Step::FenceConsumed,
            Fence::ConsumerWaits => Step::FenceConsumerWaits,
            Fence::ProducerWaits => Step::FenceProducerWaits,
        };
        if !step.is_left_out(LEFT_OUT) {
            fence();
        }
    }
}

/// Someone on a queue.
#[derive(Clone, PartialEq)]
struct Entry {
    sleeper: usize,
    // Woken one at a time, and off the queue by that.
    exclusive: bool,
    woken: bool,
}

/// A queue of those who sleep, at most two: a list with a lock, which `prepare_to_wait()` and
/// `poll_wait()` put them on, and which `wq_has_sleeper()` looks at without the lock.
pub(crate) struct Queue<const LEFT_OUT: usize> {
    entries: Mutex<Vec<Entry>>,
    // What is seen without the lock.
    len: AtomicUsize,
    beds: [Condvar; 2],
    /// How often anyone slept.
    pub(crate) sleeps: std::sync::atomic::AtomicUsize,
}

impl<const LEFT_OUT: usize> Queue<LEFT_OUT> {
    fn new() -> Self {
        Self {
            entries: Mutex::new(Vec::new()),
            len: AtomicUsize::new(0),
            beds: [Condvar::new(), Condvar::new()],
            sleeps: Default::default(),
        }
    }

    /// Puts `sleeper` on the queue, unless it is there, to be woken from now on.
    fn prepare(&self, entries: &mut Vec<Entry>, sleeper: usize, exclusive: bool) {
        match entries.iter_mut().find(|entry| entry.sleeper == sleeper) {
            Some(entry) => entry.woken = false,
            None => entries.push(Entry {
                sleeper,
                exclusive,
                woken: false,
            }),
        }
        self.len.store(entries.len(), Ordering::Relaxed);
        if !Step::FenceQueued.is_left_out(LEFT_OUT) {
            fence();
        }
    }

    /// Sleeps until `condition` holds.
    fn wait(&self, sleeper: usize, exclusive: bool, mut condition: impl FnMut() -> bool) {
        let is_woken = |entries: &Vec<Entry>| {
            let entry = entries.iter().find(|entry| entry.sleeper == sleeper);
            entry.is_none_or(|entry| entry.woken)
        };
        let mut entries = self.entries.lock().unwrap();
        loop {
            self.prepare(&mut entries, sleeper, exclusive);
            drop(entries);
            let holds = condition();
            entries = self.entries.lock().unwrap();
            if holds {
                break;
            }
            while !is_woken(&entries) {
                self.sleeps.fetch_add(1, Ordering::Relaxed);
                let (guard, result) = self.beds[sleeper].wait_timeout(entries, LONG).unwrap();
                entries = guard;
                assert!(!result.timed_out(), "forgotten");
            }
        }
        entries.retain(|entry| entry.sleeper != sleeper);
        self.len.store(entries.len(), Ordering::Relaxed);
    }

    fn has_sleepers(&self) -> bool {
        if !Step::FenceCleared.is_left_out(LEFT_OUT) {
            fence();
        }
        self.len.load(Ordering::Relaxed) > 0
    }

    fn wake(&self, at_most: usize) {
        let mut entries = self.entries.lock().unwrap();
        let mut left = at_most;
        entries.retain_mut(|entry| {
            if entry.exclusive && left == 0 {
                return true;
            }
            left -= usize::from(entry.exclusive);
            entry.woken = true;
            self.beds[entry.sleeper].notify_one();
            !entry.exclusive
        });
        self.len.store(entries.len(), Ordering::Relaxed);
    }

    fn wake_one(&self) {
        self.wake(1);
    }

    fn wake_all(&self) {
        self.wake(usize::MAX);
    }
}

/// How an end is used.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum By {
    /// By read(2) and write(2), which sleep.
    Call,
    /// By loads and stores to a mapping, poll(2) and `VFIFO_NOTIFY`.
    Mapping,
}

/// What an end works on while it holds its lock, or is the only one there is.
#[derive(Clone, PartialEq)]
pub(crate) struct Side {
    cursor: Cursor,
    // The bytes of a stream are numbered, so that the one that comes can be told from all others.
    next: u8,
}

/// A byte stream.
pub(crate) struct Fifo<const LEFT_OUT: usize> {
    ring: Ring<Shared<LEFT_OUT>>,
    capacity: u64,
    pipe_buf: u64,
    data: Vec<Byte>,
    reader: Mutex<Side>,
    writer: Mutex<Side>,
    // Sleeping writers that may fit in less than `pipe_buf`.
    small_writers: AtomicUsize,
    pub(crate) readers: Queue<LEFT_OUT>,
    pub(crate) writers: Queue<LEFT_OUT>,
    pub(crate) read_pollers: Queue<LEFT_OUT>,
    pub(crate) write_pollers: Queue<LEFT_OUT>,
}

impl<const LEFT_OUT: usize> Fifo<LEFT_OUT> {
    /// A FIFO of `capacity` bytes, empty, whose next byte is number `start`. Who writes does not
    /// sleep until more than `pipe_buf` bytes fit.
    pub(crate) fn new(capacity: u64, pipe_buf: u64, start: u64) -> Self {
        let side = Side {
            cursor: Cursor::new(capacity, start),
            next: 0,
        };
        Self {
            ring: Ring {
                producer: End::new::<LEFT_OUT>(start, Step::HeadAcquire, Step::HeadRelease),
                consumer: End::new::<LEFT_OUT>(start, Step::TailAcquire, Step::TailRelease),
            },
            capacity,
            pipe_buf,
            data: (0..capacity).map(|_| Byte::new(0xff)).collect(),
            reader: Mutex::new(side.clone()),
            writer: Mutex::new(side),
            small_writers: AtomicUsize::new(0),
            readers: Queue::new(),
            writers: Queue::new(),
            read_pollers: Queue::new(),
            write_pollers: Queue::new(),
        }
    }

    /// The number of bytes queued.
    pub(crate) fn size(&self) -> u64 {
        self.ring.size(self.capacity).expect(IMPOSSIBLE)
    }

    fn has_bytes(&self) -> bool {
        self.ring.size(self.capacity) != Ok(0)
    }

    fn has_room(&self, needed: u64) -> bool {
        match self.ring.size(self.capacity) {
            Ok(queued) => self.capacity - queued >= needed,
            Err(Broken) => true,
        }
    }

    /// Produces `len` bytes, or as many as fit if those are at least `needed`. Returns how many.
    pub(crate) fn try_write(&self, len: u64, needed: u64) -> u64 {
        let Side { cursor, next } = &mut *self.writer.lock().unwrap();
        let free = self.ring.free(cursor, len).expect(IMPOSSIBLE);
        if free < needed {
            return 0;
        }
        let len = free.min(len);
        for piece in pieces(cursor.position, len, self.capacity) {
            for byte in &self.data[piece.offset..][..piece.len] {
                byte.set(*next);
                *next = next.wrapping_add(1);
            }
        }
        self.ring.produce(cursor, len);
        len
    }

    /// Consumes `len` bytes, or as many as there are. Returns how many.
    pub(crate) fn try_read(&self, len: u64) -> u64 {
        let Side { cursor, next } = &mut *self.reader.lock().unwrap();
        let used = self.ring.used(cursor, len).expect(IMPOSSIBLE);
        if used == 0 {
            return 0;
        }
        let len = used.min(len);
        for piece in pieces(cursor.position, len, self.capacity) {
            for byte in &self.data[piece.offset..][..piece.len] {
                assert_eq!(byte.get(), *next, "{WRONG}");
                *next = next.wrapping_add(1);
            }
        }
        self.ring.consume(cursor, len);
        len
    }

    /// Forgets what is queued.
    pub(crate) fn clear(&self) {
        let Side { cursor, next } = &mut *self.reader.lock().unwrap();
        *next = next.wrapping_add(self.ring.clear(cursor) as u8);
    }

    /// The claim on the producer's end ends, while there is one on the consumer's.
    pub(crate) fn producer_goes(&self) {
        let Side { cursor, .. } = &mut *self.writer.lock().unwrap();
        *cursor = self.ring.producer_left(None, self.capacity);
        self.ring.produce(cursor, 0);
    }

    /// The claim on the consumer's end ends, while there is one on the producer's.
    pub(crate) fn consumer_goes(&self) {
        let Side { cursor, .. } = &mut *self.reader.lock().unwrap();
        *cursor = self.ring.consumer_left(None, self.capacity);
        self.ring.consume(cursor, 0);
    }

    /// When all rest: that everything sent has come, or is there.
    pub(crate) fn is_whole(&self) -> bool {
        let queued = self.size();
        let read = self.try_read(self.capacity);
        let (reader, writer) = (self.reader.lock().unwrap(), self.writer.lock().unwrap());
        read == queued && reader.next == writer.next && self.size() == 0
    }

    fn bytes_came(&self) {
        if self.ring.consumer_waits() {
            self.tell_consumers();
        }
    }

    fn room_came(&self) {
        if self.ring.producer_waits() {
            self.tell_producers();
        }
    }

    fn tell_consumers(&self) {
        let late = Step::ClearThenLook.is_left_out(LEFT_OUT);
        if !late {
            self.ring.consumer.set_waiting(false);
        }
        let sleepers = self.readers.has_sleepers();
        if late {
            self.ring.consumer.set_waiting(false);
        }
        if sleepers {
            if !Step::SetAgain.is_left_out(LEFT_OUT) {
                self.ring.consumer_will_wait();
            }
            self.wake_readers();
        }
        if self.read_pollers.has_sleepers() {
            self.read_pollers.wake_all();
        }
    }

    fn tell_producers(&self) {
        let late = Step::ClearThenLook.is_left_out(LEFT_OUT);
        if !late {
            self.ring.producer.set_waiting(false);
        }
        let sleepers = self.writers.has_sleepers() || self.write_pollers.has_sleepers();
        if late {
            self.ring.producer.set_waiting(false);
        }
        if sleepers {
            if !Step::SetAgain.is_left_out(LEFT_OUT) {
                self.ring.producer_will_wait();
            }
            self.wake_writers();
            if self.has_room(self.pipe_buf) {
                self.write_pollers.wake_all();
            }
        }
    }

    fn pass_bytes_on(&self) {
        if !Step::PassOn.is_left_out(LEFT_OUT) && self.ring.consumer.is_waiting() {
            self.wake_readers();
        }
    }

    fn pass_room_on(&self) {
        if !Step::PassOn.is_left_out(LEFT_OUT) && self.ring.producer.is_waiting() {
            self.wake_writers();
        }
    }

    fn wake_readers(&self) {
        if self.has_bytes() {
            self.readers.wake_one();
        }
    }

    fn wake_writers(&self) {
        if self.has_room(self.pipe_buf) {
            self.writers.wake_one();
        } else if self.small_writers.load(Ordering::Relaxed) > 0 && self.has_room(1) {
            self.writers.wake_all();
        }
    }

    /// `VFIFO_NOTIFY`.
    pub(crate) fn notify(&self) {
        self.tell_consumers();
        self.tell_producers();
    }

    /// Sleeps on `queue` until `look` finds something, having said with `say` that it waits.
    fn sleep(
        queue: &Queue<LEFT_OUT>,
        by: By,
        sleeper: usize,
        say: impl Fn(),
        look: impl Fn() -> bool,
    ) {
        let exclusive = by == By::Call;
        if Step::QueueThenSay.is_left_out(LEFT_OUT) {
            say();
            queue.wait(sleeper, exclusive, look);
        } else if Step::LookAgain.is_left_out(LEFT_OUT) {
            queue.wait(sleeper, exclusive, || {
                let found = look();
                say();
                found
            });
        } else {
            queue.wait(sleeper, exclusive, || {
                say();
                look()
            });
        }
    }

    /// Sleeps until there is something to read.
    pub(crate) fn wait_for_bytes(&self, by: By, sleeper: usize) {
        let queue = match by {
            By::Call => &self.readers,
            By::Mapping => &self.read_pollers,
        };
        let say = || self.ring.consumer_will_wait();
        Self::sleep(queue, by, sleeper, say, || self.has_bytes());
        if by == By::Mapping && Step::LeaveSet.is_left_out(LEFT_OUT) {
            self.ring.consumer.set_waiting(false);
        }
    }

    /// Sleeps until `needed` bytes fit.
    fn wait_for_room(&self, by: By, sleeper: usize, needed: u64) {
        let say = || self.ring.producer_will_wait();
        match by {
            By::Call => {
                let small = needed < self.pipe_buf;
                if small {
                    self.small_writers.fetch_add(1, Ordering::Relaxed);
                }
                Self::sleep(&self.writers, by, sleeper, say, || self.has_room(needed));
                if small {
                    self.small_writers.fetch_sub(1, Ordering::Relaxed);
                }
            }
            By::Mapping => {
                let look = || self.has_room(self.pipe_buf);
                Self::sleep(&self.write_pollers, by, sleeper, say, look);
                if Step::LeaveSet.is_left_out(LEFT_OUT) {
                    self.ring.producer.set_waiting(false);
                }
            }
        }
    }

    /// Consumes up to `len` bytes, and sleeps while there is none.
    pub(crate) fn read(&self, by: By, sleeper: usize, len: u64) {
        while self.try_read(len) == 0 {
            self.wait_for_bytes(by, sleeper);
        }
        match by {
            By::Call => {
                self.room_came();
                self.pass_bytes_on();
            }
            By::Mapping if self.ring.producer_waits() => self.notify(),
            By::Mapping => {}
        }
    }

    /// Produces `len` bytes, at most `pipe_buf`, and sleeps while they do not fit.
    pub(crate) fn write(&self, by: By, sleeper: usize, len: u64) {
        while self.try_write(len, len) == 0 {
            self.wait_for_room(by, sleeper, len);
        }
        match by {
            By::Call => {
                self.bytes_came();
                self.pass_room_on();
            }
            By::Mapping if self.ring.consumer_waits() => self.notify(),
            By::Mapping => {}
        }
    }
}
