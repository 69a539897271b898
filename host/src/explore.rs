// SPDX-License-Identifier: GPL-2.0

//! How models are run under loom, and the bugs that it finds in them.

use loom::model::Builder;
use std::panic::{catch_unwind, AssertUnwindSafe};

/// The bugs that loom can find.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Bug {
    /// A byte is accessed while another thread may write it.
    Race,
    /// All threads sleep.
    LostWakeUp,
    /// A consumer has accepted data that were overwritten while it copied them.
    Torn,
    /// A consumer takes a correct producer for a broken one.
    FalselyBroken,
    /// A consumer finds a ring empty that never was.
    FalselyEmpty,
}

/// How a model reports a bug that loom does not know of.
impl Bug {
    pub(crate) fn report(self) -> ! {
        panic!("bug: {self:?}")
    }
}

/// Explores all executions of `model`, or those with at most so many `preemptions`: points at which
/// a thread that could go on is interrupted. Returns the first bug.
pub(crate) fn explore(
    name: &str,
    preemptions: Option<usize>,
    model: impl Fn() + Send + Sync + 'static,
) -> Result<(), Bug> {
    let mut builder = Builder::new();
    builder.max_branches = 10_000;
    builder.preemption_bound = preemptions;
    let executions = std::sync::Arc::new(std::sync::atomic::AtomicUsize::new(0));
    let counted = {
        let executions = executions.clone();
        move || {
            executions.fetch_add(1, std::sync::atomic::Ordering::Relaxed);
            model();
        }
    };
    let result = catch_unwind(AssertUnwindSafe(|| builder.check(counted))).map_err(|panic| {
        let message = match panic.downcast::<String>() {
            Ok(message) => *message,
            Err(panic) => panic.downcast_ref().copied().unwrap_or("?").to_string(),
        };
        match message {
            message if message.starts_with("Causality violation: ") => Bug::Race,
            message if message.starts_with("deadlock; ") => Bug::LostWakeUp,
            message => *[Bug::Torn, Bug::FalselyBroken, Bug::FalselyEmpty]
                .iter()
                .find(|bug| message == format!("bug: {bug:?}"))
                .unwrap_or_else(|| panic!("{name}: {message}")),
        }
    });
    let bound = match preemptions {
        Some(bound) => format!("at most {bound} preemptions"),
        None => "all".to_string(),
    };
    println!("{name}: {executions:?} executions, {bound}: {result:?}");
    result
}

/// Each of these is needed: without it, loom finds a bug.
macro_rules! needed {
    ($($name:ident: $left_out:ident, $model:ident, $bound:expr => $bug:ident;)+) => {$(
        #[test]
        fn $name() {
            let result = explore(stringify!($name), $bound, $model::<$left_out>);
            assert_eq!(result, Err(Bug::$bug));
        }
    )+};
}

pub(crate) use needed;
