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
//! sleep; the `mmap_lock` may be held. [`Fifo::notify`] does not sleep, and takes only `dropped`.

use super::{
    super::{
        ring::{
            framing::Framing,
            overwrite::{
                first_queued,
                is_far, //
            },
            record::{
                Records,
                Skipped, //
            },
            Cursor,
            End as _, //
        },
        trace, //
    },
    end::{
        load_header,
        End,
        Side, //
    },
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
        atomic::{
            Acquire,
            Relaxed, //
        },
        Arc,
        ArcBorrow, //
    },
    task::might_sleep, //
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
            // From now on the owner decides where this end is. It cannot go back further than this,
            // whichever owner leaves first if the other end is claimed as well: no call uses the
            // cursor of that end then. An overwriting producer does not know where the consumer is.
            if side == Side::Producer || !self.overwrites() {
                peer.cursor.peer = end.cursor.position;
            }
            end.claimed = true;
            let position = end.cursor.position;
            {
                let _dropped = self.dropped.lock();
                self.end(side).claims.fetch_add(1, Relaxed);
                // Up to this position the kernel itself has told the other end.
                self.end(side).told.store(position, Relaxed);
            }
            self.end(side).owner.store(file.id().0, Relaxed);
            trace::claim(self.index, side, position);
            position
        };
        dynamic_pr_debug!("{}: {} claimed at {}\n", self.name, side.name(), position);
        self.wake_end(side);
        if side == Side::Consumer {
            // Sleeping writers that fit into less than before, see `is_exact()`.
            self.tell_of_room();
        }
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
            // Before the position: this may be that of a later claim, but not of an earlier one.
            let claims = self.end(side).claims.load(Acquire);
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
            // preempted before it has told anybody. And not during a later claim, whose owner may
            // get to this position for the second time: the first claim may have fallen back behind
            // it.
            let _dropped = self.dropped.lock();
            if self.end(side).claims.load(Relaxed) == claims {
                told.store(position, Relaxed);
            }
        }
    }
}

// The end of a claim. Both locks are held.
impl Fifo {
    /// Goes on from the last valid `head` that the owner has stored.
    fn producer_has_left(&self, reader: &mut End, writer: &mut End, capacity: u64) {
        let framing = self.framing();
        let overwrites = self.overwrites();
        writer.claimed = false;
        self.ring.producer.clean(overwrites);
        if overwrites {
            return self.overwriter_has_left(reader, writer, framing);
        }
        let checks = framing == Framing::Record && !reader.claimed;
        if checks {
            self.align_consumer(reader, writer);
        }
        let began = writer.cursor.position;
        writer.cursor = match reader.claimed {
            false => self
                .ring
                .producer_left_in(framing, Some(&reader.cursor), capacity),
            true => {
                let (head, tail) = (reader.cursor.peer, writer.cursor.peer);
                self.ring.producer_left_first(framing, head, tail, capacity)
            }
        };
        writer.unchecked = (framing == Framing::Record && reader.claimed)
            .then_some((began, writer.cursor.position));
        if checks {
            self.keep_good_records(reader, writer);
        }
        self.ring.produce(&mut writer.cursor, 0);
    }

    /// Goes on from the last valid `head` and `oldest` that the owner has stored.
    fn overwriter_has_left(&self, reader: &mut End, writer: &mut End, framing: Framing) {
        let seen = reader.cursor.peer;
        writer.cursor = self.ring.overwriter_left(&writer.cursor, seen, framing);
        // From now on it does not go back further than this, even if the other end is claimed.
        reader.cursor.peer = writer.cursor.position;
        if !reader.claimed {
            self.catch_up(reader, writer);
        }
        match (framing, reader.claimed) {
            (Framing::Stream, true) => {}
            (Framing::Stream, false) => writer.cursor.peer = self.first_queued(reader, writer),
            (Framing::Record, true) => {
                // The consumer may have seen this `head`. So if there is a bad header, nothing is
                // kept: no writer must ever come across it.
                let Cursor { position, peer, .. } = writer.cursor;
                if self.end_of_good_records(writer, peer) != position {
                    writer.cursor.peer = position;
                }
            }
            (Framing::Record, false) => {
                self.align_consumer(reader, writer);
                writer.cursor.peer = self.first_queued(reader, writer);
                self.keep_good_records(reader, writer);
            }
        }
        self.ring.restore_producer(&writer.cursor);
    }

