// SPDX-License-Identifier: GPL-2.0

//! The FIFO: who may touch the ring when, who sleeps, and who is woken.
//!
//! # Locks
//!
//! | lock | excludes | held while |
//! |---|---|---|
//! | `reader` | consumers: reads, clearing, and taking the end away from them | copying |
//! | `writer` | producers: writes, generation, and taking the end away from them | copying |
//! | `geometry` | mapping against resizing | counting |
//! | `cleared` | clearing against looking at the counts | counting |
//!
//! A reader and a writer run at the same time, with only the ring between them. Nobody sleeps for
//! bytes or room with a lock held, nor takes a page fault: if user memory is not resident, the lock
//! is dropped, the memory faulted in, and the transfer retried. So whoever holds a lock is soon
//! done. Attributes that anyone may read take none of the first three.
//!
//! Order: the control lock of [`Generator`], the `mmap_lock` of a process, `reader`, `writer`,
//! `geometry`, `cleared`.
//!
//! Everything here runs in process context and may sleep.
//!
//! # Claims
//!
//! A [`Claim`] is the right to be the producer (or consumer) by loads and stores. While there is
//! one, calls for that end get [`EBUSY`], the end's own position is what its page says, and the
//! kernel believes of that only what the ring's checks let pass. What does not pass breaks the
//! FIFO: everyone gets [`EIO`] until it is cleared or a claim ends.
//!
//! A claim belongs to the open file that was mapped. To files other than that, poll reports an
//! error for the claimed direction, since a call would get [`EBUSY`].
//!
//! # Sleeping and waking
//!
//! A reader sleeps until there is a byte, a writer until what it must write at once fits. More than
//! [`PIPE_BUF`] bytes need not be written at once, and such a writer sleeps until [`PIPE_BUF`] fit,
//! so that it is not woken for a few bytes at a time.
//!
//! With [`PIPE_BUF`] free, then, any sleeping writer can go on, as any reader can with a byte
//! queued: one is woken, and who was woken and leaves something behind wakes the next. So a byte
//! wakes one reader, not all. With less room it matters who is woken, and all writers are, provided
//! that one of them wants so little. One of the sleeping writers has the [`Turn`]; it sleeps on a
//! queue of its own, and is woken when there is as much as it needs.
//!
//! Of pollers that are exclusive (`EPOLLEXCLUSIVE`) one is woken as well, and `waiting` stays set
//! for the others.
//!
//! Whoever sleeps, polls or wants signals at an end has first set that end's `waiting`. Only if
//! that is set does whoever publishes something look at the queues; so in a stream whose ends both
//! run, a transfer costs one fence and one look. A mapped end learns in the same way when it is to
//! call [`Fifo::notify`].
//!
//! Nobody clears `waiting` when it goes on: whoever wakes does, and sets it again for those who
//! sleep on or want the next signal. Who is woken looks without having set it again; only when it
//! is to sleep on does it, and looks once more.
//!
//! [`Generator`]: super::generator::Generator

use super::{
    ring::{
        self,
        Broken,
        Cursor,
        End as _,
        Fence,
        Memory,
        Piece,
        Queues,
        Ring, //
    },
    trace::{
        self,
        By,
        Whom, //
    },
    turn::{
        Ticket,
        Turn, //
    },
    uapi::{
        self,
        PIPE_BUF, //
    }, //
};
use core::{
    mem,
    ops::Deref, //
};
use kernel::{
    chrdev::{
        Events,
        Waiters, //
    },
    current,
    dynamic_debug::dynamic_pr_debug,
    new_mutex,
    new_spinlock,
    new_wait_queue,
    nofault::{
        is_being_killed,
        without_page_faults,
        FaultIn, //
    },
    page::{
        BorrowedPage,
        PAGE_SIZE, //
    },
    page_buffer::{
        Dest,
        PageBuffer,
        Source, //
    },
    prelude::*,
    sync::{
        atomic::{
            Acquire,
            Atomic,
            Relaxed,
            Release, //
        },
        barrier,
        Arc,
        ArcBorrow,
        Mutex,
        SpinLock, //
    },
    wait_queue::WaitQueue, //
};

/// The smallest capacity, in bytes.
pub(crate) const MIN_CAPACITY: u64 = PAGE_SIZE as u64;

/// The largest capacity, in bytes: 1 GiB.
pub(crate) const MAX_CAPACITY: u64 = 1 << 30;

const _: () = assert!(MIN_CAPACITY >= PIPE_BUF && MIN_CAPACITY.is_power_of_two());

/// The capacity that a request for `bytes` gets: the next power of two, and at least a page.
///
/// # Errors
///
/// [`EINVAL`] for zero, [`ERANGE`] for more than [`MAX_CAPACITY`].
pub(crate) fn round_capacity(bytes: u64) -> Result<u64> {
    match bytes {
        0 => Err(EINVAL),
        1..=MAX_CAPACITY => Ok(bytes.next_power_of_two().max(MIN_CAPACITY)),
        _ => Err(ERANGE),
    }
}

/// How often a transfer is retried because user memory that was resident has gone again. Then it
/// goes through a page of the kernel's.
const ATTEMPTS: usize = 8;

/// How many bytes are copied before that is published. Otherwise a transfer as large as the buffer
/// would have the other end wait until all of it is done, and only one of them be at work.
const AT_ONCE: usize = 16 << 10;

/// How many of the `len` bytes of a write must go in at once.
#[inline]
fn needed(len: usize) -> u64 {
    match len as u64 {
        len @ ..=PIPE_BUF => len,
        _ => 1,
    }
}

/// Memory that bytes are moved to, that may have to be faulted in.
pub(crate) trait MoveTo: Dest + FaultIn {}
impl<T: Dest + FaultIn> MoveTo for T {}

/// Memory that bytes are moved from, that may have to be faulted in.
pub(crate) trait MoveFrom: Source + FaultIn {}
impl<T: Source + FaultIn> MoveFrom for T {}

/// What came of trying to move bytes.
enum Step {
    /// So many were moved.
    Moved(usize),
    /// There are no bytes, or there is not enough room.
    NotYet,
    /// So many could be moved, but to access that user memory takes a page fault.
    Missing(usize),
    /// None can be.
    Failed(Error),
}

/// Which end of the stream.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Side {
    /// The one that bytes go in at.
    Producer,
    /// The one that they come out at.
    Consumer,
}

impl Side {
    /// Its name.
    pub(crate) fn name(self) -> &'static str {
        match self {
            Side::Producer => "producer",
            Side::Consumer => "consumer",
        }
    }
}

/// Which open file, among those that are open at the same time. Never zero.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) struct FileId(usize);

impl FileId {
    /// That of the file whose private data this is.
    pub(crate) fn of<T>(private: &T) -> Self {
        Self(core::ptr::from_ref(private).addr())
    }
}

/// A page with a `struct vfifo_end` at its start.
pub(crate) struct EndPage(Arc<PageBuffer>);

impl EndPage {
    fn new() -> Result<Self> {
        Ok(Self(Arc::new(PageBuffer::new(1)?, GFP_KERNEL)?))
    }

    /// Takes away what an owner has left where nothing belongs.
    fn clean(&self) {
        const AFTER_POSITION: usize = uapi::END_POSITION + size_of::<u64>();
        const AFTER_WAITING: usize = uapi::END_WAITING + size_of::<u32>();
        const { assert!(AFTER_POSITION <= uapi::END_WAITING) };
        self.0
            .zero(AFTER_POSITION, uapi::END_WAITING - AFTER_POSITION);
        self.0.zero(AFTER_WAITING, PAGE_SIZE - AFTER_WAITING);
    }
}

