// SPDX-License-Identifier: GPL-2.0
// Copyright (C) 2026 Seed 1f3ad1c2 maintainers.

//! The parties: how many readers and writers there are, and which files have met them.
//!
//! *Writers* are the open files with write access, and the generator while it is on. *Readers* are
//! the open files with read access. A file that is open for both counts as both. While a file holds
//! a claim, it counts only as what it has claimed. So a claim gives up the other side, and the end
//! of the claim takes it back.
//!
//! A file has *met* a writer if there was another writer when it was opened, or if another one has
//! *arrived* since. Opening a file is an arrival, and so is turning on the generator. Taking a side
//! back is not: the owner of a claim that exits takes its other side back just before its file is
//! closed, and others would meet a writer that never wrote. The same applies to readers.
//!
//! Both parties keep count of arrivals, and a file keeps one mark for each of them: the number of
//! arrivals at which it has met nobody. If the numbers differ, it has, whether or not that writer
//! or reader is still there:
//!
//! ```text
//!                          another one arrives
//!    mark == arrivals  ----------------------------->  mark != arrivals
//!      has met nobody                                    has met somebody
//!         ^   |                                             ^    |
//!         '---' a side is taken back                        '----' anything
//!
//!    open with nobody there: starts here       open with somebody there: starts here
//! ```
//!
//! The mark of a new file counts its own arrival, so that it does not meet itself.
//!
//! If a file has met no writer, it matters whether it has read a byte. That has to be noted by each
//! read of such a file, so the number of these files is kept. The arrival of a writer makes it
//! zero, or one if that writer is itself open for reading and has met nobody.
//!
//! # Invariants
//!
//! - `members` is the number of files, and generators, that are counted at that side.
//! - `arrivals` only grows. It has 64 bits and does not wrap around in practice.
//! - `unmet` is the number of files for which `is_unmet()` holds.
//!
//! # Context
//!
//! Any: plain data without locks, which is also tested as such. `hangup.rs` has the lock for it.

use super::end::Side;

/// One value for each of the two sides.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct PerSide<T> {
    /// The value for the producer's end: for writing.
    pub(crate) producer: T,
    /// The value for the consumer's end: for reading.
    pub(crate) consumer: T,
}

impl<T> PerSide<T> {
    /// The value for `side`.
    pub(crate) fn get(&self, side: Side) -> &T {
        match side {
            Side::Producer => &self.producer,
            Side::Consumer => &self.consumer,
        }
    }

    fn get_mut(&mut self, side: Side) -> &mut T {
        match side {
            Side::Producer => &mut self.producer,
            Side::Consumer => &mut self.consumer,
        }
    }
}

/// All writers, or all readers.
#[derive(Clone, Copy, Debug, Default)]
struct Party {
    members: u64,
    arrivals: u64,
}

impl Party {
    fn is_empty(&self) -> bool {
        self.members == 0
    }

    /// Returns whether the last one has left.
    fn leave(&mut self) -> bool {
        self.members -= 1;
        self.is_empty()
    }

    /// A file is opened, and arrives here if `arrives` is set. It is counted as a member later.
    /// Returns its mark.
    fn mark(&mut self, arrives: bool) -> u64 {
        self.arrivals = self.arrivals.wrapping_add(arrives.into());
        match self.is_empty() {
            true => self.arrivals,
            false => self.arrivals.wrapping_sub(1),
        }
    }
}

/// All writers and readers.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Parties {
    parties: PerSide<Party>,
    // The number of files for which `is_unmet()` holds.
    unmet: u64,
}

/// What a file counts as, and what it has met.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Standing {
    // How the file is open; not at all before it is opened and after it is closed.
    access: PerSide<bool>,
    claimed: PerSide<bool>,
    counted: PerSide<bool>,
    marks: PerSide<u64>,
    has_read: bool,
    // `tail` at the beginning of the last claim on the consumer's end.
    claimed_at: u64,
}

impl Standing {
    /// Whether the file has read a byte, or has consumed one by the claim that it holds. `tail` is
    /// the position of the consumer's end.
    pub(crate) fn has_read(&self, tail: u64) -> bool {
        self.has_read || (self.claimed.consumer && tail != self.claimed_at)
    }
}

