// SPDX-License-Identifier: GPL-2.0
// Copyright (C) 2026 Seed 1f3ad1c2 maintainers.

//! Tests of the numbers and layouts of the UAPI header.

use super::super::uapi;
use kernel::prelude::*;

#[kunit_tests(rust_vfifo_uapi)]
mod uapi_tests {
    use super::*;

    #[test]
    fn numbers_are_those_of_the_header() {
        assert_eq!(uapi::CLEAR, 0x6b01);
        assert_eq!(uapi::SET_MODE, 0x4004_6b02);
        assert_eq!(uapi::GET_INFO, 0xc030_6b03);
        assert_eq!(uapi::NOTIFY, 0x6b04);
        assert_eq!(uapi::PIPE_BUF, 4096);
    }

    /// Any size from the smallest on is accepted, but no other direction, type or number.
    #[test]
    fn info_may_grow() {
        let (direction, number) = (0xc000_0000, 0x6b03);
        for size in 0..0x4000 {
            let cmd = direction | size << 16 | number;
            assert_eq!(uapi::is_get_info(cmd), size >= uapi::INFO_MIN_SIZE as u32);
        }
        for cmd in [
            0x0028_6b03,
            0x4028_6b03,
            0x8028_6b03,
            0xc028_6a03,
            0xc028_6b02,
        ] {
            assert!(!uapi::is_get_info(cmd));
        }
    }

    #[test]
    fn info_is_laid_out_as_in_the_header() {
        let mut expected = [0; uapi::INFO_SIZE];
        let fields: [(usize, &[u8]); 7] = [
            (0, &48u32.to_ne_bytes()),
            (4, &1u32.to_ne_bytes()),
            (8, &8192u64.to_ne_bytes()),
            (16, &0u64.to_ne_bytes()),
            (24, &(2u64 << 30).to_ne_bytes()),
            (32, &(3u64 << 30).to_ne_bytes()),
            (40, &25u64.to_ne_bytes()),
        ];
        for (offset, bytes) in fields {
            expected[offset..][..bytes.len()].copy_from_slice(bytes);
        }
        let flags = uapi::HANGUP | uapi::BROKEN | uapi::NO_READERS;
        assert_eq!(uapi::info(100, 8192, flags), expected);
        assert_eq!(uapi::info(48, 8192, flags), expected);
        expected[..4].copy_from_slice(&24u32.to_ne_bytes());
        assert_eq!(uapi::info(24, 8192, flags), expected);
        assert_eq!(uapi::NO_WRITERS, 32);
    }
}
