// SPDX-License-Identifier: GPL-2.0 OR MIT
// Copyright (C) 2026 Seed 1f3ad1c2 maintainers.

//! The consumer of records.

use crate::consumer::end_is_none;
use crate::end::{open, End};
use crate::error::{to_py, with_path, wrong_kind};
use crate::file::{raw, File};
use crate::held::Lends;
use crate::loan::Place;
use crate::port::{Port, Wait};
use crate::records::Records;
use crate::timeout::Timeout;
use pyo3::prelude::*;
use pyo3::types::PyBytes;
use std::os::fd::{AsRawFd, RawFd};
use std::sync::Arc;
use std::time::Duration;
use vfifo::{Error, Pollable, Result};

/// The consumer's end of a FIFO of records. While this is open, nobody else takes records out.
///
/// As an iterator, it returns copies of the records, until all writers have gone.
#[pyclass(module = "vfifo", extends = End, subclass, frozen)]
pub(crate) struct RecordConsumer {
    port: Arc<Port<vfifo::RecordConsumer>>,
}

impl Lends for vfifo::RecordConsumer {
    type Loan<'a> = vfifo::Records<'a>;
}

impl Wait for vfifo::RecordConsumer {
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

    fn wait(&mut self, _need: usize, timeout: Option<Duration>) -> Result<()> {
        self.wait(timeout)
    }
}

#[pymethods]
impl RecordConsumer {
    #[new]
    #[pyo3(signature = (file, /))]
    fn new(file: File) -> PyResult<PyClassInitializer<Self>> {
        let (fd, name) = open(file)?;
        let consumer = match vfifo::RecordConsumer::from_fd(fd) {
            Err(Error::Kind(kind)) => {
                return Err(wrong_kind(&kind, "vfifo.RecordConsumer", "Consumer", name))
            }
            result => result.map_err(|error| with_path(error, name))?,
        };
        let port = Arc::new(Port::new(consumer));
        let end = PyClassInitializer::from(End::new(port.clone()));
        Ok(end.add_subclass(Self { port }))
    }

    /// The number of bytes that are queued now, with headers and padding.
    fn queued(&self) -> PyResult<usize> {
        self.port.start()?.end().queued().map_err(to_py)
    }

    /// Wait until a record is queued.
    #[pyo3(signature = (timeout = Timeout::NONE), text_signature = "($self, timeout=None)")]
    fn wait(&self, py: Python<'_>, timeout: Timeout) -> PyResult<()> {
        self.port.wait(py, 1, &timeout)
    }

    /// The queued records, in place. Wait until there is one.
    ///
    /// They stay queued until they are released. One thing is peeked at at a time: this replaces
    /// what was returned before.
    #[pyo3(signature = (timeout = Timeout::NONE), text_signature = "($self, timeout=None)")]
    fn peek(&self, py: Python<'_>, timeout: Timeout) -> PyResult<Records> {
        let mut end = self.port.start()?;
        end.lend(py, 1, &timeout, |consumer| {
            consumer.peek().map(|records| (records, ()))
        })?;
        Ok(Records::new(self.port.clone(), end.turn))
    }

    /// Take the oldest record out, and wait until there is one.
    ///
    /// Raises NoWriters at the end: when all writers have gone.
    #[pyo3(signature = (timeout = Timeout::NONE), text_signature = "($self, timeout=None)")]
    fn receive<'py>(&self, py: Python<'py>, timeout: Timeout) -> PyResult<Bound<'py, PyBytes>> {
        self.port.start()?.once(py, 1, &timeout, |consumer| {
            let mut records = match consumer.peek() {
                Err(Error::NotYet) => return Ok(None),
                result => result.map_err(to_py)?,
            };
            let Some(record) = records.next_record().map_err(to_py)? else {
                return Ok(None);
            };
            // SAFETY: The record is queued.
            let bytes = unsafe { Place::of(record.as_raw()).to_bytes(py, usize::MAX) };
            records.release().map_err(to_py)?;
            Ok(Some(bytes))
        })
    }

    fn __iter__(slf: Bound<'_, Self>) -> Bound<'_, Self> {
        slf
    }

    fn __next__<'py>(&self, py: Python<'py>) -> PyResult<Option<Bound<'py, PyBytes>>> {
        end_is_none(py, self.receive(py, Timeout::NONE))
    }
}
