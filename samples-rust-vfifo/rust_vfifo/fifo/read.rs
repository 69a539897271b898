// SPDX-License-Identifier: GPL-2.0
// Copyright (C) 2026 Seed 1f3ad1c2 maintainers.

//! Reads: moving queued bytes to memory.
//!
//! [`Fifo::read`] is the fast path. It is inlined into the file operations, and ends in
//! [`Fifo::read_slow`] if it has to sleep or to fault memory in.
//!
//! # Invariants
//!
//! - Room is given back to the producer only after its bytes were copied. A read that fails loses
//!   no byte.
//! - A reader that slept wakes the next one before it faults memory in, and before it returns.
//!
//! # Context
//!
//! Process context, no lock held. All functions may sleep, except those that are passed an [`End`]:
//! these are called with the lock of that end, `reader`, held.

use super::{
    super::{
        ring::Broken,
        trace::{
            self,
            By, //
        }, //
    },
    end::End,
    transfer::{
        attempt_step,
        bounce_page,
        Call,
        MoveTo,
        Step,
        ATTEMPTS,
        CHUNK, //
    },
    Fifo, //
};
use core::mem;
use kernel::{
    prelude::*,
    uaccess::nofault::{
        is_being_killed,
        without_page_faults, //
    }, //
};

impl Fifo {
    /// Moves as many queued bytes to `to` as fit, and returns their number. Sleeps while nothing is
    /// queued, unless the call must not sleep. Returns zero at the end of the stream, see
    /// `hangup.rs`. With framing `record`, moves the next record.
    ///
    /// # Errors
    ///
    /// - [`EAGAIN`] if nothing is queued and the call must not sleep.
    /// - [`EBUSY`] if the consumer's end is claimed.
    /// - [`EFAULT`] if not a single byte could be copied, or not the whole record; nothing is lost
    ///   then.
    /// - [`EIO`] if the FIFO is in its error state.
    /// - [`EMSGSIZE`] if the next record is larger than `to`.
    /// - [`ENOMEM`] if there is no memory for a page to copy through.
    /// - [`ERESTARTSYS`] if a signal came first.
    #[inline]
    pub(crate) fn read(&self, to: &mut impl MoveTo, call: impl Call) -> Result<usize> {
        let len = to.remaining();
        if len == 0 {
            return Ok(0);
        }
        if len > CHUNK {
            return self.read_large(to, call);
        }
        // A kind that changes after this look is found with the lock held.
        if self.kind() != 0 {
            return self.read_other(to, call);
        }
        match self.read_once::<true, _>(to, len, call) {
            Step::Moved(done) => {
                self.room_freed();
                Ok(done)
            }
            step => self.read_slow(to, step, call),
        }
    }

    /// A read of more than [`CHUNK`] bytes; fewer may be queued.
    #[cold]
    fn read_large(&self, to: &mut impl MoveTo, call: impl Call) -> Result<usize> {
        let step = self.read_step(to, call, false);
        self.read_slow(to, step, call)
    }

    /// Moves what is queued, [`CHUNK`] bytes at a time. May fault memory in; if the reader `slept`,
    /// it wakes the next one before.
    fn read_step(&self, to: &mut impl MoveTo, call: impl Call, slept: bool) -> Step {
        let len = to.remaining();
        let queued = self.size().min(len as u64) as usize;
        if queued > CHUNK && self.kind() == 0 {
            if slept {
                self.wake_next_reader();
            }
            let resident = queued.saturating_sub(to.fault_in(queued));
            if resident > CHUNK {
                return self.read_chunks(to, call, resident);
            }
        }
        self.read_retry(to, call, len.min(CHUNK))
    }

