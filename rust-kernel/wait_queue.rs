// SPDX-License-Identifier: GPL-2.0

//! Wait queues that re-check a condition.
//!
//! A [`CondVar`] is bound to the lock that protects the condition. A [`WaitQueue`] is not: the
//! condition is a closure that is looked at again after the task has been put on the queue, as C's
//! `wait_event()` does. That makes it fit for conditions built from atomics, where the waker holds
//! no lock that the sleeper could drop.
//!
//! The waker's half of the bargain is [`WaitQueue::has_sleepers`], which orders the publication of
//! the condition before the look at the queue. A waker that uses it pays nothing but a fence while
//! nobody sleeps.
//!
//! Not supported: timeouts, custom wake functions, non-exclusive sleepers.
//!
//! C header: [`include/linux/wait.h`](srctree/include/linux/wait.h)
//!
//! # Examples
//!
//! ```
//! use kernel::{
//!     new_wait_queue,
//!     sync::atomic::{Atomic, Acquire, Release},
//!     wait_queue::WaitQueue,
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
//! // The one who opens it wakes only those who wait.
//! gate.open.store(true, Release);
//! if gate.queue.has_sleepers() {
//!     gate.queue.wake_one();
//! }
//!
//! // The one who goes through sleeps only while it is shut.
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
/// [`WaitQueue`]: kernel::wait_queue::WaitQueue
#[macro_export]
macro_rules! new_wait_queue {
    ($name:literal) => {
        $crate::wait_queue::WaitQueue::new(
            $crate::optional_name!($name),
            $crate::static_lock_class!(),
        )
    };
}
pub use new_wait_queue;

/// A queue of tasks that wait for a condition.
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

// SAFETY: A `wait_queue_head` has a lock of its own, and is not tied to a task.
unsafe impl Send for WaitQueue {}
// SAFETY: As above.
unsafe impl Sync for WaitQueue {}

impl WaitQueue {
    /// Returns an initialiser for an empty queue. [`new_wait_queue!`] supplies the arguments.
    pub fn new(name: &'static CStr, key: Pin<&'static LockClassKey>) -> impl PinInit<Self> {
        pin_init!(Self {
            // SAFETY: `slot` is valid while the closure is called and both `name` and `key` have
            // static lifetimes.
            head <- Opaque::ffi_init(|slot| unsafe {
                bindings::__init_waitqueue_head(slot, name.as_char_ptr(), key.as_ptr())
            }),
            _pin: PhantomPinned,
        })
    }

    /// The C wait queue, for those who have something else wait on it. It is theirs to see that
    /// nothing does any more when `self` goes.
    ///
    /// # Context
    ///
    /// Any.
    pub fn as_raw(&self) -> *mut bindings::wait_queue_head {
        self.head.get()
    }

    /// Sleeps until `condition` holds.
    ///
    /// The sleep is interruptible and exclusive: [`WaitQueue::wake_one`] wakes one such sleeper. It
    /// is not freezable, since a task that is frozen where it sleeps would be the one that is
    /// woken: the freezer ends the sleep, as a signal does that no handler sees. A signal never
    /// takes a wake-up with it: whoever returns with an error has not used one up. Whoever returns
    /// with `Ok` may have, and so must either use what it was woken for or wake the next one.
    ///
    /// `condition` is called with the task on the queue and in a sleeping state, so it must not
    /// sleep itself, and once more whenever it was woken. It is not called before that: look first
    /// where it is likely to hold.
    ///
    /// # Context
    ///
    /// Process context, no lock held. May sleep.
    ///
    /// # Errors
    ///
    /// [`ERESTARTSYS`] if a signal came first.
    #[inline]
    pub fn wait_interruptible(&self, condition: impl FnMut() -> bool) -> Result {
        self.wait_announced_interruptible(|| {}, condition)
    }

    /// As [`WaitQueue::wait_interruptible`], for those who wake only when they are told that
    /// somebody sleeps: `announce` is to tell them, and `condition` to look after that, which takes
    /// a full fence in between.
    ///
    /// `announce` is called where `condition` is about to be asked whether to sleep, but not when
    /// that is asked of a task that was woken.
    ///
    /// # Context
    ///
    /// As [`WaitQueue::wait_interruptible`].
    ///
    /// # Errors
    ///
    /// [`ERESTARTSYS`] if a signal came first.
    pub fn wait_announced_interruptible(
        &self,
        mut announce: impl FnMut(),
        mut condition: impl FnMut() -> bool,
    ) -> Result {
        might_sleep();

        let state = bindings::TASK_INTERRUPTIBLE as c_int;
        let entry = Opaque::<bindings::wait_queue_entry>::uninit();
        // SAFETY: `entry` is valid for writing; it stays at its place until `finish_wait()` below
        // has taken it off the queue.
        unsafe { bindings::init_wait_entry(entry.get(), bindings::WQ_FLAG_EXCLUSIVE as c_int) };

        let result = loop {
            // SAFETY: Both are initialised, and `entry` is only ever put on this queue.
            let interrupted = unsafe {
                bindings::prepare_to_wait_event(self.head.get(), entry.get(), state) != 0
            };
            announce();
            // The condition wins over the signal, as in `wait_event_interruptible()`.
            if condition() {
                break Ok(());
            }
            if interrupted {
                break Err(ERESTARTSYS);
            }
            // SAFETY: Process context without locks, as the caller promises.
            unsafe { bindings::schedule() };
            // It mostly holds now, and then need not go on the queue again.
            if condition() {
                break Ok(());
            }
        };
        // SAFETY: Both are initialised. Afterwards `entry` is on no queue.
        unsafe { bindings::finish_wait(self.head.get(), entry.get()) };
        result
    }

    /// Returns whether anyone sleeps here, or has something else [wait](Self::as_raw).
    ///
    /// Whatever the caller stored before is visible to a sleeper that this misses: it will see it
    /// when it looks at its condition before it sleeps. (A full fence, as in `wq_has_sleeper()`,
    /// which would be a call here: each read and write asks.)
    ///
    /// # Context
    ///
    /// Any.
    #[inline]
    pub fn has_sleepers(&self) -> bool {
        kernel::sync::barrier::smp_mb(kernel::sync::barrier::Full);
        let list = self.head.get().cast_const();
        // SAFETY: `self.head` is initialised; its list pointer is read once, as `list_empty()`
        // does, and only compared.
        unsafe {
            let first = &raw const (*list).head;
            ptr::read_volatile(&raw const (*first).next).cast_const() != first
        }
    }

    /// Wakes one sleeper, and everything that [waits](Self::as_raw) without being exclusive, as
    /// most pollers do. Those that are (`EPOLLEXCLUSIVE`) count as sleepers. Returns whether there
    /// was one to wake: if so, others may be left.
    ///
    /// # Context
    ///
    /// Any but NMI; on PREEMPT_RT not hard interrupts, since the queue's lock sleeps there.
    #[inline]
    pub fn wake_one(&self) -> bool {
        self.wake(1) != 0
    }

    /// As [`WaitQueue::wake_one`], by who is likely to sleep soon: the one that is woken had better
    /// run on this CPU then. (As `wake_up_sync()` in C.)
    ///
    /// # Context
    ///
    /// As [`WaitQueue::wake_one`].
    #[inline]
    pub fn wake_one_sync(&self) {
        // SAFETY: The queue is initialised.
        unsafe { bindings::__wake_up_sync(self.head.get(), bindings::TASK_NORMAL) };
    }

    /// Wakes all.
    ///
    /// # Context
    ///
    /// As [`WaitQueue::wake_one`].
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
