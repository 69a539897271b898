// SPDX-License-Identifier: GPL-2.0
// Copyright (C) 2026 Seed 1f3ad1c2 maintainers.

//! Writes and generation: moving bytes into the queue.
//!
//! [`Fifo::write`] is the fast path. It is inlined into the file operations, and ends in
//! [`Fifo::write_slow`] if it has to sleep, to fault memory in, or to write in parts.
//!
//! # Invariants
//!
//! - Bytes are published only after they were copied, and up to [`PIPE_BUF`] bytes all at once.
//! - A writer gives up its turn when it has been served, before it faults memory in, and before it
//!   returns.
//! - A writer that slept wakes the next one before it faults memory in, and before it returns.
//!
//! # Context
//!
//! Process context, no lock held. All functions may sleep, except those that are passed an [`End`]:
//! these are called with the lock of that end, `writer`, held.

use super::{
    super::{
        trace::{
            self,
            By, //
        },
        turn::Ticket,
        uapi::PIPE_BUF, //
    },
    end::End,
    records::record_room,
    state::Flags,
    transfer::{
        attempt_step,
        bounce_page,
        Call,
        MoveFrom,
        Step,
        ATTEMPTS,
        CHUNK, //
    },
    Fifo, //
};
use core::mem;
use kernel::{
    current,
    page::PAGE_SIZE,
    prelude::*,
    sync::atomic::Relaxed,
    task::signal::Signal,
    uaccess::nofault::{
        is_being_killed,
        without_page_faults, //
    }, //
};

/// The number of bytes of a write of `len` bytes that must be written at once.
#[inline]
fn needed(len: usize) -> u64 {
    match len as u64 {
        len @ ..=PIPE_BUF => len,
        _ => 1,
    }
}

impl Fifo {
    /// Moves all of `from` into the queue, and returns the number of bytes.
    ///
    /// Up to [`PIPE_BUF`] bytes are written at once or not at all, and so are records. A larger
    /// write may be mixed with those of other writers. Sleeps while there is no room; if the call
    /// must not sleep, the write ends there instead. If all readers have gone, it ends as well, and
    /// sends `SIGPIPE` even if bytes were moved before. See `hangup.rs`.
    ///
    /// # Errors
    ///
    /// A write that ends early returns an error only if nothing was moved:
    ///
    /// - [`EAGAIN`] if there is no room and the call must not sleep.
    /// - [`EBUSY`] if the producer's end is claimed.
    /// - [`EFAULT`] if the memory is bad.
    /// - [`EIO`] if the FIFO is in its error state.
    /// - [`EMSGSIZE`] if a record of that size never fits.
    /// - [`ENOMEM`] if there is no memory for a page to copy through.
    /// - [`EPIPE`] if all readers have gone.
    /// - [`ERESTARTSYS`] if a signal came first.
    #[inline]
    pub(crate) fn write(&self, from: &mut impl MoveFrom, call: impl Call) -> Result<usize> {
        let len = from.remaining();
        if len == 0 {
            return Ok(0);
        }
        // A kind that changes after this look is found with the lock held.
        if self.kind() != 0 {
            return self.write_other(from, len, call);
        }
        let most = len.min(CHUNK);
        match self.write_once::<true, _>(from, needed(len), most, &Ticket::NONE, call) {
            Step::Moved(done) if done == len => {
                self.bytes_arrived();
                self.after_direct_write();
                Ok(len)
            }
            step => self.write_slow(from, len, step, call),
        }
    }

