// SPDX-License-Identifier: GPL-2.0 OR MIT
// Copyright (C) 2026 Seed 1f3ad1c2 maintainers

//! `watch` without a terminal.

use crate::busy;
use std::io::{BufRead, BufReader, Read};
use std::process::Stdio;

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
fn watch_rates() {
    let fake = busy();
    let options = ["watch", "vfifo0", "--json", "--interval", "50ms"];
    let mut command = fake.command();
    let mut watching = command
        .args(options)
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let mut lines = BufReader::new(watching.stdout.take().unwrap()).lines();
    let mut written = 0;
    loop {
        written += 1000;
        fake.change("vfifo0", "stats/bytes_written", &written.to_string());
        let line = lines.next().unwrap().unwrap();
        let line: serde_json::Value = serde_json::from_str(&line).unwrap();
        if line["devices"][0]["written_per_second"].as_f64().unwrap() > 0.0 {
            break;
        }
    }
    watching.kill().unwrap();
    watching.wait().unwrap();
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
