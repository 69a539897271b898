// SPDX-License-Identifier: GPL-2.0 OR MIT
// Copyright (C) 2026 Seed 1f3ad1c2 maintainers.

use super::record_reservation::RecordReservation;
use crate::device::{Bell, Device};
use crate::end::End;
use crate::error::Result;
use crate::kind::OverwritingRecords;
use crate::records::reservation::Place;
use crate::side::Head;
use crate::traits::end_traits;
use std::fs::OpenOptions;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::path::Path;

/// How many old records are dropped before the position of the oldest one is published.
const BATCH: usize = 1024;

/// The producer's end of a FIFO of records, which overwrites the oldest ones. While this exists,
/// nobody else puts records in.
///
/// The device's attribute `framing` is `record`, and `overwrite` is 1.
///
/// ```no_run
/// # fn main() -> vfifo::Result<()> {
/// let mut producer = vfifo::overwriting::RecordProducer::open("/dev/vfifo0")?;
/// for number in 0u64.. {
///     let mut place = producer.reserve(8)?;
///     place.put(0, &number.to_le_bytes())?;
///     place.commit(8)?;
/// }
/// # Ok(())
/// # }
/// ```
pub struct RecordProducer(pub(crate) Port<Device>);

end_traits!(RecordProducer);

/// The same, with any way to wake the consumer.
pub(crate) struct Port<B: Bell> {
    pub(crate) end: End<Head<OverwritingRecords>, B>,
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

    /// Reserves room for a record with a payload of `len` bytes. As many of the oldest records as
    /// necessary are gone then, even if a shorter record is committed or the reservation is
    /// dropped.
    ///
    /// # Errors
    ///
    /// [`Error::Length`](crate::Error::Length) if no record can have this length: it is zero, or
    /// more than [`RecordProducer::largest`]. [`Error::Broken`](crate::Error::Broken) if the header
    /// of a record that has to make way is impossible, so that the records after it cannot be
    /// found.
    #[inline]
    pub fn reserve(&mut self, len: usize) -> Result<RecordReservation<'_>> {
        Ok(RecordReservation(self.0.reserve(len)?))
    }

    /// Queues a copy of `payload` as one record. Old records make way as for
    /// [`RecordProducer::reserve`].
    ///
    /// # Errors
    ///
    /// As for [`RecordProducer::reserve`]; nothing is queued then. [`Error::Io`](crate::Error::Io)
    /// if waking the consumer has failed; the record is queued nevertheless.
    #[inline]
    pub fn write(&mut self, payload: &[u8]) -> Result<()> {
        let mut place = self.reserve(payload.len())?;
        place.put(0, payload)?;
        place.commit(payload.len())
    }

    /// Whether it makes sense to go on. See
    /// [`Producer::check`](crate::overwriting::Producer::check).
    ///
    /// # Errors
    ///
    /// See there.
    pub fn check(&self) -> Result<()> {
        self.0.end.check()
    }
}

/// The device.
impl AsFd for RecordProducer {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.0.end.as_fd()
    }
}

impl<B: Bell> Port<B> {
    #[inline]
    pub(crate) fn reserve(&mut self, len: usize) -> Result<Place<'_, OverwritingRecords, B>> {
        let place = loop {
            let End {
                ring, data, cursor, ..
            } = &mut self.end;
            let header = |offset| data.load_word(offset);
            if let Some(place) = ring.reserve_overwriting(cursor, len as u64, BATCH, header)? {
                break place;
            }
        };
        Ok(Place::new(&mut self.end, place))
    }
}
