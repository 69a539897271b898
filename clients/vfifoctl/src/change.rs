// SPDX-License-Identifier: GPL-2.0 OR MIT
// Copyright (C) 2026 Seed 1f3ad1c2 maintainers

//! `vfifoctl add`, `remove` and `set`.

use crate::device::{self, Device};
use crate::error::{Error, Result, Status};
use crate::explain;
use crate::list;
use crate::names;
use crate::output;
use crate::processes::Scan;
use crate::root::{write_attribute, Root};
use crate::settings::{self, Setting};
use std::path::Path;

/// Adds a device, and prints the path of its node.
pub fn add(root: &Root, argument: &str, options: &[Setting]) -> Result {
    let class = root.class()?;
    let name = names::device_name(argument);
    // The kernel would take what follows a space for options.
    if name.is_empty() || name.contains(|c: char| c.is_whitespace() || c.is_control()) {
        let text = names::forbidden(name).unwrap_or_default();
        return Err(Error::new(
            Status::Usage,
            format!("cannot add {name:?}: {text}"),
        ));
    }
    let mut line = name.to_string();
    for option in options {
        line += &format!(" {option}");
    }
    write_attribute(&class.join("new_device"), &line)
        .map_err(|error| explain::add(name, options, &attributes_of_driver(&class), &error))?;
    let node = match device::folder(root, name).and_then(|_| Device::find(root, name)) {
        Ok(device) => device.node,
        // It may have been removed again.
        Err(_) => format!("/dev/vfifo/{name}"),
    };
    output::print(&format!("{node}\n"))
}

/// The attributes that can be written, from any device; without a device, those that this program knows.
fn attributes_of_driver(class: &Path) -> Vec<String> {
    let all = device::names_in(class).unwrap_or_default();
    match all.first() {
        Some(name) => device::writable(&class.join(name)),
        None => settings::attributes().map(str::to_string).collect(),
    }
}

/// Removes devices. The first error ends it.
pub fn remove(root: &Root, arguments: &[String]) -> Result {
    let class = root.class()?;
    for argument in arguments {
        let name = names::device_name(argument);
        let all = device::names_in(&class)?;
        let found = Device::find(root, argument);
        write_attribute(&class.join("delete_device"), name)
            .map_err(|error| explain::remove(name, &all, &error))?;
        let Ok(device) = found else {
            continue;
        };
        let users = Scan::new(root).of(device.number);
        if !users.is_empty() {
            let users: Vec<_> = users.iter().map(list::user).collect();
            output::note(&format!(
                "{name} is removed; still open until closed by: {}",
                users.join(" ")
            ));
        }
    }
    Ok(())
}

/// Sets attributes, one after the other. The first error ends it.
pub fn set(root: &Root, argument: &str, wanted: &[Setting]) -> Result {
    let folder = device::folder(root, argument)?;
    let name = names::device_name(argument);
    let writable = device::writable(&folder);
    // Nothing is changed if one of the names is wrong.
    for setting in wanted {
        if !writable.contains(&setting.name) {
            return Err(not_an_attribute(name, &folder, setting, &writable));
        }
    }
    for (index, setting) in wanted.iter().enumerate() {
        let Err(error) = write_attribute(&folder.join(&setting.name), &setting.value) else {
            continue;
        };
        let device = Device::find(root, argument)?;
        let processes = Scan::new(root).of(device.number);
        let mut error = explain::set(&device, setting, &processes, &error);
        if index > 0 {
            let done: Vec<_> = wanted[..index].iter().map(Setting::to_string).collect();
            error.text += &format!(" (already set: {})", done.join(" "));
        }
        return Err(error);
    }
    Ok(())
}

fn not_an_attribute(name: &str, folder: &Path, setting: &Setting, writable: &[String]) -> Error {
    let attribute = setting.name.as_str();
    let text = if attribute == "perm" {
        format!("perm is an option of add only; use chmod on the node of {name}")
    } else if !attribute.contains('/') && folder.join(attribute).is_file() {
        format!("{attribute} cannot be written; it can only be read, with \"vfifoctl show {name}\"")
    } else {
        let known = writable.iter().map(String::as_str);
        let hint = match names::suggestion(attribute, known) {
            none if none.is_empty() => format!("; it has: {}", writable.join(", ")),
            hint => hint,
        };
        format!("{name} has no attribute {attribute}{hint}")
    };
    Error::new(Status::Usage, text)
}
