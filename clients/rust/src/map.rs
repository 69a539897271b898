// SPDX-License-Identifier: GPL-2.0 OR MIT
// Copyright (C) 2026 Seed 1f3ad1c2 maintainers.

//! Mapped memory that others can change at any time.

use crate::uapi::EndPage;
use std::io;
use std::os::fd::{AsRawFd, BorrowedFd};
use std::ptr::{self, NonNull};
use std::sync::atomic::{AtomicU64, AtomicU8, Ordering::Relaxed};

/// Shared memory, mapped until this is dropped.
///
/// # Invariants
///
/// The `len` bytes from `start` on are mapped, and only by this value: readable, and writable if
/// `writable` is set. `start` is the start of a page. The process has no references to these bytes
/// except to atomics and those that callers of `unsafe` functions vouch for.
pub(crate) struct Region {
    start: NonNull<u8>,
    len: usize,
    writable: bool,
}

// SAFETY: Memory is mapped for all threads, and any thread can unmap it.
unsafe impl Send for Region {}

// SAFETY: Whatever can be done with a shared reference is done by atomics, which several threads
// can use at the same time, or returns a raw pointer, whose users take responsibility.
unsafe impl Sync for Region {}

pub(crate) fn page_size() -> usize {
    // SAFETY: This has no preconditions.
    unsafe { libc::sysconf(libc::_SC_PAGESIZE) as usize }
}

impl Region {
    /// Maps the `len` bytes of `file` from `offset` on. `len` is not zero.
    pub(crate) fn new(
        file: BorrowedFd<'_>,
        offset: u64,
        len: usize,
        writable: bool,
    ) -> io::Result<Self> {
        let offset = i64::try_from(offset).map_err(|_| io::ErrorKind::InvalidInput)?;
        let prot = libc::PROT_READ | if writable { libc::PROT_WRITE } else { 0 };
        // SAFETY: The kernel chooses an address where nothing is mapped.
        let start = unsafe {
            libc::mmap(
                ptr::null_mut(),
                len,
                prot,
                libc::MAP_SHARED,
                file.as_raw_fd(),
                offset,
            )
        };
        if start == libc::MAP_FAILED {
            return Err(io::Error::last_os_error());
        }
        let start = NonNull::new(start.cast()).ok_or(io::ErrorKind::OutOfMemory)?;
        // INVARIANT: Just mapped, so there are no other users.
        let region = Self {
            start,
            len,
            writable,
        };
        // A mapping keeps the file open. If a child had it, the file would stay open when this
        // process has gone, and count as a reader and a writer.
        // SAFETY: These bytes are mapped, and stay mapped in this process.
        match unsafe { libc::madvise(start.as_ptr().cast(), len, libc::MADV_DONTFORK) } {
            0 => Ok(region),
            _ => Err(io::Error::last_os_error()),
        }
    }

    /// As [`Region::new`], for a file that does not show its bytes twice by itself.
    #[cfg(test)]
    pub(crate) fn twice(
        file: BorrowedFd<'_>,
        offset: u64,
        len: usize,
        writable: bool,
    ) -> io::Result<Self> {
        let region = Self::new(file, offset, 2 * len, writable)?;
        let again = region.at(len);
        let prot = libc::PROT_READ | if writable { libc::PROT_WRITE } else { 0 };
        // SAFETY: This replaces the second half of our region, to which there is no other pointer.
        let second = unsafe {
            libc::mmap(
                again.cast(),
                len,
                prot,
                libc::MAP_SHARED | libc::MAP_FIXED,
                file.as_raw_fd(),
                i64::try_from(offset).map_err(|_| io::ErrorKind::InvalidInput)?,
            )
        };
        if second == libc::MAP_FAILED {
            return Err(io::Error::last_os_error());
        }
        Ok(region)
    }

    /// The number of bytes.
    pub(crate) fn len(&self) -> usize {
        self.len
    }

    /// A pointer to byte number `offset`, or to the end.
    #[inline]
    pub(crate) fn at(&self, offset: usize) -> *mut u8 {
        assert!(offset <= self.len);
        // SAFETY: The result is in the region, or at its end.
        unsafe { self.start.as_ptr().add(offset) }
    }

    /// The page of an end.
    #[inline]
    pub(crate) fn end_page(&self) -> &EndPage {
        assert!(self.len >= size_of::<EndPage>());
        // SAFETY: The memory is mapped for as long as the region exists, and aligned by the type
        // invariants. An `EndPage` consists of atomics only.
        unsafe { self.start.cast().as_ref() }
    }

    /// Stores `bytes` from byte number `offset` on.
    #[inline]
    pub(crate) fn store(&self, offset: usize, bytes: &[u8]) {
        assert!(self.writable && offset <= self.len && bytes.len() <= self.len - offset);
        // SAFETY: By the type invariants and the assertion.
        unsafe { store(self.at(offset), bytes) }
    }

    /// Loads `bytes` from byte number `offset` on.
    #[inline]
    pub(crate) fn load(&self, offset: usize, bytes: &mut [u8]) {
        assert!(offset <= self.len && bytes.len() <= self.len - offset);
        // SAFETY: By the type invariants and the assertion.
        unsafe { load(self.at(offset), bytes) }
    }

