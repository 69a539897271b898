// SPDX-License-Identifier: GPL-2.0 OR MIT
// Copyright (C) 2026 Seed 1f3ad1c2 maintainers

//! Tests with the driver, as root: `cargo test --test device`. They add devices of their own, whose
//! names begin with `ctl-`, and remove them.

mod common;

use common::{copy_for_all, run, Result, PROGRAM};
use rustix::fs::{open, Mode, OFlags};
use rustix::mm::{mmap, munmap, MapFlags, ProtFlags};
use serde_json::Value;
use std::ffi::c_void;
use std::fs::{self, File, OpenOptions};
use std::io::{ErrorKind, Read, Write};
use std::os::unix::fs::PermissionsExt;
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

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

/// The status of a program that must end by itself. It is killed after a while.
#[track_caller]
fn ended(mut child: Child) -> i32 {
    let deadline = Instant::now() + Duration::from_secs(60);
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
fn add_and_remove() {
    let device = Device::add(
        "life",
        &["capacity=1M", "hangup=1", "perm=0640", "period_ms=50"],
    );
    assert_eq!(device.node, Path::new("/dev/vfifo/ctl-life"));
    let mode = fs::metadata(&device.node).unwrap().permissions().mode();
    assert_eq!(mode & 0o777, 0o640);
    let report = device.show();
    assert_eq!(report["capacity"], 1 << 20);
    assert_eq!(report["attributes"]["hangup"], "1");
    assert_eq!(report["attributes"]["period_ms"], "50");
    assert_eq!(report["mode"], "manual");
    assert_eq!(report["node"], "/dev/vfifo/ctl-life");
    let list = vfifoctl(&["list"]).out;
    let line = list
        .lines()
        .find(|line| line.starts_with("ctl-life "))
        .unwrap();
    assert!(line.contains("1M       0   0  manual"), "{line}");
    assert!(vfifoctl(&["add", "ctl-life"])
        .error(1)
        .contains("there is a device of that name"));

    vfifoctl(&["remove", "ctl-life"]).good();
    assert!(!device.node.exists());
    assert!(vfifoctl(&["show", "ctl-life"])
        .error(4)
        .contains("there is no device ctl-life"));
    assert!(vfifoctl(&["remove", "ctl-life"])
        .error(4)
        .contains("there is no device ctl-life"));
}

/// Why the kernel refuses a line, which it does not tell.
#[test]
fn add_refused() {
    let _other = Device::add("other", &[]);
    let refused = |arguments: &[&str]| vfifoctl(&[&["add"], arguments].concat()).error(1);
    for (arguments, reason) in [
        (
            &["vfifo7"][..],
            "can only be made when the module is loaded",
        ),
        (&["1x"], "does not begin with a letter"),
        (&["ctl/x"], "contains '/'"),
        (&["new_device"], "is the name of a file"),
        (&["ctl-aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa"], "31 are allowed"),
        (&["ctl-x", "hangpu=1"], "did you mean hangup?"),
        (&["ctl-x", "hangup=1", "hangup=1"], "given twice"),
        (&["ctl-x", "hangup=2"], "hangup takes 0 or 1"),
        (&["ctl-x", "capacity=2G"], "from 1 to 1G"),
        (&["ctl-x", "capacity=0"], "from 1 to 1G"),
        (&["ctl-x", "perm=1777"], "octal"),
        (&["ctl-x", "mode=loud"], "mode takes 0 (manual) or 1 (auto)"),
        (&["ctl-x", "period_ms=0"], "from 1 to 3600000"),
        (&["ctl-x", "size=1"], "has no option size"),
    ] {
        let text = refused(arguments);
        assert!(text.contains(reason), "{arguments:?}: {text}");
        assert!(!Path::new("/sys/class/vfifo/ctl-x").exists());
    }
}

#[test]
fn set() {
    let device = Device::add("set", &[]);
    let set = |settings: &[&str]| vfifoctl(&[&["set", &device.name], settings].concat());
    set(&["capacity=128K", "hangup=1", "mode=auto"]).good();
    let report = device.show();
    assert_eq!(report["capacity"], 131072);
    assert_eq!(
        (&report["mode"], &report["attributes"]["hangup"]),
        (&"auto".into(), &"1".into())
    );
    set(&["mode=manual", "hangup=0"]).good();
    let error = set(&["period_ms=7", "hangup=5", "mode=auto"]).error(1);
    assert!(
        error.contains("hangup takes 0 or 1") && error.contains("(already set: period_ms=7)"),
        "{error}"
    );
    assert!(set(&["capacity=2G"]).error(1).contains("from 1 to 1G"));
    device.writer().write_all(&[0; 5000]).unwrap();
    assert!(set(&["capacity=4096"])
        .error(1)
        .contains("bytes are queued, which is more than would fit"));
}

/// A writable mapping of the page of an end, which is the claim on it.
struct Claim {
    place: *mut c_void,
}

impl Claim {
    fn new(device: &Device, offset: u64) -> Self {
        let flags = OFlags::RDWR | OFlags::CLOEXEC;
        let file = open(&device.node, flags, Mode::empty()).unwrap();
        let access = ProtFlags::READ | ProtFlags::WRITE;
        // SAFETY: This makes a new mapping, and nothing refers to its memory. It stays when the
        // file is closed.
        let place = unsafe {
            mmap(
                std::ptr::null_mut(),
                4096,
                access,
                MapFlags::SHARED,
                &file,
                offset,
            )
        };
        Self {
            place: place.unwrap(),
        }
    }
}

impl Drop for Claim {
    fn drop(&mut self) {
        // SAFETY: This is the mapping that `new` has made.
        unsafe { munmap(self.place, 4096) }.unwrap();
    }
}

#[test]
fn claims() {
    let device = Device::add("claim", &[]);
    let producer = Claim::new(&device, 2 << 30);
    let own = device.own();
    assert_eq!(
        (&own["claims_producer"], &own["claims_consumer"]),
        (&true.into(), &false.into())
    );
    assert_eq!(
        (&own["reader"], &own["writer"]),
        (&false.into(), &true.into())
    );
    let list = vfifoctl(&["list"]).out;
    let line = list
        .lines()
        .find(|line| line.starts_with("ctl-claim "))
        .unwrap();
    assert!(
        line.contains("  P  ") && line.ends_with(&format!("[{}]:P", std::process::id())),
        "{line}"
    );
    let set = |setting| vfifoctl(&["set", &device.name, setting]).error(1);
    assert!(set("capacity=1M").contains("the device is mapped by"));
    assert!(set("mode=auto").contains("the producer's end is claimed"));
    drop(producer);

    let _consumer = Claim::new(&device, 3 << 30);
    let own = device.own();
    assert_eq!(
        (&own["claims_producer"], &own["claims_consumer"]),
        (&false.into(), &true.into())
    );
    assert_eq!(device.show()["consumer_claimed"], true);
}

#[test]
fn readers_and_writers() {
    let device = Device::add("users", &[]);
    let reader = device.reader();
    let own = device.own();
    assert_eq!(
        (&own["reader"], &own["writer"]),
        (&true.into(), &false.into())
    );
    assert_eq!(own["files"][0]["access"], "read");
    let writer = device.writer();
    let report = device.show();
    assert_eq!(
        (&report["readers"], &report["writers"]),
        (&1.into(), &1.into())
    );
    drop((reader, writer));
    let report = device.show();
    assert_eq!(report["processes"], serde_json::json!([]));
}

#[test]
fn removed_and_still_open() {
    let device = Device::add("gone", &[]);
    let reader = device.reader();
    let removed = vfifoctl(&["remove", &device.name]);
    assert_eq!(removed.status, 0);
    assert!(
        removed.err.contains("still open until closed by:"),
        "{removed:?}"
    );
    let list = vfifoctl(&["list", "--json"]).json();
    let gone = |list: &Value| {
        let removed = list["removed"].as_array().unwrap();
        removed
            .iter()
            .any(|device| device["node"] == "/dev/vfifo/ctl-gone")
    };
    assert!(gone(&list), "{list}");
    drop(reader);
    assert!(!gone(&vfifoctl(&["list", "--json"]).json()));
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
    let mut waiting = [device.wait(&[]), device.wait(&["--hangup"])];
    assert!(waiting.iter_mut().all(still_waits));
    vfifoctl(&["remove", &device.name]);
    for child in waiting {
        assert_eq!(ended(child), 4);
    }
}

#[test]
fn without_root() {
    let device = Device::add("user", &["hangup=1", "perm=0600"]);
    let folder = std::env::temp_dir().join("vfifoctl-device-test");
    fs::create_dir_all(&folder).unwrap();
    let program = copy_for_all(&folder);
    let nobody =
        |arguments: &[&str]| run(Command::new(&program).args(arguments).uid(65534).gid(65534));
    let list = nobody(&["list"]);
    assert_eq!(list.status, 0, "{list:?}");
    assert!(
        list.out.contains("ctl-user") && list.out.contains("0+"),
        "{list:?}"
    );
    assert!(list.err.contains("run this with sudo"), "{list:?}");
    let added = nobody(&["add", "ctl-nobody"]).error(5);
    assert!(
        added.contains("only root can do this; run: sudo "),
        "{added}"
    );
    let set = nobody(&["set", &device.name, "hangup=0"]).error(5);
    assert!(set.ends_with(" set ctl-user hangup=0"), "{set}");
    assert!(nobody(&["remove", &device.name])
        .error(5)
        .contains("only root"));
    assert!(nobody(&["wait", &device.name, "--hangup"])
        .error(5)
        .contains("permission to read and write"));
    // The state is world-readable.
    nobody(&["wait", &device.name, "--writable"]).good();
    let _ = fs::remove_dir_all(&folder);
}

#[test]
fn watch_rates() {
    let device = Device::add("watch", &[]);
    let mut writer = device.writer();
    let options = [
        "watch",
        &device.name,
        "--json",
        "--interval",
        "200ms",
        "--count",
        "10",
    ];
    let watching = Command::new(PROGRAM)
        .args(options)
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    for _ in 0..20 {
        writer.write_all(&[0; 1000]).unwrap();
        std::thread::sleep(Duration::from_millis(50));
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
