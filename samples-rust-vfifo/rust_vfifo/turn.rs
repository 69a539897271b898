// SPDX-License-Identifier: GPL-2.0
// Copyright (C) 2026 Seed 1f3ad1c2 maintainers.

//! The turn: what keeps writers from starving.
//!
//! A writer that needs much room at once could wait forever beside others that need little and take
//! each bit of room as soon as it is free. So one sleeping writer at a time has the turn. It notes
//! `head` when it takes the turn, and until it is served nobody else may move `head` further than
//! one capacity past that position. Once the others have used this up, room that the consumer frees
//! stays free until there is enough of it:
//!
//! ```text
//!      head when the turn             `until`: where the others stop
//!      was taken                      |
//!  ----+--------- capacity -----------+------------> positions
//!      '-- what others still write ---'--- for the writer that has the turn
//! ```
//!
//! # The way of a writer
//!
//! ```text
//!                 nobody sleeps yet
//!    no room --------------------------> has the turn ----------> nobody has it
//!       |                                  ^      |     served, interrupted, failed,
//!       | others sleep        woken while  |      |     or about to fault memory in
//!       v              nobody, or a newer  |      | an older one
//!    sleeps with the   one, has it         |      | takes it over
//!    others -------------------------------'      |
//!       ^                                         |
//!       '-----------------------------------------'
//! ```
//!
//! While writers sleep and nobody has the turn, they go on in their order as room is freed. When a
//! writer comes that has not slept, it reserves the turn, so that the limit holds from then on. The
//! first of the sleeping writers takes the turn when it is woken because there is room, unless it
//! does not need it any more.
//!
//! A writer keeps its place, its [`Ticket`], from when it first had to sleep until it has written
//! something. A writer with an older ticket takes the turn from one with a newer ticket, and the
//! limit stays where it was.
//!
//! Readers need no such rule. Any reader can go on with a single byte, so what others leave is
//! always enough.
//!
//! # Context
//!
//! Any; no function sleeps. [`Turn::take`] and [`Turn::reserve`] need the lock of the producer's
//! end, `writer`.

use kernel::sync::{
    atomic::{
        Acquire,
        Atomic,
        Full,
        Relaxed,
        Release, //
    },
    barrier, //
};

/// The place of a writer among those that sleep. Older tickets are smaller; zero is none.
pub(crate) struct Ticket(u64);

impl Ticket {
    /// The ticket of a writer that has not slept.
    pub(crate) const NONE: Self = Self(0);

    /// Whether the writer has not slept.
    pub(crate) fn is_none(&self) -> bool {
        self.0 == 0
    }
}

/// Stands for a ticket while the turn is reserved. Newer than any ticket.
const RESERVED: u64 = u64::MAX;

/// The turn of a FIFO's writers. See the [module](self).
pub(crate) struct Turn {
    // The ticket of the writer that has the turn, [`RESERVED`], or zero. Stored with `writer` held,
    // except when it is given up.
    holder: Atomic<u64>,
    // The position that others must not move `head` past, and the room that the holder needs, in
    // bytes. Both are stored before `holder`: the release stores of `holder` in `take()` and
    // `reserve()` pair with the acquire loads in all functions that read it.
    until: Atomic<u64>,
    needed: Atomic<u64>,
    // The newest ticket so far.
    newest: Atomic<u64>,
}

impl Turn {
    /// A turn that nobody has.
    pub(crate) fn new() -> Self {
        Self {
            holder: Atomic::new(0),
            until: Atomic::new(0),
            needed: Atomic::new(0),
            newest: Atomic::new(0),
        }
    }

    /// Whether a writer has the turn, or it is reserved.
    #[inline]
    pub(crate) fn is_taken(&self) -> bool {
        self.holder.load(Acquire) != 0
    }

    /// Whether the writer with this ticket has the turn.
    pub(crate) fn is_held_by(&self, ticket: &Ticket) -> bool {
        ticket.0 != 0 && self.holder.load(Acquire) == ticket.0
    }

