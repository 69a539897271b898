// SPDX-License-Identifier: GPL-2.0
// Copyright (C) 2026 Seed 1f3ad1c2 maintainers.

//! Periodic work: a timer that queues a work item each time it expires.
//!
//! The timer's callback runs in interrupt context (soft interrupt context on PREEMPT_RT), and only
//! queues the work. The work itself runs in process context, where it may sleep. If a period ends
//! while the work of the previous period has not begun, that period is skipped; the timer keeps to
//! its schedule.
//!
//! [`HrTimer`] and [`Work`] do the same separately. But a pending work item owns a reference to its
//! data and cannot be waited for, and a module must not be unloaded while it may run. A [`Ticker`]
//! owns both; dropping it cancels both, and waits for them.
//!
//! C headers: [`include/linux/hrtimer.h`](srctree/include/linux/hrtimer.h),
//! [`include/linux/workqueue.h`](srctree/include/linux/workqueue.h)
//!
//! # Examples
//!
//! ```
//! use kernel::{
//!     new_ticker,
//!     sync::{
//!         atomic::{Atomic, Relaxed},
//!         Completion, //
//!     },
//!     ticker::{
//!         Tick,
//!         Ticker, //
//!     },
//!     time::Delta, //
//! };
//!
//! #[pin_data]
//! struct Count {
//!     ticks: Atomic<u32>,
//!     #[pin]
//!     three: Completion,
//! }
//!
//! impl Tick for Count {
//!     fn tick(&self) {
//!         if self.ticks.fetch_add(1, Relaxed) == 2 {
//!             self.three.complete_all();
//!         }
//!     }
//! }
//!
//! let ticker = KBox::pin_init(
//!     new_ticker!(
//!         "Count::ticker",
//!         pin_init!(Count { ticks: Atomic::new(0), three <- Completion::new() })
//!     ),
//!     GFP_KERNEL,
//! )?;
//! ticker.start(Delta::from_millis(1));
//! ticker.three.wait_for_completion();
//!
//! // After this, there are no more ticks.
//! ticker.stop();
//! let ticks = ticker.ticks.load(Relaxed);
//! assert!(ticks >= 3);
//! # Ok::<(), Error>(())
//! ```
//!
//! [`HrTimer`]: kernel::time::hrtimer::HrTimer
//! [`Work`]: kernel::workqueue::Work

use core::ops::Deref;
use kernel::{
    bindings,
    container_of,
    prelude::*,
    sync::{
        atomic::{
            Atomic,
            Relaxed, //
        },
        LockClassKey,
        Mutex, //
    },
    time::Delta,
    types::Opaque, //
};

/// Creates a [`Ticker`] initialiser with the given name and newly-created lock classes.
///
/// [`Ticker`]: kernel::ticker::Ticker
#[macro_export]
macro_rules! new_ticker {
    ($name:literal, $inner:expr) => {
        $crate::ticker::Ticker::new(
            $crate::optional_name!($name),
            $crate::static_lock_class!(),
            $crate::static_lock_class!(),
            $inner,
        )
    };
}
pub use new_ticker;

/// The shortest period.
const MIN_PERIOD: Delta = Delta::from_micros(10);

/// Work that is done periodically.
pub trait Tick: Send + Sync + 'static {
    /// Called once per period. Is never run concurrently with itself.
    ///
    /// # Context
    ///
    /// Process context. May sleep.
    fn tick(&self);
}

/// A `T` whose [`Tick::tick`] is called once per period while the ticker is started.
///
/// Any task may start and stop it; the last call wins. Dropping a ticker stops it, under the
/// conditions of [`Ticker::stop`].
///
/// C headers: [`include/linux/hrtimer.h`](srctree/include/linux/hrtimer.h),
/// [`include/linux/workqueue.h`](srctree/include/linux/workqueue.h)
///
/// # Invariants
///
/// `timer` and `work` are initialised, with callbacks that take them to be fields of a `Ticker<T>`.
#[pin_data(PinnedDrop)]
pub struct Ticker<T: Tick> {
    // Serializes starting and stopping. A timer must not be started while its callback runs,
    // because the callback forwards it.
    #[pin]
    control: Mutex<()>,
    #[pin]
    timer: Opaque<bindings::hrtimer>,
    #[pin]
    work: Opaque<bindings::work_struct>,
    // In nanoseconds. Positive.
    period: Atomic<i64>,
    #[pin]
    inner: T,
}

// SAFETY: Timers and work items are not tied to a task, and neither is `T`.
unsafe impl<T: Tick> Send for Ticker<T> {}
// SAFETY: Timers and work items have their own locks, and `T` may be shared.
unsafe impl<T: Tick> Sync for Ticker<T> {}

