// SPDX-License-Identifier: GPL-2.0
// Copyright (C) 2026 Seed 1f3ad1c2 maintainers.

//! The attributes of a device, in `/sys/class/vfifo/NAME/`. See
//! `Documentation/ABI/testing/sysfs-class-vfifo`.
//!
//! A new counter is added to `fifo/stats.rs`, to `numbers!` and to [`GROUPS`]. An attribute that
//! can be written to is also an option of `new_device`, see `registry/settings.rs`.
//!
//! # Context
//!
//! Process context, no lock held. Storing may sleep. Showing takes no lock that a transfer takes,
//! as these files are world-readable.

use super::{
    fifo::{
        self,
        Fifo,
        Side, //
    },
    generator::Mode,
    ring::framing::Framing,
    Vfifo, //
};
use core::ops::Deref;
use kernel::{
    b_str,
    class,
    prelude::*,
    str::{
        parse_int::ParseInt,
        BStr, //
    },
    sync::atomic::Relaxed,
    sysfs::{
        sysfs_groups,
        Attribute, //
    }, //
};

sysfs_groups! {
    /// All attributes. Those that can be stored have mode 0644, the others 0444.
    pub(crate) static GROUPS: class::Device<Vfifo> = [
        {
            Size,
            Capacity,
            ModeFile,
            PeriodMs,
            HangupFile,
            FramingFile,
            OverwriteFile,
            ProducerClaimed,
            ConsumerClaimed,
        },
        c"stats" {
            BytesWritten,
            BytesRead,
            BytesCleared,
            BytesOverwritten,
            RecordsWritten,
            RecordsRead,
            Dropped,
            ReaderSleeps,
            WriterSleeps,
            Notifies,
            Hangups,
            PositionErrors,
        },
    ];
}

/// The longest period in milliseconds: one hour.
const MAX_PERIOD_MS: u32 = 3_600_000;

/// Parses a mode. The newline has been removed from the text.
///
/// # Errors
///
/// [`EINVAL`] for anything but `0`, `1`, `manual` and `auto`.
pub(crate) fn parse_mode(text: &BStr) -> Result<Mode> {
    match text.deref() {
        b"0" | b"manual" => Ok(Mode::Manual),
        b"1" | b"auto" => Ok(Mode::Auto),
        _ => Err(EINVAL),
    }
}

/// Parses a switch. The newline has been removed from the text.
///
/// # Errors
///
/// [`EINVAL`] for anything but `0` and `1`.
pub(crate) fn parse_switch(text: &BStr) -> Result<bool> {
    match text.deref() {
        b"0" => Ok(false),
        b"1" => Ok(true),
        _ => Err(EINVAL),
    }
}

/// Parses a framing. The newline has been removed from the text.
///
/// # Errors
///
/// [`EINVAL`] for anything but `stream` and `record`.
pub(crate) fn parse_framing(text: &BStr) -> Result<Framing> {
    [Framing::Stream, Framing::Record]
        .into_iter()
        .find(|framing| framing.name().as_bytes() == text.deref())
        .ok_or(EINVAL)
}

/// Parses a number as C's `kstrtou64()` does: decimal, octal after `0` or hexadecimal after `0x`,
/// with an optional `+`.
///
/// # Errors
///
/// [`EINVAL`] if the text is not a number, [`ERANGE`] if the number has more than 64 bits.
fn parse_number(text: &BStr) -> Result<u64> {
    let digits = text.strip_prefix(b_str!("+")).unwrap_or(text);
    let is_number = match digits.deref() {
        [b'0', b'x' | b'X', hex @ ..] => !hex.is_empty() && hex.iter().all(u8::is_ascii_hexdigit),
        [b'0', octal @ ..] => octal.iter().all(|digit| (b'0'..=b'7').contains(digit)),
        decimal => !decimal.is_empty() && decimal.iter().all(u8::is_ascii_digit),
    };
    if !is_number {
        return Err(EINVAL);
    }
    u64::from_str(digits).map_err(|_| ERANGE)
}

/// Parses a period in milliseconds, from 1 to [`MAX_PERIOD_MS`].
///
/// # Errors
///
/// [`EINVAL`] if the text is not a number, [`ERANGE`] if it is not within 1 to 3,600,000.
pub(crate) fn parse_period_ms(text: &BStr) -> Result<u32> {
    match u32::try_from(parse_number(text)?) {
        Ok(period @ 1..=MAX_PERIOD_MS) => Ok(period),
        _ => Err(ERANGE),
    }
}

/// Parses a capacity in bytes, from 1 to [`fifo::MAX_CAPACITY`], and rounds it up.
///
/// # Errors
///
/// [`EINVAL`] if the text is not a number or zero, [`ERANGE`] if the number is larger than
/// [`fifo::MAX_CAPACITY`].
pub(crate) fn parse_capacity(text: &BStr) -> Result<u64> {
    fifo::round_capacity(parse_number(text)?)
}

/// The attribute of that name.
pub(crate) struct Capacity;

