// SPDX-License-Identifier: GPL-2.0
// Copyright (C) 2026 Seed 1f3ad1c2 maintainers.

//! Copying to and from user memory without page faults.
//!
//! A page fault may take a long time: it waits for the `mmap_lock` of the process, for a disk, or
//! for a `userfaultfd` monitor, which answers when it likes. A task that copies with a lock held
//! makes everyone else wait for that lock as long, and may not take the lock with the `mmap_lock`
//! held.
//!
//! The solution is that of `generic_perform_write()`: copy [without page
//! faults](without_page_faults). If not everything could be copied, drop the lock, [fault
//! in](FaultIn::fault_in) the missing pages, and retry. [`FaultIn::attempt`] resets the iterator
//! for the retry.
//!
//! C headers: [`include/linux/uaccess.h`](srctree/include/linux/uaccess.h),
//! [`include/linux/uio.h`](srctree/include/linux/uio.h)
//!
//! # Examples
//!
//! ```
//! use kernel::{
//!     iov::IovIterDest,
//!     sync::Mutex,
//!     uaccess::nofault::{
//!         without_page_faults,
//!         FaultIn, //
//!     }, //
//! };
//!
//! /// Copies all data, with the lock held only while copying.
//! fn read(data: &Mutex<[u8; 64]>, to: &mut IovIterDest<'_>) -> Result<usize> {
//!     loop {
//!         let guard = data.lock();
//!         let wanted = to.len().min(guard.len());
//!         let copied = to.attempt(|to| {
//!             let count = without_page_faults(|| to.copy_to_iter(&guard[..wanted]));
//!             (count == wanted).then_some(count)
//!         });
//!         drop(guard);
//!         match copied {
//!             Some(count) => return Ok(count),
//!             None if to.fault_in(wanted) > 0 => return Err(EFAULT),
//!             None => {}
//!         }
//!     }
//! }
//! ```

use core::{
    ptr,
    sync::atomic::{
        compiler_fence,
        Ordering, //
    }, //
};
use kernel::{
    bindings,
    current,
    iov::{
        IovIterDest,
        IovIterSource, //
    },
    page_buffer::{
        UserDest,
        UserPiece,
        UserSource, //
    }, //
};

/// Calls `copy` with page faults disabled for this task: an access to user memory that would need
/// one fails like an access to a bad address.
///
/// Calls can be nested.
///
/// This is `pagefault_disable()` and `pagefault_enable()`, which are inline in C. They are not
/// called through helpers, because each read and write of a driver may come here, and without
/// `CONFIG_RUST_INLINE_HELPERS` a helper is a function call.
///
/// C header: [`include/linux/uaccess.h`](srctree/include/linux/uaccess.h)
///
/// # Context
///
/// Process context. Sleeps only if `copy` does; disabling page faults does not forbid that.
#[inline]
pub fn without_page_faults<R>(copy: impl FnOnce() -> R) -> R {
    let task = current!().as_ptr();
    // SAFETY: The task is the current one, and only the task itself uses the field. Interrupt
    // handlers that run in between may change it too, but restore the value, so no update is lost.
    unsafe { (*task).pagefault_disabled = (*task).pagefault_disabled.wrapping_add(1) };
    // As in `pagefault_disable()`: keeps the compiler from moving the accesses of `copy` out of the
    // region.
    compiler_fence(Ordering::SeqCst);
    let result = copy();
    compiler_fence(Ordering::SeqCst);
    // SAFETY: As above.
    unsafe { (*task).pagefault_disabled = (*task).pagefault_disabled.wrapping_sub(1) };
    result
}

/// An iterator over memory that can be copied to or from without page faults.
///
/// C header: [`include/linux/uio.h`](srctree/include/linux/uio.h)
pub trait FaultIn {
    /// Makes the first `count` bytes resident. Returns how many of the last bytes could not be
    /// faulted in.
    ///
    /// The pages may be evicted again at any time. For memory that is not user memory, this does
    /// nothing.
    ///
    /// # Context
    ///
    /// Process context. May sleep, for as long as user space likes. No lock may be held that is
    /// ever taken with the `mmap_lock` held.
    fn fault_in(&mut self, count: usize) -> usize;

