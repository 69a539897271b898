// SPDX-License-Identifier: GPL-2.0
// Copyright (C) 2026 Seed 1f3ad1c2 maintainers.

//! The state of an end: free, claimed or in error. It decides whether a call may go on.
//!
//! ```text
//!         Fifo::claim()
//!  free -----------------> claimed ----------------------.
//!   ^  <-----------------     ^                          |  the owner has stored an
//!   |   drop of the Claim     |                          |  impossible position:
//!   |                         | Fifo::clear()            |  enter_error_state()
//!   |                         |                          |
//!   |                         '------------- error <-----'
//!   |                                          |
//!   '------------------------------------------'
//!                drop of the Claim
//! ```
//!
//! The error state is one of the whole FIFO: the other end is in it as well, claimed or not. It
//! lasts until [`Fifo::clear`] is called or a claim on either end ends.
//!
//! | claimed | in error | calls at this end | poll(2) |
//! |---|---|---|---|
//! | no | no | go on | according to bytes and room |
//! | yes | no | fail with [`EBUSY`] | [`ERROR`] and the event, unless through the owner's file |
//! | no | yes | fail with [`EIO`] | [`ERROR`] and the event |
//! | yes | yes | fail with [`EBUSY`] | [`ERROR`] and the event |
//!
//! Sleepers and pollers look again when a claim begins or ends and when the error state begins
//! (`wake_end()`), and after clearing as after any other call that frees room.
//!
//! # Context
//!
//! Any; no function sleeps. `reader` and `writer` may be held. [`Fifo::check_usable`] needs the
//! end's lock; the answers of the others may be out of date when they return.
//!
//! [`ERROR`]: kernel::chrdev::Events::ERROR

use super::{
    super::{
        ring::End as _,
        trace, //
    },
    end::{
        End,
        FileId,
        Side, //
    },
    Fifo, //
};
use kernel::{
    prelude::*,
    sync::atomic::Relaxed, //
};

impl Fifo {
    /// Whether an end is claimed.
    pub(crate) fn is_claimed(&self, side: Side) -> bool {
        self.end(side).owner.load(Relaxed) != 0
    }

    /// Whether an end is claimed through another file than `file`.
    pub(super) fn is_claimed_by_another(&self, side: Side, file: FileId) -> bool {
        ![0, file.0].contains(&self.end(side).owner.load(Relaxed))
    }

    /// Whether the FIFO is in its error state.
    pub(super) fn is_in_error(&self) -> bool {
        self.in_error.load(Relaxed)
    }

    /// Whether calls at an end would fail now, rather than sleep or go on.
    ///
    /// Sleepers ask this before they sleep. See [`EndStatus::owner`] for the fences; `in_error` is
    /// ordered in the same way.
    ///
    /// [`EndStatus::owner`]: super::end::EndStatus::owner
    pub(super) fn is_unusable(&self, side: Side) -> bool {
        self.is_claimed(side) || self.is_in_error()
    }

    /// Checks whether a call that holds the lock of `end` may go on.
    ///
    /// # Errors
    ///
    /// [`EBUSY`] if the end is claimed, [`EIO`] if the FIFO is in its error state.
    #[inline]
    pub(super) fn check_usable(&self, end: &End) -> Result {
        if end.claimed {
            Err(EBUSY)
        } else if self.is_in_error() {
            Err(EIO)
        } else {
            Ok(())
        }
    }

    /// Puts the FIFO into its error state, because the ring has found an impossible position.
    /// Returns the error for the caller, [`EIO`].
    ///
    /// The state lasts until [`Fifo::clear`] is called or a claim ends.
    #[cold]
    pub(super) fn enter_error_state(&self) -> Error {
        trace::broken(
            self.index,
            self.ring.producer.load_acquire(),
            self.ring.consumer.load_acquire(),
        );
        self.stats.position_errors.fetch_add(1, Relaxed);
        self.in_error.store(true, Relaxed);
        for side in Side::BOTH {
            self.wake_end(side);
        }
        EIO
    }
}
