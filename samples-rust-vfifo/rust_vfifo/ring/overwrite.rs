// SPDX-License-Identifier: GPL-2.0 OR MIT
// Copyright (C) 2026 Seed 1f3ad1c2 maintainers.

//! Overwriting the oldest bytes: the producer never waits.
//!
//! The producer also stores a third position, `oldest`: bytes before it are gone. The producer
//! ignores `tail`. The queued bytes begin at `oldest` or at `tail`, whichever is later. With
//! framing `record`, `oldest` is always the start of a record.
//!
//! ```text
//!   gone                 queued: min(head - tail, head - oldest)
//!   .....................|///////////////////////////////////////////|
//!        ^               ^                                           ^
//!       tail           oldest                                       head
//!        |<--- lost ---->|<---------- at most the capacity --------->|
//! ```
//!
//! # The protocol
//!
//! ```text
//!   PRODUCER                                  CONSUMER
//!
//!   store_release(oldest)       A             load_acquire(head)          a
//!   fence: stores before stores B             load_acquire(oldest)        b
//!   store data                                load data
//!   store_release(head)         C             fence: loads before loads   d
//!                                             load(oldest)
//! ```
//!
//! Bytes may change while the consumer copies them. This race is intended: the consumer detects it
//! afterwards and retries.
//!
//! ```text
//!   the reader looks          start                                  head
//!                               |/////////////////////////////////////|
//!                               ^ oldest
//!
//!   it copies from start on;    :##########                           |//////////|
//!   the writer goes on          :         ^ oldest                               ^ head
//!
//!   it looks again: oldest is past start, so some of the copied bytes (#) may be new ones that
//!   replaced the old ones. The reader discards the copy and retries.
//! ```
//!
//! - B and d: a consumer that has copied a byte which replaced an older one also sees the `oldest`
//!   that was stored before that byte.
//! - C and a: a consumer that sees a `head` also sees the bytes before it. An `oldest` that it
//!   loads afterwards is at most the capacity before that `head`.
//! - A and b: if `oldest` is past the `head` that was loaded before, `head` has changed since, and
//!   loading it again shows that. If it has not changed, the positions are impossible.
//!
//! Without B, C, a or d, a consumer accepts torn data. Without A, a or b, it takes a correct
//! producer for a broken one. Without A or b, it may also find a ring empty that never was. The
//! tests on the host show each of these.
//!
//! # Empty, or not
//!
//! If the producer moves on between the two loads, `oldest` can equal the `head` that was loaded
//! before it, although the ring was never empty. So in this case the consumer loads `head` again.
//! If it has not changed, the ring was empty when `oldest` was loaded: all old bytes were gone, and
//! no new ones were published yet.
//!
//! # Progress
//!
//! A full ring always has `oldest` = `head` - capacity, so any write defeats a reader that starts
//! there. See [`Tries`](super::overtaken::Tries) for where it starts instead.
//!
//! # Cursors
//!
//! They have the same fields as in a ring whose producer waits:
//!
//! | | `position` | `peer` |
//! |---|---|---|
//! | of a producer | `head` | `oldest`, instead of the `tail` that it saw last |
//! | of a consumer | `tail` | the `head` that it saw last |
//!
//! # Context
//!
//! Any. A [`Cursor`] belongs to one caller at a time.

use super::{
    framing::{
        record_len,
        Refused,
        Reservation, //
    },
    record::{
        size_in_ring,
        Records, //
    },
    Cursor,
    End,
    Memory,
    Ring, //
};

/// The producer's end, with the position of the oldest byte.
pub(crate) trait Oldest: End {
    /// Loads `oldest`. Pairs with [`Oldest::store_oldest`]. This is b.
    fn load_oldest(&self) -> u64;
    /// Loads `oldest`, after d. No ordering of its own.
    fn reload_oldest(&self) -> u64;
    /// Stores `oldest` with release semantics. This is A.
    fn store_oldest(&self, position: u64);
}

/// The memory of a ring whose producer overwrites the oldest bytes.
pub(crate) trait Overwriting: Memory<Producer: Oldest> {
    /// The producer's fence B: stores before it are visible to others before stores after it. In
    /// the kernel `smp_wmb()`, in user space a release fence.
    fn before_data();
    /// The consumer's fence d: loads before it are done before loads after it. In the kernel
    /// `smp_rmb()`, in user space an acquire fence.
    fn after_data();
}

