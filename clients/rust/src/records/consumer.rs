// SPDX-License-Identifier: GPL-2.0 OR MIT
// Copyright (C) 2026 Seed 1f3ad1c2 maintainers.

use super::batch::{Batch, Records};
use super::record::Record;
use crate::device::{Bell, Device};
use crate::end::End;
use crate::error::{Error, Result};
use crate::kind;
use crate::side::Tail;
use crate::traits::end_traits;
use std::fs::OpenOptions;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::path::Path;
use std::time::Duration;

/// The consumer's end of a FIFO of records. While this exists, nobody else takes records out.
///
/// The device's attribute `framing` is `record`, and `overwrite` is 0.
///
/// ```no_run
/// # fn main() -> std::io::Result<()> {
/// let mut consumer = vfifo::RecordConsumer::open("/dev/vfifo0")?;
/// loop {
///     // Sleeps until there is a record.
///     let mut records = consumer.peek_wait()?;
///     for record in &mut records {
///         // The kernel takes it directly from the buffer.
///         record?.write_to(std::io::stdout())?;
///     }
///     // All that the loop has seen.
///     records.release()?;
/// }
/// # }
/// ```
pub struct RecordConsumer(pub(crate) Port<Device>);

end_traits!(RecordConsumer);

/// The same, with any way to wake the producer.
pub(crate) struct Port<B: Bell> {
    pub(crate) end: End<Tail<kind::Records>, B>,
}

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
        Ok(Self(Port { end }))
    }

    /// The capacity in bytes. A record takes 8 bytes and its payload, rounded up to a multiple of
    /// 8.
    pub fn capacity(&self) -> usize {
        self.0.end.capacity()
    }

    /// The number of bytes that are queued now. Headers and padding count.
    ///
    /// # Errors
    ///
    /// [`Error::Broken`] if the producer's position is impossible.
    pub fn queued(&mut self) -> Result<usize> {
        let end = &mut self.0.end;
        Ok(end.ring.used_now(&mut end.cursor)? as usize)
    }

    /// The oldest queued records. Does not wait. More records may have arrived than this knows of.
    ///
    /// # Errors
    ///
    /// [`Error::NotYet`] if there are none, [`Error::Broken`] if the producer's position is
    /// impossible.
    #[inline]
    pub fn peek(&mut self) -> Result<Records<'_>> {
        self.0.peek()?.map(Records).ok_or(Error::NotYet)
    }

    /// As [`RecordConsumer::peek`], but sleeps until there is a record.
    ///
    /// # Errors
    ///
    /// As for [`RecordConsumer::wait`].
    pub fn peek_wait(&mut self) -> Result<Records<'_>> {
        Ok(Records(self.0.peek_timeout(None)?))
    }

    /// As [`RecordConsumer::peek_wait`], but no longer than `timeout`.
    ///
    /// # Errors
    ///
    /// As for [`RecordConsumer::wait`].
    pub fn peek_timeout(&mut self, timeout: Duration) -> Result<Records<'_>> {
        Ok(Records(self.0.peek_timeout(Some(timeout))?))
    }

    /// Copies the oldest record to `to`, takes it out, and returns its length. Does not wait.
    ///
    /// # Errors
    ///
    /// [`Error::NotYet`] if there is none. [`Error::Length`] if it is longer than `to`; it stays
    /// queued. [`Error::Broken`] if the producer's position or the header of the record is
    /// impossible.
    pub fn read(&mut self, to: &mut [u8]) -> Result<usize> {
        self.0.take(|record| {
            let len = record.len();
            let to = to.get_mut(..len).ok_or(Error::Length)?;
            record.get(0, to)?;
            Ok(len)
        })
    }

    /// Copies the oldest record to `to`, and takes it out. Does not wait. The previous contents of
    /// `to` are lost, unless there is an error.
    ///
    /// # Errors
    ///
    /// [`Error::NotYet`] if there is none, [`Error::Broken`] if the producer's position or the
    /// header of the record is impossible.
    pub fn read_to_vec(&mut self, to: &mut Vec<u8>) -> Result<()> {
        self.0.take(|record| {
            to.resize(record.len(), 0);
            record.get(0, to)
        })
    }

    /// Waits until a record is queued, forever if there is no `timeout`.
    ///
    /// # Errors
    ///
    /// [`Error::NotYet`] if none is when the timeout expires. [`Error::Ended`] if none is and all
    /// writers have gone. [`Error::Broken`] if the producer's position is impossible, and
    /// [`Error::Io`] with `EINTR` if a signal handler ran.
    pub fn wait(&mut self, timeout: Option<Duration>) -> Result<()> {
        self.0.end.wait(1, timeout)?.ok_or(Error::NotYet)?;
        Ok(())
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
    #[inline]
    pub(crate) fn peek(&mut self) -> Result<Option<Batch<'_, B>>> {
        let len = self.end.look(1)?;
        Ok((len > 0).then(|| Batch::new(self)))
    }

    pub(crate) fn peek_timeout(&mut self, timeout: Option<Duration>) -> Result<Batch<'_, B>> {
        self.end.wait(1, timeout)?.ok_or(Error::NotYet)?;
        Ok(Batch::new(self))
    }

    /// Takes the oldest record out, if `copy` succeeds.
    pub(crate) fn take<T>(&mut self, copy: impl FnOnce(&Record<'_>) -> Result<T>) -> Result<T> {
        let mut batch = self.peek()?.ok_or(Error::NotYet)?;
        // There is one.
        let record = batch.next()?.ok_or(Error::NotYet)?;
        let result = copy(&record)?;
        batch.release()?;
        Ok(result)
    }
}
