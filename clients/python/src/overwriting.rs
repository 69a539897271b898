// SPDX-License-Identifier: GPL-2.0 OR MIT
// Copyright (C) 2026 Seed 1f3ad1c2 maintainers.

//! Consumers whose producer overwrites the oldest bytes or records. They copy.

use crate::consumer::end_is_none;
use crate::end::{open, End};
use crate::error::{to_py, with_path, wrong_kind};
use crate::file::{raw, File};
use crate::held::Lends;
use crate::port::{Port, Use, Wait};
use crate::timeout::Timeout;
use pyo3::prelude::*;
use pyo3::sync::PyOnceLock;
use pyo3::types::{PyBytes, PyType};
use std::os::fd::{AsRawFd, RawFd};
use std::sync::Arc;
use std::time::Duration;
use vfifo::overwriting::{self, Copied};
use vfifo::{Error, Pollable, Result};

/// A `vfifo.overwriting.Copied`.
fn copied<'py>(py: Python<'py>, bytes: &[u8], copied: Copied) -> PyResult<Bound<'py, PyAny>> {
    static CLASS: PyOnceLock<Py<PyType>> = PyOnceLock::new();
    let class = CLASS.import(py, "vfifo.overwriting", "Copied")?;
    let data = PyBytes::new(py, &bytes[..copied.len]);
    class.call1((data, copied.lost))
}

/// Calls `read` until it has copied something. If the timeout is not zero, that is also if it is
/// overtaken.
fn read<'py, E: Wait>(
    py: Python<'py>,
    mut end: Use<'_, E>,
    timeout: &Timeout,
    bytes: &mut Vec<u8>,
    mut read: impl FnMut(&mut E, &mut Vec<u8>) -> Result<Copied>,
) -> PyResult<Bound<'py, PyAny>> {
    let result = end.once(py, 1, timeout, |end| loop {
        match read(end, bytes) {
            Err(Error::NotYet) => return Ok(None),
            Err(Error::Overtaken) if !timeout.is_over() => {
                py.detach(std::thread::yield_now);
                py.check_signals()?;
            }
            result => return result.map(Some).map_err(to_py),
        }
    })?;
    copied(py, bytes, result)
}

macro_rules! consumer {
    ($(#[$doc:meta])* $class:ident = $name:literal { $($methods:tt)* }) => {
        $(#[$doc])*
        #[pyclass(module = "vfifo.overwriting", extends = End, subclass, frozen)]
        pub(crate) struct $class {
            port: Arc<Port<overwriting::$class>>,
        }

        /// It copies, and lends nothing.
        impl Lends for overwriting::$class {
            type Loan<'a> = ();
        }

        impl Wait for overwriting::$class {
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
                wait(self, need, timeout)
            }
        }

        #[pymethods]
        impl $class {
            #[new]
            #[pyo3(signature = (file, /))]
            fn new(file: File) -> PyResult<PyClassInitializer<Self>> {
                let (fd, name) = open(file)?;
                let consumer = match overwriting::$class::from_fd(fd) {
                    Err(Error::Kind(kind)) => {
                        return Err(wrong_kind(&kind, $name, "Consumer", name))
                    }
                    result => result.map_err(|error| with_path(error, name))?,
                };
                let port = Arc::new(Port::new(consumer));
                let end = PyClassInitializer::from(End::new(port.clone()));
                Ok(end.add_subclass(Self { port }))
            }

            /// The number of bytes that are queued now, with headers and padding of records.
            fn queued(&self) -> PyResult<usize> {
                self.port.start()?.end().queued().map_err(to_py)
            }

            fn __iter__(slf: Bound<'_, Self>) -> Bound<'_, Self> {
                slf
            }

            $($methods)*
        }
    };
}

/// Both of the crate's types, which wait for different things.
trait WaitFor {
    fn wait_for(&mut self, need: usize, timeout: Option<Duration>) -> Result<()>;
}

impl WaitFor for overwriting::Consumer {
    fn wait_for(&mut self, need: usize, timeout: Option<Duration>) -> Result<()> {
        self.wait(need, timeout)
    }
}

impl WaitFor for overwriting::RecordConsumer {
    fn wait_for(&mut self, _need: usize, timeout: Option<Duration>) -> Result<()> {
        self.wait(timeout)
    }
}

fn wait(end: &mut impl WaitFor, need: usize, timeout: Option<Duration>) -> Result<()> {
    end.wait_for(need, timeout)
}

consumer! {
    /// The consumer's end of a FIFO of bytes whose producer overwrites the oldest ones. While this is
    /// open, nobody else takes bytes out.
    ///
    /// As an iterator, it returns copies of what is queued, until all writers have gone.
    Consumer = "vfifo.overwriting.Consumer" {
        /// Wait until `size` bytes are queued. They may be overwritten before they are read.
        #[pyo3(signature = (size = 1, timeout = Timeout::NONE), text_signature = "($self, size=1, timeout=None)")]
        fn wait(&self, py: Python<'_>, size: usize, timeout: Timeout) -> PyResult<()> {
            self.port.wait(py, size, &timeout)
        }

        /// Take at most `size` bytes out, or all that are queued, and wait until there is one.
        ///
        /// Raises NoWriters at the end, and Overtaken if the timeout is 0 and the producer is too
        /// fast.
        #[pyo3(signature = (size = -1, timeout = Timeout::NONE), text_signature = "($self, size=-1, timeout=None)")]
        fn read<'py>(
            &self,
            py: Python<'py>,
            size: isize,
            timeout: Timeout,
        ) -> PyResult<Bound<'py, PyAny>> {
            let end = self.port.start()?;
            match usize::try_from(size) {
                Err(_) => read(py, end, &timeout, &mut Vec::new(), |end, bytes| {
                    end.read_to_vec(bytes)
                }),
                Ok(size) => {
                    let mut bytes = vec![0; size.min(self.port.capacity)];
                    read(py, end, &timeout, &mut bytes, |end, bytes| end.read(bytes))
                }
            }
        }

        fn __next__<'py>(&self, py: Python<'py>) -> PyResult<Option<Bound<'py, PyAny>>> {
            end_is_none(py, self.read(py, -1, Timeout::NONE))
        }
    }
}

consumer! {
    /// The consumer's end of a FIFO of records whose producer overwrites the oldest ones. While this
    /// is open, nobody else takes records out.
    ///
    /// As an iterator, it returns copies of the records, until all writers have gone.
    RecordConsumer = "vfifo.overwriting.RecordConsumer" {
        /// Wait until a record is queued. It may be overwritten before it is read.
        #[pyo3(signature = (timeout = Timeout::NONE), text_signature = "($self, timeout=None)")]
        fn wait(&self, py: Python<'_>, timeout: Timeout) -> PyResult<()> {
            self.port.wait(py, 1, &timeout)
        }

        /// Take the oldest record out, and wait until there is one.
        ///
        /// Raises NoWriters at the end, and Overtaken if the timeout is 0 and the producer is too
        /// fast.
        #[pyo3(signature = (timeout = Timeout::NONE), text_signature = "($self, timeout=None)")]
        fn receive<'py>(&self, py: Python<'py>, timeout: Timeout) -> PyResult<Bound<'py, PyAny>> {
            let end = self.port.start()?;
            read(py, end, &timeout, &mut Vec::new(), |end, bytes| {
                end.read_to_vec(bytes)
            })
        }

        fn __next__<'py>(&self, py: Python<'py>) -> PyResult<Option<Bound<'py, PyAny>>> {
            end_is_none(py, self.receive(py, Timeout::NONE))
        }
    }
}
