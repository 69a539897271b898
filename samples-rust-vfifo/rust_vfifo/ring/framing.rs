// SPDX-License-Identifier: GPL-2.0 OR MIT
// Copyright (C) 2026 Seed 1f3ad1c2 maintainers.

//! The two framings, and the operations on records at both ends.
//!
//! A producer reserves room for a record, stores the payload there, and commits the record. The
//! commit stores the header and publishes header and payload together. It may be shorter than the
//! reservation. Dropping a reservation gives it up: nothing was published, so there is nothing to
//! undo. For the same reason no part of a record is visible if its producer dies before the commit.
//!
//! A consumer reads records in place, and then releases one or more of them.
//!
//! These functions are for framing `record` only. For framing `stream` see [`Ring`] itself.
//!
//! # Context
//!
//! Any. As for [`Ring`], a [`Cursor`] belongs to one caller at a time. For `header` see
//! [`record`](super::record).

use super::{
    record::{
        largest,
        offset,
        size_in_ring,
        Header,
        Record,
        Records,
        ALIGN,
        HEADER_SIZE, //
    },
    Broken,
    Cursor,
    Memory,
    Ring, //
};

/// What the bytes in the ring are.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Framing {
    /// A stream of bytes.
    Stream,
    /// Records.
    Record,
}

impl Framing {
    /// Positions are multiples of this.
    #[inline]
    pub(crate) fn step(self) -> u64 {
        match self {
            Framing::Stream => 1,
            Framing::Record => ALIGN,
        }
    }

    /// Whether `position` can be a boundary.
    #[inline]
    pub(crate) fn is_aligned(self, position: u64) -> bool {
        position & (self.step() - 1) == 0
    }

    /// The first possible boundary from `position` on.
    #[inline]
    pub(crate) fn round_up(self, position: u64) -> u64 {
        let mask = self.step() - 1;
        position.wrapping_add(mask) & !mask
    }

    /// The last possible boundary up to `position`.
    #[inline]
    pub(crate) fn round_down(self, position: u64) -> u64 {
        position & !(self.step() - 1)
    }

    /// The number of free bytes from which on poll(2) reports that the FIFO is writable: enough for
    /// a write of `atomic` bytes, or for the smallest one if the producer's end is `claimed`.
    pub(crate) fn writable_room(self, capacity: u64, atomic: u32, claimed: bool) -> u64 {
        match self {
            Framing::Stream if claimed => 1,
            Framing::Stream => u64::from(atomic).min(capacity),
            Framing::Record if claimed => size_in_ring(1),
            Framing::Record => size_in_ring(atomic.min(largest(capacity))),
        }
    }
}

/// Why a record is not queued.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Refused {
    /// The other end's position is impossible, or the header of a record to overwrite is invalid.
    Broken,
    /// The length is zero, or too large for the ring or for the reservation.
    Length,
}

impl From<Broken> for Refused {
    fn from(_: Broken) -> Self {
        Refused::Broken
    }
}

/// Room for a record at the producer's position. Dropping this gives it up.
#[derive(Debug, PartialEq, Eq)]
#[must_use = "nothing is queued until the record is committed"]
pub(crate) struct Reservation {
    position: u64,
    len: u32,
}

impl Reservation {
    /// Room for `len` bytes at the position of `own`, which the caller has checked to be free.
    #[inline]
    pub(super) fn new(own: &Cursor, len: u32) -> Self {
        Self {
            position: own.position,
            len,
        }
    }

    /// The position of the payload.
    #[inline]
    pub(crate) fn payload(&self) -> u64 {
        self.position.wrapping_add(HEADER_SIZE)
    }

    /// The largest payload that can be committed.
    #[inline]
    pub(crate) fn len(&self) -> u32 {
        self.len
    }
}

/// The length as it is stored in a header, if such a record fits into `capacity` bytes.
///
/// # Errors
///
/// [`Refused::Length`].
#[inline]
pub(crate) fn record_len(len: u64, capacity: u64) -> Result<u32, Refused> {
    match u32::try_from(len) {
        Ok(len) if (1..=largest(capacity)).contains(&len) => Ok(len),
        _ => Err(Refused::Length),
    }
}

impl<M: Memory> Ring<M> {
    /// For the producer of records: reserves room for a payload of `len` bytes, or returns [`None`]
    /// if it does not fit now. Loads the consumer's position only if it knew of too little room.
    ///
    /// It fits when `size_in_ring(len)` bytes are free.
    ///
    /// # Errors
    ///
    /// [`Refused`].
    #[inline]
    pub(crate) fn reserve_record(
        &self,
        own: &mut Cursor,
        len: u64,
    ) -> Result<Option<Reservation>, Refused> {
        let len = record_len(len, own.capacity)?;
        let before = *own;
        let free = self.free(own, size_in_ring(len))?;
        if !Framing::Record.is_aligned(own.peer) {
            *own = before;
            return Err(Refused::Broken);
        }
        Ok((free >= size_in_ring(len)).then(|| Reservation::new(own, len)))
    }

    /// For the producer of records: publishes the record, with a payload of `len` bytes.
    /// `store` stores a header, as one `u64`, at an offset in the buffer.
    ///
    /// # Errors
    ///
    /// [`Refused::Length`] if `len` is zero or more than was reserved, or if anything was published
    /// since the reservation. The reservation is then given up.
    #[inline]
    pub(crate) fn commit_record(
        &self,
        own: &mut Cursor,
        reservation: Reservation,
        len: u32,
        store: impl FnOnce(usize, u64),
    ) -> Result<(), Refused> {
        let Reservation {
            position,
            len: reserved,
        } = reservation;
        if position != own.position || !(1..=reserved).contains(&len) {
            return Err(Refused::Length);
        }
        store(offset(position, own.capacity), Header::new(len).to_raw());
        self.produce(own, size_in_ring(len));
        Ok(())
    }

    /// For the consumer of records: the records that are queued from its position on. Loads the
    /// producer's position only if it knew of none.
    ///
    /// # Errors
    ///
    /// [`Broken`] if that position is impossible.
    #[inline]
    pub(crate) fn records(&self, own: &mut Cursor) -> Result<Records, Broken> {
        let before = *own;
        self.used(own, 1)?;
        if !Framing::Record.is_aligned(own.peer) {
            *own = before;
            return Err(Broken);
        }
        Ok(Records::new(own.position, own.peer, own.capacity))
    }

    /// For the consumer of records: the oldest one, or [`None`] if there is none.
    ///
    /// # Errors
    ///
    /// [`Broken`] if the producer's position is impossible or the header is invalid.
    #[inline]
    pub(crate) fn next_record(
        &self,
        own: &mut Cursor,
        header: impl Fn(usize) -> u64,
    ) -> Result<Option<Record>, Broken> {
        self.records(own)?.next(header)
    }

    /// For the consumer of records: releases `record` and all records before it.
    #[inline]
    pub(crate) fn release_record(&self, own: &mut Cursor, record: &Record) {
        let len = record.end().wrapping_sub(own.position);
        self.consume(own, len);
    }
}
