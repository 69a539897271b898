// SPDX-License-Identifier: GPL-2.0 OR MIT
// Copyright (C) 2026 Seed 1f3ad1c2 maintainers.

//! The consumer of a ring whose producer overwrites the oldest bytes.
//!
//! It works in steps. Between them, the caller copies the bytes or uses them in place:
//!
//! ```text
//!   tries = Tries::new(framing)
//!   loop {
//!       if let Found(window) = look(own, tries, most)?          Empty: wait, then start again
//!           records only: load the header at window.start() as raw,
//!                         record = intact(window)?.record(raw)
//!           copy up to window.len() bytes, or the payload of the record
//!           if let Some(intact) = intact(window)
//!               lost += take(own, intact, bytes or record.size())
//!               done
//!       Overtaken, or not intact: overtaken(tries)
//!       match tries.next() { Retry, Lock, Pause }
//!   }
//! ```
//!
//! Nothing that was loaded from the data may be used before [`Ring::intact`] has confirmed it. So
//! both [`Intact::record`] and [`Ring::take`] need its result. A header is confirmed before the
//! payload is copied. Otherwise, if a payload had replaced it, its bytes would be taken for a
//! length, and up to the whole ring would be copied for nothing.
//!
//! # Context
//!
//! Any. A [`Cursor`] belongs to one caller at a time.

use super::{
    framing::Framing,
    overwrite::{
        is_before,
        Oldest,
        Overwriting, //
    },
    record::{
        check,
        is_aligned,
        Record, //
    },
    Broken,
    Cursor,
    End,
    Ring, //
};

/// What a consumer found.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Look {
    /// Nothing is queued.
    Empty,
    /// The positions moved while they were loaded.
    Overtaken,
    /// These bytes are queued, or were a moment ago.
    Found(Window),
}

/// Queued bytes that may be overwritten at any time.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Window {
    start: u64,
    len: u64,
    head: u64,
}

impl Window {
    /// The position of the first byte.
    #[inline]
    pub(crate) fn start(&self) -> u64 {
        self.start
    }

    /// The number of bytes, at most the capacity.
    #[inline]
    pub(crate) fn len(&self) -> u64 {
        self.len
    }

    /// The window after `record`, which [`Intact::record`] returned for this one, or [`None`] if
    /// that was its last record.
    #[allow(
        dead_code,
        reason = "for programs that read records in place; the driver reads one at a time"
    )]
    #[inline]
    pub(crate) fn after(&self, record: &Record) -> Option<Window> {
        let len = self.head.wrapping_sub(record.end());
        (1..self.len).contains(&len).then_some(Window {
            start: record.end(),
            len,
            head: self.head,
        })
    }
}

/// Proof that what was loaded from a [`Window`] was not overwritten meanwhile.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Intact {
    start: u64,
    len: u64,
}

impl Intact {
    /// The first record. Its header was loaded as `raw` before.
    ///
    /// # Errors
    ///
    /// [`Broken`] if the header is wrong.
    #[inline]
    pub(crate) fn record(&self, raw: u64) -> Result<Record, Broken> {
        check(raw, self.start, self.len)
    }
}

/// What to do after a defeat.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Next {
    /// Retry.
    Retry,
    /// If the producer's end is not claimed, retry with new [`Tries`] and hold the producer's lock
    /// meanwhile: nothing is overwritten then, and nothing has to be skipped. Otherwise just retry.
    Lock,
    /// As `Lock`, but if the end is claimed, return if the call is non-blocking, or else reschedule
    /// and check for signals first.
    Pause,
}

/// The failed attempts of a consumer, and where the next one starts.
///
/// The first two attempts start at the oldest byte, so that nothing is skipped. Later ones start
/// further on:
///
/// - Bytes: an attempt skips 4, 16, 64, ... times the number of bytes that the caller wants. But it
///   leaves at least 1/2, 1/4, 1/8, ... of the queued bytes.
/// - Records: an attempt starts at the `head` that was loaded at the end of the last attempt. A
///   record begins there, and it is the last one to be overwritten. Any other start of a record can
///   only be found by reading headers from the oldest one on, and that one is overwritten first.
///
/// So an attempt succeeds eventually if it takes less time than the producer needs to fill the
/// ring.
#[derive(Clone, Debug)]
pub(crate) struct Tries {
    framing: Framing,
    defeats: u32,
    head: u64,
}

impl Tries {
    /// The number of attempts before `Lock`, each of which starts with the oldest byte.
    pub(crate) const GENTLE: u32 = 2;
    /// The number of attempts before `Pause`.
    pub(crate) const MOST: u32 = 16;