impl Parties {
    /// Whether there are no writers (`side` is the producer's), or no readers.
    pub(crate) fn is_empty(&self, side: Side) -> bool {
        self.parties.get(side).is_empty()
    }

    /// Whether some file is open for reading, has met no writer, and has not read a byte.
    pub(crate) fn any_unmet(&self) -> bool {
        self.unmet > 0
    }

    /// Whether a file has met a writer (`side` is the producer's), or a reader. Bytes that it has
    /// read are another matter.
    pub(crate) fn has_met(&self, standing: &Standing, side: Side) -> bool {
        self.parties.get(side).arrivals != *standing.marks.get(side)
    }

    fn is_unmet(&self, standing: &Standing) -> bool {
        standing.access.consumer && !standing.has_read && !self.has_met(standing, Side::Producer)
    }

    /// Counts a file that is opened for what `access` says.
    pub(crate) fn open(&mut self, standing: &mut Standing, access: PerSide<bool>) {
        standing.marks = PerSide {
            producer: self.parties.producer.mark(access.producer),
            consumer: self.parties.consumer.mark(access.consumer),
        };
        self.count(standing, access);
        standing.access = access;
        if access.producer {
            // All others have met this one.
            self.unmet = 0;
        }
        self.unmet += u64::from(self.is_unmet(standing));
    }

    /// A file begins to hold the claim on the end `side`, which is at `position`. Returns at which
    /// sides it was the last one that has left.
    pub(crate) fn claim(
        &mut self,
        standing: &mut Standing,
        side: Side,
        position: u64,
    ) -> PerSide<bool> {
        *standing.claimed.get_mut(side) = true;
        if side == Side::Consumer {
            standing.claimed_at = position;
        }
        let claimed = standing.claimed;
        self.count(standing, claimed)
    }

    /// A file ceases to hold the claim on the end `side`, which is left at `position`. Returns at
    /// which sides it was the last one that has left.
    pub(crate) fn release(
        &mut self,
        standing: &mut Standing,
        side: Side,
        position: u64,
    ) -> PerSide<bool> {
        if side == Side::Consumer && standing.has_read(position) {
            self.read(standing);
        }
        *standing.claimed.get_mut(side) = false;
        let counted = match *standing.claimed.get(side.other()) {
            true => standing.claimed,
            false => standing.access,
        };
        self.count(standing, counted)
    }

    /// A byte is read through a file. Returns whether that is news: the file has met nobody before.
    pub(crate) fn read(&mut self, standing: &mut Standing) -> bool {
        let is_news = self.is_unmet(standing);
        self.unmet -= u64::from(is_news);
        standing.has_read = true;
        is_news
    }

    /// A file is closed. Returns at which sides it was the last one that has left.
    pub(crate) fn close(&mut self, standing: &mut Standing) -> PerSide<bool> {
        self.unmet -= u64::from(self.is_unmet(standing));
        standing.access = PerSide::default();
        self.count(standing, PerSide::default())
    }

    /// The generator is turned on, or off if `on` is false. The caller does neither twice. Returns
    /// at which sides it was the last one that has left.
    pub(crate) fn generator(&mut self, on: bool) -> PerSide<bool> {
        let mut last = PerSide::default();
        match on {
            true => {
                let party = &mut self.parties.producer;
                party.members += 1;
                party.arrivals = party.arrivals.wrapping_add(1);
                self.unmet = 0;
            }
            false => last.producer = self.parties.producer.leave(),
        }
        last
    }

    /// From now on a file counts as `counted` says. Nobody meets it by this. Returns at which sides
    /// it was the last one that has left.
    fn count(&mut self, standing: &mut Standing, counted: PerSide<bool>) -> PerSide<bool> {
        let mut last = PerSide::default();
        for side in Side::BOTH {
            let party = self.parties.get_mut(side);
            match (*standing.counted.get(side), *counted.get(side)) {
                (false, true) => party.members += 1,
                (true, false) => *last.get_mut(side) = party.leave(),
                _ => {}
            }
        }
        standing.counted = counted;
        last
    }
}
