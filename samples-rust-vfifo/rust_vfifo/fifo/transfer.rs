// SPDX-License-Identifier: GPL-2.0
// Copyright (C) 2026 Seed 1f3ad1c2 maintainers.

//! What reads and writes have in common.
//!
//! A transfer tries a [`Step`] with its end's lock held and page faults disabled. It does not touch
//! the ring unless all user memory that the step needs is resident. If some is not, it drops the
//! lock, faults the memory in and retries:
//!
//! ```text
//!               Moved ------------------------------> done, or the next step
//!   one step -- MustWait ----> sleeps (sleeping.rs) --> retries
//!               OtherKind ---> goes on in records.rs or overwriting.rs
//!               NotResident -> faults in, retries up to ATTEMPTS times;
//!                              then copies through a page of kernel memory
//!               Failed ------------------------------> error, if nothing was moved
//! ```
//!
//! # Context
//!
//! Process context. [`bounce_page`] may sleep.

use super::{
    super::turn::Ticket,
    hangup::OpenFile,
    Fifo, //
};
use kernel::{
    page::PAGE_SIZE,
    page_buffer::{
        Dest,
        PageBuffer,
        Source, //
    },
    prelude::*,
    uaccess::nofault::FaultIn, //
};

/// How often a transfer is retried because user memory was resident and is not any more. After that
/// it goes through a page of kernel memory.
pub(super) const ATTEMPTS: usize = 8;

/// The number of bytes that are copied before they are published. If a transfer of the size of the
/// buffer was published as a whole, only one end would be at work at a time.
pub(super) const CHUNK: usize = 16 << 10;

/// Allocates kernel memory for `len` bytes to copy through, at most those of a record.
///
/// # Errors
///
/// [`ENOMEM`].
pub(super) fn bounce_buffer(len: usize) -> Result<PageBuffer> {
    PageBuffer::new(len.div_ceil(PAGE_SIZE))
}

/// Allocates a page of kernel memory to copy through. Returns it with the number of `wanted` bytes
/// that fit into it.
///
/// # Errors
///
/// [`ENOMEM`].
pub(super) fn bounce_page(wanted: usize) -> Result<(PageBuffer, usize)> {
    let page = PageBuffer::new(1)?;
    let most = wanted.min(page.len());
    Ok((page, most))
}

/// Memory that bytes are moved to. It may have to be faulted in.
pub(crate) trait MoveTo: Dest + FaultIn {}
impl<T: Dest + FaultIn> MoveTo for T {}

/// Memory that bytes are moved from. It may have to be faulted in.
pub(crate) trait MoveFrom: Source + FaultIn {}
impl<T: Source + FaultIn> MoveFrom for T {}

/// A call that reads or writes, in any form: read(2), splice(2), io_uring and others.
///
/// It is passed by value, so that it stays in registers, and what it is asked for is looked up only
/// where the straight path ends.
pub(crate) trait Call: Copy {
    /// The file that it is made through.
    fn file(&self) -> &OpenFile;
    /// Whether it must not sleep. This may change at any time, so it is called each time the call
    /// would sleep.
    fn nonblocking(&self) -> bool;
    /// Whether it must not send `SIGPIPE`.
    fn nosignal(&self) -> bool;
}

/// The result of one attempt to move bytes.
pub(super) enum Step {
    /// This many bytes were moved.
    Moved(usize),
    /// No bytes are queued, or there is not enough room.
    MustWait,
    /// This many bytes could be moved, but not all of their user memory is resident.
    NotResident(usize),
    /// Nothing was tried: the FIFO is not of the kind that this step is for. The straight path is
    /// for a byte stream whose producer waits.
    OtherKind,
    /// The call fails.
    Failed(Error),
}

/// Calls `copy`, and puts `memory` back to its first byte unless something was moved: the caller
/// may try again, or go on as another kind. Returns the step, or [`None`] to try again.
pub(super) fn attempt_step<T: FaultIn>(
    memory: &mut T,
    copy: impl FnOnce(&mut T) -> Result<Step, Option<Step>>,
) -> Option<Step> {
    let mut refused = None;
    let done = memory.attempt(|memory| copy(memory).map_err(|step| refused = step).ok());
    done.or(refused)
}

impl Fifo {
    /// As [`Fifo::read`], from a FIFO that is not a byte stream whose producer waits.
    pub(super) fn read_other(&self, to: &mut impl MoveTo, call: impl Call) -> Result<usize> {
        match self.read_other_kind(to, call, false) {
            Step::Moved(done) => {
                self.room_freed();
                Ok(done)
            }
            step => self.read_slow(to, step, call),
        }
    }

    /// As [`Fifo::write`] of `len` bytes, to such a FIFO.
    pub(super) fn write_other(
        &self,
        from: &mut impl MoveFrom,
        len: usize,
        call: impl Call,
    ) -> Result<usize> {
        match self.write_other_kind(from, call, &Ticket::NONE, false) {
            Step::Moved(done) if done == len => {
                self.bytes_arrived();
                self.after_direct_write();
                Ok(len)
            }
            // `write_slow()` tries again, and then knows what to wait for.
            Step::MustWait => self.write_slow(from, len, Step::OtherKind, call),
            step => self.write_slow(from, len, step, call),
        }
    }

    /// Reads from a FIFO that is not a byte stream whose producer waits.
    pub(super) fn read_other_kind(
        &self,
        to: &mut impl MoveTo,
        call: impl Call,
        slept: bool,
    ) -> Step {
        match self.overwrites() {
            true => self.read_overwriting(to, call, slept),
            false => self.read_record(to, call, slept),
        }
    }

    /// Writes to a FIFO that is not a byte stream whose producer waits. The write is `under_way` if
    /// it has moved something already.
    pub(super) fn write_other_kind(
        &self,
        from: &mut impl MoveFrom,
        call: impl Call,
        ticket: &Ticket,
        under_way: bool,
    ) -> Step {
        match self.overwrites() {
            true => {
                // It needs no turn, and a page fault may take any time.
                if !ticket.is_none() {
                    self.give_up_turn(ticket);
                    self.wake_next_writer();
                }
                self.write_overwriting(from, call, under_way)
            }
            false => self.write_record(from, call, ticket, under_way),
        }
    }
}
