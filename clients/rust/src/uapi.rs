// SPDX-License-Identifier: GPL-2.0

//! Numbers and layouts of `linux/vfifo.h`.

use std::mem::offset_of;
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
}

/// `struct vfifo_end`.
#[repr(C)]
pub(crate) struct EndPage {
    pub(crate) position: AtomicU64,
    pub(crate) reserved: [AtomicU64; 15],
    pub(crate) waiting: AtomicU32,
    pub(crate) reserved2: AtomicU32,
}

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

/// `VFIFO_BROKEN`
pub(crate) const BROKEN: u64 = 8;

/// `VFIFO_NO_READERS`
pub(crate) const NO_READERS: u64 = 16;

/// `VFIFO_GET_INFO`
pub(crate) const GET_INFO: u32 = ioc(true, true, 3, size_of::<Info>());

/// `VFIFO_NOTIFY`
pub(crate) const NOTIFY: u32 = ioc(false, false, 4, 0);

#[cfg(test)]
mod tests {
    use super::*;
    use std::mem::align_of;

    const HEADER: &str = include_str!("../../../uapi/vfifo.h");

    #[test]
    fn numbers_are_those_of_the_header() {
        for line in [
            "#define VFIFO_GET_INFO\t_IOWR('k', 3, struct vfifo_info)",
            "#define VFIFO_NOTIFY\t_IO('k', 4)",
            "#define VFIFO_HANGUP\t\t1",
            "#define VFIFO_BROKEN\t\t8",
            "#define VFIFO_NO_READERS\t16",
        ] {
            assert!(HEADER.contains(line), "{line}");
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
        }
    }

    /// The fields of a struct in the header, each with its type.
    fn fields(name: &str) -> Vec<(&'static str, &'static str)> {
        let from = HEADER.find(&format!("struct {name} {{\n")).expect(name);
        let body = HEADER[from..].split_once("{\n").expect(name).1;
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
        let layout = |name| {
            let mut offset = 0;
            let mut result = Vec::new();
            for (kind, field) in fields(name) {
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
                ],
                size_of::<EndPage>()
            )
        );
        assert_eq!(align_of::<EndPage>(), 8);
    }
}
