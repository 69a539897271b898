// SPDX-License-Identifier: GPL-2.0 OR MIT
// Copyright (C) 2026 Seed 1f3ad1c2 maintainers.

use super::reader::{Copied, Outcome, Reader, To};
use crate::device::{Bell, Device};
use crate::end::End;
use crate::error::{Error, Result};
use crate::kind::OverwritingRecords;
use crate::traits::end_traits;
use std::fs::OpenOptions;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::path::Path;
use std::time::Duration;

/// The consumer's end of a FIFO of records whose producer overwrites the oldest ones. While this
/// exists, nobody else takes records out.
///
/// The device's attribute `framing` is `record`, and `overwrite` is 1. The producer may be a
/// program like this one, or any number of plain writers.
///
/// ```no_run
/// # fn main() -> vfifo::Result<()> {
/// let mut consumer = vfifo::overwriting::RecordConsumer::open("/dev/vfifo0")?;
/// let mut record = Vec::new();
/// loop {
///     // Sleeps until there is a record.
///     let copied = consumer.read_to_vec_wait(&mut record)?;
///     println!("{record:?}, after {} lost bytes", copied.lost);
/// }
/// # }
/// ```
pub struct RecordConsumer(pub(crate) Port<Device>);

end_traits!(RecordConsumer);

/// The same, with any way to be woken.
pub(crate) type Port<B> = Reader<OverwritingRecords, B>;

impl RecordConsumer {
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

    /// The capacity in bytes. A record takes 8 bytes and its payload, rounded up to a multiple of
    /// 8.
    pub fn capacity(&self) -> usize {
        self.0.end.capacity()
    }

    /// Copies the oldest record to `to`, and takes it out. Does not wait. What `to` contains after
    /// its first [`Copied::len`] bytes, or if nothing was copied, is unspecified.
    ///
    /// # Errors
    ///
    /// [`Error::Length`] if the record is longer than `to`; it stays queued. Those of
    /// [`RecordConsumer::read_to_vec`].
    pub fn read(&mut self, to: &mut [u8]) -> Result<Copied> {
        self.0.read_record(to)?.into_result()
    }

    /// As [`RecordConsumer::read`], but sleeps until there is a record, and does not give up if it
    /// is overtaken.
    ///
    /// # Errors
    ///
    /// [`Error::Length`] as for [`RecordConsumer::read`], and those of [`RecordConsumer::wait`].
    pub fn read_wait(&mut self, to: &mut [u8]) -> Result<Copied> {
        self.0.read_wait(|reader| reader.read_record(to))
    }

    /// As [`RecordConsumer::read_wait`], but sleeps no longer than `timeout`.
    ///
    /// # Errors
    ///
    /// As for [`RecordConsumer::read_wait`].
    pub fn read_timeout(&mut self, to: &mut [u8], timeout: Duration) -> Result<Copied> {
        let read = |reader: &mut Port<_>| reader.read_record(to);
        self.0.read_timeout(Some(timeout), read)
    }

    /// Copies the oldest record to `to`, and takes it out. Does not wait. The previous contents of
    /// `to` are lost; if nothing was copied, it is empty.
    ///
    /// # Errors
    ///
    /// [`Error::NotYet`] if nothing is queued. [`Error::Overtaken`] if something is, but the
    /// producer has overwritten it during each of 16 attempts. [`Error::Broken`] if the producer's
    /// positions or the header of the record are impossible.
    pub fn read_to_vec(&mut self, to: &mut Vec<u8>) -> Result<Copied> {
        self.0.read_any_record(to)?.into_result()
    }

    /// As [`RecordConsumer::read_to_vec`], but sleeps until there is a record, and does not give up
    /// if it is overtaken.
    ///
    /// # Errors
    ///
    /// As for [`RecordConsumer::wait`].
    pub fn read_to_vec_wait(&mut self, to: &mut Vec<u8>) -> Result<Copied> {
        self.0.read_wait(|reader| reader.read_any_record(to))
    }

    /// Waits until a record is queued, forever if there is no `timeout`. One was, at some time: it
    /// may be overwritten before it is read.
    ///
    /// # Errors
    ///
    /// [`Error::NotYet`] if none is when the timeout expires. [`Error::Ended`] if none is and all
    /// writers have gone. [`Error::Broken`] if the producer's positions are impossible, and
    /// [`Error::Io`] with `EINTR` if a signal handler ran.
    pub fn wait(&mut self, timeout: Option<Duration>) -> Result<()> {
        self.0.end.wait(1, timeout)?.ok_or(Error::NotYet)?;
        Ok(())
    }

    /// The number of bytes that are queued now. Headers and padding count.
    ///
    /// # Errors
    ///
    /// [`Error::Broken`] if the producer's positions are impossible.
    pub fn queued(&mut self) -> Result<usize> {
        self.0.end.look(usize::MAX)
    }
}

/// The device. An event loop can poll it for reading to learn that there is a record, and then does
/// not need [`RecordConsumer::wait`].
impl AsFd for RecordConsumer {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.0.end.as_fd()
    }
}

impl<B: Bell> Port<B> {
    pub(crate) fn read_record(&mut self, to: &mut [u8]) -> Result<Outcome> {
        self.read(To::Slice(to), End::copy_record)
    }

    pub(crate) fn read_any_record(&mut self, to: &mut Vec<u8>) -> Result<Outcome> {
        self.read(To::Vec(to), End::copy_record)
    }
}
