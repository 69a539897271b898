// SPDX-License-Identifier: GPL-2.0 OR MIT
// Copyright (C) 2026 Seed 1f3ad1c2 maintainers.

use super::reservation::{Place, RecordReservation};
use crate::device::{Bell, Device};
use crate::end::End;
use crate::error::{Error, Result};
use crate::kind::{Kind, Records};
use crate::ring::framing::record_len;
use crate::ring::record::largest;
use crate::side::Head;
use crate::traits::end_traits;
use std::fs::OpenOptions;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::path::Path;
use std::time::Duration;

/// The producer's end of a FIFO of records. While this exists, nobody else puts records in.
///
/// The device's attribute `framing` is `record`, and `overwrite` is 0.
///
/// ```no_run
/// # fn main() -> std::io::Result<()> {
/// let mut producer = vfifo::RecordProducer::open("/dev/vfifo0")?;
/// for number in 0u64..1000 {
///     // Sleeps until there is room.
///     let mut place = producer.reserve_wait(8)?;
///     place.put(0, &number.to_le_bytes())?;
///     // Now the consumer can see it, as one record.
///     place.commit(8)?;
/// }
/// // The same in one call, for a record that is in memory already.
/// producer.write_wait(b"that was all")?;
/// # Ok(())
/// # }
/// ```
pub struct RecordProducer(pub(crate) Port<Device>);

end_traits!(RecordProducer);

/// The same, with any way to wake the consumer.
pub(crate) struct Port<B: Bell> {
    pub(crate) end: End<Head<Records>, B>,
}

impl RecordProducer {
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

    /// The capacity in bytes. A record takes 8 bytes and its payload, rounded up to a multiple of
    /// 8.
    pub fn capacity(&self) -> usize {
        self.0.end.capacity()
    }

    /// The length of the largest record.
    pub fn largest(&self) -> usize {
        self.0.end.largest()
    }

    /// Reserves room for a record with a payload of `len` bytes. Does not wait.
    ///
    /// # Errors
    ///
    /// [`Error::NotYet`] if it does not fit now. [`Error::Length`] if no record can have this
    /// length: it is zero, or more than [`RecordProducer::largest`]. [`Error::Broken`] if the
    /// consumer's position is impossible.
    #[inline]
    pub fn reserve(&mut self, len: usize) -> Result<RecordReservation<'_>> {
        let place = self.0.reserve(len)?.ok_or(Error::NotYet)?;
        Ok(RecordReservation(place))
    }

    /// As [`RecordProducer::reserve`], but sleeps until it fits.
    ///
    /// # Errors
    ///
    /// As for [`RecordProducer::wait`].
    pub fn reserve_wait(&mut self, len: usize) -> Result<RecordReservation<'_>> {
        Ok(RecordReservation(self.0.reserve_wait(len)?))
    }

    /// As [`RecordProducer::reserve_wait`], but no longer than `timeout`.
    ///
    /// # Errors
    ///
    /// As for [`RecordProducer::wait`].
    pub fn reserve_timeout(
        &mut self,
        len: usize,
        timeout: Duration,
    ) -> Result<RecordReservation<'_>> {
        let place = self.0.reserve_timeout(len, Some(timeout))?;
        Ok(RecordReservation(place))
    }

    /// Queues a copy of `payload` as one record. Does not wait.
    ///
    /// # Errors
    ///
    /// As for [`RecordProducer::reserve`]; nothing is queued then. [`Error::Io`] if waking the
    /// consumer has failed; the record is queued nevertheless.
    #[inline]
    pub fn write(&mut self, payload: &[u8]) -> Result<()> {
        let mut place = self.reserve(payload.len())?;
        place.put(0, payload)?;
        place.commit(payload.len())
    }

    /// As [`RecordProducer::write`], but sleeps until the record fits.
    ///
    /// # Errors
    ///
    /// As for [`RecordProducer::wait`] and [`RecordProducer::write`].
    pub fn write_wait(&mut self, payload: &[u8]) -> Result<()> {
        let mut place = self.reserve_wait(payload.len())?;
        place.put(0, payload)?;
        place.commit(payload.len())
    }

    /// Waits until a record with a payload of `len` bytes fits, forever if there is no `timeout`.
    ///
    /// # Errors
    ///
    /// [`Error::NotYet`] if it does not fit when the timeout expires. [`Error::Ended`] if it does
    /// not fit and all readers have gone, as for [`Producer::wait`](crate::Producer::wait).
    /// [`Error::Length`] if no record can have this length, [`Error::Broken`] if the consumer's
    /// position is impossible, and [`Error::Io`] with `EINTR` if a signal handler ran.
    pub fn wait(&mut self, len: usize, timeout: Option<Duration>) -> Result<()> {
        self.0.wait(len, timeout)
    }

    /// Whether it makes sense to go on. This takes system calls.
    ///
    /// # Errors
    ///
    /// [`Error::Ended`] if all readers have gone, [`Error::Broken`] in the error state.
    pub fn check(&self) -> Result<()> {
        self.0.end.check()
    }
}

/// The device. An event loop can poll it for writing to learn that there is room for a small
/// record.
impl AsFd for RecordProducer {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.0.end.as_fd()
    }
}

impl<K: Kind, B: Bell> End<Head<K>, B> {
    /// The length of the largest record.
    pub(crate) fn largest(&self) -> usize {
        largest(self.cursor.capacity) as usize
    }
}

impl<B: Bell> Port<B> {
    #[inline]
    pub(crate) fn reserve(&mut self, len: usize) -> Result<Option<Place<'_, Records, B>>> {
        let end = &mut self.end;
        let place = end.ring.reserve_record(&mut end.cursor, len as u64)?;
        Ok(place.map(|place| Place::new(end, place)))
    }

    pub(crate) fn reserve_wait(&mut self, len: usize) -> Result<Place<'_, Records, B>> {
        self.reserve_timeout(len, None)
    }

    pub(crate) fn reserve_timeout(
        &mut self,
        len: usize,
        timeout: Option<Duration>,
    ) -> Result<Place<'_, Records, B>> {
        self.wait(len, timeout)?;
        let end = &mut self.end;
        let place = end.ring.reserve_record(&mut end.cursor, len as u64)?;
        // Room that was there stays there, since nobody else can take it.
        Ok(Place::new(end, place.ok_or(Error::NotYet)?))
    }

    pub(crate) fn wait(&mut self, len: usize, timeout: Option<Duration>) -> Result<()> {
        record_len(len as u64, self.end.cursor.capacity)?;
        self.end.wait(len, timeout)?.ok_or(Error::NotYet)?;
        Ok(())
    }
}
