// SPDX-License-Identifier: GPL-2.0 OR MIT
// Copyright (C) 2026 Seed 1f3ad1c2 maintainers

//! `add`, `remove` and `set`.

use crate::busy;
use crate::common::{copy_for_all, is_root, run, Fake};
use std::fs::{self, Permissions};
use std::os::unix::fs::{symlink, PermissionsExt};
use std::os::unix::process::CommandExt;
use std::process::Command;

#[test]
fn add() {
    let fake = Fake::new();
    let printed = fake
        .run(&["add", "video", "capacity=1M", "hangup=1", "perm=0660"])
        .good();
    assert_eq!(printed, "/dev/vfifo/video\n");
    assert_eq!(
        fake.text("sys/class/vfifo/new_device"),
        "video capacity=1048576 hangup=1 perm=0660\n"
    );
}

#[test]
fn add_wrong_words() {
    let fake = Fake::new();
    // The kernel would take these for a name and options.
    assert!(fake
        .run(&["add", "video hangup=1"])
        .error(2)
        .contains("contains ' '"));
    assert!(fake.run(&["add", "a\nb"]).error(2).contains("contains"));
    for option in ["hangup", "a=1 b=2", "capacity=1.5M"] {
        let result = fake.run(&["add", "video", option]);
        assert_eq!(result.status, 2, "{result:?}");
    }
    assert_eq!(fake.text("sys/class/vfifo/new_device"), "");
}

/// An error of the kernel, from a file whose writes fail with `ENOSPC`.
#[test]
fn add_refused() {
    let fake = Fake::new();
    fs::remove_file(fake.path("sys/class/vfifo/new_device")).unwrap();
    symlink("/dev/full", fake.path("sys/class/vfifo/new_device")).unwrap();
    assert!(fake
        .run(&["add", "video"])
        .error(1)
        .contains("all 4096 device numbers are in use"));
}

#[test]
fn changes_without_root() {
    let fake = busy();
    let program = copy_for_all(&fake.root);
    fs::set_permissions(
        fake.path("sys/class/vfifo/new_device"),
        Permissions::from_mode(0o444),
    )
    .unwrap();
    fs::set_permissions(
        fake.path("sys/class/vfifo/video/hangup"),
        Permissions::from_mode(0o444),
    )
    .unwrap();
    if !is_root() {
        return;
    }
    let refused = |arguments: &[&str]| {
        let mut command = Command::new(&program);
        command
            .arg("--sysroot")
            .arg(&fake.root)
            .args(arguments)
            .uid(65534)
            .gid(65534);
        run(&mut command).error(5)
    };
    let text = refused(&["add", "cam", "hangup=1"]);
    assert!(
        text.starts_with("cannot add cam: only root can do this; run: sudo "),
        "{text}"
    );
    assert!(text.ends_with(" add cam hangup=1"), "{text}");
    assert!(refused(&["remove", "video"]).contains("cannot remove video: only root can do this"));
    assert!(refused(&["set", "video", "capacity=4096"]).contains("only root can do this"));
}

#[test]
fn remove() {
    let fake = busy();
    let result = fake.run(&["remove", "/dev/vfifo/video"]);
    assert_eq!(result.status, 0);
    assert_eq!(fake.text("sys/class/vfifo/delete_device"), "video\n");
    assert!(
        result
            .err
            .contains("still open until closed by: dd[34]:w my_cam[900]:P"),
        "{result:?}"
    );
}

#[test]
fn set() {
    let fake = busy();
    fake.run(&["set", "video", "hangup=1", "capacity=2M", "framing=stream"])
        .good();
    assert!(fake.text("sys/class/vfifo/video/hangup").starts_with("1\n"));
    assert!(fake
        .text("sys/class/vfifo/video/capacity")
        .starts_with("2097152\n"));
    assert!(fake
        .text("sys/class/vfifo/video/framing")
        .starts_with("stream\n"));
}

#[test]
fn set_wrong_names() {
    let fake = busy();
    let error = |setting: &str| fake.run(&["set", "video", "hangup=1", setting]).error(2);
    assert_eq!(
        error("hangpu=0"),
        "video has no attribute hangpu; did you mean hangup?"
    );
    assert!(error("size=0").contains("can only be read"));
    assert!(error("perm=0660").contains("use chmod"));
    assert!(error("../../x=1").contains("has no attribute"));
    assert_eq!(
        fake.run(&["set", "vfifo0", "colour=red"]).error(2),
        "vfifo0 has no attribute colour; it has: capacity, hangup, mode, period_ms"
    );
    // Nothing was changed.
    assert_eq!(fake.text("sys/class/vfifo/video/hangup"), "0\n");
}

#[test]
fn set_refused_after_another() {
    let fake = busy();
    fs::remove_file(fake.path("sys/class/vfifo/video/capacity")).unwrap();
    symlink("/dev/full", fake.path("sys/class/vfifo/video/capacity")).unwrap();
    // A link is not an attribute.
    let error = fake
        .run(&["set", "video", "hangup=1", "capacity=4096"])
        .error(2);
    assert!(error.contains("capacity"), "{error}");
}
