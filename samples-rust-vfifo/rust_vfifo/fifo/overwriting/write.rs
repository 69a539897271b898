// SPDX-License-Identifier: GPL-2.0
// Copyright (C) 2026 Seed 1f3ad1c2 maintainers.

//! Writes if the producer overwrites. See [`overwriting`](super).
//!
//! There are no turns: nobody waits for room.

use super::super::{
    super::{
        ring::framing::{
            record_len,
            Framing,
            Refused,
            Reservation, //
        },
        trace::{
            self,
            By, //
        },
        uapi::PIPE_BUF, //
    },
    end::{
        load_header,
        End,
        Side, //
    },
    records::{
        copy_in,
        fault_error, //
    },
    state::Flags,
    transfer::{
        bounce_buffer,
        bounce_page,
        Call,
        MoveFrom,
        Step,
        ATTEMPTS,
        CHUNK, //
    },
    Fifo, //
};
use kernel::{
    prelude::*,
    task::might_sleep,
    uaccess::nofault::{
        is_being_killed,
        without_page_faults, //
    }, //
};

/// The number of old records that are dropped before a writer looks whether it is being killed.
const BATCH: usize = 4096;

// A write of up to this many bytes is published at once.
const _: () = assert!(PIPE_BUF <= CHUNK as u64);

/// Room at the producer's position.
struct Place {
    /// The position of the first byte to store.
    at: u64,
    /// Their number.
    len: usize,
    /// The record that they are the payload of.
    record: Option<Reservation>,
}

impl Fifo {
    /// Moves bytes of `from` into the queue, [`CHUNK`] of them at most, or all of it as a record.
    /// Never waits for room.
    ///
    /// If the write is `under_way`, it began as that of a byte stream, and ends where records
    /// begin.
    pub(in super::super) fn write_overwriting(
        &self,
        from: &mut impl MoveFrom,
        call: impl Call,
        under_way: bool,
    ) -> Step {
        let all = from.remaining();
        let mut faults = 0;
        while faults < ATTEMPTS {
            faults += 1;
            let framing = self.framing();
            let most = match framing {
                Framing::Record => all,
                Framing::Stream => self.chunk(all),
            };
            // A record that never fits is not faulted in. It fails in the same order as others.
            if framing == Framing::Record && record_len(all as u64, self.capacity()).is_err() {
                let mut end = self.writer.lock();
                return match self.make_room(call, &mut end, framing, all, under_way) {
                    Ok(_) => Step::OtherKind,
                    Err(step) => step,
                };
            }
            // What a write fails with otherwise comes before its user memory is looked at.
            if self.is_unusable(Side::Producer) || self.readers_gone(call) {
                let end = self.writer.lock();
                if let Err(step) = self.check_writable(call, &end, self.kind()) {
                    return step;
                }
            }
            let resident = most.saturating_sub(from.fault_in(most));
            if resident == 0
                || (resident < most && (framing == Framing::Record || is_being_killed()))
            {
                return Step::Failed(fault_error());
            }
            let mut guard = self.writer.lock();
            let end = &mut *guard;
            let place = match self.make_room(call, end, framing, resident, under_way) {
                Ok(place) => place,
                Err(step) => return step,
            };
            let copied = from.attempt(|from| {
                let done = without_page_faults(|| {
                    end.copy_at(place.at, place.len, |buffer, piece| {
                        from.copy_to_buffer(buffer, piece.offset, piece.len)
                    })
                });
                (done == place.len).then_some(())
            });
            if copied.is_some() {
                let len = place.len;
                self.fill(end, place, By::Write);
                return Step::Moved(len);
            }
        }
        self.write_overwriting_through_kernel(from, call, under_way)
            .unwrap_or_else(Step::Failed)
    }

    /// The number of bytes of a stream to publish at once, if `all` of them are to be written.
    /// Unless they belong together, half of the buffer at most, so that readers find something at
    /// any time.
    fn chunk(&self, all: usize) -> usize {
        match all as u64 {
            ..=PIPE_BUF => all,
            _ => all.min(CHUNK).min(self.capacity() as usize / 2),
        }
    }

