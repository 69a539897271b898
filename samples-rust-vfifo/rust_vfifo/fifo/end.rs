// SPDX-License-Identifier: GPL-2.0
// Copyright (C) 2026 Seed 1f3ad1c2 maintainers.

//! The two ends of a FIFO: their names, their data and their pages.
//!
//! The data of an end is in three places:
//!
//! | where | for whom |
//! |---|---|
//! | [`End`] | whoever holds the end's lock, `reader` or `writer` |
//! | [`EndStatus`] | everybody |
//! | [`EndPage`] | everybody, and user space if the page is mapped |
//!
//! # Context
//!
//! Functions can be called from any context, except that [`EndPage::new`] may sleep. Those of
//! [`End`] need its lock; [`End::copy`] may sleep if `copy` does.

use super::super::{
    ring::{
        self,
        overwrite::{
            Oldest,
            Overwriting, //
        },
        Cursor,
        Fence,
        Memory,
        Piece, //
    },
    uapi, //
};
use core::ops::Deref;
use kernel::{
    page::PAGE_SIZE,
    page_buffer::PageBuffer,
    prelude::*,
    sync::{
        atomic::{
            Acquire,
            Atomic,
            Relaxed,
            Release, //
        },
        barrier,
        Arc, //
    }, //
};

/// One of the two ends of a stream.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Side {
    /// Bytes go in here.
    Producer,
    /// Bytes come out here.
    Consumer,
}

impl Side {
    /// Both ends.
    pub(crate) const BOTH: [Self; 2] = [Side::Producer, Side::Consumer];

    /// The other end.
    pub(super) fn other(self) -> Self {
        match self {
            Side::Producer => Side::Consumer,
            Side::Consumer => Side::Producer,
        }
    }

    /// The name of the end.
    pub(crate) fn name(self) -> &'static str {
        match self {
            Side::Producer => "producer",
            Side::Consumer => "consumer",
        }
    }
}

/// Identifies an open file among all that are open at the same time. Never zero.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) struct FileId(pub(super) usize);

impl FileId {
    /// The identifier of the file whose private data this is.
    pub(crate) fn of<T>(private: &T) -> Self {
        Self(core::ptr::from_ref(private).addr())
    }
}

/// A page that begins with a `struct vfifo_end`.
pub(crate) struct EndPage(pub(super) Arc<PageBuffer>);

impl EndPage {
    /// Allocates the page of an end at position 0.
    pub(super) fn new() -> Result<Self> {
        Ok(Self(Arc::new(PageBuffer::new(1)?, GFP_KERNEL_ACCOUNT)?))
    }

    /// Clears the page, except for the position and `waiting`, and for `oldest` if that
    /// `has_oldest`: an owner may have stored something there.
    pub(super) fn clean(&self, has_oldest: bool) {
        const AFTER_POSITION: usize = uapi::END_POSITION + size_of::<u64>();
        const AFTER_WAITING: usize = uapi::END_WAITING + size_of::<u32>();
        const AFTER_OLDEST: usize = uapi::END_OLDEST + size_of::<u64>();
        const { assert!(AFTER_POSITION <= uapi::END_WAITING && AFTER_WAITING <= uapi::END_OLDEST) };
        self.0
            .zero(AFTER_POSITION, uapi::END_WAITING - AFTER_POSITION);
        self.0.zero(AFTER_WAITING, uapi::END_OLDEST - AFTER_WAITING);
        self.0.zero(AFTER_OLDEST, PAGE_SIZE - AFTER_OLDEST);
        if !has_oldest {
            self.oldest().store(0, Relaxed);
        }
    }

    fn oldest(&self) -> &Atomic<u64> {
        self.0.atomic_u64::<{ uapi::END_OLDEST }>()
    }
}

impl ring::End for EndPage {
    // Orderings: see `ring::End`. The partner is named where `Ring` calls these.

    #[inline]
    fn load_acquire(&self) -> u64 {
        self.0.atomic_u64::<{ uapi::END_POSITION }>().load(Acquire)
    }

    #[inline]
    fn store_release(&self, position: u64) {
        self.0
            .atomic_u64::<{ uapi::END_POSITION }>()
            .store(position, Release);
    }

    #[inline]
    fn is_waiting(&self) -> bool {
        self.0.atomic_u32::<{ uapi::END_WAITING }>().load(Relaxed) != 0
    }

    #[inline]
    fn set_waiting(&self, waiting: bool) {
        self.0
            .atomic_u32::<{ uapi::END_WAITING }>()
            .store(waiting.into(), Relaxed);
    }
}

impl Oldest for EndPage {
    #[inline]
    fn load_oldest(&self) -> u64 {
        self.oldest().load(Acquire)
    }

    #[inline]
    fn reload_oldest(&self) -> u64 {
        self.oldest().load(Relaxed)
    }

    #[inline]
    fn store_oldest(&self, position: u64) {
        self.oldest().store(position, Release);
    }
}

/// The memory of a ring whose ends are pages that can be mapped.
pub(crate) struct Pages;

impl Memory for Pages {
    type Producer = EndPage;
    type Consumer = EndPage;

    #[inline]
    fn fence(_: Fence) {
        barrier::smp_mb(barrier::Full);
    }
}

impl Overwriting for Pages {
    #[inline]
    fn before_data() {
        barrier::smp_mb(barrier::Write);
    }

