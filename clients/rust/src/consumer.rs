// SPDX-License-Identifier: GPL-2.0 OR MIT
// Copyright (C) 2026 Seed 1f3ad1c2 maintainers.

use crate::bytes::{Bytes, Run};
use crate::device::{Bell, Device};
use crate::end::End;
use crate::error::{Error, Result};
use crate::kind::Stream;
use crate::side::Tail;
use crate::traits::end_traits;
use std::fs::OpenOptions;
use std::io::{self, BufRead, Read};
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::path::Path;
use std::time::Duration;

/// The consumer's end of a FIFO. While this exists, nobody else takes bytes out.
///
/// ```no_run
/// # fn main() -> std::io::Result<()> {
/// let mut consumer = vfifo::Consumer::open("/dev/vfifo0")?;
/// loop {
///     // Sleeps until there is a byte.
///     let bytes = consumer.peek_wait(1)?;
///     // The kernel takes them directly from the buffer.
///     let len = bytes.write_to(std::io::stdout())?;
///     bytes.release(len)?;
/// }
/// # }
/// ```
pub struct Consumer(pub(crate) Port<Device>);

end_traits!(Consumer);

/// The same, with any way to wake the producer.
pub(crate) struct Port<B: Bell> {
    pub(crate) end: End<Tail<Stream>, B>,
    /// For `Read` and `BufRead`.
    pub(crate) timeout: Option<Duration>,
    copy: Copy,
}

/// A copy of queued bytes, for `BufRead`.
#[derive(Default)]
struct Copy {
    /// The position of the first byte.
    at: u64,
    bytes: Vec<u8>,
}

/// The most bytes that are copied at a time.
const COPY: usize = 8192;

impl Consumer {
    /// Becomes the consumer of the device at `path`.
    ///
    /// # Errors
    ///
    /// [`Error::Claimed`] if the end has an owner already, [`Error::Kind`] if the FIFO is of
    /// another [kind](crate#kinds), [`Error::NotVfifo`] if it is none, [`Error::Broken`] if the
    /// producer's position is impossible, [`Error::Io`] with the errors of `open` and `mmap`: `EACCES`
    /// without permission to open the device for reading and writing.
    pub fn open(path: impl AsRef<Path>) -> Result<Self> {
        let file = OpenOptions::new().read(true).write(true).open(path)?;
        Self::from_fd(file)
    }

    /// Becomes the consumer of the device `file`, which must be open for reading and writing.
    ///
    /// # Errors
    ///
    /// As for [`Consumer::open`].
    pub fn from_fd(file: impl Into<OwnedFd>) -> Result<Self> {
        let end = End::open(file.into())?;
        Ok(Self(Port::new(end)))
    }

    /// The capacity: the largest number of bytes that can be queued.
    pub fn capacity(&self) -> usize {
        self.0.end.capacity()
    }

    /// The number of bytes that are queued now.
    ///
    /// # Errors
    ///
    /// [`Error::Broken`] if the producer's position is impossible.
    pub fn queued(&mut self) -> Result<usize> {
        self.0.end.look(usize::MAX)
    }

    /// The oldest queued bytes. Does not wait. More bytes may have arrived than this knows of, but
    /// it knows of as many as [`Consumer::wait`] has waited for.
    ///
    /// # Errors
    ///
    /// [`Error::NotYet`] if there are none, [`Error::Broken`] if the producer's position is
    /// impossible. This makes no system call, so it does not tell whether the writers have gone:
    /// [`Consumer::wait`] does.
    #[inline]
    pub fn peek(&mut self) -> Result<Bytes<'_>> {
        self.0.peek()?.map(Bytes).ok_or(Error::NotYet)
    }

    /// As [`Consumer::peek`], but sleeps until there are `need` bytes.
    ///
    /// # Errors
    ///
    /// As for [`Consumer::wait`].
    pub fn peek_wait(&mut self, need: usize) -> Result<Bytes<'_>> {
        Ok(Bytes(self.0.peek_wait(need)?))
    }

    /// As [`Consumer::peek_wait`], but no longer than `timeout`.
    ///
    /// # Errors
    ///
    /// As for [`Consumer::wait`].
    pub fn peek_timeout(&mut self, need: usize, timeout: Duration) -> Result<Bytes<'_>> {
        Ok(Bytes(self.0.peek_timeout(need, Some(timeout))?))
    }

    /// Waits until `need` bytes are queued, forever if there is no `timeout`.
    ///
    /// Bytes that are already there stay queued meanwhile, while the other end may wait for room: a
    /// producer for its `need`, and a `write(2)` for all of its bytes, or for `PIPE_BUF` if it has
    /// more. If the two numbers add up to more than the capacity plus one, both may wait forever.
    ///
    /// # Errors
    ///
    /// [`Error::NotYet`] if fewer are queued when the timeout expires. [`Error::Ended`] if fewer
    /// are queued and all writers have gone; [`Consumer::peek`] still returns what is queued.
    /// [`Error::Range`] if `need` is more than the capacity, [`Error::Broken`] if the producer's
    /// position is impossible, and [`Error::Io`] with `EINTR` if a signal handler ran.
    pub fn wait(&mut self, need: usize, timeout: Option<Duration>) -> Result<()> {
        self.0.end.wait(need, timeout)?.ok_or(Error::NotYet)?;
        Ok(())
    }

    /// Sets how long [`Read`] and [`BufRead`] wait, as
    /// [`UnixStream::set_read_timeout`](std::os::unix::net::UnixStream::set_read_timeout) does:
    /// they fail with [`WouldBlock`](io::ErrorKind::WouldBlock) then. At first they wait forever.
    pub fn set_read_timeout(&mut self, timeout: Option<Duration>) {
        self.0.timeout = timeout;
    }

    /// How long [`Read`] and [`BufRead`] wait.
    pub fn read_timeout(&self) -> Option<Duration> {
        self.0.timeout
    }
}