    /// No attempt was made yet.
    #[inline]
    pub(crate) fn new(framing: Framing) -> Self {
        Self {
            framing,
            defeats: 0,
            head: 0,
        }
    }

    /// What to do now.
    #[inline]
    pub(crate) fn next(&self) -> Next {
        match self.defeats {
            0..Self::GENTLE => Next::Retry,
            defeats if defeats % Self::MOST == 0 => Next::Pause,
            _ => Next::Lock,
        }
    }

    /// The number of bytes up to `head` to start with, of `queued` ones. The caller wants `most`.
    #[inline]
    fn limit(&self, head: u64, queued: u64, most: u64) -> u64 {
        match self.defeats {
            0..Self::GENTLE => queued,
            defeats => {
                let further = (defeats - Self::GENTLE + 1).min(Self::MOST);
                self.limit_further(further, head, queued, most)
            }
        }
    }

    #[cold]
    fn limit_further(&self, further: u32, head: u64, queued: u64, most: u64) -> u64 {
        match self.framing {
            Framing::Stream => {
                let skipped = most.clamp(1, queued).saturating_mul(1 << (2 * further));
                let least = (queued >> further).max(1);
                queued.saturating_sub(skipped).max(least)
            }
            Framing::Record => match head.wrapping_sub(self.head) {
                since if (1..queued).contains(&since) && is_aligned(since) => since,
                _ => queued,
            },
        }
    }
}

impl<M: Overwriting> Ring<M> {
    /// For the consumer: the queued bytes, of which it wants up to `most`. May skip some of them,
    /// see [`Tries`].
    ///
    /// # Errors
    ///
    /// [`Broken`] if the producer's positions are impossible.
    #[inline]
    pub(crate) fn look(&self, own: &mut Cursor, tries: &Tries, most: u64) -> Result<Look, Broken> {
        // a. Pairs with C, the release in `produce()`. Comes before b: with an older `oldest`, more
        // than the capacity might seem to be queued.
        let head = self.producer.load_acquire();
        // b. Pairs with A in `drop_until()`.
        let oldest = self.producer.load_oldest();
        // The second check is that of `size_overwriting()`. Without it, this could find nothing
        // where that finds an error, and a call that waits would neither sleep nor go on.
        if is_before(head, own.peer) || is_before(head, own.position) {
            return Err(Broken);
        }
        let kept = head.wrapping_sub(oldest);
        let queued = head.wrapping_sub(own.position).min(kept);
        if kept > own.capacity || (queued == 0 && head != own.position) {
            // If `oldest` is newer than `head`, this load sees a later `head`, because of A and b.
            // Otherwise the two belong together: they are impossible, or everything is gone.
            if self.producer.load_acquire() != head {
                return Ok(Look::Overtaken);
            }
            if kept > own.capacity {
                return Err(Broken);
            }
        }
        if !tries.framing.is_aligned(head | oldest) {
            return Err(Broken);
        }
        own.peer = head;
        if queued == 0 {
            return Ok(Look::Empty);
        }
        let len = tries.limit(head, queued, most);
        Ok(Look::Found(Window {
            start: head.wrapping_sub(len),
            len,
            head,
        }))
    }

    /// For the consumer: whether everything loaded from `window` so far was still valid when it was
    /// loaded.
    #[inline]
    pub(crate) fn intact(&self, window: &Window) -> Option<Intact> {
        // d. Pairs with B in `drop_until()`.
        M::after_data();
        let oldest = self.producer.reload_oldest();
        (!is_before(window.start, oldest)).then_some(Intact {
            start: window.start,
            len: window.len,
        })
    }

    /// For the consumer: an attempt has failed.
    #[cold]
    pub(crate) fn overtaken(&self, tries: &mut Tries) {
        tries.defeats = tries.defeats.saturating_add(1);
        // Where the next attempt starts. If this is impossible, `look()` will find out.
        tries.head = self.producer.load_acquire();
    }

    /// For the consumer: moves to the end of the first `len` bytes of the window, at most all of
    /// them. Returns the number of bytes before the window that were skipped: they are lost.
    #[inline]
    pub(crate) fn take(&self, own: &mut Cursor, intact: Intact, len: u64) -> u64 {
        let lost = intact.start.wrapping_sub(own.position);
        own.position = intact.start.wrapping_add(len.min(intact.len));
        self.consumer.store_release(own.position);
        lost
    }
}