impl ring::End for EndPage {
    #[inline]
    fn load_acquire(&self) -> u64 {
        self.0.atomic_u64::<{ uapi::END_POSITION }>().load(Acquire)
    }

    #[inline]
    fn store_release(&self, position: u64) {
        self.0
            .atomic_u64::<{ uapi::END_POSITION }>()
            .store(position, Release);
    }

    #[inline]
    fn is_waiting(&self) -> bool {
        self.0.atomic_u32::<{ uapi::END_WAITING }>().load(Relaxed) != 0
    }

    #[inline]
    fn set_waiting(&self, waiting: bool) {
        self.0
            .atomic_u32::<{ uapi::END_WAITING }>()
            .store(waiting.into(), Relaxed);
    }
}

/// Pages that can be mapped.
pub(crate) struct Pages;

impl Memory for Pages {
    type Producer = EndPage;
    type Consumer = EndPage;

    #[inline]
    fn fence(_: Fence) {
        barrier::smp_mb(barrier::Full);
    }
}

/// Numbers for people who debug, each since the module was loaded.
pub(crate) struct Stats {
    /// Generated messages that were not written: they did not fit, or the end was claimed, or the
    /// FIFO broken.
    pub(crate) dropped: Atomic<u64>,
    /// Times that a reader went to sleep.
    pub(crate) reader_sleeps: Atomic<u64>,
    /// Times that a writer went to sleep.
    pub(crate) writer_sleeps: Atomic<u64>,
    /// Calls of [`Fifo::notify`].
    pub(crate) notifies: Atomic<u64>,
    /// Times that the owner of an end stored a position that cannot be.
    pub(crate) position_errors: Atomic<u64>,
}

impl Stats {
    fn new() -> Self {
        Self {
            dropped: Atomic::new(0),
            reader_sleeps: Atomic::new(0),
            writer_sleeps: Atomic::new(0),
            notifies: Atomic::new(0),
            position_errors: Atomic::new(0),
        }
    }
}

/// What an end works on while it holds its lock.
struct End {
    buffer: Arc<PageBuffer>,
    // Stale while the end is claimed.
    cursor: Cursor,
    // What its flag in the FIFO says to those without the lock.
    claimed: bool,
}

impl End {
    fn new(buffer: Arc<PageBuffer>) -> Self {
        Self {
            cursor: Cursor::new(buffer.len() as u64, 0),
            buffer,
            claimed: false,
        }
    }

    /// Has `copy` copy the pieces of the `len` bytes from the position on, one after the other,
    /// until it copies less than a whole one. Returns how many bytes it copied.
    #[inline]
    fn copy(&self, len: usize, mut copy: impl FnMut(&PageBuffer, Piece) -> usize) -> usize {
        let [first, second] = ring::pieces(self.cursor.position, len as u64, self.cursor.capacity);
        let done = copy(&self.buffer, first);
        if second.len == 0 || done < first.len {
            return done;
        }
        done + Self::copy_rest(&self.buffer, second, copy)
    }

    // Apart, so that what does not wrap around need not save registers for it.
    #[cold]
    fn copy_rest(
        buffer: &PageBuffer,
        piece: Piece,
        mut copy: impl FnMut(&PageBuffer, Piece) -> usize,
    ) -> usize {
        copy(buffer, piece)
    }
}

/// In cache lines of its own: a reader and a writer that run at the same time would have to wait
/// for each other's, if what they work on were in one.
#[pin_data]
#[repr(align(128))]
struct Apart<T> {
    #[pin]
    inner: T,
}

impl<T> Apart<T> {
    fn new(inner: impl PinInit<T>) -> impl PinInit<Self> {
        pin_init!(Self { inner <- inner })
    }
}

impl<T> Deref for Apart<T> {
    type Target = T;

    fn deref(&self) -> &T {
        &self.inner
    }
}

/// What mapping and resizing are about.
struct Geometry {
    buffer: Arc<PageBuffer>,
    mapped: usize,
}

/// A byte stream.
#[pin_data]
pub(crate) struct Fifo {
    /// The number in the device's name.
    pub(crate) index: u32,
    ring: Ring<Pages>,
    // Those of the cursors, for who holds no lock.
    capacity: Atomic<u64>,
    #[pin]
    reader: Apart<Mutex<End>>,
    #[pin]
    writer: Apart<Mutex<End>>,
    #[pin]
    geometry: Mutex<Geometry>,
    // The open file whose claim it is, or zero. Each changed with the end's lock held.
    producer_owner: Atomic<usize>,
    consumer_owner: Atomic<usize>,
    broken: Atomic<bool>,
    // Bytes forgotten by clearing. Held while `tail` moves past them, so that both are one change.
    #[pin]
    cleared: SpinLock<u64>,
    // The positions of claimed ends that were last told to the other end, by `notify()`.
    head_told: Atomic<u64>,
    tail_told: Atomic<u64>,
    turn: Turn,
    // Exclusive pollers may be waiting for bytes, or for room.
    exclusive_readers: Atomic<bool>,
    exclusive_writers: Atomic<bool>,
    // Where the writer sleeps whose turn it is.
    #[pin]
    next_writer: WaitQueue,
    // Writers sleep and none has the turn: whoever writes without having slept is to offer it.
    turn_unclaimed: Atomic<bool>,
    // Other sleeping writers that may fit in less than `PIPE_BUF`.
    small_writers: Atomic<u32>,
    /// Who sleeps, polls, or wants signals.
    pub(crate) waiters: Arc<Waiters>,
    /// See there.
    pub(crate) stats: Stats,
}

fn allocate(capacity: u64) -> Result<Arc<PageBuffer>> {
    let pages = usize::try_from(capacity)? / PAGE_SIZE;
    Ok(Arc::new(PageBuffer::new(pages)?, GFP_KERNEL_ACCOUNT)?)
}

impl Fifo {
    /// An empty FIFO of `capacity` bytes, as [`round_capacity`] gives it, of the device number
    /// `index`.
    pub(crate) fn new(index: u32, capacity: u64) -> Result<Arc<Self>> {
        let buffer = allocate(capacity)?;
        let waiters = Waiters::new()?;
        let ring = Ring {
            producer: EndPage::new()?,
            consumer: EndPage::new()?,
        };
        Arc::pin_init(
            pin_init!(Self {
                index,
                waiters,
                ring,
                capacity: Atomic::new(capacity),
                reader <- Apart::new(new_mutex!(End::new(buffer.clone()), "Fifo::reader")),
                writer <- Apart::new(new_mutex!(End::new(buffer.clone()), "Fifo::writer")),
                geometry <- new_mutex!(Geometry { buffer, mapped: 0 }, "Fifo::geometry"),
                producer_owner: Atomic::new(0),
                consumer_owner: Atomic::new(0),
                broken: Atomic::new(false),
                cleared <- new_spinlock!(0, "Fifo::cleared"),
                head_told: Atomic::new(0),
                tail_told: Atomic::new(0),
                turn: Turn::new(),
                exclusive_readers: Atomic::new(false),
                exclusive_writers: Atomic::new(false),
                next_writer <- new_wait_queue!("Fifo::next_writer"),
                turn_unclaimed: Atomic::new(false),
                small_writers: Atomic::new(0),
                stats: Stats::new(),
            }),
            GFP_KERNEL,
        )
    }

    /// The number of bytes queued.
    pub(crate) fn size(&self) -> u64 {
        // Nobody can say how many there are if the positions make no sense.
        self.queued().unwrap_or(0)
    }

