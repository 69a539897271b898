// SPDX-License-Identifier: GPL-2.0 OR MIT
// Copyright (C) 2026 Seed 1f3ad1c2 maintainers

//! What an error of the kernel means, and what to do about it.

use crate::device::Device;
use crate::error::{reason, Error, Status};
use crate::list;
use crate::names;
use crate::processes::Process;
use crate::settings::{self, Setting};
use std::io;

// Numbers of errors, which are the same on all architectures that Rust supports in the kernel.
const EPERM: i32 = 1;
const ENOENT: i32 = 2;
const EAGAIN: i32 = 11;
const ENOMEM: i32 = 12;
const EACCES: i32 = 13;
const EBUSY: i32 = 16;
const EEXIST: i32 = 17;
const ENODEV: i32 = 19;
const EINVAL: i32 = 22;
const ENOSPC: i32 = 28;
const EROFS: i32 = 30;
const ERANGE: i32 = 34;

/// An error of a write to `new_device`. `writable` are the attributes that the driver has.
pub fn add(name: &str, options: &[Setting], writable: &[String], error: &io::Error) -> Error {
    let failed = |text: String| Error::new(Status::Failed, format!("cannot add {name}: {text}"));
    match error.raw_os_error() {
        Some(EINVAL | ERANGE) => {
            let wrong = names::forbidden(name).or_else(|| settings::wrong_option(options, writable));
            failed(wrong.unwrap_or_else(|| {
                let line: Vec<_> = options.iter().map(Setting::to_string).collect();
                format!("the driver does not take these options: {}", line.join(" "))
            }))
        }
        Some(EEXIST) => failed(format!(
            "there is a device of that name, or it is just being added or removed; \"vfifoctl set {name} ...\" changes it"
        )),
        Some(ENOSPC) => failed("all 4096 device numbers are in use; a removed device uses its number until it is closed".into()),
        Some(ENOMEM) => failed("there is not enough memory; use a smaller capacity".into()),
        _ => common(&format!("cannot add {name}"), error),
    }
}

/// An error of a write to `delete_device`. `all` are the names of all devices.
pub fn remove(name: &str, all: &[String], error: &io::Error) -> Error {
    match error.raw_os_error() {
        Some(ENOENT | EINVAL) => Error::new(
            Status::NoDevice,
            format!(
                "there is no device {}{}",
                names::printable(name),
                names::suggestion(name, all.iter().map(String::as_str))
            ),
        ),
        _ => common(&format!("cannot remove {name}"), error),
    }
}

/// An error of a write to an attribute. `processes` are those that use the device.
pub fn set(device: &Device, setting: &Setting, processes: &[Process], error: &io::Error) -> Error {
    let what = format!("cannot set {setting} on {}", device.name);
    let failed = |text: String| Error::new(Status::Failed, format!("{what}: {text}"));
    match error.raw_os_error() {
        Some(EINVAL | ERANGE) => match settings::wrong_value(setting) {
            Some(text) => failed(text),
            None => failed(format!(
                "{}; the driver does not take this value",
                reason(error)
            )),
        },
        Some(EBUSY) => failed(busy(device, setting, processes)),
        Some(ENOMEM) => failed("there is not enough memory for the new buffer".into()),
        Some(ENODEV) => Error::new(
            Status::NoDevice,
            format!("{} has been removed", device.name),
        ),
        _ => common(&what, error),
    }
}

/// An error of opening the node, which only `wait --hangup` does.
pub fn open(device: &Device, error: &io::Error) -> Error {
    let node = &device.node;
    match error.raw_os_error() {
        Some(EACCES | EPERM) => Error::new(
            Status::NotPermitted,
            format!(
                "{node}: waiting for the end needs permission to read and write it; run: {}",
                sudo()
            ),
        ),
        Some(ENOENT) => Error::new(
            Status::Failed,
            format!(
                "{node} does not exist, although the device does; is /dev that of this system?"
            ),
        ),
        _ => Error::io(node, error),
    }
}

/// An error of asking an open device for its state.
pub fn info(device: &Device, error: &io::Error) -> Error {
    match error.kind() {
        io::ErrorKind::Unsupported => Error::new(
            Status::Failed,
            "this driver is too old to tell whether there are writers".to_string(),
        ),
        _ => Error::io(&device.node, error),
    }
}

/// Why an attribute cannot be changed now.
fn busy(device: &Device, setting: &Setting, processes: &[Process]) -> String {
    let mapping: Vec<_> = processes
        .iter()
        .filter(|process| process.mapped)
        .map(list::user)
        .collect();
    let queued = device.queued();
    let new = setting.value.parse::<u64>();
    match setting.name.as_str() {
        "mode" => "the producer's end is claimed; only its owner produces".into(),
        _ if !mapping.is_empty() => format!("the device is mapped by {}", mapping.join(" ")),
        "capacity" if new.is_ok_and(|new| queued > new) => format!(
            "{queued} bytes are queued, which is more than would fit; read them or choose a larger capacity"
        ),
        "framing" if queued > 0 => format!("{queued} bytes are queued; read them first"),
        "capacity" => "the device is mapped by a process, or more bytes are queued than would fit; \"sudo vfifoctl show NAME\" shows the processes".into(),
        "framing" => "the device is mapped by a process, or something is queued; \"sudo vfifoctl show NAME\" shows the processes".into(),
        _ => "the device is mapped by a process; \"sudo vfifoctl show NAME\" shows it".into(),
    }
    .replace("NAME", &device.name)
}

