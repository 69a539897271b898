// SPDX-License-Identifier: GPL-2.0

use crate::end::{within, Bell, Device, End, Tail};
use std::fs::OpenOptions;
use std::io::{self, Read};
use std::iter::FusedIterator;
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, OwnedFd};
use std::path::Path;
use std::ptr;
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
pub struct Consumer(Port<Device>);

/// The same, with any way to wake the producer.
pub(crate) struct Port<B: Bell> {
    pub(crate) end: End<Tail, B>,
}

impl Consumer {
    /// Becomes the consumer of the device at `path`.
    ///
    /// # Errors
    ///
    /// [`io::ErrorKind::ResourceBusy`] if the end has an owner already,
    /// [`io::ErrorKind::PermissionDenied`] without permission to open the device for reading and
    /// writing, `ENOTTY` if it is not a vfifo, `EIO` if the producer's position is impossible; and
    /// the errors of `open` and `mmap`.
    pub fn open(path: impl AsRef<Path>) -> io::Result<Self> {
        let file = OpenOptions::new().read(true).write(true).open(path)?;
        Self::from_fd(file)
    }

    /// Becomes the consumer of the device `file`, which must be open for reading and writing.
    ///
    /// # Errors
    ///
    /// As for [`Consumer::open`].
    pub fn from_fd(file: impl Into<OwnedFd>) -> io::Result<Self> {
        let end = End::open(file.into())?;
        Ok(Self(Port { end }))
    }

    /// The capacity: the largest number of bytes that can be queued.
    pub fn capacity(&self) -> usize {
        self.0.end.capacity()
    }

    /// The oldest queued bytes, or [`None`] if there are none. More bytes may have arrived than
    /// this knows of, but it knows of as many as [`Consumer::wait`] has waited for.
    ///
    /// # Errors
    ///
    /// `EIO` if the producer's position is impossible.
    #[inline]
    pub fn peek(&mut self) -> io::Result<Option<Bytes<'_>>> {
        Ok(self.0.peek()?.map(Bytes))
    }

    /// As [`Consumer::peek`], but sleeps until there are `need` bytes.
    ///
    /// # Errors
    ///
    /// As for [`Consumer::wait`].
    pub fn peek_wait(&mut self, need: usize) -> io::Result<Bytes<'_>> {
        Ok(Bytes(self.0.peek_wait(need)?))
    }

    /// Waits until `need` bytes are queued, forever if there is no `timeout`. Returns whether they
    /// are.
    ///
    /// Bytes that are already there stay queued meanwhile, while the other end may wait for room: a
    /// producer for its `need`, and a `write(2)` for all of its bytes, or for `PIPE_BUF` if it has
    /// more. If the two numbers add up to more than the capacity plus one, both may wait forever.
    ///
    /// # Errors
    ///
    /// [`io::ErrorKind::UnexpectedEof`] if fewer are queued and all writers have gone, provided that
    /// the device's attribute `hangup` is 1 and there was one, or that the device has been removed;
    /// [`Consumer::peek`] still returns what is queued. A new writer continues the stream. [`io::ErrorKind::InvalidInput`] if `need` is
    /// more than the capacity, [`io::ErrorKind::Interrupted`] if a signal handler ran, `EIO` if the
    /// producer's position is impossible.
    pub fn wait(&mut self, need: usize, timeout: Option<Duration>) -> io::Result<bool> {
        Ok(self.0.end.wait(need, timeout)?.is_some())
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
/// [`Consumer::wait`].
impl Read for Consumer {
    fn read(&mut self, bytes: &mut [u8]) -> io::Result<usize> {
        self.0.read(bytes)
    }
}

impl<B: Bell> Port<B> {
    #[inline]
    pub(crate) fn peek(&mut self) -> io::Result<Option<Run<'_, B>>> {
        let len = self.end.look(1)?;
        Ok((len > 0).then_some(Run { port: self, len }))
    }

    pub(crate) fn peek_wait(&mut self, need: usize) -> io::Result<Run<'_, B>> {
        let len = self.end.wait(need, None)?.unwrap_or(0);
        Ok(Run { port: self, len })
    }

    pub(crate) fn read(&mut self, bytes: &mut [u8]) -> io::Result<usize> {
        if bytes.is_empty() {
            return Ok(0);
        }
        let run = match self.peek_wait(1) {
            Err(error) if error.kind() == io::ErrorKind::UnexpectedEof => return Ok(0),
            run => run?,
        };
        let len = run.len.min(bytes.len());
        run.get(0, &mut bytes[..len])?;
        run.release(len)?;
        Ok(len)
    }
}

/// Queued bytes, in one piece. They stay queued until they are [released](Bytes::release); dropping
/// this value does not release them.
pub struct Bytes<'a>(Run<'a, Device>);

