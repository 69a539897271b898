// SPDX-License-Identifier: GPL-2.0 OR MIT
// Copyright (C) 2026 Seed 1f3ad1c2 maintainers.

//! The end of a claim: the kernel takes over from an owner that stored positions itself.
//!
//! A position of the owner is kept if a correct owner could have stored it. Otherwise the kernel
//! goes back to the last position that it knows to be good.
//!
//! # Both ends claimed
//!
//! The owner who leaves first cannot be checked against the kernel's own cursor of the other end.
//! The owner who is left may have stored anything there, and together the two could move both
//! positions back. So none of them may be before the last one that the kernel knows of: the one at
//! which the claim began, or a later one that the kernel has seen. Otherwise counters would go
//! back.
//!
//! # Records
//!
//! With framing `record`, a position is kept only if it is a multiple of 8, except that `head` is
//! rounded down to one unless the producer overwrites. But the bytes before it may be anything. So,
//! if neither end is claimed any more, the caller then validates the headers of all queued records
//! with [`Records::skip`](super::record::Records::skip):
//!
//! - If a producer has left, `head` becomes the end of the last good record.
//! - If a consumer has left, and one of the headers is invalid, all queued bytes are dropped: its
//!   position may be in the middle of a record, and then there is no way to find the next one.
//!   Records that an owner has published while the other end was claimed were not validated before;
//!   of these, the good ones before the bad one are kept, unless others have been queued since.
//!
//! Otherwise a later call would put the FIFO into its error state again.
//!
//! # Overwriting
//!
//! An owner may move `head` and `oldest` as far as it likes, until `head` seems to be before
//! `tail`. So, if neither end is claimed any more and `head` [is far](super::overwrite::is_far),
//! the caller moves `tail` to the [first queued byte](super::overwrite::first_queued).
//!
//! # Context
//!
//! Any. The caller holds the locks of both ends, and nobody stores the position any more.

use super::{
    framing::Framing,
    overwrite::{
        is_before,
        Oldest,
        Overwriting, //
    },
    queued,
    Cursor,
    End,
    Memory,
    Ring, //
};

impl<M: Memory> Ring<M> {
    /// The cursor of a producer that takes over from one which stored `head` itself and is gone.
    ///
    /// It goes on from the `head` that was stored, if that is possible, otherwise from the one that
    /// the consumer saw last. `consumer` is the consumer's cursor, or [`None`] if it is not known.
    /// Then the shared position is believed, and nothing is known to have been seen.
    ///
    /// The acquire load of `head` pairs with the owner's release: the kernel publishes the owner's
    /// bytes again. That of `tail` in [`Ring::consumer_left`] is not needed for the data: the
    /// position that the kernel stores depends on the one that it has loaded.
    #[allow(dead_code, reason = "for tests of the byte stream")]
    pub(crate) fn producer_left(&self, consumer: Option<&Cursor>, capacity: u64) -> Cursor {
        self.producer_left_in(Framing::Stream, consumer, capacity)
    }

    /// As [`Ring::producer_left`], for either framing. The positions are boundaries of it.
    pub(crate) fn producer_left_in(
        &self,
        framing: Framing,
        consumer: Option<&Cursor>,
        capacity: u64,
    ) -> Cursor {
        let head = self.producer.load_acquire();
        let (tail, seen) = match consumer {
            Some(cursor) => (cursor.position, cursor.peer),
            None => {
                let tail = self.consumer.load_acquire();
                (tail, tail)
            }
        };
        // The records before a `head` where none can end may be good.
        let head = framing.round_down(head);
        let position = match queued(head, tail, capacity) {
            Ok(queued) if queued >= seen.wrapping_sub(tail) => head,
            _ => framing.round_up(seen),
        };
        Cursor {
            position,
            peer: tail,
            capacity,
        }
    }

    /// The cursor of a consumer that takes over from one which stored `tail` itself and is gone.
    /// See [`Ring::producer_left`]. If nothing is known to have been seen, all bytes count as
    /// consumed.
    #[allow(dead_code, reason = "for tests of the byte stream")]
    pub(crate) fn consumer_left(&self, producer: Option<&Cursor>, capacity: u64) -> Cursor {
        self.consumer_left_in(Framing::Stream, producer, capacity)
    }

    /// As [`Ring::consumer_left`], for either framing. The positions are boundaries of it.
    pub(crate) fn consumer_left_in(
        &self,
        framing: Framing,
        producer: Option<&Cursor>,
        capacity: u64,
    ) -> Cursor {
        let tail = self.consumer.load_acquire();
        let (head, most, seen) = match producer {
            Some(cursor) => (
                cursor.position,
                cursor.position.wrapping_sub(cursor.peer),
                cursor.peer,
            ),
            None => {
                let head = self.producer.load_acquire();
                (head, capacity, head)
            }
        };
        let position = match queued(head, tail, capacity) {
            Ok(queued) if queued <= most && framing.is_aligned(tail) => tail,
            _ => framing.round_up(seen),
        };
        // What a claimed producer has published is found out when it is looked at.
        let peer = producer.map_or(position, |producer| producer.position);
        Cursor {
            position,
            peer,
            capacity,
        }
    }
}

