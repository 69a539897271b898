// SPDX-License-Identifier: GPL-2.0 OR MIT
// Copyright (C) 2026 Seed 1f3ad1c2 maintainers.

//! An edge-triggered epoll that watches a device. A level-triggered one would return at once as
//! long as there is a single byte, even if the caller waits for more.

use std::io;
use std::os::fd::{AsRawFd, BorrowedFd, FromRawFd, OwnedFd};

pub(crate) fn check(ret: libc::c_int) -> io::Result<libc::c_int> {
    match ret {
        -1 => Err(io::Error::last_os_error()),
        ret => Ok(ret),
    }
}

/// Watches `file` for `event`. Hanging up and errors are events in any case.
pub(crate) fn watch(file: BorrowedFd<'_>, event: i32) -> io::Result<OwnedFd> {
    // SAFETY: This has no preconditions.
    let epoll = check(unsafe { libc::epoll_create1(libc::EPOLL_CLOEXEC) })?;
    // SAFETY: The descriptor is new, so nothing else owns it.
    let epoll = unsafe { OwnedFd::from_raw_fd(epoll) };
    let mut event = libc::epoll_event {
        events: (libc::EPOLLET | event) as u32,
        u64: 0,
    };
    // SAFETY: The event is valid during the call.
    check(unsafe {
        libc::epoll_ctl(
            epoll.as_raw_fd(),
            libc::EPOLL_CTL_ADD,
            file.as_raw_fd(),
            &mut event,
        )
    })?;
    Ok(epoll)
}

/// Takes what has happened so far off `epoll`, so that only something new makes it readable.
pub(crate) fn drain(epoll: BorrowedFd<'_>) -> io::Result<()> {
    let mut event = libc::epoll_event { events: 0, u64: 0 };
    // SAFETY: There is room for one event.
    check(unsafe { libc::epoll_wait(epoll.as_raw_fd(), &mut event, 1, 0) })?;
    Ok(())
}
