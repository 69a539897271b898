// SPDX-License-Identifier: GPL-2.0 OR MIT
// Copyright (C) 2026 Seed 1f3ad1c2 maintainers

//! `wait`.

use crate::busy;
use std::fs;
use std::process::Stdio;
use std::time::{Duration, Instant};

#[test]
fn wait_at_once() {
    let fake = busy();
    fake.run(&["wait", "vfifo0"]).good();
    fake.run(&["wait", "vfifo0", "--readable"]).good();
    fake.run(&["wait", "vfifo0", "--writable"]).good();
    fake.run(&["wait", "video", "--queued", "512K", "--timeout", "0"])
        .good();
}

#[test]
fn wait_times_out() {
    let fake = busy();
    let from = Instant::now();
    let error = fake
        .run(&["wait", "video", "--queued", "524289", "--timeout", "200ms"])
        .error(6);
    assert_eq!(
        error,
        "video: timed out waiting until 524289 bytes are queued"
    );
    assert!(from.elapsed() >= Duration::from_millis(200));
    assert!(fake
        .run(&["wait", "video", "--queued", "2M"])
        .error(1)
        .contains("its capacity is 1048576"));
    assert!(fake
        .run(&["wait", "video", "--hangup"])
        .error(1)
        .contains("sudo vfifoctl set video hangup=1"));
}

#[test]
fn wait_until_something_happens() {
    let fake = busy();
    fake.change("vfifo0", "size", "0");
    let mut waiting = fake
        .command()
        .args(["wait", "vfifo0", "--timeout", "60"])
        .spawn()
        .unwrap();
    std::thread::sleep(Duration::from_millis(100));
    assert_eq!(waiting.try_wait().unwrap(), None);
    fake.change("vfifo0", "size", "1");
    assert!(waiting.wait().unwrap().success());
}

#[test]
fn wait_for_a_device_that_is_removed() {
    let fake = busy();
    fake.change("vfifo0", "size", "0");
    let mut command = fake.command();
    let waiting = command
        .args(["wait", "vfifo0"])
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    std::thread::sleep(Duration::from_millis(100));
    fs::rename(fake.path("sys/class/vfifo/vfifo0"), fake.path("gone")).unwrap();
    let output = waiting.wait_with_output().unwrap();
    assert_eq!(output.status.code(), Some(4));
}
