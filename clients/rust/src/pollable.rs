// SPDX-License-Identifier: GPL-2.0 OR MIT
// Copyright (C) 2026 Seed 1f3ad1c2 maintainers.

//! Waiting in somebody else's event loop.

use crate::end::End;
use crate::error::{Error, Result};
use crate::ring::framing::record_len;
use crate::side::Side;
use crate::{overwriting, Consumer, Producer, RecordConsumer, RecordProducer};
use std::os::fd::BorrowedFd;

pub(crate) mod sealed {
    pub trait Sealed {}
}

/// The ends that may have to wait, for event loops. This cannot be implemented by others.
///
/// `poll` on the device itself returns as soon as there is one byte, or room for one, and again and
/// again at the end of a stream. So a loop that wants more, or goes on after the end, would spin.
/// The descriptor of [`Pollable::news`] tells only what is new:
///
/// ```no_run
/// # fn poll(_: std::os::fd::BorrowedFd<'_>) {}
/// use vfifo::{Consumer, Error, Pollable};
///
/// # fn main() -> vfifo::Result<()> {
/// let mut consumer = Consumer::open("/dev/vfifo0")?;
/// loop {
///     match consumer.ask(100) {
///         Ok(()) => break,
///         // Waits until it is readable. An event loop does something else meanwhile.
///         Err(Error::NotYet) => poll(consumer.news()),
///         Err(error) => return Err(error),
///     }
/// }
/// assert!(consumer.peek()?.len() >= 100);
/// # Ok(())
/// # }
/// ```
pub trait Pollable: sealed::Sealed {
    /// A descriptor that becomes readable when anything has happened at the other end since the
    /// last call of [`Pollable::ask`], or of a function that waits. Do not read from it.
    fn news(&self) -> BorrowedFd<'_>;

    /// Looks whether there are `need` bytes: queued, or of room. If there are not, asks to be told
    /// when something has happened. Never sleeps.
    ///
    /// For a [`RecordProducer`], `need` is the length of a record. For consumers of records, 1 means
    /// a record.
    ///
    /// # Errors
    ///
    /// [`Error::NotYet`] if there are not: wait until [`Pollable::news`] is readable, and try again.
    /// The others are those of `wait`.
    fn ask(&mut self, need: usize) -> Result<()>;
}

fn ask<S: Side>(end: &mut End<S, crate::device::Device>, need: usize) -> Result<()> {
    if need > end.capacity() {
        return Err(Error::Range);
    }
    if end.look(need)? >= need {
        return Ok(());
    }
    end.announce(need)?.map(drop).ok_or(Error::NotYet)
}

macro_rules! pollable {
    ($($type:ty $(, $check:expr)?;)*) => {
        $(
            impl sealed::Sealed for $type {}

            impl Pollable for $type {
                fn news(&self) -> BorrowedFd<'_> {
                    self.0.end.bell.epoll()
                }

                fn ask(&mut self, need: usize) -> Result<()> {
                    let end = &mut self.0.end;
                    $($check(need as u64, end.cursor.capacity)?;)?
                    ask(end, need)
                }
            }
        )*
    };
}

pollable! {
    Producer;
    Consumer;
    RecordProducer, record_len;
    RecordConsumer;
    overwriting::Consumer;
    overwriting::RecordConsumer;
}
