// SPDX-License-Identifier: GPL-2.0
// Copyright (C) 2026 Seed 1f3ad1c2 maintainers.

//! What poll(2) reports, and what it sets so that the poller is woken.
//!
//! # Context
//!
//! Process context. Does not sleep. Takes `parties`, if a side has nobody, and no other lock.

use super::{
    end::Side,
    hangup::OpenFile,
    Fifo, //
};
use kernel::{
    chrdev::Events,
    sync::atomic::Relaxed, //
};

impl Fifo {
    /// The events that `file` is ready for, among those asked for: `readable`, `writable`. Sets
    /// `waiting` of the ends that are asked for before it looks, since the caller may sleep next.
    ///
    /// A direction whose end is claimed through another file is reported as ready and in error: a
    /// call would fail at once. Hanging up is reported whether or not it is asked for.
    pub(crate) fn poll(
        &self,
        file: &OpenFile,
        readable: bool,
        writable: bool,
        exclusive: bool,
    ) -> Events {
        if readable {
            if exclusive {
                // Before `waiting` is set, see `Queues::exclusive()`.
                self.consumer.exclusive.store(true, Relaxed);
            }
            // The fence in here pairs with the one in `bytes_arrived()`.
            self.ring.consumer_will_wait();
        }
        if writable {
            if exclusive {
                self.producer.exclusive.store(true, Relaxed);
            }
            // The fence in here pairs with the one in `room_freed()`.
            self.ring.producer_will_wait();
        }
        // Before the queue is looked at. Otherwise the last bytes could come in between, and the
        // end would be reported without them.
        let hangup = self.poll_hangup(file);
        // Both directions are judged by one number. With two, a FIFO that is empty when the first
        // is taken and full when the second is would be neither readable nor writable.
        let (mut events, bytes, room) = match self.queued() {
            Ok(queued) if !self.is_in_error() => (
                Events::NONE,
                queued > 0,
                self.overwrites() || self.room(queued) >= self.writable_room(),
            ),
            _ => (Events::ERROR, true, true),
        };
        for (asked, side, ready, event) in [
            (readable, Side::Consumer, bytes, Events::READ),
            (writable, Side::Producer, room, Events::WRITE),
        ] {
            if !asked {
                continue;
            }
            if self.is_claimed_by_another(side, file.id()) {
                events = events | event | Events::ERROR;
            } else if ready {
                events = events | event;
            }
        }
        events | hangup
    }
}
