// SPDX-License-Identifier: GPL-2.0 OR MIT
// Copyright (C) 2026 Seed 1f3ad1c2 maintainers

//! The commands on a folder that looks like a system with the driver.

mod common;

use common::{copy_for_all, is_root, run, Fake};
use std::fs;
use std::io::Read;
use std::os::unix::fs::symlink;
use std::os::unix::process::CommandExt;
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

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
fn list() {
    assert_eq!(
        busy().run(&["list"]).good(),
        "\
NAME    CAPACITY  QUEUED   %  MODE    FRAMING  READERS  WRITERS  CLAIMS  USED BY
vfifo0       64K       6   1  manual  -              1        0  -       cat[812]:r
video         1M    512K  50  auto    record         0        2  P       dd[34]:w my_cam[900]:P
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
    fs::set_permissions(
        fake.path("proc/900/fd"),
        std::os::unix::fs::PermissionsExt::from_mode(0),
    )
    .unwrap();
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
        result.out.contains("1+       0+  -       cat[812]:r"),
        "{result:?}"
    );
    assert!(result.err.contains("run this with sudo"), "{result:?}");
    fs::set_permissions(
        fake.path("proc/900/fd"),
        std::os::unix::fs::PermissionsExt::from_mode(0o755),
    )
    .unwrap();
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
        std::os::unix::fs::PermissionsExt::from_mode(0o444),
    )
    .unwrap();
    fs::set_permissions(
        fake.path("sys/class/vfifo/video/hangup"),
        std::os::unix::fs::PermissionsExt::from_mode(0o444),
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

#[test]
fn wait_at_once() {
    let fake = busy();
    fake.run(&["wait", "vfifo0"]).good();
    fake.run(&["wait", "vfifo0", "--readable"]).good();
    fake.run(&["wait", "vfifo0", "--writable"]).good();
    fake.run(&["wait", "video", "--queued", "512K", "--timeout", "0"])
        .good();
}

#[test]
fn wait_times_out() {
    let fake = busy();
    let from = Instant::now();
    let error = fake
        .run(&["wait", "video", "--queued", "524289", "--timeout", "200ms"])
        .error(6);
    assert_eq!(
        error,
        "video: timed out waiting until 524289 bytes are queued"
    );
    assert!(from.elapsed() >= Duration::from_millis(200));
    assert!(fake
        .run(&["wait", "video", "--queued", "2M"])
        .error(1)
        .contains("its capacity is 1048576"));
    assert!(fake
        .run(&["wait", "video", "--hangup"])
        .error(1)
        .contains("sudo vfifoctl set video hangup=1"));
}

#[test]
fn wait_until_something_happens() {
    let fake = busy();
    fake.change("vfifo0", "size", "0");
    let mut waiting = fake
        .command()
        .args(["wait", "vfifo0", "--timeout", "60"])
        .spawn()
        .unwrap();
    std::thread::sleep(Duration::from_millis(100));
    assert_eq!(waiting.try_wait().unwrap(), None);
    fake.change("vfifo0", "size", "1");
    assert!(waiting.wait().unwrap().success());
}

#[test]
fn wait_for_a_device_that_is_removed() {
    let fake = busy();
    fake.change("vfifo0", "size", "0");
    let mut command = fake.command();
    let waiting = command
        .args(["wait", "vfifo0"])
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    std::thread::sleep(Duration::from_millis(100));
    fs::rename(fake.path("sys/class/vfifo/vfifo0"), fake.path("gone")).unwrap();
    let output = waiting.wait_with_output().unwrap();
    assert_eq!(output.status.code(), Some(4));
}

#[test]
fn watch_json() {
    let fake = busy();
    let text = fake
        .run(&["watch", "--json", "--count", "2", "--interval", "50ms"])
        .good();
    let lines: Vec<serde_json::Value> = text
        .lines()
        .map(|line| serde_json::from_str(line).unwrap())
        .collect();
    assert_eq!(lines.len(), 2);
    assert!(lines[0]["time"].as_f64().unwrap() > 1.7e9);
    assert_eq!(lines[1]["devices"][1]["name"], "video");
    assert_eq!(lines[1]["devices"][1]["written_per_second"], 0.0);
    let text = fake
        .run(&["watch", "video", "--json", "--count", "1"])
        .good();
    let line: serde_json::Value = serde_json::from_str(&text).unwrap();
    assert_eq!(line["devices"].as_array().unwrap().len(), 1);
}

#[test]
fn watch_needs_a_terminal() {
    assert!(busy().run(&["watch"]).error(2).contains("watch --json"));
    let result = busy().run(&["watch", "--interval", "1ms"]);
    assert_eq!(result.status, 2);
}

/// Whoever reads the output may stop at any time.
#[test]
fn nobody_reads_the_output() {
    let fake = busy();
    let mut command = fake.command();
    command.args(["watch", "--json", "--interval", "50ms"]);
    let mut watching = command
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    let mut out = watching.stdout.take().unwrap();
    out.read_exact(&mut [0]).unwrap();
    drop(out);
    let output = watching.wait_with_output().unwrap();
    assert_eq!(output.status.code(), Some(1));
    assert_eq!(String::from_utf8_lossy(&output.stderr), "");
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
