// SPDX-License-Identifier: GPL-2.0 OR MIT
// Copyright (C) 2026 Seed 1f3ad1c2 maintainers.

//! Use an end of a vfifo (`/dev/vfifoN`, `/dev/vfifo/NAME`), a FIFO device of Linux, by loads and
//! stores: without a copy, and without a system call as long as the other end keeps up.
//!
//! A [`Producer`] reserves room, stores to it and commits. A [`Consumer`] peeks at the queued
//! bytes, uses them and releases them. Reserved or peeked bytes are always in one piece, even if
//! they wrap around the end of the buffer. The other end may be a program like this, in any
//! language, or one that calls `read` or `write` and knows nothing of mappings.
//!
//! ```no_run
//! # fn main() -> vfifo::Result<()> {
//! use vfifo::{Consumer, Producer};
//!
//! let mut producer = Producer::open("/dev/vfifo0")?;
//! let mut place = producer.reserve_wait(5)?;
//! place.put(0, b"hello")?;
//! place.commit(5)?;
//!
//! let mut consumer = Consumer::open("/dev/vfifo0")?;
//! let bytes = consumer.peek_wait(1)?;
//! assert_eq!(bytes.to_vec(), b"hello");
//! bytes.release(5)?;
//! # Ok(())
//! # }
//! ```
//!
//! To copy bytes in or out, use [`std::io::Write`], [`std::io::Read`] and [`std::io::BufRead`]. For
//! async programs, see the module `tokio`, which needs the feature of that name. Programs that need
//! no mapped end need no crate: they open the device as any other file.
//!
//! # Kinds
//!
//! Two attributes of a device decide what its ends are. Opening an end of another kind fails with
//! [`Error::Kind`], and the message names the type to use. They cannot change while anything is
//! mapped.
//!
//! | `framing` | `overwrite` | | |
//! |---|---|---|---|
//! | `stream` | 0 | [`Producer`] | [`Consumer`] |
//! | `record` | 0 | [`RecordProducer`] | [`RecordConsumer`] |
//! | `stream` | 1 | [`overwriting::Producer`] | [`overwriting::Consumer`] |
//! | `record` | 1 | [`overwriting::RecordProducer`] | [`overwriting::RecordConsumer`] |
//!
//! With records, one commit queues one record, as one `write(2)` does. A producer that overwrites
//! never waits: the oldest bytes or records make way. See [`overwriting`]. [`Info`] tells the kind
//! of a device.
//!
//! # Waiting
//!
//! Most operations exist in three forms: `peek` does not wait and fails with [`Error::NotYet`],
//! `peek_wait` sleeps as long as necessary, and `peek_timeout` no longer than it is told. The first
//! makes no system call. What else can happen is in [`Error`]: the other end may have gone
//! ([`Error::Ended`]), or may not follow the protocol ([`Error::Broken`]).
//!
//! An event loop can poll the ends, which implement [`AsFd`](std::os::fd::AsFd), together with
//! other files, and then use the functions that do not wait. [`Pollable`] is for loops that wait for
//! more than one byte, or that go on after the end of a stream.
//!
//! # Ends
//!
//! An end has one owner. While it has one, opening it fails with [`Error::Claimed`], and system
//! calls at that end fail with `EBUSY`. The owner gives it back by dropping the value, and by
//! `exec` and exit, even if it is killed. Committed bytes stay queued then; reserved bytes were
//! never queued. Bytes that were not released are there for the next consumer.
//!
//! An end can be sent to another thread, and it can be shared: what a shared reference allows is to
//! look at the end and to ask the kernel, and the memory of the FIFO is accessed by atomics in any
//! case. Producing and consuming need a mutable reference.
//!
//! # Memory that others change
//!
//! The buffer is shared with every process that can open the device. A process that has it open for
//! reading and writing can map it and store to any byte at any time, whatever the protocol says.
//! Rust's references promise that this does not happen, so this crate creates none to that memory:
//!
//! - Copies in and out ([`Reservation::put`], [`Bytes::get`], [`Bytes::iter`], `Read`, `BufRead` and
//!   `Write`, and their counterparts for records) consist of relaxed atomic loads and stores of up
//!   to eight bytes each. If another process stores to the same bytes meanwhile, the copy may
//!   contain any mixture of old and new bytes, but the behavior is defined. Once copied out, the
//!   bytes do not change.
//! - [`Reservation::read_from`] and [`Bytes::write_to`] let the kernel move the bytes, by `read`
//!   and `write` on another file: there is no copy in this process, and nothing that the compiler
//!   could assume about them.
//! - [`Reservation::as_raw`] and [`Bytes::as_raw`] return pointers, for volatile and atomic
//!   accesses and for foreign functions. Creating them is safe; using them is not.
//! - [`Reservation::as_mut_slice`] and [`Bytes::as_slice`] return references, and are `unsafe`: the
//!   caller vouches for all other processes that have the device open. The permissions of the node
//!   can ensure that only programs that follow the protocol can open it.
//! - If the producer overwrites, the protocol itself lets queued bytes change, and lets a consumer
//!   load reserved ones. So [`overwriting`] has no references at all: its consumers return copies
//!   that they have found to be intact.
//!
//! The header of a record is in that memory as well. It is loaded once, as one atomic, and checked:
//! an impossible one is [`Error::Broken`]. The other end's position is an atomic that the other end
//! can set to any value. It is checked as well, and never used as an address without a mask.
//!
//! This crate uses atomics on memory that several processes map, and on memory that is mapped
//! read-only here. The first is how atomics are used in practice, on every system that Linux runs
//! on. The second is allowed for relaxed loads of up to the size of a pointer (see
//! [`std::sync::atomic`], "Atomic accesses to read-only memory"). So an acquire load of the other
//! end's position is a relaxed load and a fence, and 32-bit machines are not supported. If bytes
//! change during a copy, loads may race with stores of another size. Each of them is done through a
//! mapping of its own, so this is no race in one program's memory, and processors deliver a
//! mixture.
//!
//! After `fork`, none of the memory of an owned end is mapped in the child. In the child, the
//! values of this crate must be neither used nor dropped; this is one more reason why calling
//! `fork` is `unsafe`.
//!
//! # The protocol
//!
//! The crate uses the driver's own code: its module `ring` is the file that is compiled into the
//! kernel, and is checked exhaustively by the project's tests on the host.
//!
//! # Versions
//!
//! The crate follows semantic versioning; before 1.0, a change of the second number may break
//! programs. It needs Rust 1.85 or newer. A newer version is required only with a change of the
//! second number, never of the third. The feature `tokio` makes tokio 1 a part of the interface.
//!
//! Any version works with any kernel that has the driver: the layout of the mappings is version 1
//! of `struct vfifo_info`, and a kernel that is older than records and overwriting has neither.
//!
//! # License
//!
//! GPL-2.0 or MIT, as you like. The kernel takes the former for the files that it shares with this
//! crate.

