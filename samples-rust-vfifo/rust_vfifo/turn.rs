// SPDX-License-Identifier: GPL-2.0

//! Whose turn it is: no writer starves.
//!
//! A writer that needs much room at once would wait forever beside others that need little and take
//! each bit of room as it comes free. So one sleeping writer at a time has the turn. It noted
//! `head` when it took the turn, and until it is served nobody else may move `head` further than
//! one capacity past that. Once the others have used that up, what the consumer frees stays free
//! until it is enough:
//!
//! ```text
//!      head when the turn             `until`: where the others stop
//!      was taken                      |
//!  ----+--------- capacity -----------+------------> positions
//!      '-- what others still write ---'--- for the one whose turn it is
//! ```
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
//! While writers sleep and nobody has the turn, they go on in their order as room comes. When a
//! writer comes that has not slept, the turn is reserved, so that the limit holds from then on, and
//! the first of those who sleep is woken to take it.
//!
//! A writer keeps its place (its [`Ticket`]) from when it first had to sleep until it has written
//! something. One with an older ticket takes the turn from one with a newer ticket, and the limit
//! stays where it was.
//!
//! Readers need no such rule: any reader can go on with a single byte, so what others leave is
//! always enough.

use kernel::sync::atomic::{
    Acquire,
    Atomic,
    Full,
    Relaxed,
    Release, //
};

/// The place of a writer among those who sleep. The smaller the older; zero is none.
pub(crate) struct Ticket(u64);

impl Ticket {
    /// That of a writer which has not slept.
    pub(crate) const NONE: Self = Self(0);

    /// Whether it is that.
    pub(crate) fn is_none(&self) -> bool {
        self.0 == 0
    }
}

/// What stands for a ticket while the turn is reserved: newer than any.
const RESERVED: u64 = u64::MAX;

/// Whose turn it is, see the module.
pub(crate) struct Turn {
    // The ticket of who has it, [`RESERVED`], or zero. Stored with the writers' lock held, except
    // when it is given up.
    holder: Atomic<u64>,
    // The position that others must not move `head` past, and the room that the holder needs, in
    // bytes. Stored before `holder` (release), pairs with the acquire in `holder()`.
    until: Atomic<u64>,
    needed: Atomic<u64>,
    // The newest ticket.
    newest: Atomic<u64>,
}

impl Turn {
    /// Nobody's.
    pub(crate) fn new() -> Self {
        Self {
            holder: Atomic::new(0),
            until: Atomic::new(0),
            needed: Atomic::new(0),
            newest: Atomic::new(0),
        }
    }

    /// Whether someone has it.
    #[inline]
    pub(crate) fn is_taken(&self) -> bool {
        self.holder.load(Acquire) != 0
    }

    /// Whether the writer with this ticket has it.
    pub(crate) fn is_of(&self, ticket: &Ticket) -> bool {
        ticket.0 != 0 && self.holder.load(Acquire) == ticket.0
    }

    /// Whether someone has it who came later than the writer with this ticket, which may take it
    /// over.
    pub(crate) fn is_of_a_newer(&self, ticket: &Ticket) -> bool {
        ticket.0 != 0 && self.holder.load(Acquire) > ticket.0
    }

    /// The room that the one who has it needs, in bytes.
    pub(crate) fn needed(&self) -> Option<u64> {
        match self.holder.load(Acquire) {
            0 | RESERVED => None,
            _ => Some(self.needed.load(Relaxed)),
        }
    }

    /// How many of `free` bytes from `head` on others than the one whose turn it is may fill.
    pub(crate) fn left_for_others(&self, head: u64, free: u64) -> u64 {
        if !self.is_taken() {
            return free;
        }
        free.min(left(self.until.load(Relaxed), head))
    }

    /// Takes the turn for a writer that needs `needed` bytes, if it `is_first` of those who sleep
    /// and no older one has it. Returns whether it has it now, and gives it a ticket if it has
    /// none. To be called with the writers' lock held, while `head` is where the stream ends.
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

    /// Reserves the turn for a writer that is about to be woken, unless somebody has it. Returns
    /// whether it is reserved by this call. To be called as [`Turn::take`].
    pub(crate) fn reserve(&self, head: u64, capacity: u64) -> bool {
        if self.is_taken() {
            return false;
        }
        self.until.store(head.wrapping_add(capacity), Relaxed);
        self.holder.store(RESERVED, Release);
        true
    }

    /// Gives the turn up, if the writer with this ticket has it, or it is reserved: maybe for this
    /// writer, which has slept. It keeps its place. Returns where the others had to stop, if it
    /// gave something up. A full fence.
    pub(crate) fn give_up(&self, ticket: &Ticket) -> Option<Limit> {
        if ticket.is_none() {
            return None;
        }
        let until = self.until.load(Relaxed);
        [ticket.0, RESERVED]
            .into_iter()
            .any(|holder| self.holder.cmpxchg(holder, 0, Full).is_ok())
            .then_some(Limit(until))
    }

    /// Takes a reservation back that nobody was woken for.
    pub(crate) fn unreserve(&self) {
        let _ = self.holder.cmpxchg(RESERVED, 0, Full);
    }
}

/// Where others had to stop.
pub(crate) struct Limit(u64);

impl Limit {
    /// Whether it was this, and not what was `free` from `head` on, that kept others from writing
    /// up to `needed` bytes.
    pub(crate) fn held_back(&self, head: u64, free: u64, needed: u64) -> bool {
        left(self.0, head) < free.min(needed)
    }
}

/// The number of bytes from `head` to `until`. Its holder moves `head` past that before it gives
/// the turn up.
fn left(until: u64, head: u64) -> u64 {
    let left = until.wrapping_sub(head);
    match left as i64 {
        ..0 => 0,
        _ => left,
    }
}
