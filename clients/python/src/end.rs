// SPDX-License-Identifier: GPL-2.0 OR MIT
// Copyright (C) 2026 Seed 1f3ad1c2 maintainers.

//! What all ends have in common, as a base class.

use crate::file::File;
use crate::port::{Port, Wait};
use pyo3::prelude::*;
use std::ffi::OsString;
use std::os::fd::{OwnedFd, RawFd};
use std::sync::Arc;

/// One end of a FIFO, which this process has mapped.
#[pyclass(module = "vfifo", subclass, frozen)]
pub(crate) struct End {
    port: Arc<dyn Shared>,
}

/// A port of any kind.
pub(crate) trait Shared: Send + Sync {
    fn capacity(&self) -> usize;
    fn is_closed(&self) -> bool;
    fn fd(&self) -> PyResult<RawFd>;
    fn news(&self) -> PyResult<RawFd>;
    fn ask(&self, need: usize) -> PyResult<bool>;
    fn close(&self) -> PyResult<()>;
    fn close_later(&self) -> PyResult<()>;
}

impl<E: Wait> Shared for Port<E> {
    fn capacity(&self) -> usize {
        self.capacity
    }

    fn is_closed(&self) -> bool {
        self.views.is_closed()
    }

    fn fd(&self) -> PyResult<RawFd> {
        self.fd()
    }

    fn news(&self) -> PyResult<RawFd> {
        self.news()
    }

    fn ask(&self, need: usize) -> PyResult<bool> {
        self.ask(need)
    }

    fn close(&self) -> PyResult<()> {
        self.close()
    }

    fn close_later(&self) -> PyResult<()> {
        self.close_later()
    }
}

impl End {
    pub(crate) fn new(port: Arc<dyn Shared>) -> Self {
        Self { port }
    }
}

/// Opens a file for an end. Returns its name as well, for messages.
pub(crate) fn open(file: File) -> PyResult<(OwnedFd, Option<OsString>)> {
    file.open(libc::O_RDWR)
}

#[pymethods]
impl End {
    /// The capacity of the buffer in bytes.
    #[getter]
    fn capacity(&self) -> usize {
        self.port.capacity()
    }

    /// Whether the end was closed.
    #[getter]
    fn closed(&self) -> bool {
        self.port.is_closed()
    }

    /// The descriptor of the device, for poll and epoll.
    fn fileno(&self) -> PyResult<RawFd> {
        self.port.fd()
    }

    /// Give the end back, for other programs.
    ///
    /// Raises BufferError if there are views of the buffer.
    fn close(&self) -> PyResult<()> {
        self.port.close()
    }

    fn __enter__(slf: Bound<'_, Self>) -> PyResult<Bound<'_, Self>> {
        slf.get().port.fd()?;
        Ok(slf)
    }

    /// As close(). After an exception, which may keep views alive, the end is given back when the
    /// last one has gone.
    #[pyo3(signature = (exc_type, exc_value, traceback, /))]
    fn __exit__(
        &self,
        exc_type: Option<&Bound<'_, PyAny>>,
        exc_value: Option<&Bound<'_, PyAny>>,
        traceback: Option<&Bound<'_, PyAny>>,
    ) -> PyResult<()> {
        let _ = (exc_value, traceback);
        match exc_type {
            None => self.port.close(),
            Some(_) => self.port.close_later(),
        }
    }

    fn __repr__(slf: &Bound<'_, Self>) -> PyResult<String> {
        let class = slf.get_type().fully_qualified_name()?;
        let port = &slf.get().port;
        Ok(match port.fd() {
            Ok(fd) => format!("<{class} fd={fd} capacity={}>", port.capacity()),
            Err(_) => format!("<{class} closed>"),
        })
    }

    /// For vfifo.aio: the descriptor that becomes readable when something has happened.
    fn _news(&self) -> PyResult<RawFd> {
        self.port.news()
    }

    /// For vfifo.aio: whether there are so many bytes. If not, news of more will come.
    fn _ask(&self, need: usize) -> PyResult<bool> {
        self.port.ask(need)
    }
}