    /// Continues a read that was not completed by its first `step`.
    #[cold]
    pub(super) fn read_slow<To: MoveTo>(
        &self,
        to: &mut To,
        mut step: Step,
        call: impl Call,
    ) -> Result<usize> {
        let mut slept = false;
        let mut is_again = false;
        let result = loop {
            if let Step::NotResident(wanted) = step {
                // A page fault may take any time. Let others go on meanwhile.
                if slept {
                    self.wake_next_reader();
                }
                step = self.read_after_faults(to, call, wanted);
            }
            if let Step::OtherKind = step {
                step = self.read_other_kind(to, call, slept);
            }
            match step {
                Step::Moved(done) => {
                    self.room_freed();
                    break Ok(done);
                }
                Step::Failed(error) => break Err(error),
                // The kind has changed meanwhile.
                Step::OtherKind => {
                    step = self.read_step(to, call, slept);
                    continue;
                }
                Step::MustWait | Step::NotResident(_) => {}
            }
            // The conditions of a sleep are those of a transfer. If they ever differ, this loop
            // must still come to an end.
            if mem::replace(&mut is_again, true) && is_being_killed() {
                break Err(ERESTARTSYS);
            }
            if self.writers_gone(call) {
                // Bytes may have come since, or the end may have been claimed.
                match self.is_at_end(call) {
                    Ok(true) => break Ok(0),
                    Ok(false) => {}
                    Err(error) => break Err(error),
                }
            } else if call.nonblocking() {
                break Err(EAGAIN);
            } else {
                if mem::replace(&mut slept, true) {
                    // It may have been woken, and another reader was faster. It checks again
                    // before it sleeps.
                    self.reader_relay.finish();
                }
                if let Err(error) = self.wait_for_bytes::<To>(call) {
                    break Err(error);
                }
            }
            step = self.read_step(to, call, slept);
        };
        if slept {
            self.wake_next_reader();
        }
        result
    }

    /// Whether the reader is at the end of the stream: there are no bytes and no writers, at the
    /// same time.
    ///
    /// With the lock held, no other reader moves `tail`, and no claim begins. The writers are asked
    /// for before `head` is loaded, since the last one publishes its bytes before it leaves. If the
    /// queue is empty after that, it was empty when there were no writers.
    ///
    /// # Errors
    ///
    /// As [`Fifo::check_usable`].
    #[cold]
    fn is_at_end(&self, call: impl Call) -> Result<bool> {
        let end = self.reader.lock();
        // A claim can be what made the last writer leave. Then this fails, as reads do.
        self.check_usable(&end)?;
        // If positions are impossible, the next step finds that.
        Ok(self.writers_gone(call) && self.queued() == Ok(0))
    }

    /// Reads to user memory of which not all of the first `wanted` bytes were resident.
    ///
    /// Does not look at signals, since the read can go on: for a task of io_uring
    /// `signal_pending()` may be true without a signal.
    fn read_after_faults(&self, to: &mut impl MoveTo, call: impl Call, mut wanted: usize) -> Step {
        for _ in 0..ATTEMPTS {
            let resident = wanted.saturating_sub(to.fault_in(wanted));
            if resident == 0 {
                return Step::Failed(EFAULT);
            }
            match self.read_retry(to, call, resident) {
                Step::NotResident(again) => wanted = again,
                step => return step,
            }
        }
        self.read_through_kernel(to, call, wanted)
            .unwrap_or_else(Step::Failed)
    }

