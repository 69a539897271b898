// SPDX-License-Identifier: GPL-2.0

//! The ring: positions in a byte stream, where they are in a buffer, and who waits.
//!
//! A stream has two positions that only grow: `head`, the number of bytes ever produced, and
//! `tail`, the number ever consumed. Between them is what is queued, at most `capacity` bytes, a
//! power of two. Byte `p` of the stream is at offset `p % capacity` of the buffer.
//!
//! Only the producer stores `head` and only the consumer stores `tail`, each with release after it
//! is done with the bytes, and each loads the other's with acquire before it touches any. So the
//! two may run at the same time without a lock between them.
//!
//! An end that is about to sleep says so: it sets its `waiting`, fences, looks again, and only then
//! sleeps. An end that has published something fences, and looks at the other's `waiting`. Either
//! sees what the other has stored, so nobody sleeps through the last news; and as long as nobody
//! waits, nobody needs to be told anything.
//!
//! The positions are in memory that the other end may share with anyone. So each end keeps its own
//! position to itself as well, in a [`Cursor`], never believes the shared copy of that, and checks
//! the other end's against what it was before.
//!
//! This file knows nothing of the kernel, and is built and tested on the host as well. Arithmetic
//! on positions is modulo 2^64.

/// One end, as both can see it.
pub(crate) trait End {
    /// Loads the position, and all that happened before it was stored.
    fn load_acquire(&self) -> u64;
    /// Stores the position, after all that happened before.
    fn store_release(&self, position: u64);
    /// Whether this end says that it waits. No ordering.
    fn is_waiting(&self) -> bool;
    /// Says whether this end waits. No ordering.
    fn set_waiting(&self, waiting: bool);
}

/// What has been stored before a full fence, and what is looked at after it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Fence {
    /// `head`; then whether the consumer waits.
    Produced,
    /// `tail`; then whether the producer waits.
    Consumed,
    /// That the consumer waits; then `head`.
    ConsumerWaits,
    /// That the producer waits; then `tail`.
    ProducerWaits,
}

/// The memory that both ends share.
pub(crate) trait Memory {
    /// Where `head` is.
    type Producer: End;
    /// Where `tail` is.
    type Consumer: End;
    /// A full fence: no store before it is visible later than a load after it is done.
    fn fence(fence: Fence);
}

/// Those who wait at an end, for whoever tells them that something has come.
pub(crate) trait Queues {
    /// Whether anyone sleeps in a call. After a full fence: see [`Ring::tell_producer`].
    fn has_sleepers(&self) -> bool;
    /// Whether anyone wants to be told each time, without waiting again: by signals.
    fn wants_signals(&self) -> bool;
    /// Whether anyone polls. After a full fence.
    fn has_pollers(&self) -> bool;
    /// Whether there is what pollers are woken for.
    fn is_ready(&self) -> bool;
    /// Wakes sleepers who can go on, if there are any.
    fn wake_sleepers(&self);
    /// Whether exclusive pollers may be waiting: those of which one is woken each time. They say so
    /// before they say that they wait.
    fn exclusive(&self) -> bool;
    /// Stores that.
    fn set_exclusive(&self, exclusive: bool);
    /// Wakes one exclusive poller, and all others. Each that is woken polls again, and says again
    /// that it waits, or goes away. Returns whether an exclusive one was woken: more may be left,
    /// which do not poll again.
    fn wake_pollers(&self) -> bool;
    /// Wakes all pollers.
    fn wake_all_pollers(&self);
}

/// Positions that cannot be: more bytes between them than fit, or one that went backwards.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Broken;

/// A run of bytes in the buffer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Piece {
    /// Offset of the first byte, less than the capacity.
    pub(crate) offset: usize,
    /// Number of bytes; may be zero.
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

/// Where the `len` bytes from `position` on are in a buffer of `capacity` bytes: two pieces, of
/// which the second is empty unless they wrap around the end. `len` past `capacity` is cut.
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

