// SPDX-License-Identifier: GPL-2.0 OR MIT
// Copyright (C) 2026 Seed 1f3ad1c2 maintainers

//! Tests with the driver, as root: `cargo test --test device`. They add devices of their own, whose
//! names begin with `ctl-`, and remove them.

mod changes;
#[path = "../common/mod.rs"]
mod common;
mod users;
mod waits;

use common::{run, Result, PROGRAM};
use serde_json::Value;
use std::fs::{File, OpenOptions};
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};

fn vfifoctl(arguments: &[&str]) -> Result {
    run(Command::new(PROGRAM).args(arguments))
}

/// A device of a test. It is removed at the end, if it is still there.
struct Device {
    name: String,
    node: PathBuf,
}

impl Device {
    fn add(name: &str, options: &[&str]) -> Self {
        let name = format!("ctl-{name}");
        let printed = vfifoctl(&[&["add", name.as_str()], options].concat()).good();
        Self {
            node: PathBuf::from(printed.trim_end()),
            name,
        }
    }

    fn reader(&self) -> File {
        File::open(&self.node).unwrap()
    }

    fn writer(&self) -> File {
        OpenOptions::new().write(true).open(&self.node).unwrap()
    }

    fn show(&self) -> Value {
        vfifoctl(&["show", &self.name, "--json"]).json()
    }

    /// This process in the report.
    fn own(&self) -> Value {
        let report = self.show();
        let processes = report["processes"].as_array().unwrap();
        let own = processes
            .iter()
            .find(|process| process["pid"] == std::process::id());
        own.unwrap_or_else(|| panic!("{report}")).clone()
    }

    fn wait(&self, options: &[&str]) -> Child {
        let mut command = Command::new(PROGRAM);
        command.args(["wait", &self.name]).args(options);
        command.stderr(Stdio::piped()).spawn().unwrap()
    }
}

impl Drop for Device {
    fn drop(&mut self) {
        let _ = Command::new(PROGRAM).args(["remove", &self.name]).output();
    }
}
