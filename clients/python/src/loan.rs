// SPDX-License-Identifier: GPL-2.0 OR MIT
// Copyright (C) 2026 Seed 1f3ad1c2 maintainers.

//! A place in the buffer that a Python object was lent.

use crate::views::Turn;
use pyo3::prelude::*;
use pyo3::types::PyBytes;

/// Bytes in the buffer.
///
/// # Invariants
///
/// They are what a reservation, or queued bytes, of the end in that turn consist of. So they are
/// mapped as long as the turn lasts.
pub(crate) struct Loan {
    pub(crate) turn: Turn,
    start: *mut u8,
    len: usize,
}

// SAFETY: It is no more than an address. Those who use the memory there hold the lock of the port or
// have a counted view.
unsafe impl Send for Loan {}

// SAFETY: As above.
unsafe impl Sync for Loan {}

impl Loan {
    /// # Safety
    ///
    /// `place` is the place of something that is lent in that turn.
    pub(crate) unsafe fn new(turn: Turn, place: Place) -> Self {
        // INVARIANT: By the safety requirements.
        Self {
            turn,
            start: place.0.cast(),
            len: place.0.len(),
        }
    }

    pub(crate) fn len(&self) -> usize {
        self.len
    }

    pub(crate) fn place(&self) -> Place {
        Place(std::ptr::slice_from_raw_parts_mut(self.start, self.len))
    }

    pub(crate) fn start(&self) -> *mut u8 {
        self.start
    }
}

/// An address and a length.
#[derive(Clone, Copy)]
pub(crate) struct Place(pub(crate) *mut [u8]);

// SAFETY: A pointer can be sent; using it is another matter.
unsafe impl Send for Place {}

impl Place {
    pub(crate) fn of(bytes: *const [u8]) -> Self {
        Self(bytes.cast_mut())
    }

    /// A copy, of at most `most` bytes.
    ///
    /// # Safety
    ///
    /// The bytes must be valid for reads. Others may change them.
    pub(crate) unsafe fn to_bytes(self, py: Python<'_>, most: usize) -> Bound<'_, PyBytes> {
        let len = self.0.len().min(most);
        // SAFETY: By the safety requirements. The interpreter copies, which is a call that the
        // compiler cannot look into.
        unsafe { PyBytes::from_ptr(py, self.0.cast(), len) }
    }
}
