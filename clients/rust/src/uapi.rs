// SPDX-License-Identifier: GPL-2.0 OR MIT
// Copyright (C) 2026 Seed 1f3ad1c2 maintainers.

//! Numbers and layouts of `linux/vfifo.h`.

use crate::ring::record::{ALIGN, HEADER_SIZE};
use std::mem::{align_of, offset_of};
use std::sync::atomic::{AtomicU32, AtomicU64};

/// `struct vfifo_info`.
#[repr(C)]
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Info {
    pub(crate) size: u32,
    pub(crate) version: u32,
    pub(crate) capacity: u64,
    pub(crate) data_offset: u64,
    pub(crate) producer_offset: u64,
    pub(crate) consumer_offset: u64,
    /// Not filled by an older kernel: see [`Info::has_flags`].
    pub(crate) flags: u64,
}

impl Info {
    /// Whether the kernel has filled `flags`. It need not fill fields that may follow.
    pub(crate) fn has_flags(&self) -> bool {
        self.size as usize >= offset_of!(Info, flags) + size_of::<u64>()
    }

    /// Whether all of these flags are set. A kernel that does not fill them has none of what they
    /// stand for.
    pub(crate) fn has(&self, flags: u64) -> bool {
        self.has_flags() && self.flags & flags == flags
    }
}

/// `struct vfifo_end`.
#[repr(C)]
pub(crate) struct EndPage {
    pub(crate) position: AtomicU64,
    pub(crate) reserved: [AtomicU64; 15],
    pub(crate) waiting: AtomicU32,
    pub(crate) reserved2: AtomicU32,
    pub(crate) reserved3: [AtomicU64; 15],
    /// Only in the page of a producer that overwrites.
    pub(crate) oldest: AtomicU64,
}

/// `struct vfifo_record`. It is loaded and stored as one `u64`: see [`Header`].
///
/// [`Header`]: crate::ring::record::Header
#[allow(dead_code, reason = "its fields are those of a `Header`")]
#[repr(C)]
pub(crate) struct Record {
    pub(crate) len: u32,
    pub(crate) flags: u32,
}

const _: () = assert!(size_of::<Record>() as u64 == HEADER_SIZE);
const _: () = assert!(ALIGN as usize % align_of::<AtomicU64>() == 0);

/// `_IOC()`. The encoding depends on the architecture.
const fn ioc(read: bool, write: bool, number: u32, size: usize) -> u32 {
    let old = cfg!(any(
        target_arch = "mips64",
        target_arch = "powerpc64",
        target_arch = "sparc64"
    ));
    let dir = match (old, read, write) {
        (true, false, false) => 1 << 29,
        (true, read, write) => (read as u32) << 30 | (write as u32) << 31,
        (false, read, write) => (write as u32) << 30 | (read as u32) << 31,
    };
    dir | (size as u32) << 16 | (b'k' as u32) << 8 | number
}

/// `VFIFO_HANGUP`
pub(crate) const HANGUP: u64 = 1;

/// `VFIFO_RECORDS`
pub(crate) const RECORDS: u64 = 2;

/// `VFIFO_OVERWRITE`
pub(crate) const OVERWRITE: u64 = 4;

/// `VFIFO_BROKEN`
pub(crate) const BROKEN: u64 = 8;

/// `VFIFO_NO_READERS`
pub(crate) const NO_READERS: u64 = 16;

/// `VFIFO_NO_WRITERS`
pub(crate) const NO_WRITERS: u64 = 32;

/// `VFIFO_GET_INFO`
pub(crate) const GET_INFO: u32 = ioc(true, true, 3, size_of::<Info>());

