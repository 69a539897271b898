// SPDX-License-Identifier: GPL-2.0 OR MIT
// Copyright (C) 2026 Seed 1f3ad1c2 maintainers.

//! How the ring sees the memory from each of the two ends, and which of its functions they use.

use crate::error::Gone;
use crate::kind::Kind;
use crate::map::Region;
use crate::ring::framing::{Framing, Refused};
use crate::ring::overtaken::{Look, Tries};
use crate::ring::overwrite::{Oldest, Overwriting};
use crate::ring::{self, queued, Broken, Cursor, Fence, Memory, Ring};
use crate::uapi::Info;
use std::hint::spin_loop;
use std::marker::PhantomData;
use std::sync::atomic::{fence, Ordering};

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

/// The producer's own page.
impl Oldest for Own {
    #[inline]
    fn load_oldest(&self) -> u64 {
        self.0.end_page().oldest.load(Ordering::Acquire)
    }

    #[inline]
    fn reload_oldest(&self) -> u64 {
        self.0.end_page().oldest.load(Ordering::Relaxed)
    }

    #[inline]
    fn store_oldest(&self, position: u64) {
        self.0.end_page().oldest.store(position, Ordering::Release);
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

/// The producer's page, as its consumer sees it.
impl Oldest for Peer {
    #[inline]
    fn load_oldest(&self) -> u64 {
        // As in `load_acquire()`.
        let oldest = self.0.end_page().oldest.load(Ordering::Relaxed);
        fence(Ordering::Acquire);
        oldest
    }

    #[inline]
    fn reload_oldest(&self) -> u64 {
        self.0.end_page().oldest.load(Ordering::Relaxed)
    }

    fn store_oldest(&self, _position: u64) {
        unreachable!("the oldest position is the producer's");
    }
}

/// One of the two ends: how the ring sees the memory from there, and which of its functions to use.
pub(crate) trait Side: Overwriting + Sized {
    /// The kind of FIFO that it is an end of.
    type Kind: Kind;
    /// Whether it is the producer's end: it writes to the data.
    const WRITES: bool;
    const EVENT: i32;
    /// Who is at the other end.
    const PEER: Gone;
    fn ring(own: Region, peer: Region) -> Ring<Self>;
    /// The offsets of its own page and of the other end's page.
    fn offsets(info: &Info) -> (u64, u64);
    /// The initial cursor, from this end's own page and before a first look at the other end: there
    /// is nothing for this end.
    fn cursor(ring: &Ring<Self>, capacity: u64) -> Result<Cursor, Broken>;
    /// How much this end can use, of which it wants `enough`: a number of bytes, but for a producer
    /// of records the length of a record, which is `enough` if it fits and zero if it does not.
    fn look(ring: &Ring<Self>, cursor: &mut Cursor, enough: u64) -> Result<u64, Refused>;
    fn publish(ring: &Ring<Self>, cursor: &mut Cursor, len: u64);
    fn peer_waits(ring: &Ring<Self>) -> bool;
    fn will_wait(ring: &Ring<Self>);
}

/// The producer's end.
pub(crate) struct Head<K>(PhantomData<K>);

impl<K> Memory for Head<K> {
    type Producer = Own;
    type Consumer = Peer;

    #[inline]
    fn fence(_: Fence) {
        fence(Ordering::SeqCst);
    }
}

impl<K> Overwriting for Head<K> {
    #[inline]
    fn before_data() {
        fence(Ordering::Release);
    }

    #[inline]
    fn after_data() {
        fence(Ordering::Acquire);
    }
}

impl<K: Kind> Side for Head<K> {
    type Kind = K;
    const WRITES: bool = true;
    const EVENT: i32 = libc::EPOLLOUT;
    const PEER: Gone = Gone::Readers;

    fn ring(own: Region, peer: Region) -> Ring<Self> {
        Ring {
            producer: Own(own),
            consumer: Peer(peer),
        }
    }

    fn offsets(info: &Info) -> (u64, u64) {
        (info.producer_offset, info.consumer_offset)
    }

    fn cursor(ring: &Ring<Self>, capacity: u64) -> Result<Cursor, Broken> {
        let position = ring::End::load_acquire(&ring.producer);
        let peer = match K::OVERWRITES {
            true => ring.producer.load_oldest(),
            false => position.wrapping_sub(capacity),
        };
        queued(position, peer, capacity)?;
        if !K::FRAMING.is_aligned(position | peer) {
            return Err(Broken);
        }
        Ok(Cursor {
            position,
            peer,
            capacity,
        })
    }

    #[inline]
    fn look(ring: &Ring<Self>, cursor: &mut Cursor, enough: u64) -> Result<u64, Refused> {
        match (K::OVERWRITES, K::FRAMING) {
            // The consumer's position makes no difference.
            (true, _) => Ok(cursor.capacity),
            (false, Framing::Stream) => Ok(ring.free(cursor, enough)?),
            (false, Framing::Record) => {
                let place = ring.reserve_record(cursor, enough)?;
                Ok(place.map_or(0, |place| place.len().into()))
            }
        }
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
pub(crate) struct Tail<K>(PhantomData<K>);

impl<K> Memory for Tail<K> {
    type Producer = Peer;
    type Consumer = Own;

    #[inline]
    fn fence(_: Fence) {
        fence(Ordering::SeqCst);
    }
}

impl<K> Overwriting for Tail<K> {
    #[inline]
    fn before_data() {
        fence(Ordering::Release);
    }

    #[inline]
    fn after_data() {
        fence(Ordering::Acquire);
    }
}

impl<K: Kind> Side for Tail<K> {
    type Kind = K;
    const WRITES: bool = false;
    const EVENT: i32 = libc::EPOLLIN;
    const PEER: Gone = Gone::Writers;

    fn ring(own: Region, peer: Region) -> Ring<Self> {
        Ring {
            producer: Peer(peer),
            consumer: Own(own),
        }
    }

    fn offsets(info: &Info) -> (u64, u64) {
        (info.consumer_offset, info.producer_offset)
    }

    fn cursor(ring: &Ring<Self>, capacity: u64) -> Result<Cursor, Broken> {
        let position = ring::End::load_acquire(&ring.consumer);
        match K::FRAMING.is_aligned(position) {
            true => Ok(Cursor::new(capacity, position)),
            false => Err(Broken),
        }
    }

    #[inline]
    fn look(ring: &Ring<Self>, cursor: &mut Cursor, enough: u64) -> Result<u64, Refused> {
        match (K::OVERWRITES, K::FRAMING) {
            (true, framing) => Ok(look_at_moving(ring, cursor, framing)?),
            (false, Framing::Stream) => Ok(ring.used(cursor, enough)?),
            (false, Framing::Record) => {
                ring.records(cursor)?;
                Ok(cursor.peer.wrapping_sub(cursor.position))
            }
        }
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

/// The number of bytes that are queued while the producer overwrites, or the capacity if it moves
/// on too fast to tell.
fn look_at_moving<K>(
    ring: &Ring<Tail<K>>,
    cursor: &mut Cursor,
    framing: Framing,
) -> Result<u64, Broken> {
    let tries = Tries::new(framing);
    for _ in 0..Tries::MOST {
        match ring.look(cursor, &tries, 1)? {
            Look::Empty => return Ok(0),
            Look::Found(window) => return Ok(window.len()),
            Look::Overtaken => spin_loop(),
        }
    }
    Ok(cursor.capacity)
}
