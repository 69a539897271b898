// SPDX-License-Identifier: GPL-2.0 OR MIT
// Copyright (C) 2026 Seed 1f3ad1c2 maintainers.

use super::consumer::Port;
use super::record::Record;
use crate::device::{Bell, Device};
use crate::error::Result;
use crate::map::Region;
use crate::ring::record::{self, offset};
use crate::span::Span;
use std::fmt;
use std::iter::FusedIterator;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};

/// Queued records, in the order in which they were committed. They stay queued until they are
/// [released](Records::release); dropping this value does not release them.
///
/// The records are looked at one after the other, by a loop over `&mut records`. Each one is
/// returned once, and any number of them can be in use at the same time.
///
/// ```no_run
/// # fn main() -> vfifo::Result<()> {
/// # let mut consumer = vfifo::RecordConsumer::open("/dev/vfifo0")?;
/// // One.
/// let mut records = consumer.peek_wait()?;
/// if let Some(record) = records.next_record()? {
///     println!("{:?}", record.to_vec());
/// }
/// records.release()?;
///
/// // As many as belong together: here, up to the first one that is just a newline.
/// let mut records = consumer.peek_wait()?;
/// for record in &mut records {
///     let record = record?;
///     if record.to_vec() == b"\n" {
///         break;
///     }
/// }
/// records.release()?;
/// # Ok(())
/// # }
/// ```
///
/// What is in a record cannot be used after it was released, since the producer may replace it:
///
/// ```compile_fail,E0505
/// fn too_late(consumer: &mut vfifo::RecordConsumer) -> vfifo::Result<usize> {
///     let mut records = consumer.peek_wait()?;
///     let record = records.next_record()?.unwrap();
///     records.release()?;
///     Ok(record.len())
/// }
/// ```
pub struct Records<'a>(pub(crate) Batch<'a, Device>);

pub(crate) struct Batch<'a, B: Bell> {
    port: &'a mut Port<B>,
    /// The end of the last record that was returned. It is between the consumer's position and the
    /// producer's position that it has seen, both included.
    at: u64,
    /// The start of the first record that was put back since the last call of [`Batch::iter`], or
    /// the producer's position.
    limit: AtomicU64,
}

impl Records<'_> {
    /// The next record that was not returned yet, or [`None`] if that was the last one that this
    /// knows of.
    ///
    /// # Errors
    ///
    /// [`Error::Broken`](crate::Error::Broken) if its header is impossible. The records after it
    /// cannot be found. Those that were returned before can still be released. When neither end is
    /// owned, the kernel drops the rest.
    #[inline]
    pub fn next_record(&mut self) -> Result<Option<Record<'_>>> {
        self.0.next()
    }

    /// The records that were not returned yet. After an error, or after one was
    /// [put back](Record::put_back), there are no more.
    pub fn iter(&mut self) -> RecordIter<'_> {
        self.0.iter()
    }

    /// Gives back the room of all records that were returned, and wakes the producer if it sleeps.
    /// The others stay queued. So does one that was [put back](Record::put_back), and those after
    /// it.
    ///
    /// # Errors
    ///
    /// An error means that waking has failed; the room is given back nevertheless.
    #[inline]
    pub fn release(self) -> Result<()> {
        self.0.release()
    }
}

impl fmt::Debug for Records<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Records").finish_non_exhaustive()
    }
}

impl<'a> IntoIterator for &'a mut Records<'_> {
    type Item = Result<Record<'a>>;
    type IntoIter = RecordIter<'a>;

    fn into_iter(self) -> RecordIter<'a> {
        self.iter()
    }
}

/// The iterator that [`Records::iter`] returns.
///
/// ```no_run
/// # fn main() -> vfifo::Result<()> {
/// # let mut consumer = vfifo::RecordConsumer::open("/dev/vfifo0")?;
/// let mut records = consumer.peek_wait()?;
/// let ten: Vec<vfifo::Record> = records.iter().take(10).collect::<Result<_, _>>()?;
/// let total: usize = ten.iter().map(|record| record.len()).sum();
/// records.release()?;
/// # Ok(())
/// # }
/// ```
pub struct RecordIter<'a> {
    data: &'a Region,
    at: &'a mut u64,
    limit: &'a AtomicU64,
    /// The producer's position.
    end: u64,
    capacity: u64,
    failed: bool,
}

impl<'a> Iterator for RecordIter<'a> {
    type Item = Result<Record<'a>>;

    #[inline]
    fn next(&mut self) -> Option<Result<Record<'a>>> {
        if self.failed || self.limit.load(Relaxed) != self.end {
            return None;
        }
        let next = self.find();
        self.failed = next.is_err();
        next.transpose()
    }
}

impl<'a> RecordIter<'a> {
    #[inline]
    fn find(&mut self) -> Result<Option<Record<'a>>> {
        let data = self.data;
        let mut records = record::Records::new(*self.at, self.end, self.capacity);
        let Some(record) = records.next(|offset| data.load_word(offset))? else {
            return Ok(None);
        };
        *self.at = records.position();
        let payload = offset(record.payload(), self.capacity);
        Ok(Some(Record {
            span: Span::new(data, payload, record.len as usize),
            limit: self.limit,
            position: record.position,
        }))
    }
}

impl FusedIterator for RecordIter<'_> {}

impl fmt::Debug for RecordIter<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("RecordIter").finish_non_exhaustive()
    }
}

impl<'a, B: Bell> Batch<'a, B> {
    #[inline]
    pub(crate) fn new(port: &'a mut Port<B>) -> Self {
        Self {
            at: port.end.cursor.position,
            limit: AtomicU64::new(port.end.cursor.peer),
            port,
        }
    }

    /// Goes back to the first record that was put back.
    #[inline]
    fn settle(&mut self) {
        let (end, limit) = (self.port.end.cursor.peer, self.limit.get_mut());
        if *limit != end {
            self.at = *limit;
            *limit = end;
        }
    }

    #[inline]
    pub(crate) fn iter(&mut self) -> RecordIter<'_> {
        self.settle();
        let end = &self.port.end;
        RecordIter {
            data: &end.data,
            at: &mut self.at,
            limit: &self.limit,
            end: end.cursor.peer,
            capacity: end.cursor.capacity,
            failed: false,
        }
    }

    #[inline]
    pub(crate) fn next(&mut self) -> Result<Option<Record<'_>>> {
        self.iter().find()
    }

    #[inline]
    pub(crate) fn release(mut self) -> Result<()> {
        self.settle();
        let end = &mut self.port.end;
        let len = self.at.wrapping_sub(end.cursor.position);
        end.publish(len as usize)
    }
}
