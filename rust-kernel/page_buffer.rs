// SPDX-License-Identifier: GPL-2.0

//! Buffers made of pages, to be shared with user space.
//!
//! Memory that user space maps may change at any instant, by the hand of a CPU that knows nothing
//! of Rust's references. So a [`PageBuffer`] never hands out a `&[u8]` or `&mut [u8]` to its bytes:
//! they are copied in and out, or accessed as atomics.
//!
//! The copies are made by the kernel's iterator and user copy functions. To the compiler these are
//! calls it knows nothing about, so it can neither merge two of them, nor split or repeat one.
//! `memcpy()`, `memmove()` and `memset()` would not do: the compiler knows what they mean, and may
//! replace a call by loads and stores of its own, as often and in such pieces as it likes. That
//! also holds where this file is compiled into the same crate as its users.
//!
//! Not supported: architectures whose caches alias (the kernel and user addresses of a page may
//! have another colour there), and sub-page or huge-page mappings.
//!
//! C header: [`include/linux/vmalloc.h`](srctree/include/linux/vmalloc.h)
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
//! // That atomics are aligned and within the first page is checked by the compiler.
//! buffer.atomic_u64::<8>().store(7, Relaxed);
//! assert_eq!(buffer.atomic_u64::<8>().load(Relaxed), 7);
//! assert!(buffer.page(2).is_none());
//!
//! // Nothing of the size of the address space can be had, and asking is no crime.
//! assert!(PageBuffer::new(usize::MAX).is_err());
//! # Ok::<(), Error>(())
//! ```

use core::{
    marker::PhantomData,
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
    sync::atomic::Atomic,
    uaccess::UserPtr, //
};

/// Where bytes can be copied to: several pieces of memory, or one of user memory.
pub trait Dest {
    /// How many bytes there is space for.
    fn remaining(&self) -> usize;

    /// Copies up to `count` bytes from byte `offset` of `buffer` on, as
    /// [`PageBuffer::copy_to_iter`].
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

/// What bytes can be copied from: several pieces of memory, or one of user memory.
pub trait Source {
    /// How many bytes there are.
    fn remaining(&self) -> usize;

    /// Copies up to `count` bytes to byte `offset` of `buffer` on, as
    /// [`PageBuffer::copy_from_iter`].
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

/// One piece of user memory, as a plain read(2) or write(2) has: what an iterator is to several.
///
/// Whether it is there at all is found out by copying.
#[derive(Clone)]
pub struct UserPiece<Direction> {
    start: UserPtr,
    len: usize,
    _direction: PhantomData<Direction>,
}

/// The direction of a [`UserPiece`] that bytes are copied to.
#[derive(Clone)]
pub struct ToUser;

/// The direction of a [`UserPiece`] that bytes are copied from.
#[derive(Clone)]
pub struct FromUser;

/// User memory that bytes are copied to.
pub type UserDest = UserPiece<ToUser>;

/// User memory that bytes are copied from.
pub type UserSource = UserPiece<FromUser>;

impl<Direction> UserPiece<Direction> {
    /// The `len` bytes from `start` on.
    #[inline]
    pub fn new(start: UserPtr, len: usize) -> Self {
        Self {
            start,
            len,
            _direction: PhantomData,
        }
    }

    /// The address of the first byte that is left.
    #[inline]
    pub fn start(&self) -> UserPtr {
        self.start
    }

    /// Leaves the first `count` bytes behind, of which there are as many.
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
        // SAFETY: `start` is valid for reading `count` bytes by the type invariants of the buffer;
        // the memory is not behind a reference. User addresses are checked by the C function.
        let left = unsafe {
            bindings::_copy_to_user(
                self.start.as_mut_ptr(),
                start.cast_const().cast(),
                count as c_ulong,
            )
        };
        // Never more is left than was to be copied.
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

