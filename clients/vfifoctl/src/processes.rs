// SPDX-License-Identifier: GPL-2.0 OR MIT
// Copyright (C) 2026 Seed 1f3ad1c2 maintainers

//! Which processes have a vfifo open or mapped, and which have claimed an end, from `/proc`.

use crate::maps::{self, Part};
use crate::root::{Number, Root, DELETED};
use serde::Serialize;
use std::collections::BTreeMap;
use std::fs;
use std::io;
use std::os::unix::fs::MetadataExt;
use std::path::Path;

/// A descriptor of a process.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
pub struct Descriptor {
    /// Its number.
    pub fd: u32,
    /// What it was opened for.
    pub access: Access,
}

/// What a file was opened for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Access {
    /// `O_RDONLY`
    Read,
    /// `O_WRONLY`
    Write,
    /// `O_RDWR`
    ReadWrite,
    /// Neither: such a file is only good for ioctls.
    None,
}

impl Access {
    /// From the last two bits of a file's flags.
    fn from_flags(flags: u32) -> Self {
        match flags & 3 {
            0 => Self::Read,
            1 => Self::Write,
            2 => Self::ReadWrite,
            _ => Self::None,
        }
    }
}

/// A process that uses a device.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Process {
    /// Its number.
    pub pid: u32,
    /// Its name.
    pub name: String,
    /// The user that it belongs to.
    pub uid: u32,
    /// The descriptors of the device.
    pub files: Vec<Descriptor>,
    /// Whether it has claimed the producer's end.
    pub claims_producer: bool,
    /// Whether it has claimed the consumer's end.
    pub claims_consumer: bool,
    /// Whether it has mapped any part of the device.
    pub mapped: bool,
}

impl Process {
    /// Whether the device counts it as a reader. A file with a claim counts only as what it has claimed.
    pub fn reads(&self) -> bool {
        self.claims_consumer || self.counts(Access::Read, self.claims_producer)
    }

    /// Whether the device counts it as a writer.
    pub fn writes(&self) -> bool {
        self.claims_producer || self.counts(Access::Write, self.claims_consumer)
    }

    /// Whether a file has that access and is not the one behind a claim on the other end.
    fn counts(&self, access: Access, other_end_claimed: bool) -> bool {
        let both = self
            .files
            .iter()
            .filter(|file| file.access == Access::ReadWrite);
        self.files.iter().any(|file| file.access == access)
            || both.count() > usize::from(other_end_claimed)
    }

    /// What it does with the device: `r`, `w`, `P` and `C` for the claims, `m` for other mappings.
    pub fn uses(&self) -> String {
        let claims = self.claims_producer || self.claims_consumer;
        [
            (self.reads() && !self.claims_consumer, 'r'),
            (self.writes() && !self.claims_producer, 'w'),
            (self.claims_producer, 'P'),
            (self.claims_consumer, 'C'),
            (self.mapped && !claims, 'm'),
        ]
        .iter()
        .filter_map(|&(applies, letter)| applies.then_some(letter))
        .collect()
    }
}

/// A device that has been removed and is still open.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Removed {
    /// The path that its node had.
    pub node: String,
    /// The processes that have it open or mapped.
    pub processes: Vec<Process>,
}

/// What `/proc` tells.
#[derive(Debug, Default)]
pub struct Scan {
    users: BTreeMap<Number, BTreeMap<u32, Process>>,
    paths: BTreeMap<Number, String>,
    major: Option<u32>,
    /// Whether there may be processes that could not be seen.
    pub hidden: bool,
}

impl Scan {
    /// Looks for devices of the driver at all processes that the caller may see.
    pub fn new(root: &Root) -> Self {
        Self::of_driver(root, major(root))
    }

    /// The same, for any driver. If its number is not known, all devices are noted.
    fn of_driver(root: &Root, major: Option<u32>) -> Self {
        let mut scan = Self {
            major,
            ..Self::default()
        };
        let proc = root.path("/proc");
        // With hidepid, processes of other users are not listed at all.
        scan.hidden = !proc.join("1").exists();
        for entry in fs::read_dir(&proc).into_iter().flatten().flatten() {
            if let Some(pid) = entry
                .file_name()
                .to_str()
                .and_then(|name| name.parse().ok())
            {
                scan.process(root, pid, &entry.path());
            }
        }
        scan
    }

    /// The processes that use that device, ordered by number.
    pub fn of(&self, number: Option<Number>) -> Vec<Process> {
        let users = number.and_then(|number| self.users.get(&number));
        users
            .into_iter()
            .flat_map(|users| users.values().cloned())
            .collect()
    }

    /// The devices of that driver that are in use and not among `known`.
    pub fn removed(&self, known: &[Option<Number>]) -> Vec<Removed> {
        let Some(major) = self.major else {
            return Vec::new();
        };
        let gone = self
            .users
            .keys()
            .filter(|&&number| number.major == major && !known.contains(&Some(number)));
        gone.map(|&number| Removed {
            node: self
                .paths
                .get(&number)
                .cloned()
                .unwrap_or_else(|| number.to_string()),
            processes: self.of(Some(number)),
        })
        .collect()
    }

    fn process(&mut self, root: &Root, pid: u32, folder: &Path) {
        // A process may end at any time. Then what is left of it is left out.
        match fs::read_dir(folder.join("fd")) {
            Ok(list) => {
                for entry in list.flatten() {
                    self.descriptor(root, pid, folder, &entry.path());
                }
            }
            Err(error) => self.hidden |= error.kind() == io::ErrorKind::PermissionDenied,
        }
        match fs::read(folder.join("maps")) {
            Ok(text) => self.mappings(root, pid, folder, &String::from_utf8_lossy(&text)),
            Err(error) => self.hidden |= error.kind() == io::ErrorKind::PermissionDenied,
        }
    }

