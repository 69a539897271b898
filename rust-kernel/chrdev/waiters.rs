// SPDX-License-Identifier: GPL-2.0
// Copyright (C) 2026 Seed 1f3ad1c2 maintainers.

//! The queues of a device, and the files whose owners want `SIGIO`.

use core::ptr;
use kernel::{
    bindings,
    new_mutex,
    prelude::*,
    sync::{
        wait_queue::{
            new_wait_queue,
            WaitQueue, //
        },
        Arc,
        Mutex, //
    },
    types::Opaque, //
};

/// Everything that waits for a device to become readable or writable: sleeping tasks, pollers, and
/// the owners of files that asked for `SIGIO` (`O_ASYNC`, see fcntl(2)).
///
/// Sleepers and pollers have separate queues, because a sleeper that passes a wake-up on to the
/// next sleeper must not wake pollers: nothing has changed for them.
///
/// C headers: [`include/linux/wait.h`](srctree/include/linux/wait.h),
/// [`include/linux/fs.h`](srctree/include/linux/fs.h)
#[pin_data]
pub struct Waiters {
    /// Tasks that sleep until there is something to read.
    #[pin]
    pub readers: WaitQueue,
    /// Tasks that sleep until there is room to write.
    #[pin]
    pub writers: WaitQueue,
    /// Pollers of files that are open for reading. Wake them once [`FileOperations::poll`] would
    /// report [`Events::READ`]. An exclusive poller (`EPOLLEXCLUSIVE`) is on this queue only if it
    /// asked for that event.
    ///
    /// [`FileOperations::poll`]: super::FileOperations::poll
    /// [`Events::READ`]: super::Events::READ
    #[pin]
    pub read_pollers: WaitQueue,
    /// Pollers of files that are open for writing. Wake them once [`FileOperations::poll`] would
    /// report [`Events::WRITE`]. An exclusive poller (`EPOLLEXCLUSIVE`) is on this queue only if it
    /// asked for that event.
    ///
    /// [`FileOperations::poll`]: super::FileOperations::poll
    /// [`Events::WRITE`]: super::Events::WRITE
    #[pin]
    pub write_pollers: WaitQueue,
    /// Exclusive pollers that have not asked for all that their files are open for. Wake them once
    /// [`FileOperations::poll`] would report [`Events::HANGUP`] or [`Events::ERROR`] whatever is
    /// asked for.
    ///
    /// [`FileOperations::poll`]: super::FileOperations::poll
    /// [`Events::HANGUP`]: super::Events::HANGUP
    /// [`Events::ERROR`]: super::Events::ERROR
    #[pin]
    pub hangup_pollers: WaitQueue,
    read_signals: Signals,
    write_signals: Signals,
    // Serializes changes to both lists. A file has a single flag (FASYNC) that says whether it is
    // on any list, so adding it to both must be one change.
    #[pin]
    signals: Mutex<()>,
}

// SAFETY: Neither the queues nor the lists are tied to a task.
unsafe impl Send for Waiters {}
// SAFETY: The queues have their own locks. The lists are changed by `fasync_helper()` and read by
// `kill_fasync()`, which take C's locks for them.
unsafe impl Sync for Waiters {}

impl Waiters {
    /// Creates empty queues and lists. The memory is charged to the memory cgroup of the caller.
    ///
    /// # Context
    ///
    /// Process context. May sleep.
    ///
    /// # Errors
    ///
    /// Returns [`ENOMEM`] if memory could not be allocated.
    pub fn new() -> Result<Arc<Self>> {
        Arc::pin_init(
            pin_init!(Self {
                readers <- new_wait_queue!("Waiters::readers"),
                writers <- new_wait_queue!("Waiters::writers"),
                read_pollers <- new_wait_queue!("Waiters::read_pollers"),
                write_pollers <- new_wait_queue!("Waiters::write_pollers"),
                hangup_pollers <- new_wait_queue!("Waiters::hangup_pollers"),
                read_signals: Signals::new(),
                write_signals: Signals::new(),
                signals <- new_mutex!((), "Waiters::signals"),
            }),
            GFP_KERNEL_ACCOUNT,
        )
    }