    #[inline]
    fn after_data() {
        barrier::smp_mb(barrier::Read);
    }
}

/// The data of an end that is protected by its lock.
pub(super) struct End {
    /// The FIFO's buffer.
    pub(super) buffer: Arc<PageBuffer>,
    /// Out of date while the end is claimed.
    pub(super) cursor: Cursor,
    /// Whether the end is claimed. Others read [`EndStatus::owner`].
    pub(super) claimed: bool,
    /// Of the producer: where the records of the last owner begin and end, if these were not
    /// checked when the claim ended, since the other end was claimed.
    pub(super) unchecked: Option<(u64, u64)>,
    /// Of the consumer: how often its position, or the last `head` that it saw, may have been put
    /// back: by the end of a claim on either end, or by clearing. If this has changed while the
    /// lock was not held, what was queued at the same position before may be something else now.
    pub(super) resets: u64,
}

impl End {
    /// An end at position 0 of `buffer`.
    pub(super) fn new(buffer: Arc<PageBuffer>) -> Self {
        Self {
            cursor: Cursor::new(buffer.len() as u64, 0),
            buffer,
            claimed: false,
            unchecked: None,
            resets: 0,
        }
    }

    /// Calls `copy` for each piece of the `len` bytes from the end's position on, until it copies
    /// less than a whole piece. Returns the number of bytes copied.
    #[inline]
    pub(super) fn copy(&self, len: usize, copy: impl FnMut(&PageBuffer, Piece) -> usize) -> usize {
        self.copy_at(self.cursor.position, len, copy)
    }

    /// As [`End::copy`], for the bytes from `position` on.
    #[inline]
    pub(super) fn copy_at(
        &self,
        position: u64,
        len: usize,
        mut copy: impl FnMut(&PageBuffer, Piece) -> usize,
    ) -> usize {
        let [first, second] = ring::pieces(position, len as u64, self.cursor.capacity);
        let done = copy(&self.buffer, first);
        if second.len == 0 || done < first.len {
            return done;
        }
        done + Self::copy_rest(&self.buffer, second, copy)
    }

    /// Stores `bytes` from `position` on. They must fit into the buffer.
    pub(super) fn store(&self, position: u64, bytes: &[u8]) {
        // The part that does not fit before the end of the buffer goes to its start.
        let [first, _] = ring::pieces(position, bytes.len() as u64, self.cursor.capacity);
        let done = self.buffer.write(first.offset, bytes);
        self.buffer.write(0, bytes.get(done..).unwrap_or(&[]));
    }

    // A function of its own, so that a copy that does not wrap around need not save registers.
    #[cold]
    fn copy_rest(
        buffer: &PageBuffer,
        piece: Piece,
        mut copy: impl FnMut(&PageBuffer, Piece) -> usize,
    ) -> usize {
        copy(buffer, piece)
    }
}

/// Loads the header of a record. `offset` is a multiple of 8, and within the buffer. No ordering.
pub(super) fn load_header(buffer: &PageBuffer) -> impl Fn(usize) -> u64 + '_ {
    // A header of zero is refused.
    |offset| {
        buffer
            .atomic_u64_at(offset)
            .map_or(0, |header| header.load(Relaxed))
    }
}

/// Stores the header of a record, see [`load_header`].
pub(super) fn store_header(buffer: &PageBuffer) -> impl Fn(usize, u64) + '_ {
    |offset, raw| {
        if let Some(header) = buffer.atomic_u64_at(offset) {
            header.store(raw, Relaxed);
        }
    }
}

/// The data of an end that can be read without its lock.
pub(super) struct EndStatus {
    /// The [`FileId`] of the claim's owner, or zero. Stored with the end's lock held.
    ///
    /// No ordering of its own. A sleeper that reads it before the store is woken after the store:
    /// the fence of `Ring::*_will_wait()` before the load pairs with the one of
    /// `WaitQueue::has_sleepers()` in `wake_queue()` after the store.
    pub(super) owner: Atomic<usize>,
    /// The position that the other end was last told of, while this end is claimed. Stored with
    /// `dropped` held.
    pub(super) told: Atomic<u64>,
    /// The number of claims so far. Stored with `dropped` held.
    pub(super) claims: Atomic<u64>,
    /// Whether exclusive pollers may be waiting at this end. See `Queues::exclusive()`.
    pub(super) exclusive: Atomic<bool>,
}

impl EndStatus {
    /// The status of an end that is free.
    pub(super) fn new() -> Self {
        Self {
            owner: Atomic::new(0),
            told: Atomic::new(0),
            claims: Atomic::new(0),
            exclusive: Atomic::new(false),
        }
    }
}

/// Gives `T` cache lines of its own. A reader and a writer that run at the same time would slow
/// each other down if their data shared one.
#[pin_data]
#[repr(align(128))]
pub(super) struct CacheAligned<T> {
    #[pin]
    inner: T,
}

impl<T> CacheAligned<T> {
    /// Puts `inner` into cache lines of its own.
    pub(super) fn new(inner: impl PinInit<T>) -> impl PinInit<Self> {
        pin_init!(Self { inner <- inner })
    }
}

impl<T> Deref for CacheAligned<T> {
    type Target = T;

    fn deref(&self) -> &T {
        &self.inner
    }
}