/// The device. An event loop can poll it for reading to learn that there are bytes, and then does
/// not need [`Consumer::wait`].
impl AsFd for Consumer {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.0.end.as_fd()
    }
}

/// Copies bytes out. Sleeps until there is a byte. Returns zero at the end of the stream, see
/// [`Error::Ended`].
impl Read for Consumer {
    fn read(&mut self, bytes: &mut [u8]) -> io::Result<usize> {
        Ok(self.0.read(bytes)?)
    }
}

/// Reads through a copy of some of the oldest bytes, so they do not change while they are looked
/// at. They are released when they are consumed: what was not consumed is there for the next
/// consumer, unlike what is left in a [`BufReader`](io::BufReader).
///
/// ```no_run
/// # fn main() -> std::io::Result<()> {
/// use std::io::BufRead;
/// let mut consumer = vfifo::Consumer::open("/dev/vfifo0")?;
/// for line in consumer.lines() {
///     println!("{}", line?);
/// }
/// # Ok(())
/// # }
/// ```
impl BufRead for Consumer {
    fn fill_buf(&mut self) -> io::Result<&[u8]> {
        Ok(self.0.fill_buf()?)
    }

    fn consume(&mut self, len: usize) {
        self.0.consume(len);
    }
}

impl<B: Bell> Port<B> {
    pub(crate) fn new(end: End<Tail<Stream>, B>) -> Self {
        Self {
            end,
            timeout: None,
            copy: Copy::default(),
        }
    }

    #[inline]
    pub(crate) fn peek(&mut self) -> Result<Option<Run<'_, B>>> {
        let len = self.end.look(1)?;
        Ok((len > 0).then_some(Run { port: self, len }))
    }

    pub(crate) fn peek_wait(&mut self, need: usize) -> Result<Run<'_, B>> {
        self.peek_timeout(need, None)
    }

    pub(crate) fn peek_timeout(
        &mut self,
        need: usize,
        timeout: Option<Duration>,
    ) -> Result<Run<'_, B>> {
        let len = self.end.wait(need, timeout)?.ok_or(Error::NotYet)?;
        Ok(Run { port: self, len })
    }

    /// Waits for a byte as long as `Read` does. Returns zero at the end.
    fn wait_to_read(&mut self) -> Result<usize> {
        match self.end.wait(1, self.timeout) {
            Err(Error::Ended(_)) => Ok(0),
            len => len?.ok_or(Error::NotYet),
        }
    }

    pub(crate) fn read(&mut self, bytes: &mut [u8]) -> Result<usize> {
        if bytes.is_empty() {
            return Ok(0);
        }
        let len = self.wait_to_read()?;
        self.read_now(len, bytes)
    }

    /// Takes as many bytes out as fit, of the `len` that are known to be queued.
    pub(crate) fn read_now(&mut self, len: usize, bytes: &mut [u8]) -> Result<usize> {
        let run = Run { port: self, len };
        let len = len.min(bytes.len());
        run.span().get(0, &mut bytes[..len])?;
        run.release(len)?;
        Ok(len)
    }

    /// The part of the copy that is still queued.
    pub(crate) fn copied(&self) -> &[u8] {
        let Copy { at, bytes } = &self.copy;
        let released = self.end.cursor.position.wrapping_sub(*at);
        usize::try_from(released)
            .ok()
            .and_then(|released| bytes.get(released..))
            .unwrap_or(&[])
    }

    /// Copies some of the `len` bytes that are known to be queued, for [`Port::copied`].
    pub(crate) fn copy(&mut self, len: usize) -> Result<()> {
        let len = len.min(COPY);
        self.copy.at = self.end.cursor.position;
        self.copy.bytes.resize(len, 0);
        self.end.first(len).get(0, &mut self.copy.bytes)
    }

    pub(crate) fn fill_buf(&mut self) -> Result<&[u8]> {
        if self.copied().is_empty() {
            let len = self.wait_to_read()?;
            self.copy(len)?;
        }
        Ok(self.copied())
    }

    pub(crate) fn consume(&mut self, len: usize) {
        let len = len.min(self.copied().len());
        // The room is given back in any case. There is no way to report that waking a producer has
        // failed; the next look at the FIFO fails as well if there is a reason for that.
        let _ = self.end.publish(len);
    }
}