    /// The capacity, in bytes.
    pub(crate) fn capacity(&self) -> u64 {
        // With the store: who sees that it shrank sees what was read before that, too.
        self.capacity.load(Acquire)
    }

    /// The number of bytes ever produced.
    pub(crate) fn bytes_written(&self) -> u64 {
        self.ring.producer.load_acquire()
    }

    /// The number of bytes ever consumed, and not cleared.
    pub(crate) fn bytes_read(&self) -> u64 {
        let cleared = self.cleared.lock();
        self.ring.consumer.load_acquire().wrapping_sub(*cleared)
    }

    /// The number of bytes forgotten by clearing.
    pub(crate) fn bytes_cleared(&self) -> u64 {
        *self.cleared.lock()
    }

    fn owner(&self, side: Side) -> &Atomic<usize> {
        match side {
            Side::Producer => &self.producer_owner,
            Side::Consumer => &self.consumer_owner,
        }
    }

    /// Whether there is a [`Claim`] on an end.
    pub(crate) fn is_claimed(&self, side: Side) -> bool {
        self.owner(side).load(Relaxed) != 0
    }

    /// Whether there is a [`Claim`] on an end that is not of `file`.
    fn is_claimed_by_another(&self, side: Side, file: FileId) -> bool {
        ![0, file.0].contains(&self.owner(side).load(Relaxed))
    }

    fn is_broken(&self) -> bool {
        self.broken.load(Relaxed)
    }

    /// The number of bytes queued, unless positions make no sense.
    fn queued(&self) -> Result<u64, Broken> {
        let mut capacity = self.capacity();
        loop {
            let queued = self.ring.size(capacity);
            // More may be queued than fitted before it grew.
            let before = capacity;
            capacity = self.capacity();
            if queued.is_ok() || capacity == before {
                return queued;
            }
        }
    }

    /// Whether there are bytes, or positions that make no sense.
    #[inline]
    fn has_bytes(&self) -> bool {
        self.ring.producer.load_acquire() != self.ring.consumer.load_acquire()
    }

    /// How many bytes are free beside those that are `queued`.
    fn free(&self, queued: u64) -> u64 {
        self.capacity().saturating_sub(queued)
    }

    /// How many of these may be filled by a writer whose turn it is not, or by the owner of the
    /// end, for whom there are no turns.
    fn room(&self, queued: u64) -> u64 {
        let free = self.free(queued);
        if self.is_claimed(Side::Producer) {
            return free;
        }
        self.turn
            .left_for_others(self.ring.producer.load_acquire(), free)
    }

    /// Whether there is room for `needed` bytes of a writer whose turn it is not.
    fn has_room(&self, needed: u64) -> bool {
        // If positions make no sense there is something to tell.
        self.queued()
            .map_or(true, |queued| self.room(queued) >= needed)
    }

    /// Whether there is room for `needed` bytes of the writer whose turn it is.
    fn has_free(&self, needed: u64) -> bool {
        self.queued()
            .map_or(true, |queued| self.free(queued) >= needed)
    }

    /// The room that those who poll are told of: that of an atomic write. The owner of a claim
    /// writes nothing, and knows itself how much it needs, so that gets to know of any room.
    fn room_to_tell_of(&self) -> u64 {
        if self.is_claimed(Side::Producer) {
            1
        } else {
            PIPE_BUF
        }
    }

    fn has_room_to_tell_of(&self) -> bool {
        self.has_room(self.room_to_tell_of())
    }

    /// Whether there is no reason for calls of an end to sleep or go on, but one to fail.
    fn is_out_of_order(&self, side: Side) -> bool {
        self.is_claimed(side) || self.is_broken()
    }

    /// That the calls of an end may go on.
    ///
    /// # Errors
    ///
    /// [`EBUSY`] if it is claimed, [`EIO`] if the FIFO is broken.
    #[inline]
    fn check_order(&self, end: &End) -> Result {
        if end.claimed {
            Err(EBUSY)
        } else if self.is_broken() {
            Err(EIO)
        } else {
            Ok(())
        }
    }

    /// To be called when the ring has found positions that cannot be.
    #[cold]
    fn found_broken(&self) -> Error {
        trace::broken(
            self.index,
            self.ring.producer.load_acquire(),
            self.ring.consumer.load_acquire(),
        );
        self.stats.position_errors.fetch_add(1, Relaxed);
        self.broken.store(true, Relaxed);
        self.wake_everyone(None);
        for side in [Side::Producer, Side::Consumer] {
            self.signal_all(side);
        }
        EIO
    }

    /// To be called when all that sleep or poll are to look again, at one end or both.
    fn wake_everyone(&self, at: Option<Side>) {
        let waiters = &self.waiters;
        for (queue, side, whom) in [
            (&waiters.readers, Side::Consumer, Whom::All),
            (&waiters.writers, Side::Producer, Whom::All),
            (&self.next_writer, Side::Producer, Whom::One),
            (&waiters.read_pollers, Side::Consumer, Whom::Pollers),
            (&waiters.write_pollers, Side::Producer, Whom::Pollers),
        ] {
            if at.is_none_or(|at| at == side) {
                self.wake_queue(queue, side, whom);
            }
        }
    }

    /// Wakes all of a queue, which are to look again.
    fn wake_queue(&self, queue: &WaitQueue, side: Side, whom: Whom) {
        if queue.has_sleepers() {
            trace::wake(self.index, side, whom);
            queue.wake_all();
        }
    }

    /// To be called when bytes have come.
    #[inline]
    fn bytes_came(&self) {
        if self.ring.consumer_waits() {
            self.tell_consumers();
        }
        self.waiters.signal_readers(|| self.has_bytes());
    }

    /// To be called when room has come.
    #[inline]
    fn room_came(&self) {
        if self.ring.producer_waits() {
            self.tell_producers();
        }
        self.waiters.signal_writers(|| self.has_room_to_tell_of());
    }

    /// Wakes those who wait for bytes, and whoever polls for them.
    #[cold]
    fn tell_consumers(&self) {
        self.ring.tell_consumer(&ForBytes(self));
    }

    /// Wakes those who wait for room and can go on.
    #[cold]
    fn tell_producers(&self) {
        self.ring.tell_producer(&ForRoom(self));
    }

    /// Has another reader go on if there are bytes left: one that was woken may have taken only
    /// some, and it is up to whoever was woken that nobody sleeps on what is left.
    ///
    /// No fence is needed: whoever says later that it waits will see what is left.
    #[inline]
    fn pass_bytes_on(&self) {
        if self.ring.consumer.is_waiting() && self.waiters.readers.has_sleepers() {
            self.wake_readers();
        }
    }

    /// As [`Fifo::pass_bytes_on`], for writers and room.
    #[inline]
    fn pass_room_on(&self) {
        if self.ring.producer.is_waiting() && self.has_sleeping_writers() {
            self.wake_writers();
        }
    }

    /// The same by a writer that did not sleep. One that was woken may find less room than it needs
    /// because of this one, and sleep on, when there is enough for another that wants less. If none
    /// wants less than [`PIPE_BUF`] there is nothing to pass on.
    ///
    /// And such a writer is what the turn is a limit for: if nobody has it, one that sleeps is to
    /// take it now.
    #[inline]
    fn heed_sleepers(&self) {
        if self.small_writers.load(Relaxed) > 0 {
            self.pass_room_on();
        }
        if self.turn_unclaimed.load(Relaxed) {
            self.offer_turn();
        }
    }

    fn wake_readers(&self) {
        if self.has_bytes() {
            trace::wake(self.index, Side::Consumer, Whom::One);
            self.waiters.readers.wake_one_sync();
        }
    }

