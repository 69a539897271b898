// SPDX-License-Identifier: GPL-2.0
// Copyright (C) 2026 Seed 1f3ad1c2 maintainers.

//! What user space can map.
//!
//! ```text
//!   offset            | area
//!  -------------------+----------------------------------------------------
//!   0                 | data, twice in a row: a wrapped record is one piece
//!   PRODUCER_OFFSET   | the producer's page
//!   CONSUMER_OFFSET   | the consumer's page
//! ```
//!
//! # Invariants
//!
//! `geometry.mapped` is the number of [`Mapped`]s. While it is not zero, the buffer and the
//! capacity stay the same.
//!
//! # Context
//!
//! Process context, with at most the `mmap_lock` held. [`Fifo::map`] and dropping a [`Mapped`] take
//! `geometry` and may sleep.

use super::{
    super::uapi,
    end::Side,
    Fifo, //
};
use kernel::{
    page::{
        BorrowedPage,
        PAGE_SIZE, //
    },
    page_buffer::PageBuffer,
    prelude::*,
    sync::{
        Arc,
        ArcBorrow, //
    }, //
};

/// The data that is protected by `geometry`.
pub(super) struct Geometry {
    pub(super) buffer: Arc<PageBuffer>,
    pub(super) mapped: usize,
}

impl Fifo {
    /// The area that the `len` bytes from `offset` of the file on belong to.
    ///
    /// # Errors
    ///
    /// [`EINVAL`] if they cannot be mapped.
    pub(crate) fn area(&self, offset: u64, len: usize) -> Result<Area> {
        match offset {
            uapi::PRODUCER_OFFSET if len == PAGE_SIZE => return Ok(Area::End(Side::Producer)),
            uapi::CONSUMER_OFFSET if len == PAGE_SIZE => return Ok(Area::End(Side::Consumer)),
            _ => {}
        }
        match offset.checked_add(len as u64) {
            Some(end) if end <= 2 * self.capacity() => Ok(Area::Data),
            _ => Err(EINVAL),
        }
    }

    /// Returns the pages of an area, and keeps them in place until the result is dropped.
    ///
    /// # Errors
    ///
    /// [`EINVAL`] as for [`Fifo::area`].
    pub(crate) fn map(self: ArcBorrow<'_, Self>, offset: u64, len: usize) -> Result<Mapped> {
        let mut geometry = self.geometry.lock();
        let buffer = match self.area(offset, len)? {
            Area::Data => geometry.buffer.clone(),
            Area::End(Side::Producer) => self.ring.producer.0.clone(),
            Area::End(Side::Consumer) => self.ring.consumer.0.clone(),
        };
        geometry.mapped += 1;
        Ok(Mapped {
            buffer,
            fifo: self.into(),
        })
    }
}

/// The areas that can be mapped.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Area {
    /// The data.
    Data,
    /// The page of an end.
    End(Side),
}

/// Pages that are mapped. While this exists, they stay those of the FIFO.
pub(crate) struct Mapped {
    pub(super) buffer: Arc<PageBuffer>,
    pub(super) fifo: Arc<Fifo>,
}

impl Mapped {
    /// Page number `index` of the file. The pages of the data come twice.
    pub(crate) fn page(&self, index: usize) -> Option<BorrowedPage<'_>> {
        let pages = self.buffer.len() / PAGE_SIZE;
        self.buffer.page(index.checked_rem(pages)?)
    }
}

impl Drop for Mapped {
    fn drop(&mut self) {
        self.fifo.geometry.lock().mapped -= 1;
    }
}