/// Errors that mean the same for every change.
fn common(what: &str, error: &io::Error) -> Error {
    match error.raw_os_error() {
        Some(EACCES | EPERM) if rustix::process::geteuid().is_root() => Error::new(
            Status::NotPermitted,
            format!("{what}: not permitted; in a container, run this on the host"),
        ),
        Some(EACCES | EPERM) => Error::new(
            Status::NotPermitted,
            format!("{what}: only root can do this; run: {}", sudo()),
        ),
        Some(EROFS) => Error::new(
            Status::NotPermitted,
            format!("{what}: /sys is mounted read-only; in a container, run this on the host"),
        ),
        Some(ENOENT) => Error::new(
            Status::NotLoaded,
            format!(
                "{what}: the driver is being unloaded, or is too old to add and remove devices"
            ),
        ),
        Some(EAGAIN) => Error::new(
            Status::Failed,
            format!("{what}: the module is still being loaded; try again"),
        ),
        _ => Error::io(what, error),
    }
}

/// The command that does the same as root.
fn sudo() -> String {
    let words = std::env::args_os().map(|word| quote(&word.to_string_lossy()));
    format!("sudo {}", words.collect::<Vec<_>>().join(" "))
}

/// A word for the shell.
fn quote(word: &str) -> String {
    let plain = |c: char| c.is_ascii_alphanumeric() || "_-./=,:@%+".contains(c);
    if !word.is_empty() && word.chars().all(plain) {
        word.to_string()
    } else {
        format!("'{}'", word.replace('\'', r"'\''"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::BTreeMap;

    fn error(number: i32) -> io::Error {
        io::Error::from_raw_os_error(number)
    }

    fn setting(text: &str) -> Setting {
        Setting::parse(text).unwrap()
    }

    fn device(queued: u64) -> Device {
        let attributes = [
            ("capacity", "65536".to_string()),
            ("size", queued.to_string()),
        ];
        Device {
            name: "video".into(),
            node: "/dev/vfifo/video".into(),
            number: None,
            attributes: attributes
                .map(|(name, value)| (name.to_string(), value))
                .into(),
            stats: BTreeMap::new(),
        }
    }

    fn mapping() -> Process {
        Process {
            pid: 9,
            name: "cam".into(),
            uid: 0,
            files: Vec::new(),
            claims_producer: true,
            claims_consumer: false,
            mapped: true,
        }
    }

    #[test]
    fn add_einval() {
        let writable = ["capacity", "hangup"].map(str::to_string);
        let text = |name: &str, options: &[&str]| {
            let options: Vec<_> = options.iter().map(|text| setting(text)).collect();
            add(name, &options, &writable, &error(EINVAL)).text
        };
        assert!(text("vfifo3", &[]).contains("can only be made when the module is loaded"));
        assert!(text("a/b", &["hangup=1"]).contains("contains '/'"));
        assert!(text("a", &["hangpu=1"]).contains("did you mean hangup?"));
        assert!(text("a", &["hangup=1", "hangup=0"]).contains("given twice"));
        assert_eq!(
            text("a", &["hangup=7"]),
            "cannot add a: hangup takes 0 or 1, not \"7\""
        );
        // A reason that is not known here.
        assert_eq!(
            text("a", &["hangup=1"]),
            "cannot add a: the driver does not take these options: hangup=1"
        );
    }

    #[test]
    fn add_others() {
        let text = |number| add("a", &[], &[], &error(number));
        assert!(text(EEXIST).text.contains("vfifoctl set a"));
        assert!(text(ENOSPC).text.contains("4096"));
        assert!(text(ENOMEM).text.contains("smaller capacity"));
        assert!(text(EAGAIN).text.contains("still being loaded"));
        assert_eq!(text(EROFS).status, Status::NotPermitted);
        assert_eq!(text(5).text, "cannot add a: Input/output error");
        let refused = text(EACCES);
        assert_eq!(refused.status, Status::NotPermitted);
        assert!(refused.text.contains("sudo ") || refused.text.contains("container"));
    }

    #[test]
    fn remove_errors() {
        let all = ["video".to_string()];
        let unknown = remove("vdieo", &all, &error(ENOENT));
        assert_eq!(unknown.status, Status::NoDevice);
        assert_eq!(
            unknown.text,
            "there is no device vdieo; did you mean video?"
        );
        assert_eq!(
            remove("video", &all, &error(EACCES)).status,
            Status::NotPermitted
        );
    }

    #[test]
    fn set_ebusy() {
        let text = |text: &str, queued, processes: &[Process]| {
            set(&device(queued), &setting(text), processes, &error(EBUSY)).text
        };
        assert_eq!(
            text("capacity=4096", 0, &[mapping()]),
            "cannot set capacity=4096 on video: the device is mapped by cam[9]:P"
        );
        assert!(text("capacity=4096", 5000, &[]).contains("5000 bytes are queued, which is more"));
        assert!(text("capacity=4096", 0, &[]).contains("sudo vfifoctl show video"));
        assert!(text("framing=record", 8, &[]).contains("8 bytes are queued; read them first"));
        assert!(text("mode=auto", 0, &[mapping()]).contains("producer's end is claimed"));
        assert!(text("overwrite=1", 9, &[]).contains("mapped by a process"));
    }

    #[test]
    fn set_others() {
        let text = |number| set(&device(0), &setting("hangup=5"), &[], &error(number));
        assert!(text(EINVAL).text.contains("takes 0 or 1"));
        assert_eq!(text(ENODEV).status, Status::NoDevice);
        assert!(text(ENOMEM).text.contains("memory"));
    }

    #[test]
    fn words_for_the_shell() {
        let quoted = ["capacity=1M", "a b", "it's", ""].map(quote);
        assert_eq!(quoted, ["capacity=1M", "'a b'", r"'it'\''s'", "''"]);
    }
}
