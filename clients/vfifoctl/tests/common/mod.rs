// SPDX-License-Identifier: GPL-2.0 OR MIT
// Copyright (C) 2026 Seed 1f3ad1c2 maintainers

//! A folder that looks like `/sys`, `/proc` and `/dev`, and the program run on it.

#![allow(dead_code)]

use std::fs;
use std::os::unix::fs::{symlink, PermissionsExt};
use std::path::{Path, PathBuf};
use std::process::{Command, Output};
use std::sync::atomic::{AtomicU32, Ordering};

/// The program.
pub const PROGRAM: &str = env!("CARGO_BIN_EXE_vfifoctl");

/// The folder, which is removed at the end.
pub struct Fake {
    pub root: PathBuf,
}

impl Fake {
    /// A system without a device, with the driver loaded.
    pub fn new() -> Self {
        let fake = Self::unloaded();
        fake.put("sys/class/vfifo/new_device", "", 0o200);
        fake.put("sys/class/vfifo/delete_device", "", 0o200);
        fake
    }

    /// A system without the driver.
    pub fn unloaded() -> Self {
        static COUNT: AtomicU32 = AtomicU32::new(0);
        let count = COUNT.fetch_add(1, Ordering::Relaxed);
        let name = format!("vfifoctl-test-{}-{count}", std::process::id());
        let fake = Self {
            root: std::env::temp_dir().join(name),
        };
        fs::create_dir_all(fake.root.join("sys/class")).unwrap();
        fs::set_permissions(&fake.root, fs::Permissions::from_mode(0o755)).unwrap();
        fake.put(
            "proc/devices",
            "Character devices:\n  1 mem\n248 vfifo\n",
            0o444,
        );
        fake.process(1, "init", &[], "");
        fake
    }

    pub fn path(&self, path: &str) -> PathBuf {
        self.root.join(path)
    }

    pub fn put(&self, path: &str, text: &str, mode: u32) {
        let path = self.path(path);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(&path, text).unwrap();
        fs::set_permissions(&path, fs::Permissions::from_mode(mode)).unwrap();
    }

    pub fn text(&self, path: &str) -> String {
        fs::read_to_string(self.path(path)).unwrap()
    }

    /// Adds a device with that minor number, the attributes of an older driver, and others.
    pub fn device(&self, name: &str, minor: u32, others: &[(&str, &str)]) {
        let node = match name.strip_prefix("vfifo") {
            Some(_) => name.to_string(),
            None => format!("vfifo/{name}"),
        };
        let folder = format!("sys/class/vfifo/{name}");
        let number = format!("248:{minor}\n");
        self.put(&format!("dev/{node}"), &number, 0o644);
        self.put(&format!("{folder}/dev"), &number, 0o444);
        self.put(
            &format!("{folder}/uevent"),
            &format!("MAJOR=248\nDEVNAME={node}\n"),
            0o644,
        );
        for (attribute, value) in [
            ("size", "0"),
            ("producer_claimed", "0"),
            ("consumer_claimed", "0"),
        ] {
            self.put(
                &format!("{folder}/{attribute}"),
                &format!("{value}\n"),
                0o444,
            );
        }
        for (attribute, value) in [
            ("capacity", "65536"),
            ("mode", "0"),
            ("period_ms", "1000"),
            ("hangup", "0"),
        ] {
            self.put(
                &format!("{folder}/{attribute}"),
                &format!("{value}\n"),
                0o644,
            );
        }
        for counter in [
            "bytes_written",
            "bytes_read",
            "reader_sleeps",
            "writer_sleeps",
            "hangups",
        ] {
            self.put(&format!("{folder}/stats/{counter}"), "0\n", 0o444);
        }
        for (attribute, value) in others {
            let mode = match self.path(&format!("{folder}/{attribute}")).metadata() {
                Ok(there) => there.permissions().mode() & 0o777,
                Err(_) => 0o644,
            };
            self.put(
                &format!("{folder}/{attribute}"),
                &format!("{value}\n"),
                mode,
            );
        }
    }

    /// Changes an attribute at once, so that no reader finds an empty file.
    pub fn change(&self, name: &str, attribute: &str, value: &str) {
        let folder = self.path(&format!("sys/class/vfifo/{name}"));
        let new = self.path("new");
        fs::write(&new, format!("{value}\n")).unwrap();
        fs::rename(new, folder.join(attribute)).unwrap();
    }

    /// Adds a process. Its files have a number, a path, and flags in octal.
    pub fn process(&self, pid: u32, name: &str, files: &[(u32, &str, &str)], maps: &str) {
        let folder = format!("proc/{pid}");
        self.put(&format!("{folder}/comm"), &format!("{name}\n"), 0o444);
        self.put(&format!("{folder}/maps"), maps, 0o444);
        fs::create_dir_all(self.path(&format!("{folder}/fd"))).unwrap();
        for (fd, path, flags) in files {
            symlink(path, self.path(&format!("{folder}/fd/{fd}"))).unwrap();
            let info = format!("pos:\t0\nflags:\t{flags}\nvfifo-size:\t0\n");
            self.put(&format!("{folder}/fdinfo/{fd}"), &info, 0o444);
        }
    }

    pub fn command(&self) -> Command {
        let mut command = Command::new(PROGRAM);
        command.arg("--sysroot").arg(&self.root);
        command
    }

    pub fn run(&self, arguments: &[&str]) -> Result {
        run(self.command().args(arguments))
    }
}

impl Drop for Fake {
    fn drop(&mut self) {
        let _ = fs::remove_dir_all(&self.root);
    }
}

/// How the program ended, and what it printed.
#[derive(Debug)]
pub struct Result {
    pub status: i32,
    pub out: String,
    pub err: String,
}

pub fn run(command: &mut Command) -> Result {
    let Output {
        status,
        stdout,
        stderr,
    } = command.output().unwrap();
    Result {
        status: status.code().unwrap_or(-1),
        out: String::from_utf8(stdout).unwrap(),
        err: String::from_utf8(stderr).unwrap(),
    }
}

impl Result {
    /// What it printed, if all went well.
    #[track_caller]
    pub fn good(self) -> String {
        assert_eq!((self.status, self.err.as_str()), (0, ""), "{self:?}");
        self.out
    }

    /// The one line of its error.
    #[track_caller]
    pub fn error(self, status: i32) -> String {
        assert_eq!((self.status, self.out.as_str()), (status, ""), "{self:?}");
        assert_eq!(self.err.matches('\n').count(), 1, "{self:?}");
        let line = self.err.trim_end().strip_prefix("vfifoctl: ");
        line.unwrap_or_else(|| panic!("{self:?}")).to_string()
    }

    #[track_caller]
    pub fn json(self) -> serde_json::Value {
        serde_json::from_str(&self.good()).unwrap()
    }
}

/// Whether the tests run as root, which may do everything.
pub fn is_root() -> bool {
    rustix::process::geteuid().is_root()
}

/// A copy of the program that every user can run, removed with that folder.
pub fn copy_for_all(folder: &Path) -> PathBuf {
    let copy = folder.join("vfifoctl");
    fs::copy(PROGRAM, &copy).unwrap();
    fs::set_permissions(&copy, fs::Permissions::from_mode(0o755)).unwrap();
    copy
}