    /// Continues a write of `len` bytes that was not completed by its first `step`.
    #[cold]
    pub(super) fn write_slow(
        &self,
        from: &mut impl MoveFrom,
        len: usize,
        mut step: Step,
        call: impl Call,
    ) -> Result<usize> {
        let atomic = len as u64 <= PIPE_BUF;
        let needed = needed(len);
        let mut is_straight;
        let mut slept = false;
        let mut ticket = Ticket::NONE;
        let mut total = 0;
        // The number of bytes that could have been moved since signals were checked.
        let mut unchecked = 0;
        let result = loop {
            if let Step::NotResident(wanted) = step {
                // A page fault may take any time. Let others go on meanwhile.
                self.give_up_turn(&ticket);
                self.wake_next_writer();
                step = self.write_after_faults(from, needed, wanted, call);
            }
            is_straight = !matches!(step, Step::OtherKind);
            if !is_straight {
                step = self.write_other_kind(from, call, &ticket, total > 0);
            }
            match step {
                Step::Moved(done) => {
                    total += done;
                    // Not `done`, which the owner of the other end could keep small.
                    unchecked += CHUNK;
                    // It has been served. For the rest it queues up behind the others.
                    self.give_up_turn(&ticket);
                    ticket = Ticket::NONE;
                    self.bytes_arrived();
                    if from.remaining() == 0 {
                        break Ok(());
                    }
                    // Others need not wait until it has written the rest.
                    self.wake_next_writer();
                    // An atomic write was cut short by bad memory. Writing the rest later would
                    // let the bytes of others come in between.
                    if atomic {
                        break Err(EFAULT);
                    }
                    // A reader that keeps up could have this loop run for as long as there is
                    // something to write, so check for signals. But not before a capacity's worth
                    // is written: for a task of io_uring `signal_pending()` may always be true.
                    if unchecked as u64 >= self.capacity() {
                        if current!().signal_pending() {
                            break Err(ERESTARTSYS);
                        }
                        unchecked = 0;
                    }
                }
                Step::Failed(error) => break Err(error),
                // The kind has changed meanwhile.
                Step::OtherKind => {}
                Step::MustWait | Step::NotResident(_) => {
                    if call.nonblocking() {
                        break Err(EAGAIN);
                    }
                    let (kind, room) = match is_straight {
                        // Only a record has to wait, and it is the whole write.
                        false => (Flags::RECORDS, record_room(len)),
                        true if atomic => (0, needed),
                        true => (0, PIPE_BUF),
                    };
                    // As in `read_slow()`.
                    if mem::replace(&mut slept, true) && is_being_killed() {
                        break Err(ERESTARTSYS);
                    }
                    if let Err(error) = self.wait_for_room(call, &mut ticket, kind, room) {
                        break Err(error);
                    }
                }
            }
            step = self.write_retry(from, needed, from.remaining().min(CHUNK), &ticket, call);
        };
        if slept {
            self.give_up_turn(&ticket);
            self.wake_next_writer();
        } else if total > 0 {
            self.after_direct_write();
        }
        if result == Err(EPIPE) && !call.nosignal() {
            // Fails only for a task that is exiting, and has no use for it.
            let _ = Signal::PIPE.send(current!());
        }
        match result {
            Err(error) if total == 0 => Err(error),
            _ => Ok(total),
        }
    }

    /// Writes from user memory of which not all of the first `wanted` bytes were resident. See
    /// [`Fifo::read_after_faults`].
    fn write_after_faults(
        &self,
        from: &mut impl MoveFrom,
        needed: u64,
        mut wanted: usize,
        call: impl Call,
    ) -> Step {
        for _ in 0..ATTEMPTS {
            let resident = wanted.saturating_sub(from.fault_in(wanted));
            // Memory cannot be faulted in for a task that is being killed. Such a writer must not
            // leave the first part of its bytes behind.
            if resident < wanted && is_being_killed() {
                return Step::Failed(ERESTARTSYS);
            }
            if resident == 0 {
                return Step::Failed(EFAULT);
            }
            match self.write_retry(from, needed, resident, &Ticket::NONE, call) {
                Step::NotResident(again) => wanted = again,
                step => return step,
            }
        }
        self.write_through_kernel(from, needed, wanted, call)
            .unwrap_or_else(Step::Failed)
    }

    /// Writes at most `wanted` bytes from user memory that does not stay resident, or that only
    /// looks resident. Copies them through a page of kernel memory: from user memory with page
    /// faults enabled and no lock held. This copy decides whether the memory is bad.
    fn write_through_kernel(
        &self,
        from: &mut impl MoveFrom,
        needed: u64,
        wanted: usize,
        call: impl Call,
    ) -> Result<Step> {
        const { assert!(PAGE_SIZE as u64 >= PIPE_BUF) };
        let (page, mut most) = bounce_page(wanted)?;
        loop {
            let mut room = 0;
            let step = attempt_step(from, |from| {
                let there = from.copy_to_buffer(&page, 0, most);
                if there < most && is_being_killed() {
                    return Err(Some(Step::Failed(ERESTARTSYS)));
                }
                if there == 0 {
                    return Err(Some(Step::Failed(EFAULT)));
                }
                let mut guard = self.writer.lock();
                let end = &mut *guard;
                room = self.free_for(call, end, &Ticket::NONE).map_err(Some)?;
                // Bytes that were taken from `from` and do not fit must not be lost.
                if room < needed || room < there as u64 {
                    return Err(None);
                }
                let mut copied = 0;
                end.copy(there, |buffer, piece| {
                    let count = page.copy_to(copied, piece.len, buffer, piece.offset);
                    copied += count;
                    count
                });
                self.publish(end, copied);
                Ok(Step::Moved(copied))
            });
            match step {
                Some(step) => return Ok(step),
                None if room < needed => return Ok(Step::MustWait),
                // Retry with fewer bytes; `most` shrinks each time.
                None => most = room as usize,
            }
        }
    }

    /// As [`Fifo::write_once`], but not inlined: for all callers that are not on the fast path.
    #[inline(never)]
    fn write_retry(
        &self,
        from: &mut impl MoveFrom,
        needed: u64,
        most: usize,
        ticket: &Ticket,
        call: impl Call,
    ) -> Step {
        self.write_once::<false, _>(from, needed, most, ticket, call)
    }

