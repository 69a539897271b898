// SPDX-License-Identifier: GPL-2.0 OR MIT
// Copyright (C) 2026 Seed 1f3ad1c2 maintainers.

//! Objects that export their memory, as arguments: `bytes`, arrays and so on.
//!
//! Their memory may change while it is copied: another thread may hold it without the interpreter,
//! or it may be another mapping. So there are no references to it here. The interpreter copies, which
//! is a call that the compiler cannot look into.

use pyo3::exceptions::PyBufferError;
use pyo3::ffi;
use pyo3::prelude::*;
use std::ffi::{c_char, c_int};
use std::mem::MaybeUninit;

/// The memory of an object, in one piece.
pub(crate) struct Memory<'py> {
    /// Boxed, since an exporter may rely on its address.
    view: Box<ffi::Py_buffer>,
    _py: Python<'py>,
}

impl<'py> Memory<'py> {
    fn get(object: &Bound<'py, PyAny>, flags: c_int) -> PyResult<Self> {
        let mut view = Box::new(MaybeUninit::<ffi::Py_buffer>::zeroed());
        // SAFETY: The object is one, and there is room for a view.
        if unsafe { ffi::PyObject_GetBuffer(object.as_ptr(), view.as_mut_ptr(), flags) } == -1 {
            return Err(PyErr::fetch(object.py()));
        }
        // SAFETY: The view was filled.
        let view = unsafe { Box::from_raw(Box::into_raw(view).cast()) };
        let _py = object.py();
        Ok(Self { view, _py })
    }

    /// To read from.
    pub(crate) fn source(object: &Bound<'py, PyAny>) -> PyResult<Self> {
        Self::get(object, ffi::PyBUF_SIMPLE)
    }

    /// To write to.
    pub(crate) fn target(object: &Bound<'py, PyAny>) -> PyResult<Self> {
        Self::get(object, ffi::PyBUF_WRITABLE)
    }

    pub(crate) fn len(&self) -> usize {
        self.view.len as usize
    }

    /// Copies its first `len` bytes to `to`.
    ///
    /// # Safety
    ///
    /// It has that many bytes, and as many are valid for writes at `to`.
    pub(crate) unsafe fn copy_to(&self, to: *mut u8, len: usize) -> PyResult<()> {
        let len = len as ffi::Py_ssize_t;
        // A view without a shape is just an address and a length.
        let start = ffi::Py_buffer { len, ..*self.view };
        // SAFETY: By the safety requirements. The view is one of memory in one piece.
        let ret = unsafe { ffi::PyBuffer_ToContiguous(to.cast(), &start, len, b'C' as c_char) };
        self.check(ret)
    }

    /// Copies `len` bytes from `from` to its beginning.
    ///
    /// # Safety
    ///
    /// They must be valid for reads there.
    pub(crate) unsafe fn copy_from(&self, from: *const u8, len: usize) -> PyResult<()> {
        let len = len.min(self.len()) as ffi::Py_ssize_t;
        // SAFETY: The view is one of writable memory in one piece, of at least that many bytes. They
        // are only read from `from`.
        let ret =
            unsafe { ffi::PyBuffer_FromContiguous(&*self.view, from.cast(), len, b'C' as c_char) };
        self.check(ret)
    }

    fn check(&self, ret: c_int) -> PyResult<()> {
        match ret {
            0 => Ok(()),
            _ => Err(PyErr::take(self._py)
                .unwrap_or_else(|| PyBufferError::new_err("the memory cannot be copied"))),
        }
    }
}

impl Drop for Memory<'_> {
    fn drop(&mut self) {
        // SAFETY: The view was filled, and is released once.
        unsafe { ffi::PyBuffer_Release(&mut *self.view) };
    }
}