    fn descriptor(&mut self, root: &Root, pid: u32, folder: &Path, link: &Path) -> Option<()> {
        let fd: u32 = link.file_name()?.to_str()?.parse().ok()?;
        let target = fs::read_link(link).ok()?;
        // Pipes, sockets and the like have no path.
        let path = target.to_str().filter(|path| path.starts_with('/'))?;
        let number = self.ours(root.number_by_link(link))?;
        let info = fs::read_to_string(folder.join(format!("fdinfo/{fd}"))).ok()?;
        let flags = info.lines().find_map(|line| line.strip_prefix("flags:"))?;
        let flags = u32::from_str_radix(flags.trim(), 8).ok()?;
        let access = Access::from_flags(flags);
        self.note(number, path);
        let process = self.user(number, pid, folder);
        process.files.push(Descriptor { fd, access });
        process.files.sort_by_key(|file| file.fd);
        Some(())
    }

    fn mappings(&mut self, root: &Root, pid: u32, folder: &Path, text: &str) {
        for area in maps::parse(text) {
            // The link is exact, but only root may follow it.
            let link = folder.join("map_files").join(area.range);
            let number = root
                .number_by_link(&link)
                .or_else(|| root.number_by_path(area.path, area.inode));
            let Some(number) = self.ours(number) else {
                continue;
            };
            self.note(number, area.path);
            let process = self.user(number, pid, folder);
            process.mapped = true;
            process.claims_producer |= area.part == Part::Producer;
            process.claims_consumer |= area.part == Part::Consumer;
        }
    }

    fn ours(&self, number: Option<Number>) -> Option<Number> {
        number.filter(|number| self.major.is_none_or(|major| major == number.major))
    }

    fn note(&mut self, number: Number, path: &str) {
        let path = path.strip_suffix(DELETED).unwrap_or(path);
        self.paths.entry(number).or_insert_with(|| path.to_string());
    }

    fn user(&mut self, number: Number, pid: u32, folder: &Path) -> &mut Process {
        let users = self.users.entry(number).or_default();
        users.entry(pid).or_insert_with(|| Process {
            pid,
            name: name(folder),
            uid: fs::metadata(folder).map_or(0, |folder| folder.uid()),
            files: Vec::new(),
            claims_producer: false,
            claims_consumer: false,
            mapped: false,
        })
    }
}

fn name(folder: &Path) -> String {
    let name = fs::read(folder.join("comm")).unwrap_or_default();
    String::from_utf8_lossy(&name)
        .trim_end_matches('\n')
        .to_string()
}

/// The major number of the driver.
fn major(root: &Root) -> Option<u32> {
    let devices = fs::read_to_string(root.path("/proc/devices")).ok()?;
    let line = devices
        .lines()
        .find_map(|line| line.trim().strip_suffix(" vfifo"))?;
    line.parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn process(files: &[Access], producer: bool, consumer: bool) -> Process {
        let files = files.iter().enumerate();
        Process {
            pid: 1,
            name: "x".into(),
            uid: 0,
            files: files
                .map(|(fd, &access)| Descriptor {
                    fd: fd as u32,
                    access,
                })
                .collect(),
            claims_producer: producer,
            claims_consumer: consumer,
            mapped: producer || consumer,
        }
    }

    #[test]
    fn access_from_flags() {
        assert_eq!(Access::from_flags(0o100000), Access::Read);
        assert_eq!(Access::from_flags(0o2100001), Access::Write);
        assert_eq!(Access::from_flags(0o100002), Access::ReadWrite);
        assert_eq!(Access::from_flags(0o100003), Access::None);
    }

    #[test]
    fn uses() {
        use Access::*;
        assert_eq!(process(&[Read], false, false).uses(), "r");
        assert_eq!(process(&[Write, Write], false, false).uses(), "w");
        assert_eq!(process(&[ReadWrite], false, false).uses(), "rw");
        assert_eq!(process(&[None], false, false).uses(), "");
        // The file behind a claim counts only as what it has claimed.
        assert_eq!(process(&[ReadWrite], true, false).uses(), "P");
        assert_eq!(process(&[ReadWrite], false, true).uses(), "C");
        assert_eq!(process(&[ReadWrite, ReadWrite], true, true).uses(), "PC");
        assert_eq!(process(&[ReadWrite, Read], true, false).uses(), "rP");
        // The descriptor may have been closed.
        assert_eq!(process(&[], true, false).uses(), "P");
        let mut mapped = process(&[Read], false, false);
        mapped.mapped = true;
        assert_eq!(mapped.uses(), "rm");
    }

    #[test]
    fn a_claim_is_a_reader_or_a_writer() {
        let producer = process(&[Access::ReadWrite], true, false);
        assert!(producer.writes() && !producer.reads());
        let consumer = process(&[Access::ReadWrite], false, true);
        assert!(consumer.reads() && !consumer.writes());
        let both = process(&[Access::ReadWrite, Access::ReadWrite], true, true);
        assert!(both.reads() && both.writes());
    }

    /// This process, which is real, has a file open.
    #[test]
    fn a_real_process() {
        let null = fs::File::open("/dev/null").unwrap();
        let scan = Scan::of_driver(&Root::new(None), Some(1));
        let found = scan.of(Some(Number { major: 1, minor: 3 }));
        let own = found
            .iter()
            .find(|process| process.pid == std::process::id());
        let own = own.unwrap();
        assert!(own.files.iter().any(|file| file.access == Access::Read));
        assert!(!own.mapped);
        drop(null);
    }
}