/// The later one of two positions.
fn later(a: u64, b: u64) -> u64 {
    match is_before(a, b) {
        true => b,
        false => a,
    }
}

impl<M: Memory> Ring<M> {
    /// As [`Ring::producer_left_in`], while the consumer's end is claimed as well. `head` and
    /// `tail` are the last positions that the kernel knows of.
    ///
    /// If one of them went back, all bytes count as consumed.
    pub(crate) fn producer_left_first(
        &self,
        framing: Framing,
        head: u64,
        tail: u64,
        capacity: u64,
    ) -> Cursor {
        let left = self.producer_left_in(framing, None, capacity);
        if !is_before(left.position, head) && !is_before(left.peer, tail) {
            return left;
        }
        // The consumer may be right, and may have seen more than the kernel has.
        let position = framing.round_up(later(head, left.peer));
        Cursor {
            position,
            peer: position,
            capacity,
        }
    }

    /// As [`Ring::consumer_left_in`], while the producer's end is claimed as well. `head` and
    /// `tail` are the last positions that the kernel knows of.
    pub(crate) fn consumer_left_first(
        &self,
        framing: Framing,
        head: u64,
        tail: u64,
        capacity: u64,
    ) -> Cursor {
        let head = framing.round_up(head);
        let left = self.consumer_left_in(framing, None, capacity);
        let possible = !is_before(left.position, tail)
            && (is_before(head, left.position) || queued(head, left.position, capacity).is_ok());
        let position = if possible { left.position } else { head };
        Cursor {
            position,
            // The producer must not go back, either.
            peer: later(head, position),
            capacity,
        }
    }
}

impl<M: Overwriting> Ring<M> {
    /// Stores the positions of a producer that has taken over from an owner: those of `own`.
    pub(crate) fn restore_producer(&self, own: &Cursor) {
        self.producer.store_oldest(own.peer);
        M::before_data();
        self.producer.store_release(own.position);
    }

    /// As [`Ring::producer_left`], if the producer overwrites. `own` is the producer's cursor at
    /// the time at which the claim began: `oldest` never goes back. `seen` is the last `head` that
    /// the kernel knows of: the one at which the claim began, or the one that its consumer has seen
    /// since, whether or not that end is claimed now.
    ///
    /// If one of the two positions is impossible, all queued bytes count as overwritten. The caller
    /// stores the positions with [`Ring::restore_producer`].
    pub(crate) fn overwriter_left(&self, own: &Cursor, seen: u64, framing: Framing) -> Cursor {
        let head = self.producer.load_acquire();
        let oldest = self.producer.load_oldest();
        let possible = !is_before(head, seen)
            && !is_before(oldest, own.peer)
            && head.wrapping_sub(oldest) <= own.capacity
            && framing.is_aligned(head | oldest);
        let seen = framing.round_up(seen);
        let (position, peer) = match possible {
            true => (head, oldest),
            false => (seen, seen),
        };
        Cursor {
            position,
            peer,
            capacity: own.capacity,
        }
    }

    /// As [`Ring::consumer_left`], if the producer overwrites. `own` is the consumer's cursor at
    /// the time at which the claim began. `producer` is the producer's cursor, or [`None`] if it is
    /// claimed as well.
    pub(crate) fn overtaken_left(
        &self,
        own: &Cursor,
        producer: Option<&Cursor>,
        framing: Framing,
    ) -> Cursor {
        let tail = self.consumer.load_acquire();
        let head = match producer {
            Some(cursor) => cursor.position,
            None => self.producer.load_acquire(),
        };
        // A `head` that went back says nothing about `tail`.
        let head = match is_before(head, own.peer) || !framing.is_aligned(head) {
            true => own.peer,
            false => head,
        };
        // Is it between the position at which the claim began and `head`?
        let possible = tail.wrapping_sub(own.position) <= head.wrapping_sub(own.position)
            && framing.is_aligned(tail);
        let position = if possible { tail } else { own.position };
        // What a claimed producer has published is found out when it is looked at. Until then it is
        // known only that `head` was where the consumer has been.
        let peer = match producer {
            Some(_) => head,
            None if is_before(own.peer, position) => position,
            None => own.peer,
        };
        Cursor {
            position,
            peer,
            capacity: own.capacity,
        }
    }
}