    fn has_sleeping_writers(&self) -> bool {
        self.next_writer.has_sleepers() || self.waiters.writers.has_sleepers()
    }

    fn wake_writers(&self) {
        let first = self.turn.needed().filter(|&needed| self.has_free(needed));
        if first.is_some() {
            trace::wake(self.index, Side::Producer, Whom::One);
            self.next_writer.wake_one_sync();
        }
        if !self.waiters.writers.has_sleepers() {
            return;
        }
        let first = first.unwrap_or(0);
        if self.has_room(first + PIPE_BUF) {
            trace::wake(self.index, Side::Producer, Whom::One);
            self.waiters.writers.wake_one_sync();
        } else if self.small_writers.load(Relaxed) > 0 && self.has_room(first + 1) {
            trace::wake(self.index, Side::Producer, Whom::All);
            self.waiters.writers.wake_all();
        }
    }

    /// Moves as many queued bytes to `to` as fit, and returns how many; sleeps while there are
    /// none, unless `nonblocking`, which is asked each time it would sleep.
    ///
    /// # Errors
    ///
    /// [`EAGAIN`], [`ERESTARTSYS`]; [`EFAULT`] if not one byte could be copied, and then none is
    /// lost; [`EBUSY`] if the consumer's end is claimed, [`EIO`] if the FIFO is broken; [`ENOMEM`].
    #[inline]
    pub(crate) fn read(
        &self,
        to: &mut impl MoveTo,
        nonblocking: impl Fn() -> bool,
    ) -> Result<usize> {
        let len = to.remaining();
        if len == 0 {
            return Ok(0);
        }
        if len > AT_ONCE {
            return self.read_large(to, nonblocking);
        }
        match self.read_once::<true, _>(to, len) {
            Step::Moved(done) => {
                self.room_came();
                Ok(done)
            }
            step => self.read_on(to, step, nonblocking),
        }
    }

    /// A read of more than [`AT_ONCE`] bytes, which need not all be queued.
    #[cold]
    fn read_large(&self, to: &mut impl MoveTo, nonblocking: impl Fn() -> bool) -> Result<usize> {
        let step = self.read_step(to, false);
        self.read_on(to, step, nonblocking)
    }

    /// Moves what is queued, [`AT_ONCE`] bytes at a time. May fault memory in; a reader that
    /// `slept` has another one go on first.
    fn read_step(&self, to: &mut impl MoveTo, slept: bool) -> Step {
        let len = to.remaining();
        let queued = self.size().min(len as u64) as usize;
        if queued > AT_ONCE {
            if slept {
                self.pass_bytes_on();
            }
            let resident = queued.saturating_sub(to.fault_in(queued));
            if resident > AT_ONCE {
                return self.read_much(to, resident);
            }
        }
        self.read_again(to, len.min(AT_ONCE))
    }

    /// Goes on with a read that is not done with its first `step`.
    #[cold]
    fn read_on(
        &self,
        to: &mut impl MoveTo,
        mut step: Step,
        nonblocking: impl Fn() -> bool,
    ) -> Result<usize> {
        let mut slept = false;
        let result = loop {
            if let Step::Missing(wanted) = step {
                // That may take any time, and others can go on meanwhile.
                if slept {
                    self.pass_bytes_on();
                }
                step = self.read_after_faults(to, wanted);
            }
            match step {
                Step::Moved(done) => {
                    self.room_came();
                    break Ok(done);
                }
                Step::Failed(error) => break Err(error),
                Step::NotYet | Step::Missing(_) => {}
            }
            if nonblocking() {
                break Err(EAGAIN);
            }
            self.stats.reader_sleeps.fetch_add(1, Relaxed);
            trace::sleep(self.index, Side::Consumer, 1);
            let woken = self.waiters.readers.wait_announced_interruptible(
                || self.ring.consumer_will_wait(),
                || self.has_bytes() || self.is_out_of_order(Side::Consumer),
            );
            if let Err(error) = woken {
                break Err(error);
            }
            slept = true;
            step = self.read_step(to, slept);
        };
        if slept {
            self.pass_bytes_on();
        }
        result
    }

    /// Reads to user memory of which not all of the first `wanted` bytes were resident. It can go
    /// on, so signals are not looked at: for io_uring one may seem to be pending that is none.
    fn read_after_faults(&self, to: &mut impl MoveTo, mut wanted: usize) -> Step {
        for _ in 0..ATTEMPTS {
            let resident = wanted.saturating_sub(to.fault_in(wanted));
            if resident == 0 {
                return Step::Failed(EFAULT);
            }
            match self.read_again(to, resident) {
                Step::Missing(again) => wanted = again,
                step => return step,
            }
        }
        self.read_through_kernel(to, wanted)
    }

    /// Reads at most the first `wanted` bytes of user memory that does not stay resident, or only
    /// seems to be: by way of a page of the kernel's, with page faults enabled and no lock held.
    /// That decides whether the memory is bad.
    ///
    /// The bytes stay queued until they have been copied. If another reader takes them meanwhile,
    /// this one tries those that come after.
    fn read_through_kernel(&self, to: &mut impl MoveTo, wanted: usize) -> Step {
        let page = match PageBuffer::new(1) {
            Ok(page) => page,
            Err(error) => return Step::Failed(error),
        };
        let most = wanted.min(page.len());
        for _ in 0..ATTEMPTS {
            let mut guard = self.reader.lock();
            let end = &mut *guard;
            let queued = match self.queued_now(end) {
                Ok(0) => return Step::NotYet,
                Ok(queued) => queued.min(most as u64) as usize,
                Err(error) => return Step::Failed(error),
            };
            let position = end.cursor.position;
            let mut peeked = 0;
            end.copy(queued, |buffer, piece| {
                let count = buffer.copy_to(piece.offset, piece.len, &page, peeked);
                peeked += count;
                count
            });
            drop(guard);

            let step = to.attempt(|to| {
                let done = to.copy_from_buffer(&page, 0, peeked);
                if done == 0 {
                    return Some(Step::Failed(EFAULT));
                }
                let mut guard = self.reader.lock();
                let end = &mut *guard;
                if let Err(error) = self.check_order(end) {
                    return Some(Step::Failed(error));
                }
                (end.cursor.position == position).then(|| {
                    self.took(end, done);
                    Step::Moved(done)
                })
            });
            if let Some(step) = step {
                return step;
            }
        }
        // Each time others got on. It goes on, too, but must end if it is told to.
        match is_being_killed() {
            true => Step::Failed(ERESTARTSYS),
            false => Step::NotYet,
        }
    }

    #[inline(never)]
    fn read_again(&self, to: &mut impl MoveTo, most: usize) -> Step {
        self.read_once::<false, _>(to, most)
    }

    /// Moves queued bytes to at most the first `most` of `to`. If not all memory is resident for
    /// what can be moved nothing is.
    ///
    /// `FIRST` makes what is called within it another function for each of its two callers, so that
    /// the compiler finds one call of each, and inlines it: 30 instructions less.
    #[inline(always)]
    fn read_once<const FIRST: bool, To: MoveTo>(&self, to: &mut To, most: usize) -> Step {
        let mut guard = self.reader.lock();
        let end = &mut *guard;
        let queued = match self.queued_now(end) {
            Ok(0) => return Step::NotYet,
            Ok(queued) => queued,
            Err(error) => return Step::Failed(error),
        };

        // Fits, as it is no more than `most`.
        let wanted = queued.min(most as u64) as usize;
        match self.take::<FIRST, _>(end, to, wanted) {
            Some(done) => Step::Moved(done),
            None => Step::Missing(wanted),
        }
    }

