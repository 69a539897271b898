// SPDX-License-Identifier: GPL-2.0 OR MIT
// Copyright (C) 2026 Seed 1f3ad1c2 maintainers

//! A device as sysfs shows it.
//!
//! Attributes are read as they are found. A driver that is older or newer than this program has
//! fewer or more of them, which is no error.

use crate::error::{Error, Result, Status};
use crate::names;
use crate::root::{read_attribute, Number, Root};
use std::collections::BTreeMap;
use std::fs;
use std::io;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};

/// A device, and the values of its attributes at one time.
#[derive(Clone, Debug)]
pub struct Device {
    /// Its name in the class.
    pub name: String,
    /// The path of its node.
    pub node: String,
    /// Its number.
    pub number: Option<Number>,
    /// The attributes, without those in `stats/`.
    pub attributes: BTreeMap<String, String>,
    /// The counters in `stats/`.
    pub stats: BTreeMap<String, u64>,
}

impl Device {
    /// Reads a device. An argument of the command line may also be the path of the node.
    pub fn find(root: &Root, argument: &str) -> Result<Self> {
        let folder = folder(root, argument)?;
        let name = names::device_name(argument);
        Self::read(&folder, name).map_err(|error| gone(name, &error))
    }

    /// Reads all devices, ordered by name. One that is removed meanwhile is left out.
    pub fn all(root: &Root) -> Result<Vec<Self>> {
        let class = root.class()?;
        Ok(names_in(&class)?
            .iter()
            .filter_map(|name| Self::read(&class.join(name), name).ok())
            .collect())
    }

    fn read(folder: &Path, name: &str) -> io::Result<Self> {
        let mut device = Self {
            name: name.to_string(),
            node: node(folder, name),
            number: Number::parse(&read_attribute(&folder.join("dev"))?),
            attributes: BTreeMap::new(),
            stats: BTreeMap::new(),
        };
        for (attribute, path) in files(folder)? {
            if attribute == "dev" || attribute == "uevent" {
                continue;
            }
            // An attribute that cannot be read, for whatever reason, is absent.
            if let Ok(value) = read_attribute(&path) {
                device.attributes.insert(attribute, value);
            }
        }
        for (counter, path) in files(&folder.join("stats")).unwrap_or_default() {
            if let Some(value) = number(&path) {
                device.stats.insert(counter, value);
            }
        }
        // The attributes of a device that is being removed vanish one after the other. "dev" is the
        // first, so if it is still there, nothing was left out above.
        let still = Number::parse(&read_attribute(&folder.join("dev"))?);
        match still == device.number && device.attributes.contains_key("capacity") {
            true => Ok(device),
            false => Err(io::ErrorKind::NotFound.into()),
        }
    }

    /// An attribute that is a number; 0 if there is none.
    fn value(&self, attribute: &str) -> u64 {
        let text = self.attributes.get(attribute);
        text.and_then(|text| text.parse().ok()).unwrap_or(0)
    }

    /// The size of the buffer.
    pub fn capacity(&self) -> u64 {
        self.value("capacity")
    }

    /// The number of bytes queued.
    pub fn queued(&self) -> u64 {
        self.value("size")
    }

    /// Whether the end of that side (`producer`, `consumer`) is claimed.
    pub fn claimed(&self, side: &str) -> bool {
        self.value(&format!("{side}_claimed")) == 1
    }

    /// The value of `hangup`.
    pub fn hangup(&self) -> bool {
        self.value("hangup") == 1
    }

    /// The value of `overwrite`.
    pub fn overwrite(&self) -> bool {
        self.value("overwrite") == 1
    }

    /// The mode, by its name.
    pub fn mode(&self) -> &str {
        match self.attributes.get("mode").map(String::as_str) {
            Some("0") => "manual",
            Some("1") => "auto",
            Some(other) => other,
            None => "-",
        }
    }

    /// The framing, if the driver has this attribute.
    pub fn framing(&self) -> Option<&str> {
        self.attributes.get("framing").map(String::as_str)
    }

    /// A counter; 0 if the driver does not have it.
    pub fn stat(&self, counter: &str) -> u64 {
        self.stats.get(counter).copied().unwrap_or(0)
    }
}

/// The folder of that device in sysfs. The error suggests names that are similar.
pub fn folder(root: &Root, argument: &str) -> Result<PathBuf> {
    let class = root.class()?;
    let name = names::device_name(argument);
    let folder = class.join(name);
    // The class has files as well, and a name with a slash would lead elsewhere.
    if !name.is_empty()
        && !name.contains('/')
        && !name.starts_with('.')
        && folder.join("dev").exists()
    {
        return Ok(folder);
    }
    let all = names_in(&class)?;
    let mut hint = names::suggestion(name, all.iter().map(String::as_str));
    if hint.is_empty() {
        hint = match all.is_empty() {
            true => "; there are no devices, add one with: sudo vfifoctl add NAME".into(),
            false => "; \"vfifoctl list\" shows all devices".into(),
        };
    }
    Err(Error::new(
        Status::NoDevice,
        format!("there is no device {}{hint}", names::printable(name)),
    ))
}

/// The error for a device that vanished while it was used.
pub fn gone(name: &str, error: &io::Error) -> Error {
    match error.kind() {
        io::ErrorKind::NotFound => Error::new(Status::NoDevice, format!("{name} has been removed")),
        // ENODEV: an attribute that is still open.
        _ if error.raw_os_error() == Some(19) => {
            Error::new(Status::NoDevice, format!("{name} has been removed"))
        }
        _ => Error::io(name, error),
    }
}

/// The names of all devices, in the order in which people expect them.
pub fn names_in(class: &Path) -> Result<Vec<String>> {
    let list = fs::read_dir(class).map_err(|error| Error::io(class.display(), &error))?;
    let mut names: Vec<_> = list
        .filter_map(|entry| entry.ok()?.file_name().into_string().ok())
        .filter(|name| class.join(name).join("dev").exists())
        .collect();
    names.sort_by(|a, b| names::compare(a, b));
    Ok(names)
}

/// The names of the attributes of that device that root can write.
pub fn writable(folder: &Path) -> Vec<String> {
    let files = files(folder).unwrap_or_default();
    let can_write =
        |path: &Path| fs::metadata(path).is_ok_and(|file| file.permissions().mode() & 0o200 != 0);
    files
        .into_iter()
        .filter(|(name, path)| name != "uevent" && can_write(path))
        .map(|(name, _)| name)
        .collect()
}

/// A file with one number.
pub fn number(path: &Path) -> Option<u64> {
    read_attribute(path).ok()?.parse().ok()
}

/// The regular files of a folder, ordered by name.
fn files(folder: &Path) -> io::Result<Vec<(String, PathBuf)>> {
    let mut files = Vec::new();
    for entry in fs::read_dir(folder)? {
        let entry = entry?;
        if let (true, Ok(name)) = (
            entry.file_type()?.is_file(),
            entry.file_name().into_string(),
        ) {
            files.push((name, entry.path()));
        }
    }
    files.sort();
    Ok(files)
}

/// The path of the node: what the kernel tells udev, else what follows from the name.
fn node(folder: &Path, name: &str) -> String {
    let told = fs::read_to_string(folder.join("uevent")).unwrap_or_default();
    match told.lines().find_map(|line| line.strip_prefix("DEVNAME=")) {
        Some(path) => format!("/dev/{path}"),
        None if names::forbidden(name).is_some() => format!("/dev/{name}"),
        None => format!("/dev/vfifo/{name}"),
    }
}
