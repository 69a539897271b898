// SPDX-License-Identifier: GPL-2.0

//! Being an end of a vfifo (`/dev/vfifoN`) by loads and stores: without a copy, and without a system
//! call while the other end keeps up.
//!
//! A [`Producer`] reserves room, stores to it and commits; a [`Consumer`] peeks at what is queued,
//! uses it and releases it. What is reserved or peeked at is always one piece, also where it wraps
//! around the end of the buffer. The other end may be a program like that, in whatever language, or
//! one that knows nothing of all this and calls `read` or `write`.
//!
//! ```no_run
//! # fn main() -> std::io::Result<()> {
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
//! Who wants to copy finds [`std::io::Write`] and [`std::io::Read`] implemented.
//!
//! # Ends
//!
//! An end has one owner: opening it fails with `EBUSY` while another has it, and plain calls for
//! that end get `EBUSY` as well. It is given back when the value is dropped, and by `exec`, exit and
//! death. What was committed then stays queued, what was not never was; what was not released is
//! there for the next consumer.
//!
//! # Memory that others change
//!
//! The buffer is shared with whoever may open the device. A process that has it open for writing
//! can map it and store to any byte at any time, protocol or not. Rust's references promise that
//! such a thing does not happen, so this crate makes none to that memory:
//!
//! - Copies in and out ([`Reservation::put`], [`Bytes::get`], [`Bytes::iter`], `Read` and `Write`)
//!   are made of relaxed atomic loads and stores, of up to eight bytes each. If somebody stores to
//!   the same bytes meanwhile, which bytes are copied is anybody's guess; but they are bytes, and
//!   the program's own rules hold. What has been copied out stays as it is.
//! - [`Reservation::read_from`] and [`Bytes::write_to`] have the kernel move the bytes, by `read`
//!   and `write` on another file: no copy in this process, and nothing for the compiler to assume.
//! - [`Reservation::as_raw`] and [`Bytes::as_raw`] give pointers, for volatile and atomic accesses
//!   and for foreign functions. To make them is safe, to use them isn't.
//! - [`Reservation::as_mut_slice`] and [`Bytes::as_slice`] give references, and are `unsafe`: by
//!   calling them one answers for all other processes that have the device open. Where only programs
//!   that keep to the protocol may open it, that is a matter of the node's permissions.
//!
//! The positions of the other end are atomics that anybody at that end can set to anything. They are
//! checked (an impossible one is `EIO`) and never used as an address unmasked.
//!
//! Atomics are used on memory that is mapped by several processes, and on memory that is mapped
//! read-only here. The first is what they are for in practice, on every system that Linux runs on.
//! The second is allowed for relaxed loads of up to the size of a pointer (see
//! [`std::sync::atomic`], "Atomic accesses to read-only memory"); so an acquire of the other end's
//! position is a relaxed load and a fence, and 32-bit machines are not supported.
//!
//! `fork` leaves the page of an owned end out of the child. Calling it is `unsafe` for many reasons;
//! here is another: in the child, the values of this crate must be neither used nor dropped.
//!
//! # The protocol
//!
//! It is the driver's own: the module `ring` of this crate is the file that is compiled into the
//! kernel, and checked exhaustively by the project's host tests.

#[cfg(not(target_pointer_width = "64"))]
compile_error!("positions are 64 bits, and are loaded from memory that is mapped read-only");

#[path = "../../../samples-rust-vfifo/rust_vfifo/ring.rs"]
#[allow(dead_code)]
mod ring;

mod consumer;
mod end;
mod map;
mod producer;
#[cfg(test)]
mod tests;
mod uapi;

pub use consumer::{Bytes, Consumer, Iter};
pub use producer::{Producer, Reservation};

/// Neither kind of end may be used by two threads at the same time, not even to look.
///
/// ```compile_fail
/// fn shared<T: Sync>() {}
/// shared::<vfifo::Producer>();
/// ```
///
/// ```compile_fail
/// fn shared<T: Sync>() {}
/// shared::<vfifo::Consumer>();
/// ```
///
/// But either may be given to another thread.
///
/// ```
/// fn sent<T: Send>() {}
/// sent::<vfifo::Producer>();
/// sent::<vfifo::Consumer>();
/// ```
///
/// Room is reserved once at a time, and what is peeked at stays until it is released:
///
/// ```compile_fail
/// fn twice(producer: &mut vfifo::Producer) -> std::io::Result<()> {
///     let one = producer.reserve_wait(1)?;
///     let two = producer.reserve_wait(1)?;
///     one.commit(1)?;
///     two.commit(1)
/// }
/// ```
#[cfg(doctest)]
struct Rules;
