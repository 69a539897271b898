// SPDX-License-Identifier: GPL-2.0 OR MIT
// Copyright (C) 2026 Seed 1f3ad1c2 maintainers.

//! Waiting for what happens at the other end.

use crate::device::Bell;
use crate::end::End;
use crate::epoll::drain;
use crate::error::{Error, Result};
use crate::side::Side;
use ::tokio::io::unix::AsyncFd;
use ::tokio::io::Interest;
use ::tokio::task::coop;
use std::future::poll_fn;
use std::hint::spin_loop;
use std::io;
use std::os::fd::{AsFd, OwnedFd};
use std::task::{ready, Context, Poll};

/// How often to look at the other end before the task waits. Less than a thread does before it
/// sleeps: another task may have something to do.
const SPIN: u32 = 50;

/// Something that becomes readable when anything has happened at the other end.
pub(crate) struct Wakes(AsyncFd<OwnedFd>);

impl Wakes {
    pub(crate) fn new(fd: OwnedFd) -> io::Result<Self> {
        // SAFETY: The `AsyncFd` owns the descriptor, so it stays open and refers to the same file
        // as long as the `AsyncFd` exists. An `OwnedFd` always returns the same descriptor. Nothing
        // here replaces it.
        let fd = unsafe { AsyncFd::register_with_interest(fd, Interest::READABLE) };
        Ok(Self(fd?))
    }

    /// Waits until there are `need` bytes, or a record of that length fits. Returns what
    /// [`End::look`] returns.
    pub(crate) fn poll<S: Side, B: Bell>(
        &self,
        end: &mut End<S, B>,
        need: usize,
        cx: &mut Context<'_>,
    ) -> Poll<Result<usize>> {
        if need > end.capacity() {
            return Poll::Ready(Err(Error::Range));
        }
        let coop = ready!(coop::poll_proceed(cx));
        let result = self.poll_eagerly(end, need, cx);
        if result.is_ready() {
            coop.made_progress();
        }
        result
    }

    fn poll_eagerly<S: Side, B: Bell>(
        &self,
        end: &mut End<S, B>,
        need: usize,
        cx: &mut Context<'_>,
    ) -> Poll<Result<usize>> {
        for _ in 0..SPIN {
            let len = end.look(need)?;
            if len >= need {
                return Poll::Ready(Ok(len));
            }
            spin_loop();
        }
        loop {
            // Old news is dropped first. Then the other end is looked at. So what happens after the
            // look is news, of which tokio tells the task. What has happened before is seen by the
            // look, even if the news of it is dropped.
            let is_told = match self.0.poll_read_ready(cx)? {
                Poll::Pending => true,
                Poll::Ready(mut news) => {
                    news.clear_ready();
                    false
                }
            };
            if let Some(len) = end.announce(need)? {
                return Poll::Ready(Ok(len));
            }
            if is_told {
                return Poll::Pending;
            }
        }
    }

    pub(crate) async fn wait<S: Side, B: Bell>(
        &self,
        end: &mut End<S, B>,
        need: usize,
    ) -> Result<usize> {
        poll_fn(|cx| self.poll(end, need, cx)).await
    }

    /// Waits until anything has happened since the last time. This must be an epoll.
    pub(crate) fn poll_news(&self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        let mut news = ready!(self.0.poll_read_ready(cx))?;
        news.clear_ready();
        drain(self.0.get_ref().as_fd())?;
        Poll::Ready(Ok(()))
    }
}
