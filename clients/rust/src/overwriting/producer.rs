// SPDX-License-Identifier: GPL-2.0 OR MIT
// Copyright (C) 2026 Seed 1f3ad1c2 maintainers.

use super::reservation::{Place, Reservation};
use crate::device::{Bell, Device};
use crate::end::End;
use crate::error::Result;
use crate::kind::OverwritingStream;
use crate::side::Head;
use crate::span::within;
use crate::traits::end_traits;
use std::fs::OpenOptions;
use std::io::{self, Write};
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::path::Path;

/// The producer's end of a FIFO of bytes, which overwrites the oldest ones. While this exists,
/// nobody else puts bytes in.
///
/// The device's attribute `framing` is `stream`, and `overwrite` is 1.
///
/// ```no_run
/// # fn main() -> vfifo::Result<()> {
/// let mut producer = vfifo::overwriting::Producer::open("/dev/vfifo0")?;
/// for number in 0u64.. {
///     let mut place = producer.reserve(8)?;
///     place.put(0, &number.to_le_bytes())?;
///     place.commit(8)?;
/// }
/// # Ok(())
/// # }
/// ```
pub struct Producer(pub(crate) Port<Device>);

end_traits!(Producer);

/// The same, with any way to wake the consumer.
pub(crate) struct Port<B: Bell> {
    pub(crate) end: End<Head<OverwritingStream>, B>,
}

impl Producer {
    /// Becomes the producer of the device at `path`.
    ///
    /// # Errors
    ///
    /// As for [`Producer::open`](crate::Producer::open).
    pub fn open(path: impl AsRef<Path>) -> Result<Self> {
        let file = OpenOptions::new().read(true).write(true).open(path)?;
        Self::from_fd(file)
    }

    /// Becomes the producer of the device `file`, which must be open for reading and writing.
    ///
    /// # Errors
    ///
    /// As for [`Producer::open`](crate::Producer::open).
    pub fn from_fd(file: impl Into<OwnedFd>) -> Result<Self> {
        let end = End::open(file.into())?;
        Ok(Self(Port { end }))
    }

    /// The capacity: the largest number of bytes that can be queued.
    pub fn capacity(&self) -> usize {
        self.0.end.capacity()
    }

    /// Reserves room for the next `len` bytes. As many of the oldest bytes as necessary are gone
    /// then, even if fewer bytes are committed or the reservation is dropped.
    ///
    /// # Errors
    ///
    /// [`Error::Range`](crate::Error::Range) if `len` is more than the capacity.
    #[inline]
    pub fn reserve(&mut self, len: usize) -> Result<Reservation<'_>> {
        Ok(Reservation(self.0.reserve(len)?))
    }

    /// Whether it makes sense to go on. This takes system calls, and nothing else here does, except
    /// waking a consumer.
    ///
    /// # Errors
    ///
    /// [`Error::Ended`](crate::Error::Ended) if all readers have gone,
    /// [`Error::Broken`](crate::Error::Broken) in the error state.
    pub fn check(&self) -> Result<()> {
        self.0.end.check()
    }
}

/// The device.
impl AsFd for Producer {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.0.end.as_fd()
    }
}

/// Copies bytes in, at most as many as the capacity in one call. Never sleeps.
impl Write for Producer {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        Ok(self.0.write(bytes)?)
    }

    /// Does nothing: what is written is queued at once.
    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

impl<B: Bell> Port<B> {
    #[inline]
    pub(crate) fn reserve(&mut self, len: usize) -> Result<Place<'_, B>> {
        within(self.end.capacity(), 0, len)?;
        self.end.ring.overwrite(&mut self.end.cursor, len as u64);
        Ok(Place { port: self, len })
    }

    pub(crate) fn write(&mut self, bytes: &[u8]) -> Result<usize> {
        let len = bytes.len().min(self.end.capacity());
        let place = self.reserve(len)?;
        place.span().put(0, &bytes[..len])?;
        place.commit(len)?;
        Ok(len)
    }
}
