// SPDX-License-Identifier: GPL-2.0
// Copyright (C) 2026 Seed 1f3ad1c2 maintainers.

//! The tracepoints, `events/vfifo/` in tracefs. See `include/trace/events/vfifo.h`.
//!
//! An event that is off costs a static branch. Arguments should therefore be values that the caller
//! has anyway.
//!
//! # Context
//!
//! Any, with any lock held.

use super::fifo::Side;
use kernel::{
    prelude::*,
    tracepoint::declare_trace, //
};

/// The cause of a transfer. The numbers are those of the header.
#[derive(Clone, Copy)]
#[repr(u32)]
pub(crate) enum By {
    /// A write(2), or a splice(2) into the FIFO.
    Write = 0,
    /// The generator.
    Auto = 1,
    /// A read(2), or a splice(2) out of the FIFO.
    Read = 2,
    /// `VFIFO_CLEAR`.
    Clear = 3,
}

/// Those who are woken. The numbers are those of the header.
#[derive(Clone, Copy)]
#[repr(u32)]
pub(crate) enum Whom {
    /// One of the calls that sleep.
    One = 0,
    /// All calls that sleep.
    All = 1,
    /// Pollers.
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

/// The number of an end in the header.
#[inline(always)]
fn end(side: Side) -> c_uint {
    match side {
        Side::Producer => 0,
        Side::Consumer => 1,
    }
}

/// The `bytes` from `position` on are produced. To be called before they are published, so that
/// this event comes before the one of their consumption.
#[inline(always)]
pub(crate) fn produce(index: u32, position: u64, bytes: u64, by: By) {
    vfifo_produce(index, position, bytes as u32, by as c_uint);
}

/// The `bytes` from `position` on are consumed. To be called before their room is given back,
/// except by a clear: how much it drops is known only afterwards.
#[inline(always)]
pub(crate) fn consume(index: u32, position: u64, bytes: u64, by: By) {
    vfifo_consume(index, position, bytes as u32, by as c_uint);
}

/// A call at the end `side` is about to sleep until `needed` bytes are queued (consumer) or free
/// (producer).
#[inline(always)]
pub(crate) fn sleep(index: u32, side: Side, needed: u64) {
    vfifo_sleep(index, end(side), needed as u32);
}

/// Somebody at the end `side` is about to be woken.
#[inline(always)]
pub(crate) fn wake(index: u32, side: Side, whom: Whom) {
    vfifo_wake(index, end(side), whom as c_uint);
}

/// The end `side` is claimed; its owner goes on from `position`.
#[inline(always)]
pub(crate) fn claim(index: u32, side: Side, position: u64) {
    vfifo_claim(index, end(side), position);
}

/// The claim on the end `side` has ended; the kernel goes on from `position`.
#[inline(always)]
pub(crate) fn release(index: u32, side: Side, position: u64) {
    vfifo_release(index, end(side), position);
}

/// The positions `head` and `tail` are impossible.
#[inline(always)]
pub(crate) fn broken(index: u32, head: u64, tail: u64) {
    vfifo_broken(index, head, tail);
}