/// What one end knows by itself.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Cursor {
    /// Its own position.
    pub(crate) position: u64,
    /// The other end's position when it was last looked at, and found possible.
    pub(crate) peer: u64,
    /// The capacity, in bytes: a power of two.
    pub(crate) capacity: u64,
}

impl Cursor {
    /// That of either end of an empty stream whose next byte is number `start`.
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
    /// For the producer: how many bytes are free from its position on.
    ///
    /// The consumer's position is only looked at if fewer than `enough` were free before: who needs
    /// no more saves the look.
    #[allow(
        dead_code,
        reason = "for programs whose producer is mapped; the driver always looks"
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

    /// As [`Ring::free`], and looks at the consumer's position, whatever was known.
    #[inline]
    pub(crate) fn free_now(&self, cursor: &mut Cursor) -> Result<u64, Broken> {
        let Cursor {
            position: head,
            peer,
            capacity,
        } = *cursor;
        let before = head.wrapping_sub(peer);
        let tail = self.consumer.load_acquire();
        let queued = queued(head, tail, capacity)?;
        if queued > before {
            return Err(Broken);
        }
        cursor.peer = tail;
        Ok(capacity - queued)
    }

    /// For the producer: publishes `len` more bytes, at most as many as were free.
    #[inline]
    pub(crate) fn produce(&self, cursor: &mut Cursor, len: u64) {
        cursor.position = cursor.position.wrapping_add(len);
        self.producer.store_release(cursor.position);
    }

    /// For the consumer: how many bytes are queued from its position on.
    ///
    /// The producer's position is only looked at if fewer than `enough` were queued before.
    #[inline]
    pub(crate) fn used(&self, cursor: &mut Cursor, enough: u64) -> Result<u64, Broken> {
        let known = cursor.peer.wrapping_sub(cursor.position);
        if known >= enough {
            return Ok(known);
        }
        self.used_now(cursor)
    }

    /// As [`Ring::used`], and looks at the producer's position, whatever was known.
    #[inline]
    pub(crate) fn used_now(&self, cursor: &mut Cursor) -> Result<u64, Broken> {
        let Cursor {
            position: tail,
            peer,
            capacity,
        } = *cursor;
        let known = peer.wrapping_sub(tail);
        let head = self.producer.load_acquire();
        let queued = queued(head, tail, capacity)?;
        if queued < known {
            return Err(Broken);
        }
        cursor.peer = head;
        Ok(queued)
    }

    /// For the consumer: gives the room of `len` bytes back, at most as many as it knows of.
    #[inline]
    pub(crate) fn consume(&self, cursor: &mut Cursor, len: u64) {
        cursor.position = cursor.position.wrapping_add(len);
        self.consumer.store_release(cursor.position);
    }

    /// For the consumer: gives back all that is queued, whatever `head` is, which it believes from
    /// now on. Returns how many bytes that was, at most the capacity.
    pub(crate) fn clear(&self, cursor: &mut Cursor) -> u64 {
        let head = self.producer.load_acquire();
        let cleared = head.wrapping_sub(cursor.position).min(cursor.capacity);
        cursor.position = head;
        cursor.peer = head;
        self.consumer.store_release(head);
        cleared
    }

    /// For anyone: the number of bytes queued, from 0 to `capacity`, at some instant of this call;
    /// while both ends move on fast, a number near it.
    ///
    /// # Errors
    ///
    /// [`Broken`] if there cannot be so many.
    #[inline]
    pub(crate) fn size(&self, capacity: u64) -> Result<u64, Broken> {
        let mut tail = self.consumer.load_acquire();
        for _ in 0..8 {
            let head = self.producer.load_acquire();
            let queued = queued(head, tail, capacity);
            if queued.is_ok() {
                return queued;
            }
            // Only if `tail` stayed do the two belong together.
            let before = tail;
            tail = self.consumer.load_acquire();
            if tail == before {
                return queued;
            }
        }
        Ok(capacity)
    }

