// SPDX-License-Identifier: GPL-2.0
// Copyright (C) 2026 Seed 1f3ad1c2 maintainers.

//! Waking readers, writers and pollers: when bytes arrive, when room is freed, and when the state
//! of an end changes. The other half of the protocol is in `sleeping.rs`.
//!
//! | event | function | reader | writer | pollers, signals |
//! |---|---|---|---|---|
//! | bytes were queued | [`Fifo::bytes_arrived`] | one | | consumers |
//! | room was freed | [`Fifo::room_freed`] | | one | producers |
//! | a woken reader is done | [`Fifo::wake_next_reader`] | one | | |
//! | a woken writer is done | [`Fifo::wake_next_writer`] | | one | |
//! | a write did not sleep | [`Fifo::after_direct_write`] | | if it may fit into less | |
//! | a writer gives up the turn | [`Fifo::give_up_turn`] | | all that it held back | producers |
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
//! Any reader can go on with a single byte, and any writer with the room of an atomic write, see
//! [`Fifo::wake_room`]. So one sleeper is woken, and if it leaves as much behind, it wakes the next
//! one. Until then, no other one is woken: see `relay.rs`. The writer that has the turn is woken
//! first. If it needs more room, for a record, it sleeps until there is as much.
//!
//! Nobody sleeps forever. The consumer frees that room before it runs out of bytes. Its owner, if
//! the end is claimed, may stop before, so then a writer is woken as soon as it fits. With less
//! room it matters which one is woken, so all of them are, if one of them may fit. All are woken as
//! well while writers of records sleep that need more.
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
        }, //
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
            self.tell_producers_of_more();
        }
        self.waiters.signal_writers(|| self.is_writable());
    }

    /// Wakes a reader and the pollers of the consumer's end.
    #[cold]
    fn tell_consumers(&self) {
        self.ring.tell_consumer(&ForBytes(self));
    }

    /// Wakes the writers that can go on, and the pollers of the producer's end if it is writable.
    fn tell_producers(&self) {
        self.ring.tell_producer(&ForRoom(self));
    }

    /// As [`Fifo::tell_producers`], if `waiting` is set and the kernel has freed room. Often that
    /// is not enough yet for any sleeper or poller; then `waiting` stays set.
    #[cold]
    fn tell_producers_of_more(&self) {
        if self.is_exact() || self.fits(self.writable_room(), Self::free) {
            self.tell_producers();
        }
    }

    /// Wakes another reader if bytes are left. Called by a reader that was woken: it may have taken
    /// only some of the bytes, and nobody else will wake a reader for the rest.
    ///
    /// `finish()` is a full fence. A transfer that found the relay under way has published its
    /// bytes before, so they are seen here. If `waiting` is not set, a transfer has cleared it and
    /// has yet to look at the relay; it then finds that it is finished.
    #[inline]
    pub(super) fn wake_next_reader(&self) {
        self.reader_relay.finish();
        if self.ring.consumer.is_waiting() && self.waiters.readers.has_sleepers() {
            self.wake_reader();
        }
    }

    /// Wakes other writers if room is left. See [`Fifo::wake_next_reader`].
    #[inline]
    pub(super) fn wake_next_writer(&self) {
        self.writer_relay.finish();
        if self.ring.producer.is_waiting() && self.has_sleeping_writers() {
            self.wake_writers();
        }
    }

    /// Called after a write that did not sleep.
    ///
    /// Such a write may have taken room for which another writer was woken. That one sleeps again,
    /// although what is left may be enough for a writer that needs less. This matters if one of the
    /// sleepers needs more than [`Fifo::wake_room`], or if they are to be woken as soon as they
    /// fit.
    ///
    /// Such writes are also what the turn protects sleeping writers from: if it is free, it is to
    /// be reserved for one of them now.
    #[inline]
    pub(super) fn after_direct_write(&self) {
        if self.large_writers.load(Relaxed) > 0
            || (self.small_writers.load(Relaxed) > 0 && self.is_exact())
        {
            self.wake_next_writer();
        }
        if self.turn_free.load(Relaxed) {
            self.reserve_turn();
        }
    }

    /// Wakes one sleeping reader if there are bytes for it.
    fn wake_reader(&self) {
        self.reader_relay.wake(
            &self.waiters.readers,
            || self.has_bytes(),
            || trace::wake(self.index, Side::Consumer, Whom::One),
        );
    }

    /// Whether a writer sleeps on either queue. A full fence, see [`Fifo::wake_queue`].
    fn has_sleeping_writers(&self) -> bool {
        self.turn_queue.has_sleepers() || self.waiters.writers.has_sleepers()
    }

    /// Wakes the sleeping writers that can go on: the one that has the turn, or one of the others.
    /// Wakes none before [`Fifo::wake_room`] is free, except if they are to be woken as soon as
    /// they fit. All are woken if it is not known which of them fits.
    fn wake_writers(&self) {
        let exact = self.is_exact();
        let least = self.wake_room();
        let mut first = 0;
        if let Some(needed) = self.turn.needed() {
            let wanted = if exact { needed } else { needed.max(least) };
            if self.fits(wanted, Self::free) {
                first = needed;
                if self.turn_queue.has_sleepers() {
                    trace::wake(self.index, Side::Producer, Whom::One);
                    self.turn_queue.wake_one_sync();
                }
                // It wakes the others when it has been served, or cannot go on.
                if !exact {
                    return;
                }
            }
        }
        if !self.waiters.writers.has_sleepers() {
            return;
        }
        let fits = |needed| self.fits(first + needed, Self::room_of_first);
        let is_large = self.large_writers.load(Relaxed) > 0;
        if is_large || (exact && self.small_writers.load(Relaxed) > 0 && !fits(least)) {
            if fits(if exact { 1 } else { least }) {
                self.wake_queue(&self.waiters.writers, Side::Producer, Whom::All);
            }
            return;
        }
        self.writer_relay.wake(
            &self.waiters.writers,
            || fits(least),
            || trace::wake(self.index, Side::Producer, Whom::One),
        );
    }

    /// Wakes writers that the turn has held back and that may fit into less than
    /// [`Fifo::wake_room`]. They were not waiting for the consumer, so it need not free more.
    pub(super) fn wake_held_writers(&self) {
        let small = self.small_writers.load(Relaxed) > 0;
        if small && !self.fits(self.wake_room(), Self::room) && self.fits(1, Self::room) {
            self.wake_queue(&self.waiters.writers, Side::Producer, Whom::All);
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
