// SPDX-License-Identifier: GPL-2.0 OR MIT
// Copyright (C) 2026 Seed 1f3ad1c2 maintainers.

//! The ring: positions in a byte stream, their places in a buffer, and the protocol of waiting.
//!
//! A stream has two positions, which only grow: `head`, the number of bytes produced so far, and
//! `tail`, the number consumed so far. The bytes between them are queued, at most `capacity`, which
//! is a power of two. Byte `p` of the stream is at offset `p % capacity` of the buffer.
//!
//! # Publishing
//!
//! Only the producer stores `head`, and only the consumer stores `tail`. Each store is a release
//! that follows the accesses to the bytes. Each end loads the other's position with acquire before
//! it accesses any bytes. So both ends can run at the same time without a lock between them.
//!
//! # Waiting
//!
//! ```text
//!   an end that has published               the other end, about to sleep
//!
//!   stores its position                     sets its `waiting`
//!   fence: Produced or Consumed             fence: ConsumerWaits or ProducerWaits
//!   loads the other's `waiting`             loads the other's position
//! ```
//!
//! At least one of the two loads sees the other end's store. So nobody sleeps through the last
//! publication, and while nobody waits, nobody needs to be woken.
//!
//! # Trust
//!
//! The positions are in memory that the other end may share with anyone. Each end therefore keeps a
//! private copy of its own position in a [`Cursor`], never reads the shared copy back, and checks
//! the other end's position against the one that it saw before.
//!
//! # Modules
//!
//! This file implements a byte stream whose producer waits for room. Records, and a producer that
//! overwrites the oldest bytes instead, are separate functions of the same [`Ring`]. The functions
//! here do not call them, and do not test for them: the caller chooses before it calls either kind.
//! This choice need not cost anything on the path of a plain stream. Each call already tests
//! whether its end is usable, and a ring with other settings can fail that same test.
//!
//! | file | |
//! |---|---|
//! | [`record`] | The format of a record; validation of headers |
//! | [`framing`] | Reserving, committing, reading and releasing records |
//! | [`overwrite`] | Overwriting: the protocol, and the producer |
//! | [`overtaken`] | Overwriting: the consumer |
//! | [`switch`] | Changes of settings; size and clearing while overwriting |
//! | [`takeover`] | The end of a claim |
//!
//! # Context
//!
//! Any: nothing here sleeps or knows of the kernel. The file is also built and tested on the host.
//! A [`Cursor`] belongs to one caller at a time. Arithmetic on positions is modulo 2^64.

#[path = "ring/framing.rs"]
pub(crate) mod framing;
#[path = "ring/overtaken.rs"]
pub(crate) mod overtaken;
#[path = "ring/overwrite.rs"]
pub(crate) mod overwrite;
#[path = "ring/record.rs"]
pub(crate) mod record;
#[path = "ring/switch.rs"]
pub(crate) mod switch;
#[path = "ring/takeover.rs"]
mod takeover;

/// One end, as both ends see it.
pub(crate) trait End {
    /// Loads the position. Pairs with [`End::store_release`] of the same end: whatever happened
    /// before the store is visible after the load.
    fn load_acquire(&self) -> u64;
    /// Stores the position. Pairs with [`End::load_acquire`] of the same end.
    fn store_release(&self, position: u64);
    /// Whether somebody waits at this end. No ordering.
    fn is_waiting(&self) -> bool;
    /// Sets whether somebody waits at this end. No ordering.
    fn set_waiting(&self, waiting: bool);
}

/// A full fence, named after what is stored before it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Fence {
    /// Between `head` and a load of the consumer's `waiting`. Pairs with `ConsumerWaits`.
    Produced,
    /// Between `tail` and a load of the producer's `waiting`. Pairs with `ProducerWaits`.
    Consumed,
    /// Between the consumer's `waiting` and a load of `head`. Pairs with `Produced`.
    ConsumerWaits,
    /// Between the producer's `waiting` and a load of `tail`. Pairs with `Consumed`.
    ProducerWaits,
}

/// The memory that the two ends share.
pub(crate) trait Memory {
    /// The place of `head`.
    type Producer: End;
    /// The place of `tail`.
    type Consumer: End;
    /// A full fence: a store before it is visible to others before a load after it is done.
    fn fence(fence: Fence);
}

/// Everybody who waits at an end, as [`Ring::tell_producer`] and [`Ring::tell_consumer`] see them.
pub(crate) trait Queues {
    /// Whether anybody sleeps in a call. Starts with a full fence, see [`Ring::tell_producer`].
    fn has_sleepers(&self) -> bool;
    /// Whether anybody wants a signal each time, without setting `waiting` again.
    fn wants_signals(&self) -> bool;
    /// Whether anybody polls. Starts with a full fence.
    fn has_pollers(&self) -> bool;
    /// Whether pollers are to be woken now.
    fn is_ready(&self) -> bool;
    /// Wakes sleepers that can go on, if there are any.
    fn wake_sleepers(&self);
    /// Whether exclusive pollers may be waiting, of which one is woken each time. They set this
    /// before they set `waiting`.
    fn exclusive(&self) -> bool;
    /// Sets whether exclusive pollers may be waiting.
    fn set_exclusive(&self, exclusive: bool);
    /// Wakes one exclusive poller and all other pollers. Each of them polls again, and so sets
    /// `waiting` again, or goes away. Returns whether an exclusive one was woken: if so, more of
    /// them may be left, which do not poll again.
    fn wake_pollers(&self) -> bool;
    /// Wakes all pollers.
    fn wake_all_pollers(&self);
}

