// SPDX-License-Identifier: GPL-2.0 OR MIT
// Copyright (C) 2026 Seed 1f3ad1c2 maintainers

//! An error for a person: one line, and the exit status of the program.

use std::fmt;
use std::io;

/// Why the program ends without success. The numbers are the exit statuses.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
pub enum Status {
    /// The kernel refused, or something else failed.
    Failed = 1,
    /// The command line is wrong. The parser of the command line uses the same number.
    Usage = 2,
    /// The driver is not loaded.
    NotLoaded = 3,
    /// There is no such device, or it has been removed.
    NoDevice = 4,
    /// The caller may not do this.
    NotPermitted = 5,
    /// The condition of `wait` was not met in time.
    TimedOut = 6,
}

/// The meaning of each exit status, for the manual page.
pub const STATUSES: [(u8, &str); 7] = [
    (0, "Success."),
    (
        Status::Failed as u8,
        "The kernel refused the change, or another error.",
    ),
    (Status::Usage as u8, "The command line is wrong."),
    (
        Status::NotLoaded as u8,
        "The module is not loaded, or /sys is not mounted.",
    ),
    (
        Status::NoDevice as u8,
        "There is no device of that name, or it was removed during the command.",
    ),
    (
        Status::NotPermitted as u8,
        "The command needs more privileges.",
    ),
    (
        Status::TimedOut as u8,
        "The condition of wait was not met within the timeout.",
    ),
];

/// An error: a line of text, and the exit status.
#[derive(Debug)]
pub struct Error {
    /// The exit status.
    pub status: Status,
    /// What failed, and what to do about it. Empty if the reader of the output is gone.
    pub text: String,
}

/// The result of everything that can fail.
pub type Result<T = ()> = std::result::Result<T, Error>;

impl Error {
    /// An error with that status and text.
    pub fn new(status: Status, text: impl Into<String>) -> Self {
        Self {
            status,
            text: text.into(),
        }
    }

    /// What an operation on a file or a device failed with.
    pub fn io(what: impl fmt::Display, error: &io::Error) -> Self {
        let status = match error.kind() {
            io::ErrorKind::PermissionDenied => Status::NotPermitted,
            _ => Status::Failed,
        };
        Self::new(status, format!("{what}: {}", reason(error)))
    }
}

impl fmt::Display for Error {
    fn fmt(&self, to: &mut fmt::Formatter<'_>) -> fmt::Result {
        to.write_str(&self.text)
    }
}

/// The text of an error of the system, without its number.
pub fn reason(error: &io::Error) -> String {
    let text = error.to_string();
    match text.split_once(" (os error ") {
        Some((text, _)) => text.to_string(),
        None => text,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn texts_have_no_numbers() {
        let error = io::Error::from_raw_os_error(16);
        assert_eq!(Error::io("/x", &error).text, "/x: Device or resource busy");
        assert_eq!(reason(&io::Error::other("why")), "why");
    }

    #[test]
    fn permission_has_its_own_status() {
        let error = io::Error::from_raw_os_error(13);
        assert_eq!(Error::io("/x", &error).status, Status::NotPermitted);
    }
}
