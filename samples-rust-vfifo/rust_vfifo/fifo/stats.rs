// SPDX-License-Identifier: GPL-2.0
// Copyright (C) 2026 Seed 1f3ad1c2 maintainers.

//! The counters, which are in `stats/` of the sysfs folder.
//!
//! # Context
//!
//! Any. No function sleeps, or takes a lock that a transfer takes.

use super::{
    super::ring::End as _,
    Fifo, //
};
use kernel::sync::atomic::Atomic;

/// Counters for debugging. All of them count from the time when the device was made.
pub(crate) struct Stats {
    /// How often a reader went to sleep.
    pub(crate) reader_sleeps: Atomic<u64>,
    /// How often a writer went to sleep.
    pub(crate) writer_sleeps: Atomic<u64>,
    /// How often [`Fifo::notify`] was called.
    pub(crate) notifies: Atomic<u64>,
    // The last three change rarely. They share a cache line with fields that each transfer reads.
    /// Generated messages that were not written because they did not fit, the producer's end was
    /// claimed, or the FIFO was in its error state.
    pub(crate) dropped: Atomic<u64>,
    /// How often the last writer or the last reader has left while hanging up was enabled.
    pub(crate) hangups: Atomic<u64>,
    /// How often the owner of an end was found to have stored an impossible position.
    pub(crate) position_errors: Atomic<u64>,
}

impl Stats {
    /// All zero.
    pub(super) fn new() -> Self {
        Self {
            reader_sleeps: Atomic::new(0),
            writer_sleeps: Atomic::new(0),
            notifies: Atomic::new(0),
            dropped: Atomic::new(0),
            hangups: Atomic::new(0),
            position_errors: Atomic::new(0),
        }
    }
}

impl Fifo {
    /// The number of bytes produced so far.
    pub(crate) fn bytes_written(&self) -> u64 {
        self.ring.producer.load_acquire()
    }

    /// The number of bytes consumed so far, without those that were cleared.
    pub(crate) fn bytes_read(&self) -> u64 {
        let cleared = self.cleared.lock();
        self.ring.consumer.load_acquire().wrapping_sub(*cleared)
    }

    /// The number of bytes dropped by clearing.
    pub(crate) fn bytes_cleared(&self) -> u64 {
        *self.cleared.lock()
    }
}