/// Whether position `a` is before position `b`.
#[inline]
pub(crate) fn is_before(a: u64, b: u64) -> bool {
    (a.wrapping_sub(b) as i64) < 0
}

/// The number of bytes that the consumer at `tail` has not read and that are gone.
#[inline]
pub(crate) fn gone(oldest: u64, tail: u64) -> u64 {
    match is_before(tail, oldest) {
        true => oldest.wrapping_sub(tail),
        false => 0,
    }
}

/// Whether `head` of a producer with the cursor `own` is so far from `tail` that an owner of a
/// claim must have moved it there: nobody writes that many bytes. A little further, and it would
/// seem to be before `tail`.
pub(crate) fn is_far(own: &Cursor, tail: u64) -> bool {
    own.position.wrapping_sub(tail) > u64::MAX / 4
}

/// The position of the first queued byte, for a producer with the cursor `own` and a consumer at
/// `tail`: never before `oldest` or after `head`, whatever `tail` is.
pub(crate) fn first_queued(own: &Cursor, tail: u64) -> u64 {
    let kept = own.position.wrapping_sub(own.peer);
    let queued = own.position.wrapping_sub(tail).min(kept);
    own.position.wrapping_sub(queued)
}

impl<M: Overwriting> Ring<M> {
    /// For the producer of a byte stream: makes room for `len` bytes, or for the capacity if that
    /// is less. Returns this number. The caller then stores the bytes and calls [`Ring::produce`].
    #[inline]
    pub(crate) fn overwrite(&self, own: &mut Cursor, len: u64) -> u64 {
        let len = len.min(own.capacity);
        let end = own.position.wrapping_add(len);
        if end.wrapping_sub(own.peer) > own.capacity {
            self.drop_until(own, end.wrapping_sub(own.capacity));
        }
        self.before_data();
        len
    }

    /// For the producer of records: drops the oldest records, at most `most`, until there is room
    /// for a payload of `len` bytes, and reserves this room. Returns [`None`] if more records have
    /// to be dropped. A large record may replace millions of small ones, so the caller then
    /// reschedules, checks for signals, and calls this again or gives up.
    ///
    /// [`Ring::commit_record`] publishes the record. If it commits fewer bytes, or the reservation
    /// is given up, the old records are gone nevertheless.
    ///
    /// # Errors
    ///
    /// [`Refused::Broken`] if one of their headers is invalid, [`Refused::Length`]. Nothing is
    /// dropped then.
    pub(crate) fn reserve_overwriting(
        &self,
        own: &mut Cursor,
        len: u64,
        most: usize,
        header: impl Fn(usize) -> u64,
    ) -> Result<Option<Reservation>, Refused> {
        let len = record_len(len, own.capacity)?;
        let last = own
            .position
            .wrapping_add(size_in_ring(len))
            .wrapping_sub(own.capacity);
        let mut old = Records::new(own.peer, own.position, own.capacity);
        for _ in 0..most {
            if !is_before(old.position(), last) {
                break;
            }
            // There is one, since `last` is at most the position of the producer.
            old.next(&header)?;
        }
        let oldest = old.position();
        if oldest != own.peer {
            self.drop_until(own, oldest);
        }
        if is_before(oldest, last) {
            return Ok(None);
        }
        self.before_data();
        Ok(Some(Reservation::new(own, len)))
    }

    /// From now on the bytes before `oldest` are gone.
    #[inline]
    fn drop_until(&self, own: &mut Cursor, oldest: u64) {
        // A. Pairs with b in `look()`: a consumer that sees this `oldest` also sees the `head` that
        // was stored before.
        self.producer.store_oldest(oldest);
        own.peer = oldest;
    }

    /// To be called before data is stored, even if nothing was dropped for it. `oldest` may have
    /// been stored by another task that then could not copy its bytes, or by one that had the end
    /// before.
    #[inline]
    fn before_data(&self) {
        // B. Pairs with d in `intact()`: a consumer that has copied a byte stored after this also
        // sees the `oldest` that was stored before, by whichever task.
        M::before_data();
        // C is the release in `produce()`. It pairs with a in `look()`.
    }
}
