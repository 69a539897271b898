// SPDX-License-Identifier: GPL-2.0 OR MIT
// Copyright (C) 2026 Seed 1f3ad1c2 maintainers

//! Which processes use a device.

use crate::{vfifoctl, Device};
use rustix::fs::{open, Mode, OFlags};
use rustix::mm::{mmap, munmap, MapFlags, ProtFlags};
use serde_json::Value;
use std::ffi::c_void;

/// A writable mapping of the page of an end, which is the claim on it.
struct Claim {
    place: *mut c_void,
}

impl Claim {
    fn new(device: &Device, offset: u64) -> Self {
        let flags = OFlags::RDWR | OFlags::CLOEXEC;
        let file = open(&device.node, flags, Mode::empty()).unwrap();
        let access = ProtFlags::READ | ProtFlags::WRITE;
        // SAFETY: This makes a new mapping, and nothing refers to its memory. It stays when the
        // file is closed.
        let place = unsafe {
            mmap(
                std::ptr::null_mut(),
                4096,
                access,
                MapFlags::SHARED,
                &file,
                offset,
            )
        };
        Self {
            place: place.unwrap(),
        }
    }
}

impl Drop for Claim {
    fn drop(&mut self) {
        // SAFETY: This is the mapping that `new` has made.
        unsafe { munmap(self.place, 4096) }.unwrap();
    }
}

#[test]
fn claims() {
    let device = Device::add("claim", &[]);
    let producer = Claim::new(&device, 2 << 30);
    let own = device.own();
    assert_eq!(
        (&own["claims_producer"], &own["claims_consumer"]),
        (&true.into(), &false.into())
    );
    assert_eq!(
        (&own["reader"], &own["writer"]),
        (&false.into(), &true.into())
    );
    let list = vfifoctl(&["list"]).out;
    let line = list
        .lines()
        .find(|line| line.starts_with("ctl-claim "))
        .unwrap();
    assert!(
        line.contains("  P  ") && line.ends_with(&format!("[{}]:P", std::process::id())),
        "{line}"
    );
    let set = |setting| vfifoctl(&["set", &device.name, setting]).error(1);
    assert!(set("capacity=1M").contains("the device is mapped by"));
    assert!(set("mode=auto").contains("the producer's end is claimed"));
    drop(producer);

    let _consumer = Claim::new(&device, 3 << 30);
    let own = device.own();
    assert_eq!(
        (&own["claims_producer"], &own["claims_consumer"]),
        (&false.into(), &true.into())
    );
    assert_eq!(device.show()["consumer_claimed"], true);
}

#[test]
fn readers_and_writers() {
    let device = Device::add("users", &[]);
    let reader = device.reader();
    let own = device.own();
    assert_eq!(
        (&own["reader"], &own["writer"]),
        (&true.into(), &false.into())
    );
    assert_eq!(own["files"][0]["access"], "read");
    let writer = device.writer();
    let report = device.show();
    assert_eq!(
        (&report["readers"], &report["writers"]),
        (&1.into(), &1.into())
    );
    drop((reader, writer));
    let report = device.show();
    assert_eq!(report["processes"], serde_json::json!([]));
}

#[test]
fn removed_and_still_open() {
    let device = Device::add("gone", &[]);
    let reader = device.reader();
    let removed = vfifoctl(&["remove", &device.name]);
    assert_eq!(removed.status, 0);
    assert!(
        removed.err.contains("still open until closed by:"),
        "{removed:?}"
    );
    let list = vfifoctl(&["list", "--json"]).json();
    let gone = |list: &Value| {
        let removed = list["removed"].as_array().unwrap();
        removed
            .iter()
            .any(|device| device["node"] == "/dev/vfifo/ctl-gone")
    };
    assert!(gone(&list), "{list}");
    drop(reader);
    assert!(!gone(&vfifoctl(&["list", "--json"]).json()));
}
