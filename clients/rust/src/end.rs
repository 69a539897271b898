// SPDX-License-Identifier: GPL-2.0

//! The common part of producers and consumers.

use crate::map::{page_size, Region};
use crate::ring::{self, Broken, Cursor, Fence, Memory, Ring};
use crate::uapi::{self, Info};
use std::io;
use std::mem::offset_of;
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, FromRawFd, OwnedFd, RawFd};
use std::sync::atomic::{fence, Ordering};
use std::time::{Duration, Instant};

/// How often to look at the other end before sleeping.
const SPIN: u32 = 200;

/// The page of our own end, which is mapped writable.
pub(crate) struct Own(pub(crate) Region);

impl ring::End for Own {
    #[inline]
    fn load_acquire(&self) -> u64 {
        self.0.end_page().position.load(Ordering::Acquire)
    }

    #[inline]
    fn store_release(&self, position: u64) {
        self.0
            .end_page()
            .position
            .store(position, Ordering::Release);
    }

    #[inline]
    fn is_waiting(&self) -> bool {
        self.0.end_page().waiting.load(Ordering::Relaxed) != 0
    }

    #[inline]
    fn set_waiting(&self, waiting: bool) {
        self.0
            .end_page()
            .waiting
            .store(waiting.into(), Ordering::Relaxed);
    }
}

/// The page of the other end, which is mapped read-only.
pub(crate) struct Peer(pub(crate) Region);

impl ring::End for Peer {
    #[inline]
    fn load_acquire(&self) -> u64 {
        // Read-only memory allows only relaxed loads.
        let position = self.0.end_page().position.load(Ordering::Relaxed);
        fence(Ordering::Acquire);
        position
    }

    fn store_release(&self, _position: u64) {
        unreachable!("the position of the other end is read-only");
    }

    #[inline]
    fn is_waiting(&self) -> bool {
        self.0.end_page().waiting.load(Ordering::Relaxed) != 0
    }

    fn set_waiting(&self, _waiting: bool) {
        unreachable!("only the other end sets its waiting");
    }
}

/// One of the two ends: how the ring sees the memory from there, and which of its functions to use.
pub(crate) trait Side: Memory + Sized {
    /// Whether the end writes to the data.
    const WRITES: bool;
    fn ring(own: Region, peer: Region) -> Ring<Self>;
    fn own(ring: &Ring<Self>) -> &Own;
    /// The offsets of its own page and of the other end's page.
    fn offsets(info: &Info) -> (u64, u64);
    /// The initial cursor, before a first look at the other end: there is nothing for this end.
    fn cursor(position: u64, capacity: u64) -> Cursor;
    fn look(ring: &Ring<Self>, cursor: &mut Cursor, enough: u64) -> Result<u64, Broken>;
    fn publish(ring: &Ring<Self>, cursor: &mut Cursor, len: u64);
    fn peer_waits(ring: &Ring<Self>) -> bool;
    fn will_wait(ring: &Ring<Self>);
    const EVENT: i32;
    /// The error when everybody at the other end has gone.
    const ENDED: io::ErrorKind;
}

/// The producer's end.
pub(crate) enum Head {}

impl Memory for Head {
    type Producer = Own;
    type Consumer = Peer;

    #[inline]
    fn fence(_: Fence) {
        fence(Ordering::SeqCst);
    }
}

impl Side for Head {
    const WRITES: bool = true;
    const EVENT: i32 = libc::EPOLLOUT;
    const ENDED: io::ErrorKind = io::ErrorKind::BrokenPipe;

    fn ring(own: Region, peer: Region) -> Ring<Self> {
        Ring {
            producer: Own(own),
            consumer: Peer(peer),
        }
    }

    fn own(ring: &Ring<Self>) -> &Own {
        &ring.producer
    }

    fn offsets(info: &Info) -> (u64, u64) {
        (info.producer_offset, info.consumer_offset)
    }

    fn cursor(position: u64, capacity: u64) -> Cursor {
        Cursor {
            position,
            peer: position.wrapping_sub(capacity),
            capacity,
        }
    }

    #[inline]
    fn look(ring: &Ring<Self>, cursor: &mut Cursor, enough: u64) -> Result<u64, Broken> {
        ring.free(cursor, enough)
    }

    #[inline]
    fn publish(ring: &Ring<Self>, cursor: &mut Cursor, len: u64) {
        ring.produce(cursor, len);
    }

    #[inline]
    fn peer_waits(ring: &Ring<Self>) -> bool {
        ring.consumer_waits()
    }

    fn will_wait(ring: &Ring<Self>) {
        ring.producer_will_wait();
    }
}