    /// How many bytes are queued for a reader that holds the lock.
    ///
    /// # Errors
    ///
    /// As [`Fifo::check_order`].
    #[inline(always)]
    fn queued_now(&self, end: &mut End) -> Result<u64> {
        self.check_order(end)?;
        self.ring
            .used_now(&mut end.cursor)
            .map_err(|_| self.found_broken())
    }

    /// Gives back the room of `done` bytes that were copied.
    #[inline(always)]
    fn took(&self, end: &mut End, done: usize) {
        trace::consume(self.index, end.cursor.position, done as u64, By::Read);
        self.ring.consume(&mut end.cursor, done as u64);
    }

    /// Moves `wanted` bytes, of which as many are queued, to `to`. If not all memory is resident
    /// nothing is moved. `FIRST` is as for [`Fifo::read_once`].
    #[inline(always)]
    fn take<const FIRST: bool, To: MoveTo>(
        &self,
        end: &mut End,
        to: &mut To,
        wanted: usize,
    ) -> Option<usize> {
        let done = to.attempt(|to| {
            let done = without_page_faults(|| {
                end.copy(wanted, |buffer, piece| {
                    to.copy_from_buffer(buffer, piece.offset, piece.len)
                })
            });
            (done == wanted).then_some(done)
        })?;
        self.took(end, done);
        Some(done)
    }

    /// Moves queued bytes to at most the first `most` of `to`, [`AT_ONCE`] at a time, with the lock
    /// held throughout, so that other readers have none of them. So no more often than the capacity
    /// takes, however many come meanwhile, and however few at a time: others wait. Ends early where
    /// memory is missing: the caller has seen that the first `most` bytes were resident.
    fn read_much(&self, to: &mut impl MoveTo, most: usize) -> Step {
        let mut guard = self.reader.lock();
        let end = &mut *guard;
        if let Err(error) = self.check_order(end) {
            return Step::Failed(error);
        }
        // Fits, as it is no more than `most`.
        let most = end.cursor.capacity.min(most as u64) as usize;
        let mut total = 0;
        for _ in 0..most.div_ceil(AT_ONCE) {
            if total > 0 {
                self.room_came();
            }
            let queued = match self.ring.used_now(&mut end.cursor) {
                Ok(0) => break,
                Ok(queued) => queued.min(AT_ONCE as u64) as usize,
                // The next call will say so.
                Err(Broken) if total > 0 => break,
                Err(Broken) => return Step::Failed(self.found_broken()),
            };
            let wanted = queued.min(most - total);
            match self.take::<false, _>(end, to, wanted) {
                Some(done) => total += done,
                None if total > 0 => break,
                None => return Step::Missing(wanted),
            }
        }
        match total {
            0 => Step::NotYet,
            _ => Step::Moved(total),
        }
    }

    /// Moves all of `from` into the queue, and returns how many bytes that was.
    ///
    /// Up to [`PIPE_BUF`] bytes go in at once or not at all. More may be mixed with those of other
    /// writers. While there is no room this sleeps, unless `nonblocking`, which is asked each time
    /// it would sleep: then it leaves off.
    ///
    /// # Errors
    ///
    /// What ends it early (a signal, a fault, no room, a claim) is an error only if nothing was
    /// moved: [`EAGAIN`], [`ERESTARTSYS`], [`EFAULT`], [`EBUSY`], [`EIO`], [`ENOMEM`].
    #[inline]
    pub(crate) fn write(
        &self,
        from: &mut impl MoveFrom,
        nonblocking: impl Fn() -> bool,
    ) -> Result<usize> {
        let len = from.remaining();
        if len == 0 {
            return Ok(0);
        }
        let first = self.write_once::<true, _>(from, needed(len), len.min(AT_ONCE), &Ticket::NONE);
        match first {
            Step::Moved(done) if done == len => {
                self.bytes_came();
                self.heed_sleepers();
                Ok(len)
            }
            step => self.write_on(from, len, step, nonblocking),
        }
    }

    /// Goes on with a write of `len` bytes that is not done with its first `step`.
    #[cold]
    fn write_on(
        &self,
        from: &mut impl MoveFrom,
        len: usize,
        mut step: Step,
        nonblocking: impl Fn() -> bool,
    ) -> Result<usize> {
        let atomic = len as u64 <= PIPE_BUF;
        let needed = needed(len);
        let mut ticket = Ticket::NONE;
        let mut total = 0;
        // What could have been moved since signals were looked at.
        let mut unlooked = 0;
        let result = loop {
            if let Step::Missing(wanted) = step {
                // That may take any time, and others can go on meanwhile.
                self.give_up_turn(&ticket);
                self.pass_room_on();
                step = self.write_after_faults(from, needed, wanted);
            }
            match step {
                Step::Moved(done) => {
                    total += done;
                    // Not what was moved, which the owner of the other end may keep small.
                    unlooked += AT_ONCE;
                    // It has been served, and queues up behind the others for the rest.
                    self.give_up_turn(&ticket);
                    ticket = Ticket::NONE;
                    self.bytes_came();
                    if from.remaining() == 0 {
                        break Ok(());
                    }
                    // Its memory ended. The rest would be a write of its own, between which and
                    // this one others come.
                    if atomic {
                        break Err(EFAULT);
                    }
                    // Room may go on coming for as long as there is something to write. But what
                    // fitted at first is written whatever is pending: for io_uring something is.
                    if unlooked as u64 >= self.capacity() {
                        if current!().signal_pending() {
                            break Err(ERESTARTSYS);
                        }
                        unlooked = 0;
                    }
                }
                Step::Failed(error) => break Err(error),
                Step::NotYet | Step::Missing(_) => {
                    if nonblocking() {
                        break Err(EAGAIN);
                    }
                    let room = if atomic { needed } else { PIPE_BUF };
                    if let Err(error) = self.wait_for_room(&mut ticket, room) {
                        break Err(error);
                    }
                }
            }
            step = self.write_again(from, needed, from.remaining().min(AT_ONCE), &ticket);
        };
        self.give_up_turn(&ticket);
        self.pass_room_on();
        match result {
            Err(error) if total == 0 => Err(error),
            _ => Ok(total),
        }
    }

    /// Gives the turn up, if the writer with this ticket has it. If that held others back, they may
    /// go on now: that is news for all who wait for room. Nobody is woken just to take the turn:
    /// those who sleep go on in their order as room comes, and only need it when somebody comes who
    /// has not slept.
    fn give_up_turn(&self, ticket: &Ticket) {
        // Also if it was woken to take it, and did not.
        self.turn_unclaimed.store(true, Relaxed);
        let Some(limit) = self.turn.give_up(ticket) else {
            return;
        };
        // After the fence: a consumer that gave room back before saw the turn as taken, and told
        // nobody; this sees that room. If it gives room back later, it tells them itself.
        let held_back = self.queued().map_or(true, |queued| {
            let head = self.ring.producer.load_acquire();
            limit.held_back(head, self.free(queued), PIPE_BUF)
        });
        if held_back {
            self.room_came();
        }
    }

    /// Has a writer that sleeps, the first of the queue, take the turn, unless somebody has it. The
    /// limit holds at once. Whoever is woken takes the turn or gives it up.
    #[cold]
    fn offer_turn(&self) {
        self.turn_unclaimed.store(false, Relaxed);
        let writers = &self.waiters.writers;
        if !writers.has_sleepers() {
            return;
        }
        let end = self.writer.lock();
        let reserved = !end.claimed && self.turn.reserve(end.cursor.position, end.cursor.capacity);
        drop(end);
        if reserved {
            trace::wake(self.index, Side::Producer, Whom::One);
            if !writers.wake_one() {
                self.turn.unreserve();
            }
        }
    }

