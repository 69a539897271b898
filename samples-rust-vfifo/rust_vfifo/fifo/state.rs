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
//! lasts until [`Fifo::clear`] is called or a claim on either end ends. A bad header of a record
//! also leads to it, and needs no claim: any program that maps the data can store one.
//!
//! | claimed | in error | calls at this end | poll(2) |
//! |---|---|---|---|
//! | no | no | go on | according to bytes and room |
//! | yes | no | fail with [`EBUSY`] | [`ERROR`] and the event, unless through the owner's file |
//! | no | yes | fail with [`EIO`] | [`ERROR`] and the event |
//! | yes | yes | fail with [`EBUSY`] | [`ERROR`] and the event |
//!
//! Sleepers and pollers look again when a claim begins or ends (`wake_end()`), when the error state
//! begins (`wake_all_of_end()`), and after clearing as after any other call that frees room.
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
    transfer::Step,
    Fifo, //
};
use kernel::{
    prelude::*,
    sync::atomic::{
        Acquire,
        Atomic,
        Relaxed,
        Release, //
    }, //
};

/// Some reason why a transfer may not take the straight path. All are tested at once.
pub(super) struct Flags(Atomic<u32>);

impl Flags {
    /// The FIFO is in its error state.
    pub(super) const ERROR: u32 = 1;
    /// There are no readers, and writes may fail with [`EPIPE`]: see `hangup.rs`.
    pub(super) const NO_READERS: u32 = 2;
    /// There are no writers, and reads may be at the end: see `hangup.rs`.
    pub(super) const NO_WRITERS: u32 = 4;
    /// Reads may have to be noted, see `hangup.rs`.
    pub(super) const UNMET: u32 = 8;
    /// The framing is `record`. Changes with both locks held, see `settings.rs`.
    pub(super) const RECORDS: u32 = 16;
    /// The producer overwrites. Changes with both locks held, see `settings.rs`.
    pub(super) const OVERWRITE: u32 = 32;
    /// The FIFO is not a byte stream whose producer waits.
    pub(super) const OTHER_KIND: u32 = Self::RECORDS | Self::OVERWRITE;

    /// Sets `flags`, and no others.
    pub(super) fn new(flags: u32) -> Self {
        Self(Atomic::new(flags))
    }

    /// Whether any of `flags` is set. No ordering.
    #[inline]
    pub(super) fn any(&self, flags: u32) -> bool {
        self.0.load(Relaxed) & flags != 0
    }

    /// As [`Flags::any`]. Pairs with [`Flags::set`]: whatever was stored before one of `flags` was
    /// set is visible afterwards.
    #[inline]
    pub(super) fn any_acquire(&self, flags: u32) -> bool {
        self.0.load(Acquire) & flags != 0
    }

    /// All flags. No ordering.
    pub(super) fn load(&self) -> u32 {
        self.0.load(Relaxed)
    }

    /// Sets `flag`, or clears it if `on` is false. Pairs with [`Flags::any_acquire`].
    pub(super) fn set(&self, flag: u32, on: bool) {
        let mut old = self.0.load(Relaxed);
        loop {
            let new = match on {
                true => old | flag,
                false => old & !flag,
            };
            if new == old {
                return;
            }
            match self.0.cmpxchg(old, new, Release) {
                Ok(_) => return,
                Err(now) => old = now,
            }
        }
    }
}

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
        self.flags.any(Flags::ERROR)
    }

    /// Whether calls at an end would fail now, rather than sleep or go on.
    ///
    /// Sleepers ask this before they sleep. See [`EndStatus::owner`] for the fences; the flag is
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

    /// Checks whether a call that holds the lock of `end` may go on, on the straight path.
    ///
    /// # Errors
    ///
    /// The step that the caller returns: as [`Fifo::check_usable`], or [`Step::OtherKind`].
    #[inline(always)]
    pub(super) fn check_straight(&self, end: &End) -> Result<(), Step> {
        if end.claimed {
            return Err(Step::Failed(EBUSY));
        }
        if self.flags.any(Flags::ERROR | Flags::OTHER_KIND) {
            return Err(self.not_straight());
        }
        Ok(())
    }

    #[cold]
    fn not_straight(&self) -> Step {
        match self.is_in_error() {
            true => Step::Failed(EIO),
            false => Step::OtherKind,
        }
    }

    /// As [`Fifo::check_straight`], for a call that is for this `kind`: a set of the flags in
    /// [`Flags::OTHER_KIND`].
    pub(super) fn check_kind(&self, end: &End, kind: u32) -> Result<(), Step> {
        self.check_usable(end).map_err(Step::Failed)?;
        match self.kind() == kind {
            true => Ok(()),
            false => Err(Step::OtherKind),
        }
    }

    /// The kind of the FIFO: which flags of [`Flags::OTHER_KIND`] are set. Stays the same while the
    /// lock of an end is held.
    pub(super) fn kind(&self) -> u32 {
        self.flags.load() & Flags::OTHER_KIND
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
        self.flags.set(Flags::ERROR, true);
        for side in Side::BOTH {
            self.wake_all_of_end(side);
        }
        EIO
    }
}
