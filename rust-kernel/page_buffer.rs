// SPDX-License-Identifier: GPL-2.0
// Copyright (C) 2026 Seed 1f3ad1c2 maintainers.

//! Buffers of pages that are shared with user space.
//!
//! Memory that user space maps may change at any time, written by a CPU that knows nothing of
//! Rust's references. So a [`PageBuffer`] never gives out a `&[u8]` or `&mut [u8]` to its bytes:
//! they are copied in and out, or accessed as atomics.
//!
//! The copies are made by the kernel's iterator and user copy functions. The compiler knows nothing
//! about these functions, so it cannot merge, split or repeat their calls. `memcpy()`, `memmove()`
//! and `memset()` would not do: the compiler knows what they mean, and may replace a call with any
//! number of loads and stores of its own. All this also holds if this file is compiled into the
//! same crate as its users.
//!
//! Not supported: architectures with aliasing caches, where the kernel's and user space's addresses
//! of a page may have different colours, and mappings of huge pages or of parts of a page.
//!
//! C headers: [`include/linux/vmalloc.h`](srctree/include/linux/vmalloc.h),
//! [`include/linux/uio.h`](srctree/include/linux/uio.h)
//!
//! # Examples
//!
//! ```
//! use kernel::{
//!     page::PAGE_SIZE,
//!     page_buffer::PageBuffer,
//!     sync::atomic::Relaxed,
//! };
//!
//! let buffer = PageBuffer::new(2)?;
//! assert_eq!(buffer.len(), 2 * PAGE_SIZE);
//!
//! // Copies end where the buffer ends.
//! assert_eq!(buffer.write(2 * PAGE_SIZE - 3, b"vfifo"), 3);
//! let mut out = [0u8; 4];
//! assert_eq!(buffer.read(2 * PAGE_SIZE - 4, &mut out), 4);
//! assert_eq!(&out, b"\0vfi");
//!
//! // The compiler checks that atomics are aligned and within the first page.
//! buffer.atomic_u64::<8>().store(7, Relaxed);
//! assert_eq!(buffer.atomic_u64::<8>().load(Relaxed), 7);
//! assert!(buffer.page(2).is_none());
//!
//! // A buffer of the size of the address space cannot be allocated, and asking for it is no bug.
//! assert!(PageBuffer::new(usize::MAX).is_err());
//! # Ok::<(), Error>(())
//! ```

use core::{
    mem::MaybeUninit,
    ptr::{
        self,
        NonNull, //
    }, //
};
use kernel::{
    alloc::allocator::Vmalloc,
    bindings,
    iov::{
        IovIterDest,
        IovIterSource, //
    },
    page::{
        BorrowedPage,
        PAGE_SIZE, //
    },
    prelude::*,
    sync::atomic::Atomic, //
};

mod copy;

pub use copy::{
    Dest,
    FromUser,
    Source,
    ToUser,
    UserDest,
    UserPiece,
    UserSource, //
};

/// Asserts that byte `offset` of a page is a place for an atomic `T`. An atomic is aligned to its
/// size, which on 32-bit machines can be more than the alignment of `T`.
const fn assert_fits<T>(offset: usize) {
    assert!(offset % size_of::<T>() == 0 && offset <= PAGE_SIZE - size_of::<T>());
}

/// A page of memory. vmalloc aligns it to the size of a page, of which this is the smallest.
#[repr(C, align(4096))]
struct RawPage([u8; PAGE_SIZE]);

/// A buffer of whole pages, contiguous in the kernel's address space, that user space may map (see
/// `kernel::mm::mmap`). It is zeroed at first.
///
/// # Invariants
///
/// - `base` points at `len` bytes of initialised vmalloc memory, which `_pages` owns. `len` is a
///   multiple of `PAGE_SIZE`.
/// - There are no Rust references to those bytes, except to [`Atomic`]s.
pub struct PageBuffer {
    base: NonNull<u8>,
    len: usize,
    // Owns the memory. Has no elements, so there can be no reference to one.
    _pages: VVec<MaybeUninit<RawPage>>,
}

