// SPDX-License-Identifier: GPL-2.0
// Copyright (C) 2026 Seed 1f3ad1c2 maintainers.

//! The events that `poll` reports.

use core::ops::BitOr;
use kernel::bindings;

/// A set of events, as `poll` reports them. Sets are joined with `|`.
///
/// These are the `EPOLL*` values, which the `poll` operation of a file returns; unlike those of
/// `POLLIN` and so on, they are the same on all architectures.
///
/// C header: [`include/uapi/linux/eventpoll.h`](srctree/include/uapi/linux/eventpoll.h)
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct Events(bindings::__poll_t);

impl Events {
    /// No events.
    pub const NONE: Self = Self(0);
    /// A read would not sleep: `EPOLLIN | EPOLLRDNORM`.
    pub const READ: Self = Self(bindings::EPOLLIN | bindings::EPOLLRDNORM);
    /// A write would not sleep: `EPOLLOUT | EPOLLWRNORM`.
    pub const WRITE: Self = Self(bindings::EPOLLOUT | bindings::EPOLLWRNORM);
    /// The other side has hung up: `EPOLLHUP`.
    pub const HANGUP: Self = Self(bindings::EPOLLHUP);
    /// An error: `EPOLLERR`.
    pub const ERROR: Self = Self(bindings::EPOLLERR);

    /// The requested events, from the key of a poll table.
    ///
    /// Only [`Events::READ`], [`Events::WRITE`] and `EPOLLEXCLUSIVE` are kept.
    pub(super) fn from_key(key: bindings::__poll_t) -> Self {
        let known = (Self::READ | Self::WRITE).0 | bindings::EPOLLEXCLUSIVE;
        Self(key & known)
    }

    /// What the `poll` operation returns.
    pub(super) fn into_raw(self) -> bindings::__poll_t {
        self.0
    }

    /// Returns whether the poller wants to be woken exclusively (`EPOLLEXCLUSIVE`). This is not an
    /// event, but comes with the requested ones.
    ///
    /// # Context
    ///
    /// Any context.
    pub fn are_exclusive(self) -> bool {
        self.0 & bindings::EPOLLEXCLUSIVE != 0
    }

    /// Returns whether the set has any event of `other`.
    ///
    /// # Context
    ///
    /// Any context.
    pub fn intersects(self, other: Self) -> bool {
        self.0 & other.0 != 0
    }
}

impl BitOr for Events {
    type Output = Self;

    fn bitor(self, other: Self) -> Self {
        Self(self.0 | other.0)
    }
}
