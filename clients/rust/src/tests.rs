// SPDX-License-Identifier: GPL-2.0 OR MIT
// Copyright (C) 2026 Seed 1f3ad1c2 maintainers.

//! Tests of both ends, on memory with the layout of the device and with a bell that needs no
//! kernel.

#[cfg(feature = "tokio")]
mod asynchronous;
mod copies;
mod overwriting;
mod overwriting_records;
mod records;
mod stream;

use crate::consumer;
use crate::device::{Bell, Wake};
use crate::end::End;
use crate::error::{Error, Gone, Result};
use crate::kind::Stream;
use crate::map::{page_size, Region};
use crate::producer;
use crate::side::{Side, Tail};
use std::fs::File;
use std::io;
use std::os::fd::{AsFd, FromRawFd, OwnedFd};
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Condvar, Mutex};
use std::time::{Duration, Instant};

/// Two bells, one for each end.
#[derive(Clone, Default)]
struct Pull {
    rung: Arc<[(Mutex<bool>, Condvar); 2]>,
    own: usize,
    wakes: Arc<AtomicU64>,
    /// Whether everybody at the other end has gone, for each of the two.
    ended: Arc<[AtomicBool; 2]>,
}

impl Pull {
    /// Everybody at the other end has gone.
    fn end(&self) {
        self.ended[self.own].store(true, Ordering::SeqCst);
        let (rung, condvar) = &self.rung[self.own];
        *rung.lock().unwrap() = true;
        condvar.notify_one();
    }
}

impl Bell for Pull {
    fn wake(&self) -> Result<()> {
        self.wakes.fetch_add(1, Ordering::Relaxed);
        let (rung, condvar) = &self.rung[1 - self.own];
        *rung.lock().unwrap() = true;
        condvar.notify_one();
        Ok(())
    }

    fn sleep(&self, timeout: Option<Duration>) -> Result<Wake> {
        let (rung, condvar) = &self.rung[self.own];
        let timeout = timeout.unwrap_or(Duration::from_secs(20));
        let ended = || self.ended[self.own].load(Ordering::SeqCst);
        let (mut rung, over) = condvar
            .wait_timeout_while(rung.lock().unwrap(), timeout, |rung| !*rung && !ended())
            .unwrap();
        // No test takes this long: a wake-up was lost.
        assert!(!over.timed_out() || timeout < Duration::from_secs(20));
        *rung = false;
        match ended() {
            true => Ok(Wake::Ended),
            false => Ok(Wake::Look),
        }
    }
}

/// The memory of a device, without a kernel behind it.
struct Fifo {
    file: OwnedFd,
    capacity: usize,
    bell: Pull,
}

impl Fifo {
    /// A FIFO of `pages` pages, a power of two, whose next byte is number `start`.
    fn new(pages: usize, start: u64) -> Self {
        // SAFETY: The name is a C string.
        let file = unsafe { libc::memfd_create(c"vfifo".as_ptr(), libc::MFD_CLOEXEC) };
        assert!(file >= 0, "{}", io::Error::last_os_error());
        // SAFETY: The descriptor is new, so nothing else owns it.
        let file = unsafe { OwnedFd::from_raw_fd(file) };
        let capacity = pages * page_size();
        let fifo = Self {
            file,
            capacity,
            bell: Pull::default(),
        };
        File::from(fifo.file.try_clone().unwrap())
            .set_len((capacity + 2 * page_size()) as u64)
            .unwrap();
        for side in 0..2 {
            let page = fifo.page(side, true);
            page.end_page().position.store(start, Ordering::Relaxed);
        }
        let page = fifo.page(0, true);
        page.end_page().oldest.store(start, Ordering::Relaxed);
        fifo
    }

    /// The page of the producer (0) or the consumer (1).
    fn page(&self, side: usize, writable: bool) -> Region {
        let offset = self.capacity + side * page_size();
        Region::new(self.file.as_fd(), offset as u64, page_size(), writable).unwrap()
    }

    fn data(&self, writable: bool) -> Region {
        Region::twice(self.file.as_fd(), 0, self.capacity, writable).unwrap()
    }

    fn bell(&self, own: usize) -> Pull {
        Pull {
            own,
            ..self.bell.clone()
        }
    }

    /// An end of a FIFO of any kind.
    fn end<S: Side>(&self) -> Result<End<S, Pull>> {
        self.end_with(self.bell(usize::from(!S::WRITES)))
    }

    fn end_with<S: Side, B: Bell>(&self, bell: B) -> Result<End<S, B>> {
        let side = usize::from(!S::WRITES);
        let (own, peer) = (self.page(side, true), self.page(1 - side, false));
        End::new(own, peer, self.data(S::WRITES), bell)
    }

    fn producer(&self) -> producer::Port<Pull> {
        producer::Port::new(self.end().unwrap())
    }

    fn consumer(&self) -> consumer::Port<Pull> {
        consumer::Port::new(self.end().unwrap())
    }
}

/// Initial positions: near zero, near a wrap of the buffer, and near a wrap of the positions.
const STARTS: [u64; 3] = [0, 4090, u64::MAX - 100];

fn byte(position: u64) -> u8 {
    (position.wrapping_mul(0x9e37_79b9_7f4a_7c15) >> 56) as u8
}

fn bytes(position: u64, len: usize) -> Vec<u8> {
    (0..len as u64)
        .map(|i| byte(position.wrapping_add(i)))
        .collect()
}

/// Ends the other threads of a test, even if it fails.
struct Stop<'a>(&'a AtomicBool);

impl Drop for Stop<'_> {
    fn drop(&mut self) {
        self.0.store(true, Ordering::Relaxed);
    }
}

fn is_broken<T>(result: Result<T>) -> bool {
    matches!(result, Err(Error::Broken))
}

fn is_too_long<T>(result: Result<T>) -> bool {
    matches!(result, Err(Error::Length))
}

fn is_not_yet<T>(result: Result<T>) -> bool {
    matches!(result, Err(Error::NotYet))
}

fn has_ended<T>(result: Result<T>) -> Option<Gone> {
    match result {
        Err(Error::Ended(gone)) => Some(gone),
        _ => None,
    }
}

fn is_invalid<T>(result: Result<T>) -> bool {
    matches!(result, Err(Error::Range))
}

/// Offsets and lengths that go beyond four bytes.
const OUTSIDE_FOUR: [(usize, usize); 9] = [
    (0, 5),
    (1, 4),
    (3, 2),
    (4, 1),
    (5, 0),
    (5, 1),
    (4096, 4),
    (usize::MAX, 0),
    (usize::MAX, 1),
];

/// `std::io::pipe()` needs Rust 1.87.
fn pipe() -> (File, File) {
    let mut ends = [0; 2];
    // SAFETY: There is room for two descriptors.
    let made = unsafe { libc::pipe2(ends.as_mut_ptr(), libc::O_CLOEXEC) };
    assert_eq!(made, 0);
    // SAFETY: Nothing else owns these descriptors.
    ends.map(|end| unsafe { File::from_raw_fd(end) }).into()
}
