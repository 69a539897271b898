// SPDX-License-Identifier: GPL-2.0 OR MIT
// Copyright (C) 2026 Seed 1f3ad1c2 maintainers.

use crate::consumer::Port;
use crate::device::{Bell, Device};
use crate::error::Result;
use crate::span::{within, Iter, Span};
use crate::traits::debug_len;
use std::io;
use std::os::fd::AsFd;

/// Queued bytes, in one piece. They stay queued until they are [released](Bytes::release); dropping
/// this value does not release them.
///
/// ```no_run
/// # fn main() -> vfifo::Result<()> {
/// # let mut consumer = vfifo::Consumer::open("/dev/vfifo0")?;
/// let bytes = consumer.peek_wait(8)?;
/// let mut number = [0; 8];
/// // Others may change queued bytes, so copy them before using them.
/// bytes.get(0, &mut number)?;
/// bytes.release(8)?;
/// println!("{}", u64::from_le_bytes(number));
/// # Ok(())
/// # }
/// ```
pub struct Bytes<'a>(pub(crate) Run<'a, Device>);

debug_len!(Bytes);

pub(crate) struct Run<'a, B: Bell> {
    pub(crate) port: &'a mut Port<B>,
    pub(crate) len: usize,
}

impl Bytes<'_> {
    /// The number of bytes.
    #[expect(clippy::len_without_is_empty, reason = "as many as were waited for")]
    pub fn len(&self) -> usize {
        self.0.len
    }

    /// Copies bytes to `to`, from byte number `offset` on.
    ///
    /// # Errors
    ///
    /// [`Error::Range`](crate::Error::Range) if there are fewer bytes than `to` holds; nothing is copied.
    #[inline]
    pub fn get(&self, offset: usize, to: &mut [u8]) -> Result<()> {
        self.0.span().get(offset, to)
    }

    /// A copy of all bytes.
    pub fn to_vec(&self) -> Vec<u8> {
        self.0.span().to_vec()
    }

    /// The bytes one by one. Each is loaded when it is its turn.
    pub fn iter(&self) -> Iter<'_> {
        self.0.span().iter()
    }

    /// Lets the kernel write the bytes to `file`, and returns how many it has written. This does
    /// not release them.
    ///
    /// # Errors
    ///
    /// Those of `write`.
    pub fn write_to(&self, file: impl AsFd) -> io::Result<usize> {
        self.0.span().write_to(file.as_fd())
    }

    /// The place of the bytes.
    ///
    /// Others can store to the bytes at any time (see [the crate](crate)), so use the pointer for
    /// volatile or relaxed atomic loads, or pass it to a foreign function that expects that. It is
    /// valid for reads as long as this value exists.
    #[inline]
    pub fn as_raw(&self) -> *const [u8] {
        self.0.span().as_raw()
    }

    /// The bytes, as ordinary memory.
    ///
    /// # Safety
    ///
    /// While the slice is in use, no process or mapping may store to these bytes: every process
    /// that can open the device for reading and writing must follow the protocol.
    #[inline]
    pub unsafe fn as_slice(&self) -> &[u8] {
        // SAFETY: The memory is mapped, and does not change, by the safety requirements. The result
        // borrows `self`.
        unsafe { &*self.as_raw() }
    }

    /// Gives back the room of the first `len` bytes, and wakes the producer if it sleeps.
    ///
    /// # Errors
    ///
    /// [`Error::Range`](crate::Error::Range) if there are fewer bytes; nothing is given back then. Other
    /// errors mean that waking has failed; the room is given back nevertheless.
    #[inline]
    pub fn release(self, len: usize) -> Result<()> {
        self.0.release(len)
    }
}

impl<'a> IntoIterator for &'a Bytes<'_> {
    type Item = u8;
    type IntoIter = Iter<'a>;

    fn into_iter(self) -> Iter<'a> {
        self.iter()
    }
}

impl<B: Bell> Run<'_, B> {
    #[inline]
    pub(crate) fn span(&self) -> Span<'_> {
        self.port.end.first(self.len)
    }

    #[inline]
    pub(crate) fn release(self, len: usize) -> Result<()> {
        within(self.len, 0, len)?;
        self.port.end.publish(len)
    }
}