    /// Calls `copy`. If that returns [`None`], resets the iterator to its state before the call.
    ///
    /// # Context
    ///
    /// That of `copy`.
    fn attempt<R>(&mut self, copy: impl FnOnce(&mut Self) -> Option<R>) -> Option<R>;
}

/// [`FaultIn::attempt`] for `struct iov_iter`.
///
/// # Safety
///
/// `as_raw` must return a pointer to a valid iterator.
#[inline(always)]
unsafe fn attempt_iter<T, R>(
    iter: &mut T,
    as_raw: impl Fn(&mut T) -> *mut bindings::iov_iter,
    copy: impl FnOnce(&mut T) -> Option<R>,
) -> Option<R> {
    // SAFETY: The iterator is valid, as the caller promises. It owns nothing, so it may be copied.
    let before = unsafe { ptr::read(as_raw(iter)) };
    let result = copy(iter);
    if result.is_none() {
        // SAFETY: The iterator was in this state before. The memory that it refers to is valid for
        // the lifetime in its type, whatever `copy` has done to the iterator.
        unsafe { ptr::write(as_raw(iter), before) };
    }
    result
}

/// Returns whether this task has user memory. Kernel threads have none, and the C functions that
/// fault in pages rely on there being some.
fn has_user_memory() -> bool {
    let task = current!().as_ptr();
    // SAFETY: The task is the current one, and no other task changes its `mm`.
    !unsafe { (*task).mm }.is_null()
}

/// Returns whether this task is being killed. If so, no page can be faulted in any more, whether or
/// not the memory is bad.
///
/// C header: [`include/linux/sched/signal.h`](srctree/include/linux/sched/signal.h)
///
/// # Context
///
/// Process context.
pub fn is_being_killed() -> bool {
    let task = current!().as_ptr();
    // SAFETY: The task is the current one.
    unsafe { bindings::fatal_signal_pending(task) != 0 }
}

/// Returns whether `iter` is over user memory while this task has none.
///
/// # Safety
///
/// `iter` must point at a valid iterator.
unsafe fn is_out_of_reach(iter: *const bindings::iov_iter) -> bool {
    // SAFETY: The iterator is valid, as the caller promises. The types are those for which
    // `user_backed_iter()` returns true.
    let user = unsafe { (*iter).iter_type } <= bindings::iter_type_ITER_IOVEC as u8;
    user && !has_user_memory()
}

/// [`FaultIn::attempt`] for a single range of user memory.
#[inline(always)]
fn attempt_piece<Direction: Clone, R>(
    piece: &mut UserPiece<Direction>,
    copy: impl FnOnce(&mut UserPiece<Direction>) -> Option<R>,
) -> Option<R> {
    let before = piece.clone();
    let result = copy(piece);
    if result.is_none() {
        *piece = before;
    }
    result
}

impl FaultIn for IovIterDest<'_> {
    fn fault_in(&mut self, count: usize) -> usize {
        // SAFETY: The iterator is valid.
        if unsafe { is_out_of_reach(self.as_raw()) } {
            return count;
        }
        // SAFETY: The iterator is valid, and this task has the memory, if it is user memory.
        unsafe {
            // See `UserDest` for the first call.
            bindings::fault_in_iov_iter_readable(self.as_raw(), count.min(1));
            bindings::fault_in_iov_iter_writeable(self.as_raw(), count)
        }
    }

    #[inline(always)]
    fn attempt<R>(&mut self, copy: impl FnOnce(&mut Self) -> Option<R>) -> Option<R> {
        // SAFETY: The iterator is valid for as long as there is a reference to it.
        unsafe { attempt_iter(self, Self::as_raw, copy) }
    }
}

