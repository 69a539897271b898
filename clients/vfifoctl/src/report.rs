// SPDX-License-Identifier: GPL-2.0 OR MIT
// Copyright (C) 2026 Seed 1f3ad1c2 maintainers

//! The JSON of `list` and `show`. Fields are only added, never changed.

use crate::device::Device;
use crate::processes::{Process, Removed, Scan};
use crate::root::Number;
use serde::Serialize;
use std::collections::BTreeMap;

/// A device.
#[derive(Debug, Serialize)]
pub struct DeviceReport {
    name: String,
    node: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    device: Option<String>,
    capacity: u64,
    queued: u64,
    percent: f64,
    mode: String,
    /// Absent if the driver has no such attribute.
    #[serde(skip_serializing_if = "Option::is_none")]
    framing: Option<String>,
    producer_claimed: bool,
    consumer_claimed: bool,
    readers: usize,
    writers: usize,
    processes: Vec<ProcessReport>,
    /// All attributes, as the driver prints them.
    attributes: BTreeMap<String, String>,
    stats: BTreeMap<String, u64>,
}

#[derive(Debug, Serialize)]
struct ProcessReport {
    #[serde(flatten)]
    process: Process,
    reader: bool,
    writer: bool,
}

/// A device that was removed and is still open.
#[derive(Debug, Serialize)]
pub struct RemovedReport {
    node: String,
    processes: Vec<ProcessReport>,
}

impl DeviceReport {
    /// What is known of a device.
    pub fn new(device: &Device, scan: &Scan) -> Self {
        let processes = reports(&scan.of(device.number));
        Self {
            name: device.name.clone(),
            node: device.node.clone(),
            device: device.number.as_ref().map(Number::to_string),
            capacity: device.capacity(),
            queued: device.queued(),
            percent: percent(device.queued(), device.capacity()),
            mode: device.mode().to_string(),
            framing: device.framing().map(str::to_string),
            producer_claimed: device.claimed("producer"),
            consumer_claimed: device.claimed("consumer"),
            readers: processes.iter().filter(|process| process.reader).count(),
            writers: processes.iter().filter(|process| process.writer).count(),
            processes,
            attributes: device.attributes.clone(),
            stats: device.stats.clone(),
        }
    }
}

impl RemovedReport {
    /// What is known of a device that was removed.
    pub fn new(removed: &Removed) -> Self {
        Self {
            node: removed.node.clone(),
            processes: reports(&removed.processes),
        }
    }
}

fn reports(processes: &[Process]) -> Vec<ProcessReport> {
    let report = |process: &Process| ProcessReport {
        reader: process.reads(),
        writer: process.writes(),
        process: process.clone(),
    };
    processes.iter().map(report).collect()
}

/// With two digits after the point.
pub fn percent(queued: u64, capacity: u64) -> f64 {
    if capacity == 0 {
        return 0.0;
    }
    (queued as f64 / capacity as f64 * 10_000.0).round() / 100.0
}
