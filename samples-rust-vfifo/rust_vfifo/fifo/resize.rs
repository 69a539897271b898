// SPDX-License-Identifier: GPL-2.0
// Copyright (C) 2026 Seed 1f3ad1c2 maintainers.

//! The capacity: which ones there are, and how it changes.
//!
//! # Invariants
//!
//! - A capacity is a power of two from [`MIN_CAPACITY`] to [`MAX_CAPACITY`].
//! - It changes only in [`Fifo::resize`], with `reader`, `writer` and `geometry` held, and never
//!   while anything is mapped.
//!
//! # Context
//!
//! Process context, no lock held. [`Fifo::resize`] and [`allocate`] may sleep.

use super::{
    super::{
        ring::{
            self,
            framing::Framing, //
        },
        uapi::PIPE_BUF, //
    },
    end::Side,
    Fifo, //
};
use kernel::{
    dynamic_debug::dynamic_pr_debug,
    page::PAGE_SIZE,
    page_buffer::PageBuffer,
    prelude::*,
    sync::{
        atomic::Release,
        Arc, //
    }, //
};

/// The smallest capacity, in bytes.
pub(crate) const MIN_CAPACITY: u64 = PAGE_SIZE as u64;

/// The largest capacity, in bytes: 1 GiB.
pub(crate) const MAX_CAPACITY: u64 = 1 << 30;

const _: () = assert!(MIN_CAPACITY >= PIPE_BUF && MIN_CAPACITY.is_power_of_two());

/// The capacity for a request of `bytes`: the next power of two, and at least a page.
///
/// # Errors
///
/// [`EINVAL`] for zero, [`ERANGE`] for more than [`MAX_CAPACITY`].
pub(crate) fn round_capacity(bytes: u64) -> Result<u64> {
    match bytes {
        0 => Err(EINVAL),
        1..=MAX_CAPACITY => Ok(bytes.next_power_of_two().max(MIN_CAPACITY)),
        _ => Err(ERANGE),
    }
}

/// Allocates a buffer for `capacity` bytes. It is charged to the memory cgroup of the caller.
///
/// # Errors
///
/// [`ENOMEM`].
pub(super) fn allocate(capacity: u64) -> Result<Arc<PageBuffer>> {
    let pages = usize::try_from(capacity)? / PAGE_SIZE;
    Ok(Arc::new(PageBuffer::new(pages)?, GFP_KERNEL_ACCOUNT)?)
}

impl Fifo {
    /// Changes the capacity to `capacity`, which is a result of [`round_capacity`]. Queued bytes
    /// stay queued.
    ///
    /// # Errors
    ///
    /// [`EBUSY`] if anything is mapped or the queued bytes would not fit, [`ENOMEM`]. The capacity
    /// and the queue have not changed then. [`EIO`] is not expected: with nothing mapped, both
    /// positions are the kernel's own.
    pub(crate) fn resize(&self, capacity: u64) -> Result {
        if self.geometry.lock().mapped > 0 || self.size() > capacity {
            return Err(EBUSY);
        }
        // May take a while, so no lock is held. The conditions are checked again afterwards.
        let buffer = allocate(capacity)?;

        let mut reader = self.reader.lock();
        let mut writer = self.writer.lock();
        let mut geometry = self.geometry.lock();
        // Before anything else: the cursor of a claimed end is out of date.
        if geometry.mapped > 0 {
            return Err(EBUSY);
        }
        let overwrites = self.overwrites();
        self.stop_overwriting_if(overwrites, &mut reader, &mut writer);
        let queued = self
            .ring
            .used(&mut reader.cursor, u64::MAX)
            .map_err(|_| self.enter_error_state());
        if !queued.is_ok_and(|queued| queued <= capacity) {
            self.start_overwriting_if(overwrites, &mut reader, &mut writer);
            return queued.and(Err(EBUSY));
        }
        let queued = queued?;

        // Positions stay as they are, so each byte goes to the place of its position in the new
        // buffer.
        let old = reader.cursor.capacity;
        let mut done = 0;
        while done < queued {
            let position = reader.cursor.position.wrapping_add(done);
            let [from, _] = ring::pieces(position, queued - done, reader.cursor.capacity);
            let [to, _] = ring::pieces(position, from.len as u64, capacity);
            let copied = geometry
                .buffer
                .copy_to(from.offset, to.len, &buffer, to.offset);
            done += copied as u64;
        }
        reader.buffer = buffer.clone();
        writer.buffer = buffer.clone();
        geometry.buffer = buffer;
        reader.cursor.capacity = capacity;
        writer.cursor.capacity = capacity;
        // The position that the writer saw last may be further back than the new capacity.
        writer.cursor.peer = reader.cursor.position;
        self.start_overwriting_if(overwrites, &mut reader, &mut writer);
        // Pairs with the acquire in `Fifo::capacity()`.
        self.capacity.store(capacity, Release);
        drop(geometry);
        drop(writer);
        drop(reader);

        dynamic_pr_debug!("{}: capacity {} -> {}\n", self.name, old, capacity);
        self.room_freed();
        if self.framing() == Framing::Record {
            // The records of some writers may not fit any more.
            self.wake_end(Side::Producer);
        }
        Ok(())
    }
}
