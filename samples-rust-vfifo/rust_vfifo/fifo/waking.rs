// SPDX-License-Identifier: GPL-2.0
// Copyright (C) 2026 Seed 1f3ad1c2 maintainers.

//! Waking readers, writers and pollers: when bytes arrive, when room is freed, and when the state
//! of an end changes. The other half of the protocol is in `sleeping.rs`.
//!
//! | event | function | reader | writer | pollers, signals |
//! |---|---|---|---|---|
//! | bytes were queued | [`Fifo::bytes_arrived`] | one | | consumers |
//! | room was freed | [`Fifo::room_freed`] | | those that fit | producers |
//! | a woken reader is done | [`Fifo::wake_next_reader`] | one | | |
//! | a woken writer is done | [`Fifo::wake_next_writer`] | | those that fit | |
//! | a write did not sleep | [`Fifo::after_direct_write`] | | small, or to take the turn | |
//! | a claim begins or ends | [`Fifo::wake_end`] | all | all | all of the end |
//! | the other side has hung up, error state | [`Fifo::wake_all_of_end`] | all | all | all |
//!
//! # The flag
//!
//! Everybody who sleeps, polls or wants signals at an end has set that end's `waiting` before. A
//! transfer looks at the queues only if it is set: as long as both ends keep up, a transfer costs
//! one fence and one load. The owner of a mapped end learns in the same way that it has to call
//! [`Fifo::notify`].
//!
//! The waker clears `waiting`, and sets it again if somebody still waits: sleepers, files that want
//! signals, exclusive pollers that were not woken. See `Ring::tell_producer()`. The names of the
//! fences are those in `ring.rs`:
//!
//! | fence | made by | pairs with |
//! |---|---|---|
//! | `Produced` | [`Fifo::bytes_arrived`] | `ConsumerWaits`: sleeping readers, poll(2) |
//! | `Consumed` | [`Fifo::room_freed`] | `ProducerWaits`: sleeping writers, poll(2) |
//! | `has_sleepers()` of a queue | all others here | the same two |
//!
//! # How many are woken
//!
//! Any reader can go on with a single byte, and any writer with [`PIPE_BUF`] bytes of room. So one
//! sleeper is woken, and if it leaves something behind, it wakes the next one. With less room it
//! matters which writer is woken: then all of them are, if one of them may fit. So it does while
//! writers of records sleep that need more. The writer that has
//! the turn is woken first, as soon as there is as much room as it needs.
//!
//! One exclusive poller (`EPOLLEXCLUSIVE`) is woken together with all other pollers.
//!
//! # Context
//!
//! Any, and `reader` and `writer` may be held: no function sleeps. The exception is
//! [`Fifo::after_direct_write`], which may take `writer`: process context, no lock held.

use super::{
    super::{
        ring::{
            End as _,
            Queues, //
        },
        trace::{
            self,
            Whom, //
        },
        uapi::PIPE_BUF, //
    },
    end::Side,
    Fifo, //
};
use kernel::sync::{
    atomic::Relaxed,
    wait_queue::WaitQueue, //
};

impl Fifo {
    /// Tells consumers, if any wait, that bytes were queued. To be called after each publication of
    /// bytes by the kernel.
    #[inline]
    pub(super) fn bytes_arrived(&self) {
        // The fence in here pairs with the one in `wait_for_bytes()` and in `poll()`.
        if self.ring.consumer_waits() {
            self.tell_consumers();
        }
        self.waiters.signal_readers(|| self.has_bytes());
    }

    /// Tells producers, if any wait, that there is more room than before.
    #[inline]
    pub(super) fn room_freed(&self) {
        // The fence in here pairs with those in `wait_for_room()`, `poll()` and `give_up_turn()`.
        if self.ring.producer_waits() {
            self.tell_producers();
        }
        self.waiters.signal_writers(|| self.is_writable());
    }

    /// Wakes a reader and the pollers of the consumer's end.
    #[cold]
    fn tell_consumers(&self) {
        self.ring.tell_consumer(&ForBytes(self));
    }

    /// Wakes the writers that can go on, and the pollers of the producer's end if it is writable.
    #[cold]
    fn tell_producers(&self) {
        self.ring.tell_producer(&ForRoom(self));
    }

    /// Wakes another reader if bytes are left. Called by a reader that was woken: it may have taken
    /// only some of the bytes, and nobody else will wake a reader for the rest.
    ///
    /// No fence is needed before `waiting` is loaded. This reader has left the queue: it has taken
    /// the queue's lock, or has seen that its waker, who had the lock, took it off. A reader that
    /// goes on the queue after the waker has looked at it gets the lock later, and so sees the
    /// bytes.
    #[inline]
    pub(super) fn wake_next_reader(&self) {
        if self.ring.consumer.is_waiting() && self.waiters.readers.has_sleepers() {
            self.wake_reader();
        }
    }

    /// Wakes other writers if room is left. See [`Fifo::wake_next_reader`].
    #[inline]
    pub(super) fn wake_next_writer(&self) {
        if self.ring.producer.is_waiting() && self.has_sleeping_writers() {
            self.wake_writers();
        }
    }

