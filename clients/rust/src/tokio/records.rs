// SPDX-License-Identifier: GPL-2.0 OR MIT
// Copyright (C) 2026 Seed 1f3ad1c2 maintainers.

//! Ends of a FIFO of records.

use super::mapped::Async;
use crate::error::Result;
use crate::ring::framing::record_len;
use crate::{RecordConsumer, RecordProducer, RecordReservation, Records};

impl Async<RecordProducer> {
    /// Waits until a record with a payload of `len` bytes fits.
    ///
    /// # Errors
    ///
    /// As for [`RecordProducer::wait`].
    pub async fn wait(&mut self, len: usize) -> Result<()> {
        record_len(len as u64, self.end.capacity() as u64)?;
        self.wakes.wait(&mut self.end.0.end, len).await?;
        Ok(())
    }

    /// Waits until a record with a payload of `len` bytes fits, and reserves room for it.
    ///
    /// # Errors
    ///
    /// As for [`RecordProducer::wait`].
    pub async fn reserve(&mut self, len: usize) -> Result<RecordReservation<'_>> {
        self.wait(len).await?;
        self.end.reserve(len)
    }

    /// Waits until `payload` fits, and queues a copy of it as one record.
    ///
    /// # Errors
    ///
    /// As for [`RecordProducer::wait`] and [`RecordProducer::write`].
    pub async fn write(&mut self, payload: &[u8]) -> Result<()> {
        self.wait(payload.len()).await?;
        self.end.write(payload)
    }
}

impl Async<RecordConsumer> {
    /// Waits until a record is queued.
    ///
    /// # Errors
    ///
    /// As for [`RecordConsumer::wait`].
    pub async fn wait(&mut self) -> Result<()> {
        self.wakes.wait(&mut self.end.0.end, 1).await?;
        Ok(())
    }

    /// Waits until a record is queued, and returns all that are known of.
    ///
    /// # Errors
    ///
    /// As for [`RecordConsumer::wait`].
    pub async fn peek(&mut self) -> Result<Records<'_>> {
        self.wait().await?;
        self.end.peek()
    }

    /// Waits for a record, copies it to `to`, and takes it out. The previous contents of `to` are
    /// lost, unless there is an error.
    ///
    /// # Errors
    ///
    /// As for [`RecordConsumer::wait`] and [`RecordConsumer::read_to_vec`].
    pub async fn read_to_vec(&mut self, to: &mut Vec<u8>) -> Result<()> {
        self.wait().await?;
        self.end.read_to_vec(to)
    }
}
