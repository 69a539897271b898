// SPDX-License-Identifier: GPL-2.0
// Copyright (C) 2026 Seed 1f3ad1c2 maintainers.

//! Reads and writes of records, if the producer waits for room. For the format of a record see
//! `ring/record.rs`.
//!
//! # Invariants
//!
//! - A record is read or written as a whole, by one call, or not at all. Nothing of it is published
//!   before all of it was copied, and it stays queued until all of it was copied.
//! - A header that was loaded is checked before it is used. One that fails the check puts the FIFO
//!   into its error state.
//!
//! # Context
//!
//! Process context, no lock held, and the functions may sleep. Those that are passed an [`End`] are
//! called with the lock of that end held. It is held while a record is copied, whatever its size.

use super::{
    super::{
        ring::{
            framing::{
                record_len,
                Framing,
                Refused,
                Reservation, //
            },
            record::{
                is_aligned,
                size_in_ring,
                Record, //
            },
            Cursor,
            End as _, //
        },
        trace::{
            self,
            By, //
        },
        turn::Ticket, //
    },
    end::{
        load_header,
        store_header,
        End, //
    },
    state::Flags,
    transfer::{
        attempt_step,
        bounce_buffer,
        Call,
        MoveFrom,
        MoveTo,
        Step,
        ATTEMPTS, //
    },
    Fifo, //
};
use kernel::{
    page_buffer::PageBuffer,
    prelude::*,
    sync::atomic::Relaxed,
    uaccess::nofault::{
        is_being_killed,
        without_page_faults, //
    }, //
};

/// The room that a writer of a record of `len` bytes needs.
pub(super) fn record_room(len: usize) -> u64 {
    size_in_ring(u32::try_from(len).unwrap_or(u32::MAX))
}

/// The error for user memory that is bad, or that cannot be faulted in for a task that is being
/// killed.
pub(super) fn fault_error() -> Error {
    match is_being_killed() {
        true => ERESTARTSYS,
        false => EFAULT,
    }
}

impl Fifo {
    /// Moves the next record to `to`. Faults memory in; if the reader `slept`, wakes the next one
    /// before.
    pub(super) fn read_record(&self, to: &mut impl MoveTo, call: impl Call, slept: bool) -> Step {
        for attempt in 0..ATTEMPTS {
            let mut guard = self.reader.lock();
            let end = &mut *guard;
            let record = match self.next_record(end, to.remaining()) {
                Ok(record) => record,
                Err(step) => return step,
            };
            let len = record.len as usize;
            let copied = to.attempt(|to| {
                let done = without_page_faults(|| {
                    end.copy_at(record.payload(), len, |buffer, piece| {
                        to.copy_from_buffer(buffer, piece.offset, piece.len)
                    })
                });
                (done == len).then_some(())
            });
            if copied.is_some() {
                self.finish_record(end, call, &record);
                return Step::Moved(len);
            }
            drop(guard);
            // A page fault may take any time. Let others go on meanwhile.
            if slept && attempt == 0 {
                self.wake_next_reader();
            }
            if to.fault_in(len) > 0 {
                return Step::Failed(fault_error());
            }
        }
        self.read_record_through_kernel(to, call)
            .unwrap_or_else(Step::Failed)
    }

    /// As [`Fifo::read_record`], through kernel memory: to user memory with page faults enabled and
    /// no lock held. See [`Fifo::read`].
    fn read_record_through_kernel(&self, to: &mut impl MoveTo, call: impl Call) -> Result<Step> {
        for _ in 0..ATTEMPTS {
            let len = {
                let mut guard = self.reader.lock();
                match self.next_record(&mut guard, to.remaining()) {
                    Ok(record) => record.len as usize,
                    Err(step) => return Ok(step),
                }
            };
            let bounce = bounce_buffer(len)?;
            let mut guard = self.reader.lock();
            let record = match self.next_record(&mut guard, to.remaining()) {
                Ok(record) => record,
                Err(step) => return Ok(step),
            };
            if record.len as usize > len {
                continue;
            }
            let len = record.len as usize;
            let resets = guard.resets;
            copy_out(&guard, record.payload(), len, &bounce);
            drop(guard);

            let step = attempt_step(to, |to| {
                if to.copy_from_buffer(&bounce, 0, len) < len {
                    return Err(Some(Step::Failed(fault_error())));
                }
                let mut guard = self.reader.lock();
                let end = &mut *guard;
                self.check_kind(end, Flags::RECORDS).map_err(Some)?;
                // The end of a claim may have dropped this record, and left `tail` where it was.
                if (end.cursor.position, end.resets) != (record.position, resets) {
                    return Err(None);
                }
                self.finish_record(end, call, &record);
                Ok(Step::Moved(len))
            });
            if let Some(step) = step {
                return Ok(step);
            }
        }
        // Other readers made progress each time. Go on as well, unless the task is being killed.
        match is_being_killed() {
            true => Err(ERESTARTSYS),
            false => Ok(Step::MustWait),
        }
    }

