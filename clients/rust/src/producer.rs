// SPDX-License-Identifier: GPL-2.0

use crate::end::{within, Bell, Device, End, Head};
use std::fs::OpenOptions;
use std::io::{self, Write};
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, OwnedFd};
use std::path::Path;
use std::ptr;
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
pub struct Producer(Port<Device>);

/// The same, with any way to wake the consumer.
pub(crate) struct Port<B: Bell> {
    pub(crate) end: End<Head, B>,
}

impl Producer {
    /// Becomes the producer of the device at `path`.
    ///
    /// # Errors
    ///
    /// [`io::ErrorKind::ResourceBusy`] if the end has an owner already,
    /// [`io::ErrorKind::PermissionDenied`] without permission to open the device for reading and
    /// writing, `ENOTTY` if it is not a vfifo, `EIO` if the consumer's position is impossible; and
    /// the errors of `open` and `mmap`.
    pub fn open(path: impl AsRef<Path>) -> io::Result<Self> {
        let file = OpenOptions::new().read(true).write(true).open(path)?;
        Self::from_fd(file)
    }

    /// Becomes the producer of the device `file`, which must be open for reading and writing.
    ///
    /// # Errors
    ///
    /// As for [`Producer::open`].
    pub fn from_fd(file: impl Into<OwnedFd>) -> io::Result<Self> {
        let end = End::open(file.into())?;
        Ok(Self(Port { end }))
    }

    /// The capacity: the largest number of bytes that can be queued.
    pub fn capacity(&self) -> usize {
        self.0.end.capacity()
    }

    /// The number of bytes that can be reserved now.
    ///
    /// # Errors
    ///
    /// `EIO` if the consumer's position is impossible.
    pub fn room(&mut self) -> io::Result<usize> {
        self.0.end.look(usize::MAX)
    }

    /// Reserves room for the next `len` bytes. Returns [`None`] if they do not fit now.
    ///
    /// # Errors
    ///
    /// `EIO` if the consumer's position is impossible.
    #[inline]
    pub fn reserve(&mut self, len: usize) -> io::Result<Option<Reservation<'_>>> {
        Ok(self.0.reserve(len)?.map(Reservation))
    }

    /// As [`Producer::reserve`], but sleeps until they fit.
    ///
    /// # Errors
    ///
    /// As for [`Producer::wait`].
    pub fn reserve_wait(&mut self, len: usize) -> io::Result<Reservation<'_>> {
        Ok(Reservation(self.0.reserve_wait(len)?))
    }

    /// Waits until `need` bytes can be reserved, forever if there is no `timeout`. Returns whether
    /// they can be. For limits of `need` see [`Consumer::wait`](crate::Consumer::wait).
    ///
    /// # Errors
    ///
    /// [`io::ErrorKind::BrokenPipe`] if there is less room and all readers have gone, provided that
    /// the device's attribute `hangup` is 1 and there was one, or that the device has been removed.
    /// As long as there is room, the readers
    /// are not asked for; poll the device to learn at once that they have gone. A new reader
    /// continues the stream. [`io::ErrorKind::InvalidInput`] if `need` is more than the capacity,
    /// [`io::ErrorKind::Interrupted`] if a signal handler ran, `EIO` if the consumer's position is
    /// impossible.
    pub fn wait(&mut self, need: usize, timeout: Option<Duration>) -> io::Result<bool> {
        Ok(self.0.end.wait(need, timeout)?.is_some())
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
        self.0.write(bytes)
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

impl<B: Bell> Port<B> {
    #[inline]
    pub(crate) fn reserve(&mut self, len: usize) -> io::Result<Option<Place<'_, B>>> {
        Ok((self.end.look(len)? >= len).then_some(Place { port: self, len }))
    }

    pub(crate) fn reserve_wait(&mut self, len: usize) -> io::Result<Place<'_, B>> {
        self.end.wait(len, None)?;
        Ok(Place { port: self, len })
    }

    pub(crate) fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        if bytes.is_empty() {
            return Ok(0);
        }
        let room = self.end.wait(1, None)?.unwrap_or(0);
        let len = room.min(bytes.len());
        let mut place = self.reserve_wait(len)?;
        place.put(0, &bytes[..len])?;
        place.commit(len)?;
        Ok(len)
    }
}