    /// As [`Fifo::write_overwriting`], through kernel memory: from user memory with page faults
    /// enabled and no lock held.
    fn write_overwriting_through_kernel(
        &self,
        from: &mut impl MoveFrom,
        call: impl Call,
        under_way: bool,
    ) -> Result<Step> {
        let framing = self.framing();
        let all = from.remaining();
        let (bounce, most) = match framing {
            Framing::Record => (bounce_buffer(all)?, all),
            Framing::Stream => bounce_page(all)?,
        };
        let mut step = Step::OtherKind;
        let done = from.attempt(|from| {
            let there = from.copy_to_buffer(&bounce, 0, most);
            if there == 0 || (there < most && (framing == Framing::Record || is_being_killed())) {
                step = Step::Failed(fault_error());
                return None;
            }
            let mut guard = self.writer.lock();
            let end = &mut *guard;
            match self.make_room(call, end, framing, there, under_way) {
                Ok(place) if place.len == there => {
                    copy_in(end, place.at, there, &bounce);
                    self.fill(end, place, By::Write);
                    Some(there)
                }
                // A page always fits.
                Ok(_) => None,
                Err(why) => {
                    step = why;
                    None
                }
            }
        });
        Ok(done.map_or(step, Step::Moved))
    }

    /// Drops the oldest bytes, until there is room for `len` bytes, or for as many as the capacity.
    ///
    /// # Errors
    ///
    /// The step that the caller returns. It fails as [`Fifo::check_writable`], with [`EMSGSIZE`],
    /// and with [`ERESTARTSYS`] if the task is being killed.
    fn make_room(
        &self,
        call: impl Call,
        end: &mut End,
        framing: Framing,
        len: usize,
        under_way: bool,
    ) -> Result<Place, Step> {
        let kind = match framing {
            Framing::Record => Flags::OVERWRITE | Flags::RECORDS,
            Framing::Stream => Flags::OVERWRITE,
        };
        self.check_writable(call, end, kind)?;
        if under_way && framing == Framing::Record {
            return Err(Step::Failed(EMSGSIZE));
        }
        self.make_room_now(end, framing, len)
    }

    /// As [`Fifo::make_room`], without the checks.
    fn make_room_now(&self, end: &mut End, framing: Framing, len: usize) -> Result<Place, Step> {
        if framing == Framing::Stream {
            let at = end.cursor.position;
            // Fits into a `usize`, as it is not more than `len`.
            let len = self.ring.overwrite(&mut end.cursor, len as u64) as usize;
            return Ok(Place {
                at,
                len,
                record: None,
            });
        }
        loop {
            let header = load_header(&end.buffer);
            let reserved =
                self.ring
                    .reserve_overwriting(&mut end.cursor, len as u64, BATCH, header);
            match reserved {
                Ok(Some(record)) => {
                    return Ok(Place {
                        at: record.payload(),
                        len,
                        record: Some(record),
                    })
                }
                Ok(None) => {}
                Err(Refused::Length) => return Err(Step::Failed(EMSGSIZE)),
                Err(Refused::Broken) => return Err(Step::Failed(self.enter_error_state())),
            }
            if is_being_killed() {
                return Err(Step::Failed(ERESTARTSYS));
            }
            might_sleep();
        }
    }

    /// Publishes what was stored at `place`.
    fn fill(&self, end: &mut End, place: Place, by: By) {
        match place.record {
            Some(record) => self.commit(end, record, by),
            None => {
                trace::produce(self.index, end.cursor.position, place.len as u64, by);
                self.ring.produce(&mut end.cursor, place.len as u64);
            }
        }
    }

    /// Queues a message, as bytes or as a record.
    pub(in super::super) fn generate_overwriting(
        &self,
        end: &mut End,
        message: &[u8],
    ) -> Option<()> {
        let place = self
            .make_room_now(end, self.framing(), message.len())
            .ok()?;
        end.store(place.at, message);
        self.fill(end, place, By::Auto);
        Some(())
    }
}
