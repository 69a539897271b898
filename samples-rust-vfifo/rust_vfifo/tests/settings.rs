// SPDX-License-Identifier: GPL-2.0
// Copyright (C) 2026 Seed 1f3ad1c2 maintainers.

//! Tests of the line that is written to `new_device`.

use super::super::{
    generator::Mode,
    registry::{
        Name,
        Settings, //
    },
    ring::framing::Framing, //
};
use kernel::{
    page::PAGE_SIZE,
    prelude::*,
    str::BStr, //
};

/// The capacity of the module parameters.
const CAPACITY: u64 = 1 << 20;

/// Parses a line, with default settings.
fn parse(line: &[u8]) -> Result<(Name, Settings)> {
    Settings::new(CAPACITY, false, 0o600)?.parse(BStr::from_bytes(line))
}

/// The settings of a line that is accepted for a device of the name `a`.
fn settings(line: &str) -> Result<Settings> {
    match parse(line.as_bytes())? {
        (name, settings) if name.as_bytes() == b"a" => Ok(settings),
        _ => Err(ENOENT),
    }
}

#[kunit_tests(rust_vfifo_settings)]
mod settings_tests {
    use super::*;

    #[test]
    fn defaults() -> Result {
        let defaults = Settings::new(CAPACITY, false, 0o600)?;
        assert_eq!(defaults.capacity, CAPACITY);
        assert_eq!(defaults.mode, Mode::Manual);
        assert_eq!(defaults.period_ms, 1000);
        assert!(!defaults.hangup);
        assert_eq!(defaults.framing, Framing::Stream);
        assert!(!defaults.overwrite);
        assert_eq!(defaults.perm, None);
        for line in ["a", " a", "a ", "\ta\t", "  a  "] {
            assert_eq!(settings(line)?, defaults);
        }
        Ok(())
    }

    #[test]
    fn options() -> Result {
        let all = settings(concat!(
            "a capacity=1048577 mode=auto period_ms=7 ",
            "hangup=1 overwrite=1 framing=record perm=0660"
        ))?;
        assert_eq!(all.capacity, 2 << 20);
        assert_eq!(all.mode, Mode::Auto);
        assert_eq!(all.period_ms, 7);
        assert!(all.hangup);
        assert_eq!(all.framing, Framing::Record);
        assert!(all.overwrite);
        assert_eq!(all.perm, Some(0o660));
        let other = settings(concat!(
            "a\t perm=660  period_ms=0x7\thangup=1 mode=1 ",
            "framing=record overwrite=1 capacity=2097152 "
        ))?;
        assert_eq!(other, all);
        assert_eq!(settings("a period_ms=7")?.capacity, CAPACITY);
        Ok(())
    }

    #[test]
    fn perm() -> Result {
        for (text, perm) in [
            ("a perm=1", 1),
            ("a perm=0001", 1),
            ("a perm=600", 0o600),
            ("a perm=0600", 0o600),
            ("a perm=777", 0o777),
            ("a perm=00000000000000000000000000777", 0o777),
        ] {
            assert_eq!(settings(text)?.perm, Some(perm));
        }
        for text in [
            "a perm=0",
            "a perm=000",
            "a perm=1000",
            "a perm=4755",
            "a perm=20000000001",
            "a perm=200000000000000000000000000600",
        ] {
            assert_eq!(parse(text.as_bytes()).err(), Some(ERANGE));
        }
        for text in [
            "a perm=",
            "a perm=8",
            "a perm=0o600",
            "a perm=0x180",
            "a perm=-1",
            "a perm=rw",
            "a perm=+600",
            "a perm=6 0",
        ] {
            assert_eq!(parse(text.as_bytes()).err(), Some(EINVAL));
        }
        Ok(())
    }

    #[test]
    fn perm_of_the_module() {
        let settings = Settings::new(CAPACITY, false, 0o666);
        assert!(settings.is_ok_and(|settings| settings.perm == Some(0o666)));
        for perm in [0, 0o1000, 600_000, u32::MAX] {
            assert_eq!(Settings::new(CAPACITY, false, perm).err(), Some(ERANGE));
        }
    }

    #[test]
    fn refused() {
        for line in [
            "",
            " ",
            "\t",
            "=",
            "a=",
            "capacity=4096",
            "a b",
            "a capacity",
            "a capacity 4096",
            "a =4096",
            "a capacity=",
            "a capacity=0",
            "a capacity=-1",
            "a capacity=4k",
            "a capacity==4096",
            "a capacity=4096 capacity=4096",
            "a mode=manual perm=0600 mode=manual",
            "a mode=off",
            "a Mode=auto",
            "a mod=auto",
            "a modes=auto",
            "a size=0",
            "a period_ms=1\n",
            "a\nb",
            "a stats/dropped=0",
            "vfifo0",
            "vfifo0 capacity=4096",
            "new_device",
        ] {
            assert_eq!(parse(line.as_bytes()).err(), Some(EINVAL));
        }
        for line in [
            "a capacity=1073741825",
            "a period_ms=0",
            "a period_ms=3600001",
        ] {
            assert_eq!(parse(line.as_bytes()).err(), Some(ERANGE));
        }
    }

    #[test]
    fn lines_that_may_be_cut() -> Result {
        let mut line = KVec::from_elem(b' ', PAGE_SIZE, GFP_KERNEL)?;
        if let Some(first) = line.get_mut(0) {
            *first = b'a';
        }
        assert_eq!(parse(&line).err(), Some(EINVAL));
        assert!(parse(line.get(1..).unwrap_or_default()).is_err());
        assert!(parse(line.get(..PAGE_SIZE - 1).unwrap_or_default()).is_ok());
        Ok(())
    }
}
