// SPDX-License-Identifier: GPL-2.0
// Copyright (C) 2026 Seed 1f3ad1c2 maintainers.

//! Sleeping until bytes arrive or room is freed. The other half of the protocol is in `waking.rs`.
//!
//! A reader sleeps until a byte is queued. A writer of up to [`PIPE_BUF`] bytes sleeps until all of
//! them fit, since they are written at once. A writer of more bytes may write them in parts, but
//! sleeps until [`PIPE_BUF`] of them fit, so that it is not woken for a few bytes at a time. A
//! writer of a record sleeps until all of it fits, whatever its size. These are the conditions that
//! are checked. When a writer is woken to check is another matter: not for less room than poll(2)
//! waits for, see `waking.rs`.
//!
//! | queue | sleepers |
//! |---|---|
//! | `waiters.readers` | readers |
//! | `waiters.writers` | writers that do not have the turn (see `turn.rs`) |
//! | `turn_queue` | the writer that has the turn |
//!
//! # The life of a sleeper
//!
//! ```text
//!   a transfer cannot go on
//!        |
//!        |  .-----------------------------------------.
//!        v  v                                         |
//!   goes on the queue                                 |
//!        |                                            |
//!   announces itself: sets its end's `waiting`, fence |
//!        |                                            |
//!   checks its condition ------- holds -----------.   |
//!        | does not hold                          |   |
//!   signal pending? ---- yes ---> ERESTARTSYS     |   |
//!        | no                                     |   |
//!   sleeps                                        |   |
//!        | woken: the waker has cleared `waiting` |   |
//!        v                                        |   |
//!   checks its condition ------- holds -----------+   |
//!        | does not hold                          |   |
//!        '----------------------------------------|---'
//!                                                 v
//!                                     leaves the queue, retries the
//!                                     transfer, wakes the next sleeper
//! ```
//!
//! The condition is exactly what the transfer checks. The waker clears `waiting`; the sleeper never
//! does. A sleeper that was woken therefore checks its condition before it announces itself again.
//! If it does not hold, another transfer was faster. The sleeper then finishes the relay (see
//! `relay.rs`) before that last check.
//!
//! # Context
//!
//! Process context, no lock held. All functions may sleep.

use super::{
    super::{
        ring::{
            Cursor,
            End as _, //
        },
        trace::{
            self,
            Whom, //
        },
        turn::Ticket,
        uapi::PIPE_BUF, //
    },
    end::Side,
    transfer::Call,
    Fifo, //
};
use core::cmp::Ordering;
use kernel::{
    prelude::*,
    sync::atomic::Relaxed, //
};

