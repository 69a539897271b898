// SPDX-License-Identifier: GPL-2.0 OR MIT
// Copyright (C) 2026 Seed 1f3ad1c2 maintainers.

//! Changes of settings, and the size and clearing of a ring whose producer overwrites.
//!
//! A setting is changed with the locks of both ends held, and with nothing mapped:
//!
//! | change | before | call | afterwards |
//! |---|---|---|---|
//! | framing | the ring is empty | [`Ring::align`]; if overwriting, [`Ring::start_overwriting`] | |
//! | overwrite 0 to 1 | | [`Ring::start_overwriting`] | wake all writers |
//! | overwrite 1 to 0 | | [`Ring::stop_overwriting`] | count what was lost |
//! | capacity, while overwriting | | stop, copy, start | count what was lost |
//!
//! # Context
//!
//! Any. [`Ring::size_overwriting`] needs no lock.

use super::{
    framing::Framing,
    overwrite::{
        gone,
        is_before,
        Oldest,
        Overwriting, //
    },
    Broken,
    Cursor,
    End,
    Memory,
    Ring, //
};

impl<M: Memory> Ring<M> {
    /// Rounds the positions of both ends up to boundaries of `framing`, for a change of the
    /// framing. The ring must be empty, and both cursors up to date.
    pub(crate) fn align(&self, producer: &mut Cursor, consumer: &mut Cursor, framing: Framing) {
        let position = framing.round_up(producer.position);
        for cursor in [producer, consumer] {
            cursor.position = position;
            cursor.peer = position;
        }
        // `head` first: until `tail` follows, others may see up to seven bytes that do not exist,
        // but not impossible positions.
        self.producer.store_release(position);
        self.consumer.store_release(position);
    }
}

impl<M: Overwriting> Ring<M> {
    /// For anyone: the number of bytes queued, as [`Ring::size`].
    ///
    /// # Errors
    ///
    /// [`Broken`] if the positions are impossible.
    pub(crate) fn size_overwriting(&self, capacity: u64) -> Result<u64, Broken> {
        let mut tail = self.consumer.load_acquire();
        let mut head = self.producer.load_acquire();
        for _ in 0..8 {
            let kept = head.wrapping_sub(self.producer.load_oldest());
            let queued = head.wrapping_sub(tail);
            if (1..=capacity).contains(&kept) && !is_before(head, tail) {
                return Ok(queued.min(kept));
            }
            // The positions belong together only if neither has moved.
            let before = (tail, head);
            tail = self.consumer.load_acquire();
            head = self.producer.load_acquire();
            if (tail, head) == before {
                return match kept <= capacity && !is_before(head, tail) {
                    true => Ok(0),
                    false => Err(Broken),
                };
            }
        }
        Ok(capacity)
    }

    /// For the consumer: gives back all that is queued, and believes `head` from now on, whatever
    /// it is. See [`Ring::clear`].
    pub(crate) fn clear_overwriting(&self, own: &mut Cursor) -> Cleared {
        let head = self.producer.load_acquire();
        let oldest = self.producer.load_oldest();
        let all = head.wrapping_sub(own.position);
        let lost = gone(oldest, own.position).min(all);
        own.position = head;
        own.peer = head;
        self.consumer.store_release(head);
        Cleared {
            cleared: all.wrapping_sub(lost),
            lost,
        }
    }

    /// From now on the producer overwrites. Both cursors must be up to date. Once the new setting
    /// is visible, the caller wakes all writers.
    ///
    /// A change of the capacity calls [`Ring::stop_overwriting`] before and this afterwards.
    pub(crate) fn start_overwriting(&self, producer: &mut Cursor, consumer: &mut Cursor) {
        producer.peer = consumer.position;
        consumer.peer = producer.position;
        self.producer.store_oldest(producer.peer);
    }

    /// From now on the producer waits. Both cursors must be up to date. Returns the number of bytes
    /// that the consumer had not read and that are gone: they are lost.
    pub(crate) fn stop_overwriting(&self, producer: &mut Cursor, consumer: &mut Cursor) -> u64 {
        let lost = gone(producer.peer, consumer.position);
        consumer.position = consumer.position.wrapping_add(lost);
        consumer.peer = producer.position;
        producer.peer = consumer.position;
        self.consumer.store_release(consumer.position);
        lost
    }
}

/// What [`Ring::clear_overwriting`] did.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Cleared {
    /// The number of bytes cleared.
    pub(crate) cleared: u64,
    /// The number of bytes that were gone before.
    pub(crate) lost: u64,
}