    /// Loads the word at byte number `offset`, a multiple of the word size, as a whole.
    #[inline]
    pub(crate) fn load_word(&self, offset: usize) -> u64 {
        assert!(offset % WORD == 0 && offset < self.len && WORD <= self.len - offset);
        // SAFETY: The word is in the region, which starts with a page, so it is aligned.
        unsafe { AtomicU64::from_ptr(self.at(offset).cast()) }.load(Relaxed)
    }

    /// Stores the word at byte number `offset`, a multiple of the word size, as a whole.
    #[inline]
    pub(crate) fn store_word(&self, offset: usize, word: u64) {
        assert!(self.writable && offset % WORD == 0);
        assert!(offset < self.len && WORD <= self.len - offset);
        // SAFETY: The word is in the region, which is writable and starts with a page, so it is
        // aligned.
        unsafe { AtomicU64::from_ptr(self.at(offset).cast()) }.store(word, Relaxed);
    }

    /// Loads byte number `offset`.
    #[inline]
    pub(crate) fn load_byte(&self, offset: usize) -> u8 {
        assert!(offset < self.len);
        // SAFETY: The byte is in the region.
        unsafe { AtomicU8::from_ptr(self.at(offset)) }.load(Relaxed)
    }
}

impl Drop for Region {
    fn drop(&mut self) {
        // SAFETY: Only this value maps the memory, and references to it do not outlive `self`.
        unsafe { libc::munmap(self.start.as_ptr().cast(), self.len) };
    }
}

const WORD: usize = size_of::<u64>();

/// Copies `from` to shared memory, in words where the destination is aligned.
///
/// # Safety
///
/// The bytes at `to` must be valid for atomic stores.
#[inline]
unsafe fn store(to: *mut u8, from: &[u8]) {
    let (head, from) = from.split_at(to.align_offset(WORD).min(from.len()));
    // SAFETY: By the safety requirements, here and below; all accesses are within `from.len()`
    // bytes.
    let mut to = unsafe { store_bytes(to, head) };
    let mut words = from.chunks_exact(WORD);
    for word in &mut words {
        let word = u64::from_ne_bytes(word.try_into().expect("a chunk is a word"));
        // SAFETY: `to` is aligned: `head` ends at a multiple of the word size.
        unsafe {
            AtomicU64::from_ptr(to.cast()).store(word, Relaxed);
            to = to.add(WORD);
        }
    }
    // SAFETY: See above.
    unsafe { store_bytes(to, words.remainder()) };
}

/// # Safety
///
/// As for [`store`].
#[inline]
unsafe fn store_bytes(mut to: *mut u8, from: &[u8]) -> *mut u8 {
    for byte in from {
        // SAFETY: By the safety requirements.
        unsafe {
            AtomicU8::from_ptr(to).store(*byte, Relaxed);
            to = to.add(1);
        }
    }
    to
}

/// Copies shared memory to `to`.
///
/// # Safety
///
/// The bytes at `from` must be valid for relaxed atomic loads.
#[inline]
unsafe fn load(from: *mut u8, to: &mut [u8]) {
    let (head, to) = to.split_at_mut(from.align_offset(WORD).min(to.len()));
    // SAFETY: By the safety requirements, here and below; all accesses are within `to.len()` bytes.
    let mut from = unsafe { load_bytes(from, head) };
    let mut words = to.chunks_exact_mut(WORD);
    for word in &mut words {
        // SAFETY: `from` is aligned: `head` ends at a multiple of the word size.
        unsafe {
            let loaded = AtomicU64::from_ptr(from.cast()).load(Relaxed);
            word.copy_from_slice(&loaded.to_ne_bytes());
            from = from.add(WORD);
        }
    }
    // SAFETY: See above.
    unsafe { load_bytes(from, words.into_remainder()) };
}

/// # Safety
///
/// As for [`load`].
#[inline]
unsafe fn load_bytes(mut from: *mut u8, to: &mut [u8]) -> *mut u8 {
    for byte in to {
        // SAFETY: By the safety requirements.
        unsafe {
            *byte = AtomicU8::from_ptr(from).load(Relaxed);
            from = from.add(1);
        }
    }
    from
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Every alignment and length up to a few words. Can also be run with Miri.
    #[test]
    fn copies_are_exact() {
        let pattern: Vec<u8> = (1..=40).collect();
        for offset in 0..2 * WORD {
            for len in 0..=3 * WORD {
                let mut memory = [0u64; 8];
                let start = memory.as_mut_ptr().cast::<u8>();
                // SAFETY: 16 + 24 bytes are within 64.
                unsafe { store(start.add(offset), &pattern[..len]) };
                let mut back = vec![0xff; len];
                // SAFETY: As above.
                unsafe { load(start.add(offset), &mut back) };
                assert_eq!(back, pattern[..len]);
                let all: Vec<u8> = memory.iter().flat_map(|w| w.to_ne_bytes()).collect();
                for (i, byte) in all.iter().enumerate() {
                    let inside = (offset..offset + len).contains(&i);
                    assert_eq!(*byte, if inside { pattern[i - offset] } else { 0 });
                }
            }
        }
    }
}
