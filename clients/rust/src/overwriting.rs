// SPDX-License-Identifier: GPL-2.0 OR MIT
// Copyright (C) 2026 Seed 1f3ad1c2 maintainers.

//! The ends of a FIFO whose producer never waits: the oldest bytes, or as many records as
//! necessary, make way for new ones. The device's attribute `overwrite` is 1.
//!
//! This makes a flight recorder. Something is written all the time, and read when something has
//! happened:
//!
//! ```no_run
//! use std::io::{self, Write};
//! use vfifo::overwriting::{Consumer, Copied, Producer};
//! use vfifo::Error;
//!
//! fn record() -> io::Result<()> {
//!     let mut producer = Producer::open("/dev/vfifo0")?;
//!     for number in 0u64.. {
//!         writeln!(producer, "event {number}")?;
//!     }
//!     Ok(())
//! }
//!
//! fn dump() -> io::Result<()> {
//!     let mut consumer = Consumer::open("/dev/vfifo0")?;
//!     let mut bytes = Vec::new();
//!     match consumer.read_to_vec(&mut bytes) {
//!         Ok(Copied { len, lost }) => println!("{len} bytes, {lost} before are lost"),
//!         Err(Error::NotYet) => println!("nothing happened"),
//!         Err(Error::Overtaken) => println!("too much happens"),
//!         Err(error) => return Err(error.into()),
//!     }
//!     Ok(())
//! }
//! ```
//!
//! # Copies
//!
//! A producer may overwrite queued bytes at any time, even while the consumer looks at them. This
//! is not a breach of the protocol, so what [the crate](crate) says about bytes that stay queued
//! does not hold: nobody can vouch for them, and there is no reference and no pointer to them here.
//! The consumer copies bytes, as relaxed atomic loads, and checks afterwards whether the producer
//! had begun to overwrite any of them. Only a copy of which none was overwritten is returned.
//!
//! # Overtaken
//!
//! Of a full ring, the oldest bytes are the next to go. If the consumer always began with them, a
//! fast producer could defeat it forever. After two defeats it begins further on, and skips more
//! each time: of bytes, 4, 16, 64, ... times as many as the caller wants, but not more than the
//! older half, three quarters, ... of what is queued; of records, those that were committed before
//! the last defeat. What it has skipped, and what was overwritten before it was read, is lost:
//! [`Copied::lost`] is the number of bytes since the end of what was read before. That number is why
//! these consumers do not implement [`Read`](std::io::Read), which has no place for it.
//!
//! # States
//!
//! | | consumer | producer |
//! |---|---|---|
//! | nothing yet | [`Error::NotYet`] | never |
//! | overtaken | [`Error::Overtaken`], [`Copied::lost`] | never |
//! | everybody at the other end has gone | [`Error::Ended`], from functions that wait | [`Error::Ended`], from `check` |
//! | error state | [`Error::Broken`] | [`Error::Broken`] |
//!
//! The producer does not look at the consumer, so it does not notice that the readers have gone. If
//! it has to know, it calls `check`. With the device's attribute `hangup` 1 and plain writers, a
//! recorder ends with its first reader, so 0 is what most recorders need.
//!
//! [`Error::NotYet`]: crate::Error::NotYet
//! [`Error::Overtaken`]: crate::Error::Overtaken
//! [`Error::Ended`]: crate::Error::Ended
//! [`Error::Broken`]: crate::Error::Broken

pub(crate) mod consumer;
pub(crate) mod producer;
pub(crate) mod reader;
pub(crate) mod record_consumer;
pub(crate) mod record_producer;
pub(crate) mod record_reservation;
pub(crate) mod reservation;

pub use consumer::Consumer;
pub use producer::Producer;
pub use reader::Copied;
pub use record_consumer::RecordConsumer;
pub use record_producer::RecordProducer;
pub use record_reservation::RecordReservation;
pub use reservation::Reservation;
