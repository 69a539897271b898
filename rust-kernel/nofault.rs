// SPDX-License-Identifier: GPL-2.0

//! Copying to and from user memory without taking a page fault.
//!
//! A page fault may take long: it waits for the `mmap_lock` of the process, for a disk, or for a
//! `userfaultfd` monitor that answers when it likes. Who copies with a lock held has everyone else
//! who wants that lock wait as long, and may not take it with the `mmap_lock` held. The way out is
//! that of `generic_perform_write()`: copy [without page faults](without_page_faults); if that
//! falls short, drop the lock, [fault in](FaultIn::fault_in) what was missing, and start again.
//! [`FaultIn::attempt`] puts the iterator back for that.
//!
//! C headers: [`include/linux/uaccess.h`](srctree/include/linux/uaccess.h),
//! [`include/linux/uio.h`](srctree/include/linux/uio.h)
//!
//! # Examples
//!
//! ```
//! use kernel::{
//!     iov::IovIterDest,
//!     nofault::{
//!         without_page_faults,
//!         FaultIn, //
//!     },
//!     sync::Mutex, //
//! };
//!
//! /// Copies all of what is there, with the lock held just for that.
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

/// Calls `copy` with page faults disabled for this task: an access to user memory that would take
/// one fails, as one to a bad address does.
///
/// Nothing else changes: `copy` may sleep if its caller may. Calls can be nested.
#[inline]
pub fn without_page_faults<R>(copy: impl FnOnce() -> R) -> R {
    // Not helpers for `pagefault_disable()` and `pagefault_enable()`: each read and write comes
    // here, and they would be calls where helpers are not inlined.
    let task = current!().as_ptr();
    // SAFETY: The task is the current one, and the field its own. Interrupts disable page faults,
    // too, but leave it as they found it, so that none can come in between.
    unsafe { (*task).pagefault_disabled = (*task).pagefault_disabled.wrapping_add(1) };
    // As in `pagefault_disable()`: what `copy` accesses must not move out of here.
    compiler_fence(Ordering::SeqCst);
    let result = copy();
    compiler_fence(Ordering::SeqCst);
    // SAFETY: As above.
    unsafe { (*task).pagefault_disabled = (*task).pagefault_disabled.wrapping_sub(1) };
    result
}

/// What an iterator over memory can do for who copies without page faults.
pub trait FaultIn {
    /// Has the first `count` bytes be there. Returns how many of the last ones could not be had.
    ///
    /// They may be gone again at any time. For memory that is not user memory there is nothing to
    /// do.
    ///
    /// # Context
    ///
    /// Process context, no lock held that is taken with the `mmap_lock` held. May sleep, as long as
    /// user space likes.
    fn fault_in(&mut self, count: usize) -> usize;

    /// Calls `copy`, and if that returns [`None`] puts the iterator back to where it was before.
    fn attempt<R>(&mut self, copy: impl FnOnce(&mut Self) -> Option<R>) -> Option<R>;
}

/// [`FaultIn::attempt`] of iterators.
///
/// # Safety
///
/// `as_raw` returns a pointer to a valid iterator.
#[inline(always)]
unsafe fn attempt_iter<T, R>(
    iter: &mut T,
    as_raw: impl Fn(&mut T) -> *mut bindings::iov_iter,
    copy: impl FnOnce(&mut T) -> Option<R>,
) -> Option<R> {
    // SAFETY: It is valid, as the caller promises, and owns nothing, so that there may be a copy.
    let before = unsafe { ptr::read(as_raw(iter)) };
    let result = copy(iter);
    if result.is_none() {
        // SAFETY: A state that it was in, whose memory is there for as long as its type says,
        // whatever `copy` has done to it.
        unsafe { ptr::write(as_raw(iter), before) };
    }
    result
}

/// Whether this task has user memory: kernel threads have none, and the C functions that fault in
/// take it for granted.
fn has_user_memory() -> bool {
    let task = current!().as_ptr();
    // SAFETY: The task is the current one, and nobody else changes its `mm`.
    !unsafe { (*task).mm }.is_null()
}

