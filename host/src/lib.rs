// SPDX-License-Identifier: GPL-2.0

//! The ring of the driver, over the host's atomics.

use std::sync::atomic::{AtomicU64, Ordering};

#[path = "../../samples-rust-vfifo/rust_vfifo/ring.rs"]
#[allow(dead_code)]
mod ring;

impl ring::Position for AtomicU64 {
    fn new(value: u64) -> Self {
        Self::new(value)
    }

    fn load_own(&self) -> u64 {
        self.load(Ordering::Relaxed)
    }

    fn load_acquire(&self) -> u64 {
        self.load(Ordering::Acquire)
    }

    fn store_release(&self, value: u64) {
        self.store(value, Ordering::Release);
    }
}

#[cfg(test)]
mod tests;
