// SPDX-License-Identifier: GPL-2.0 OR MIT
// Copyright (C) 2026 Seed 1f3ad1c2 maintainers.

//! The device that the tests use.

#![allow(dead_code, reason = "each of the test programs uses a part of it")]

use std::fs::{File, OpenOptions};
use std::io;
use std::os::fd::AsRawFd;
use std::path::PathBuf;
use std::sync::{Mutex, MutexGuard};
use std::time::Duration;
use vfifo::{Consumer, Producer};

/// The deadline for something that should happen at once. It is longer in a slow kernel.
pub(crate) fn deadline() -> Duration {
    let scale = std::env::var("VFIFO_SCALE")
        .ok()
        .and_then(|n| n.parse().ok());
    Duration::from_secs(20) * scale.unwrap_or(1)
}

/// The device, empty, and used by one test at a time.
pub(crate) struct Device {
    pub(crate) path: String,
    _turn: MutexGuard<'static, ()>,
}

pub(crate) fn device() -> Device {
    static TURN: Mutex<()> = Mutex::new(());
    let device = Device {
        path: std::env::var("VFIFO_DEVICE").expect("VFIFO_DEVICE names a device"),
        _turn: TURN.lock().unwrap_or_else(|failed| failed.into_inner()),
    };
    let mut consumer = device.consumer();
    while let Ok(bytes) = consumer.peek() {
        let len = bytes.len();
        bytes.release(len).unwrap();
    }
    device
}

impl Device {
    pub(crate) fn file(&self) -> File {
        OpenOptions::new()
            .read(true)
            .write(true)
            .open(&self.path)
            .unwrap()
    }

    pub(crate) fn producer(&self) -> Producer {
        Producer::open(&self.path).unwrap()
    }

    pub(crate) fn consumer(&self) -> Consumer {
        Consumer::open(&self.path).unwrap()
    }
}

pub(crate) fn bytes(from: usize, len: usize) -> Vec<u8> {
    (from..from + len)
        .map(|i| (i.wrapping_mul(0x9e37_79b9) >> 24) as u8)
        .collect()
}

/// The device with other settings, until this is dropped.
pub(crate) struct Kind {
    pub(crate) device: Device,
}

impl Device {
    pub(crate) fn attribute(&self, name: &str) -> PathBuf {
        let device = self.path.rsplit('/').next().unwrap();
        ["/sys/class/vfifo", device, name].iter().collect()
    }

    pub(crate) fn set(&self, name: &str, value: &str) -> io::Result<()> {
        std::fs::write(self.attribute(name), value)
    }

    /// Drops what is queued.
    pub(crate) fn clear(&self) {
        const VFIFO_CLEAR: u32 = (b'k' as u32) << 8 | 1;
        let file = self.file();
        // The direction "none" is 0 on the machines that run these tests.
        // SAFETY: The request takes no argument.
        let cleared = unsafe { libc::ioctl(file.as_raw_fd(), VFIFO_CLEAR as _) };
        assert_eq!(cleared, 0, "{}", io::Error::last_os_error());
    }
}

/// The empty device, of that kind. [`None`] if the driver does not know of kinds.
pub(crate) fn kind(framing: &str, overwrite: &str) -> Option<Kind> {
    let kind = Kind { device: device() };
    if !kind.device.attribute("overwrite").exists() {
        eprintln!("skipped: the driver has neither records nor overwriting");
        return None;
    }
    kind.device.set("framing", framing).unwrap();
    kind.device.set("overwrite", overwrite).unwrap();
    Some(kind)
}

/// As [`kind`], but its stream ends when everybody has gone.
pub(crate) fn kind_with_end(framing: &str, overwrite: &str) -> Option<Kind> {
    let kind = kind(framing, overwrite)?;
    kind.device.set("hangup", "1").unwrap();
    Some(kind)
}

impl Drop for Kind {
    fn drop(&mut self) {
        if self.device.attribute("overwrite").exists() {
            self.device.clear();
            let hangup = self.device.set("hangup", "0");
            let overwrite = self.device.set("overwrite", "0");
            let framing = self.device.set("framing", "stream");
            // A test that fails may leave it mapped.
            if !std::thread::panicking() {
                hangup.and(overwrite).and(framing).unwrap();
            }
        }
    }
}