impl FaultIn for IovIterSource<'_> {
    fn fault_in(&mut self, count: usize) -> usize {
        // SAFETY: The iterator is valid.
        if unsafe { is_out_of_reach(self.as_raw()) } {
            return count;
        }
        // SAFETY: The iterator is valid, and this task has the memory, if it is user memory.
        unsafe { bindings::fault_in_iov_iter_readable(self.as_raw(), count) }
    }

    #[inline(always)]
    fn attempt<R>(&mut self, copy: impl FnOnce(&mut Self) -> Option<R>) -> Option<R> {
        // SAFETY: The iterator is valid for as long as there is a reference to it.
        unsafe { attempt_iter(self, Self::as_raw, copy) }
    }
}

impl FaultIn for UserDest {
    fn fault_in(&mut self, count: usize) -> usize {
        if !has_user_memory() {
            return count;
        }
        let start = self.start().as_const_ptr();
        // SAFETY: Both functions check the address, and neither changes the memory.
        unsafe {
            // A stack grows if the task touches it, as a copy would, but not if its pages are
            // faulted in from outside, as the second function does. So touch the first byte; the
            // bytes above it are in the same area then.
            bindings::fault_in_readable(start.cast(), count.min(1));
            bindings::fault_in_safe_writeable(start.cast(), count)
        }
    }

    #[inline(always)]
    fn attempt<R>(&mut self, copy: impl FnOnce(&mut Self) -> Option<R>) -> Option<R> {
        attempt_piece(self, copy)
    }
}

impl FaultIn for UserSource {
    fn fault_in(&mut self, count: usize) -> usize {
        if !has_user_memory() {
            return count;
        }
        let start = self.start().as_const_ptr();
        // SAFETY: The function checks the address, and only reads the memory.
        unsafe { bindings::fault_in_readable(start.cast(), count) }
    }

    #[inline(always)]
    fn attempt<R>(&mut self, copy: impl FnOnce(&mut Self) -> Option<R>) -> Option<R> {
        attempt_piece(self, copy)
    }
}

#[cfg(CONFIG_RUST_NOFAULT_KUNIT_TEST)]
#[::kernel::macros::kunit_tests(rust_kernel_nofault)]
mod tests {
    use super::*;
    use core::mem;
    use kernel::{
        page::PAGE_SIZE,
        uaccess::UserPtr, //
    };

    /// Returns an iterator over the memory of a segment.
    fn source(segment: &bindings::kvec) -> bindings::iov_iter {
        let mut iter = bindings::iov_iter::default();
        // SAFETY: Both are valid, and the callers keep the segment for as long as the iterator.
        unsafe {
            bindings::iov_iter_kvec(
                &mut iter,
                bindings::ITER_SOURCE,
                segment,
                1,
                segment.iov_len,
            )
        };
        iter
    }

    /// The tasks of KUnit are kernel threads.
    #[test]
    fn without_user_memory_all_is_missing() {
        let start = UserPtr::from_addr(PAGE_SIZE);
        assert_eq!(UserDest::new(start, 100).fault_in(100), 100);
        assert_eq!(UserSource::new(start, 100).fault_in(100), 100);
    }

    /// Whatever was done to the iterator, even if another one was put in its place.
    #[test]
    fn attempt_puts_the_iterator_back() {
        let segments = [b"first, ", b"second "].map(|text| bindings::kvec {
            iov_base: text.as_ptr().cast_mut().cast(),
            iov_len: text.len(),
        });
        let [mut first, mut second] = segments.each_ref().map(source);
        // SAFETY: They are valid iterators to copy from, and nothing else uses them.
        let (to, other) = unsafe {
            (
                IovIterSource::from_raw(&mut first),
                IovIterSource::from_raw(&mut second),
            )
        };
        let mut text = [0; 7];
        to.advance(2);
        other.advance(5);

        let all = to.attempt(|to| (to.copy_from_iter(&mut text) > 5).then_some(()));
        assert!(all.is_none());
        assert_eq!(&text[..5], b"rst, ");
        assert_eq!(to.len(), 5);

        let swapped: Option<()> = to.attempt(|to| {
            mem::swap(to, other);
            None
        });
        assert!(swapped.is_none());
        assert_eq!(to.copy_from_iter(&mut text), 5);
        assert_eq!(&text[..5], b"rst, ");

        assert_eq!(to.attempt(|to| Some(to.len())), Some(0));
    }
}