impl Fifo {
    /// Sleeps until a byte is queued, a read would fail, or it is at the end of the stream.
    ///
    /// Has an instance for each type of memory that is read to, for the reason that `FIRST` of
    /// `read_once()` has: the wait then has a single caller, and is inlined.
    ///
    /// # Errors
    ///
    /// [`ERESTARTSYS`] if a signal came first.
    #[allow(
        clippy::extra_unused_type_parameters,
        reason = "one instance for each caller, so that it is inlined"
    )]
    #[inline(always)]
    pub(super) fn wait_for_bytes<To>(&self, call: impl Call) -> Result {
        self.stats.reader_sleeps.fetch_add(1, Relaxed);
        trace::sleep(self.index, Side::Consumer, 1);
        let mut was_woken = true;
        self.waiters.readers.wait_announced_interruptible(
            // The fence in here pairs with the one in `bytes_arrived()`.
            || self.ring.consumer_will_wait(),
            // In this order, see the third barrier in `hangup.rs`.
            || {
                let can_go_on =
                    self.has_bytes() || self.is_unusable(Side::Consumer) || self.writers_gone(call);
                // Every other check is made after a wake-up.
                was_woken = !was_woken;
                if was_woken && !can_go_on {
                    // It checks again before it sleeps.
                    self.reader_relay.finish();
                }
                can_go_on
            },
        )
    }

    /// Sleeps until `needed` bytes fit, at most [`PIPE_BUF`] or a record, until a write would fail,
    /// or until the turn can be taken or was lost. In each case the caller retries its transfer. It
    /// also does so if the FIFO is not, or no longer, of the `kind` for which it needs that many
    /// bytes.
    ///
    /// # Errors
    ///
    /// [`ERESTARTSYS`] if a signal came first.
    #[cold]
    pub(super) fn wait_for_room(
        &self,
        call: impl Call,
        ticket: &mut Ticket,
        kind: u32,
        needed: u64,
    ) -> Result {
        let writers = &self.waiters.writers;
        let end = self.writer.lock();
        if end.claimed {
            // The write fails, or the claim ends before it is tried again.
            return Ok(());
        }
        // Writers that sleep without the turn came before this one.
        let is_first = !ticket.is_none() || !writers.has_sleepers();
        let Cursor {
            position, capacity, ..
        } = end.cursor;
        let has_turn = self.turn.take(ticket, is_first, position, capacity, needed);
        if !has_turn {
            // For the first of them; this one gives it up in the end if no other does before.
            self.turn.reserve(position, capacity);
        }
        drop(end);
        // It may have been woken, and cannot go on. It checks again before it sleeps. Not earlier:
        // the next one could be woken for the turn before this one takes it.
        self.writer_relay.finish();

        self.stats.writer_sleeps.fetch_add(1, Relaxed);
        trace::sleep(self.index, Side::Producer, needed);
        // The fence in here pairs with the one in `room_freed()`.
        let announce = || self.ring.producer_will_wait();
        // The settings may have changed, so that it needs another number of bytes, or so many never
        // fit. See `set_framing()` and `resize()`, which wake all writers.
        let least = self.wake_room();
        let other_need =
            || self.kind() != kind || needed > self.capacity() || self.wake_room() != least;
        if has_turn {
            // The writer that this one took the turn from, if any, joins the others.
            self.wake_queue(&self.turn_queue, Side::Producer, Whom::One);
            let result = self.turn_queue.wait_announced_interruptible(announce, || {
                self.fits(needed, Self::free)
                    || other_need()
                    || !self.turn.is_held_by(ticket)
                    || self.is_unusable(Side::Producer)
                    || self.readers_gone(call)
            });
            // If another writer took the turn over, this one may have been woken in its place.
            if !self.turn.is_held_by(ticket) {
                self.wake_next_writer();
            }
            return result;
        }

        // Counted before the fence in `announce`, which pairs with the one in `room_freed()`:
        // either this writer sees the room, or the waker sees the count.
        let other = match needed.cmp(&least) {
            Ordering::Equal => None,
            Ordering::Less => Some(&self.small_writers),
            Ordering::Greater => Some(&self.large_writers),
        };
        if let Some(count) = other {
            count.fetch_add(1, Relaxed);
        }
        let mut was_woken = true;
        let result = writers.wait_announced_interruptible(announce, || {
            // Every other check is made after a wake-up. Before sleeping, a turn that is free or
            // reserved is left to a writer that came before, unless there is enough room: nobody
            // may free any more. A writer that was woken takes it.
            was_woken = !was_woken;
            if self.fits(needed, Self::room_of_first)
                || other_need()
                || (was_woken && self.turn.is_held_by_newer(ticket))
                || self.is_unusable(Side::Producer)
                || self.readers_gone(call)
            {
                return true;
            }
            if was_woken {
                // It checks again before it sleeps.
                self.writer_relay.finish();
            }
            let is_free = !self.turn.is_taken();
            if is_free && !was_woken {
                self.turn_free.store(true, Relaxed);
            }
            is_free && was_woken
        });
        if let Some(count) = other {
            count.fetch_sub(1, Relaxed);
        }
        result
    }

    /// Gives up the turn if the writer with this ticket has it. If the turn held others back, tells
    /// everybody who waits for room.
    ///
    /// Nobody is woken only to take the turn. Sleeping writers go on in their order as room is
    /// freed. They need the turn only when a writer comes that has not slept, and this one reserves
    /// it for them.
    pub(super) fn give_up_turn(&self, ticket: &Ticket) {
        if ticket.is_none() {
            // It has not slept.
            return;
        }
        // Also if this writer was woken to take the turn, and did not take it.
        self.turn_free.store(true, Relaxed);
        let Some(limit) = self.turn.give_up(ticket) else {
            return;
        };
        // `Turn::give_up()` is a full fence, and pairs with the one in `room_freed()`. A consumer
        // that saw the turn taken may have told nobody, but then this sees the room that it freed.
        // A consumer that frees room later sees that the turn is free.
        let held_back = self.queued().map_or(true, |queued| {
            // Pairs with the release of the writer that has published last.
            let head = self.ring.producer.load_acquire();
            let most = self.writable_room().max(PIPE_BUF);
            limit.held_back(head, self.free(queued), most)
        });
        if held_back {
            self.room_freed();
            self.wake_held_writers();
        }
    }

    /// Reserves the turn for the first sleeping writer, unless it is taken. The limit for others
    /// holds at once. The writer takes the turn, or gives it up, when it is woken: there is no need
    /// to wake it before there is room.
    #[cold]
    pub(super) fn reserve_turn(&self) {
        self.turn_free.store(false, Relaxed);
        let writers = &self.waiters.writers;
        if !writers.has_sleepers() {
            return;
        }
        let end = self.writer.lock();
        let reserved = !end.claimed && self.turn.reserve(end.cursor.position, end.cursor.capacity);
        drop(end);
        // Each sleeper gives the turn up after it has left the queue. If all have left before the
        // turn was reserved, none will. This is a full fence, and pairs with that in `give_up()`.
        if reserved && !writers.has_sleepers() {
            self.turn.unreserve();
            self.room_freed();
        }
    }
}