    /// Reads at most `wanted` bytes to user memory that does not stay resident, or that only looks
    /// resident. Copies them through a page of kernel memory: to user memory with page faults
    /// enabled and no lock held. This copy decides whether the memory is bad.
    ///
    /// The bytes stay queued until they have been copied to user memory. If another reader takes
    /// them meanwhile, this one retries with the bytes that follow.
    fn read_through_kernel(
        &self,
        to: &mut impl MoveTo,
        call: impl Call,
        wanted: usize,
    ) -> Result<Step> {
        let (page, most) = bounce_page(wanted)?;
        for _ in 0..ATTEMPTS {
            let mut guard = self.reader.lock();
            let end = &mut *guard;
            let queued = match self.queued_now(end) {
                Ok(0) => return Ok(Step::MustWait),
                Ok(queued) => queued.min(most as u64) as usize,
                Err(step) => return Ok(step),
            };
            let (position, resets) = (end.cursor.position, end.resets);
            let mut peeked = 0;
            end.copy(queued, |buffer, piece| {
                let count = buffer.copy_to(piece.offset, piece.len, &page, peeked);
                peeked += count;
                count
            });
            drop(guard);

            let step = attempt_step(to, |to| {
                let done = to.copy_from_buffer(&page, 0, peeked);
                if done == 0 {
                    return Err(Some(Step::Failed(EFAULT)));
                }
                let mut guard = self.reader.lock();
                let end = &mut *guard;
                self.check_straight(end).map_err(Some)?;
                if (end.cursor.position, end.resets) != (position, resets) {
                    return Err(None);
                }
                self.finish_read(end, call, done);
                Ok(Step::Moved(done))
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

    /// As [`Fifo::read_once`], but not inlined: for all callers that are not on the fast path.
    #[inline(never)]
    fn read_retry(&self, to: &mut impl MoveTo, call: impl Call, most: usize) -> Step {
        self.read_once::<false, _>(to, most, call)
    }

    /// Moves queued bytes to the first `most` bytes of `to`. Moves nothing if not all of the memory
    /// that they go to is resident.
    ///
    /// `FIRST` gives each of the two callers its own instances of the functions called here. Each
    /// of these then has a single caller, and the compiler inlines it. This saves 30 instructions.
    #[inline(always)]
    fn read_once<const FIRST: bool, To: MoveTo>(
        &self,
        to: &mut To,
        most: usize,
        call: impl Call,
    ) -> Step {
        let mut guard = self.reader.lock();
        let end = &mut *guard;
        let queued = match self.queued_now(end) {
            Ok(0) => return Step::MustWait,
            Ok(queued) => queued,
            Err(step) => return step,
        };

        // Fits into a `usize`, as it is not more than `most`.
        let wanted = queued.min(most as u64) as usize;
        match self.copy_out::<FIRST, _>(end, to, call, wanted) {
            Some(done) => Step::Moved(done),
            None => Step::NotResident(wanted),
        }
    }

    /// The number of bytes queued, for a reader that holds the lock.
    ///
    /// # Errors
    ///
    /// As [`Fifo::check_straight`]; [`EIO`] if `head` is found to be impossible.
    #[inline(always)]
    fn queued_now(&self, end: &mut End) -> Result<u64, Step> {
        self.check_straight(end)?;
        self.ring
            .used_now(&mut end.cursor)
            .map_err(|_| Step::Failed(self.enter_error_state()))
    }

    /// Gives the room of `done` bytes, which were copied, back to the producer.
    #[inline(always)]
    fn finish_read(&self, end: &mut End, call: impl Call, done: usize) {
        self.note_read(call);
        trace::consume(self.index, end.cursor.position, done as u64, By::Read);
        self.ring.consume(&mut end.cursor, done as u64);
    }

    /// Moves `wanted` bytes to `to`; at least as many are queued. Moves nothing and returns
    /// [`None`] if not all memory is resident. For `FIRST` see [`Fifo::read_once`].
    #[inline(always)]
    fn copy_out<const FIRST: bool, To: MoveTo>(
        &self,
        end: &mut End,
        to: &mut To,
        call: impl Call,
        wanted: usize,
    ) -> Option<usize> {
        let done = to.attempt(|to| {
            let done = without_page_faults(|| {
                end.copy(wanted, |buffer, piece| {
                    to.copy_from_buffer(buffer, piece.offset, piece.len)
                })
            });
            (done == wanted).then_some(done)
        })?;
        self.finish_read(end, call, done);
        Some(done)
    }

    /// Moves queued bytes to the first `most` bytes of `to`, [`CHUNK`] bytes at a time. The caller
    /// has just faulted in these `most` bytes; ends early if they are not resident any more.
    ///
    /// Holds the lock throughout, so that no other reader gets bytes from the middle. The number of
    /// chunks is limited by the capacity, no matter how many bytes arrive meanwhile, and how few at
    /// a time: other readers are waiting for the lock.
    fn read_chunks(&self, to: &mut impl MoveTo, call: impl Call, most: usize) -> Step {
        let mut guard = self.reader.lock();
        let end = &mut *guard;
        if let Err(step) = self.check_straight(end) {
            return step;
        }
        // Fits into a `usize`, as it is not more than `most`.
        let most = end.cursor.capacity.min(most as u64) as usize;
        let mut total = 0;
        for _ in 0..most.div_ceil(CHUNK) {
            if total > 0 {
                self.room_freed();
            }
            let queued = match self.ring.used_now(&mut end.cursor) {
                Ok(0) => break,
                Ok(queued) => queued.min(CHUNK as u64) as usize,
                // The next call reports it.
                Err(Broken) if total > 0 => break,
                Err(Broken) => return Step::Failed(self.enter_error_state()),
            };
            let wanted = queued.min(most - total);
            match self.copy_out::<false, _>(end, to, call, wanted) {
                Some(done) => total += done,
                None if total > 0 => break,
                None => return Step::NotResident(wanted),
            }
        }
        match total {
            0 => Step::MustWait,
            _ => Step::Moved(total),
        }
    }
}
