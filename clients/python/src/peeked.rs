// SPDX-License-Identifier: GPL-2.0 OR MIT
// Copyright (C) 2026 Seed 1f3ad1c2 maintainers.

//! Queued bytes, as an object whose memory Python can read.

use crate::error::to_py;
use crate::loan::{Loan, Place};
use crate::port::Port;
use pyo3::ffi;
use pyo3::prelude::*;
use pyo3::types::PyBytes;
use std::ffi::c_int;
use std::sync::Arc;
use vfifo::Consumer;

/// Queued bytes, in one piece. They stay queued until they are released.
///
/// This exports its memory, which is the buffer itself: memoryview(peeked) and
/// numpy.frombuffer(peeked) are read-only views of it.
#[pyclass(module = "vfifo", frozen)]
pub(crate) struct Peeked {
    port: Arc<Port<Consumer>>,
    loan: Loan,
}

impl Peeked {
    pub(crate) fn new(port: Arc<Port<Consumer>>, loan: Loan) -> Self {
        Self { port, loan }
    }
}

#[pymethods]
impl Peeked {
    fn __len__(&self) -> usize {
        self.loan.len()
    }

    /// A copy of the bytes.
    fn tobytes<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyBytes>> {
        self.port.with(self.loan.turn, |bytes| {
            // SAFETY: They are queued.
            unsafe { Place::of(bytes.as_raw()).to_bytes(py, usize::MAX) }
        })
    }

    /// Give back the room of the first `size` bytes, or of all, and wake the producer if it sleeps.
    ///
    /// Raises BufferError if there are views of them. They stay queued then.
    #[pyo3(signature = (size = None))]
    fn release(&self, size: Option<usize>) -> PyResult<()> {
        let Self { port, loan } = self;
        let size = size.unwrap_or(loan.len());
        port.views.check(loan.turn).map_err(crate::error::refused)?;
        if size > loan.len() {
            return Err(to_py(vfifo::Error::Range));
        }
        let release = port.finish(loan.turn, |bytes| bytes.release(size))?;
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
        self.port.give_up(self.loan.turn);
    }

    fn __repr__(&self) -> String {
        format!("<vfifo.Peeked of {} bytes>", self.loan.len())
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
