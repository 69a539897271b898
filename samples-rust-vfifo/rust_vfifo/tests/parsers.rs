// SPDX-License-Identifier: GPL-2.0
// Copyright (C) 2026 Seed 1f3ad1c2 maintainers.

//! Tests of the parsers of attributes.

use super::super::{
    attributes::{
        parse_capacity,
        parse_framing,
        parse_mode,
        parse_period_ms,
        parse_switch, //
    },
    fifo::MAX_CAPACITY,
    generator::Mode,
    ring::framing::Framing, //
};
use kernel::{
    b_str,
    page::PAGE_SIZE,
    prelude::*, //
};

#[kunit_tests(rust_vfifo_parsers)]
mod parser_tests {
    use super::*;

    #[test]
    fn modes() {
        assert_eq!(parse_mode(b_str!("0")), Ok(Mode::Manual));
        assert_eq!(parse_mode(b_str!("manual")), Ok(Mode::Manual));
        assert_eq!(parse_mode(b_str!("1")), Ok(Mode::Auto));
        assert_eq!(parse_mode(b_str!("auto")), Ok(Mode::Auto));
        for text in [
            "", "2", "-1", "00", "01", "1 ", " 1", "Auto", "AUTO", "manuall", "1\n", "\0",
        ] {
            assert_eq!(parse_mode(text.as_bytes().as_ref()), Err(EINVAL));
        }
    }

    #[test]
    fn switches() {
        assert_eq!(parse_switch(b_str!("0")), Ok(false));
        assert_eq!(parse_switch(b_str!("1")), Ok(true));
        for text in [
            "", "2", "-1", "+1", "00", "01", "1 ", " 1", "0x1", "y", "n", "on", "off", "1\n", "\0",
        ] {
            assert_eq!(parse_switch(text.as_bytes().as_ref()), Err(EINVAL));
        }
    }

    #[test]
    fn framings() {
        assert_eq!(parse_framing(b_str!("stream")), Ok(Framing::Stream));
        assert_eq!(parse_framing(b_str!("record")), Ok(Framing::Record));
        for text in [
            "", "0", "1", "streams", "strea", "Record", "record ", " record", "record\n",
        ] {
            assert_eq!(parse_framing(text.as_bytes().as_ref()), Err(EINVAL));
        }
    }

    #[test]
    fn periods() {
        assert_eq!(parse_period_ms(b_str!("1")), Ok(1));
        assert_eq!(parse_period_ms(b_str!("+1000")), Ok(1000));
        assert_eq!(parse_period_ms(b_str!("0x10")), Ok(16));
        assert_eq!(parse_period_ms(b_str!("+0X1f")), Ok(31));
        assert_eq!(parse_period_ms(b_str!("017")), Ok(15));
        assert_eq!(parse_period_ms(b_str!("3600000")), Ok(3_600_000));
        for text in [
            "0",
            "00",
            "3600001",
            "4294967296",
            "99999999999999999999999",
            "0x10000000000000000",
        ] {
            assert_eq!(parse_period_ms(text.as_bytes().as_ref()), Err(ERANGE));
        }
        for text in [
            "", "-", "ms", "1ms", "1 000", "1.5", "-1", "-0", " 1", "08", "0x", "0x+5", "0b1",
            "++1", "1_0", "\0",
        ] {
            assert_eq!(parse_period_ms(text.as_bytes().as_ref()), Err(EINVAL));
        }
    }

    #[test]
    fn capacities() {
        let page = PAGE_SIZE as u64;
        assert_eq!(parse_capacity(b_str!("1")), Ok(page));
        assert_eq!(parse_capacity(b_str!("4096")), Ok(page.max(4096)));
        assert_eq!(parse_capacity(b_str!("65537")), Ok(131072.max(page)));
        assert_eq!(parse_capacity(b_str!("0x100000")), Ok(1 << 20));
        assert_eq!(parse_capacity(b_str!("1073741824")), Ok(MAX_CAPACITY));
        for text in ["1073741825", "18446744073709551615", "18446744073709551616"] {
            assert_eq!(parse_capacity(text.as_bytes().as_ref()), Err(ERANGE));
        }
        for text in ["", "0", "-4096", "4k", "64 KiB", "0x", "12a", "\0"] {
            assert_eq!(parse_capacity(text.as_bytes().as_ref()), Err(EINVAL));
        }
    }
}
