// SPDX-License-Identifier: GPL-2.0 OR MIT
// Copyright (C) 2026 Seed 1f3ad1c2 maintainers

//! `list` and `show`.

use crate::busy;
use crate::common::{copy_for_all, is_root, run, Fake};
use std::fs::{self, Permissions};
use std::os::unix::fs::PermissionsExt;
use std::os::unix::process::CommandExt;
use std::process::Command;

#[test]
fn list() {
    assert_eq!(
        busy().run(&["list"]).good(),
        "\
NAME    CAPACITY  QUEUED   %  MODE    FRAMING  RD  WR  CLAIM  USED BY
vfifo0       64K       6   1  manual  -         1   0  -      cat[812]:r
video         1M    512K  50  auto    record    0   2  P      dd[34]:w my_cam[900]:P
"
    );
}

#[test]
fn list_json() {
    let report = busy().run(&["list", "--json"]).json();
    assert_eq!(report["processes_complete"], true);
    let [vfifo0, video] = report["devices"].as_array().unwrap().as_slice() else {
        panic!("{report}");
    };
    assert_eq!(vfifo0["name"], "vfifo0");
    assert_eq!(vfifo0["device"], "248:0");
    assert_eq!(vfifo0["node"], "/dev/vfifo0");
    assert_eq!(vfifo0["queued"], 6);
    // This driver has no framing.
    assert!(vfifo0.get("framing").is_none());
    assert_eq!(vfifo0["processes"][0]["files"][0]["access"], "read");
    assert_eq!(video["framing"], "record");
    assert_eq!(video["percent"], 50.0);
    assert_eq!(video["producer_claimed"], true);
    assert_eq!(video["processes"][1]["pid"], 900);
    assert_eq!(video["processes"][1]["claims_producer"], true);
    assert_eq!(
        (&video["readers"], &video["writers"]),
        (&0.into(), &2.into())
    );
    assert_eq!(video["stats"]["bytes_read"], 0);
    assert_eq!(video["attributes"]["period_ms"], "1000");
}

#[test]
fn list_nothing() {
    let result = Fake::new().run(&["list"]);
    assert_eq!((result.status, result.out.as_str()), (0, ""));
    assert!(result.err.contains("sudo vfifoctl add NAME"));
    assert_eq!(
        Fake::new().run(&["list", "--json"]).json()["devices"],
        serde_json::json!([])
    );
}

#[test]
fn list_removed_devices() {
    let fake = busy();
    fake.put("dev/vfifo/old", "248:9", 0o600);
    fake.process(5, "tail", &[(3, "/dev/vfifo/old (deleted)", "0100000")], "");
    let result = fake.run(&["list"]);
    assert_eq!(result.status, 0);
    assert_eq!(
        result.err,
        "vfifoctl: /dev/vfifo/old has been removed, but is still open: tail[5]:r\n"
    );
    let report = fake.run(&["list", "--json"]).json();
    assert_eq!(report["removed"][0]["node"], "/dev/vfifo/old");
}

/// Processes that cannot be examined are no error, but are mentioned.
#[test]
fn list_without_root() {
    let fake = busy();
    fs::set_permissions(fake.path("proc/900/fd"), Permissions::from_mode(0o000)).unwrap();
    let mut command = fake.command();
    if is_root() {
        command = Command::new(copy_for_all(&fake.root));
        command
            .arg("--sysroot")
            .arg(&fake.root)
            .uid(65534)
            .gid(65534);
    }
    let result = run(command.arg("list"));
    assert_eq!(result.status, 0, "{result:?}");
    assert!(
        result.out.contains("1+  0+  -      cat[812]:r"),
        "{result:?}"
    );
    assert!(result.err.contains("run this with sudo"), "{result:?}");
    fs::set_permissions(fake.path("proc/900/fd"), Permissions::from_mode(0o755)).unwrap();
}

#[test]
fn show() {
    let text = busy().run(&["show", "/dev/vfifo/video"]).good();
    for line in [
        "video\n",
        "  node               /dev/vfifo/video\n",
        "  capacity           1048576 (1 MiB)\n",
        "  size               524288 (50% of the capacity)\n",
        "  mode               1 (auto)\n",
        "  framing            record\n",
        "statistics\n  bytes_read         0\n",
        "  my cam[900], user ",
        ": descriptor 7 for reading and writing, has claimed the producer's end\n",
    ] {
        assert!(text.contains(line), "{line:?} is not in {text}");
    }
    let report = busy().run(&["show", "video", "--json"]).json();
    assert_eq!(report["name"], "video");
    assert_eq!(report["processes_complete"], true);
}
