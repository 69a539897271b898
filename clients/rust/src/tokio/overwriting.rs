// SPDX-License-Identifier: GPL-2.0 OR MIT
// Copyright (C) 2026 Seed 1f3ad1c2 maintainers.

//! Consumers whose producer overwrites the oldest bytes or records.

use super::mapped::Async;
use super::wakes::Wakes;
use crate::device::Bell;
use crate::error::Result;
use crate::kind::Kind;
use crate::overwriting::reader::{Outcome, Reader};
use crate::overwriting::{Consumer, Copied, RecordConsumer};
use ::tokio::task::yield_now;

/// Waits until there is something, and calls `read` until it has copied something.
pub(crate) async fn read<K: Kind, B: Bell>(
    wakes: &Wakes,
    reader: &mut Reader<K, B>,
    mut read: impl FnMut(&mut Reader<K, B>) -> Result<Outcome>,
) -> Result<Copied> {
    loop {
        wakes.wait(&mut reader.end, 1).await?;
        match read(reader)? {
            Outcome::Copied(copied) => return Ok(copied),
            Outcome::Empty => {}
            Outcome::Overtaken => yield_now().await,
        }
    }
}

impl Async<Consumer> {
    /// Waits until `need` bytes are queued. They may be overwritten before they are read.
    ///
    /// # Errors
    ///
    /// As for [`Consumer::wait`].
    pub async fn wait(&mut self, need: usize) -> Result<()> {
        self.wakes.wait(&mut self.end.0.end, need).await?;
        Ok(())
    }

    /// Waits for a byte, copies the oldest bytes to `to`, as many as fit there, and takes them out.
    ///
    /// # Errors
    ///
    /// As for [`Consumer::wait`].
    pub async fn read(&mut self, to: &mut [u8]) -> Result<Copied> {
        let Self { wakes, end } = self;
        read(wakes, &mut end.0, |reader| reader.read_bytes(to)).await
    }

    /// Waits for a byte, copies all that is queued to `to`, and takes it out. The previous contents
    /// of `to` are lost.
    ///
    /// # Errors
    ///
    /// As for [`Consumer::wait`].
    pub async fn read_to_vec(&mut self, to: &mut Vec<u8>) -> Result<Copied> {
        let Self { wakes, end } = self;
        read(wakes, &mut end.0, |reader| reader.read_all(to)).await
    }
}

impl Async<RecordConsumer> {
    /// Waits until a record is queued. It may be overwritten before it is read.
    ///
    /// # Errors
    ///
    /// As for [`RecordConsumer::wait`].
    pub async fn wait(&mut self) -> Result<()> {
        self.wakes.wait(&mut self.end.0.end, 1).await?;
        Ok(())
    }

    /// Waits for a record, copies it to `to`, and takes it out.
    ///
    /// # Errors
    ///
    /// As for [`RecordConsumer::read`] and [`RecordConsumer::wait`].
    pub async fn read(&mut self, to: &mut [u8]) -> Result<Copied> {
        let Self { wakes, end } = self;
        read(wakes, &mut end.0, |reader| reader.read_record(to)).await
    }

    /// Waits for a record, copies it to `to`, and takes it out. The previous contents of `to` are
    /// lost.
    ///
    /// # Errors
    ///
    /// As for [`RecordConsumer::wait`].
    pub async fn read_to_vec(&mut self, to: &mut Vec<u8>) -> Result<Copied> {
        let Self { wakes, end } = self;
        read(wakes, &mut end.0, |reader| reader.read_any_record(to)).await
    }
}