#[vtable]
impl Attribute<Vfifo> for Capacity {
    const NAME: &'static CStr = c"capacity";
    type Value = u64;

    fn show(vfifo: &Vfifo) -> Result<u64> {
        Ok(vfifo.fifo.capacity())
    }

    fn store(vfifo: &Vfifo, text: &BStr) -> Result {
        vfifo.fifo.resize(parse_capacity(text)?)
    }
}

/// The attribute of that name.
pub(crate) struct ModeFile;

#[vtable]
impl Attribute<Vfifo> for ModeFile {
    const NAME: &'static CStr = c"mode";
    type Value = u8;

    fn show(vfifo: &Vfifo) -> Result<u8> {
        Ok((vfifo.generator.mode() == Mode::Auto).into())
    }

    fn store(vfifo: &Vfifo, text: &BStr) -> Result {
        vfifo.generator.set_mode(parse_mode(text)?)
    }
}

/// The attribute of that name.
pub(crate) struct PeriodMs;

#[vtable]
impl Attribute<Vfifo> for PeriodMs {
    const NAME: &'static CStr = c"period_ms";
    type Value = u32;

    fn show(vfifo: &Vfifo) -> Result<u32> {
        Ok(vfifo.generator.period_ms())
    }

    fn store(vfifo: &Vfifo, text: &BStr) -> Result {
        vfifo.generator.set_period_ms(parse_period_ms(text)?);
        Ok(())
    }
}

/// The attribute `hangup`.
pub(crate) struct HangupFile;

#[vtable]
impl Attribute<Vfifo> for HangupFile {
    const NAME: &'static CStr = c"hangup";
    type Value = u8;

    fn show(vfifo: &Vfifo) -> Result<u8> {
        Ok(vfifo.fifo.hangup().into())
    }

    fn store(vfifo: &Vfifo, text: &BStr) -> Result {
        vfifo.fifo.set_hangup(parse_switch(text)?);
        Ok(())
    }
}

/// The attribute `framing`.
pub(crate) struct FramingFile;

#[vtable]
impl Attribute<Vfifo> for FramingFile {
    const NAME: &'static CStr = c"framing";
    type Value = &'static str;

    fn show(vfifo: &Vfifo) -> Result<&'static str> {
        Ok(vfifo.fifo.framing().name())
    }

    fn store(vfifo: &Vfifo, text: &BStr) -> Result {
        vfifo.fifo.set_framing(parse_framing(text)?)
    }
}

/// The attribute `overwrite`.
pub(crate) struct OverwriteFile;

#[vtable]
impl Attribute<Vfifo> for OverwriteFile {
    const NAME: &'static CStr = c"overwrite";
    type Value = u8;

    fn show(vfifo: &Vfifo) -> Result<u8> {
        Ok(vfifo.fifo.overwrites().into())
    }

    fn store(vfifo: &Vfifo, text: &BStr) -> Result {
        vfifo.fifo.set_overwrite(parse_switch(text)?)
    }
}

/// Declares attributes that show a number.
macro_rules! numbers {
    ($($type:ident: $name:literal, $value:ty, $show:expr;)+) => {$(
        struct $type;

        #[vtable]
        impl Attribute<Vfifo> for $type {
            const NAME: &'static CStr = $name;
            type Value = $value;

            fn show(vfifo: &Vfifo) -> Result<$value> {
                let show: fn(&Fifo) -> $value = $show;
                Ok(show(&vfifo.fifo))
            }
        }
    )+};
}

numbers! {
    Size: c"size", u64, |fifo| fifo.size();
    ProducerClaimed: c"producer_claimed", u8, |fifo| fifo.is_claimed(Side::Producer).into();
    ConsumerClaimed: c"consumer_claimed", u8, |fifo| fifo.is_claimed(Side::Consumer).into();
    BytesWritten: c"bytes_written", u64, |fifo| fifo.bytes_written();
    BytesRead: c"bytes_read", u64, |fifo| fifo.bytes_read();
    BytesCleared: c"bytes_cleared", u64, |fifo| fifo.bytes_cleared();
    BytesOverwritten: c"bytes_overwritten", u64, |fifo| fifo.bytes_overwritten();
    RecordsWritten: c"records_written", u64, |fifo| fifo.stats.records_written.load(Relaxed);
    RecordsRead: c"records_read", u64, |fifo| fifo.stats.records_read.load(Relaxed);
    Dropped: c"dropped", u64, |fifo| fifo.stats.dropped.load(Relaxed);
    ReaderSleeps: c"reader_sleeps", u64, |fifo| fifo.stats.reader_sleeps.load(Relaxed);
    WriterSleeps: c"writer_sleeps", u64, |fifo| fifo.stats.writer_sleeps.load(Relaxed);
    Notifies: c"notifies", u64, |fifo| fifo.stats.notifies.load(Relaxed);
    Hangups: c"hangups", u64, |fifo| fifo.stats.hangups.load(Relaxed);
    PositionErrors: c"position_errors", u64, |fifo| fifo.stats.position_errors.load(Relaxed);
}