/// The consumer's end.
pub(crate) enum Tail {}

impl Memory for Tail {
    type Producer = Peer;
    type Consumer = Own;

    #[inline]
    fn fence(_: Fence) {
        fence(Ordering::SeqCst);
    }
}

impl Side for Tail {
    const WRITES: bool = false;
    const EVENT: i32 = libc::EPOLLIN;
    const ENDED: io::ErrorKind = io::ErrorKind::UnexpectedEof;

    fn ring(own: Region, peer: Region) -> Ring<Self> {
        Ring {
            producer: Peer(peer),
            consumer: Own(own),
        }
    }

    fn own(ring: &Ring<Self>) -> &Own {
        &ring.consumer
    }

    fn offsets(info: &Info) -> (u64, u64) {
        (info.consumer_offset, info.producer_offset)
    }

    fn cursor(position: u64, capacity: u64) -> Cursor {
        Cursor::new(capacity, position)
    }

    #[inline]
    fn look(ring: &Ring<Self>, cursor: &mut Cursor, enough: u64) -> Result<u64, Broken> {
        ring.used(cursor, enough)
    }

    #[inline]
    fn publish(ring: &Ring<Self>, cursor: &mut Cursor, len: u64) {
        ring.consume(cursor, len);
    }

    #[inline]
    fn peer_waits(ring: &Ring<Self>) -> bool {
        ring.producer_waits()
    }

    fn will_wait(ring: &Ring<Self>) {
        ring.consumer_will_wait();
    }
}

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
    fn wake(&self) -> io::Result<()>;
    /// Sleeps until something has happened at the other end since the last time, or for `timeout`;
    /// not at all if everybody there has gone.
    fn sleep(&self, timeout: Option<Duration>) -> io::Result<Wake>;
}

/// The device, and an edge-triggered epoll that watches it. A level-triggered one would return at
/// once as long as there is a single byte, even if the caller waits for more.
pub(crate) struct Device {
    file: OwnedFd,
    epoll: OwnedFd,
}

fn check(ret: libc::c_int) -> io::Result<libc::c_int> {
    match ret {
        -1 => Err(io::Error::last_os_error()),
        ret => Ok(ret),
    }
}

fn milliseconds(timeout: Option<Duration>) -> libc::c_int {
    // Rounded up, so that the caller does not spin through the last millisecond.
    let ms = timeout.map(|timeout| timeout.as_nanos().div_ceil(1_000_000));
    ms.map_or(-1, |ms| {
        libc::c_int::try_from(ms).unwrap_or(libc::c_int::MAX)
    })
}

impl Device {
    fn new(file: OwnedFd, event: i32) -> io::Result<Self> {
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
        Ok(Self { file, epoll })
    }

    fn info(file: BorrowedFd<'_>) -> io::Result<Info> {
        let mut info = Info {
            size: size_of::<Info>() as u32,
            ..Info::default()
        };
        // SAFETY: The kernel fills at most `size` bytes.
        check(unsafe { libc::ioctl(file.as_raw_fd(), uapi::GET_INFO as _, &mut info) })?;
        if (info.size as usize) < offset_of!(Info, flags) || !info.capacity.is_power_of_two() {
            return Err(io::ErrorKind::InvalidData.into());
        }
        Ok(info)
    }