// SAFETY: The memory is not tied to a task or CPU.
unsafe impl Send for PageBuffer {}
// SAFETY: The methods access the bytes with atomics, or with C functions whose body the compiler
// does not see and whose name means nothing to it. So the compiler itself makes no access that it
// could change. Concurrent copies of the same bytes may store, or return, a mix of them.
unsafe impl Sync for PageBuffer {}

/// Calls `copy` with an iterator over `count` bytes of kernel memory, starting at `start`.
///
/// `direction` is `ITER_SOURCE` to copy from that memory, and `ITER_DEST` to copy to it. This
/// function itself only passes the address on.
fn with_iter<R>(
    direction: u32,
    start: *mut u8,
    count: usize,
    copy: impl FnOnce(*mut bindings::iov_iter) -> R,
) -> R {
    let segment = bindings::kvec {
        iov_base: start.cast(),
        iov_len: count,
    };
    let mut iter = bindings::iov_iter::default();
    // SAFETY: Both are valid, and `copy` uses the iterator only while they exist.
    unsafe { bindings::iov_iter_kvec(&mut iter, direction, &segment, 1, count) };
    copy(&mut iter)
}

/// Calls `access`, which loads from a buffer that others may be storing to at the same time, and
/// tells KCSAN that this race is intended.
///
/// This is for a caller that finds out afterwards whether its copy is whole, as the reader of a
/// sequence lock does, and else discards it. The race is harmless in itself: bytes of a buffer are
/// only accessed by atomics and by C functions, see [`PageBuffer`]. Others have no such mark, so
/// two stores that race with each other are still reported.
///
/// This is `data_race()` in C.
///
/// C header: [`include/linux/compiler.h`](srctree/include/linux/compiler.h)
///
/// # Context
///
/// That of `access`.
#[inline]
pub fn data_race<R>(access: impl FnOnce() -> R) -> R {
    // SAFETY: These functions change a counter of the current task or, in an interrupt, of the CPU.
    // `access` returns to the same context, so the calls are balanced.
    #[cfg(CONFIG_KCSAN)]
    unsafe {
        bindings::kcsan_disable_current()
    };
    let result = access();
    // SAFETY: As above.
    #[cfg(CONFIG_KCSAN)]
    unsafe {
        bindings::kcsan_enable_current()
    };
    result
}

impl PageBuffer {
    /// Allocates `pages` zeroed pages.
    ///
    /// They are charged to the memory cgroup of the calling task. Since a user may choose how many
    /// pages there are, this does not try as hard as it could: if there is not enough memory, it
    /// fails, and no process is killed for it.
    ///
    /// # Context
    ///
    /// Process context. May sleep.
    ///
    /// # Errors
    ///
    /// Returns [`ENOMEM`] if there is not enough memory, if the memory cgroup has reached its
    /// limit, or if `pages` is zero or exceeds the address space. Nothing is logged.
    pub fn new(pages: usize) -> Result<Self> {
        const FLAGS: bindings::gfp_t = bindings::GFP_KERNEL_ACCOUNT
            | bindings::__GFP_ZERO
            | bindings::__GFP_NOWARN
            | 1 << bindings::___GFP_RETRY_MAYFAIL_BIT;

        if pages == 0 {
            return Err(ENOMEM);
        }
        let len = pages.checked_mul(PAGE_SIZE).ok_or(ENOMEM)?;
        // An estimate. Without this check, the allocation would take the last free page before it
        // fails, and an allocation by another task would meanwhile have a process killed.
        //
        // SAFETY: This only reads counters.
        let available = unsafe { bindings::si_mem_available() };
        if usize::try_from(available).map_or(true, |available| pages > available) {
            return Err(ENOMEM);
        }
        // SAFETY: With a null pointer, this allocates new memory. The alignment is a power of two.
        let base = unsafe {
            bindings::vrealloc_node_align(
                ptr::null(),
                len,
                align_of::<RawPage>(),
                FLAGS,
                bindings::NUMA_NO_NODE,
            )
        };
        let base = NonNull::new(base.cast::<u8>()).ok_or(ENOMEM)?;
        // SAFETY: `Vmalloc` allocates with the same function. The memory has the layout of `pages`
        // elements, and the vector regards none of them as initialised.
        let pages = unsafe { VVec::from_raw_parts(base.as_ptr().cast(), 0, pages) };

        // INVARIANT: The vector has space for that many pages, and the allocator has zeroed them.
        Ok(Self {
            base,
            len,
            _pages: pages,
        })
    }

