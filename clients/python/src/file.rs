// SPDX-License-Identifier: GPL-2.0 OR MIT
// Copyright (C) 2026 Seed 1f3ad1c2 maintainers.

//! Files as arguments: a path, a descriptor, or an object with one.

use crate::error::with_path;
use pyo3::prelude::*;
use std::ffi::{CString, OsString};
use std::io;
use std::os::fd::{AsRawFd, BorrowedFd, FromRawFd, OwnedFd, RawFd};
use std::os::unix::ffi::OsStrExt;
use std::path::PathBuf;

/// A file to open.
pub(crate) enum File {
    Path(PathBuf),
    /// A duplicate, so closing the caller's does no harm.
    Descriptor(OwnedFd),
}

impl<'py> FromPyObject<'_, 'py> for File {
    type Error = PyErr;

    fn extract(object: Borrowed<'_, 'py, PyAny>) -> PyResult<Self> {
        let has_fileno = || object.hasattr("fileno");
        let fd: RawFd = if let Ok(fd) = object.extract::<RawFd>() {
            fd
        } else if has_fileno()? {
            object.call_method0("fileno")?.extract()?
        } else {
            let path = object
                .py()
                .import("os")?
                .call_method1("fsdecode", (object,))?;
            return Ok(Self::Path(path.extract()?));
        };
        if fd < 0 {
            let error = io::Error::from_raw_os_error(libc::EBADF);
            return Err(with_path(error.into(), None));
        }
        // SAFETY: It is not used after this line. That it is open is up to the caller; if it is not,
        // this fails.
        let fd = unsafe { BorrowedFd::borrow_raw(fd) };
        match fd.try_clone_to_owned() {
            Ok(fd) => Ok(Self::Descriptor(fd)),
            Err(error) => Err(with_path(error.into(), None)),
        }
    }
}

impl File {
    /// Opens it with those flags, unless it is open. Returns the name for messages as well.
    pub(crate) fn open(self, flags: libc::c_int) -> PyResult<(OwnedFd, Option<OsString>)> {
        let path = match self {
            Self::Descriptor(fd) => return Ok((fd, None)),
            Self::Path(path) => path,
        };
        let name = path.into_os_string();
        let c_name = CString::new(name.as_bytes())?;
        // SAFETY: The name ends with a zero.
        match unsafe { libc::open(c_name.as_ptr(), flags | libc::O_CLOEXEC) } {
            -1 => Err(with_path(io::Error::last_os_error().into(), Some(name))),
            // SAFETY: The descriptor is new, so nothing else owns it.
            fd => Ok((unsafe { OwnedFd::from_raw_fd(fd) }, Some(name))),
        }
    }
}

/// The number of the descriptor.
pub(crate) fn raw(file: &impl AsRawFd) -> RawFd {
    file.as_raw_fd()
}
