// SPDX-License-Identifier: GPL-2.0 OR MIT
// Copyright (C) 2026 Seed 1f3ad1c2 maintainers.

use crate::device::Device;
use crate::error::Result;
use crate::kind::OverwritingRecords;
use crate::records::reservation::Place;
use crate::traits::debug_len;
use std::io;
use std::os::fd::AsFd;

/// Reserved room for a record. Nobody sees it until it is [committed](RecordReservation::commit).
/// Dropping this value instead queues nothing.
///
/// As with [bytes](crate::overwriting::Reservation), no reference to the payload can be exclusive.
///
/// ```no_run
/// # fn main() -> vfifo::Result<()> {
/// # let mut producer = vfifo::overwriting::RecordProducer::open("/dev/vfifo0")?;
/// let mut place = producer.reserve(100)?;
/// place.put(0, b"short")?;
/// // The rest is given up.
/// place.commit(5)?;
/// # Ok(())
/// # }
/// ```
pub struct RecordReservation<'a>(pub(super) Place<'a, OverwritingRecords, Device>);

debug_len!(RecordReservation);

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
    /// [`Error::Range`](crate::Error::Range) if they do not fit there; nothing is copied then.
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
    /// [`Reservation::as_raw`](crate::overwriting::Reservation::as_raw).
    #[inline]
    pub fn as_raw(&mut self) -> *mut [u8] {
        self.0.span().as_raw()
    }

    /// Queues a record with the first `len` bytes of the payload, and wakes the consumer if it
    /// sleeps.
    ///
    /// # Errors
    ///
    /// [`Error::Range`](crate::Error::Range) if `len` is zero or fewer bytes are reserved; nothing is
    /// queued then. Other errors mean that waking has failed; the record is queued nevertheless.
    #[inline]
    pub fn commit(self, len: usize) -> Result<()> {
        self.0.commit(len)
    }
}
