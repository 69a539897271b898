// SPDX-License-Identifier: GPL-2.0 OR MIT
// Copyright (C) 2026 Seed 1f3ad1c2 maintainers.

//! Queued records, as objects whose memory Python can read.

use crate::error::to_py;
use crate::loan::{Loan, Place};
use crate::port::Port;
use crate::views::Turn;
use pyo3::ffi;
use pyo3::prelude::*;
use pyo3::types::PyBytes;
use std::ffi::c_int;
use std::sync::Arc;
use vfifo::RecordConsumer;

/// Queued records. They stay queued until they are released.
///
/// As an iterator, this returns them one after the other, each of them once, in place.
#[pyclass(module = "vfifo", frozen)]
pub(crate) struct Records {
    port: Arc<Port<RecordConsumer>>,
    turn: Turn,
}

impl Records {
    pub(crate) fn new(port: Arc<Port<RecordConsumer>>, turn: Turn) -> Self {
        Self { port, turn }
    }
}

#[pymethods]
impl Records {
    fn __iter__(slf: Bound<'_, Self>) -> Bound<'_, Self> {
        slf
    }

    fn __next__(&self) -> PyResult<Option<Record>> {
        let place = self.port.with(self.turn, |records| {
            let record = records.next_record()?;
            Ok(record.map(|record| Place::of(record.as_raw())))
        })?;
        let Some(place) = place.map_err(to_py)? else {
            return Ok(None);
        };
        let port = self.port.clone();
        // SAFETY: It is that of one of the records, which stay queued until they are released.
        let loan = unsafe { Loan::new(self.turn, place) };
        Ok(Some(Record { port, loan }))
    }

    /// Give back the room of all records that the iterator has returned, and wake the producer if it
    /// sleeps. The others stay queued.
    ///
    /// Raises BufferError if there are views of any of them. All of them stay queued then.
    fn release(&self) -> PyResult<()> {
        let release = self.port.finish(self.turn, |records| records.release())?;
        release.map_err(to_py)
    }

    fn __enter__(slf: Bound<'_, Self>) -> Bound<'_, Self> {
        slf
    }

    /// What was not released stays queued.
    #[pyo3(signature = (exc_type, exc_value, traceback, /))]
    fn __exit__(
        &self,
        exc_type: Option<&Bound<'_, PyAny>>,
        exc_value: Option<&Bound<'_, PyAny>>,
        traceback: Option<&Bound<'_, PyAny>>,
    ) {
        let _ = (exc_type, exc_value, traceback);
        self.port.give_up(self.turn);
    }
}

/// A queued record, in one piece, which begins at a multiple of 8 bytes.
///
/// This exports its memory, which is the buffer itself: memoryview(record) and
/// numpy.frombuffer(record) are read-only views of it.
#[pyclass(module = "vfifo", frozen)]
pub(crate) struct Record {
    port: Arc<Port<RecordConsumer>>,
    loan: Loan,
}

#[pymethods]
impl Record {
    fn __len__(&self) -> usize {
        self.loan.len()
    }

    /// A copy of the record.
    fn tobytes<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyBytes>> {
        let Self { port, loan } = self;
        port.with(loan.turn, |_| {
            // SAFETY: It is queued as long as the turn lasts.
            unsafe { loan.place().to_bytes(py, usize::MAX) }
        })
    }

    fn __repr__(&self) -> String {
        format!("<vfifo.Record of {} bytes>", self.loan.len())
    }

    /// # Safety
    ///
    /// As the protocol says.
    unsafe fn __getbuffer__(
        slf: Bound<'_, Self>,
        view: *mut ffi::Py_buffer,
        flags: c_int,
    ) -> PyResult<()> {
        let Self { port, loan } = slf.get();
        // SAFETY: The arguments are those of this function.
        unsafe { port.view(loan, true, slf.as_any().clone(), view, flags) }
    }

    /// # Safety
    ///
    /// As the protocol says.
    unsafe fn __releasebuffer__(&self, _view: *mut ffi::Py_buffer) {
        self.port.unview();
    }
}