/// Reserved room. Nobody sees the bytes until they are [committed](Reservation::commit). Dropping
/// this value instead queues nothing.
pub struct Reservation<'a>(Place<'a, Device>);

pub(crate) struct Place<'a, B: Bell> {
    port: &'a mut Port<B>,
    len: usize,
}

impl Reservation<'_> {
    /// The number of bytes.
    #[expect(clippy::len_without_is_empty, reason = "as long as was asked for")]
    pub fn len(&self) -> usize {
        self.0.len
    }

    /// Copies `bytes` to the reserved room, from its byte number `offset` on.
    ///
    /// # Errors
    ///
    /// [`io::ErrorKind::InvalidInput`] if they do not fit there; nothing is copied then.
    #[inline]
    pub fn put(&mut self, offset: usize, bytes: &[u8]) -> io::Result<()> {
        self.0.put(offset, bytes)
    }

    /// Lets the kernel read from `file` to the reserved room, and returns how many bytes it has
    /// read: zero at the end of the file. This does not commit them.
    ///
    /// # Errors
    ///
    /// Those of `read`.
    pub fn read_from(&mut self, file: impl AsFd) -> io::Result<usize> {
        self.0.read_from(file.as_fd())
    }

    /// The place of the reserved room.
    ///
    /// Others can load and store its bytes at any time (see [the crate](crate)), so use the pointer
    /// for volatile or atomic accesses, or pass it to a foreign function that expects that. It is
    /// valid for reads and writes as long as this reservation exists.
    #[inline]
    pub fn as_raw(&mut self) -> *mut [u8] {
        self.0.as_raw()
    }

    /// The reserved room, as ordinary memory. It contains whatever was there before.
    ///
    /// # Safety
    ///
    /// While the slice is in use, no other process or mapping may store to these bytes or load
    /// them: every process that can open the device must follow the protocol.
    #[inline]
    pub unsafe fn as_mut_slice(&mut self) -> &mut [u8] {
        // SAFETY: The memory is mapped and initialized, and nobody else accesses it, by the safety
        // requirements. The result borrows `self`.
        unsafe { &mut *self.as_raw() }
    }

    /// Queues the first `len` bytes, and wakes the consumer if it sleeps.
    ///
    /// # Errors
    ///
    /// [`io::ErrorKind::InvalidInput`] if fewer are reserved; nothing is queued then. Other errors
    /// mean that waking has failed; the bytes are queued nevertheless.
    #[inline]
    pub fn commit(self, len: usize) -> io::Result<()> {
        self.0.commit(len)
    }
}

impl<B: Bell> Place<'_, B> {
    #[inline]
    pub(crate) fn put(&mut self, offset: usize, bytes: &[u8]) -> io::Result<()> {
        within(self.len, offset, bytes.len())?;
        let end = &self.port.end;
        end.data().store(end.offset() + offset, bytes);
        Ok(())
    }

    pub(crate) fn read_from(&mut self, file: BorrowedFd<'_>) -> io::Result<usize> {
        // SAFETY: The kernel stores only to these bytes, which are mapped. Nothing in this process
        // relies on their contents.
        let count = unsafe {
            libc::read(
                file.as_raw_fd(),
                self.as_raw().cast::<libc::c_void>(),
                self.len,
            )
        };
        usize::try_from(count).map_err(|_| io::Error::last_os_error())
    }

    #[inline]
    pub(crate) fn as_raw(&mut self) -> *mut [u8] {
        let end = &self.port.end;
        ptr::slice_from_raw_parts_mut(end.data().at(end.offset()), self.len)
    }

    #[inline]
    pub(crate) fn commit(self, len: usize) -> io::Result<()> {
        within(self.len, 0, len)?;
        self.port.end.publish(len)
    }
}
