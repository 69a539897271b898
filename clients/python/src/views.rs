// SPDX-License-Identifier: GPL-2.0 OR MIT
// Copyright (C) 2026 Seed 1f3ad1c2 maintainers.

//! Counts the views (`Py_buffer`s) of what an end has lent out: a reservation, or queued bytes.
//!
//! As long as there is one, the bytes stay what they are: nothing is committed or released, nothing
//! else is lent, and the memory stays mapped. This is what `bytearray` and `mmap` do with their
//! exports.

use std::sync::{Mutex, MutexGuard, PoisonError};

/// What an end lends, one after the other.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Turn(u64);

/// Why something cannot be done with an end, or with what it has lent.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Refused {
    /// There are views.
    Viewed,
    /// The end was closed.
    Closed,
    /// It was lent in an earlier turn.
    Over,
}

#[derive(Default)]
pub(crate) struct Views(Mutex<Count>);

#[derive(Default)]
struct Count {
    turn: u64,
    views: usize,
    closed: bool,
}

impl Views {
    fn lock(&self) -> MutexGuard<'_, Count> {
        // Nothing below can panic halfway.
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Starts a turn. What was lent before is over.
    pub(crate) fn next(&self) -> Result<Turn, Refused> {
        self.lock().next()
    }

    /// Ends this turn.
    pub(crate) fn end(&self, turn: Turn) -> Result<(), Refused> {
        let mut count = self.lock();
        count.check(turn)?;
        count.next().map(drop)
    }

    /// Whether this is the present turn.
    pub(crate) fn check(&self, turn: Turn) -> Result<(), Refused> {
        self.lock().check(turn)
    }

    /// One view more, of what was lent in that turn.
    pub(crate) fn add(&self, turn: Turn) -> Result<(), Refused> {
        let mut count = self.lock();
        count.check(turn)?;
        count.views += 1;
        Ok(())
    }

    /// One view less. Returns whether it was the last one of an end that was closed.
    #[must_use]
    pub(crate) fn remove(&self) -> bool {
        let mut count = self.lock();
        count.views -= 1;
        count.closed && count.views == 0
    }

    /// Closes the end, if there are no views. Also if it is closed already.
    pub(crate) fn close(&self) -> Result<(), Refused> {
        let mut count = self.lock();
        if count.views > 0 {
            return Err(Refused::Viewed);
        }
        count.closed = true;
        Ok(())
    }

    /// Closes the end, for those who come later. Returns whether there are no views.
    pub(crate) fn close_later(&self) -> bool {
        let mut count = self.lock();
        count.closed = true;
        count.views == 0
    }

    pub(crate) fn is_closed(&self) -> bool {
        self.lock().closed
    }
}

impl Count {
    fn next(&mut self) -> Result<Turn, Refused> {
        match *self {
            Count { closed: true, .. } => Err(Refused::Closed),
            Count { views: 1.., .. } => Err(Refused::Viewed),
            _ => {
                self.turn += 1;
                Ok(Turn(self.turn))
            }
        }
    }

    fn check(&self, turn: Turn) -> Result<(), Refused> {
        match self.turn == turn.0 {
            _ if self.closed => Err(Refused::Closed),
            true => Ok(()),
            false => Err(Refused::Over),
        }
    }
}
