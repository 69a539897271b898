// SPDX-License-Identifier: GPL-2.0 OR MIT
// Copyright (C) 2026 Seed 1f3ad1c2 maintainers

//! `vfifoctl list`: all devices in a table.

use crate::device::Device;
use crate::error::Result;
use crate::names::printable;
use crate::output;
use crate::processes::{Process, Removed, Scan};
use crate::report::{DeviceReport, RemovedReport};
use crate::root::Root;
use crate::table::{Side, Table};
use crate::units;
use serde::Serialize;

#[derive(Serialize)]
struct Report {
    devices: Vec<DeviceReport>,
    removed: Vec<RemovedReport>,
    processes_complete: bool,
}

/// Prints the table, or JSON.
pub fn run(root: &Root, json: bool) -> Result {
    let devices = Device::all(root)?;
    let scan = Scan::new(root);
    let known: Vec<_> = devices.iter().map(|device| device.number).collect();
    let removed = scan.removed(&known);
    if json {
        return output::print_json(&Report {
            devices: devices
                .iter()
                .map(|device| DeviceReport::new(device, &scan))
                .collect(),
            removed: removed.iter().map(RemovedReport::new).collect(),
            processes_complete: !scan.hidden,
        });
    }
    if !devices.is_empty() {
        output::print(&table(&devices, &scan).render(output::width()))?;
    }
    for removed in &removed {
        output::note(&still_open(removed));
    }
    if devices.is_empty() {
        output::note("there are no devices; add one with: sudo vfifoctl add NAME");
    } else if scan.hidden {
        output::note(HIDDEN);
    }
    Ok(())
}

/// The remark for callers who cannot see everything.
pub const HIDDEN: &str =
    "processes of other users could not be examined; run this with sudo to see all of them";

fn still_open(removed: &Removed) -> String {
    format!(
        "{} has been removed, but is still open: {}",
        printable(&removed.node),
        users(&removed.processes)
    )
}

/// A process in a line of text: `cat[812]:r`.
pub fn user(process: &Process) -> String {
    // A space would look like the beginning of the next process.
    let name = printable(&process.name).replace(' ', "_");
    match process.uses().as_str() {
        "" => format!("{name}[{}]", process.pid),
        uses => format!("{name}[{}]:{uses}", process.pid),
    }
}

fn users(processes: &[Process]) -> String {
    processes.iter().map(user).collect::<Vec<_>>().join(" ")
}

fn table(devices: &[Device], scan: &Scan) -> Table {
    let mut table = Table::new(&[
        ("NAME", Side::Left),
        ("CAPACITY", Side::Right),
        ("QUEUED", Side::Right),
        ("%", Side::Right),
        ("MODE", Side::Left),
        ("FRAMING", Side::Left),
        ("RD", Side::Right),
        ("WR", Side::Right),
        ("CLAIM", Side::Left),
        ("USED BY", Side::Left),
    ]);
    for device in devices {
        let processes = scan.of(device.number);
        let count = |which: fn(&Process) -> bool| {
            let count = processes.iter().filter(|process| which(process)).count();
            // There may be more than could be seen.
            format!("{count}{}", if scan.hidden { "+" } else { "" })
        };
        table.row(vec![
            device.name.clone(),
            units::bytes(device.capacity()),
            units::bytes(device.queued()),
            units::percent(device.queued(), device.capacity()).to_string(),
            printable(device.mode()),
            printable(device.framing().unwrap_or("-")),
            count(Process::reads),
            count(Process::writes),
            claims(device),
            users(&processes),
        ]);
    }
    table
}

/// Which ends are claimed: `P`, `C`, `PC`, or `-`.
pub fn claims(device: &Device) -> String {
    let letters = [("producer", 'P'), ("consumer", 'C')];
    let claimed = letters.iter().filter(|(side, _)| device.claimed(side));
    match claimed.map(|&(_, letter)| letter).collect::<String>() {
        none if none.is_empty() => "-".into(),
        letters => letters,
    }
}
