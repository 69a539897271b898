// SPDX-License-Identifier: GPL-2.0 OR MIT
// Copyright (C) 2026 Seed 1f3ad1c2 maintainers.

//! An end together with what borrows it.
//!
//! In Rust, a reservation borrows its producer, and the compiler sees to it that nothing else is
//! done with the producer meanwhile. Python objects cannot borrow, so this keeps the two together
//! and does what the compiler would.

use crate::fork::Process;
use std::mem::forget;
use std::ptr::NonNull;

/// An end that can lend something.
pub(crate) trait Lends: Send + 'static {
    /// What borrows it.
    type Loan<'a>: Send;
}

/// # Invariants
///
/// `end` comes from a `Box`. While `loan` is there, it is what borrows the end, and nothing else
/// accesses the end.
pub(crate) struct Held<E: Lends> {
    loan: Option<E::Loan<'static>>,
    end: NonNull<E>,
    process: Process,
}

// SAFETY: It owns the end and the loan, which can both be sent.
unsafe impl<E: Lends> Send for Held<E> {}

impl<E: Lends> Held<E> {
    pub(crate) fn new(end: E) -> Self {
        // INVARIANT: Nothing borrows it yet.
        Self {
            loan: None,
            end: NonNull::from(Box::leak(Box::new(end))),
            process: Process::this(),
        }
    }

    /// The end. What has borrowed it is dropped.
    pub(crate) fn end(&mut self) -> &mut E {
        self.loan = None;
        // SAFETY: By the type invariants, nothing else accesses the end. The result borrows `self`,
        // so nothing is lent while it exists.
        unsafe { self.end.as_mut() }
    }

    /// Lets `borrow` borrow something from the end, and keeps it.
    ///
    /// `borrow` works for any lifetime, so it cannot put what it borrows anywhere else.
    pub(crate) fn lend<T, X>(
        &mut self,
        borrow: impl for<'a> FnOnce(&'a mut E) -> Result<(E::Loan<'a>, T), X>,
    ) -> Result<T, X> {
        self.loan = None;
        // SAFETY: By the type invariants, nothing else accesses the end. The lifetime is longer than
        // that of the end, but what borrows it is dropped before the end is, and before the end is
        // accessed again: here, in `end`, `take` and `drop`.
        let end: &'static mut E = unsafe { self.end.as_mut() };
        let (loan, extra) = borrow(end)?;
        // INVARIANT: This is the only thing that borrows it.
        self.loan = Some(loan);
        Ok(extra)
    }

    /// Lets `f` use what is lent, if there is something. As above, it cannot keep it.
    pub(crate) fn with<T>(&mut self, f: impl for<'a> FnOnce(&mut E::Loan<'a>) -> T) -> Option<T> {
        self.loan.as_mut().map(f)
    }

    /// Lets `f` use up what is lent, if there is something.
    pub(crate) fn take<T>(&mut self, f: impl for<'a> FnOnce(E::Loan<'a>) -> T) -> Option<T> {
        self.loan.take().map(f)
    }
}

impl<E: Lends> Drop for Held<E> {
    fn drop(&mut self) {
        if !self.process.is_this() {
            // See `fork.rs`. The copies of its descriptors stay open in the child.
            forget(self.loan.take());
            return;
        }
        self.loan = None;
        // SAFETY: By the type invariants it comes from a `Box`, and nothing borrows it any more.
        drop(unsafe { Box::from_raw(self.end.as_ptr()) });
    }
}