    /// Called after a write that did not sleep.
    ///
    /// Such a write may have taken room for which another writer was woken. That one sleeps again,
    /// although what is left may be enough for a writer that needs less. If no sleeping writer
    /// needs less than [`PIPE_BUF`], there is none to wake.
    ///
    /// Such writes are also what the turn protects sleeping writers from: if it is free, one of
    /// them is to take it now.
    #[inline]
    pub(super) fn after_direct_write(&self) {
        if self.small_writers.load(Relaxed) > 0 || self.large_writers.load(Relaxed) > 0 {
            self.wake_next_writer();
        }
        if self.turn_free.load(Relaxed) {
            self.offer_turn();
        }
    }

    /// Wakes one sleeping reader if there are bytes for it.
    fn wake_reader(&self) {
        if self.has_bytes() {
            trace::wake(self.index, Side::Consumer, Whom::One);
            self.waiters.readers.wake_one_sync();
        }
    }

    /// Whether a writer sleeps on either queue. A full fence, see [`Fifo::wake_queue`].
    fn has_sleeping_writers(&self) -> bool {
        self.turn_queue.has_sleepers() || self.waiters.writers.has_sleepers()
    }

    /// Wakes the sleeping writers that can go on: first the one that has the turn, then one of the
    /// others. If less than [`PIPE_BUF`] is left for these, or some need more, wakes all, since it
    /// is not known which of them fits.
    fn wake_writers(&self) {
        let first = self
            .turn
            .needed()
            .filter(|&needed| self.fits(needed, Self::free));
        if first.is_some() {
            trace::wake(self.index, Side::Producer, Whom::One);
            self.turn_queue.wake_one_sync();
        }
        if !self.waiters.writers.has_sleepers() {
            return;
        }
        let first = first.unwrap_or(0);
        let is_large = self.large_writers.load(Relaxed) > 0;
        if !is_large && self.fits(first + PIPE_BUF, Self::room) {
            trace::wake(self.index, Side::Producer, Whom::One);
            self.waiters.writers.wake_one_sync();
        } else if (is_large || self.small_writers.load(Relaxed) > 0)
            && self.fits(first + 1, Self::room)
        {
            trace::wake(self.index, Side::Producer, Whom::All);
            self.waiters.writers.wake_all();
        }
    }

    /// Wakes all sleepers and pollers of an end and sends all signals, because calls at this end
    /// fail from now on, or no longer fail.
    pub(super) fn wake_end(&self, side: Side) {
        self.wake_queues(side);
        match side {
            Side::Producer => self.waiters.signal_writers(|| true),
            Side::Consumer => self.waiters.signal_readers(|| true),
        }
    }

    /// As [`Fifo::wake_end`], because poll(2) reports something to everybody at this end now,
    /// whatever they have asked for: the other side has hung up, or the FIFO is in error.
    pub(super) fn wake_all_of_end(&self, side: Side) {
        self.wake_end(side);
        self.wake_queue(&self.waiters.hangup_pollers, side, Whom::Pollers);
    }

    /// Wakes all sleepers and pollers of an end.
    pub(super) fn wake_queues(&self, side: Side) {
        let waiters = &self.waiters;
        match side {
            Side::Producer => {
                self.wake_queue(&waiters.writers, side, Whom::All);
                self.wake_queue(&self.turn_queue, side, Whom::One);
                self.wake_queue(&waiters.write_pollers, side, Whom::Pollers);
            }
            Side::Consumer => {
                self.wake_queue(&waiters.readers, side, Whom::All);
                self.wake_queue(&waiters.read_pollers, side, Whom::Pollers);
            }
        }
    }

    /// Wakes everybody on a queue.
    ///
    /// `has_sleepers()` is a full fence between the caller's stores and the look at the queue. It
    /// pairs with the fence of `Ring::*_will_wait()`, between going on the queue and the check.
    pub(super) fn wake_queue(&self, queue: &WaitQueue, side: Side, whom: Whom) {
        if queue.has_sleepers() {
            trace::wake(self.index, side, whom);
            queue.wake_all();
        }
    }

    /// As [`Fifo::bytes_arrived`], whether or not `waiting` is set. For bytes that the owner of a
    /// claim has published, and for the end of a claim, whose owner may have cleared `waiting`.
    pub(super) fn tell_of_bytes(&self) {
        self.tell_consumers();
        self.waiters.signal_readers(|| self.has_bytes());
    }

    /// As [`Fifo::tell_of_bytes`], for room.
    pub(super) fn tell_of_room(&self) {
        self.tell_producers();
        self.waiters.signal_writers(|| self.is_writable());
    }
}

// Pollers are woken without a key, though `wake_up_poll()` could pass one. io_uring would take the
// key for the answer and not poll again, but only by polling again does a poller set `waiting`.

/// Everybody who waits for bytes.
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

    /// Pollers are woken for any byte, and check themselves.
    fn is_ready(&self) -> bool {
        true
    }

    fn wake_sleepers(&self) {
        self.0.wake_reader();
    }

    fn exclusive(&self) -> bool {
        self.0.consumer.exclusive.load(Relaxed)
    }

    fn set_exclusive(&self, exclusive: bool) {
        self.0.consumer.exclusive.store(exclusive, Relaxed);
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

/// Everybody who waits for room.
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
        self.0.is_writable()
    }

    fn wake_sleepers(&self) {
        self.0.wake_writers();
    }

    fn exclusive(&self) -> bool {
        self.0.producer.exclusive.load(Relaxed)
    }

    fn set_exclusive(&self, exclusive: bool) {
        self.0.producer.exclusive.store(exclusive, Relaxed);
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
