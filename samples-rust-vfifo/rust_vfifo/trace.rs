// SPDX-License-Identifier: GPL-2.0

//! The tracepoints, `events/vfifo/` in tracefs, see `include/trace/events/vfifo.h`.
//!
//! While an event is off, it costs a static branch; so what is passed should be at hand already.

use super::fifo::Side;
use kernel::{
    prelude::*,
    tracepoint::declare_trace, //
};

/// What moves bytes. The numbers are those of the header.
#[derive(Clone, Copy)]
#[repr(u32)]
pub(crate) enum By {
    /// A write(2), or a splice(2) into the FIFO.
    Write = 0,
    /// Generation.
    Auto = 1,
    /// A read(2), or a splice(2) out of the FIFO.
    Read = 2,
    /// Clearing.
    Clear = 3,
}

/// Who is woken. The numbers are those of the header.
#[derive(Clone, Copy)]
#[repr(u32)]
pub(crate) enum Whom {
    /// One of those who sleep in calls.
    One = 0,
    /// All of those.
    All = 1,
    /// All who poll.
    Pollers = 2,
}

declare_trace! {
    fn vfifo_produce(index: c_uint, position: u64, bytes: u32, by: c_uint);
    fn vfifo_consume(index: c_uint, position: u64, bytes: u32, by: c_uint);
    fn vfifo_sleep(index: c_uint, end: c_uint, needed: u32);
    fn vfifo_wake(index: c_uint, end: c_uint, whom: c_uint);
    fn vfifo_claim(index: c_uint, end: c_uint, position: u64);
    fn vfifo_release(index: c_uint, end: c_uint, position: u64);
    fn vfifo_broken(index: c_uint, head: u64, tail: u64);
}

/// The number of an end, as the header has it.
#[inline(always)]
fn end(side: Side) -> c_uint {
    match side {
        Side::Producer => 0,
        Side::Consumer => 1,
    }
}

/// The `bytes` from `position` on go in. To be called before others can see them: then it is
/// recorded before their being consumed is.
#[inline(always)]
pub(crate) fn produce(index: u32, position: u64, bytes: u64, by: By) {
    vfifo_produce(index, position, bytes as u32, by as c_uint);
}

/// The `bytes` from `position` on come out. To be called before their room can be used again.
#[inline(always)]
pub(crate) fn consume(index: u32, position: u64, bytes: u64, by: By) {
    vfifo_consume(index, position, bytes as u32, by as c_uint);
}

/// A call at the end `side` is about to sleep until `needed` bytes are queued, or free.
#[inline(always)]
pub(crate) fn sleep(index: u32, side: Side, needed: u64) {
    vfifo_sleep(index, end(side), needed as u32);
}

/// Somebody at the end `side` is about to be woken.
#[inline(always)]
pub(crate) fn wake(index: u32, side: Side, whom: Whom) {
    vfifo_wake(index, end(side), whom as c_uint);
}

/// The end `side` is claimed, and goes on from `position`.
#[inline(always)]
pub(crate) fn claim(index: u32, side: Side, position: u64) {
    vfifo_claim(index, end(side), position);
}

/// The claim on the end `side` is over, and the kernel goes on from `position`.
#[inline(always)]
pub(crate) fn release(index: u32, side: Side, position: u64) {
    vfifo_release(index, end(side), position);
}

/// The positions `head` and `tail` cannot be.
#[inline(always)]
pub(crate) fn broken(index: u32, head: u64, tail: u64) {
    vfifo_broken(index, head, tail);
}
