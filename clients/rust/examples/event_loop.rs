// SPDX-License-Identifier: GPL-2.0 OR MIT
// Copyright (C) 2026 Seed 1f3ad1c2 maintainers.

//! `event_loop SOCKET DEVICE...`: one thread that serves many FIFOs and a socket by epoll. It
//! counts what arrives at the FIFOs, and tells everybody who connects to the Unix socket:
//!
//! ```text
//! event_loop /tmp/counts /dev/vfifo0 /dev/vfifo1 &
//! socat - UNIX-CONNECT:/tmp/counts
//! ```

use std::io::{self, Write};
use std::os::fd::{AsFd, AsRawFd, FromRawFd, OwnedFd};
use std::os::unix::net::UnixListener;
use vfifo::{Consumer, Error};

fn main() {
    if let Err(error) = run() {
        eprintln!("event_loop: {error}");
        std::process::exit(1);
    }
}

fn run() -> io::Result<()> {
    let mut args = std::env::args().skip(1);
    let Some(socket) = args.next() else {
        eprintln!("usage: event_loop SOCKET DEVICE...");
        std::process::exit(2);
    };
    let mut fifos = Vec::new();
    for device in args {
        let consumer = Consumer::open(&device)?;
        fifos.push((device, consumer, 0u64));
    }
    let _ = std::fs::remove_file(&socket);
    let listener = UnixListener::bind(&socket)?;

    let epoll = Epoll::new()?;
    for (number, (_, consumer, _)) in fifos.iter().enumerate() {
        epoll.add(consumer, number as u64)?;
    }
    epoll.add(&listener, u64::MAX)?;
    loop {
        for number in epoll.wait()? {
            let Some((device, consumer, count)) = fifos.get_mut(number as usize) else {
                let (mut client, _) = listener.accept()?;
                for (device, _, count) in &fifos {
                    // Somebody who has gone already is not our problem.
                    let _ = writeln!(client, "{device}: {count}");
                }
                continue;
            };
            match consumer.peek() {
                Ok(bytes) => {
                    let len = bytes.len();
                    *count += len as u64;
                    bytes.release(len)?;
                }
                // There are no bytes, so this event was for something else.
                Err(Error::NotYet) => match consumer.wait(1, Some(std::time::Duration::ZERO)) {
                    Err(Error::Ended(_)) => {
                        println!("{device}: ended after {count} bytes");
                        epoll.remove(consumer)?;
                    }
                    Ok(()) | Err(Error::NotYet) => {}
                    Err(error) => return Err(error.into()),
                },
                Err(error) => return Err(error.into()),
            }
        }
    }
}

struct Epoll(OwnedFd);

fn check(ret: i32) -> io::Result<i32> {
    match ret {
        -1 => Err(io::Error::last_os_error()),
        ret => Ok(ret),
    }
}

impl Epoll {
    fn new() -> io::Result<Self> {
        // SAFETY: This has no preconditions.
        let fd = check(unsafe { libc::epoll_create1(libc::EPOLL_CLOEXEC) })?;
        // SAFETY: The descriptor is new, so nothing else owns it.
        Ok(Self(unsafe { OwnedFd::from_raw_fd(fd) }))
    }

    fn control(&self, op: i32, file: &impl AsFd, number: u64) -> io::Result<()> {
        let (epoll, fd) = (self.0.as_raw_fd(), file.as_fd().as_raw_fd());
        let mut event = libc::epoll_event {
            events: libc::EPOLLIN as u32,
            u64: number,
        };
        // SAFETY: The event is valid during the call.
        check(unsafe { libc::epoll_ctl(epoll, op, fd, &mut event) }).map(drop)
    }

    fn add(&self, file: &impl AsFd, number: u64) -> io::Result<()> {
        self.control(libc::EPOLL_CTL_ADD, file, number)
    }

    fn remove(&self, file: &impl AsFd) -> io::Result<()> {
        self.control(libc::EPOLL_CTL_DEL, file, 0)
    }

    /// The numbers of some files that are ready.
    fn wait(&self) -> io::Result<Vec<u64>> {
        let mut events = [libc::epoll_event { events: 0, u64: 0 }; 32];
        let (epoll, most) = (self.0.as_raw_fd(), events.len() as i32);
        // SAFETY: There is room for that number of events.
        let count = check(unsafe { libc::epoll_wait(epoll, events.as_mut_ptr(), most, -1) })?;
        Ok(events[..count as usize].iter().map(|e| e.u64).collect())
    }
}
