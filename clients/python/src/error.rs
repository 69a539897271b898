// SPDX-License-Identifier: GPL-2.0 OR MIT
// Copyright (C) 2026 Seed 1f3ad1c2 maintainers.

//! The crate's errors as exceptions, which `vfifo/_errors.py` defines.

use crate::views::Refused;
use pyo3::exceptions::{PyBufferError, PyOSError, PyRuntimeError, PyValueError};
use pyo3::prelude::*;
use pyo3::sync::PyOnceLock;
use pyo3::types::PyType;
use std::ffi::OsString;
use vfifo::{Error, Gone};

static CLASSES: PyOnceLock<Py<PyModule>> = PyOnceLock::new();

fn raise(name: &str, errno: i32, message: String, path: Option<OsString>) -> PyErr {
    let result = Python::attach(|py| -> PyResult<PyErr> {
        let module = CLASSES.get_or_try_init(py, || {
            py.import("vfifo._errors").map(|module| module.unbind())
        })?;
        let class = module.bind(py).getattr(name)?.cast_into::<PyType>()?;
        Ok(match path {
            Some(path) => PyErr::from_type(class, (errno, message, path)),
            None => PyErr::from_type(class, (errno, message)),
        })
    });
    result.unwrap_or_else(|error| error)
}

/// The class for an error, or `None` for one of a system call.
fn class(error: &Error) -> Option<&'static str> {
    Some(match error {
        Error::NotYet => "NotYet",
        Error::Ended(Gone::Writers) => "NoWriters",
        Error::Ended(Gone::Readers) => "NoReaders",
        Error::Overtaken => "Overtaken",
        Error::Broken => "Broken",
        Error::Length => "RecordLength",
        Error::Range => "OutOfRange",
        Error::Claimed => "Claimed",
        Error::NotVfifo => "NotVfifo",
        Error::Kind(_) => "WrongKind",
        Error::Io(_) => return None,
        // The crate may have more in later versions.
        _ => "Error",
    })
}

pub(crate) fn to_py(error: Error) -> PyErr {
    with_path(error, None)
}

/// As [`to_py`], for an error of opening that file.
pub(crate) fn with_path(error: Error, path: Option<OsString>) -> PyErr {
    let Some(name) = class(&error) else {
        let error = std::io::Error::from(error);
        return match (error.raw_os_error(), path) {
            // The class is chosen by the number, such as `PermissionError`.
            (Some(errno), path) => {
                let message = strerror(errno);
                PyOSError::new_err((errno, message, path))
            }
            (None, _) => error.into(),
        };
    };
    raise(name, error.errno().unwrap_or(0), error.to_string(), path)
}

/// Without the number, which an `OSError` shows by itself.
fn strerror(errno: i32) -> String {
    let message = std::io::Error::from_raw_os_error(errno).to_string();
    let end = message.find(" (os error").unwrap_or(message.len());
    message[..end].to_owned()
}

/// A FIFO is of another kind, with the name of the Python class to use.
pub(crate) fn wrong_kind(
    found: &vfifo::WrongKind,
    wanted: &str,
    end: &str,
    path: Option<OsString>,
) -> PyErr {
    let (framing, record) = match found.has_records() {
        true => ("record", "Record"),
        false => ("stream", ""),
    };
    let (overwrite, module) = match found.overwrites() {
        true => (1, "vfifo.overwriting"),
        false => (0, "vfifo"),
    };
    let message = format!(
        "the framing of this FIFO is \"{framing}\" and its overwrite is {overwrite}: \
         use {module}.{record}{end}, not {wanted}"
    );
    raise("WrongKind", libc::EOPNOTSUPP, message, path)
}

pub(crate) fn timed_out() -> PyErr {
    let message = "nothing was queued, or there was no room, in this time".to_owned();
    raise("TimedOut", libc::EAGAIN, message, None)
}

pub(crate) fn refused(refused: Refused) -> PyErr {
    match refused {
        Refused::Viewed => PyBufferError::new_err(
            "there are views of the buffer (memoryview, numpy.ndarray or others): release or delete them first",
        ),
        Refused::Closed => PyValueError::new_err("this end of the FIFO was closed"),
        Refused::Over => PyValueError::new_err(
            "this was committed, released or given up, or something else was done with the end of the FIFO",
        ),
    }
}

pub(crate) fn busy() -> PyErr {
    PyRuntimeError::new_err("another thread waits at this end of the FIFO")
}

pub(crate) fn broken_by_fork() -> PyErr {
    PyRuntimeError::new_err(
        "this end of the FIFO belongs to the process that has opened it, not to its children",
    )
}