#![cfg_attr(docsrs, feature(doc_cfg))]

#[cfg(not(target_os = "linux"))]
compile_error!("vfifo is a device of Linux");

#[cfg(not(target_pointer_width = "64"))]
compile_error!("positions are 64 bits, and are loaded from memory that is mapped read-only");

// A link to the driver's file. `cargo package` replaces it with a copy.
#[allow(dead_code)]
mod ring;

mod bytes;
mod consumer;
mod device;
mod end;
mod epoll;
mod error;
mod info;
mod kind;
mod map;
pub mod overwriting;
mod pollable;
mod producer;
mod records;
mod reservation;
mod side;
mod span;
#[cfg(test)]
mod tests;
#[cfg(feature = "tokio")]
pub mod tokio;
mod traits;
mod uapi;

pub use bytes::Bytes;
pub use consumer::Consumer;
pub use error::{Error, Gone, Result, WrongKind};
pub use info::Info;
pub use pollable::Pollable;
pub use producer::Producer;
pub use records::batch::{RecordIter, Records};
pub use records::consumer::RecordConsumer;
pub use records::producer::RecordProducer;
pub use records::record::Record;
pub use records::reservation::RecordReservation;
pub use reservation::Reservation;
pub use span::Iter;

/// There is only one reservation at a time, and bytes that are peeked at stay until they are
/// released:
///
/// ```compile_fail,E0499
/// fn twice(producer: &mut vfifo::Producer) -> vfifo::Result<()> {
///     let one = producer.reserve_wait(1)?;
///     let two = producer.reserve_wait(1)?;
///     one.commit(1)?;
///     two.commit(1)
/// }
/// ```
///
/// ```compile_fail,E0499
/// fn twice(consumer: &mut vfifo::Consumer) -> vfifo::Result<()> {
///     let one = consumer.peek()?;
///     let two = consumer.peek()?;
///     one.release(1)?;
///     two.release(1)
/// }
/// ```
///
/// Nothing is left of a reservation once it was committed:
///
/// ```compile_fail,E0382
/// fn late(producer: &mut vfifo::Producer) -> vfifo::Result<()> {
///     let mut place = producer.reserve_wait(1)?;
///     place.commit(1)?;
///     place.put(0, b"x")
/// }
/// ```
///
/// There are no references to bytes that may be overwritten:
///
/// ```compile_fail,E0599
/// fn slice(place: &mut vfifo::overwriting::Reservation<'_>) -> &mut [u8] {
///     unsafe { place.as_mut_slice() }
/// }
/// ```
#[cfg(doctest)]
struct Rules;

#[cfg(doctest)]
#[doc = include_str!("../README.md")]
struct Readme;
