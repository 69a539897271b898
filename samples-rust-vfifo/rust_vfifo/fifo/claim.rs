// SPDX-License-Identifier: GPL-2.0
// Copyright (C) 2026 Seed 1f3ad1c2 maintainers.

//! Claims: a program is the producer or the consumer, by loads and stores.
//!
//! A claim begins in [`Fifo::claim`], when a file maps the page of an end writable, and ends when
//! the [`Claim`] is dropped with the last mapping. It belongs to the open file that was mapped.
//!
//! # Invariants
//!
//! While an end is claimed:
//!
//! - Calls at this end fail with [`EBUSY`].
//! - Its position is the one in its page; its cursor is out of date.
//! - The kernel believes this position only as far as the checks of `ring.rs` go. A position that
//!   fails them puts the FIFO into its error state, see `state.rs`.
//!
//! # Context
//!
//! Process context. [`Fifo::claim`] and dropping a [`Claim`] take `reader` and `writer` and may
//! sleep; the `mmap_lock` may be held. [`Fifo::notify`] does not sleep or take a lock of the FIFO.

use super::{
    super::{
        ring::End as _,
        trace, //
    },
    end::Side,
    hangup::OpenFile,
    mapping::{
        Area,
        Mapped, //
    },
    state::Flags,
    Fifo, //
};
use kernel::{
    dynamic_debug::dynamic_pr_debug,
    page_buffer::PageBuffer,
    prelude::*,
    sync::{
        atomic::Relaxed,
        Arc,
        ArcBorrow, //
    }, //
};

impl Fifo {
    /// Claims for `file` the end whose page is at `offset`. Waits for transfers that are copying.
    /// Calls that sleep at this end are woken, and fail unless the claim has ended by then. The
    /// file gives up the other side, see `parties.rs`.
    ///
    /// # Errors
    ///
    /// [`EBUSY`] if the end is claimed already, [`EINVAL`] if the area is not the page of an end.
    pub(crate) fn claim(
        self: ArcBorrow<'_, Self>,
        file: &Arc<OpenFile>,
        offset: u64,
        len: usize,
    ) -> Result<Claim> {
        let Area::End(side) = self.area(offset, len)? else {
            return Err(EINVAL);
        };
        let mapped = self.map(offset, len)?;
        let position = {
            let mut reader = self.reader.lock();
            let mut writer = self.writer.lock();
            let (end, peer) = match side {
                Side::Producer => (&mut *writer, &mut *reader),
                Side::Consumer => (&mut *reader, &mut *writer),
            };
            if end.claimed {
                return Err(EBUSY);
            }
            // From now on the owner decides where this end is. It cannot go back further than this.
            if !peer.claimed {
                peer.cursor.peer = end.cursor.position;
            }
            end.claimed = true;
            let position = end.cursor.position;
            // Up to this position the kernel itself has told the other end.
            self.end(side).told.store(position, Relaxed);
            self.end(side).owner.store(file.id().0, Relaxed);
            trace::claim(self.index, side, position);
            position
        };
        dynamic_pr_debug!("{}: {} claimed at {}\n", self.name, side.name(), position);
        self.wake_end(side);
        file.begin_claim(side, position);
        Ok(Claim {
            side,
            mapped,
            file: file.clone(),
        })
    }

    /// Tells the other end that the owner of a claimed end has published something, unless it was
    /// told of this position before. Does nothing if no end is claimed.
    ///
    /// Nobody needs to be told of a position twice: everybody who waits has looked at the position
    /// after setting `waiting`. So callers cannot make others busy by calling this again.
    pub(crate) fn notify(&self) {
        self.stats.notifies.fetch_add(1, Relaxed);
        for side in Side::BOTH {
            // Pairs with the release with which the owner stores its position.
            let position = match side {
                Side::Producer => self.ring.producer.load_acquire(),
                Side::Consumer => self.ring.consumer.load_acquire(),
            };
            let told = &self.end(side).told;
            if !self.is_claimed(side) || told.load(Relaxed) == position {
                continue;
            }
            match side {
                Side::Producer => self.tell_of_bytes(),
                Side::Consumer => self.tell_of_room(),
            }
            // Stored last: otherwise the owner's own call would do nothing while another caller is
            // preempted before it has told anybody.
            told.store(position, Relaxed);
        }
    }
}

/// The right to store an end's position. While it exists, calls at that end fail with [`EBUSY`].
pub(crate) struct Claim {
    side: Side,
    mapped: Mapped,
    // Dropped before the file is closed: the mapping holds a reference to it.
    file: Arc<OpenFile>,
}

impl Claim {
    /// The page of the end.
    pub(crate) fn page(&self) -> Arc<PageBuffer> {
        self.mapped.buffer.clone()
    }
}

impl Drop for Claim {
    /// Ends the claim. Calls go on from the last valid position of the owner. The page is not
    /// mapped any more, so nobody stores to it.
    fn drop(&mut self) {
        let fifo = &self.mapped.fifo;
        let mut reader = fifo.reader.lock();
        let mut writer = fifo.writer.lock();
        let capacity = fifo.capacity();
        let position = match self.side {
            Side::Producer => {
                let consumer = (!reader.claimed).then_some(&reader.cursor);
                writer.claimed = false;
                fifo.ring.producer.clean();
                writer.cursor = fifo.ring.producer_left(consumer, capacity);
                fifo.ring.produce(&mut writer.cursor, 0);
                writer.cursor.position
            }
            Side::Consumer => {
                let producer = (!writer.claimed).then_some(&writer.cursor);
                reader.claimed = false;
                fifo.ring.consumer.clean();
                reader.cursor = fifo.ring.consumer_left(producer, capacity);
                fifo.ring.consume(&mut reader.cursor, 0);
                reader.cursor.position
            }
        };
        trace::release(fifo.index, self.side, position);
        self.file.end_claim(self.side, position);
        fifo.end(self.side).owner.store(0, Relaxed);
        fifo.flags.set(Flags::ERROR, false);
        drop(writer);
        drop(reader);
        dynamic_pr_debug!(
            "{}: {} released at {}\n",
            fifo.name,
            self.side.name(),
            position
        );
        // The owner may have died before it told the other end of its last position, or may have
        // cleared `waiting` in its page. So everybody looks, at both ends.
        fifo.tell_of_bytes();
        fifo.tell_of_room();
        fifo.wake_queues(self.side.other());
        fifo.wake_end(self.side);
    }
}
