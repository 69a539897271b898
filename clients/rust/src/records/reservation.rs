// SPDX-License-Identifier: GPL-2.0 OR MIT
// Copyright (C) 2026 Seed 1f3ad1c2 maintainers.

use crate::device::{Bell, Device};
use crate::end::End;
use crate::error::{Error, Result};
use crate::kind::{Kind, Records};
use crate::ring::framing::Reservation;
use crate::side::Head;
use crate::span::Span;
use crate::traits::debug_len;
use std::io;
use std::os::fd::AsFd;

/// Reserved room for a record. Nobody sees it until it is [committed](RecordReservation::commit).
/// Dropping this value instead queues nothing.
///
/// ```no_run
/// # fn main() -> std::io::Result<()> {
/// # let mut producer = vfifo::RecordProducer::open("/dev/vfifo0")?;
/// # let file = std::io::stdin();
/// let mut place = producer.reserve_wait(1000)?;
/// // The kernel stores directly to the buffer.
/// let len = place.read_from(file)?;
/// if len > 0 {
///     place.commit(len)?;
/// }
/// # Ok(())
/// # }
/// ```
pub struct RecordReservation<'a>(pub(super) Place<'a, Records, Device>);

debug_len!(RecordReservation);

/// Reserved room for a record, in a FIFO of either kind.
pub(crate) struct Place<'a, K: Kind, B: Bell> {
    end: &'a mut End<Head<K>, B>,
    place: Reservation,
}

impl RecordReservation<'_> {
    /// The number of bytes for the payload.
    #[expect(clippy::len_without_is_empty, reason = "as long as was asked for")]
    pub fn len(&self) -> usize {
        self.0.len()
    }

    /// Copies `bytes` to the payload, from its byte number `offset` on.
    ///
    /// # Errors
    ///
    /// [`Error::Range`] if they do not fit there; nothing is copied then.
    #[inline]
    pub fn put(&mut self, offset: usize, bytes: &[u8]) -> Result<()> {
        self.0.span().put(offset, bytes)
    }

    /// Lets the kernel read from `file` to the payload, and returns how many bytes it has read:
    /// zero at the end of the file. This does not commit them.
    ///
    /// # Errors
    ///
    /// Those of `read`.
    pub fn read_from(&mut self, file: impl AsFd) -> io::Result<usize> {
        self.0.span().read_from(file.as_fd())
    }

    /// The place of the payload, at a multiple of 8 bytes. See
    /// [`Reservation::as_raw`](crate::Reservation::as_raw).
    #[inline]
    pub fn as_raw(&mut self) -> *mut [u8] {
        self.0.span().as_raw()
    }

    /// The payload, as ordinary memory. It contains whatever was there before.
    ///
    /// # Safety
    ///
    /// While the slice is in use, no other process or mapping may store to these bytes or load
    /// them: every process that can open the device must follow the protocol.
    #[inline]
    pub unsafe fn as_mut_slice(&mut self) -> &mut [u8] {
        // SAFETY: The memory is mapped and initialized, and nobody else accesses it, by the safety
        // requirements. The result borrows `self`.
        unsafe { &mut *self.as_raw() }
    }

    /// Queues a record with the first `len` bytes of the payload, and wakes the consumer if it
    /// sleeps.
    ///
    /// # Errors
    ///
    /// [`Error::Range`] if `len` is zero or fewer bytes are reserved; nothing is
    /// queued then. Other errors mean that waking has failed; the record is queued nevertheless.
    #[inline]
    pub fn commit(self, len: usize) -> Result<()> {
        self.0.commit(len)
    }
}

impl<'a, K: Kind, B: Bell> Place<'a, K, B> {
    #[inline]
    pub(crate) fn new(end: &'a mut End<Head<K>, B>, place: Reservation) -> Self {
        Self { end, place }
    }

    pub(crate) fn len(&self) -> usize {
        self.place.len() as usize
    }

    #[inline]
    pub(crate) fn span(&self) -> Span<'_> {
        self.end.span(self.place.payload(), self.len())
    }

    #[inline]
    pub(crate) fn commit(self, len: usize) -> Result<()> {
        let Self { end, place } = self;
        // No reservation is that long.
        let len = u32::try_from(len).unwrap_or(u32::MAX);
        let data = &end.data;
        let store = |offset, raw| data.store_word(offset, raw);
        end.ring
            .commit_record(&mut end.cursor, place, len, store)
            .map_err(|_| Error::Range)?;
        end.tell()
    }
}