/// Impossible positions: more bytes lie between them than fit, or one of them went backwards.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Broken;

/// A run of bytes in the buffer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Piece {
    /// The offset of the first byte, less than the capacity.
    pub(crate) offset: usize,
    /// The number of bytes; may be zero.
    pub(crate) len: usize,
}

/// The number of bytes queued between `tail` and `head`: from 0 to `capacity`.
pub(crate) fn queued(head: u64, tail: u64, capacity: u64) -> Result<u64, Broken> {
    let queued = head.wrapping_sub(tail);
    if queued <= capacity {
        Ok(queued)
    } else {
        Err(Broken)
    }
}

/// The places of the `len` bytes from `position` on in a buffer of `capacity` bytes. The second
/// piece is empty unless they wrap around the end. `len` is limited to `capacity`.
pub(crate) fn pieces(position: u64, len: u64, capacity: u64) -> [Piece; 2] {
    let offset = position & capacity.wrapping_sub(1);
    let len = len.min(capacity);
    let first = len.min(capacity.wrapping_sub(offset));
    [
        Piece {
            offset: offset as usize,
            len: first as usize,
        },
        Piece {
            offset: 0,
            len: (len - first) as usize,
        },
    ]
}

/// The private knowledge of an end.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Cursor {
    /// The end's own position.
    pub(crate) position: u64,
    /// The other end's position when it was last loaded and found to be possible.
    pub(crate) peer: u64,
    /// The capacity, in bytes: a power of two.
    pub(crate) capacity: u64,
}

impl Cursor {
    /// The cursor of either end of an empty stream whose next byte is number `start`.
    pub(crate) fn new(capacity: u64, start: u64) -> Self {
        Self {
            position: start,
            peer: start,
            capacity,
        }
    }
}

/// The two ends of a stream.
pub(crate) struct Ring<M: Memory> {
    /// The producer's end.
    pub(crate) producer: M::Producer,
    /// The consumer's end.
    pub(crate) consumer: M::Consumer,
}