    /// The reason for the events that poll reports for the device without being asked for any.
    #[cold]
    fn reason(&self, events: libc::c_short) -> io::Result<Wake> {
        if events & libc::POLLERR == 0 {
            return Ok(Wake::Ended);
        }
        let info = Self::info(self.file.as_fd())?;
        // A kernel that does not fill the flags has no other reason.
        if !info.has_flags() || info.flags & uapi::BROKEN != 0 {
            return Err(broken());
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
    fn wake(&self) -> io::Result<()> {
        // SAFETY: The request takes no argument.
        check(unsafe { libc::ioctl(self.file.as_raw_fd(), uapi::NOTIFY as _) }).map(drop)
    }

    fn sleep(&self, timeout: Option<Duration>) -> io::Result<Wake> {
        // Only the end and the error state are asked for by level: their edge may have come before.
        let mut fds = [
            pollfd(self.epoll.as_raw_fd(), libc::POLLIN),
            pollfd(self.file.as_raw_fd(), 0),
        ];
        // Unlike epoll_wait(2), poll(2) sleeps on after SIGCONT or a suspend.
        poll(&mut fds, timeout)?;
        let mut event = libc::epoll_event { events: 0, u64: 0 };
        // SAFETY: There is room for one event.
        check(unsafe { libc::epoll_wait(fds[0].fd, &mut event, 1, 0) })?;
        match fds[1].revents & (libc::POLLERR | libc::POLLHUP) {
            0 => Ok(Wake::Look),
            events => self.reason(events),
        }
    }
}

/// Returns an error unless the `len` bytes from `offset` on are among the first `all`.
#[inline]
pub(crate) fn within(all: usize, offset: usize, len: usize) -> io::Result<()> {
    match offset <= all && len <= all - offset {
        true => Ok(()),
        false => Err(io::ErrorKind::InvalidInput.into()),
    }
}

#[cold]
fn broken() -> io::Error {
    io::Error::from_raw_os_error(libc::EIO)
}

/// An end, and the claim on it.
pub(crate) struct End<S: Side, B: Bell> {
    // Dropped first, so that the end is given back first.
    ring: Ring<S>,
    // The data, mapped twice in a row.
    data: Region,
    cursor: Cursor,
    pub(crate) bell: B,
}

impl<S: Side> End<S, Device> {
    pub(crate) fn open(file: OwnedFd) -> io::Result<Self> {
        let page = page_size();
        let (own, peer) = S::offsets(&Device::info(file.as_fd())?);
        // This claims the end.
        let own = Region::new(file.as_fd(), own, page, true)?;
        let peer = Region::new(file.as_fd(), peer, page, false)?;
        // The capacity cannot change any more, but may have changed before.
        let info = Device::info(file.as_fd())?;
        let twice = usize::try_from(info.capacity)
            .ok()
            .and_then(|capacity| capacity.checked_mul(2))
            .ok_or(io::ErrorKind::OutOfMemory)?;
        let data = Region::new(file.as_fd(), info.data_offset, twice, S::WRITES)?;
        let bell = Device::new(file, S::EVENT)?;
        Self::new(own, peer, data, bell)
    }
}

impl<S: Side> AsFd for End<S, Device> {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.bell.file.as_fd()
    }
}

impl<S: Side, B: Bell> End<S, B> {
    /// Goes on from the position in the page `own`.
    ///
    /// # Errors
    ///
    /// `EIO` if the position of the other end is impossible.
    pub(crate) fn new(own: Region, peer: Region, data: Region, bell: B) -> io::Result<Self> {
        let capacity = (data.len() / 2) as u64;
        assert!(capacity.is_power_of_two());
        let ring = S::ring(own, peer);
        let position = ring::End::load_acquire(S::own(&ring));
        let mut end = Self {
            cursor: S::cursor(position, capacity),
            ring,
            data,
            bell,
        };
        end.look(usize::MAX)?;
        Ok(end)
    }

    pub(crate) fn capacity(&self) -> usize {
        self.data.len() / 2
    }

    /// The number of bytes that this end can use. Looks at the other end only if it knew of fewer
    /// than `enough`.
    #[inline]
    pub(crate) fn look(&mut self, enough: usize) -> io::Result<usize> {
        match S::look(&self.ring, &mut self.cursor, enough as u64) {
            Ok(len) => Ok(len as usize),
            Err(Broken) => Err(broken()),
        }
    }

    /// The offset of the first of them, less than the capacity.
    #[inline]
    pub(crate) fn offset(&self) -> usize {
        (self.cursor.position & (self.cursor.capacity - 1)) as usize
    }

    #[inline]
    pub(crate) fn data(&self) -> &Region {
        &self.data
    }

    /// Publishes the first `len` of these bytes, and wakes those who wait for that.
    #[inline]
    pub(crate) fn publish(&mut self, len: usize) -> io::Result<()> {
        if len == 0 {
            return Ok(());
        }
        S::publish(&self.ring, &mut self.cursor, len as u64);
        if S::peer_waits(&self.ring) {
            self.bell.wake()?;
        }
        Ok(())
    }

    /// Waits until there are `need` bytes. Returns their number, which may be larger, or [`None`]
    /// if there is a `timeout` and it has expired. Fails with `S::ENDED` if there never will be.
    pub(crate) fn wait(
        &mut self,
        need: usize,
        timeout: Option<Duration>,
    ) -> io::Result<Option<usize>> {
        if need > self.capacity() {
            return Err(io::ErrorKind::InvalidInput.into());
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

    /// Leaves `waiting` set when it returns: others may poll at this end, such as an event loop of
    /// its owner. The kernel clears it when it wakes them.
    #[cold]
    fn sleep(&mut self, need: usize, until: Option<Instant>) -> io::Result<Option<usize>> {
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
                    false => Err(S::ENDED.into()),
                };
            }
            if over {
                return Ok(None);
            }
        }
    }
}
