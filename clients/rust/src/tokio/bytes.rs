// SPDX-License-Identifier: GPL-2.0 OR MIT
// Copyright (C) 2026 Seed 1f3ad1c2 maintainers.

//! Ends of a stream of bytes.

use super::mapped::Async;
use super::wakes::Wakes;
use crate::consumer;
use crate::device::Bell;
use crate::error::{Error, Result};
use crate::producer;
use crate::{Bytes, Consumer, Producer, Reservation};
use ::tokio::io::{AsyncBufRead, AsyncRead, AsyncWrite, ReadBuf};
use std::io;
use std::pin::Pin;
use std::task::{ready, Context, Poll};

impl Async<Producer> {
    /// Waits until `need` bytes can be reserved.
    ///
    /// # Errors
    ///
    /// As for [`Producer::wait`].
    pub async fn wait(&mut self, need: usize) -> Result<()> {
        self.wakes.wait(&mut self.end.0.end, need).await?;
        Ok(())
    }

    /// Waits until `len` bytes can be reserved, and reserves them.
    ///
    /// # Errors
    ///
    /// As for [`Producer::wait`].
    pub async fn reserve(&mut self, len: usize) -> Result<Reservation<'_>> {
        self.wait(len).await?;
        self.end.reserve(len)
    }
}

/// Copies bytes in, as many as fit. Shutting down does nothing: dropping the end gives it back.
impl AsyncWrite for Async<Producer> {
    fn poll_write(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        let Self { wakes, end } = self.get_mut();
        poll_write(wakes, &mut end.0, bytes, cx)
    }

    fn poll_flush(self: Pin<&mut Self>, _cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }

    fn poll_shutdown(self: Pin<&mut Self>, _cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }
}

pub(crate) fn poll_write<B: Bell>(
    wakes: &Wakes,
    port: &mut producer::Port<B>,
    bytes: &[u8],
    cx: &mut Context<'_>,
) -> Poll<io::Result<usize>> {
    if bytes.is_empty() {
        return Poll::Ready(Ok(0));
    }
    let room = ready!(wakes.poll(&mut port.end, 1, cx))?;
    Poll::Ready(Ok(port.write_now(room, bytes)?))
}

impl Async<Consumer> {
    /// Waits until `need` bytes are queued.
    ///
    /// # Errors
    ///
    /// As for [`Consumer::wait`].
    pub async fn wait(&mut self, need: usize) -> Result<()> {
        self.wakes.wait(&mut self.end.0.end, need).await?;
        Ok(())
    }

    /// Waits until `need` bytes are queued, and returns all that are known of.
    ///
    /// # Errors
    ///
    /// As for [`Consumer::wait`].
    pub async fn peek(&mut self, need: usize) -> Result<Bytes<'_>> {
        self.wait(need).await?;
        self.end.peek()
    }
}

/// Copies bytes out. At the end of the stream, there are none.
impl AsyncRead for Async<Consumer> {
    fn poll_read(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        to: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let Self { wakes, end } = self.get_mut();
        poll_read(wakes, &mut end.0, to, cx)
    }
}

pub(crate) fn poll_read<B: Bell>(
    wakes: &Wakes,
    port: &mut consumer::Port<B>,
    to: &mut ReadBuf<'_>,
    cx: &mut Context<'_>,
) -> Poll<io::Result<()>> {
    if to.remaining() == 0 {
        return Poll::Ready(Ok(()));
    }
    let len = ready!(poll_to_read(wakes, port, cx))?;
    let len = port.read_now(len, to.initialize_unfilled())?;
    to.advance(len);
    Poll::Ready(Ok(()))
}

/// Waits for a byte. Returns zero at the end.
fn poll_to_read<B: Bell>(
    wakes: &Wakes,
    port: &mut consumer::Port<B>,
    cx: &mut Context<'_>,
) -> Poll<Result<usize>> {
    match ready!(wakes.poll(&mut port.end, 1, cx)) {
        Err(Error::Ended(_)) => Poll::Ready(Ok(0)),
        result => Poll::Ready(result),
    }
}

/// Reads through a copy, as the [`BufRead`](Consumer#impl-BufRead-for-Consumer) of the end does.
impl AsyncBufRead for Async<Consumer> {
    fn poll_fill_buf(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<&[u8]>> {
        let Self { wakes, end } = self.get_mut();
        poll_fill_buf(wakes, &mut end.0, cx)
    }

    fn consume(self: Pin<&mut Self>, len: usize) {
        self.get_mut().end.0.consume(len);
    }
}

pub(crate) fn poll_fill_buf<'a, B: Bell>(
    wakes: &Wakes,
    port: &'a mut consumer::Port<B>,
    cx: &mut Context<'_>,
) -> Poll<io::Result<&'a [u8]>> {
    if port.copied().is_empty() {
        let len = ready!(poll_to_read(wakes, port, cx))?;
        port.copy(len)?;
    }
    Poll::Ready(Ok(port.copied()))
}
