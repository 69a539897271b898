// SPDX-License-Identifier: GPL-2.0 OR MIT
// Copyright (C) 2026 Seed 1f3ad1c2 maintainers

//! `add`, `remove` and `set`, with and without root.

use crate::common::{copy_for_all, run};
use crate::{vfifoctl, Device};
use std::fs;
use std::io::Write;
use std::os::unix::fs::PermissionsExt;
use std::os::unix::process::CommandExt;
use std::path::Path;
use std::process::Command;

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
    let cells: Vec<_> = line.split_whitespace().collect();
    assert_eq!(
        cells,
        ["ctl-life", "1M", "0", "0", "manual", "stream", "0", "0", "-"]
    );
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