    /// Whether the turn is reserved, or a writer has it that came later than the one with this
    /// ticket, which may take it over then.
    pub(crate) fn is_held_by_newer(&self, ticket: &Ticket) -> bool {
        ticket.0 != 0 && self.holder.load(Acquire) > ticket.0
    }

    /// Whether the turn is reserved.
    pub(crate) fn is_reserved(&self) -> bool {
        self.holder.load(Acquire) == RESERVED
    }

    /// The room that the writer needs which has the turn, in bytes.
    pub(crate) fn needed(&self) -> Option<u64> {
        match self.holder.load(Acquire) {
            0 | RESERVED => None,
            _ => Some(self.needed.load(Relaxed)),
        }
    }

    /// The number of `free` bytes from `head` on that writers without the turn may fill.
    pub(crate) fn left_for_others(&self, head: u64, free: u64) -> u64 {
        if !self.is_taken() {
            return free;
        }
        free.min(left(self.until.load(Relaxed), head))
    }

    /// Takes the turn for a writer that needs `needed` bytes, if it `is_first` among those that
    /// sleep and no older one has the turn. Gives it a ticket if it has none. Returns whether it
    /// has the turn now.
    ///
    /// The caller holds `writer`, and `head` is the position of the producer's end.
    pub(crate) fn take(
        &self,
        ticket: &mut Ticket,
        is_first: bool,
        head: u64,
        capacity: u64,
        needed: u64,
    ) -> bool {
        if ticket.is_none() {
            ticket.0 = self.newest.fetch_add(1, Relaxed).wrapping_add(1);
        }
        if !is_first {
            return false;
        }
        match self.holder.load(Relaxed) {
            0 => self.until.store(head.wrapping_add(capacity), Relaxed),
            holder if holder < ticket.0 => return false,
            _ => {}
        }
        self.needed.store(needed, Relaxed);
        self.holder.store(ticket.0, Release);
        true
    }

    /// Reserves the turn for the first of the sleeping writers, unless it is taken. Returns
    /// whether this call has reserved it. For the caller see [`Turn::take`].
    pub(crate) fn reserve(&self, head: u64, capacity: u64) -> bool {
        if self.is_taken() {
            return false;
        }
        self.until.store(head.wrapping_add(capacity), Relaxed);
        self.holder.store(RESERVED, Release);
        true
    }

    /// Gives up the turn if the writer with this ticket has it, or if it is reserved: perhaps for
    /// this writer, which has slept. The writer keeps its ticket. Returns where others had to stop,
    /// if something was given up.
    ///
    /// A full fence if so. It pairs with `Fence::Consumed` of a consumer that reads `holder` after
    /// it has freed room.
    pub(crate) fn give_up(&self, ticket: &Ticket) -> Option<Limit> {
        if ticket.is_none() {
            return None;
        }
        // Between leaving the queue and the load of `holder`, which is no fence if it fails. Pairs
        // with the look at the queue of a writer that has reserved the turn.
        barrier::smp_mb(barrier::Full);
        let until = self.until.load(Relaxed);
        [ticket.0, RESERVED]
            .into_iter()
            .any(|holder| self.holder.cmpxchg(holder, 0, Full).is_ok())
            .then_some(Limit(until))
    }

    /// Cancels a reservation, as there is no sleeping writer.
    pub(crate) fn unreserve(&self) {
        let _ = self.holder.cmpxchg(RESERVED, 0, Full);
    }
}

/// The position where others had to stop.
pub(crate) struct Limit(u64);

impl Limit {
    /// Whether this limit, rather than the number of `free` bytes from `head` on, kept others from
    /// writing up to `needed` bytes.
    pub(crate) fn held_back(&self, head: u64, free: u64, needed: u64) -> bool {
        left(self.0, head) < free.min(needed)
    }
}

/// The number of bytes from `head` to `until`. None if the holder of the turn has moved `head` past
/// `until`, before it gives up the turn.
fn left(until: u64, head: u64) -> u64 {
    let left = until.wrapping_sub(head);
    match left as i64 {
        ..0 => 0,
        _ => left,
    }
}
