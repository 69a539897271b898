// SPDX-License-Identifier: GPL-2.0 OR MIT
// Copyright (C) 2026 Seed 1f3ad1c2 maintainers.

//! The common part of producers and consumers.

use crate::device::{Bell, Device, Wake};
use crate::error::{Error, Result};
use crate::kind;
use crate::map::{page_size, Region};
use crate::ring::record::offset;
use crate::ring::{Cursor, Ring};
use crate::side::Side;
use crate::span::Span;
use std::fmt;
use std::io;
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, OwnedFd};
use std::time::{Duration, Instant};

/// How often to look at the other end before sleeping.
const SPIN: u32 = 200;

/// An end, and the claim on it.
pub(crate) struct End<S: Side, B: Bell> {
    // Dropped first, so that the end is given back first.
    pub(crate) ring: Ring<S>,
    // The data, mapped twice in a row.
    pub(crate) data: Region,
    pub(crate) cursor: Cursor,
    pub(crate) bell: B,
}

impl<S: Side> End<S, Device> {
    pub(crate) fn open(file: OwnedFd) -> Result<Self> {
        let page = page_size();
        let info = Device::info(file.as_fd())?;
        kind::check::<S::Kind>(&info, S::WRITES)?;
        let (own, peer) = S::offsets(&info);
        // This claims the end.
        let own = Region::new(file.as_fd(), own, page, true).map_err(|error| {
            match error.raw_os_error() {
                Some(libc::EBUSY) => Error::Claimed,
                _ => error.into(),
            }
        })?;
        let peer = Region::new(file.as_fd(), peer, page, false)?;
        // The capacity and the kind cannot change any more, but may have changed before.
        let info = Device::info(file.as_fd())?;
        kind::check::<S::Kind>(&info, S::WRITES)?;
        let twice = usize::try_from(info.capacity)
            .ok()
            .and_then(|capacity| capacity.checked_mul(2))
            .ok_or_else(|| io::Error::from(io::ErrorKind::OutOfMemory))?;
        let data = Region::new(file.as_fd(), info.data_offset, twice, S::WRITES)?;
        let bell = Device::new(file, S::EVENT)?;
        Self::new(own, peer, data, bell)
    }
}

impl<S: Side> AsFd for End<S, Device> {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.bell.file()
    }
}

impl<S: Side> End<S, Device> {
    /// Gives the end back.
    pub(crate) fn into_file(self) -> OwnedFd {
        let Self {
            ring, data, bell, ..
        } = self;
        drop(ring);
        drop(data);
        bell.into_file()
    }

    pub(crate) fn debug(&self, f: &mut fmt::Formatter<'_>, name: &str) -> fmt::Result {
        f.debug_struct(name)
            .field("fd", &self.bell.file().as_raw_fd())
            .field("capacity", &self.capacity())
            .field("position", &self.cursor.position)
            .finish_non_exhaustive()
    }
}

impl<S: Side, B: Bell> End<S, B> {
    /// Goes on from the position in the page `own`.
    ///
    /// # Errors
    ///
    /// [`Error::Broken`] if a position is impossible.
    pub(crate) fn new(own: Region, peer: Region, data: Region, bell: B) -> Result<Self> {
        let capacity = (data.len() / 2) as u64;
        assert!(capacity.is_power_of_two());
        let ring = S::ring(own, peer);
        let mut end = Self {
            cursor: S::cursor(&ring, capacity)?,
            ring,
            data,
            bell,
        };
        // It knows of nothing yet, so this looks at the other end.
        end.look(1)?;
        Ok(end)
    }

    pub(crate) fn capacity(&self) -> usize {
        self.data.len() / 2
    }

    /// How much this end can use, see [`Side::look`]. Looks at the other end only if it knew of
    /// less than `enough`.
    #[inline]
    pub(crate) fn look(&mut self, enough: usize) -> Result<usize> {
        let len = S::look(&self.ring, &mut self.cursor, enough as u64)?;
        Ok(len as usize)
    }

    /// The `len` bytes of the stream from `position` on, at most the capacity.
    #[inline]
    pub(crate) fn span(&self, position: u64, len: usize) -> Span<'_> {
        Span::new(&self.data, offset(position, self.cursor.capacity), len)
    }

    /// The first `len` bytes that this end can use.
    #[inline]
    pub(crate) fn first(&self, len: usize) -> Span<'_> {
        self.span(self.cursor.position, len)
    }

    /// Publishes the first `len` of these bytes, and wakes those who wait for that.
    #[inline]
    pub(crate) fn publish(&mut self, len: usize) -> Result<()> {
        if len == 0 {
            return Ok(());
        }
        S::publish(&self.ring, &mut self.cursor, len as u64);
        self.tell()
    }

    /// After something was published: wakes those who wait for that.
    #[inline]
    pub(crate) fn tell(&self) -> Result<()> {
        if S::peer_waits(&self.ring) {
            self.bell.wake()?;
        }
        Ok(())
    }

    /// Fails if everybody at the other end has gone, and in the error state. This takes system
    /// calls.
    pub(crate) fn check(&self) -> Result<()> {
        match self.bell.sleep(Some(Duration::ZERO))? {
            Wake::Look => Ok(()),
            Wake::Ended => Err(Error::Ended(S::PEER)),
        }
    }

    /// Waits until there are `need` bytes. Returns their number, which may be larger, or [`None`]
    /// if there is a `timeout` and it has expired. Fails with [`Error::Ended`] if there never will
    /// be.
    pub(crate) fn wait(&mut self, need: usize, timeout: Option<Duration>) -> Result<Option<usize>> {
        if need > self.capacity() {
            return Err(Error::Range);
        }
        let mut spins = if timeout == Some(Duration::ZERO) {
            0
        } else {
            SPIN
        };
        loop {
            let len = self.look(need)?;
            if len >= need {
                return Ok(Some(len));
            }
            if spins == 0 {
                break;
            }
            spins -= 1;
            std::hint::spin_loop();
        }
        // A time that is too far away for the clock is never reached.
        let until = timeout.and_then(|timeout| Instant::now().checked_add(timeout));
        self.sleep(need, until)
    }

    /// A step of a wait that does not sleep: announces that this end waits, and looks. Returns
    /// [`None`] if there is not enough. What happens later makes the bell's descriptor readable.
    pub(crate) fn announce(&mut self, need: usize) -> Result<Option<usize>> {
        // First, since it takes off what has happened so far: that is what the look sees. And since
        // what was done before the end counts.
        let wake = self.bell.sleep(Some(Duration::ZERO))?;
        S::will_wait(&self.ring);
        let len = self.look(need)?;
        match wake {
            _ if len >= need => Ok(Some(len)),
            Wake::Look => Ok(None),
            Wake::Ended => Err(Error::Ended(S::PEER)),
        }
    }

    /// Leaves `waiting` set when it returns: others may poll at this end, such as an event loop of
    /// its owner. The kernel clears it when it wakes them.
    #[cold]
    fn sleep(&mut self, need: usize, until: Option<Instant>) -> Result<Option<usize>> {
        loop {
            let left = until.map(|until| until.saturating_duration_since(Instant::now()));
            let over = left == Some(Duration::ZERO);
            if !over {
                S::will_wait(&self.ring);
            }
            let len = self.look(need)?;
            if len >= need {
                return Ok(Some(len));
            }
            if self.bell.sleep(left)? == Wake::Ended {
                // What was done before the end counts.
                let len = self.look(need)?;
                return match len >= need {
                    true => Ok(Some(len)),
                    false => Err(Error::Ended(S::PEER)),
                };
            }
            if over {
                return Ok(None);
            }
        }
    }
}