    /// Zeroes what could not be copied.
    #[inline]
    fn copy_to_buffer(&mut self, buffer: &PageBuffer, offset: usize, count: usize) -> usize {
        let (start, count) = buffer.span(offset, count.min(self.len));
        // SAFETY: `start` is valid for writing `count` bytes by the type invariants of the buffer;
        // the memory is not behind a reference. User addresses are checked by the C function.
        let left = unsafe {
            bindings::_copy_from_user(start.cast(), self.start.as_const_ptr(), count as c_ulong)
        };
        // Never more is left than was to be copied.
        let copied = count.wrapping_sub(left as usize);
        self.advance(copied);
        copied
    }
}

/// Asserts that an atomic `T` may be at byte `offset` of a page: atomics are aligned to their size,
/// which on machines of 32 bits can be more than what `T` is aligned to.
const fn assert_fits<T>(offset: usize) {
    assert!(offset % size_of::<T>() == 0 && offset <= PAGE_SIZE - size_of::<T>());
}

/// A page's worth of memory. vmalloc aligns it as a page, this says the least that a page can be.
#[repr(C, align(4096))]
struct RawPage([u8; PAGE_SIZE]);

/// A zeroed buffer of whole pages, contiguous in the kernel's address space, that user space may
/// map (see `kernel::mmap`).
///
/// # Invariants
///
/// - `base` points at `len` bytes of zeroed-at-first vmalloc memory, owned by `_pages`, a multiple
///   of `PAGE_SIZE`.
/// - No Rust reference to those bytes exists, other than to [`Atomic`]s.
pub struct PageBuffer {
    base: NonNull<u8>,
    len: usize,
    // Owns the memory. Never has an element, so that no reference to one can be had.
    _pages: VVec<MaybeUninit<RawPage>>,
}

// SAFETY: The memory is not tied to a task or CPU.
unsafe impl Send for PageBuffer {}
// SAFETY: The methods use atomics, or have C functions copy whose body the compiler does not see
// and whose name it does not know, so that no access to the bytes is its own to change. Copies of
// the same bytes at the same time may leave or give a mix of them.
unsafe impl Sync for PageBuffer {}

/// Calls `copy` with an iterator over `count` bytes of kernel memory from `start` on.
///
/// `direction` is `ITER_SOURCE` if bytes are copied from there, `ITER_DEST` if they are copied
/// there. This function only passes the address on.
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
    // SAFETY: Both are valid, and outlive the use of the iterator by `copy`.
    unsafe { bindings::iov_iter_kvec(&mut iter, direction, &segment, 1, count) };
    copy(&mut iter)
}

impl PageBuffer {
    /// Allocates `pages` zeroed pages.
    ///
    /// They are charged to the memory cgroup of the calling task. How many may be up to a user, so
    /// this does not try as hard as it could: where there are not enough it fails, and does not
    /// have processes killed for their memory.
    ///
    /// # Context
    ///
    /// Process context. May sleep.
    ///
    /// # Errors
    ///
    /// [`ENOMEM`] if there is not enough memory, the memory cgroup has reached its limit, or
    /// `pages` is zero or absurd. The log stays quiet: the caller knows whose fault that is.
    pub fn new(pages: usize) -> Result<Self> {
        const FLAGS: bindings::gfp_t = bindings::GFP_KERNEL_ACCOUNT
            | bindings::__GFP_ZERO
            | bindings::__GFP_NOWARN
            | 1 << bindings::___GFP_RETRY_MAYFAIL_BIT;

        if pages == 0 {
            return Err(ENOMEM);
        }
        let len = pages.checked_mul(PAGE_SIZE).ok_or(ENOMEM)?;
        // An estimate. Without it the last page of the system would be had before this fails, and
        // somebody else's allocation meanwhile would have processes killed.
        // SAFETY: It only looks.
        let available = unsafe { bindings::si_mem_available() };
        if usize::try_from(available).map_or(true, |available| pages > available) {
            return Err(ENOMEM);
        }
        // SAFETY: Null asks for new memory. The alignment is a power of two.
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
        // SAFETY: This is how `Vmalloc` allocates, too, and this is the layout of `pages` elements,
        // none of which is initialised as far as the vector is concerned.
        let pages = unsafe { VVec::from_raw_parts(base.as_ptr().cast(), 0, pages) };

        // INVARIANT: The vector has space for that many elements, which the allocator zeroed.
        Ok(Self {
            base,
            len,
            _pages: pages,
        })
    }

    /// The size, in bytes: a multiple of the page size, and not zero.
    #[inline]
    #[expect(clippy::len_without_is_empty, reason = "never empty")]
    pub fn len(&self) -> usize {
        self.len
    }

    /// Returns the address of byte `offset` and how many of `count` bytes there are from it on.
    #[inline]
    fn span(&self, offset: usize, count: usize) -> (*mut u8, usize) {
        let offset = offset.min(self.len);
        // SAFETY: `offset` is within the allocation, or one past its end.
        let start = unsafe { self.base.as_ptr().add(offset) };
        (start, count.min(self.len - offset))
    }

    /// Copies up to `count` bytes from `source` to byte `offset` on. Returns how many were copied:
    /// fewer at the end of the buffer, the end of `source`, and at a fault in user memory.
    ///
    /// # Context
    ///
    /// Process context. May sleep, on a page fault: see `kernel::nofault`.
    #[inline]
    pub fn copy_from_iter(
        &self,
        offset: usize,
        count: usize,
        source: &mut IovIterSource<'_>,
    ) -> usize {
        let (start, count) = self.span(offset, count);
        // SAFETY: `start` is valid for writing `count` bytes by the type invariants; the memory is
        // not behind a reference. `as_raw()` gives a valid iterator of the right direction.
        unsafe { bindings::_copy_from_iter(start.cast(), count, source.as_raw()) }
    }

