// SPDX-License-Identifier: GPL-2.0 OR MIT
// Copyright (C) 2026 Seed 1f3ad1c2 maintainers.

//! Tells a child that was made by `fork` from its parent.
//!
//! The mappings of an end do not exist in the child, and their addresses may be in use there for
//! something else. So in the child an end is neither used nor dropped.

use std::io;
use std::sync::atomic::{AtomicUsize, Ordering::Relaxed};

static FORKS: AtomicUsize = AtomicUsize::new(0);

/// Counts from now on.
pub(crate) fn watch() -> io::Result<()> {
    extern "C" fn child() {
        FORKS.fetch_add(1, Relaxed);
    }
    // SAFETY: The handler touches only an atomic, which is all that it may do in a child.
    match unsafe { libc::pthread_atfork(None, None, Some(child)) } {
        0 => Ok(()),
        error => Err(io::Error::from_raw_os_error(error)),
    }
}

/// The process that made something.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) struct Process(usize);

impl Process {
    pub(crate) fn this() -> Self {
        Self(FORKS.load(Relaxed))
    }

    /// Whether this is that process.
    pub(crate) fn is_this(self) -> bool {
        self == Self::this()
    }
}