    /// Sleeps until `needed` bytes fit, at most [`PIPE_BUF`], or the turn is to be taken or has
    /// been lost.
    #[cold]
    fn wait_for_room(&self, ticket: &mut Ticket, needed: u64) -> Result {
        let writers = &self.waiters.writers;
        let end = self.writer.lock();
        // Those who sleep without the turn came before.
        let is_first = !ticket.is_none() || !writers.has_sleepers();
        let has_turn = !end.claimed
            && self.turn.take(
                ticket,
                is_first,
                end.cursor.position,
                end.cursor.capacity,
                needed,
            );
        drop(end);

        self.stats.writer_sleeps.fetch_add(1, Relaxed);
        trace::sleep(self.index, Side::Producer, needed);
        let announce = || self.ring.producer_will_wait();
        if has_turn {
            // One that had it before sleeps with the others from now on.
            self.wake_queue(&self.next_writer, Side::Producer, Whom::One);
            let result = self.next_writer.wait_announced_interruptible(announce, || {
                self.has_free(needed)
                    || !self.turn.is_of(ticket)
                    || self.is_out_of_order(Side::Producer)
            });
            // Then it may have been woken for room that is for the one who took the turn over.
            if !self.turn.is_of(ticket) {
                self.pass_room_on();
            }
            return result;
        }
        if !is_first {
            self.offer_turn();
        }

        // The fence between this and the look at the room is in the wait, that between room and
        // the look at this is in `room_came()`.
        let small = needed < PIPE_BUF;
        if small {
            self.small_writers.fetch_add(1, Relaxed);
        }
        let mut has_looked = false;
        let result = writers.wait_announced_interruptible(announce, || {
            // The first look is before it sleeps. Then the turn, if nobody has it or it is
            // reserved, is for one that came before. A writer that was woken takes it.
            let was_woken = mem::replace(&mut has_looked, true);
            if self.has_room(needed)
                || (was_woken && self.turn.is_of_a_newer(ticket))
                || self.is_out_of_order(Side::Producer)
            {
                return true;
            }
            let is_free = !self.turn.is_taken();
            if is_free && !was_woken {
                self.turn_unclaimed.store(true, Relaxed);
            }
            is_free && was_woken
        });
        if small {
            self.small_writers.fetch_sub(1, Relaxed);
        }
        result
    }

    /// Writes from user memory of which not all of the first `wanted` bytes were resident. As
    /// [`Fifo::read_after_faults`].
    fn write_after_faults(&self, from: &mut impl MoveFrom, needed: u64, mut wanted: usize) -> Step {
        for _ in 0..ATTEMPTS {
            let resident = wanted.saturating_sub(from.fault_in(wanted));
            // A writer that is being killed must not leave the first part of what it wrote.
            if resident < wanted && is_being_killed() {
                return Step::Failed(ERESTARTSYS);
            }
            if resident == 0 {
                return Step::Failed(EFAULT);
            }
            match self.write_again(from, needed, resident, &Ticket::NONE) {
                Step::Missing(again) => wanted = again,
                step => return step,
            }
        }
        self.write_through_kernel(from, needed, wanted)
    }

    /// Writes at most the first `wanted` bytes of user memory that does not stay resident, or only
    /// seems to be. As [`Fifo::read_through_kernel`].
    fn write_through_kernel(&self, from: &mut impl MoveFrom, needed: u64, wanted: usize) -> Step {
        const { assert!(PAGE_SIZE as u64 >= PIPE_BUF) };
        let page = match PageBuffer::new(1) {
            Ok(page) => page,
            Err(error) => return Step::Failed(error),
        };
        let mut most = wanted.min(page.len());
        loop {
            let mut room = 0;
            let step = from.attempt(|from| {
                let there = from.copy_to_buffer(&page, 0, most);
                if there < most && is_being_killed() {
                    return Some(Step::Failed(ERESTARTSYS));
                }
                if there == 0 {
                    return Some(Step::Failed(EFAULT));
                }
                let mut guard = self.writer.lock();
                let end = &mut *guard;
                room = match self.free_now(end, &Ticket::NONE) {
                    Ok(free) => free,
                    Err(error) => return Some(Step::Failed(error)),
                };
                // What was copied and does not fit must not be left behind.
                if room < needed || room < there as u64 {
                    return None;
                }
                let mut copied = 0;
                end.copy(there, |buffer, piece| {
                    let count = page.copy_to(copied, piece.len, buffer, piece.offset);
                    copied += count;
                    count
                });
                self.put(end, copied);
                Some(Step::Moved(copied))
            });
            match step {
                Some(step) => return step,
                None if room < needed => return Step::NotYet,
                // Less each time.
                None => most = room as usize,
            }
        }
    }

    #[inline(never)]
    fn write_again(
        &self,
        from: &mut impl MoveFrom,
        needed: u64,
        most: usize,
        ticket: &Ticket,
    ) -> Step {
        self.write_once::<false, _>(from, needed, most, ticket)
    }

    /// Moves at most the first `most` bytes of `from` into the queue, if there is room for
    /// `needed`, for the writer with this ticket. If not all memory is resident for what can be
    /// moved nothing is.
    ///
    /// `FIRST` is as for [`Fifo::read_once`].
    #[inline(always)]
    fn write_once<const FIRST: bool, From: MoveFrom>(
        &self,
        from: &mut From,
        needed: u64,
        most: usize,
        ticket: &Ticket,
    ) -> Step {
        let mut guard = self.writer.lock();
        let end = &mut *guard;
        let free = match self.free_now(end, ticket) {
            Ok(free) if free < needed => return Step::NotYet,
            Ok(free) => free,
            Err(error) => return Step::Failed(error),
        };

        // Fits, as it is no more than `most`.
        let wanted = free.min(most as u64) as usize;
        let copied = from.attempt(|from| {
            let done = without_page_faults(|| {
                end.copy(wanted, |buffer, piece| {
                    from.copy_to_buffer(buffer, piece.offset, piece.len)
                })
            });
            (done == wanted).then_some(done)
        });
        let Some(done) = copied else {
            return Step::Missing(wanted);
        };
        self.put(end, done);
        Step::Moved(done)
    }

    /// How many bytes are free for a writer that holds the lock and has this ticket.
    ///
    /// # Errors
    ///
    /// As [`Fifo::check_order`].
    #[inline(always)]
    fn free_now(&self, end: &mut End, ticket: &Ticket) -> Result<u64> {
        self.check_order(end)?;
        let free = self
            .ring
            .free_now(&mut end.cursor)
            .map_err(|_| self.found_broken())?;
        if self.turn.is_taken() {
            return Ok(self.free_beside_turn(end, free, ticket));
        }
        Ok(free)
    }

    #[cold]
    fn free_beside_turn(&self, end: &End, free: u64, ticket: &Ticket) -> u64 {
        if self.turn.is_of(ticket) {
            return free;
        }
        self.turn.left_for_others(end.cursor.position, free)
    }

    /// Publishes `done` bytes that were copied.
    #[inline(always)]
    fn put(&self, end: &mut End, done: usize) {
        trace::produce(self.index, end.cursor.position, done as u64, By::Write);
        self.ring.produce(&mut end.cursor, done as u64);
    }