    /// Copies up to `count` bytes from byte `offset` on to `dest`. Returns how many were copied:
    /// fewer at the end of the buffer, the end of `dest`, and at a fault in user memory.
    ///
    /// # Context
    ///
    /// Process context. May sleep, on a page fault: see `kernel::nofault`.
    #[inline]
    pub fn copy_to_iter(&self, offset: usize, count: usize, dest: &mut IovIterDest<'_>) -> usize {
        let (start, count) = self.span(offset, count);
        // SAFETY: `start` is valid for reading `count` bytes by the type invariants; the memory is
        // not behind a reference. `as_raw()` gives a valid iterator of the right direction.
        unsafe { bindings::_copy_to_iter(start.cast(), count, dest.as_raw()) }
    }

    /// Copies `bytes` to byte `offset` on. Returns how many were copied, fewer at the buffer's end.
    ///
    /// # Context
    ///
    /// Any.
    pub fn write(&self, offset: usize, bytes: &[u8]) -> usize {
        let (start, count) = self.span(offset, bytes.len());
        let from = bytes.as_ptr().cast_mut();
        // SAFETY: `start` is valid for writing `count` bytes, and `bytes`, which is only read, is
        // at least as long.
        with_iter(bindings::ITER_SOURCE, from, count, |from| unsafe {
            bindings::_copy_from_iter(start.cast(), count, from)
        })
    }

    /// Sets `count` bytes from byte `offset` on to zero. Returns how many that were, fewer at the
    /// buffer's end.
    ///
    /// # Context
    ///
    /// Any.
    pub fn zero(&self, offset: usize, count: usize) -> usize {
        let (start, count) = self.span(offset, count);
        // SAFETY: `start` is valid for writing `count` bytes.
        with_iter(bindings::ITER_DEST, start, count, |to| unsafe {
            bindings::iov_iter_zero(count, to)
        })
    }

    /// Copies to `bytes` from byte `offset` on. Returns how many were copied, fewer at the buffer's
    /// end.
    ///
    /// # Context
    ///
    /// Any.
    pub fn read(&self, offset: usize, bytes: &mut [u8]) -> usize {
        let (start, count) = self.span(offset, bytes.len());
        // SAFETY: `start` is valid for reading `count` bytes, and `bytes` is at least as long.
        with_iter(
            bindings::ITER_DEST,
            bytes.as_mut_ptr(),
            count,
            |to| unsafe { bindings::_copy_to_iter(start.cast(), count, to) },
        )
    }

    /// Copies up to `count` bytes from byte `offset` on to byte `dest_offset` of `dest` on, which
    /// is another buffer. Returns how many were copied, fewer at either end.
    ///
    /// # Context
    ///
    /// Any.
    pub fn copy_to(
        &self,
        offset: usize,
        count: usize,
        dest: &PageBuffer,
        dest_offset: usize,
    ) -> usize {
        let (to, count) = dest.span(dest_offset, count);
        let (from, count) = self.span(offset, count);
        // SAFETY: Both are valid for `count` bytes.
        with_iter(bindings::ITER_SOURCE, from, count, |from| unsafe {
            bindings::_copy_from_iter(to.cast(), count, from)
        })
    }

    /// The `u64` at byte `OFFSET` of the first page, which must be aligned.
    ///
    /// A copy of the same bytes at the same time may see half of a store. So may user space, on
    /// machines of 32 bits.
    #[inline]
    pub fn atomic_u64<const OFFSET: usize>(&self) -> &Atomic<u64> {
        const { assert_fits::<u64>(OFFSET) };
        // SAFETY: There is a first page, it is page aligned, and it lives as long as `self`; all of
        // the atomic is within it, and aligned. Every other access to these bytes is by atomics, or
        // by user space and C.
        unsafe { Atomic::from_ptr(self.base.as_ptr().add(OFFSET).cast()) }
    }

    /// The `u32` at byte `OFFSET` of the first page, which must be aligned.
    #[inline]
    pub fn atomic_u32<const OFFSET: usize>(&self) -> &Atomic<u32> {
        const { assert_fits::<u32>(OFFSET) };
        // SAFETY: As in `atomic_u64()`.
        unsafe { Atomic::from_ptr(self.base.as_ptr().add(OFFSET).cast()) }
    }

    /// The page number `index`, or [`None`] past the end.
    #[inline]
    pub fn page(&self, index: usize) -> Option<BorrowedPage<'_>> {
        let (start, count) = self.span(index.checked_mul(PAGE_SIZE)?, PAGE_SIZE);
        if count == 0 {
            return None;
        }
        // SAFETY: `start` is an address within a vmalloc allocation, which lives as long as `self`.
        Some(unsafe { Vmalloc::to_page(NonNull::new(start)?) })
    }

    /// The number of the page frame of page number `index`, or [`None`] past the end. It is that
    /// page's for as long as `self` lives.
    pub fn frame(&self, index: usize) -> Option<usize> {
        let (start, count) = self.span(index.checked_mul(PAGE_SIZE)?, PAGE_SIZE);
        // SAFETY: `start` is an address within a vmalloc allocation.
        (count > 0).then(|| unsafe { bindings::vmalloc_to_pfn(start.cast()) })
    }
}