/// Whether this task is being killed. Then nothing can be faulted in any more, whether or not the
/// memory is bad. As `fatal_signal_pending()` in C, which is inline.
///
/// # Context
///
/// Process context.
pub fn is_being_killed() -> bool {
    let task = current!();
    // SAFETY: The task is the current one. Others may set the bit at any time, so it is read once.
    let pending = unsafe { ptr::read_volatile(&raw const (*task.as_ptr()).pending.signal.sig[0]) };
    task.signal_pending() && pending & (1 << (bindings::SIGKILL - 1)) != 0
}

/// Whether `iter` is over user memory, and this task has none.
///
/// # Safety
///
/// `iter` must be a valid iterator.
unsafe fn is_out_of_reach(iter: *const bindings::iov_iter) -> bool {
    // SAFETY: As the caller promises. Those are the types of `user_backed_iter()`.
    let user = unsafe { (*iter).iter_type } <= bindings::iter_type_ITER_IOVEC as u8;
    user && !has_user_memory()
}

/// [`FaultIn::attempt`] of user memory in one piece.
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
        // SAFETY: The iterator is valid.
        unsafe {
            // See `UserDest`.
            bindings::fault_in_iov_iter_readable(self.as_raw(), count.min(1));
            bindings::fault_in_iov_iter_writeable(self.as_raw(), count)
        }
    }

    #[inline(always)]
    fn attempt<R>(&mut self, copy: impl FnOnce(&mut Self) -> Option<R>) -> Option<R> {
        // SAFETY: The iterator is valid as long as there is a reference to it.
        unsafe { attempt_iter(self, Self::as_raw, copy) }
    }
}

impl FaultIn for IovIterSource<'_> {
    fn fault_in(&mut self, count: usize) -> usize {
        // SAFETY: The iterator is valid.
        if unsafe { is_out_of_reach(self.as_raw()) } {
            return count;
        }
        // SAFETY: The iterator is valid.
        unsafe { bindings::fault_in_iov_iter_readable(self.as_raw(), count) }
    }

    #[inline(always)]
    fn attempt<R>(&mut self, copy: impl FnOnce(&mut Self) -> Option<R>) -> Option<R> {
        // SAFETY: The iterator is valid as long as there is a reference to it.
        unsafe { attempt_iter(self, Self::as_raw, copy) }
    }
}

impl FaultIn for UserDest {
    fn fault_in(&mut self, count: usize) -> usize {
        if !has_user_memory() {
            return count;
        }
        let start = self.start().as_const_ptr();
        // SAFETY: Both check the address, and change nothing that is there.
        unsafe {
            // A stack grows by what a task touches, as a copy would, and not by what is done to its
            // pages from elsewhere, as the other does it. All that is above the first byte is in
            // the same area then.
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
        // SAFETY: It checks the address, and only reads there.
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

    /// An iterator over the memory of a segment.
    fn source(segment: &bindings::kvec) -> bindings::iov_iter {
        let mut iter = bindings::iov_iter::default();
        // SAFETY: Both are valid; the users keep the segment for as long as the iterator.
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

    /// KUnit's tasks are kernel threads.
    #[test]
    fn without_user_memory_all_is_missing() {
        let start = UserPtr::from_addr(PAGE_SIZE);
        assert_eq!(UserDest::new(start, 100).fault_in(100), 100);
        assert_eq!(UserSource::new(start, 100).fault_in(100), 100);
    }

    /// Whatever was done to it, even putting another one in its place.
    #[test]
    fn attempt_puts_the_iterator_back() {
        let segments = [b"first, ", b"second "].map(|text| bindings::kvec {
            iov_base: text.as_ptr().cast_mut().cast(),
            iov_len: text.len(),
        });
        let [mut first, mut second] = segments.each_ref().map(source);
        // SAFETY: They are valid, sources, and nobody else uses them.
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
