// SPDX-License-Identifier: GPL-2.0 OR MIT
// Copyright (C) 2026 Seed 1f3ad1c2 maintainers

//! Writing to standard output and standard error.

use crate::error::{Error, Result, Status};
use serde::Serialize;
use std::io::{self, Write};

/// Writes text to standard output. If nobody reads it any more, the program ends without a message.
pub fn print(text: &str) -> Result {
    let mut out = io::stdout().lock();
    out.write_all(text.as_bytes())
        .and_then(|()| out.flush())
        .map_err(|error| match error.kind() {
            io::ErrorKind::BrokenPipe => Error::new(Status::Failed, ""),
            _ => Error::io("standard output", &error),
        })
}

/// Writes a value as JSON that people can read.
pub fn print_json(value: &impl Serialize) -> Result {
    print(&(encode(serde_json::to_string_pretty(value))? + "\n"))
}

/// Writes a value as JSON in one line.
pub fn print_json_line(value: &impl Serialize) -> Result {
    print(&(encode(serde_json::to_string(value))? + "\n"))
}

fn encode(text: serde_json::Result<String>) -> Result<String> {
    text.map_err(|error| Error::new(Status::Failed, format!("JSON: {error}")))
}

/// A remark to the person at the terminal. That it cannot be written is no error.
pub fn note(text: &str) {
    let _ = writeln!(io::stderr(), "vfifoctl: {text}");
}

/// The width of the terminal that standard output is; none if it is something else.
pub fn width() -> Option<usize> {
    let size = rustix::termios::tcgetwinsize(io::stdout()).ok()?;
    (size.ws_col > 0).then_some(size.ws_col.into())
}
