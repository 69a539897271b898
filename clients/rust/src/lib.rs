// SPDX-License-Identifier: GPL-2.0

//! Use an end of a vfifo (`/dev/vfifoN`, `/dev/vfifo/NAME`) by loads and stores: without a copy, and without a system
//! call as long as the other end keeps up.
//!
//! A [`Producer`] reserves room, stores to it and commits. A [`Consumer`] peeks at the queued
//! bytes, uses them and releases them. Reserved or peeked bytes are always in one piece, even if
//! they wrap around the end of the buffer. The other end may be a program like this, in any
//! language, or one that calls `read` or `write` and knows nothing of mappings.
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
//! To copy bytes in or out, use [`std::io::Write`] and [`std::io::Read`].
//!
//! # Ends
//!
//! An end has one owner. While it has one, opening it fails with `EBUSY`, and so do system calls at
//! that end. The owner gives it back by dropping the value, and by `exec` and exit, even if it is
//! killed. Committed bytes stay queued then; reserved bytes were never queued. Bytes that were not
//! released are there for the next consumer.
//!
//! # Memory that others change
//!
//! The buffer is shared with every process that can open the device. A process that has it open for
//! reading and writing can map it and store to any byte at any time, whatever the protocol says.
//! Rust's references promise that this does not happen, so this crate creates none to that memory:
//!
//! - Copies in and out ([`Reservation::put`], [`Bytes::get`], [`Bytes::iter`], `Read` and `Write`)
//!   consist of relaxed atomic loads and stores of up to eight bytes each. If another process
//!   stores to the same bytes meanwhile, the copy may contain any mixture of old and new bytes, but
//!   the behavior is defined. Once copied out, the bytes do not change.
//! - [`Reservation::read_from`] and [`Bytes::write_to`] let the kernel move the bytes, by `read`
//!   and `write` on another file: there is no copy in this process, and nothing that the compiler
//!   could assume about them.
//! - [`Reservation::as_raw`] and [`Bytes::as_raw`] return pointers, for volatile and atomic
//!   accesses and for foreign functions. Creating them is safe; using them is not.
//! - [`Reservation::as_mut_slice`] and [`Bytes::as_slice`] return references, and are `unsafe`: the
//!   caller vouches for all other processes that have the device open. The permissions of the node
//!   can ensure that only programs that follow the protocol can open it.
//!
//! The other end's position is an atomic that the other end can set to any value. It is checked (an
//! impossible one is `EIO`), and never used as an address without a mask.
//!
//! This crate uses atomics on memory that several processes map, and on memory that is mapped
//! read-only here. The first is how atomics are used in practice, on every system that Linux runs
//! on. The second is allowed for relaxed loads of up to the size of a pointer (see
//! [`std::sync::atomic`], "Atomic accesses to read-only memory"). So an acquire load of the other
//! end's position is a relaxed load and a fence, and 32-bit machines are not supported.
//!
//! After `fork`, none of the memory of an owned end is mapped in the child. In the child, the values of
//! this crate must be neither used nor dropped; this is one more reason why calling `fork` is
//! `unsafe`.
//!
//! # The protocol
//!
//! The crate uses the driver's own code: its module `ring` is the file that is compiled into the
//! kernel, and is checked exhaustively by the project's tests on the host.
//!
//! # License
//!
//! GPL-2.0-only, because of that file. A program that links this crate is a combined work with it:
//! if the program is distributed, the whole of it must be under terms compatible with GPL-2.0. Use
//! within an organization is not distribution. The C header `vfifo_map.h` implements the same
//! protocol and is also available under the MIT license. Programs under any license may use the
//! device by system calls: `uapi/linux/vfifo.h` has the Linux-syscall-note.

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

/// An end cannot be used by two threads at the same time, not even to look at it.
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
/// But it can be moved to another thread.
///
/// ```
/// fn sent<T: Send>() {}
/// sent::<vfifo::Producer>();
/// sent::<vfifo::Consumer>();
/// ```
///
/// There is only one reservation at a time, and bytes that are peeked at stay until they are
/// released:
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