impl<M: Memory> Ring<M> {
    /// For the producer: the number of bytes that are free from its position on.
    ///
    /// Loads the consumer's position only if fewer than `enough` bytes were free before.
    #[allow(
        dead_code,
        reason = "for programs whose producer is mapped; the driver always loads the position"
    )]
    #[inline]
    pub(crate) fn free(&self, cursor: &mut Cursor, enough: u64) -> Result<u64, Broken> {
        let before = cursor.position.wrapping_sub(cursor.peer);
        let known = cursor.capacity.saturating_sub(before);
        if known >= enough {
            return Ok(known);
        }
        self.free_now(cursor)
    }

    /// As [`Ring::free`], but always loads the consumer's position.
    #[inline]
    pub(crate) fn free_now(&self, cursor: &mut Cursor) -> Result<u64, Broken> {
        let Cursor {
            position: head,
            peer,
            capacity,
        } = *cursor;
        let before = head.wrapping_sub(peer);
        // Pairs with the release in `consume()`: the bytes before `tail` are not read any more.
        let tail = self.consumer.load_acquire();
        let queued = queued(head, tail, capacity)?;
        if queued > before {
            return Err(Broken);
        }
        cursor.peer = tail;
        Ok(capacity - queued)
    }

    /// For the producer: publishes `len` more bytes, at most as many as are free.
    #[inline]
    pub(crate) fn produce(&self, cursor: &mut Cursor, len: u64) {
        cursor.position = cursor.position.wrapping_add(len);
        // Pairs with the acquire in `used_now()`: the bytes before `head` have been stored.
        self.producer.store_release(cursor.position);
    }

    /// For the consumer: the number of bytes that are queued from its position on.
    ///
    /// Loads the producer's position only if fewer than `enough` bytes were queued before.
    #[inline]
    pub(crate) fn used(&self, cursor: &mut Cursor, enough: u64) -> Result<u64, Broken> {
        let known = cursor.peer.wrapping_sub(cursor.position);
        if known >= enough {
            return Ok(known);
        }
        self.used_now(cursor)
    }

    /// As [`Ring::used`], but always loads the producer's position.
    #[inline]
    pub(crate) fn used_now(&self, cursor: &mut Cursor) -> Result<u64, Broken> {
        let Cursor {
            position: tail,
            peer,
            capacity,
        } = *cursor;
        let known = peer.wrapping_sub(tail);
        // Pairs with the release in `produce()`: the bytes before `head` can be read.
        let head = self.producer.load_acquire();
        let queued = queued(head, tail, capacity)?;
        if queued < known {
            return Err(Broken);
        }
        cursor.peer = head;
        Ok(queued)
    }

    /// For the consumer: gives the room of `len` bytes back, at most as many as are queued.
    #[inline]
    pub(crate) fn consume(&self, cursor: &mut Cursor, len: u64) {
        cursor.position = cursor.position.wrapping_add(len);
        // Pairs with the acquire in `free_now()`: the bytes before `tail` have been read.
        self.consumer.store_release(cursor.position);
    }

    /// For the consumer: gives back all that is queued, and believes `head` from now on, whatever
    /// it is. Returns the number of bytes given back, at most the capacity.
    pub(crate) fn clear(&self, cursor: &mut Cursor) -> u64 {
        let head = self.producer.load_acquire();
        let cleared = head.wrapping_sub(cursor.position).min(cursor.capacity);
        cursor.position = head;
        cursor.peer = head;
        self.consumer.store_release(head);
        cleared
    }

    /// For anyone: the number of bytes queued, from 0 to `capacity`, at some instant of this call,
    /// or a number near it while both ends move fast. The loads pair with the releases in
    /// [`Ring::produce`] and [`Ring::consume`].
    ///
    /// # Errors
    ///
    /// [`Broken`] if the positions are impossible.
    #[inline]
    pub(crate) fn size(&self, capacity: u64) -> Result<u64, Broken> {
        let mut tail = self.consumer.load_acquire();
        for _ in 0..8 {
            let head = self.producer.load_acquire();
            let queued = queued(head, tail, capacity);
            if queued.is_ok() {
                return queued;
            }
            // The two positions belong together only if `tail` has not moved.
            let before = tail;
            tail = self.consumer.load_acquire();
            if tail == before {
                return queued;
            }
        }
        Ok(capacity)
    }

    /// For the producer, after it has published: whether the consumer waits.
    #[inline]
    pub(crate) fn consumer_waits(&self) -> bool {
        M::fence(Fence::Produced);
        self.consumer.is_waiting()
    }

    /// For the consumer, after it has given room back: whether the producer waits.
    #[inline]
    pub(crate) fn producer_waits(&self) -> bool {
        M::fence(Fence::Consumed);
        self.producer.is_waiting()
    }

    /// For a consumer that found nothing: announces that it waits. It has to check again before it
    /// sleeps.
    #[inline]
    pub(crate) fn consumer_will_wait(&self) {
        self.consumer.set_waiting(true);
        M::fence(Fence::ConsumerWaits);
    }

    /// For a producer that found no room: announces that it waits. It has to check again before it
    /// sleeps.
    #[inline]
    pub(crate) fn producer_will_wait(&self) {
        self.producer.set_waiting(true);
        M::fence(Fence::ProducerWaits);
    }

    /// For a caller that found that the producer waits, or that it may wait: wakes everybody in
    /// `queues` who can go on. Afterwards the producer's `waiting` is set only if somebody has to
    /// be told of more.
    ///
    /// Everybody goes on a queue before setting `waiting` and checking. So if this clears a
    /// `waiting`, those who set it are on a queue when that is looked at, after its fence.
    pub(crate) fn tell_producer(&self, queues: &impl Queues) {
        Self::tell(&self.producer, || self.producer_will_wait(), queues);
    }

    /// As [`Ring::tell_producer`], for the consumer.
    pub(crate) fn tell_consumer(&self, queues: &impl Queues) {
        Self::tell(&self.consumer, || self.consumer_will_wait(), queues);
    }

    fn tell(end: &impl End, will_wait: impl Fn(), queues: &impl Queues) {
        // Each `will_wait()` is a full fence after a store of `waiting`. It pairs with the fence of
        // the next publication, `Produced` or `Consumed`. The fence of `has_sleepers()`, after
        // `waiting` was cleared, pairs with the one of a sleeper between going on the queue and
        // setting `waiting`.
        //
        // Exclusive pollers that are not woken still wait, and each publication is to wake one of
        // them. So `waiting` stays set while there are any: if it was cleared, nobody would be told
        // of what is published until it is set again.
        let exclusive = queues.exclusive();
        if !exclusive {
            end.set_waiting(false);
        }
        let sleepers = queues.has_sleepers();
        if sleepers || queues.wants_signals() {
            will_wait();
        }
        if sleepers {
            queues.wake_sleepers();
        }
        // Either pollers are woken, or the check that found nothing for them came after `waiting`
        // was set. If one check decided about `waiting` and another one about waking, neither might
        // happen.
        let ready = || {
            queues.is_ready() || {
                will_wait();
                queues.is_ready()
            }
        };
        if !queues.has_pollers() {
            queues.set_exclusive(false);
        } else if ready() {
            match (queues.wake_pollers(), exclusive) {
                // An exclusive poller came after the look at `exclusive`. Something may have been
                // published meanwhile of which nobody was told, so wake all of them this time.
                (true, false) => {
                    queues.set_exclusive(true);
                    will_wait();
                    queues.wake_all_pollers();
                }
                // No exclusive poller is left. If one comes right now, the next call finds it as
                // above.
                (false, true) => queues.set_exclusive(false),
                _ => {}
            }
        }
    }
}
