// SPDX-License-Identifier: GPL-2.0 OR MIT
// Copyright (C) 2026 Seed 1f3ad1c2 maintainers.

//! Ends for programs that use [tokio]. This module needs the feature `tokio`.
//!
//! [`Async`] makes a mapped end wait without blocking its thread:
//!
//! ```no_run
//! # async fn run() -> vfifo::Result<()> {
//! use vfifo::tokio::Async;
//! use vfifo::{Consumer, Producer};
//!
//! let mut producer = Async::new(Producer::open("/dev/vfifo0")?)?;
//! let mut place = producer.reserve(5).await?;
//! place.put(0, b"hello")?;
//! place.commit(5)?;
//!
//! let mut consumer = Async::new(Consumer::open("/dev/vfifo0")?)?;
//! let bytes = consumer.peek(5).await?;
//! assert_eq!(bytes.to_vec(), b"hello");
//! bytes.release(5)?;
//! # Ok(())
//! # }
//! ```
//!
//! [`Reader`] and [`Writer`] are plain ends, which call `read` and `write`.
//!
//! | | mapped | plain |
//! |---|---|---|
//! | bytes out | [`Async<Consumer>`](Async), also [`AsyncRead`], [`AsyncBufRead`] | [`Reader`], which is [`AsyncRead`] |
//! | bytes in | [`Async<Producer>`](Async), also [`AsyncWrite`] | [`Writer`], which is [`AsyncWrite`] |
//! | records out | [`Async<RecordConsumer>`](Async) | [`Reader`]: each read returns a record |
//! | records in | [`Async<RecordProducer>`](Async) | [`Writer`]: each write queues a record |
//! | overwritten | `Async<overwriting::Consumer>`, `Async<overwriting::RecordConsumer>` | [`Reader`] |
//!
//! A producer that overwrites never waits, so it needs nothing from here.
//!
//! # Cancellation
//!
//! Every function here is cancel-safe: if its future is dropped before it is ready, such as by
//! `select!`, nothing was queued and nothing was taken out. Waiting changes
//! nothing, and what follows the wait is done in one go.
//!
//! ```no_run
//! # use std::time::Duration;
//! # use vfifo::{tokio::Async, Consumer};
//! # async fn run(mut one: Async<Consumer>, mut two: Async<Consumer>) -> vfifo::Result<()> {
//! let bytes = tokio::select! {
//!     bytes = one.peek(1) => bytes?,
//!     bytes = two.peek(1) => bytes?,
//!     () = tokio::time::sleep(Duration::from_secs(1)) => return Ok(()),
//! };
//! # let _ = bytes;
//! # Ok(())
//! # }
//! ```
//!
//! # Context
//!
//! Constructors must be called in a runtime with I/O enabled
//! ([`enable_io`](::tokio::runtime::Builder::enable_io)), otherwise they panic. The functions take
//! part in tokio's cooperative scheduling: a task that always finds something to do yields now and
//! then.
//!
//! Each end is watched through an epoll of its own, which tokio watches in turn. If tokio watched
//! the device itself, it would take the end of a stream for final, and spin when a new writer
//! continues it.
//!
//! [`AsyncRead`]: ::tokio::io::AsyncRead
//! [`AsyncBufRead`]: ::tokio::io::AsyncBufRead
//! [`AsyncWrite`]: ::tokio::io::AsyncWrite

pub(crate) mod bytes;
mod mapped;
pub(crate) mod overwriting;
mod plain;
mod records;
pub(crate) mod wakes;

pub use mapped::{Async, End};
pub use plain::{Reader, Writer};
