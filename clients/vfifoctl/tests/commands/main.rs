// SPDX-License-Identifier: GPL-2.0 OR MIT
// Copyright (C) 2026 Seed 1f3ad1c2 maintainers

//! The commands on a folder that looks like a system with the driver.

mod changes;
#[path = "../common/mod.rs"]
mod common;
mod reports;
mod waits;
mod watches;

use common::Fake;
use std::fs;

/// Two devices and three processes.
fn busy() -> Fake {
    let fake = Fake::new();
    fake.device("vfifo0", 0, &[("size", "6")]);
    let video = [
        ("size", "524288"),
        ("capacity", "1048576"),
        ("mode", "1"),
        ("framing", "record"),
        ("producer_claimed", "1"),
    ];
    fake.device("video", 1, &video);
    fake.process(
        812,
        "cat",
        &[(0, "/dev/vfifo0", "0100000"), (1, "/dev/pts/0", "02")],
        "",
    );
    fake.process(900, "my cam", &[(7, "/dev/vfifo/video", "0100002")], CLAIM);
    fake.process(
        34,
        "dd",
        &[(1, "/dev/vfifo/video", "0100001"), (2, "pipe:[5]", "01")],
        "",
    );
    fake
}

const CLAIM: &str = "\
7f0000000000-7f0000200000 rw-s 00000000 00:06 77    /dev/vfifo/video
7f0000200000-7f0000201000 rw-s 80000000 00:06 77    /dev/vfifo/video
";

#[test]
fn unknown_devices() {
    let fake = busy();
    for command in [
        &["show", "vdieo"][..],
        &["set", "vdieo", "hangup=1"],
        &["wait", "vdieo"],
        &["watch", "vdieo", "--json"],
    ] {
        assert_eq!(
            fake.run(command).error(4),
            "there is no device vdieo; did you mean video?"
        );
    }
    assert!(fake
        .run(&["show", "something"])
        .error(4)
        .contains("\"vfifoctl list\" shows all devices"));
    // The class has files as well, and a name is not a path.
    for name in ["new_device", "..", "../vfifo/video", "", "."] {
        assert!(fake
            .run(&["show", name])
            .error(4)
            .contains("there is no device"));
    }
}

#[test]
fn the_driver_is_not_loaded() {
    let fake = Fake::unloaded();
    for command in [
        &["list"][..],
        &["show", "a"],
        &["add", "a"],
        &["remove", "a"],
        &["set", "a", "b=1"],
        &["wait", "a"],
        &["watch"],
    ] {
        assert!(fake.run(command).error(3).contains("sudo modprobe vfifo"));
    }
    fs::remove_dir_all(fake.path("sys")).unwrap();
    assert!(fake.run(&["list"]).error(3).contains("/sys is not mounted"));
}

#[test]
fn completions() {
    for shell in ["bash", "zsh", "fish"] {
        let text = Fake::new().run(&["completions", shell]).good();
        assert!(
            text.contains("vfifoctl") && text.contains("remove"),
            "{shell}"
        );
        assert!(text.contains("timeout"));
    }
}

#[test]
fn help() {
    let result = Fake::new().run(&["--help"]);
    assert_eq!(result.status, 0);
    for command in ["list", "show", "add", "remove", "set", "wait", "watch"] {
        assert!(result.out.contains(&format!("\n  {command}")), "{result:?}");
    }
    assert!(!result.out.contains("sysroot") && !result.out.contains("completions"));
    assert!(result.out.lines().all(|line| line.len() <= 80));
    assert_eq!(Fake::new().run(&[]).status, 2);
    assert_eq!(Fake::new().run(&["lisst"]).status, 2);
}
