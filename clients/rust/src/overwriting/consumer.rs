// SPDX-License-Identifier: GPL-2.0 OR MIT
// Copyright (C) 2026 Seed 1f3ad1c2 maintainers.

use super::reader::{Copied, Outcome, Reader, To};
use crate::device::{Bell, Device};
use crate::end::End;
use crate::error::{Error, Result};
use crate::kind::OverwritingStream;
use crate::traits::end_traits;
use std::fs::OpenOptions;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::path::Path;
use std::time::Duration;

/// The consumer's end of a FIFO of bytes whose producer overwrites the oldest ones. While this
/// exists, nobody else takes bytes out.
///
/// The device's attribute `framing` is `stream`, and `overwrite` is 1. The producer may be a
/// program like this one, or any number of plain writers.
///
/// ```no_run
/// # fn main() -> vfifo::Result<()> {
/// let mut consumer = vfifo::overwriting::Consumer::open("/dev/vfifo0")?;
/// let mut bytes = [0; 4096];
/// loop {
///     // Sleeps until there is a byte.
///     let copied = consumer.read_wait(&mut bytes)?;
///     println!("{} bytes, after {} lost ones", copied.len, copied.lost);
/// }
/// # }
/// ```
pub struct Consumer(pub(crate) Port<Device>);

end_traits!(Consumer);

/// The same, with any way to be woken.
pub(crate) type Port<B> = Reader<OverwritingStream, B>;

impl Consumer {
    /// Becomes the consumer of the device at `path`.
    ///
    /// # Errors
    ///
    /// As for [`Consumer::open`](crate::Consumer::open).
    pub fn open(path: impl AsRef<Path>) -> Result<Self> {
        let file = OpenOptions::new().read(true).write(true).open(path)?;
        Self::from_fd(file)
    }

    /// Becomes the consumer of the device `file`, which must be open for reading and writing.
    ///
    /// # Errors
    ///
    /// As for [`Consumer::open`](crate::Consumer::open).
    pub fn from_fd(file: impl Into<OwnedFd>) -> Result<Self> {
        let end = End::open(file.into())?;
        Ok(Self(Reader::new(end)))
    }

    /// The capacity: the largest number of bytes that can be queued.
    pub fn capacity(&self) -> usize {
        self.0.end.capacity()
    }

    /// Copies the oldest bytes to `to`, as many as fit there, and takes them out. Does not wait.
    /// What `to` contains after its first [`Copied::len`] bytes, or if nothing was copied, is
    /// unspecified.
    ///
    /// # Errors
    ///
    /// [`Error::NotYet`] if nothing is queued. [`Error::Overtaken`] if something is, but the
    /// producer has overwritten it during each of 16 attempts. [`Error::Broken`] if the producer's
    /// positions are impossible.
    pub fn read(&mut self, to: &mut [u8]) -> Result<Copied> {
        self.0.read_bytes(to)?.into_result()
    }

    /// As [`Consumer::read`], but sleeps until there is a byte, and does not give up if it is
    /// overtaken.
    ///
    /// # Errors
    ///
    /// As for [`Consumer::wait`].
    pub fn read_wait(&mut self, to: &mut [u8]) -> Result<Copied> {
        self.0.read_wait(|reader| reader.read_bytes(to))
    }

    /// As [`Consumer::read_wait`], but sleeps no longer than `timeout`.
    ///
    /// # Errors
    ///
    /// As for [`Consumer::wait`].
    pub fn read_timeout(&mut self, to: &mut [u8], timeout: Duration) -> Result<Copied> {
        let read = |reader: &mut Port<_>| reader.read_bytes(to);
        self.0.read_timeout(Some(timeout), read)
    }

    /// Copies all that is queued to `to`, and takes it out. Does not wait. The previous contents of
    /// `to` are lost; if nothing was copied, it is empty.
    ///
    /// A producer that overwrites the oldest bytes during the copy defeats it. So beside a fast
    /// one, this may return only the newer half or less.
    ///
    /// # Errors
    ///
    /// As for [`Consumer::read`].
    pub fn read_to_vec(&mut self, to: &mut Vec<u8>) -> Result<Copied> {
        self.0.read_all(to)?.into_result()
    }

    /// As [`Consumer::read_to_vec`], but sleeps until there is a byte, and does not give up if it
    /// is overtaken.
    ///
    /// # Errors
    ///
    /// As for [`Consumer::wait`].
    pub fn read_to_vec_wait(&mut self, to: &mut Vec<u8>) -> Result<Copied> {
        self.0.read_wait(|reader| reader.read_all(to))
    }

    /// Waits until `need` bytes are queued, forever if there is no `timeout`. They were, at some
    /// time: they may be overwritten before they are read.
    ///
    /// # Errors
    ///
    /// [`Error::NotYet`] if fewer are queued when the timeout expires. [`Error::Ended`] if fewer
    /// are queued and all writers have gone. [`Error::Range`] if `need` is more than the capacity,
    /// [`Error::Broken`] if the producer's positions are impossible, and [`Error::Io`] with `EINTR`
    /// if a signal handler ran.
    pub fn wait(&mut self, need: usize, timeout: Option<Duration>) -> Result<()> {
        self.0.end.wait(need, timeout)?.ok_or(Error::NotYet)?;
        Ok(())
    }

    /// The number of bytes that are queued now.
    ///
    /// # Errors
    ///
    /// [`Error::Broken`] if the producer's positions are impossible.
    pub fn queued(&mut self) -> Result<usize> {
        self.0.end.look(usize::MAX)
    }
}

/// The device. An event loop can poll it for reading to learn that there are bytes, and then does
/// not need [`Consumer::wait`].
impl AsFd for Consumer {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.0.end.as_fd()
    }
}

impl<B: Bell> Port<B> {
    pub(crate) fn read_bytes(&mut self, to: &mut [u8]) -> Result<Outcome> {
        if to.is_empty() {
            return Ok(Outcome::Copied(Copied { len: 0, lost: 0 }));
        }
        self.read(To::Slice(to), End::copy_bytes)
    }

    pub(crate) fn read_all(&mut self, to: &mut Vec<u8>) -> Result<Outcome> {
        self.read(To::Vec(to), End::copy_bytes)
    }
}
