// SPDX-License-Identifier: GPL-2.0 OR MIT
// Copyright (C) 2026 Seed 1f3ad1c2 maintainers.

//! Reserved room, as an object whose memory Python can write to.

use crate::any::AnyProducer;
use crate::error::to_py;
use crate::loan::Loan;
use crate::memory::Memory;
use crate::port::Port;
use pyo3::ffi;
use pyo3::prelude::*;
use std::ffi::c_int;
use std::sync::Arc;

/// Room for bytes, or for a record. Nobody sees the bytes until they are committed.
///
/// This exports its memory, which is the buffer itself: memoryview(reservation) and
/// numpy.frombuffer(reservation) can be written to. It contains whatever was there before.
#[pyclass(module = "vfifo", frozen)]
pub(crate) struct Reservation {
    port: Arc<Port<AnyProducer>>,
    loan: Loan,
}

impl Reservation {
    pub(crate) fn new(port: Arc<Port<AnyProducer>>, loan: Loan) -> Self {
        Self { port, loan }
    }
}

#[pymethods]
impl Reservation {
    fn __len__(&self) -> usize {
        self.loan.len()
    }

    /// Copy `data` to the reserved room, from its byte number `offset` on.
    #[pyo3(signature = (data, offset = 0))]
    fn put(&self, data: &Bound<'_, PyAny>, offset: usize) -> PyResult<()> {
        let data = Memory::source(data)?;
        self.port.with(self.loan.turn, |reservation| {
            let place = reservation.place().0;
            if offset > place.len() || data.len() > place.len() - offset {
                return Err(to_py(vfifo::Error::Range));
            }
            // SAFETY: That many bytes are reserved from there on.
            unsafe { data.copy_to(place.cast::<u8>().add(offset), data.len()) }
        })?
    }

    /// Queue the first `size` bytes, or all, and wake the consumer if it sleeps.
    ///
    /// Raises BufferError if there are views of them. They stay reserved then.
    #[pyo3(signature = (size = None))]
    fn commit(&self, size: Option<usize>) -> PyResult<()> {
        let Self { port, loan } = self;
        let size = size.unwrap_or(loan.len());
        let check = port.with(loan.turn, |reservation| reservation.check(size))?;
        check.map_err(to_py)?;
        let commit = port.finish(loan.turn, |reservation| reservation.commit(size))?;
        commit.map_err(to_py)
    }

    fn __enter__(slf: Bound<'_, Self>) -> Bound<'_, Self> {
        slf
    }

    /// Give up what was not committed.
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
        format!("<vfifo.Reservation of {} bytes>", self.loan.len())
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
        // SAFETY: The arguments are those of this function, and a reservation can be stored to.
        unsafe { port.view(loan, false, slf.as_any().clone(), view, flags) }
    }

    /// # Safety
    ///
    /// As the protocol says.
    unsafe fn __releasebuffer__(&self, _view: *mut ffi::Py_buffer) {
        self.port.unview();
    }
}
