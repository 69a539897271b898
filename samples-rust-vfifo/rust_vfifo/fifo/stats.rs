// SPDX-License-Identifier: GPL-2.0
// Copyright (C) 2026 Seed 1f3ad1c2 maintainers.

//! The counters, which are in `stats/` of the sysfs folder.
//!
//! # Context
//!
//! Any. No function sleeps. Those that return a number take no lock.

use super::{
    super::ring::{
        overwrite::{
            gone,
            Oldest as _, //
        },
        End as _, //
    },
    Fifo, //
};
use kernel::sync::{
    atomic::{
        Acquire,
        Atomic,
        Relaxed,
        Release, //
    },
    barrier, //
};

/// Counters for debugging. All of them count from the time when the device was made.
pub(crate) struct Stats {
    /// How often a reader went to sleep.
    pub(crate) reader_sleeps: Atomic<u64>,
    /// How often a writer went to sleep.
    pub(crate) writer_sleeps: Atomic<u64>,
    /// How often [`Fifo::notify`] was called.
    pub(crate) notifies: Atomic<u64>,
    /// Records that calls have written.
    pub(crate) records_written: Atomic<u64>,
    /// Records that calls have read.
    pub(crate) records_read: Atomic<u64>,
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
            records_written: Atomic::new(0),
            records_read: Atomic::new(0),
            dropped: Atomic::new(0),
            hangups: Atomic::new(0),
            position_errors: Atomic::new(0),
        }
    }
}

/// The bytes that were consumed without being read. They change while `tail` moves past them, and
/// those who look see either both changes or none.
///
/// This is a sequence lock: changes are made with the spinlock `Fifo::dropped` held, which also
/// keeps them short. Anyone may look, so looking takes no lock, and delays no transfer.
pub(super) struct Dropped {
    // Odd during a change.
    sequence: Atomic<u64>,
    cleared: Atomic<u64>,
    overwritten: Atomic<u64>,
}

/// How often a look is repeated. It ends even if changes never do: then it may see one of them half
/// done.
const LOOKS: usize = 1000;

impl Dropped {
    /// None.
    pub(super) fn new() -> Self {
        Self {
            sequence: Atomic::new(0),
            cleared: Atomic::new(0),
            overwritten: Atomic::new(0),
        }
    }

    /// `count` more bytes were cleared. Only during a change.
    pub(super) fn cleared(&self, count: u64) {
        self.cleared.fetch_add(count, Relaxed);
    }

    /// `count` more bytes were overwritten before they were read. Only during a change.
    pub(super) fn overwritten(&self, count: u64) {
        self.overwritten.fetch_add(count, Relaxed);
    }

    fn change<R>(&self, change: impl FnOnce(&Self) -> R) -> R {
        self.sequence.fetch_add(1, Relaxed);
        // Pairs with the barrier in `look()`: whoever sees a part of the change also sees that the
        // sequence is odd, or later.
        barrier::smp_mb(barrier::Write);
        let result = change(self);
        // Pairs with the acquire in `look()`.
        self.sequence.fetch_add(1, Release);
        result
    }

    fn look<R>(&self, look: impl Fn(&Self) -> R) -> R {
        for _ in 0..LOOKS {
            // Pairs with the release in `change()`: all of that change is visible.
            let sequence = self.sequence.load(Acquire);
            let result = look(self);
            // Pairs with the barrier in `change()`.
            barrier::smp_mb(barrier::Read);
            if sequence % 2 == 0 && self.sequence.load(Relaxed) == sequence {
                return result;
            }
        }
        look(self)
    }
}

impl Fifo {
    /// The number of bytes produced so far.
    pub(crate) fn bytes_written(&self) -> u64 {
        self.ring.producer.load_acquire()
    }

    /// Calls `change`, which moves `tail` past bytes that are not read, and counts them. The caller
    /// holds `reader`.
    pub(super) fn drop_bytes<R>(&self, change: impl FnOnce(&Dropped) -> R) -> R {
        let _dropped = self.dropped.lock();
        self.not_read.change(change)
    }

    /// The number of bytes consumed so far, without those that were cleared or overwritten.
    pub(crate) fn bytes_read(&self) -> u64 {
        self.not_read.look(|not_read| {
            self.ring
                .consumer
                .load_acquire()
                .wrapping_sub(not_read.cleared.load(Relaxed))
                .wrapping_sub(not_read.overwritten.load(Relaxed))
        })
    }

    /// The number of bytes dropped by clearing.
    pub(crate) fn bytes_cleared(&self) -> u64 {
        self.not_read.cleared.load(Relaxed)
    }

    /// The number of bytes that were overwritten before they were read.
    pub(crate) fn bytes_overwritten(&self) -> u64 {
        self.not_read.look(|not_read| {
            let gone = match self.overwrites() {
                // Those that the consumer has not come across yet.
                true => gone(
                    self.ring.producer.load_oldest(),
                    self.ring.consumer.load_acquire(),
                ),
                false => 0,
            };
            not_read.overwritten.load(Relaxed).wrapping_add(gone)
        })
    }
}
