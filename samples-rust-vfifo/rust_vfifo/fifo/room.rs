// SPDX-License-Identifier: GPL-2.0
// Copyright (C) 2026 Seed 1f3ad1c2 maintainers.

//! How many bytes are queued, and how many more fit.
//!
//! The numbers are those of an instant during the call. They are exact for a caller that holds the
//! lock of an end, as far as that end moves them.
//!
//! *Free* bytes are those that are not queued. *Room* is the part of them that a writer may fill
//! which does not have the [turn]. A sleeping writer waits for exactly what its transfer checks:
//! [`Fifo::free`] if it has the turn, [`Fifo::room`] if not. Otherwise it would spin.
//!
//! # Context
//!
//! Any. No function sleeps or takes a lock.
//!
//! [turn]: super::super::turn

use super::{
    super::{
        ring::{
            Broken,
            End as _, //
        },
        uapi::PIPE_BUF, //
    },
    end::Side,
    Fifo, //
};
use kernel::prelude::*;

impl Fifo {
    /// The number of bytes queued.
    pub(crate) fn size(&self) -> u64 {
        // With impossible positions there is no number to report.
        self.queued().unwrap_or(0)
    }

    /// The number of bytes queued, or [`Broken`] if the positions are impossible.
    pub(super) fn queued(&self) -> Result<u64, Broken> {
        let mut capacity = self.capacity();
        let mut overwrites = self.overwrites();
        loop {
            let queued = match overwrites {
                true => self.ring.size_overwriting(capacity),
                false => self.ring.size(capacity),
            };
            // If the capacity grew meanwhile, more may be queued than fitted before. If overwriting
            // was switched on, `tail` does not follow `head` any more.
            let before = (capacity, overwrites);
            capacity = self.capacity();
            overwrites = self.overwrites();
            if queued.is_ok() || (capacity, overwrites) == before {
                return queued;
            }
        }
    }

    /// Whether bytes are queued, or positions are impossible: in both cases a reader can go on.
    ///
    /// The acquire loads pair with the release stores in `Ring::produce()` and `Ring::consume()`.
    #[inline]
    pub(super) fn has_bytes(&self) -> bool {
        self.ring.producer.load_acquire() != self.ring.consumer.load_acquire()
            && !(self.overwrites() && self.queued() == Ok(0))
    }

    /// The number of free bytes if `queued` bytes are queued.
    pub(super) fn free(&self, queued: u64) -> u64 {
        self.capacity().saturating_sub(queued)
    }

    /// The number of free bytes that a writer without the turn may fill. For the owner of a claim
    /// there are no turns.
    pub(super) fn room(&self, queued: u64) -> u64 {
        let free = self.free(queued);
        if self.is_claimed(Side::Producer) {
            return free;
        }
        self.turn
            .left_for_others(self.ring.producer.load_acquire(), free)
    }

    /// As [`Fifo::room`], for the first of the writers that sleep without the turn. It takes the
    /// turn if that is reserved, and may then fill all that is free.
    pub(super) fn room_of_first(&self, queued: u64) -> u64 {
        match self.turn.is_reserved() {
            true => self.free(queued),
            false => self.room(queued),
        }
    }

    /// Whether `needed` bytes fit, or positions are impossible: in both cases a writer can go on.
    /// So it can if the producer overwrites. `count` is [`Fifo::free`] for the writer that has the
    /// turn, [`Fifo::room`] for others.
    pub(super) fn fits(&self, needed: u64, count: impl FnOnce(&Self, u64) -> u64) -> bool {
        if self.overwrites() {
            return true;
        }
        // With impossible positions the writer is to report an error.
        self.queued()
            .map_or(true, |queued| count(self, queued) >= needed)
    }

    /// The room with which poll(2) reports that the FIFO is writable: that of an atomic write.
    /// While the producer's end is claimed a single byte is enough, or the smallest record, since
    /// its owner does not call write(2) and knows how much it needs.
    pub(super) fn writable_room(&self) -> u64 {
        let is_claimed = self.is_claimed(Side::Producer);
        self.framing()
            .writable_room(self.capacity(), PIPE_BUF as u32, is_claimed)
    }

    /// The room with which sleeping writers are woken: that of an atomic write, as for poll(2).
    ///
    /// The consumer frees that much before it runs out of bytes. A writer that needs less does not
    /// go on before: it would soon sleep again, and each time costs two context switches. Writers
    /// of a pipe wait for a free page for the same reason.
    pub(super) fn wake_room(&self) -> u64 {
        self.framing()
            .writable_room(self.capacity(), PIPE_BUF as u32, false)
    }

    /// Whether sleeping writers are to be woken as soon as they fit.
    ///
    /// The owner of the consumer's end may wait for any number of bytes, and until they come, it
    /// frees no more room.
    pub(super) fn is_exact(&self) -> bool {
        self.is_claimed(Side::Consumer)
    }

    /// Whether poll(2) reports that the FIFO is writable.
    pub(super) fn is_writable(&self) -> bool {
        self.fits(self.writable_room(), Self::room)
    }
}