    /// Returns the size, in bytes: a multiple of the page size, and not zero.
    ///
    /// # Context
    ///
    /// Any context.
    #[inline]
    #[expect(clippy::len_without_is_empty, reason = "never empty")]
    pub fn len(&self) -> usize {
        self.len
    }

    /// Returns the address of byte `offset`, and how many of the `count` bytes that start there are
    /// in the buffer.
    #[inline]
    fn span(&self, offset: usize, count: usize) -> (*mut u8, usize) {
        let offset = offset.min(self.len);
        // SAFETY: `offset` is within the allocation, or just past its end.
        let start = unsafe { self.base.as_ptr().add(offset) };
        (start, count.min(self.len - offset))
    }

    /// Copies up to `count` bytes from `source` to the buffer, starting at byte `offset`. Returns
    /// the number of bytes copied. It is smaller at the end of the buffer, at the end of `source`,
    /// and at a fault in user memory.
    ///
    /// # Context
    ///
    /// Process context. May sleep in a page fault; see `kernel::uaccess::nofault`.
    #[inline]
    pub fn copy_from_iter(
        &self,
        offset: usize,
        count: usize,
        source: &mut IovIterSource<'_>,
    ) -> usize {
        let (start, count) = self.span(offset, count);
        // SAFETY: By the type invariants, `start` is valid for writing `count` bytes, and there is
        // no reference to them. `as_raw()` returns a valid iterator of this direction.
        unsafe { bindings::_copy_from_iter(start.cast(), count, source.as_raw()) }
    }

    /// Copies up to `count` bytes from the buffer to `dest`, starting at byte `offset`. Returns the
    /// number of bytes copied. It is smaller at the end of the buffer, at the end of `dest`, and at
    /// a fault in user memory.
    ///
    /// # Context
    ///
    /// Process context. May sleep in a page fault; see `kernel::uaccess::nofault`.
    #[inline]
    pub fn copy_to_iter(&self, offset: usize, count: usize, dest: &mut IovIterDest<'_>) -> usize {
        let (start, count) = self.span(offset, count);
        // SAFETY: By the type invariants, `start` is valid for reading `count` bytes, and there is
        // no reference to them. `as_raw()` returns a valid iterator of this direction.
        unsafe { bindings::_copy_to_iter(start.cast(), count, dest.as_raw()) }
    }

    /// Copies `bytes` to the buffer, starting at byte `offset`. Returns the number of bytes copied,
    /// which is smaller at the end of the buffer.
    ///
    /// # Context
    ///
    /// Any context.
    pub fn write(&self, offset: usize, bytes: &[u8]) -> usize {
        let (start, count) = self.span(offset, bytes.len());
        let from = bytes.as_ptr().cast_mut();
        // SAFETY: `start` is valid for writing `count` bytes. `bytes` is at least as long, and only
        // read.
        with_iter(bindings::ITER_SOURCE, from, count, |from| unsafe {
            bindings::_copy_from_iter(start.cast(), count, from)
        })
    }

    /// Sets `count` bytes to zero, starting at byte `offset`. Returns the number of bytes set,
    /// which is smaller at the end of the buffer.
    ///
    /// # Context
    ///
    /// Any context.
    pub fn zero(&self, offset: usize, count: usize) -> usize {
        let (start, count) = self.span(offset, count);
        // SAFETY: `start` is valid for writing `count` bytes.
        with_iter(bindings::ITER_DEST, start, count, |to| unsafe {
            bindings::iov_iter_zero(count, to)
        })
    }

    /// Copies from the buffer to `bytes`, starting at byte `offset`. Returns the number of bytes
    /// copied, which is smaller at the end of the buffer.
    ///
    /// # Context
    ///
    /// Any context.
    pub fn read(&self, offset: usize, bytes: &mut [u8]) -> usize {
        let (start, count) = self.span(offset, bytes.len());
        // SAFETY: `start` is valid for reading `count` bytes. `bytes` is at least as long.
        with_iter(
            bindings::ITER_DEST,
            bytes.as_mut_ptr(),
            count,
            |to| unsafe { bindings::_copy_to_iter(start.cast(), count, to) },
        )
    }

