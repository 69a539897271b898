// SPDX-License-Identifier: GPL-2.0
// Copyright (C) 2026 Seed 1f3ad1c2 maintainers.

//! Wait queues.
//!
//! A [`CondVar`] is tied to the lock that protects its condition. A [`WaitQueue`] is not: its
//! condition is a closure, which is checked again after the task has been added to the queue, as
//! `wait_event()` does in C. Use it for conditions made of atomics, where the waker holds no lock
//! that the sleeper could release.
//!
//! A waker stores the new state, then calls [`WaitQueue::has_sleepers`], which orders that store
//! before its check of the queue. While nobody sleeps, this full barrier is all that a waker pays.
//!
//! ```text
//! sleeper                                  waker
//!
//! add itself to the queue                  store the new state
//! barrier (prepare_to_wait_event)  <---->  barrier (has_sleepers)
//! check the condition                      check the queue
//! sleep if it is false                     wake if it is not empty
//! ```
//!
//! At least one of the two sees what the other stored, so no wake-up is lost.
//!
//! Not supported: timeouts, custom wake functions, and non-exclusive sleepers.
//!
//! C header: [`include/linux/wait.h`](srctree/include/linux/wait.h)
//!
//! # Examples
//!
//! ```
//! use kernel::{
//!     new_wait_queue,
//!     sync::{
//!         atomic::{Acquire, Atomic, Release},
//!         wait_queue::WaitQueue, //
//!     }, //
//! };
//!
//! #[pin_data]
//! struct Gate {
//!     open: Atomic<bool>,
//!     #[pin]
//!     queue: WaitQueue,
//! }
//!
//! let gate = KBox::pin_init(
//!     pin_init!(Gate {
//!         open: Atomic::new(false),
//!         queue <- new_wait_queue!("Gate::queue"),
//!     }),
//!     GFP_KERNEL,
//! )?;
//!
//! // Opening the gate wakes a task only if one waits.
//! gate.open.store(true, Release);
//! if gate.queue.has_sleepers() {
//!     gate.queue.wake_one();
//! }
//!
//! // Passing the gate sleeps only while it is shut.
//! gate.queue.wait_interruptible(|| gate.open.load(Acquire))?;
//! # Ok::<(), Error>(())
//! ```
//!
//! [`CondVar`]: kernel::sync::CondVar

use core::{
    marker::PhantomPinned,
    ptr, //
};
use kernel::{
    bindings,
    prelude::*,
    sync::LockClassKey,
    task::might_sleep,
    types::Opaque, //
};

/// Creates a [`WaitQueue`] initialiser with the given name and a newly-created lock class.
///
/// [`WaitQueue`]: kernel::sync::wait_queue::WaitQueue
#[macro_export]
macro_rules! new_wait_queue {
    ($name:literal) => {
        $crate::sync::wait_queue::WaitQueue::new(
            $crate::optional_name!($name),
            $crate::static_lock_class!(),
        )
    };
}
pub use new_wait_queue;

/// A queue of tasks that wait for a condition.
///
/// Wraps the kernel's `struct wait_queue_head`.
///
/// # Invariants
///
/// `head` is an initialised `wait_queue_head`.
#[pin_data]
pub struct WaitQueue {
    #[pin]
    head: Opaque<bindings::wait_queue_head>,
    #[pin]
    _pin: PhantomPinned,
}

// SAFETY: A `wait_queue_head` is not tied to the task that initialised it.
unsafe impl Send for WaitQueue {}
// SAFETY: A `wait_queue_head` has its own lock, which all functions called here take, except for
// `has_sleepers()`, which reads a single pointer.
unsafe impl Sync for WaitQueue {}

impl WaitQueue {
    /// Returns an initialiser for an empty queue. Use [`new_wait_queue!`], which supplies the
    /// arguments.
    ///
    /// # Context
    ///
    /// Any context.
    pub fn new(name: &'static CStr, key: Pin<&'static LockClassKey>) -> impl PinInit<Self> {
        pin_init!(Self {
            // SAFETY: `slot` is valid for the duration of the closure, and `name` and `key` have
            // static lifetimes.
            head <- Opaque::ffi_init(|slot| unsafe {
                bindings::__init_waitqueue_head(slot, name.as_char_ptr(), key.as_ptr())
            }),
            _pin: PhantomPinned,
        })
    }

    /// Returns a pointer to the C wait queue, to which other kinds of waiters can be added, such as
    /// pollers. The caller must ensure that these are removed before `self` is dropped.
    ///
    /// # Context
    ///
    /// Any context.
    pub fn as_raw(&self) -> *mut bindings::wait_queue_head {
        self.head.get()
    }

