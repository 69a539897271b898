// SPDX-License-Identifier: GPL-2.0 OR MIT
// Copyright (C) 2026 Seed 1f3ad1c2 maintainers.

//! Timeouts, and waiting without the interpreter.

use crate::error::{timed_out, to_py};
use pyo3::exceptions::PyValueError;
use pyo3::prelude::*;
use std::io::ErrorKind::Interrupted;
use std::time::{Duration, Instant};
use vfifo::Error;

/// How long to wait: `None` in Python for ever.
pub(crate) struct Timeout {
    until: Option<Instant>,
    is_zero: bool,
}

impl<'py> FromPyObject<'_, 'py> for Timeout {
    type Error = PyErr;

    fn extract(object: Borrowed<'_, 'py, PyAny>) -> PyResult<Self> {
        Self::new(object.extract()?)
    }
}

impl Timeout {
    /// For ever.
    pub(crate) const NONE: Self = Self {
        until: None,
        is_zero: false,
    };

    fn new(seconds: Option<f64>) -> PyResult<Self> {
        let Some(seconds) = seconds else {
            return Ok(Self::NONE);
        };
        if seconds < 0.0 || seconds.is_nan() {
            let message = "a timeout is a number of seconds, or None to wait for ever";
            return Err(PyValueError::new_err(message));
        }
        // A time that is too far away for the clock is never reached.
        let timeout = Duration::try_from_secs_f64(seconds).ok();
        Ok(Self {
            until: timeout.and_then(|timeout| Instant::now().checked_add(timeout)),
            is_zero: seconds == 0.0,
        })
    }

    /// Whether there is no time left.
    pub(crate) fn is_over(&self) -> bool {
        self.left() == Some(Duration::ZERO)
    }

    fn left(&self) -> Option<Duration> {
        match self.until {
            _ if self.is_zero => Some(Duration::ZERO),
            Some(until) => Some(until.saturating_duration_since(Instant::now())),
            None => None,
        }
    }

    /// Calls `wait` without the interpreter, so that other threads run. Signal handlers run as well,
    /// and if one raises an exception, such as `KeyboardInterrupt`, the wait is over.
    pub(crate) fn retry<T: Send>(
        &self,
        py: Python<'_>,
        mut wait: impl FnMut(Option<Duration>) -> vfifo::Result<T> + Send,
    ) -> PyResult<T> {
        loop {
            let left = self.left();
            match py.detach(|| wait(left)) {
                Err(Error::Io(error)) if error.kind() == Interrupted => py.check_signals()?,
                Err(Error::NotYet) if !self.is_zero => return Err(timed_out()),
                result => return result.map_err(to_py),
            }
        }
    }
}
