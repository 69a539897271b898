// SPDX-License-Identifier: GPL-2.0
// Copyright (C) 2026 Seed 1f3ad1c2 maintainers.

//! Signals that are sent to a task.
//!
//! C header: [`include/linux/sched/signal.h`](srctree/include/linux/sched/signal.h)
//!
//! Reference: `signal(7)`

use crate::{
    bindings,
    error::to_result,
    prelude::*,
    task::Task, //
};

/// A signal.
///
/// # Invariants
///
/// This is the number of a signal: neither zero nor more than `_NSIG`.
///
/// # Examples
///
/// For a driver whose file is the writing end of something that has lost its readers:
///
/// ```
/// use kernel::task::signal::Signal;
///
/// fn no_reader() -> Result<usize> {
///     // Like a pipe, this also applies to a call that has written something before.
///     let _ = Signal::PIPE.send(current!());
///     Err(EPIPE)
/// }
/// # assert_eq!(no_reader(), Err(EPIPE));
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Signal(c_int);

impl Signal {
    /// `SIGPIPE`: there is no reader for what the task has written.
    // INVARIANT: This is the number of a signal.
    pub const PIPE: Self = Self(bindings::SIGPIPE as c_int);

    /// Sends the signal to a thread, without a check of permissions. The receiver sees `SI_USER`,
    /// and the current process as the sender.
    ///
    /// # Context
    ///
    /// Process context. Does not sleep.
    ///
    /// # Errors
    ///
    /// [`ESRCH`] if the task has exited.
    #[doc(alias = "send_sig")]
    pub fn send(self, task: &Task) -> Result {
        // SAFETY: By the type invariant, the task is valid, also after it has exited. The number is
        // that of a signal, by the type invariant.
        to_result(unsafe { bindings::send_sig(self.0, task.as_ptr(), 0) })
    }
}
