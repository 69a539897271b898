// SPDX-License-Identifier: GPL-2.0 OR MIT
// Copyright (C) 2026 Seed 1f3ad1c2 maintainers.

use crate::error::Result;
use crate::span::{Iter, Span};
use crate::traits::debug_len;
use std::io;
use std::os::fd::AsFd;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};

/// A queued record. Its payload is in one piece, and begins at a multiple of 8 bytes.
///
/// Its length was checked when it was found, and does not change. The payload can, since others can
/// map it: see [the crate](crate).
///
/// ```no_run
/// # fn main() -> vfifo::Result<()> {
/// # let mut consumer = vfifo::RecordConsumer::open("/dev/vfifo0")?;
/// let mut records = consumer.peek_wait()?;
/// for record in &mut records {
///     let record = record?;
///     let mut number = [0; 8];
///     if record.len() == number.len() {
///         record.get(0, &mut number)?;
///         println!("{}", u64::from_le_bytes(number));
///     }
/// }
/// records.release()?;
/// # Ok(())
/// # }
/// ```
pub struct Record<'a> {
    pub(super) span: Span<'a>,
    /// See `Batch`.
    pub(super) limit: &'a AtomicU64,
    pub(super) position: u64,
}

debug_len!(Record);

impl<'a> Record<'a> {
    /// The length of the payload, at least 1.
    #[expect(clippy::len_without_is_empty, reason = "no record is empty")]
    pub fn len(&self) -> usize {
        self.span.len()
    }

    /// Copies bytes of the payload to `to`, from byte number `offset` on.
    ///
    /// # Errors
    ///
    /// [`Error::Range`](crate::Error::Range) if there are fewer bytes than `to` holds; nothing is copied.
    #[inline]
    pub fn get(&self, offset: usize, to: &mut [u8]) -> Result<()> {
        self.span.get(offset, to)
    }

    /// A copy of the payload.
    pub fn to_vec(&self) -> Vec<u8> {
        self.span.to_vec()
    }

    /// The bytes of the payload one by one. Each is loaded when it is its turn.
    pub fn iter(&self) -> Iter<'a> {
        self.span.iter()
    }

    /// Lets the kernel write the payload to `file`, and returns how many bytes it has written. This
    /// does not release the record.
    ///
    /// # Errors
    ///
    /// Those of `write`.
    pub fn write_to(&self, file: impl AsFd) -> io::Result<usize> {
        self.span.write_to(file.as_fd())
    }

    /// The place of the payload. See [`Bytes::as_raw`](crate::Bytes::as_raw). It is valid for reads
    /// until the record is released.
    #[inline]
    pub fn as_raw(&self) -> *const [u8] {
        self.span.as_raw()
    }

    /// The payload, as ordinary memory. The slice cannot be used after the record was released.
    ///
    /// # Safety
    ///
    /// While the slice is in use, no process or mapping may store to these bytes: every process
    /// that can open the device for reading and writing must follow the protocol.
    #[inline]
    pub unsafe fn as_slice(&self) -> &'a [u8] {
        // SAFETY: The memory is mapped, and does not change, by the safety requirements. The result
        // borrows the `Records`, and the record stays queued as long as they exist.
        unsafe { &*self.as_raw() }
    }

    /// Leaves this record, and those after it, for later: they count as not returned, so
    /// [`Records::release`](crate::Records::release) does not release them. This ends the
    /// iteration; the next one begins with this record.
    ///
    /// ```no_run
    /// # fn main() -> vfifo::Result<()> {
    /// # let mut consumer = vfifo::RecordConsumer::open("/dev/vfifo0")?;
    /// # let mut file = std::io::stdout();
    /// let mut records = consumer.peek_wait()?;
    /// for record in &mut records {
    ///     let record = record?;
    ///     if record.write_to(&file).is_err() {
    ///         record.put_back();
    ///     }
    /// }
    /// records.release()?;
    /// # Ok(())
    /// # }
    /// ```
    pub fn put_back(self) {
        // An earlier one may have been put back already. All positions are of queued records, or at
        // the end of them.
        let earlier = |limit: u64| {
            let is_earlier = (self.position.wrapping_sub(limit) as i64) < 0;
            is_earlier.then_some(self.position)
        };
        let _ = self.limit.fetch_update(Relaxed, Relaxed, earlier);
    }
}

impl<'a> IntoIterator for &Record<'a> {
    type Item = u8;
    type IntoIter = Iter<'a>;

    fn into_iter(self) -> Iter<'a> {
        self.iter()
    }
}