    /// Puts all of `message` into the queue if it fits and the producer's end is not claimed, else
    /// counts it as dropped.
    pub(crate) fn generate(&self, message: &[u8]) {
        let len = message.len() as u64;
        let mut guard = self.writer.lock();
        let end = &mut *guard;
        let free = self.free_now(end, &Ticket::NONE);
        if !free.is_ok_and(|free| free >= len) {
            self.stats.dropped.fetch_add(1, Relaxed);
            return;
        }
        // What does not fit before the end of the buffer goes to its start.
        let [first, _] = ring::pieces(end.cursor.position, len, end.cursor.capacity);
        let done = end.buffer.write(first.offset, message);
        end.buffer.write(0, message.get(done..).unwrap_or(&[]));
        trace::produce(self.index, end.cursor.position, len, By::Auto);
        self.ring.produce(&mut end.cursor, len);
        drop(guard);
        self.bytes_came();
        self.heed_sleepers();
    }

    /// Forgets what is queued. Mends a FIFO that the producer broke.
    ///
    /// # Errors
    ///
    /// [`EBUSY`] if the consumer's end is claimed.
    pub(crate) fn clear(&self) -> Result {
        let mut end = self.reader.lock();
        if end.claimed {
            return Err(EBUSY);
        }
        let tail = end.cursor.position;
        let cleared = {
            let mut total = self.cleared.lock();
            let cleared = self.ring.clear(&mut end.cursor);
            // All that `head` is past `tail`, even if that cannot be: none of it was read.
            *total = total.wrapping_add(end.cursor.position.wrapping_sub(tail));
            cleared
        };
        if cleared > 0 {
            trace::consume(self.index, tail, cleared, By::Clear);
        }
        self.broken.store(false, Relaxed);
        drop(end);
        dynamic_pr_debug!("vfifo{}: cleared {} bytes\n", self.index, cleared);
        self.room_came();
        Ok(())
    }

    /// What `file` is ready for, of what it is polled for. Whoever asks waits, as far as the other
    /// end can see.
    ///
    /// A direction whose end is claimed through another file is ready, and in error: a call would
    /// fail at once.
    pub(crate) fn poll(
        &self,
        file: FileId,
        readable: bool,
        writable: bool,
        exclusive: bool,
    ) -> Events {
        if readable {
            if exclusive {
                self.exclusive_readers.store(true, Relaxed);
            }
            self.ring.consumer_will_wait();
        }
        if writable {
            if exclusive {
                self.exclusive_writers.store(true, Relaxed);
            }
            self.ring.producer_will_wait();
        }
        // One look for both: what is not empty may be full by the next one, and what is not full
        // empty, and who asks for either would get neither.
        let (mut events, bytes, room) = match self.queued() {
            Ok(queued) if !self.is_broken() => (
                Events::NONE,
                queued > 0,
                self.room(queued) >= self.room_to_tell_of(),
            ),
            _ => (Events::ERROR, true, true),
        };
        for (asked, side, ready, event) in [
            (readable, Side::Consumer, bytes, Events::READ),
            (writable, Side::Producer, room, Events::WRITE),
        ] {
            if !asked {
                continue;
            }
            if self.is_claimed_by_another(side, file) {
                events = events | event | Events::ERROR;
            } else if ready {
                events = events | event;
            }
        }
        events
    }

    /// Tells the other end what the owner of a claimed end has published since that was last told.
    /// If nothing was, or no end is claimed, this does nothing: anyone may call it.
    ///
    /// Whoever waits has looked at the position after it said so. So for a position that was told
    /// once there is nobody left to tell.
    pub(crate) fn notify(&self) {
        self.stats.notifies.fetch_add(1, Relaxed);
        for side in [Side::Producer, Side::Consumer] {
            let (position, told) = match side {
                Side::Producer => (self.ring.producer.load_acquire(), &self.head_told),
                Side::Consumer => (self.ring.consumer.load_acquire(), &self.tail_told),
            };
            if !self.is_claimed(side) || told.load(Relaxed) == position {
                continue;
            }
            match side {
                Side::Producer => self.tell_of_bytes(),
                Side::Consumer => self.tell_of_room(),
            }
            // Not before: a caller that is preempted here must not hold up the owner's own call.
            told.store(position, Relaxed);
        }
    }

    /// Tells everyone of what there is for them, whoever published it.
    fn look_around(&self) {
        self.tell_of_bytes();
        self.tell_of_room();
    }

    fn tell_of_bytes(&self) {
        self.tell_consumers();
        self.waiters.signal_readers(|| self.has_bytes());
    }

    fn tell_of_room(&self) {
        self.tell_producers();
        self.waiters.signal_writers(|| self.has_room_to_tell_of());
    }

    /// Sends signals to all who want them at an end: calls fail there now, or no longer do.
    fn signal_all(&self, side: Side) {
        match side {
            Side::Producer => self.waiters.signal_writers(|| true),
            Side::Consumer => self.waiters.signal_readers(|| true),
        }
    }

    /// Makes the capacity `capacity`, as [`round_capacity`] gives it. What is queued stays queued.
    ///
    /// # Errors
    ///
    /// [`EBUSY`] while mapped, or if what is queued would not fit; [`ENOMEM`]. Then all is as it
    /// was.
    pub(crate) fn resize(&self, capacity: u64) -> Result {
        if self.geometry.lock().mapped > 0 || self.size() > capacity {
            return Err(EBUSY);
        }
        // Without the locks, as it may take a while. So what was looked at is looked at again.
        let buffer = allocate(capacity)?;

        let mut reader = self.reader.lock();
        let mut writer = self.writer.lock();
        let mut geometry = self.geometry.lock();
        // First of all: an end that is claimed moves without the cursors.
        if geometry.mapped > 0 {
            return Err(EBUSY);
        }
        let queued = self
            .ring
            .used(&mut reader.cursor, u64::MAX)
            .map_err(|_| self.found_broken())?;
        if queued > capacity {
            return Err(EBUSY);
        }

        // Positions stay, so each byte goes to where its position is in the new buffer.
        let old = reader.cursor.capacity;
        let mut done = 0;
        while done < queued {
            let position = reader.cursor.position.wrapping_add(done);
            let [from, _] = ring::pieces(position, queued - done, reader.cursor.capacity);
            let [to, _] = ring::pieces(position, from.len as u64, capacity);
            let copied = geometry
                .buffer
                .copy_to(from.offset, to.len, &buffer, to.offset);
            done += copied as u64;
        }
        reader.buffer = buffer.clone();
        writer.buffer = buffer.clone();
        geometry.buffer = buffer;
        reader.cursor.capacity = capacity;
        writer.cursor.capacity = capacity;
        // What the writer saw of it before may be further back than the new capacity.
        writer.cursor.peer = reader.cursor.position;
        self.capacity.store(capacity, Release);
        drop(geometry);
        drop(writer);
        drop(reader);

        dynamic_pr_debug!("vfifo{}: capacity {} -> {}\n", self.index, old, capacity);
        self.room_came();
        Ok(())
    }

    /// What the `len` bytes from `offset` of the file on are.
    ///
    /// # Errors
    ///
    /// [`EINVAL`] if they are nothing that can be mapped.
    pub(crate) fn area(&self, offset: u64, len: usize) -> Result<Area> {
        match offset {
            uapi::PRODUCER_OFFSET if len == PAGE_SIZE => return Ok(Area::End(Side::Producer)),
            uapi::CONSUMER_OFFSET if len == PAGE_SIZE => return Ok(Area::End(Side::Consumer)),
            _ => {}
        }
        match offset.checked_add(len as u64) {
            Some(end) if end <= 2 * self.capacity() => Ok(Area::Data),
            _ => Err(EINVAL),
        }
    }

