// SPDX-License-Identifier: GPL-2.0 OR MIT
// Copyright (C) 2026 Seed 1f3ad1c2 maintainers.

use crate::device::{Bell, Device};
use crate::error::Result;
use crate::producer::Port;
use crate::span::{within, Span};
use crate::traits::debug_len;
use std::io;
use std::os::fd::AsFd;

/// Reserved room. Nobody sees the bytes until they are [committed](Reservation::commit). Dropping
/// this value instead queues nothing.
///
/// ```no_run
/// # fn main() -> vfifo::Result<()> {
/// # let mut producer = vfifo::Producer::open("/dev/vfifo0")?;
/// let mut place = producer.reserve_wait(1000)?;
/// // The kernel stores directly to the buffer.
/// let len = place.read_from(std::io::stdin())?;
/// // The rest is given up.
/// place.commit(len)?;
/// # Ok(())
/// # }
/// ```
pub struct Reservation<'a>(pub(crate) Place<'a, Device>);

debug_len!(Reservation);

pub(crate) struct Place<'a, B: Bell> {
    pub(crate) port: &'a mut Port<B>,
    pub(crate) len: usize,
}

impl Reservation<'_> {
    /// The number of bytes.
    #[expect(clippy::len_without_is_empty, reason = "as long as was asked for")]
    pub fn len(&self) -> usize {
        self.0.len
    }

    /// Copies `bytes` to the reserved room, from its byte number `offset` on.
    ///
    /// # Errors
    ///
    /// [`Error::Range`](crate::Error::Range) if they do not fit there; nothing is copied then.
    #[inline]
    pub fn put(&mut self, offset: usize, bytes: &[u8]) -> Result<()> {
        self.0.span().put(offset, bytes)
    }

    /// Lets the kernel read from `file` to the reserved room, and returns how many bytes it has
    /// read: zero at the end of the file. This does not commit them.
    ///
    /// # Errors
    ///
    /// Those of `read`.
    pub fn read_from(&mut self, file: impl AsFd) -> io::Result<usize> {
        self.0.span().read_from(file.as_fd())
    }

    /// The place of the reserved room.
    ///
    /// Others can load and store its bytes at any time (see [the crate](crate)), so use the pointer
    /// for volatile or atomic accesses, or pass it to a foreign function that expects that. It is
    /// valid for reads and writes as long as this reservation exists.
    #[inline]
    pub fn as_raw(&mut self) -> *mut [u8] {
        self.0.span().as_raw()
    }

    /// The reserved room, as ordinary memory. It contains whatever was there before.
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

    /// Queues the first `len` bytes, and wakes the consumer if it sleeps.
    ///
    /// # Errors
    ///
    /// [`Error::Range`](crate::Error::Range) if fewer are reserved; nothing is queued then. Other errors
    /// mean that waking has failed; the bytes are queued nevertheless.
    #[inline]
    pub fn commit(self, len: usize) -> Result<()> {
        self.0.commit(len)
    }
}

impl<B: Bell> Place<'_, B> {
    #[inline]
    pub(crate) fn span(&self) -> Span<'_> {
        self.port.end.first(self.len)
    }

    #[inline]
    pub(crate) fn commit(self, len: usize) -> Result<()> {
        within(self.len, 0, len)?;
        self.port.end.publish(len)
    }
}
