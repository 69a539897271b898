// SPDX-License-Identifier: GPL-2.0
// Copyright (C) 2026 Seed 1f3ad1c2 maintainers.

//! Waking sleepers one after the other.
//!
//! Each transfer at one end may find sleepers at the other end, and enough bytes or room for one of
//! them. If each of these transfers woke one, many tasks would run at once that get in each other's
//! way: for the bytes and the room, for the lock, and for the processor. So only one of them is on
//! its way at a time. When it is done, it wakes the next one if enough is left:
//!
//! ```text
//!   transfer             sleeper A            sleeper B
//!
//!   wakes A ------------> is woken
//!   wakes nobody          moves bytes
//!   wakes nobody          wakes B -----------> is woken
//!   wakes nobody                               moves bytes
//!   wakes nobody                               nothing is left, wakes nobody
//!   wakes ...
//! ```
//!
//! # No wake-up is lost
//!
//! The relay is an atomic variable that is only exchanged. A transfer first publishes its bytes or
//! its room. If it then finds that a sleeper is on its way, that one finishes later, and so sees
//! what was published.
//!
//! If a transfer starts the relay, but the sleeper leaves the queue by itself before it is woken,
//! then that sleeper finishes the relay. It does so after it has left the queue, with a full fence
//! in between. So either the transfer sees that the queue is empty, or the sleeper sees that the
//! relay was started.
//!
//! # Context
//!
//! Any; no function sleeps.

use kernel::sync::{
    atomic::{
        Atomic,
        Full, //
    },
    wait_queue::WaitQueue, //
};

/// Whether a sleeper was woken that has not woken the next one yet.
pub(super) struct Relay(Atomic<u32>);

impl Relay {
    /// A relay in which nobody is on its way.
    pub(super) fn new() -> Self {
        Self(Atomic::new(0))
    }

    /// Wakes a sleeper on `queue` if nobody is on its way, and if `is_due`: if there is enough for
    /// a sleeper. `note` is called before.
    ///
    /// Each task that has slept on the queue must call [`Relay::finish`] before it sleeps for
    /// anything else, and then check again whether another one is due.
    pub(super) fn wake(&self, queue: &WaitQueue, is_due: impl Fn() -> bool, note: impl Fn()) {
        while is_due() {
            if self.0.xchg(1, Full) != 0 {
                return;
            }
            if queue.has_sleepers() {
                note();
                queue.wake_one_sync();
                return;
            }
            self.0.xchg(0, Full);
            // Another transfer may have relied on this one.
            if !queue.has_sleepers() {
                return;
            }
        }
    }

    /// A task that has slept has moved its bytes, or cannot. A full fence, even if it was not woken
    /// by [`Relay::wake`].
    pub(super) fn finish(&self) {
        self.0.xchg(0, Full);
    }
}
