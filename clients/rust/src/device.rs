// SPDX-License-Identifier: GPL-2.0 OR MIT
// Copyright (C) 2026 Seed 1f3ad1c2 maintainers.

//! The device: what can be mapped, and how the ends wake each other.

use crate::epoll::{check, drain, watch};
use crate::error::{Error, Result};
use crate::uapi::{self, Info};
use std::io;
use std::mem::offset_of;
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, OwnedFd, RawFd};
use std::time::Duration;

/// Why a sleep has ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Wake {
    /// Something has happened at the other end, or the time is over.
    Look,
    /// Everybody at the other end has gone.
    Ended,
}

/// How the ends wake each other.
pub(crate) trait Bell: Send {
    /// Wakes those who wait at the other end and can go on.
    fn wake(&self) -> Result<()>;
    /// Sleeps until something has happened at the other end since the last time, or for `timeout`;
    /// not at all if everybody there has gone.
    fn sleep(&self, timeout: Option<Duration>) -> Result<Wake>;
}

/// The device, and an epoll that watches it.
pub(crate) struct Device {
    file: OwnedFd,
    epoll: OwnedFd,
}

fn milliseconds(timeout: Option<Duration>) -> libc::c_int {
    // Rounded up, so that the caller does not spin through the last millisecond.
    let ms = timeout.map(|timeout| timeout.as_nanos().div_ceil(1_000_000));
    ms.map_or(-1, |ms| {
        libc::c_int::try_from(ms).unwrap_or(libc::c_int::MAX)
    })
}

impl Device {
    pub(crate) fn new(file: OwnedFd, event: i32) -> io::Result<Self> {
        let epoll = watch(file.as_fd(), event)?;
        Ok(Self { file, epoll })
    }

    pub(crate) fn info(file: BorrowedFd<'_>) -> Result<Info> {
        let mut info = Info {
            size: size_of::<Info>() as u32,
            ..Info::default()
        };
        // SAFETY: The kernel fills at most `size` bytes.
        let got = unsafe { libc::ioctl(file.as_raw_fd(), uapi::GET_INFO as _, &mut info) };
        match check(got) {
            Err(error) if error.raw_os_error() == Some(libc::ENOTTY) => Err(Error::NotVfifo),
            result => Ok(result?),
        }?;
        // The kernel promises this, but another driver may know of a request with this number.
        if (info.size as usize) < offset_of!(Info, flags) || !info.capacity.is_power_of_two() {
            return Err(Error::NotVfifo);
        }
        Ok(info)
    }

    pub(crate) fn file(&self) -> BorrowedFd<'_> {
        self.file.as_fd()
    }

    pub(crate) fn into_file(self) -> OwnedFd {
        self.file
    }

    /// Becomes readable when something has happened at the other end, until [`Bell::sleep`] has
    /// returned.
    pub(crate) fn epoll(&self) -> BorrowedFd<'_> {
        self.epoll.as_fd()
    }

    /// The reason for the events that poll reports for the device without being asked for any.
    #[cold]
    fn reason(&self, events: libc::c_short) -> Result<Wake> {
        if events & libc::POLLERR == 0 {
            return Ok(Wake::Ended);
        }
        let info = Self::info(self.file.as_fd())?;
        // A kernel that does not fill the flags has no other reason.
        if !info.has_flags() || info.flags & uapi::BROKEN != 0 {
            return Err(Error::Broken);
        }
        let gone = uapi::HANGUP | uapi::NO_READERS;
        // The flags do not tell whether this file has met a reader; poll does. But what it has
        // reported may have been an error state that was over by then.
        let mut fds = [pollfd(self.file.as_raw_fd(), 0)];
        match info.flags & gone == gone
            && poll(&mut fds, Some(Duration::ZERO))?
            && fds[0].revents & libc::POLLERR != 0
        {
            true => Ok(Wake::Ended),
            // It is over already.
            false => Ok(Wake::Look),
        }
    }
}

fn pollfd(fd: RawFd, events: libc::c_short) -> libc::pollfd {
    libc::pollfd {
        fd,
        events,
        revents: 0,
    }
}

/// Returns whether there are any events. With a timeout of zero it is never interrupted.
fn poll(fds: &mut [libc::pollfd], timeout: Option<Duration>) -> io::Result<bool> {
    // SAFETY: The pointer is that of a slice of this length.
    let ret = unsafe {
        libc::poll(
            fds.as_mut_ptr(),
            fds.len() as libc::nfds_t,
            milliseconds(timeout),
        )
    };
    match check(ret) {
        // A look does not sleep. It fails if there is nothing, and a signal.
        Err(error)
            if timeout == Some(Duration::ZERO) && error.kind() == io::ErrorKind::Interrupted =>
        {
            fds.iter_mut().for_each(|fd| fd.revents = 0);
            Ok(false)
        }
        result => result.map(|ready| ready > 0),
    }
}

impl Bell for Device {
    fn wake(&self) -> Result<()> {
        // SAFETY: The request takes no argument.
        check(unsafe { libc::ioctl(self.file.as_raw_fd(), uapi::NOTIFY as _) })?;
        Ok(())
    }

    fn sleep(&self, timeout: Option<Duration>) -> Result<Wake> {
        // Only the end and the error state are asked for by level: their edge may have come before.
        let mut fds = [
            pollfd(self.epoll.as_raw_fd(), libc::POLLIN),
            pollfd(self.file.as_raw_fd(), 0),
        ];
        // Unlike epoll_wait(2), poll(2) sleeps on after SIGCONT or a suspend.
        poll(&mut fds, timeout)?;
        drain(self.epoll.as_fd())?;
        match fds[1].revents & (libc::POLLERR | libc::POLLHUP) {
            0 => Ok(Wake::Look),
            events => self.reason(events),
        }
    }
}