    /// Returns whether any file's owner wants `SIGIO` when there is something new to read.
    ///
    /// # Context
    ///
    /// Any context.
    #[inline]
    pub fn wants_read_signals(&self) -> bool {
        self.read_signals.are_wanted()
    }

    /// Returns whether any file's owner wants `SIGIO` when there is new room to write.
    ///
    /// # Context
    ///
    /// Any context.
    #[inline]
    pub fn wants_write_signals(&self) -> bool {
        self.write_signals.are_wanted()
    }

    /// Sends `SIGIO` to those who want it when there is something new to read, if `ready` returns
    /// true. `ready` is called only if there is anyone to signal.
    ///
    /// # Context
    ///
    /// See [`WaitQueue::wake_all`].
    #[inline]
    pub fn signal_readers(&self, ready: impl FnOnce() -> bool) {
        if self.wants_read_signals() && ready() {
            self.read_signals.send(bindings::POLL_IN);
        }
    }

    /// Sends `SIGIO` to those who want it when there is new room to write, if `ready` returns true.
    /// `ready` is called only if there is anyone to signal.
    ///
    /// # Context
    ///
    /// See [`WaitQueue::wake_all`].
    #[inline]
    pub fn signal_writers(&self, ready: impl FnOnce() -> bool) {
        if self.wants_write_signals() && ready() {
            self.write_signals.send(bindings::POLL_OUT);
        }
    }

    /// Adds `file` to the list for each direction that is true, or removes it from these lists if
    /// `on` is zero. If this fails, each list is as it was before.
    ///
    /// # Errors
    ///
    /// Returns what `fasync_helper()` fails with.
    ///
    /// # Safety
    ///
    /// - `file` must point at a valid file, which must be open if `on` is not zero.
    /// - All calls for one file must be for the same directions, and the last one before the file
    ///   is freed must have `on` zero.
    pub(super) unsafe fn set_signals(
        &self,
        fd: c_int,
        file: *mut bindings::file,
        on: c_int,
        (reads, writes): (bool, bool),
    ) -> Result {
        let lists = [(reads, &self.read_signals), (writes, &self.write_signals)];

        let _guard = self.signals.lock();
        let mut added: Option<&Signals> = None;
        for (_, list) in lists.into_iter().filter(|(wanted, _)| *wanted) {
            // SAFETY: The lock is held; the rest is what the caller promises.
            let status = unsafe { list.set(fd, file, on) };
            if status < 0 {
                // Not on one list without the other, unless it was there before.
                if let Some(added) = added {
                    // SAFETY: As above.
                    unsafe { added.set(-1, file, 0) };
                }
                return Err(Error::from_errno(status));
            }
            if status > 0 && on != 0 {
                added = Some(list);
            }
        }
        Ok(())
    }
}

/// A list of files whose owners want a signal.
struct Signals(Opaque<*mut bindings::fasync_struct>);

impl Signals {
    fn new() -> Self {
        Self(Opaque::new(ptr::null_mut()))
    }

    #[inline]
    fn are_wanted(&self) -> bool {
        // SAFETY: The list is valid. Its head may change at any time, so it is read once, as
        // `kill_fasync()` does to see whether the list is empty; it is not dereferenced.
        !unsafe { ptr::read_volatile(self.0.get()) }.is_null()
    }

    #[cold]
    fn send(&self, reason: u32) {
        // SAFETY: The list is valid. `kill_fasync()` reads it under RCU.
        unsafe { bindings::kill_fasync(self.0.get(), bindings::SIGIO as c_int, reason as c_int) };
    }

    /// Adds `file` to the list, or removes it if `on` is zero. Returns a positive number if that
    /// changed the list.
    ///
    /// # Safety
    ///
    /// `file` must point at a valid file, which must be open if `on` is not zero, and which must be
    /// removed from the list before it is freed. The caller must hold the lock of the lists that
    /// the file may be on.
    unsafe fn set(&self, fd: c_int, file: *mut bindings::file, on: c_int) -> c_int {
        // SAFETY: The list is valid, and so is the file, as the caller promises.
        unsafe { bindings::fasync_helper(fd, file, on, self.0.get()) }
    }
}
