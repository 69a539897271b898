// SPDX-License-Identifier: GPL-2.0
// Copyright (C) 2026 Seed 1f3ad1c2 maintainers.

//! The memory that a buffer is copied to and from.

use super::PageBuffer;
use core::marker::PhantomData;
use kernel::{
    bindings,
    iov::{
        IovIterDest,
        IovIterSource, //
    },
    prelude::*,
    uaccess::UserPtr, //
};

/// Memory to copy to: that of an iterator, or a single range of user memory.
pub trait Dest {
    /// Returns how many bytes there is space for.
    ///
    /// # Context
    ///
    /// Any context.
    fn remaining(&self) -> usize;

    /// Copies up to `count` bytes, starting with byte `offset` of `buffer`. See
    /// [`PageBuffer::copy_to_iter`] for the result and the context.
    fn copy_from_buffer(&mut self, buffer: &PageBuffer, offset: usize, count: usize) -> usize;
}

impl Dest for IovIterDest<'_> {
    #[inline]
    fn remaining(&self) -> usize {
        self.len()
    }

    #[inline]
    fn copy_from_buffer(&mut self, buffer: &PageBuffer, offset: usize, count: usize) -> usize {
        buffer.copy_to_iter(offset, count, self)
    }
}

/// Memory to copy from: that of an iterator, or a single range of user memory.
pub trait Source {
    /// Returns how many bytes there are.
    ///
    /// # Context
    ///
    /// Any context.
    fn remaining(&self) -> usize;

    /// Copies up to `count` bytes to `buffer`, starting with its byte `offset`. See
    /// [`PageBuffer::copy_from_iter`] for the result and the context.
    fn copy_to_buffer(&mut self, buffer: &PageBuffer, offset: usize, count: usize) -> usize;
}

impl Source for IovIterSource<'_> {
    #[inline]
    fn remaining(&self) -> usize {
        self.len()
    }

    #[inline]
    fn copy_to_buffer(&mut self, buffer: &PageBuffer, offset: usize, count: usize) -> usize {
        buffer.copy_from_iter(offset, count, self)
    }
}

/// The rest of a single range of user memory, as a plain read(2) or write(2) has it. What an
/// iterator is for several ranges, this is for one.
///
/// The range is not checked. Copies check it.
///
/// C header: [`include/linux/uaccess.h`](srctree/include/linux/uaccess.h)
#[derive(Clone)]
pub struct UserPiece<Direction> {
    start: UserPtr,
    len: usize,
    _direction: PhantomData<Direction>,
}

/// Marks a [`UserPiece`] to copy to.
#[derive(Clone)]
pub struct ToUser;

/// Marks a [`UserPiece`] to copy from.
#[derive(Clone)]
pub struct FromUser;

/// User memory to copy to.
pub type UserDest = UserPiece<ToUser>;

/// User memory to copy from.
pub type UserSource = UserPiece<FromUser>;

impl<Direction> UserPiece<Direction> {
    /// Returns the range of `len` bytes that begins at `start`.
    ///
    /// # Context
    ///
    /// Any context.
    #[inline]
    pub fn new(start: UserPtr, len: usize) -> Self {
        Self {
            start,
            len,
            _direction: PhantomData,
        }
    }

    /// Returns the address of the first byte that has not been copied yet.
    ///
    /// # Context
    ///
    /// Any context.
    #[inline]
    pub fn start(&self) -> UserPtr {
        self.start
    }

    /// Skips the first `count` bytes. There must be as many.
    #[inline]
    fn advance(&mut self, count: usize) {
        self.start = self.start.wrapping_byte_add(count);
        self.len = self.len.wrapping_sub(count);
    }
}

impl Dest for UserDest {
    #[inline]
    fn remaining(&self) -> usize {
        self.len
    }

    #[inline]
    fn copy_from_buffer(&mut self, buffer: &PageBuffer, offset: usize, count: usize) -> usize {
        let (start, count) = buffer.span(offset, count.min(self.len));
        // SAFETY: By the type invariants of the buffer, `start` is valid for reading `count` bytes,
        // and there is no reference to them. The C function checks the user address.
        let left = unsafe {
            bindings::_copy_to_user(
                self.start.as_mut_ptr(),
                start.cast_const().cast(),
                count as c_ulong,
            )
        };
        // The function never leaves more than it was to copy.
        let copied = count.wrapping_sub(left as usize);
        self.advance(copied);
        copied
    }
}

impl Source for UserSource {
    #[inline]
    fn remaining(&self) -> usize {
        self.len
    }

    /// Bytes that could not be copied are set to zero in the buffer.
    #[inline]
    fn copy_to_buffer(&mut self, buffer: &PageBuffer, offset: usize, count: usize) -> usize {
        let (start, count) = buffer.span(offset, count.min(self.len));
        // SAFETY: By the type invariants of the buffer, `start` is valid for writing `count` bytes,
        // and there is no reference to them. The C function checks the user address.
        let left = unsafe {
            bindings::_copy_from_user(start.cast(), self.start.as_const_ptr(), count as c_ulong)
        };
        // The function never leaves more than it was to copy.
        let copied = count.wrapping_sub(left as usize);
        self.advance(copied);
        copied
    }
}