    /// The next record, for a reader that holds the lock and has room for `most` bytes.
    ///
    /// # Errors
    ///
    /// The step that the caller returns. It fails with [`EBUSY`], [`EIO`] or [`EMSGSIZE`].
    fn next_record(&self, end: &mut End, most: usize) -> Result<Record, Step> {
        self.check_kind(end, Flags::RECORDS)?;
        let next = self
            .ring
            .next_record(&mut end.cursor, load_header(&end.buffer))
            .map_err(|_| Step::Failed(self.enter_error_state()))?;
        match next {
            None => Err(Step::MustWait),
            Some(record) if record.len as usize > most => Err(Step::Failed(EMSGSIZE)),
            Some(record) => Ok(record),
        }
    }

    /// The number of bytes queued, or the length of the next record, for `FIONREAD`. An answer
    /// only: it changes nothing, and is zero if the header or a position is impossible.
    pub(crate) fn next_len(&self) -> u64 {
        if self.framing() == Framing::Stream {
            return self.size();
        }
        let end = self.reader.lock();
        // With the lock held, it stays the same.
        if self.framing() == Framing::Stream {
            return self.size();
        }
        let mut cursor = match end.claimed {
            // The owner is somewhere else than the cursor.
            true => Cursor::new(end.cursor.capacity, self.ring.consumer.load_acquire()),
            false => end.cursor,
        };
        let header = load_header(&end.buffer);
        let record = match self.overwrites() {
            true => self.peek_overwriting(&mut cursor, header),
            false => self.ring.next_record(&mut cursor, header).ok().flatten(),
        };
        record.map_or(0, |record| u64::from(record.len))
    }

    /// Gives the room of a record, which was copied, back to the producer.
    fn finish_record(&self, end: &mut End, call: impl Call, record: &Record) {
        self.note_read(call);
        trace::consume(self.index, record.position, record.size(), By::Read);
        self.ring.release_record(&mut end.cursor, record);
        self.stats.records_read.fetch_add(1, Relaxed);
    }

    /// Queues all of `from` as a record, for the writer with this ticket. Gives up the turn and
    /// wakes the next writer before it faults memory in.
    ///
    /// If the write is `under_way`, it began as that of a byte stream, and ends here.
    pub(super) fn write_record(
        &self,
        from: &mut impl MoveFrom,
        call: impl Call,
        ticket: &Ticket,
        under_way: bool,
    ) -> Step {
        let mut ticket = ticket;
        let len = from.remaining();
        for _ in 0..ATTEMPTS {
            let mut guard = self.writer.lock();
            let end = &mut *guard;
            let place = match self.reserve(call, end, ticket, len, under_way) {
                Ok(place) => place,
                Err(step) => return step,
            };
            let copied = from.attempt(|from| {
                let done = without_page_faults(|| {
                    end.copy_at(place.payload(), len, |buffer, piece| {
                        from.copy_to_buffer(buffer, piece.offset, piece.len)
                    })
                });
                (done == len).then_some(())
            });
            if copied.is_some() {
                self.commit(end, place, By::Write);
                return Step::Moved(len);
            }
            drop(guard);
            // A page fault may take any time. Let others go on meanwhile.
            self.give_up_turn(ticket);
            self.wake_next_writer();
            ticket = &Ticket::NONE;
            if from.fault_in(len) > 0 {
                return Step::Failed(fault_error());
            }
        }
        self.write_record_through_kernel(from, call)
            .unwrap_or_else(Step::Failed)
    }

