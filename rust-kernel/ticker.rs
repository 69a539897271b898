// SPDX-License-Identifier: GPL-2.0

//! Periodic work: a timer that, each time it fires, queues a work item.
//!
//! The timer's callback runs in interrupt context (soft interrupts on PREEMPT_RT) and does nothing
//! but queue; what is to be done runs later in process context, where it may sleep. A period that
//! ends while the work for the one before is still waiting to run is skipped; the timer keeps to
//! its beat in any case.
//!
//! [`HrTimer`] and [`Work`] do the same separately, but a work item that owns a reference to what
//! it works on cannot be waited for, and a module must not go while one may run. A [`Ticker`] owns
//! both, and has stopped both by the time it is dropped.
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
//! // After this, nothing ticks.
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

/// Something that is done periodically.
pub trait Tick: Send + Sync + 'static {
    /// Called once a period, in process context. May sleep. Never runs twice at a time.
    fn tick(&self);
}

/// A `T` whose [`Tick::tick`] is called once a period, while started.
///
/// Starting and stopping may be done by anyone. Where they race, the one that is last decides.
/// Dropping it stops it, with the same conditions as [`Ticker::stop`].
///
/// # Invariants
///
/// `timer` and `work` are initialised, with callbacks that expect to be within a `Ticker<T>`.
#[pin_data(PinnedDrop)]
pub struct Ticker<T: Tick> {
    // Excludes those who start and stop. A timer must not be started while its callback runs, which
    // forwards it.
    #[pin]
    control: Mutex<()>,
    #[pin]
    timer: Opaque<bindings::hrtimer>,
    #[pin]
    work: Opaque<bindings::work_struct>,
    // Nanoseconds, positive.
    period: Atomic<i64>,
    #[pin]
    inner: T,
}

// SAFETY: Timers and work items have locks of their own, and are not tied to a task.
unsafe impl<T: Tick> Send for Ticker<T> {}
// SAFETY: As above; `T` may be shared.
unsafe impl<T: Tick> Sync for Ticker<T> {}

impl<T: Tick> Ticker<T> {
    /// Returns an initialiser for a ticker that is stopped. [`new_ticker!`] supplies the name and
    /// the two classes: that of the lock which excludes those who start and stop, and that of the
    /// work, which is waited for with that lock held. So what is done in a [`Tick::tick`] may start
    /// and stop a ticker that was made at another place.
    ///
    /// # Errors
    ///
    /// Those of `inner`.
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
            // SAFETY: `slot` is valid, and stays in its place until the timer is cancelled in
            // `drop()`.
            timer <- Opaque::ffi_init(|slot| unsafe {
                bindings::hrtimer_setup(
                    slot,
                    Some(Self::expired),
                    bindings::CLOCK_MONOTONIC as bindings::clockid_t,
                    bindings::hrtimer_mode_HRTIMER_MODE_REL,
                )
            }),
            // SAFETY: `slot` is valid, and stays in its place until the work is cancelled in
            // `drop()`; `name` and `work_key` are static.
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

    /// Starts ticking, the first time one `period` from now. If it ticks already, it goes on with
    /// the new period. A period shorter than 10 µs, or negative, is taken as that: the timer's
    /// interrupts must leave time for something else.
    ///
    /// # Context
    ///
    /// Process context. May sleep. Not from within [`Tick::tick`].
    pub fn start(&self, period: Delta) {
        let period = period.as_nanos().max(MIN_PERIOD.as_nanos());
        let _control = self.control.lock();
        // SAFETY: The timer is initialised. After this its callback does not run, and will not
        // before it is started, which nobody else does now.
        unsafe { bindings::hrtimer_cancel(self.timer.get()) };
        self.period.store(period, Relaxed);
        // SAFETY: As above.
        unsafe {
            bindings::hrtimer_start_range_ns(
                self.timer.get(),
                period,
                0,
                bindings::hrtimer_mode_HRTIMER_MODE_REL,
            )
        };
    }

    /// Stops ticking. When this returns, [`Tick::tick`] does not run and will not, unless somebody
    /// else has started it again.
    ///
    /// # Context
    ///
    /// Process context. May sleep. Not from within [`Tick::tick`], nor with a lock held that it
    /// takes: this waits for it.
    pub fn stop(&self) {
        let _control = self.control.lock();
        // SAFETY: The timer is initialised. This waits for its callback.
        unsafe { bindings::hrtimer_cancel(self.timer.get()) };
        // SAFETY: The work item is initialised. This waits for it to end.
        unsafe { bindings::cancel_work_sync(self.work.get()) };
    }

    /// # Safety
    ///
    /// To be called by the timer core, with the timer of a live `Ticker<T>`.
    unsafe extern "C" fn expired(timer: *mut bindings::hrtimer) -> bindings::hrtimer_restart {
        // SAFETY: By the caller; the `Ticker` lives until the timer is cancelled.
        let this = unsafe { &*container_of!(Opaque::cast_from(timer), Self, timer) };
        // SAFETY: The queue is one of the system's, the work is initialised. If it is queued
        // already, that is enough. Freezable, so that nothing ticks while the system suspends.
        unsafe {
            bindings::queue_work_on(
                bindings::wq_misc_consts_WORK_CPU_UNBOUND as c_int,
                bindings::system_freezable_wq,
                this.work.get(),
            )
        };
        // SAFETY: This is the callback of the timer, where it may be forwarded.
        unsafe {
            bindings::hrtimer_forward(timer, bindings::ktime_get(), this.period.load(Relaxed))
        };
        bindings::hrtimer_restart::HRTIMER_RESTART
    }

    /// # Safety
    ///
    /// To be called by the workqueue, with the work item of a live `Ticker<T>`.
    unsafe extern "C" fn run(work: *mut bindings::work_struct) {
        // SAFETY: By the caller; the `Ticker` lives until the work is cancelled.
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
