// SPDX-License-Identifier: GPL-2.0 OR MIT
// Copyright (C) 2026 Seed 1f3ad1c2 maintainers

//! `vfifoctl show`: everything about one device.

use crate::device::Device;
use crate::error::Result;
use crate::list;
use crate::names::printable;
use crate::output;
use crate::processes::{Access, Process, Scan};
use crate::report::DeviceReport;
use crate::root::Root;
use crate::units;
use serde::Serialize;

#[derive(Serialize)]
struct Report {
    #[serde(flatten)]
    device: DeviceReport,
    processes_complete: bool,
}

/// Prints the text, or JSON.
pub fn run(root: &Root, argument: &str, json: bool) -> Result {
    let device = Device::find(root, argument)?;
    let scan = Scan::new(root);
    if json {
        return output::print_json(&Report {
            device: DeviceReport::new(&device, &scan),
            processes_complete: !scan.hidden,
        });
    }
    output::print(&text(&device, &scan.of(device.number), scan.hidden))?;
    if scan.hidden {
        output::note(list::HIDDEN);
    }
    Ok(())
}

fn text(device: &Device, processes: &[Process], hidden: bool) -> String {
    let mut lines = vec![device.name.clone()];
    let mut add = |name: &str, value: String| lines.push(format!("  {name:<18} {value}"));
    add("node", device.node.clone());
    if let Some(number) = device.number {
        add("device", number.to_string());
    }
    for (name, value) in &device.attributes {
        add(name, value_text(device, name, value));
    }
    lines.push("statistics".into());
    for (name, value) in &device.stats {
        lines.push(format!("  {name:<18} {value}"));
    }
    lines.push("used by".into());
    for process in processes {
        lines.push(format!("  {}", process_text(process)));
    }
    for side in ["producer", "consumer"] {
        let holder = processes.iter().any(|process| match side {
            "producer" => process.claims_producer,
            _ => process.claims_consumer,
        });
        if device.claimed(side) && !holder {
            lines.push(format!(
                "  a process that cannot be seen from here has claimed the {side}'s end"
            ));
        }
    }
    if processes.is_empty() {
        lines.push(match hidden {
            true => "  no process that could be examined".into(),
            false => "  no process".into(),
        });
    }
    lines.join("\n") + "\n"
}

/// The value of an attribute, with its meaning if it is only a number.
fn value_text(device: &Device, name: &str, value: &str) -> String {
    let value = printable(value);
    let short = units::bytes(device.capacity());
    let unit: String = short.chars().filter(char::is_ascii_alphabetic).collect();
    match name {
        "size" => {
            let percent = units::percent(device.queued(), device.capacity());
            format!("{value} ({percent}% of the capacity)")
        }
        "capacity" if !unit.is_empty() => {
            format!("{value} ({} {}iB)", short.trim_end_matches(&unit), unit)
        }
        "mode" if value == "0" || value == "1" => format!("{value} ({})", device.mode()),
        _ => value,
    }
}

fn process_text(process: &Process) -> String {
    let files = process.files.iter().map(|file| {
        let access = match file.access {
            Access::Read => "reading",
            Access::Write => "writing",
            Access::ReadWrite => "reading and writing",
            Access::None => "ioctls only",
        };
        format!("descriptor {} for {access}", file.fd)
    });
    let claims = [
        (process.claims_producer, "has claimed the producer's end"),
        (process.claims_consumer, "has claimed the consumer's end"),
        (
            process.mapped && !process.claims_producer && !process.claims_consumer,
            "has mapped the device",
        ),
    ];
    let claims = claims
        .iter()
        .filter(|(applies, _)| *applies)
        .map(|(_, text)| text.to_string());
    let parts: Vec<_> = files.chain(claims).collect();
    format!(
        "{}[{}], user {}: {}",
        printable(&process.name),
        process.pid,
        process.uid,
        parts.join(", ")
    )
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::processes::Descriptor;
    use std::collections::BTreeMap;

    fn device() -> Device {
        let attributes = [
            ("capacity", "65536"),
            ("size", "6"),
            ("mode", "1"),
            ("producer_claimed", "1"),
            ("hangup", "0"),
        ];
        Device {
            name: "video".into(),
            node: "/dev/vfifo/video".into(),
            number: None,
            attributes: attributes
                .map(|(name, value)| (name.to_string(), value.to_string()))
                .into(),
            stats: BTreeMap::from([("bytes_read".to_string(), 7)]),
        }
    }

    #[test]
    fn everything() {
        let process = Process {
            pid: 12,
            name: "cam\x1b".into(),
            uid: 1000,
            files: vec![Descriptor {
                fd: 3,
                access: Access::ReadWrite,
            }],
            claims_producer: true,
            claims_consumer: false,
            mapped: true,
        };
        assert_eq!(
            text(&device(), &[process], false),
            "\
video
  node               /dev/vfifo/video
  capacity           65536 (64 KiB)
  hangup             0
  mode               1 (auto)
  producer_claimed   1
  size               6 (1% of the capacity)
statistics
  bytes_read         7
used by
  cam?[12], user 1000: descriptor 3 for reading and writing, has claimed the producer's end
"
        );
    }

    #[test]
    fn a_claim_without_a_process() {
        let text = text(&device(), &[], true);
        assert!(text.contains("cannot be seen from here has claimed the producer's end"));
        assert!(text.contains("no process that could be examined"));
    }
}
