// SPDX-License-Identifier: GPL-2.0
// Copyright (C) 2026 Seed 1f3ad1c2 maintainers.

//! Clearing: `VFIFO_CLEAR`.
//!
//! # Invariants
//!
//! `tail` and the number of cleared bytes change together, with `cleared` held. So `bytes_read()`,
//! which is their difference, never goes back or jumps.
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
        let cleared = {
            let mut total = self.cleared.lock();
            let cleared = self.ring.clear(&mut end.cursor);
            // All bytes from `tail` to `head`, even if that is an impossible number: none of them
            // was read.
            *total = total.wrapping_add(end.cursor.position.wrapping_sub(tail));
            cleared
        };
        if cleared > 0 {
            trace::consume(self.index, tail, cleared, By::Clear);
        }
        self.flags.set(Flags::ERROR, false);
        drop(end);
        dynamic_pr_debug!("{}: cleared {} bytes\n", self.name, cleared);
        self.room_freed();
        Ok(())
    }
}
