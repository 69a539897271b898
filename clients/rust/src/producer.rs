// SPDX-License-Identifier: GPL-2.0 OR MIT
// Copyright (C) 2026 Seed 1f3ad1c2 maintainers.

use crate::device::{Bell, Device};
use crate::end::End;
use crate::error::{Error, Result};
use crate::kind::Stream;
use crate::reservation::{Place, Reservation};
use crate::side::Head;
use crate::traits::end_traits;
use std::fs::OpenOptions;
use std::io::{self, Write};
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::path::Path;
use std::time::Duration;

/// The producer's end of a FIFO. While this exists, nobody else puts bytes in.
///
/// ```no_run
/// # fn main() -> std::io::Result<()> {
/// let mut producer = vfifo::Producer::open("/dev/vfifo0")?;
/// for number in 0u64..1000 {
///     // Sleeps until there is room.
///     let mut place = producer.reserve_wait(8)?;
///     place.put(0, &number.to_le_bytes())?;
///     // Now the consumer can see it.
///     place.commit(8)?;
/// }
/// # Ok(())
/// # }
/// ```
pub struct Producer(pub(crate) Port<Device>);

end_traits!(Producer);

/// The same, with any way to wake the consumer.
pub(crate) struct Port<B: Bell> {
    pub(crate) end: End<Head<Stream>, B>,
    /// For `Write`.
    pub(crate) timeout: Option<Duration>,
}

impl Producer {
    /// Becomes the producer of the device at `path`.
    ///
    /// # Errors
    ///
    /// [`Error::Claimed`] if the end has an owner already, [`Error::Kind`] if the FIFO is of
    /// another [kind](crate#kinds), [`Error::NotVfifo`] if it is none, [`Error::Broken`] if the
    /// consumer's position is impossible, [`Error::Io`] with the errors of `open` and `mmap`: `EACCES`
    /// without permission to open the device for reading and writing.
    pub fn open(path: impl AsRef<Path>) -> Result<Self> {
        let file = OpenOptions::new().read(true).write(true).open(path)?;
        Self::from_fd(file)
    }

    /// Becomes the producer of the device `file`, which must be open for reading and writing.
    ///
    /// # Errors
    ///
    /// As for [`Producer::open`].
    pub fn from_fd(file: impl Into<OwnedFd>) -> Result<Self> {
        let end = End::open(file.into())?;
        Ok(Self(Port::new(end)))
    }

    /// The capacity: the largest number of bytes that can be queued.
    pub fn capacity(&self) -> usize {
        self.0.end.capacity()
    }

    /// The number of bytes that can be reserved now.
    ///
    /// # Errors
    ///
    /// [`Error::Broken`] if the consumer's position is impossible.
    pub fn room(&mut self) -> Result<usize> {
        self.0.end.look(usize::MAX)
    }

    /// Reserves room for the next `len` bytes. Does not wait.
    ///
    /// # Errors
    ///
    /// [`Error::NotYet`] if they do not fit now, [`Error::Range`] if they never will,
    /// [`Error::Broken`] if the consumer's position is impossible.
    #[inline]
    pub fn reserve(&mut self, len: usize) -> Result<Reservation<'_>> {
        let most = self.capacity();
        match self.0.reserve(len)? {
            Some(place) => Ok(Reservation(place)),
            None if len > most => Err(Error::Range),
            None => Err(Error::NotYet),
        }
    }

    /// As [`Producer::reserve`], but sleeps until they fit.
    ///
    /// # Errors
    ///
    /// As for [`Producer::wait`].
    pub fn reserve_wait(&mut self, len: usize) -> Result<Reservation<'_>> {
        Ok(Reservation(self.0.reserve_wait(len)?))
    }

    /// As [`Producer::reserve_wait`], but no longer than `timeout`.
    ///
    /// # Errors
    ///
    /// As for [`Producer::wait`].
    pub fn reserve_timeout(&mut self, len: usize, timeout: Duration) -> Result<Reservation<'_>> {
        Ok(Reservation(self.0.reserve_timeout(len, Some(timeout))?))
    }

    /// Waits until `need` bytes can be reserved, forever if there is no `timeout`. For limits of
    /// `need` see [`Consumer::wait`](crate::Consumer::wait).
    ///
    /// # Errors
    ///
    /// [`Error::NotYet`] if there is less room when the timeout expires. [`Error::Ended`] if there
    /// is less room and all readers have gone. As long as there is room, the readers are not asked
    /// for: call [`Producer::check`], or poll the device, to learn at once that they have gone.
    /// [`Error::Range`] if `need` is more than the capacity, [`Error::Broken`] if the consumer's
    /// position is impossible, and [`Error::Io`] with `EINTR` if a signal handler ran.
    pub fn wait(&mut self, need: usize, timeout: Option<Duration>) -> Result<()> {
        self.0.end.wait(need, timeout)?.ok_or(Error::NotYet)?;
        Ok(())
    }

    /// Whether it makes sense to go on. This takes system calls.
    ///
    /// # Errors
    ///
    /// [`Error::Ended`] if all readers have gone, [`Error::Broken`] in the error state.
    pub fn check(&self) -> Result<()> {
        self.0.end.check()
    }

    /// Sets how long [`Write`] waits, as
    /// [`UnixStream::set_write_timeout`](std::os::unix::net::UnixStream::set_write_timeout) does:
    /// it fails with [`WouldBlock`](io::ErrorKind::WouldBlock) then. At first it waits forever.
    pub fn set_write_timeout(&mut self, timeout: Option<Duration>) {
        self.0.timeout = timeout;
    }

    /// How long [`Write`] waits.
    pub fn write_timeout(&self) -> Option<Duration> {
        self.0.timeout
    }
}

/// The device. An event loop can poll it for writing to learn that there is room, and then does not
/// need [`Producer::wait`].
impl AsFd for Producer {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.0.end.as_fd()
    }
}

/// Copies bytes in. Sleeps until there is room for a byte, and takes as many bytes as then fit.
impl Write for Producer {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        Ok(self.0.write(bytes)?)
    }

    /// Does nothing: what is written is queued at once.
    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

impl<B: Bell> Port<B> {
    pub(crate) fn new(end: End<Head<Stream>, B>) -> Self {
        Self { end, timeout: None }
    }

    #[inline]
    pub(crate) fn reserve(&mut self, len: usize) -> Result<Option<Place<'_, B>>> {
        Ok((self.end.look(len)? >= len).then_some(Place { port: self, len }))
    }

    pub(crate) fn reserve_wait(&mut self, len: usize) -> Result<Place<'_, B>> {
        self.reserve_timeout(len, None)
    }

    pub(crate) fn reserve_timeout(
        &mut self,
        len: usize,
        timeout: Option<Duration>,
    ) -> Result<Place<'_, B>> {
        self.end.wait(len, timeout)?.ok_or(Error::NotYet)?;
        Ok(Place { port: self, len })
    }

    pub(crate) fn write(&mut self, bytes: &[u8]) -> Result<usize> {
        if bytes.is_empty() {
            return Ok(0);
        }
        let room = self.end.wait(1, self.timeout)?.ok_or(Error::NotYet)?;
        self.write_now(room, bytes)
    }

    /// Puts as many bytes in as fit, into `room` that is known to be there.
    pub(crate) fn write_now(&mut self, room: usize, bytes: &[u8]) -> Result<usize> {
        let len = room.min(bytes.len());
        let place = Place { port: self, len };
        place.span().put(0, &bytes[..len])?;
        place.commit(len)?;
        Ok(len)
    }
}