    /// For the producer, after it has published: whether the consumer is to be woken.
    #[inline]
    pub(crate) fn consumer_waits(&self) -> bool {
        M::fence(Fence::Produced);
        self.consumer.is_waiting()
    }

    /// For the consumer, after it has given room back: whether the producer is to be woken.
    #[inline]
    pub(crate) fn producer_waits(&self) -> bool {
        M::fence(Fence::Consumed);
        self.producer.is_waiting()
    }

    /// For the consumer that found nothing: it is to look again, and may then sleep.
    #[inline]
    pub(crate) fn consumer_will_wait(&self) {
        self.consumer.set_waiting(true);
        M::fence(Fence::ConsumerWaits);
    }

    /// For the producer that found no room: it is to look again, and may then sleep.
    #[inline]
    pub(crate) fn producer_will_wait(&self) {
        self.producer.set_waiting(true);
        M::fence(Fence::ProducerWaits);
    }

    /// For whoever has found that the producer waits, or just supposes it: wakes those of `queues`
    /// who can go on. After that the producer waits, as far as the consumer can see, only if
    /// somebody has to be told of more.
    ///
    /// Whoever comes to wait is on a queue before it says so and looks. So what is cleared here is
    /// the word of somebody who is on a queue when that is looked at, after the fence.
    pub(crate) fn tell_producer(&self, queues: &impl Queues) {
        Self::tell(&self.producer, || self.producer_will_wait(), queues);
    }

    /// As [`Ring::tell_producer`], for the consumer.
    pub(crate) fn tell_consumer(&self, queues: &impl Queues) {
        Self::tell(&self.consumer, || self.consumer_will_wait(), queues);
    }

    fn tell(end: &impl End, will_wait: impl Fn(), queues: &impl Queues) {
        // Exclusive pollers that are not woken still wait, and each publication is to wake one. So
        // while there are any, `waiting` stays set: otherwise what others publish before it is set
        // again would be told to nobody.
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
        // Either they are woken, or the look that found nothing for them came after the word that
        // they wait. If one look decided about that word, and another one about waking them, there
        // might be neither.
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
                // They came while this looked. Something may have been published meanwhile that
                // was told to nobody, so this once all look.
                (true, false) => {
                    queues.set_exclusive(true);
                    will_wait();
                    queues.wake_all_pollers();
                }
                // There are none that would not poll again. If one comes right now, the next call
                // finds it as above.
                (false, true) => queues.set_exclusive(false),
                _ => {}
            }
        }
    }

    /// What a producer knows that takes over from one which stored `head` itself and is gone.
    ///
    /// It goes on from where that one said it was, if that can be, else from where it was last
    /// seen. `consumer` is what the consumer knows, or [`None`] if that keeps it to itself: then
    /// its word is taken for where it is, and nothing is known to have been seen.
    pub(crate) fn producer_left(&self, consumer: Option<&Cursor>, capacity: u64) -> Cursor {
        let head = self.producer.load_acquire();
        let (tail, seen) = match consumer {
            Some(cursor) => (cursor.position, cursor.peer),
            None => {
                let tail = self.consumer.load_acquire();
                (tail, tail)
            }
        };
        let position = match queued(head, tail, capacity) {
            Ok(queued) if queued >= seen.wrapping_sub(tail) => head,
            _ => seen,
        };
        Cursor {
            position,
            peer: tail,
            capacity,
        }
    }

    /// What a consumer knows that takes over from one which stored `tail` itself and is gone. As
    /// [`Ring::producer_left`]; if nothing is known to have been seen, all is taken as consumed.
    pub(crate) fn consumer_left(&self, producer: Option<&Cursor>, capacity: u64) -> Cursor {
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
            Ok(queued) if queued <= most => tail,
            _ => seen,
        };
        Cursor {
            position,
            peer: head,
            capacity,
        }
    }
}