    /// As [`Fifo::write_record`], through kernel memory: from user memory with page faults enabled
    /// and no lock held.
    fn write_record_through_kernel(
        &self,
        from: &mut impl MoveFrom,
        call: impl Call,
    ) -> Result<Step> {
        let len = from.remaining();
        record_len(len as u64, self.capacity()).map_err(|_| EMSGSIZE)?;
        let bounce = bounce_buffer(len)?;
        let mut step = Step::MustWait;
        let done = from.attempt(|from| {
            if from.copy_to_buffer(&bounce, 0, len) < len {
                step = Step::Failed(fault_error());
                return None;
            }
            let mut guard = self.writer.lock();
            let end = &mut *guard;
            match self.reserve(call, end, &Ticket::NONE, len, false) {
                Ok(place) => {
                    copy_in(end, place.payload(), len, &bounce);
                    self.commit(end, place, By::Write);
                    Some(())
                }
                Err(why) => {
                    step = why;
                    None
                }
            }
        });
        match done {
            Some(()) => Ok(Step::Moved(len)),
            None => Ok(step),
        }
    }

    /// Room for a record of `len` bytes, for the writer with this ticket, which holds the lock.
    ///
    /// # Errors
    ///
    /// The step that the caller returns. It fails as [`Fifo::check_writable`], and with
    /// [`EMSGSIZE`].
    fn reserve(
        &self,
        call: impl Call,
        end: &mut End,
        ticket: &Ticket,
        len: usize,
        under_way: bool,
    ) -> Result<Reservation, Step> {
        self.check_writable(call, end, Flags::RECORDS)?;
        if under_way {
            return Err(Step::Failed(EMSGSIZE));
        }
        self.reserve_now(end, ticket, len)
    }

    /// As [`Fifo::reserve`], without the checks.
    fn reserve_now(&self, end: &mut End, ticket: &Ticket, len: usize) -> Result<Reservation, Step> {
        // A position that the owner of the other end should not have stored is not kept.
        let seen = end.cursor.peer;
        let free = self.free_now(end, ticket).map_err(Step::Failed)?;
        if !is_aligned(end.cursor.peer) {
            end.cursor.peer = seen;
            return Err(Step::Failed(self.enter_error_state()));
        }
        let place = match self.ring.reserve_record(&mut end.cursor, len as u64) {
            Ok(place) => place,
            Err(Refused::Length) => return Err(Step::Failed(EMSGSIZE)),
            Err(Refused::Broken) => return Err(Step::Failed(self.enter_error_state())),
        };
        place
            .filter(|place| free >= size_in_ring(place.len()))
            .ok_or(Step::MustWait)
    }

    /// Publishes a record of the reserved size, whose payload has been stored.
    pub(super) fn commit(&self, end: &mut End, place: Reservation, by: By) {
        let len = place.len();
        trace::produce(self.index, end.cursor.position, size_in_ring(len), by);
        let store = store_header(&end.buffer);
        // It is the reservation for the current position, and of the right length.
        if self
            .ring
            .commit_record(&mut end.cursor, place, len, store)
            .is_ok()
        {
            self.stats.records_written.fetch_add(1, Relaxed);
        }
    }

    /// Queues a message as a record, unless it does not fit.
    pub(super) fn generate_record(&self, end: &mut End, message: &[u8]) -> Option<()> {
        let place = self.reserve_now(end, &Ticket::NONE, message.len()).ok()?;
        end.store(place.payload(), message);
        self.commit(end, place, By::Auto);
        Some(())
    }
}

/// Copies the `len` bytes from `position` on to kernel memory of at least that size.
pub(super) fn copy_out(end: &End, position: u64, len: usize, to: &PageBuffer) {
    let mut done = 0;
    end.copy_at(position, len, |buffer, piece| {
        let count = buffer.copy_to(piece.offset, piece.len, to, done);
        done += count;
        count
    });
}

/// Copies `len` bytes of kernel memory to `position`.
pub(super) fn copy_in(end: &End, position: u64, len: usize, from: &PageBuffer) {
    let mut done = 0;
    end.copy_at(position, len, |buffer, piece| {
        let count = from.copy_to(done, piece.len, buffer, piece.offset);
        done += count;
        count
    });
}
