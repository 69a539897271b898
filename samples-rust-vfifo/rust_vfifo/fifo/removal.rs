// SPDX-License-Identifier: GPL-2.0
// Copyright (C) 2026 Seed 1f3ad1c2 maintainers.

//! What the removal of the device means for files that are still open.
//!
//! They go on, like those of an unlinked FIFO. But since nobody can open the device any more, a
//! reader must not wait for a writer that can never come, and the other way round: from now on the
//! FIFO hangs up, and each file counts as having met its peer.
//!
//! # Context
//!
//! Process context, no lock held. Does not sleep.

use super::{
    end::Side,
    Fifo, //
};
impl Fifo {
    /// The device is being removed. From now on, every file counts as having met its peer.
    pub(crate) fn begin_removal(&self) {
        self.hangup.set_removed();
    }

    /// Whether [`Fifo::begin_removal`] was called.
    pub(crate) fn is_removed(&self) -> bool {
        self.hangup.is_removed()
    }

    /// The device has been removed, after [`Fifo::begin_removal`]. It cannot be undone: its
    /// attribute `hangup` is gone, too.
    pub(crate) fn device_removed(&self) {
        self.set_hangup(true);
        // Also those who have met nobody. A sleeper sees the removal for the reason that is given
        // as the second barrier in `hangup.rs`.
        for side in Side::BOTH {
            self.wake_all_of_end(side);
        }
    }
}
