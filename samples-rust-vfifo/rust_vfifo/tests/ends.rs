// SPDX-License-Identifier: GPL-2.0
// Copyright (C) 2026 Seed 1f3ad1c2 maintainers.

//! A ring in plain memory, for the other tests.

use super::super::ring::{
    Broken,
    Cursor,
    End,
    Fence,
    Memory,
    Ring, //
};
use kernel::sync::atomic::{
    Atomic,
    Relaxed, //
};

/// An end that is used by one CPU only.
pub(super) struct TestEnd {
    position: Atomic<u64>,
    waiting: Atomic<bool>,
}

impl End for TestEnd {
    fn load_acquire(&self) -> u64 {
        self.position.load(Relaxed)
    }

    fn store_release(&self, position: u64) {
        self.position.store(position, Relaxed);
    }

    fn is_waiting(&self) -> bool {
        self.waiting.load(Relaxed)
    }

    fn set_waiting(&self, waiting: bool) {
        self.waiting.store(waiting, Relaxed);
    }
}

pub(super) struct TestMemory;

impl Memory for TestMemory {
    type Producer = TestEnd;
    type Consumer = TestEnd;

    fn fence(_: Fence) {}
}

/// A ring and the cursors of both of its ends.
pub(super) struct Ends {
    pub(super) ring: Ring<TestMemory>,
    pub(super) producer: Cursor,
    pub(super) consumer: Cursor,
}

impl Ends {
    pub(super) fn new(capacity: u64, start: u64) -> Self {
        let end = || TestEnd {
            position: Atomic::new(start),
            waiting: Atomic::new(false),
        };
        Self {
            ring: Ring {
                producer: end(),
                consumer: end(),
            },
            producer: Cursor::new(capacity, start),
            consumer: Cursor::new(capacity, start),
        }
    }

    pub(super) fn free(&mut self) -> Result<u64, Broken> {
        self.ring.free(&mut self.producer, u64::MAX)
    }

    pub(super) fn used(&mut self) -> Result<u64, Broken> {
        self.ring.used(&mut self.consumer, u64::MAX)
    }

    pub(super) fn produce(&mut self, len: u64) {
        self.ring.produce(&mut self.producer, len);
    }

    pub(super) fn consume(&mut self, len: u64) {
        self.ring.consume(&mut self.consumer, len);
    }
}
