// SPDX-License-Identifier: GPL-2.0
// Copyright (C) 2026 Seed 1f3ad1c2 maintainers.

//! The settings with which a device is made, and the line that is written to `new_device`.
//!
//! ```text
//!  NAME [OPTION=VALUE]...        separated by spaces or tabs
//! ```
//!
//! The options are the writable attributes, by their names and with their values, and `perm`. The
//! whole line is parsed before anything is done. An attribute that can be written to needs a line
//! in [`OPTIONS`].
//!
//! # Context
//!
//! Any. No function sleeps or takes a lock.

use super::{
    super::{
        attributes::{
            parse_capacity,
            parse_framing,
            parse_mode,
            parse_period_ms,
            parse_switch,
            Capacity,
            FramingFile,
            HangupFile,
            ModeFile,
            OverwriteFile,
            PeriodMs, //
        },
        generator::{
            Mode,
            DEFAULT_PERIOD_MS, //
        },
        ring::framing::Framing,
        Vfifo, //
    },
    name::Name, //
};
use kernel::{
    page::PAGE_SIZE,
    prelude::*,
    str::BStr,
    sysfs::Attribute, //
};

/// The mode of a node that nobody has chosen.
pub(crate) const DEFAULT_PERM: u16 = 0o600;

/// The settings with which a device is made.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Settings {
    /// The capacity in bytes, a result of `round_capacity()`.
    pub(crate) capacity: u64,
    /// The mode of the generator.
    pub(crate) mode: Mode,
    /// The period of the generator, in milliseconds.
    pub(crate) period_ms: u32,
    /// Whether closing an end hangs up.
    pub(crate) hangup: bool,
    /// What the bytes are.
    pub(crate) framing: Framing,
    /// Whether the producer overwrites the oldest bytes.
    pub(crate) overwrite: bool,
    /// The mode of the node, if it was chosen. If not, it is [`DEFAULT_PERM`], and udev's rules may
    /// choose another.
    pub(crate) perm: Option<u16>,
}

/// Parses the value of an option into the settings.
type Set = fn(&mut Settings, &BStr) -> Result;

/// All options.
const OPTIONS: [(&CStr, Set); 7] = [
    (<Capacity as Attribute<Vfifo>>::NAME, |settings, value| {
        settings.capacity = parse_capacity(value)?;
        Ok(())
    }),
    (<ModeFile as Attribute<Vfifo>>::NAME, |settings, value| {
        settings.mode = parse_mode(value)?;
        Ok(())
    }),
    (<PeriodMs as Attribute<Vfifo>>::NAME, |settings, value| {
        settings.period_ms = parse_period_ms(value)?;
        Ok(())
    }),
    (<HangupFile as Attribute<Vfifo>>::NAME, |settings, value| {
        settings.hangup = parse_switch(value)?;
        Ok(())
    }),
    (
        <FramingFile as Attribute<Vfifo>>::NAME,
        |settings, value| {
            settings.framing = parse_framing(value)?;
            Ok(())
        },
    ),
    (
        <OverwriteFile as Attribute<Vfifo>>::NAME,
        |settings, value| {
            settings.overwrite = parse_switch(value)?;
            Ok(())
        },
    ),
    (c"perm", |settings, value| {
        settings.perm = Some(parse_perm(value)?);
        Ok(())
    }),
];

impl Settings {
    /// What the module parameters say. `capacity` is a result of `round_capacity()`.
    ///
    /// # Errors
    ///
    /// [`ERANGE`] if `perm` is not a mode of a node.
    pub(crate) fn new(capacity: u64, hangup: bool, perm: u32) -> Result<Self> {
        let perm = check_perm(perm)?;
        Ok(Self {
            capacity,
            mode: Mode::Manual,
            period_ms: DEFAULT_PERIOD_MS,
            hangup,
            framing: Framing::Stream,
            overwrite: false,
            perm: (perm != DEFAULT_PERM).then_some(perm),
        })
    }

    /// Parses a line that was written to `new_device`. What it does not set is as in `self`.
    ///
    /// # Errors
    ///
    /// - [`EINVAL`] if the line is not of the form above, the name is not allowed, an option is
    ///   unknown or comes twice, or a value is not one of those that the attribute takes.
    /// - [`ERANGE`] if the attribute returns this for the value.
    pub(crate) fn parse(mut self, line: &BStr) -> Result<(Name, Self)> {
        // sysfs splits a longer text into several.
        if line.len() >= PAGE_SIZE {
            return Err(EINVAL);
        }
        let mut words = line
            .split(|byte| matches!(byte, b' ' | b'\t'))
            .filter(|word| !word.is_empty());
        let name = Name::parse_new(words.next().ok_or(EINVAL)?)?;
        let mut seen = [false; OPTIONS.len()];
        for word in words {
            let mut parts = word.splitn(2, |byte| *byte == b'=');
            let (option, value) = (parts.next(), parts.next().ok_or(EINVAL)?);
            let ((_, set), seen) = OPTIONS
                .iter()
                .zip(&mut seen)
                .find(|((name, _), _)| Some(name.to_bytes()) == option)
                .ok_or(EINVAL)?;
            if core::mem::replace(seen, true) {
                return Err(EINVAL);
            }
            set(&mut self, BStr::from_bytes(value))?;
        }
        Ok((name, self))
    }
}

/// Checks the mode of a node.
///
/// # Errors
///
/// [`ERANGE`] if it is not within 1 to 0777.
fn check_perm(perm: u32) -> Result<u16> {
    match u16::try_from(perm) {
        Ok(perm @ 1..=0o777) => Ok(perm),
        _ => Err(ERANGE),
    }
}

/// Parses the mode of a node: octal, with or without a `0` in front.
///
/// # Errors
///
/// [`EINVAL`] if the text is not an octal number, [`ERANGE`] if it is not within 1 to 0777.
fn parse_perm(text: &BStr) -> Result<u16> {
    if text.is_empty() {
        return Err(EINVAL);
    }
    let mut perm = 0u32;
    for digit in text.iter() {
        if !(b'0'..=b'7').contains(digit) {
            return Err(EINVAL);
        }
        // Many digits are too large, and do not overflow.
        perm = perm
            .saturating_mul(8)
            .saturating_add(u32::from(digit - b'0'));
    }
    check_perm(perm)
}