    /// Copies up to `count` bytes to another buffer: from byte `offset` of this one, to byte
    /// `dest_offset` of `dest`. Returns the number of bytes copied, which is smaller at the end of
    /// either buffer.
    ///
    /// # Context
    ///
    /// Any context.
    pub fn copy_to(
        &self,
        offset: usize,
        count: usize,
        dest: &PageBuffer,
        dest_offset: usize,
    ) -> usize {
        let (to, count) = dest.span(dest_offset, count);
        let (from, count) = self.span(offset, count);
        // SAFETY: Both addresses are valid for `count` bytes.
        with_iter(bindings::ITER_SOURCE, from, count, |from| unsafe {
            bindings::_copy_from_iter(to.cast(), count, from)
        })
    }

    /// Returns the `u64` at byte `OFFSET` of the first page. `OFFSET` must be aligned.
    ///
    /// A concurrent copy of the same bytes may see half of a store. So may user space on 32-bit
    /// machines.
    ///
    /// # Context
    ///
    /// Any context.
    #[inline]
    pub fn atomic_u64<const OFFSET: usize>(&self) -> &Atomic<u64> {
        const { assert_fits::<u64>(OFFSET) };
        // SAFETY: There is a first page, it is page aligned, and it lives as long as `self`. The
        // atomic is aligned, and all of it is within that page. All other accesses to these bytes
        // are made by atomics, by C functions, or by user space.
        unsafe { Atomic::from_ptr(self.base.as_ptr().add(OFFSET).cast()) }
    }

    /// Returns the `u32` at byte `OFFSET` of the first page. `OFFSET` must be aligned.
    ///
    /// # Context
    ///
    /// Any context.
    #[inline]
    pub fn atomic_u32<const OFFSET: usize>(&self) -> &Atomic<u32> {
        const { assert_fits::<u32>(OFFSET) };
        // SAFETY: As in `atomic_u64()`.
        unsafe { Atomic::from_ptr(self.base.as_ptr().add(OFFSET).cast()) }
    }

    /// Returns the `u64` at byte `offset`, or [`None`] if `offset` is not a multiple of 8 or past
    /// the end. See [`PageBuffer::atomic_u64`].
    ///
    /// # Context
    ///
    /// Any context.
    #[inline]
    pub fn atomic_u64_at(&self, offset: usize) -> Option<&Atomic<u64>> {
        let (start, count) = self.span(offset, size_of::<u64>());
        if count < size_of::<u64>() || offset % size_of::<u64>() != 0 {
            return None;
        }
        // SAFETY: `start` is valid for 8 bytes, and lives as long as `self`. It is aligned, since
        // the buffer begins with a page. Otherwise as in `atomic_u64()`.
        Some(unsafe { Atomic::from_ptr(start.cast()) })
    }

    /// Returns page number `index`, or [`None`] past the end.
    ///
    /// # Context
    ///
    /// Any context.
    #[inline]
    pub fn page(&self, index: usize) -> Option<BorrowedPage<'_>> {
        let (start, count) = self.span(index.checked_mul(PAGE_SIZE)?, PAGE_SIZE);
        if count == 0 {
            return None;
        }
        // SAFETY: `start` is an address in a vmalloc allocation, which lives as long as `self`.
        Some(unsafe { Vmalloc::to_page(NonNull::new(start)?) })
    }

    /// Returns the frame number of page number `index`, or [`None`] past the end. The page has this
    /// frame for as long as `self` lives.
    ///
    /// # Context
    ///
    /// Any context.
    pub fn frame(&self, index: usize) -> Option<usize> {
        let (start, count) = self.span(index.checked_mul(PAGE_SIZE)?, PAGE_SIZE);
        // SAFETY: `start` is an address in a vmalloc allocation.
        (count > 0).then(|| unsafe { bindings::vmalloc_to_pfn(start.cast()) })
    }
}
