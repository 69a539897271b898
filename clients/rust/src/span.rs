// SPDX-License-Identifier: GPL-2.0 OR MIT
// Copyright (C) 2026 Seed 1f3ad1c2 maintainers.

//! A run of bytes in the data.

use crate::error::{Error, Result};
use crate::map::Region;
use crate::traits::debug_len;
use std::io;
use std::iter::FusedIterator;
use std::os::fd::{AsRawFd, BorrowedFd};
use std::ptr;

/// Returns an error unless the `len` bytes from `offset` on are among the first `all`.
#[inline]
pub(crate) fn within(all: usize, offset: usize, len: usize) -> Result<()> {
    match offset <= all && len <= all - offset {
        true => Ok(()),
        false => Err(Error::Range),
    }
}

/// Bytes that are reserved or queued, in one piece. Others can change them at any time.
///
/// # Invariants
///
/// They are within the region.
#[derive(Clone, Copy)]
pub(crate) struct Span<'a> {
    data: &'a Region,
    offset: usize,
    len: usize,
}

impl<'a> Span<'a> {
    /// The `len` bytes of `data` from byte number `offset` on.
    #[inline]
    pub(crate) fn new(data: &'a Region, offset: usize, len: usize) -> Self {
        assert!(offset <= data.len() && len <= data.len() - offset);
        // INVARIANT: Just checked.
        Self { data, offset, len }
    }

    #[inline]
    pub(crate) fn len(&self) -> usize {
        self.len
    }

    #[inline]
    pub(crate) fn put(&self, offset: usize, bytes: &[u8]) -> Result<()> {
        within(self.len, offset, bytes.len())?;
        self.data.store(self.offset + offset, bytes);
        Ok(())
    }

    #[inline]
    pub(crate) fn get(&self, offset: usize, to: &mut [u8]) -> Result<()> {
        within(self.len, offset, to.len())?;
        self.data.load(self.offset + offset, to);
        Ok(())
    }

    pub(crate) fn to_vec(self) -> Vec<u8> {
        let mut bytes = vec![0; self.len];
        self.data.load(self.offset, &mut bytes);
        bytes
    }

    /// Lets the kernel store to the bytes, from a file.
    pub(crate) fn read_from(&self, file: BorrowedFd<'_>) -> io::Result<usize> {
        // SAFETY: The kernel stores only to these bytes, which are mapped by the type invariants.
        // Nothing in this process relies on their contents.
        let count = unsafe {
            libc::read(
                file.as_raw_fd(),
                self.as_raw().cast::<libc::c_void>(),
                self.len,
            )
        };
        usize::try_from(count).map_err(|_| io::Error::last_os_error())
    }

    /// Lets the kernel load the bytes, to a file.
    pub(crate) fn write_to(&self, file: BorrowedFd<'_>) -> io::Result<usize> {
        // SAFETY: The kernel loads only these bytes, which are mapped by the type invariants.
        let count = unsafe {
            libc::write(
                file.as_raw_fd(),
                self.as_raw().cast::<libc::c_void>(),
                self.len,
            )
        };
        usize::try_from(count).map_err(|_| io::Error::last_os_error())
    }

    /// The place of the bytes. It stays mapped for `'a`.
    #[inline]
    pub(crate) fn as_raw(&self) -> *mut [u8] {
        ptr::slice_from_raw_parts_mut(self.data.at(self.offset), self.len)
    }

    pub(crate) fn iter(self) -> Iter<'a> {
        Iter {
            bytes: self,
            next: 0,
        }
    }
}

/// The bytes of [`Bytes`](crate::Bytes) or of a [`Record`](crate::Record), one by one. Each is
/// loaded when it is its turn.
///
/// ```no_run
/// # fn main() -> std::io::Result<()> {
/// let mut consumer = vfifo::Consumer::open("/dev/vfifo0")?;
/// let bytes = consumer.peek_wait(1)?;
/// let line = bytes.iter().position(|byte| byte == b'\n');
/// # Ok(())
/// # }
/// ```
pub struct Iter<'a> {
    bytes: Span<'a>,
    next: usize,
}

debug_len!(Iter);

impl Iterator for Iter<'_> {
    type Item = u8;

    #[inline]
    fn next(&mut self) -> Option<u8> {
        let Span { data, offset, len } = self.bytes;
        (self.next < len).then(|| {
            let byte = data.load_byte(offset + self.next);
            self.next += 1;
            byte
        })
    }

    fn size_hint(&self) -> (usize, Option<usize>) {
        let left = self.bytes.len - self.next;
        (left, Some(left))
    }
}

impl ExactSizeIterator for Iter<'_> {}
impl FusedIterator for Iter<'_> {}
