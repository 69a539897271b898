// SPDX-License-Identifier: GPL-2.0 OR MIT
// Copyright (C) 2026 Seed 1f3ad1c2 maintainers.

use super::wakes::Wakes;
use crate::error::Result;
use crate::pollable::Pollable;
use std::fmt;
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, RawFd};

/// A mapped end whose functions wait without blocking the thread.
///
/// It has functions of the same names as the end itself; those that wait are `async`. For the
/// others, such as an attempt that does not wait, use [`Async::get_mut`].
///
/// ```no_run
/// # async fn run() -> vfifo::Result<()> {
/// use vfifo::{tokio::Async, RecordConsumer};
///
/// let mut consumer = Async::new(RecordConsumer::open("/dev/vfifo0")?)?;
/// loop {
///     let mut records = consumer.peek().await?;
///     for record in &mut records {
///         println!("{:?}", record?.to_vec());
///     }
///     records.release()?;
/// }
/// # }
/// ```
pub struct Async<T> {
    pub(super) wakes: Wakes,
    pub(super) end: T,
}

/// The ends that may have to wait. This cannot be implemented by others.
///
/// ```
/// fn waits<T: vfifo::tokio::End>() {}
/// waits::<vfifo::Consumer>();
/// ```
pub trait End: Pollable {}

impl<T: Pollable> End for T {}

impl<T: End> Async<T> {
    /// An end whose functions wait for the runtime that this is called in.
    ///
    /// # Errors
    ///
    /// [`Error::Io`](crate::Error::Io) if there are too many open files.
    ///
    /// # Panics
    ///
    /// If there is no runtime, or its I/O is not enabled.
    pub fn new(end: T) -> Result<Self> {
        // A descriptor of its own, which stays open as long as tokio watches it.
        let epoll = end.news().try_clone_to_owned()?;
        Ok(Self {
            wakes: Wakes::new(epoll)?,
            end,
        })
    }
}

impl<T> Async<T> {
    /// The end.
    pub fn get_ref(&self) -> &T {
        &self.end
    }

    /// The end. Its functions that wait block the thread.
    pub fn get_mut(&mut self) -> &mut T {
        &mut self.end
    }

    /// Returns the end.
    pub fn into_inner(self) -> T {
        self.end
    }
}

impl<T: AsFd> AsFd for Async<T> {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.end.as_fd()
    }
}

impl<T: AsRawFd> AsRawFd for Async<T> {
    fn as_raw_fd(&self) -> RawFd {
        self.end.as_raw_fd()
    }
}

impl<T: fmt::Debug> fmt::Debug for Async<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Async").field(&self.end).finish()
    }
}
