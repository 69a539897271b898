// SPDX-License-Identifier: GPL-2.0
// Copyright (C) 2026 Seed 1f3ad1c2 maintainers.

//! The name of a device.
//!
//! There are two kinds:
//!
//! | kind | made | node |
//! |---|---|---|
//! | `vfifo` and a number | when the module is loaded | `/dev/vfifoN` |
//! | all others | by writing to `new_device` | `/dev/vfifo/NAME` |
//!
//! # Context
//!
//! Any: plain data.

use kernel::{
    fmt,
    prelude::*, //
};

/// The length of the longest name.
const MAX_LEN: usize = 31;

/// The name of the directory of nodes, and the beginning of a numbered name.
const PREFIX: &[u8] = b"vfifo";

/// The files of the class. They are in the same directory as links to its devices.
const RESERVED: [&[u8]; 2] = [b"new_device", b"delete_device"];

/// A name that a device can have. It consists of ASCII characters.
///
/// # Invariants
///
/// It is a letter and up to 30 letters, digits, `_`, `-` and `.`; the rest of `bytes` is zero.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Name {
    bytes: [u8; MAX_LEN],
}

impl Name {
    /// Parses the name of a device that may exist, of either kind.
    ///
    /// # Errors
    ///
    /// [`EINVAL`] if no device can have this name.
    pub(crate) fn parse(text: &[u8]) -> Result<Self> {
        let is_allowed =
            |byte: &u8| byte.is_ascii_alphanumeric() || matches!(byte, b'_' | b'-' | b'.');
        let begins_well = text.first().is_some_and(u8::is_ascii_alphabetic);
        if !begins_well || !text.iter().all(is_allowed) || RESERVED.contains(&text) {
            return Err(EINVAL);
        }
        let mut bytes = [0; MAX_LEN];
        let place = bytes.get_mut(..text.len()).ok_or(EINVAL)?;
        place.copy_from_slice(text);
        // INVARIANT: Just checked.
        Ok(Self { bytes })
    }

    /// Parses the name of a device that is to be added at run time.
    ///
    /// # Errors
    ///
    /// [`EINVAL`] if it is not a name, or is one of those that only exist from the start.
    pub(crate) fn parse_new(text: &[u8]) -> Result<Self> {
        let name = Self::parse(text)?;
        if name.is_numbered() {
            return Err(EINVAL);
        }
        Ok(name)
    }

    /// The name `vfifo` and `number`.
    pub(crate) fn numbered(number: u32) -> Self {
        let mut bytes = [0; MAX_LEN];
        let digits = number.checked_ilog10().unwrap_or(0) as usize + 1;
        let mut rest = number;
        for place in bytes.iter_mut().skip(PREFIX.len()).take(digits).rev() {
            *place = b'0' + (rest % 10) as u8;
            rest /= 10;
        }
        for (place, byte) in bytes.iter_mut().zip(PREFIX) {
            *place = *byte;
        }
        // INVARIANT: A letter, and at most 14 more letters and digits.
        Self { bytes }
    }

    /// Whether it is `vfifo` and a number.
    pub(crate) fn is_numbered(&self) -> bool {
        self.as_bytes()
            .strip_prefix(PREFIX)
            .is_some_and(|number| !number.is_empty() && number.iter().all(u8::is_ascii_digit))
    }

    /// The characters of the name.
    pub(crate) fn as_bytes(&self) -> &[u8] {
        self.bytes.split(|byte| *byte == 0).next().unwrap_or(&[])
    }
}

impl fmt::Display for Name {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        // The characters are ASCII, so this does not fail.
        f.write_str(core::str::from_utf8(self.as_bytes()).unwrap_or_default())
    }
}
