// SPDX-License-Identifier: GPL-2.0 OR MIT
// Copyright (C) 2026 Seed 1f3ad1c2 maintainers.

//! What a device is like.

use crate::error::with_path;
use crate::file::File;
use pyo3::prelude::*;

/// What a device is like, and the state that it was in when it was asked.
///
/// This needs permission to open the device for reading and writing, but neither end of it, and it
/// counts neither as a reader nor as a writer.
#[pyclass(module = "vfifo", frozen)]
pub(crate) struct Info(vfifo::Info);

#[pymethods]
impl Info {
    #[new]
    #[pyo3(signature = (file, /))]
    fn new(file: File) -> PyResult<Self> {
        // Neither of the three modes: only for ioctl(2).
        let (fd, name) = file.open(libc::O_ACCMODE)?;
        let info = vfifo::Info::of(&fd).map_err(|error| with_path(error, name))?;
        Ok(Self(info))
    }

    /// The capacity in bytes.
    #[getter]
    fn capacity(&self) -> usize {
        self.0.capacity()
    }

    /// Whether the FIFO consists of records: the attribute framing is "record".
    #[getter]
    fn has_records(&self) -> bool {
        self.0.has_records()
    }

    /// Whether the producer overwrites the oldest bytes or records: the attribute overwrite is 1.
    #[getter]
    fn overwrites(&self) -> bool {
        self.0.overwrites()
    }

    /// Whether the stream ends when everybody at one end has gone: the attribute hangup is 1, or the
    /// device was removed.
    #[getter]
    fn hangs_up(&self) -> bool {
        self.0.hangs_up()
    }

    /// Whether the FIFO is in its error state.
    #[getter]
    fn is_broken(&self) -> bool {
        self.0.is_broken()
    }

    /// Whether a file is open for reading.
    #[getter]
    fn has_readers(&self) -> bool {
        self.0.has_readers()
    }

    /// Whether a file is open for writing.
    #[getter]
    fn has_writers(&self) -> bool {
        self.0.has_writers()
    }

    fn __repr__(&self) -> String {
        let flags = [
            (self.0.has_records(), "records"),
            (self.0.overwrites(), "overwrites"),
            (self.0.hangs_up(), "hangs up"),
            (self.0.is_broken(), "broken"),
            (self.0.has_readers(), "has readers"),
            (self.0.has_writers(), "has writers"),
        ];
        let flags: Vec<_> = flags
            .iter()
            .filter(|flag| flag.0)
            .map(|flag| flag.1)
            .collect();
        format!(
            "<vfifo.Info capacity={} {}>",
            self.0.capacity(),
            flags.join(", ")
        )
    }
}
