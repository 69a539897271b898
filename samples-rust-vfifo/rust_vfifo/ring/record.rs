// SPDX-License-Identifier: GPL-2.0 OR MIT
// Copyright (C) 2026 Seed 1f3ad1c2 maintainers.

//! The format of a record in the ring, and the validation of headers.
//!
//! With framing `record`, the ring holds records one after the other:
//!
//! ```text
//!   position                       +8                        +8+len    next position
//!     |                             |                           |         |
//!     v                             v                           v         v
//!     +--------------+--------------+---------------------------+---------+----
//!     | len: u32     | flags: u32   | payload, 1 or more bytes  | padding | len ...
//!     +--------------+--------------+---------------------------+---------+----
//!     |<------- header, 8 --------->|<-- len, rounded up to a multiple of 8 -->|
//!     |<------------------- size_in_ring(len) -------------------------------->|
//! ```
//!
//! Positions are multiples of 8, so a header never wraps around the end of the buffer. A payload
//! may wrap around, except in a mapping, which shows the buffer twice in a row. The contents of the
//! padding are undefined.
//!
//! # Trust
//!
//! Any process that can map the data can change a header at any time. So a header is loaded once,
//! as a single `u64`, and [`check`] validates the loaded value. The resulting [`Record`] lies
//! within the published part of the ring, no matter what the buffer contains later. A header that
//! fails the check puts the FIFO into its error state, like an impossible position.
//!
//! # Context
//!
//! Any. A `header` argument is a function that loads the header at an offset in the buffer, which
//! is a multiple of 8, with a single relaxed load of eight bytes.

use super::Broken;

/// The size of a header.
pub(crate) const HEADER_SIZE: u64 = size_of::<u64>() as u64;

/// Positions of records are multiples of this.
pub(crate) const ALIGN: u64 = 8;

/// Whether a record can begin or end at `position`.
#[inline]
pub(crate) fn is_aligned(position: u64) -> bool {
    position & (ALIGN - 1) == 0
}

/// The place of the byte at `position` in a buffer of `capacity` bytes.
#[inline]
pub(crate) fn offset(position: u64, capacity: u64) -> usize {
    (position & capacity.wrapping_sub(1)) as usize
}

/// The number of bytes that a record with a payload of `len` bytes takes in the ring.
#[inline]
pub(crate) fn size_in_ring(len: u32) -> u64 {
    HEADER_SIZE + u64::from(len).next_multiple_of(ALIGN)
}

/// The largest payload in a ring of `capacity` bytes.
#[inline]
pub(crate) fn largest(capacity: u64) -> u32 {
    let len = capacity.saturating_sub(HEADER_SIZE);
    u32::try_from(len).unwrap_or(u32::MAX)
}

/// `struct vfifo_record`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Header {
    /// The length of the payload.
    pub(crate) len: u32,
    /// Reserved: zero.
    pub(crate) flags: u32,
}

impl Header {
    /// The header of a record with `len` bytes.
    #[inline]
    pub(crate) fn new(len: u32) -> Self {
        Self { len, flags: 0 }
    }

    /// The header in the eight bytes that were loaded as `raw`.
    #[inline]
    pub(crate) fn from_raw(raw: u64) -> Self {
        let [l0, l1, l2, l3, f0, f1, f2, f3] = raw.to_ne_bytes();
        Self {
            len: u32::from_ne_bytes([l0, l1, l2, l3]),
            flags: u32::from_ne_bytes([f0, f1, f2, f3]),
        }
    }

    /// The eight bytes to store, as one `u64`.
    #[inline]
    pub(crate) fn to_raw(self) -> u64 {
        let [l0, l1, l2, l3] = self.len.to_ne_bytes();
        let [f0, f1, f2, f3] = self.flags.to_ne_bytes();
        u64::from_ne_bytes([l0, l1, l2, l3, f0, f1, f2, f3])
    }
}

/// A record whose header was checked.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Record {
    /// The position of its header.
    pub(crate) position: u64,
    /// The length of its payload, at least 1.
    pub(crate) len: u32,
}

impl Record {
    /// The position of the payload.
    #[inline]
    pub(crate) fn payload(&self) -> u64 {
        self.position.wrapping_add(HEADER_SIZE)
    }

    /// The number of bytes that the record takes in the ring.
    #[inline]
    pub(crate) fn size(&self) -> u64 {
        size_in_ring(self.len)
    }

    /// The position of the next record.
    #[inline]
    pub(crate) fn end(&self) -> u64 {
        self.position.wrapping_add(self.size())
    }
}

/// Validates the header `raw`, which was loaded from `position`. The published bytes end `queued`
/// bytes after that.
///
/// # Errors
///
/// [`Broken`] unless both the position and the end of the published bytes are multiples of 8, the
/// record ends within these bytes, its length is not zero, and its flags are zero.
#[inline]
pub(crate) fn check(raw: u64, position: u64, queued: u64) -> Result<Record, Broken> {
    let Header { len, flags } = Header::from_raw(raw);
    if is_aligned(position | queued) && len != 0 && flags == 0 && size_in_ring(len) <= queued {
        Ok(Record { position, len })
    } else {
        Err(Broken)
    }
}

/// How far [`Records::skip`] has come.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Skipped {
    /// To the end.
    All,
    /// As far as allowed. More records follow.
    Some,
    /// To an invalid header.
    Broken,
}

/// The records between two positions, one after the other.
#[derive(Clone, Debug)]
pub(crate) struct Records {
    at: u64,
    end: u64,
    capacity: u64,
}

impl Records {
    /// The records from `at`, where one begins, to `end`, where one ends.
    #[inline]
    pub(crate) fn new(at: u64, end: u64, capacity: u64) -> Self {
        Self { at, end, capacity }
    }

    /// The position after the last record that was returned.
    #[inline]
    pub(crate) fn position(&self) -> u64 {
        self.at
    }

    /// The next record, or [`None`] at the end.
    ///
    /// # Errors
    ///
    /// [`Broken`] if [`check`] fails, or if more bytes than fit lie between the positions. The next
    /// call tries the same header again.
    #[inline]
    pub(crate) fn next(&mut self, header: impl Fn(usize) -> u64) -> Result<Option<Record>, Broken> {
        let queued = super::queued(self.end, self.at, self.capacity)?;
        if queued == 0 {
            return Ok(None);
        }
        if !is_aligned(self.at | queued) {
            return Err(Broken);
        }
        let raw = header(offset(self.at, self.capacity));
        let record = check(raw, self.at, queued)?;
        self.at = record.end();
        Ok(Some(record))
    }

    /// Skips at most `most` records. A ring may hold millions of them, so callers reschedule
    /// between calls.
    ///
    /// Afterwards, [`Records::position`] is the end of the last good record.
    pub(crate) fn skip(&mut self, most: usize, header: impl Fn(usize) -> u64) -> Skipped {
        for _ in 0..most {
            match self.next(&header) {
                Ok(Some(_)) => {}
                Ok(None) => return Skipped::All,
                Err(Broken) => return Skipped::Broken,
            }
        }
        match self.at == self.end {
            true => Skipped::All,
            false => Skipped::Some,
        }
    }
}
