// SPDX-License-Identifier: GPL-2.0 OR MIT
// Copyright (C) 2026 Seed 1f3ad1c2 maintainers

//! `wait`, and the rates of `watch`.

use crate::common::PROGRAM;
use crate::{vfifoctl, Device};
use serde_json::Value;
use std::io::{ErrorKind, Read, Write};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

/// The time after which a program that does not end is killed. It is longer in a slow kernel.
fn limit() -> Duration {
    let scale = std::env::var("VFIFO_SCALE")
        .ok()
        .and_then(|n| n.parse().ok());
    Duration::from_secs(60) * scale.unwrap_or(1)
}

/// The status of a program that must end by itself.
#[track_caller]
fn ended(mut child: Child) -> i32 {
    let deadline = Instant::now() + limit();
    loop {
        if let Some(status) = child.try_wait().unwrap() {
            return status.code().unwrap_or(-1);
        }
        if Instant::now() > deadline {
            child.kill().unwrap();
            panic!("it does not end");
        }
        std::thread::sleep(Duration::from_millis(10));
    }
}

/// Whether it still runs after a while. The time is longer than that between two of its looks.
fn still_waits(child: &mut Child) -> bool {
    std::thread::sleep(Duration::from_millis(500));
    child.try_wait().unwrap().is_none()
}

#[test]
fn wait_for_bytes_and_room() {
    let device = Device::add("wait", &["capacity=4096"]);
    let mut readable = device.wait(&["--readable"]);
    let mut queued = device.wait(&["--queued", "100"]);
    assert_eq!(ended(device.wait(&["--writable"])), 0);
    assert!(still_waits(&mut readable));
    let mut writer = device.writer();
    writer.write_all(&[0; 50]).unwrap();
    assert_eq!(ended(readable), 0);
    assert!(still_waits(&mut queued));
    writer.write_all(&[0; 50]).unwrap();
    assert_eq!(ended(queued), 0);
    let writable = device.wait(&["--writable"]);
    device.reader().read_exact(&mut [0; 100]).unwrap();
    assert_eq!(ended(writable), 0);
    assert_eq!(ended(device.wait(&["--timeout", "100ms"])), 6);
}

#[test]
fn wait_for_the_end() {
    let device = Device::add("end", &["hangup=1"]);
    let mut waiting = device.wait(&["--hangup"]);
    // There was no writer yet.
    assert!(still_waits(&mut waiting));
    let mut writer = device.writer();
    assert!(still_waits(&mut waiting));
    // The program that waits is not a reader: this is the last one.
    drop(device.reader());
    assert_eq!(
        writer.write(b"x").unwrap_err().kind(),
        ErrorKind::BrokenPipe
    );
    assert_eq!(device.show()["readers"], 0);
    drop(writer);
    assert_eq!(ended(waiting), 0);
    // Bytes that are queued were left by a writer.
    let mut writer = device.writer();
    writer.write_all(b"x").unwrap();
    drop(writer);
    assert_eq!(ended(device.wait(&["--hangup"])), 0);
}

#[test]
fn wait_for_a_device_that_is_removed() {
    let device = Device::add("vanish", &["hangup=1"]);
    // Several, since each may meet the device when only some of its attributes are left.
    let mut waiting: Vec<_> = (0..4)
        .flat_map(|_| [device.wait(&[]), device.wait(&["--hangup"])])
        .collect();
    assert!(waiting.iter_mut().all(still_waits));
    vfifoctl(&["remove", &device.name]);
    for child in waiting {
        assert_eq!(ended(child), 4);
    }
}

#[test]
fn watch_rates() {
    let device = Device::add("watch", &[]);
    let mut writer = device.writer();
    let mut watching = Command::new(PROGRAM)
        .args(["watch", &device.name, "--json"])
        .args(["--interval", "200ms", "--count", "10"])
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let deadline = Instant::now() + limit();
    while watching.try_wait().unwrap().is_none() && Instant::now() < deadline {
        // It has to fit, since nobody reads.
        if device.show()["queued"].as_u64() < Some(50_000) {
            writer.write_all(&[0; 10]).unwrap();
        }
        std::thread::sleep(Duration::from_millis(10));
    }
    let output = watching.wait_with_output().unwrap();
    assert!(output.status.success());
    let text = String::from_utf8(output.stdout).unwrap();
    let lines: Vec<Value> = text
        .lines()
        .map(|line| serde_json::from_str(line).unwrap())
        .collect();
    assert_eq!(lines.len(), 10);
    let rate = |line: &Value| line["devices"][0]["written_per_second"].as_f64().unwrap();
    assert!(lines.iter().any(|line| rate(line) > 0.0), "{text}");
}