    /// Keeps the pages as they are until what this returns is dropped.
    ///
    /// # Errors
    ///
    /// [`EINVAL`] as for [`Fifo::area`].
    pub(crate) fn map(self: ArcBorrow<'_, Self>, offset: u64, len: usize) -> Result<Mapped> {
        let mut geometry = self.geometry.lock();
        let buffer = match self.area(offset, len)? {
            Area::Data => geometry.buffer.clone(),
            Area::End(Side::Producer) => self.ring.producer.0.clone(),
            Area::End(Side::Consumer) => self.ring.consumer.0.clone(),
        };
        geometry.mapped += 1;
        Ok(Mapped {
            buffer,
            fifo: self.into(),
        })
    }

    /// Claims an end for `file`, whose page is at `offset` of it. Waits for the transfers that are
    /// under way; calls that sleep there are woken, and fail unless the claim has ended by then.
    ///
    /// # Errors
    ///
    /// [`EBUSY`] if it is claimed already, [`EINVAL`] if there is no end's page.
    pub(crate) fn claim(
        self: ArcBorrow<'_, Self>,
        file: FileId,
        offset: u64,
        len: usize,
    ) -> Result<Claim> {
        let Area::End(side) = self.area(offset, len)? else {
            return Err(EINVAL);
        };
        let mapped = self.map(offset, len)?;
        let position = {
            let mut reader = self.reader.lock();
            let mut writer = self.writer.lock();
            let (end, peer) = match side {
                Side::Producer => (&mut *writer, &mut *reader),
                Side::Consumer => (&mut *reader, &mut *writer),
            };
            if end.claimed {
                return Err(EBUSY);
            }
            // From here on the owner says where this end is, and that can't be further back.
            if !peer.claimed {
                peer.cursor.peer = end.cursor.position;
            }
            end.claimed = true;
            let (told, position) = match side {
                Side::Producer => (&self.head_told, end.cursor.position),
                Side::Consumer => (&self.tail_told, end.cursor.position),
            };
            // Up to here the kernel has told of everything itself.
            told.store(position, Relaxed);
            self.owner(side).store(file.0, Relaxed);
            trace::claim(self.index, side, end.cursor.position);
            end.cursor.position
        };
        dynamic_pr_debug!(
            "vfifo{}: {} claimed at {}\n",
            self.index,
            side.name(),
            position
        );
        self.wake_everyone(Some(side));
        self.signal_all(side);
        Ok(Claim { side, mapped })
    }
}

// Pollers are not told what there is for them, though `wake_up_poll()` could: io_uring would take
// that for an answer and not ask again, and it is by asking that a poller says that it waits.

/// Who waits for bytes.
struct ForBytes<'a>(&'a Fifo);

impl Queues for ForBytes<'_> {
    fn has_sleepers(&self) -> bool {
        self.0.waiters.readers.has_sleepers()
    }

    fn wants_signals(&self) -> bool {
        self.0.waiters.wants_read_signals()
    }

    fn has_pollers(&self) -> bool {
        self.0.waiters.read_pollers.has_sleepers()
    }

    /// They are woken for anything, and look themselves.
    fn is_ready(&self) -> bool {
        true
    }

    fn wake_sleepers(&self) {
        self.0.wake_readers();
    }

    fn exclusive(&self) -> bool {
        self.0.exclusive_readers.load(Relaxed)
    }

    fn set_exclusive(&self, exclusive: bool) {
        self.0.exclusive_readers.store(exclusive, Relaxed);
    }

    fn wake_pollers(&self) -> bool {
        trace::wake(self.0.index, Side::Consumer, Whom::Pollers);
        self.0.waiters.read_pollers.wake_one()
    }

    fn wake_all_pollers(&self) {
        trace::wake(self.0.index, Side::Consumer, Whom::Pollers);
        self.0.waiters.read_pollers.wake_all();
    }
}

/// Who waits for room.
struct ForRoom<'a>(&'a Fifo);

impl Queues for ForRoom<'_> {
    fn has_sleepers(&self) -> bool {
        self.0.has_sleeping_writers()
    }

    fn wants_signals(&self) -> bool {
        self.0.waiters.wants_write_signals()
    }

    fn has_pollers(&self) -> bool {
        self.0.waiters.write_pollers.has_sleepers()
    }

    fn is_ready(&self) -> bool {
        self.0.has_room_to_tell_of()
    }

    fn wake_sleepers(&self) {
        self.0.wake_writers();
    }

    fn exclusive(&self) -> bool {
        self.0.exclusive_writers.load(Relaxed)
    }

    fn set_exclusive(&self, exclusive: bool) {
        self.0.exclusive_writers.store(exclusive, Relaxed);
    }

    fn wake_pollers(&self) -> bool {
        trace::wake(self.0.index, Side::Producer, Whom::Pollers);
        self.0.waiters.write_pollers.wake_one()
    }

    fn wake_all_pollers(&self) {
        trace::wake(self.0.index, Side::Producer, Whom::Pollers);
        self.0.waiters.write_pollers.wake_all();
    }
}

/// What can be mapped.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Area {
    /// The data.
    Data,
    /// The page of an end.
    End(Side),
}

/// Pages that are mapped: for as long as this exists, they stay the FIFO's.
pub(crate) struct Mapped {
    buffer: Arc<PageBuffer>,
    fifo: Arc<Fifo>,
}

impl Mapped {
    /// The page number `index` of the file. Those of the data go on into its second appearance.
    pub(crate) fn page(&self, index: usize) -> Option<BorrowedPage<'_>> {
        let pages = self.buffer.len() / PAGE_SIZE;
        self.buffer.page(index.checked_rem(pages)?)
    }
}

impl Drop for Mapped {
    fn drop(&mut self) {
        self.fifo.geometry.lock().mapped -= 1;
    }
}

/// The right to store an end's position. Calls for that end get [`EBUSY`] while it exists.
pub(crate) struct Claim {
    side: Side,
    mapped: Mapped,
}

impl Claim {
    /// The page of the end.
    pub(crate) fn page(&self) -> Arc<PageBuffer> {
        self.mapped.buffer.clone()
    }
}

impl Drop for Claim {
    /// Goes on from where the owner left off. Nobody can store to the page any more.
    fn drop(&mut self) {
        let fifo = &self.mapped.fifo;
        let mut reader = fifo.reader.lock();
        let mut writer = fifo.writer.lock();
        let capacity = fifo.capacity();
        let position = match self.side {
            Side::Producer => {
                let consumer = (!reader.claimed).then_some(&reader.cursor);
                writer.claimed = false;
                fifo.ring.producer.clean();
                writer.cursor = fifo.ring.producer_left(consumer, capacity);
                fifo.ring.produce(&mut writer.cursor, 0);
                writer.cursor.position
            }
            Side::Consumer => {
                let producer = (!writer.claimed).then_some(&writer.cursor);
                reader.claimed = false;
                fifo.ring.consumer.clean();
                reader.cursor = fifo.ring.consumer_left(producer, capacity);
                fifo.ring.consume(&mut reader.cursor, 0);
                reader.cursor.position
            }
        };
        trace::release(fifo.index, self.side, position);
        fifo.owner(self.side).store(0, Relaxed);
        fifo.broken.store(false, Relaxed);
        drop(writer);
        drop(reader);
        dynamic_pr_debug!(
            "vfifo{}: {} released at {}\n",
            fifo.index,
            self.side.name(),
            position
        );
        // It may have died before it told anyone what it had published, or hidden that they wait.
        fifo.look_around();
        fifo.wake_everyone(None);
        fifo.signal_all(self.side);
    }
}
