// SPDX-License-Identifier: GPL-2.0 OR MIT
// Copyright (C) 2026 Seed 1f3ad1c2 maintainers.

//! The consumer of a stream of bytes.

use crate::end::{open, End};
use crate::error::{to_py, with_path, wrong_kind};
use crate::file::{raw, File};
use crate::held::Lends;
use crate::loan::{Loan, Place};
use crate::memory::Memory;
use crate::peeked::Peeked;
use crate::port::{Port, Wait};
use crate::timeout::Timeout;
use pyo3::prelude::*;
use pyo3::types::PyBytes;
use std::os::fd::{AsRawFd, RawFd};
use std::sync::Arc;
use std::time::Duration;
use vfifo::{Error, Pollable, Result};

/// The consumer's end of a FIFO of bytes. While this is open, nobody else takes bytes out.
///
/// As an iterator, it returns copies of what is queued, until all writers have gone.
#[pyclass(module = "vfifo", extends = End, subclass, frozen)]
pub(crate) struct Consumer {
    port: Arc<Port<vfifo::Consumer>>,
}

impl Lends for vfifo::Consumer {
    type Loan<'a> = vfifo::Bytes<'a>;
}

impl Wait for vfifo::Consumer {
    fn capacity(&self) -> usize {
        self.capacity()
    }

    fn fd(&self) -> RawFd {
        raw(self)
    }

    fn news(&self) -> RawFd {
        Pollable::news(self).as_raw_fd()
    }

    fn ask(&mut self, need: usize) -> Result<()> {
        Pollable::ask(self, need)
    }

    fn wait(&mut self, need: usize, timeout: Option<Duration>) -> Result<()> {
        self.wait(need, timeout)
    }
}

impl Consumer {
    /// Copies at most `most` bytes by `copy`, and takes them out. Returns what `copy` does, or `None`
    /// at the end.
    fn take<T>(
        &self,
        py: Python<'_>,
        timeout: &Timeout,
        most: usize,
        mut copy: impl FnMut(Place) -> PyResult<T>,
    ) -> PyResult<Option<T>> {
        let result = self.port.start()?.once(py, 1, timeout, |consumer| {
            let bytes = match all(consumer) {
                Err(Error::NotYet) => return Ok(None),
                result => result.map_err(to_py)?,
            };
            let result = copy(Place::of(bytes.as_raw()))?;
            let len = bytes.len().min(most);
            bytes.release(len).map_err(to_py)?;
            Ok(Some(result))
        });
        end_is_none(py, result)
    }
}

/// All that is queued, not only what the consumer knows of.
fn all(consumer: &mut vfifo::Consumer) -> Result<vfifo::Bytes<'_>> {
    consumer.queued()?;
    consumer.peek()
}

/// The end of a stream, as `None`.
pub(crate) fn end_is_none<T>(py: Python<'_>, result: PyResult<T>) -> PyResult<Option<T>> {
    match result {
        Ok(result) => Ok(Some(result)),
        Err(error) if error.is_instance_of::<pyo3::exceptions::PyEOFError>(py) => Ok(None),
        Err(error) => Err(error),
    }
}

#[pymethods]
impl Consumer {
    #[new]
    #[pyo3(signature = (file, /))]
    fn new(file: File) -> PyResult<PyClassInitializer<Self>> {
        let (fd, name) = open(file)?;
        let consumer = match vfifo::Consumer::from_fd(fd) {
            Err(Error::Kind(kind)) => {
                return Err(wrong_kind(&kind, "vfifo.Consumer", "Consumer", name))
            }
            result => result.map_err(|error| with_path(error, name))?,
        };
        let port = Arc::new(Port::new(consumer));
        let end = PyClassInitializer::from(End::new(port.clone()));
        Ok(end.add_subclass(Self { port }))
    }

    /// The number of bytes that are queued now.
    fn queued(&self) -> PyResult<usize> {
        self.port.start()?.end().queued().map_err(to_py)
    }

    /// Wait until `size` bytes are queued.
    #[pyo3(signature = (size = 1, timeout = Timeout::NONE), text_signature = "($self, size=1, timeout=None)")]
    fn wait(&self, py: Python<'_>, size: usize, timeout: Timeout) -> PyResult<()> {
        self.port.wait(py, size, &timeout)
    }

    /// All queued bytes, in place. Wait until there are `size`, at least one.
    ///
    /// They stay queued until they are released. One thing is peeked at at a time: this replaces
    /// what was returned before.
    #[pyo3(signature = (size = 1, timeout = Timeout::NONE), text_signature = "($self, size=1, timeout=None)")]
    fn peek(&self, py: Python<'_>, size: usize, timeout: Timeout) -> PyResult<Peeked> {
        let size = size.max(1);
        let mut end = self.port.start()?;
        let place = end.lend(py, size, &timeout, |consumer| {
            let bytes = all(consumer)?;
            if bytes.len() < size {
                return Err(Error::NotYet);
            }
            let place = Place::of(bytes.as_raw());
            Ok((bytes, place))
        })?;
        // SAFETY: It is that of the bytes.
        let loan = unsafe { Loan::new(end.turn, place) };
        Ok(Peeked::new(self.port.clone(), loan))
    }

    /// Take at most `size` bytes out, or all that are queued, and wait until there is one.
    ///
    /// Returns b"" at the end: when all writers have gone.
    #[pyo3(signature = (size = -1, timeout = Timeout::NONE), text_signature = "($self, size=-1, timeout=None)")]
    fn read<'py>(
        &self,
        py: Python<'py>,
        size: isize,
        timeout: Timeout,
    ) -> PyResult<Bound<'py, PyBytes>> {
        if size == 0 {
            self.port.fd()?;
            return Ok(PyBytes::new(py, b""));
        }
        let most = usize::try_from(size).unwrap_or(usize::MAX);
        // SAFETY: The bytes are queued.
        let copy = |place: Place| Ok(unsafe { place.to_bytes(py, most) });
        let bytes = self.take(py, &timeout, most, copy)?;
        Ok(bytes.unwrap_or_else(|| PyBytes::new(py, b"")))
    }

    /// Take bytes out, to `buffer`, and wait until there is one. Returns their number.
    ///
    /// Returns 0 at the end: when all writers have gone.
    #[pyo3(signature = (buffer, timeout = Timeout::NONE), text_signature = "($self, buffer, timeout=None)")]
    fn readinto(
        &self,
        py: Python<'_>,
        buffer: &Bound<'_, PyAny>,
        timeout: Timeout,
    ) -> PyResult<usize> {
        let buffer = Memory::target(buffer)?;
        let most = buffer.len();
        if most == 0 {
            return Ok(0);
        }
        let len = self.take(py, &timeout, most, |place| {
            let len = place.0.len().min(most);
            // SAFETY: The bytes are queued.
            unsafe { buffer.copy_from(place.0.cast(), len) }?;
            Ok(len)
        })?;
        Ok(len.unwrap_or(0))
    }

    fn __iter__(slf: Bound<'_, Self>) -> Bound<'_, Self> {
        slf
    }

    fn __next__<'py>(&self, py: Python<'py>) -> PyResult<Option<Bound<'py, PyBytes>>> {
        // SAFETY: The bytes are queued.
        let copy = |place: Place| Ok(unsafe { place.to_bytes(py, usize::MAX) });
        self.take(py, &Timeout::NONE, usize::MAX, copy)
    }
}