/// `VFIFO_NOTIFY`
pub(crate) const NOTIFY: u32 = ioc(false, false, 4, 0);

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ring::record::Header;
    use std::path::Path;

    /// The header, or [`None`] in a package of this crate, which does not include it.
    fn header() -> Option<String> {
        let crate_folder = Path::new(env!("CARGO_MANIFEST_DIR"));
        let in_repository = crate_folder.join("src/ring.rs").is_symlink();
        let header = crate_folder.join("../../uapi/vfifo.h");
        in_repository.then(|| std::fs::read_to_string(header).expect("uapi/vfifo.h"))
    }

    #[test]
    fn numbers_are_those_of_the_header() {
        let Some(header) = header() else {
            return;
        };
        for line in [
            "#define VFIFO_GET_INFO\t_IOWR('k', 3, struct vfifo_info)",
            "#define VFIFO_NOTIFY\t_IO('k', 4)",
            "#define VFIFO_HANGUP\t\t1",
            "#define VFIFO_RECORDS\t\t2",
            "#define VFIFO_OVERWRITE\t\t4",
            "#define VFIFO_BROKEN\t\t8",
            "#define VFIFO_NO_READERS\t16",
            "#define VFIFO_NO_WRITERS\t32",
        ] {
            assert!(header.contains(line), "{line}");
        }
        #[cfg(any(target_arch = "x86_64", target_arch = "aarch64"))]
        assert_eq!((GET_INFO, NOTIFY), (0xc030_6b03, 0x6b04));
    }

    #[test]
    fn flags_are_filled_by_a_kernel_that_knows_them() {
        for (size, has_flags) in [(8, false), (40, false), (47, false), (48, true), (56, true)] {
            let info = Info {
                size,
                ..Info::default()
            };
            assert_eq!(info.has_flags(), has_flags, "{size}");
            let info = Info {
                flags: RECORDS | OVERWRITE,
                ..info
            };
            assert_eq!(info.has(RECORDS), has_flags, "{size}");
            assert_eq!(info.has(RECORDS | OVERWRITE), has_flags, "{size}");
            assert!(!info.has(BROKEN) && !info.has(RECORDS | BROKEN), "{size}");
        }
    }

    /// The fields of a struct in the header, each with its type.
    fn fields<'a>(header: &'a str, name: &str) -> Vec<(&'a str, &'a str)> {
        let from = header.find(&format!("struct {name} {{\n")).expect(name);
        let body = header[from..].split_once("{\n").expect(name).1;
        body.split_once("};")
            .expect(name)
            .0
            .lines()
            .map(|line| {
                let line = line.trim().strip_suffix(';').expect(line);
                line.split_once(' ').expect(line)
            })
            .collect()
    }

    #[test]
    fn layouts_are_those_of_the_header() {
        let Some(header) = header() else {
            return;
        };
        let layout = |name| {
            let mut offset = 0;
            let mut result = Vec::new();
            for (kind, field) in fields(&header, name) {
                let (field, count) = match field.trim_end_matches(']').split_once('[') {
                    Some((field, count)) => (field, count.parse().expect(count)),
                    None => (field, 1),
                };
                result.push((field, offset));
                offset += count
                    * match kind {
                        "__u32" => 4,
                        "__u64" | "__aligned_u64" => 8,
                        _ => panic!("{kind}"),
                    };
            }
            (result, offset)
        };
        assert_eq!(
            layout("vfifo_info"),
            (
                vec![
                    ("size", offset_of!(Info, size)),
                    ("version", offset_of!(Info, version)),
                    ("capacity", offset_of!(Info, capacity)),
                    ("data_offset", offset_of!(Info, data_offset)),
                    ("producer_offset", offset_of!(Info, producer_offset)),
                    ("consumer_offset", offset_of!(Info, consumer_offset)),
                    ("flags", offset_of!(Info, flags)),
                ],
                size_of::<Info>()
            )
        );
        assert_eq!(
            layout("vfifo_end"),
            (
                vec![
                    ("position", offset_of!(EndPage, position)),
                    ("reserved", offset_of!(EndPage, reserved)),
                    ("waiting", offset_of!(EndPage, waiting)),
                    ("reserved2", offset_of!(EndPage, reserved2)),
                    ("reserved3", offset_of!(EndPage, reserved3)),
                    ("oldest", offset_of!(EndPage, oldest)),
                ],
                size_of::<EndPage>()
            )
        );
        assert_eq!(align_of::<EndPage>(), 8);
        assert_eq!(offset_of!(EndPage, oldest), 256);
        assert_eq!(
            layout("vfifo_record"),
            (
                vec![
                    ("len", offset_of!(Record, len)),
                    ("flags", offset_of!(Record, flags)),
                ],
                size_of::<Record>()
            )
        );
    }

    /// The ring, which knows nothing of C, takes a header apart as the struct does.
    #[test]
    fn headers_are_those_of_the_header_file() {
        let Header { len, flags } = Header::from_raw(u64::from_ne_bytes([1, 2, 3, 4, 5, 6, 7, 8]));
        // SAFETY: Both have eight bytes, of which any are valid.
        let record: Record = unsafe { std::mem::transmute([1u8, 2, 3, 4, 5, 6, 7, 8]) };
        assert_eq!((len, flags), (record.len, record.flags));
    }
}
