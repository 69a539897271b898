// SPDX-License-Identifier: GPL-2.0
// Copyright (C) 2026 Seed 1f3ad1c2 maintainers.

//! Clearing: `VFIFO_CLEAR`.
//!
//! # Invariants
//!
//! `tail` and the number of cleared bytes change together, see `Fifo::drop_bytes()`. So
//! `bytes_read()`, which is their difference, never goes back or jumps.
//!
//! # Context
//!
//! Process context, no lock held. May sleep.

use super::{
    super::trace::{
        self,
        By, //
    },
    state::Flags,
    Fifo, //
};
use kernel::{
    dynamic_debug::dynamic_pr_debug,
    prelude::*, //
};

impl Fifo {
    /// Drops all queued bytes. Ends the error state.
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
        end.resets = end.resets.wrapping_add(1);
        let mut writer = self.overwrites().then(|| self.writer.lock());
        let (cleared, lost) = self.drop_bytes(|not_read| {
            let Some(writer) = &mut writer else {
                let cleared = self.ring.clear(&mut end.cursor);
                // All bytes from `tail` to `head`, even if that is an impossible number: none of
                // them was read.
                not_read.cleared(end.cursor.position.wrapping_sub(tail));
                return (cleared, 0);
            };
            let done = self.ring.clear_overwriting(&mut end.cursor);
            // Otherwise a producer of records could be stopped for good by a bad header that the
            // consumer has passed.
            if !writer.claimed {
                self.ring
                    .start_overwriting(&mut writer.cursor, &mut end.cursor);
            }
            not_read.cleared(done.cleared);
            not_read.overwritten(done.lost);
            (done.cleared.min(end.cursor.capacity), done.lost)
        });
        if cleared > 0 {
            // What is cleared begins after what was gone.
            trace::consume(self.index, tail.wrapping_add(lost), cleared, By::Clear);
        }
        self.flags.set(Flags::ERROR, false);
        drop(writer);
        drop(end);
        dynamic_pr_debug!("{}: cleared {} bytes\n", self.name, cleared);
        self.room_freed();
        Ok(())
    }
}