    /// Moves up to `most` bytes of `from` into the queue, for the writer with this ticket. Moves
    /// nothing if there is no room for `needed` bytes, or if not all of the memory that they come
    /// from is resident.
    ///
    /// For `FIRST` see [`Fifo::read_once`].
    #[inline(always)]
    fn write_once<const FIRST: bool, From: MoveFrom>(
        &self,
        from: &mut From,
        needed: u64,
        most: usize,
        ticket: &Ticket,
        call: impl Call,
    ) -> Step {
        let mut guard = self.writer.lock();
        let end = &mut *guard;
        let free = match self.free_for(call, end, ticket) {
            Ok(free) if free < needed => return Step::MustWait,
            Ok(free) => free,
            Err(step) => return step,
        };

        // Fits into a `usize`, as it is not more than `most`.
        let wanted = free.min(most as u64) as usize;
        let copied = from.attempt(|from| {
            let done = without_page_faults(|| {
                end.copy(wanted, |buffer, piece| {
                    from.copy_to_buffer(buffer, piece.offset, piece.len)
                })
            });
            (done == wanted).then_some(done)
        });
        let Some(done) = copied else {
            return Step::NotResident(wanted);
        };
        self.publish(end, done);
        Step::Moved(done)
    }

    /// The number of bytes that the writer with this ticket, which holds the lock, may write.
    ///
    /// # Errors
    ///
    /// The step that the caller returns: as [`Fifo::check_writable`], with [`EIO`] also if `tail`
    /// is found to be impossible.
    #[inline(always)]
    fn free_for(&self, call: impl Call, end: &mut End, ticket: &Ticket) -> Result<u64, Step> {
        if end.claimed {
            return Err(Step::Failed(EBUSY));
        }
        if self
            .flags
            .any(Flags::ERROR | Flags::NO_READERS | Flags::OTHER_KIND)
        {
            self.check_writable(call, end, 0)?;
        }
        self.free_now(end, ticket).map_err(Step::Failed)
    }

    /// Checks whether a writer that holds the lock may go on, if its step is for this `kind`, see
    /// [`Fifo::check_kind`].
    ///
    /// # Errors
    ///
    /// The step that the caller returns. It fails with [`EBUSY`] if the end is claimed, [`EIO`] if
    /// the FIFO is in its error state, [`EPIPE`] if all readers have gone.
    #[cold]
    pub(super) fn check_writable(&self, call: impl Call, end: &End, kind: u32) -> Result<(), Step> {
        self.check_usable(end).map_err(Step::Failed)?;
        // Before the kind: what a write fails with does not depend on it, and comes before its user
        // memory is looked at.
        if self.readers_gone(call) {
            return Err(Step::Failed(EPIPE));
        }
        match self.kind() == kind {
            true => Ok(()),
            false => Err(Step::OtherKind),
        }
    }

    /// As [`Fifo::free_for`], without the checks.
    ///
    /// # Errors
    ///
    /// [`EIO`].
    #[inline(always)]
    pub(super) fn free_now(&self, end: &mut End, ticket: &Ticket) -> Result<u64> {
        let free = self
            .ring
            .free_now(&mut end.cursor)
            .map_err(|_| self.enter_error_state())?;
        if self.turn.is_taken() {
            return Ok(self.free_beside_turn(end, free, ticket));
        }
        Ok(free)
    }

    /// The part of `free` bytes that is left by the turn for the writer with this ticket.
    #[cold]
    fn free_beside_turn(&self, end: &End, free: u64, ticket: &Ticket) -> u64 {
        if self.turn.is_held_by(ticket) {
            return free;
        }
        self.turn.left_for_others(end.cursor.position, free)
    }

    /// Publishes `done` bytes, which were copied.
    #[inline(always)]
    fn publish(&self, end: &mut End, done: usize) {
        trace::produce(self.index, end.cursor.position, done as u64, By::Write);
        self.ring.produce(&mut end.cursor, done as u64);
    }

    /// Writes all of `message` if it fits, as a record with that framing. Otherwise, or if a write
    /// would fail, counts it as dropped. Called by the generator; does not wait for room.
    pub(crate) fn generate(&self, message: &[u8]) {
        let mut guard = self.writer.lock();
        let end = &mut *guard;
        let done = match self.check_straight(end) {
            Ok(()) => self.generate_bytes(end, message),
            Err(Step::OtherKind) if self.overwrites() => self.generate_overwriting(end, message),
            Err(Step::OtherKind) => self.generate_record(end, message),
            Err(_) => None,
        };
        drop(guard);
        match done {
            Some(()) => {
                self.bytes_arrived();
                self.after_direct_write();
            }
            None => {
                self.stats.dropped.fetch_add(1, Relaxed);
            }
        }
    }

    /// Queues a message as bytes, unless it does not fit.
    fn generate_bytes(&self, end: &mut End, message: &[u8]) -> Option<()> {
        let len = message.len() as u64;
        let free = self.free_now(end, &Ticket::NONE).ok()?;
        if free < len {
            return None;
        }
        end.store(end.cursor.position, message);
        trace::produce(self.index, end.cursor.position, len, By::Auto);
        self.ring.produce(&mut end.cursor, len);
        Some(())
    }
}