    /// Goes on from the last valid `tail` that the owner has stored.
    fn consumer_has_left(&self, reader: &mut End, writer: &mut End, capacity: u64) {
        let framing = self.framing();
        let overwrites = self.overwrites();
        let producer = (!writer.claimed).then_some(&writer.cursor);
        reader.claimed = false;
        self.ring.consumer.clean(false);
        reader.cursor = match (overwrites, writer.claimed) {
            (true, _) => self.ring.overtaken_left(&reader.cursor, producer, framing),
            (false, false) => self.ring.consumer_left_in(framing, producer, capacity),
            (false, true) => {
                let (head, tail) = (reader.cursor.peer, writer.cursor.peer);
                self.ring.consumer_left_first(framing, head, tail, capacity)
            }
        };
        // What the producer has seen of the owner may have been impossible.
        if !writer.claimed && !overwrites {
            writer.cursor.peer = reader.cursor.position;
        }
        if !writer.claimed {
            if overwrites {
                self.catch_up(reader, writer);
            }
            if framing == Framing::Record {
                self.keep_records(reader, writer);
            }
        }
        self.ring.consume(&mut reader.cursor, 0);
    }

    /// Looks at the queued records when a consumer has left. It may have gone to where no record
    /// begins, and what it finds there may look like one.
    fn keep_records(&self, reader: &mut End, writer: &mut End) {
        let unchecked = writer.unchecked.take();
        let overwrites = self.overwrites();
        let head = writer.cursor.position;
        let end = self.end_of_good_records(writer, self.first_queued(reader, writer));
        if end != head {
            match unchecked {
                // It is one of those that the owner of the other end has published last.
                Some((from, to))
                    if to == head && end.wrapping_sub(from) < to.wrapping_sub(from) =>
                {
                    writer.cursor.position = end;
                    reader.cursor.peer = end;
                    self.ring.produce(&mut writer.cursor, 0);
                }
                // There is no way to find the next record.
                _ => self.skip_to(reader, writer, head),
            }
        }
        writer.cursor.peer = match overwrites {
            true => self.first_queued(reader, writer),
            false => reader.cursor.position,
        };
        if overwrites {
            self.ring.restore_producer(&writer.cursor);
        }
    }

    /// Moves `tail` forward to `position`. What is between counts as cleared, unless it was gone
    /// before.
    fn skip_to(&self, reader: &mut End, writer: &End, position: u64) {
        let tail = reader.cursor.position;
        let all = position.wrapping_sub(tail);
        let lost = self
            .first_queued(reader, writer)
            .wrapping_sub(tail)
            .min(all);
        self.drop_bytes(|not_read| {
            not_read.overwritten(lost);
            not_read.cleared(all - lost);
            reader.cursor.position = position;
            self.ring.consume(&mut reader.cursor, 0);
        });
    }

    /// If owners have moved `head` too far, moves `tail` after it. Neither end is claimed.
    fn catch_up(&self, reader: &mut End, writer: &End) {
        if is_far(&writer.cursor, reader.cursor.position) {
            let position = self.first_queued(reader, writer);
            self.skip_to(reader, writer, position);
        }
    }

    /// The position of the first byte that is queued, if neither end is claimed. An overwriting
    /// producer may as well forget all bytes before it: with framing `record`, it does not have to
    /// believe headers that nobody has checked.
    fn first_queued(&self, reader: &End, writer: &End) -> u64 {
        let tail = reader.cursor.position;
        match self.overwrites() {
            true => first_queued(&writer.cursor, tail),
            false => tail,
        }
    }

    /// Makes `tail` a boundary of records. Clearing may have put it where the owner of the other
    /// end said that `head` is.
    fn align_consumer(&self, reader: &mut End, writer: &End) {
        reader.cursor.peer = Framing::Record.round_up(reader.cursor.peer);
        let position = Framing::Record.round_up(reader.cursor.position);
        self.skip_to(reader, writer, position);
    }

    /// Makes `head` the end of the last good record. The owner may have published anything.
    fn keep_good_records(&self, reader: &mut End, writer: &mut End) {
        let end = self.end_of_good_records(writer, self.first_queued(reader, writer));
        // The consumer may have seen a later one.
        writer.cursor.position = end;
        reader.cursor.peer = end;
    }

    /// The end of the last good record between `start` and `head`. Looks at all headers with both
    /// locks held: there may be as many as [`MAX_CAPACITY`](super::MAX_CAPACITY) / 16.
    fn end_of_good_records(&self, writer: &End, start: u64) -> u64 {
        let Cursor {
            position: head,
            capacity,
            ..
        } = writer.cursor;
        let mut records = Records::new(start, head, capacity);
        while records.skip(BATCH, load_header(&writer.buffer)) == Skipped::Some {
            might_sleep();
        }
        records.position()
    }
}

/// The number of records that are looked at before others may run.
const BATCH: usize = 4096;

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
        reader.resets = reader.resets.wrapping_add(1);
        let position = match self.side {
            Side::Producer => {
                fifo.producer_has_left(&mut reader, &mut writer, capacity);
                writer.cursor.position
            }
            Side::Consumer => {
                fifo.consumer_has_left(&mut reader, &mut writer, capacity);
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