    /// Sleeps until `condition` returns true.
    ///
    /// The sleep is interruptible and exclusive: [`WaitQueue::wake_one`] wakes one such sleeper.
    /// A signal never consumes a wake-up: if this returns an error, no wake-up was consumed. If it
    /// returns `Ok`, one may have been, so the caller must either use what it was woken for or wake
    /// the next sleeper.
    ///
    /// The sleep is not freezable, because a task that is frozen here could be the one that is
    /// woken. The freezer ends it as a signal without a handler would.
    ///
    /// `condition` is called with the task on the queue and in a sleeping state, so it must not
    /// sleep. It is called once more after each wake-up. It is not called before the task is on the
    /// queue; if it is likely to be true already, check it before calling this.
    ///
    /// # Context
    ///
    /// Process context, without locks held. May sleep.
    ///
    /// # Errors
    ///
    /// Returns [`ERESTARTSYS`] if a signal arrives before the condition is true.
    #[inline]
    pub fn wait_interruptible(&self, condition: impl FnMut() -> bool) -> Result {
        self.wait_announced_interruptible(|| {}, condition)
    }

    /// Like [`WaitQueue::wait_interruptible`], for wakers that look at the queue only if a flag
    /// says that there is a sleeper: `announce` sets that flag.
    ///
    /// `announce` is called before each check of `condition` that may be followed by sleeping, but
    /// not before the check that follows a wake-up. There must be a full barrier between setting
    /// the flag and loading what `condition` tests.
    ///
    /// # Context
    ///
    /// See [`WaitQueue::wait_interruptible`].
    ///
    /// # Errors
    ///
    /// Returns [`ERESTARTSYS`] if a signal arrives before the condition is true.
    pub fn wait_announced_interruptible(
        &self,
        mut announce: impl FnMut(),
        mut condition: impl FnMut() -> bool,
    ) -> Result {
        might_sleep();

        let state = bindings::TASK_INTERRUPTIBLE as c_int;
        let entry = Opaque::<bindings::wait_queue_entry>::uninit();
        // SAFETY: `entry` is valid for writes, and is not moved until `finish_wait()` below has
        // removed it from the queue.
        unsafe { bindings::init_wait_entry(entry.get(), bindings::WQ_FLAG_EXCLUSIVE as c_int) };

        let result = loop {
            // Its barrier pairs with that in `has_sleepers()`.
            //
            // SAFETY: Both are initialised, and `entry` is never added to another queue.
            let interrupted = unsafe {
                bindings::prepare_to_wait_event(self.head.get(), entry.get(), state) != 0
            };
            announce();
            // The condition takes precedence over a signal, as in `wait_event_interruptible()`.
            if condition() {
                break Ok(());
            }
            if interrupted {
                break Err(ERESTARTSYS);
            }
            // SAFETY: This is process context, without locks held.
            unsafe { bindings::schedule() };
            // Usually true now; then there is no need to join the queue again.
            if condition() {
                break Ok(());
            }
        };
        // SAFETY: Both are initialised. After this, `entry` is on no queue.
        unsafe { bindings::finish_wait(self.head.get(), entry.get()) };
        result
    }

    /// Returns whether any task sleeps here, or any other waiter was [added](Self::as_raw).
    ///
    /// If this returns false for a task that is about to sleep, that task sees everything that the
    /// caller stored before when it checks its condition.
    ///
    /// This is `wq_has_sleeper()`, which is inline in C. It is not called through a helper, because
    /// each read and write of a driver may call it.
    ///
    /// # Context
    ///
    /// Any context.
    #[inline]
    pub fn has_sleepers(&self) -> bool {
        // Pairs with the barrier in `prepare_to_wait_event()`.
        kernel::sync::barrier::smp_mb(kernel::sync::barrier::Full);
        let list = self.head.get().cast_const();
        // SAFETY: `self.head` is initialised. The pointer to its first entry may change at any
        // time, so it is read once, as `list_empty()` does; it is compared, and not dereferenced.
        unsafe {
            let first = &raw const (*list).head;
            ptr::read_volatile(&raw const (*first).next).cast_const() != first
        }
    }

    /// Wakes one sleeper, and all [added](Self::as_raw) waiters that are not exclusive, which most
    /// pollers are not. Exclusive pollers (`EPOLLEXCLUSIVE`) count as sleepers. Returns whether one
    /// was woken; if so, there may be more.
    ///
    /// # Context
    ///
    /// Any context except NMI. On PREEMPT_RT, not hard interrupt context, since the lock of the
    /// queue is a sleeping lock there.
    #[inline]
    pub fn wake_one(&self) -> bool {
        self.wake(1) != 0
    }

    /// Like [`WaitQueue::wake_one`], for a caller that is about to sleep: the scheduler then
    /// prefers to run the woken task on this CPU. This is `wake_up_sync()` in C.
    ///
    /// # Context
    ///
    /// See [`WaitQueue::wake_one`].
    #[inline]
    pub fn wake_one_sync(&self) {
        // SAFETY: The queue is initialised.
        unsafe { bindings::__wake_up_sync(self.head.get(), bindings::TASK_NORMAL) };
    }

    /// Wakes all sleepers and all other waiters.
    ///
    /// # Context
    ///
    /// See [`WaitQueue::wake_one`].
    #[inline]
    pub fn wake_all(&self) {
        self.wake(0);
    }

    fn wake(&self, exclusive: c_int) -> c_int {
        // SAFETY: The queue is initialised.
        unsafe {
            bindings::__wake_up(
                self.head.get(),
                bindings::TASK_NORMAL,
                exclusive,
                ptr::null_mut(),
            )
        }
    }
}