impl<T: Tick> Ticker<T> {
    /// Returns an initialiser for a stopped ticker. Use [`new_ticker!`], which supplies the name
    /// and the two lock classes: that of the lock that serializes starting and stopping, and that
    /// of the work, which is waited for with that lock held. They are specific to the place where a
    /// ticker is created, so a [`Tick::tick`] may start and stop tickers that were created
    /// elsewhere.
    ///
    /// # Context
    ///
    /// That of `inner`.
    ///
    /// # Errors
    ///
    /// Returns the errors of `inner`.
    pub fn new<E>(
        name: &'static CStr,
        control_key: Pin<&'static LockClassKey>,
        work_key: Pin<&'static LockClassKey>,
        inner: impl PinInit<T, E>,
    ) -> impl PinInit<Self, Error>
    where
        Error: From<E>,
    {
        try_pin_init!(Self {
            control <- Mutex::new((), name, control_key),
            // SAFETY: `slot` is valid, and is not moved until `drop()` has cancelled the timer.
            timer <- Opaque::ffi_init(|slot| unsafe {
                bindings::hrtimer_setup(
                    slot,
                    Some(Self::expired),
                    bindings::CLOCK_MONOTONIC as bindings::clockid_t,
                    bindings::hrtimer_mode_HRTIMER_MODE_REL,
                )
            }),
            // SAFETY: `slot` is valid, and is not moved until `drop()` has cancelled the work.
            // `name` and `work_key` have static lifetimes.
            work <- Opaque::ffi_init(|slot| unsafe {
                bindings::init_work_with_key(
                    slot,
                    Some(Self::run),
                    false,
                    name.as_char_ptr(),
                    work_key.as_ptr(),
                )
            }),
            period: Atomic::new(1),
            inner <- inner,
        })
    }

    /// Starts the ticker; the first tick is one `period` from now. A ticker that is started already
    /// continues with the new period. A period below 10 microseconds is raised to that, so that the
    /// timer's interrupts leave time for other things.
    ///
    /// # Context
    ///
    /// Process context. May sleep. Must not be called by the [`Tick::tick`] of this ticker.
    pub fn start(&self, period: Delta) {
        let period = period.as_nanos().max(MIN_PERIOD.as_nanos());
        let _control = self.control.lock();
        // SAFETY: The timer is initialised. After this, its callback does not run until it is
        // started, and `control` keeps others from doing that.
        unsafe { bindings::hrtimer_cancel(self.timer.get()) };
        self.period.store(period, Relaxed);
        // SAFETY: The timer is initialised, and its callback does not run.
        unsafe {
            bindings::hrtimer_start_range_ns(
                self.timer.get(),
                period,
                0,
                bindings::hrtimer_mode_HRTIMER_MODE_REL,
            )
        };
    }

    /// Stops the ticker. When this returns, [`Tick::tick`] does not run, and will not run unless
    /// the ticker has been started again.
    ///
    /// # Context
    ///
    /// Process context. May sleep. Must not be called by the [`Tick::tick`] of this ticker, nor
    /// with a lock held that it takes, because this waits for it to return.
    pub fn stop(&self) {
        let _control = self.control.lock();
        // SAFETY: The timer is initialised. This waits for a running callback.
        unsafe { bindings::hrtimer_cancel(self.timer.get()) };
        // SAFETY: The work is initialised. This waits until it has finished.
        unsafe { bindings::cancel_work_sync(self.work.get()) };
    }

    /// # Safety
    ///
    /// Must only be called by the timer core, with the timer of a live `Ticker<T>`.
    unsafe extern "C" fn expired(timer: *mut bindings::hrtimer) -> bindings::hrtimer_restart {
        // SAFETY: As the caller promises. The `Ticker` lives until the timer is cancelled.
        let this = unsafe { &*container_of!(Opaque::cast_from(timer), Self, timer) };
        // A freezable queue, so that there are no ticks while the system suspends. If the work is
        // queued already, this does nothing.
        //
        // SAFETY: The queue is one of the system's, and the work is initialised.
        unsafe {
            bindings::queue_work_on(
                bindings::wq_misc_consts_WORK_CPU_UNBOUND as c_int,
                bindings::system_freezable_wq,
                this.work.get(),
            )
        };
        // SAFETY: This is the timer's callback, which may forward it.
        unsafe {
            bindings::hrtimer_forward(timer, bindings::ktime_get(), this.period.load(Relaxed))
        };
        bindings::hrtimer_restart::HRTIMER_RESTART
    }

    /// # Safety
    ///
    /// Must only be called by the workqueue core, with the work of a live `Ticker<T>`.
    unsafe extern "C" fn run(work: *mut bindings::work_struct) {
        // SAFETY: As the caller promises. The `Ticker` lives until the work is cancelled.
        let this = unsafe { &*container_of!(Opaque::cast_from(work), Self, work) };
        this.inner.tick();
    }
}

impl<T: Tick> Deref for Ticker<T> {
    type Target = T;

    fn deref(&self) -> &T {
        &self.inner
    }
}

#[pinned_drop]
impl<T: Tick> PinnedDrop for Ticker<T> {
    fn drop(self: Pin<&mut Self>) {
        self.stop();
    }
}