pub(crate) struct Run<'a, B: Bell> {
    port: &'a mut Port<B>,
    pub(crate) len: usize,
}

impl Bytes<'_> {
    /// The number of bytes.
    #[expect(clippy::len_without_is_empty, reason = "as many as were waited for")]
    pub fn len(&self) -> usize {
        self.0.len
    }

    /// Copies bytes to `to`, from byte number `offset` on.
    ///
    /// # Errors
    ///
    /// [`io::ErrorKind::InvalidInput`] if there are fewer bytes than `to` holds; nothing is copied.
    #[inline]
    pub fn get(&self, offset: usize, to: &mut [u8]) -> io::Result<()> {
        self.0.get(offset, to)
    }

    /// A copy of all bytes.
    pub fn to_vec(&self) -> Vec<u8> {
        let mut bytes = vec![0; self.len()];
        let end = &self.0.port.end;
        end.data().load(end.offset(), &mut bytes);
        bytes
    }

    /// The bytes one by one. Each is loaded when it is its turn.
    pub fn iter(&self) -> Iter<'_> {
        Iter {
            bytes: self,
            next: 0,
        }
    }

    /// Lets the kernel write the bytes to `file`, and returns how many it has written. This does
    /// not release them.
    ///
    /// # Errors
    ///
    /// Those of `write`.
    pub fn write_to(&self, file: impl AsFd) -> io::Result<usize> {
        self.0.write_to(file.as_fd())
    }

    /// The place of the bytes.
    ///
    /// Others can store to the bytes at any time (see [the crate](crate)), so use the pointer for
    /// volatile or relaxed atomic loads, or pass it to a foreign function that expects that. It is
    /// valid for reads as long as this value exists.
    #[inline]
    pub fn as_raw(&self) -> *const [u8] {
        self.0.as_raw()
    }

    /// The bytes, as ordinary memory.
    ///
    /// # Safety
    ///
    /// While the slice is in use, no process or mapping may store to these bytes: every process
    /// that can open the device for reading and writing must follow the protocol.
    #[inline]
    pub unsafe fn as_slice(&self) -> &[u8] {
        // SAFETY: The memory is mapped, and does not change, by the safety requirements. The result
        // borrows `self`.
        unsafe { &*self.as_raw() }
    }

    /// Gives back the room of the first `len` bytes, and wakes the producer if it sleeps.
    ///
    /// # Errors
    ///
    /// [`io::ErrorKind::InvalidInput`] if there are fewer bytes; nothing is given back then. Other
    /// errors mean that waking has failed; the room is given back nevertheless.
    #[inline]
    pub fn release(self, len: usize) -> io::Result<()> {
        self.0.release(len)
    }
}

impl<'a> IntoIterator for &'a Bytes<'_> {
    type Item = u8;
    type IntoIter = Iter<'a>;

    fn into_iter(self) -> Iter<'a> {
        self.iter()
    }
}

/// The iterator that [`Bytes::iter`] returns.
pub struct Iter<'a> {
    bytes: &'a Bytes<'a>,
    next: usize,
}

impl Iterator for Iter<'_> {
    type Item = u8;

    #[inline]
    fn next(&mut self) -> Option<u8> {
        let byte = self.bytes.0.byte(self.next)?;
        self.next += 1;
        Some(byte)
    }

    fn size_hint(&self) -> (usize, Option<usize>) {
        let left = self.bytes.len() - self.next;
        (left, Some(left))
    }
}

impl ExactSizeIterator for Iter<'_> {}
impl FusedIterator for Iter<'_> {}

impl<B: Bell> Run<'_, B> {
    #[inline]
    pub(crate) fn get(&self, offset: usize, to: &mut [u8]) -> io::Result<()> {
        within(self.len, offset, to.len())?;
        let end = &self.port.end;
        end.data().load(end.offset() + offset, to);
        Ok(())
    }

    #[inline]
    fn byte(&self, offset: usize) -> Option<u8> {
        let end = &self.port.end;
        (offset < self.len).then(|| end.data().load_byte(end.offset() + offset))
    }

    pub(crate) fn write_to(&self, file: BorrowedFd<'_>) -> io::Result<usize> {
        // SAFETY: The kernel loads only these bytes, which are mapped.
        let count = unsafe {
            libc::write(
                file.as_raw_fd(),
                self.as_raw().cast::<libc::c_void>(),
                self.len,
            )
        };
        usize::try_from(count).map_err(|_| io::Error::last_os_error())
    }

    #[inline]
    pub(crate) fn as_raw(&self) -> *const [u8] {
        let end = &self.port.end;
        ptr::slice_from_raw_parts(end.data().at(end.offset()), self.len)
    }

    #[inline]
    pub(crate) fn release(self, len: usize) -> io::Result<()> {
        within(self.len, 0, len)?;
        self.port.end.publish(len)
    }
}
