// SPDX-License-Identifier: GPL-2.0 OR MIT
// Copyright (C) 2026 Seed 1f3ad1c2 maintainers.

//! Ends that are used by `read` and `write`.

use super::wakes::Wakes;
use crate::epoll::{check, watch};
use crate::error::Result;
use crate::Info;
use ::tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use ::tokio::task::coop;
use std::fmt;
use std::fs::{File, OpenOptions};
use std::io::{self, Read, Write};
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, OwnedFd, RawFd};
use std::os::unix::fs::OpenOptionsExt;
use std::path::Path;
use std::pin::Pin;
use std::task::{ready, Context, Poll};

/// A plain reader of a FIFO of any kind. There can be any number of them, but none can read while
/// the consumer's end is mapped (`EBUSY`).
///
/// ```no_run
/// # async fn run() -> vfifo::Result<()> {
/// use tokio::io::{AsyncBufReadExt, BufReader};
///
/// let reader = vfifo::tokio::Reader::open("/dev/vfifo0")?;
/// let mut lines = BufReader::new(reader).lines();
/// while let Some(line) = lines.next_line().await? {
///     println!("{line}");
/// }
/// # Ok(())
/// # }
/// ```
pub struct Reader(Plain);

/// A plain writer of a FIFO of any kind. There can be any number of them, but none can write while
/// the producer's end is mapped (`EBUSY`).
///
/// Up to `PIPE_BUF` bytes, or one record, are written as a whole.
///
/// ```no_run
/// # async fn run() -> vfifo::Result<()> {
/// use tokio::io::AsyncWriteExt;
///
/// let mut writer = vfifo::tokio::Writer::open("/dev/vfifo0")?;
/// writer.write_all(b"hello\n").await?;
/// # Ok(())
/// # }
/// ```
pub struct Writer(Plain);

struct Plain {
    file: File,
    wakes: Wakes,
}

impl Plain {
    fn open(path: &Path, options: &mut OpenOptions, event: i32) -> Result<Self> {
        let file = options.custom_flags(libc::O_NONBLOCK).open(path)?;
        Self::new(file, event)
    }

    fn from_fd(file: OwnedFd, event: i32) -> Result<Self> {
        let fd = file.as_raw_fd();
        // SAFETY: The descriptor is open, and the request takes no argument.
        let flags = check(unsafe { libc::fcntl(fd, libc::F_GETFL) })?;
        // SAFETY: The descriptor is open, and the argument is an integer.
        check(unsafe { libc::fcntl(fd, libc::F_SETFL, flags | libc::O_NONBLOCK) })?;
        Self::new(file.into(), event)
    }

    fn new(file: File, event: i32) -> Result<Self> {
        // Other files are refused.
        Info::of(&file)?;
        let wakes = Wakes::new(watch(file.as_fd(), event)?)?;
        Ok(Self { file, wakes })
    }

    /// Calls `transfer` until it need not wait.
    fn poll<T>(
        &self,
        cx: &mut Context<'_>,
        mut transfer: impl FnMut(&File) -> io::Result<T>,
    ) -> Poll<io::Result<T>> {
        let coop = ready!(coop::poll_proceed(cx));
        loop {
            match transfer(&self.file) {
                // What happens from now on is news: an attempt follows each time that old news is
                // dropped.
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => {
                    ready!(self.wakes.poll_news(cx))?;
                }
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                result => {
                    coop.made_progress();
                    return Poll::Ready(result);
                }
            }
        }
    }
}

impl Reader {
    /// Opens the device at `path` for reading.
    ///
    /// # Errors
    ///
    /// [`Error::NotVfifo`](crate::Error::NotVfifo) if it is none, [`Error::Io`](crate::Error::Io)
    /// with those of `open`.
    ///
    /// # Panics
    ///
    /// If there is no runtime, or its I/O is not enabled.
    pub fn open(path: impl AsRef<Path>) -> Result<Self> {
        let plain = Plain::open(path.as_ref(), OpenOptions::new().read(true), libc::EPOLLIN)?;
        Ok(Self(plain))
    }

    /// A reader of the device `file`, which must be open for reading. This sets its `O_NONBLOCK`,
    /// for all who share it.
    ///
    /// # Errors
    ///
    /// As for [`Reader::open`].
    ///
    /// # Panics
    ///
    /// As [`Reader::open`].
    pub fn from_fd(file: impl Into<OwnedFd>) -> Result<Self> {
        Ok(Self(Plain::from_fd(file.into(), libc::EPOLLIN)?))
    }
}

/// At the end of the stream, there are no bytes; a new writer continues it. In a FIFO of records,
/// each read returns one record, and fails with `EMSGSIZE` if it does not fit.
impl AsyncRead for Reader {
    fn poll_read(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        to: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let unfilled = to.initialize_unfilled();
        let len = ready!(self.0.poll(cx, |mut file| file.read(unfilled)))?;
        to.advance(len);
        Poll::Ready(Ok(()))
    }
}

impl Writer {
    /// Opens the device at `path` for writing.
    ///
    /// # Errors
    ///
    /// [`Error::NotVfifo`](crate::Error::NotVfifo) if it is none, [`Error::Io`](crate::Error::Io)
    /// with those of `open`.
    ///
    /// # Panics
    ///
    /// If there is no runtime, or its I/O is not enabled.
    pub fn open(path: impl AsRef<Path>) -> Result<Self> {
        let plain = Plain::open(
            path.as_ref(),
            OpenOptions::new().write(true),
            libc::EPOLLOUT,
        )?;
        Ok(Self(plain))
    }

    /// A writer of the device `file`, which must be open for writing. This sets its `O_NONBLOCK`,
    /// for all who share it.
    ///
    /// # Errors
    ///
    /// As for [`Writer::open`].
    ///
    /// # Panics
    ///
    /// As [`Writer::open`].
    pub fn from_fd(file: impl Into<OwnedFd>) -> Result<Self> {
        Ok(Self(Plain::from_fd(file.into(), libc::EPOLLOUT)?))
    }
}

/// In a FIFO of records, each write queues one record. What is written is queued at once, so
/// flushing does nothing. Nor does shutting down: dropping the writer closes the file.
impl AsyncWrite for Writer {
    fn poll_write(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        self.0.poll(cx, |mut file| file.write(bytes))
    }

    fn poll_write_vectored(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        pieces: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        self.0.poll(cx, |mut file| file.write_vectored(pieces))
    }

    fn is_write_vectored(&self) -> bool {
        true
    }

    fn poll_flush(self: Pin<&mut Self>, _cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }

    fn poll_shutdown(self: Pin<&mut Self>, _cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }
}

macro_rules! plain_traits {
    ($($type:ident),*) => {
        $(
            impl AsFd for $type {
                fn as_fd(&self) -> BorrowedFd<'_> {
                    self.0.file.as_fd()
                }
            }

            impl AsRawFd for $type {
                fn as_raw_fd(&self) -> RawFd {
                    self.0.file.as_raw_fd()
                }
            }

            impl From<$type> for OwnedFd {
                fn from(plain: $type) -> Self {
                    plain.0.file.into()
                }
            }

            impl fmt::Debug for $type {
                fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                    f.debug_struct(stringify!($type))
                        .field("fd", &self.as_raw_fd())
                        .finish_non_exhaustive()
                }
            }
        )*
    };
}

plain_traits!(Reader, Writer);
