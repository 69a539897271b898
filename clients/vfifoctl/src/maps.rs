// SPDX-License-Identifier: GPL-2.0 OR MIT
// Copyright (C) 2026 Seed 1f3ad1c2 maintainers

//! Which parts of a vfifo a process has mapped, from `/proc/PID/maps`.
//!
//! A writable mapping of the producer page or of the consumer page is the claim on that end. A
//! mapping also keeps the device open after its descriptor has been closed.

/// The offset of the producer page in the file, as `VFIFO_GET_INFO` returns it.
const PRODUCER_OFFSET: u64 = 2 << 30;
/// The offset of the consumer page.
const CONSUMER_OFFSET: u64 = 3 << 30;

/// What a mapping is of.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Part {
    /// The buffer, or a page of an end that is mapped read-only.
    Seen,
    /// The producer page, writable.
    Producer,
    /// The consumer page, writable.
    Consumer,
}

/// A mapping of what may be a vfifo.
#[derive(Debug, PartialEq, Eq)]
pub struct Area<'a> {
    /// The range of addresses, which is also the name of a link in `/proc/PID/map_files`.
    pub range: &'a str,
    /// What is mapped, if it is a vfifo.
    pub part: Part,
    /// The inode of the file.
    pub inode: u64,
    /// The path of the file.
    pub path: &'a str,
}

/// The shared mappings of files in a text with the form of `/proc/PID/maps`.
pub fn parse(maps: &str) -> impl Iterator<Item = Area<'_>> {
    maps.lines().filter_map(line)
}

fn line(line: &str) -> Option<Area<'_>> {
    // 7f0c00000000-7f0c00001000 rw-s 80000000 00:06 123        /dev/vfifo0
    let (range, rest) = line.split_once(' ')?;
    let (access, rest) = rest.split_once(' ')?;
    let (offset, rest) = rest.split_once(' ')?;
    let (_, rest) = rest.split_once(' ')?;
    let (inode, path) = rest.split_once(' ')?;
    let path = path.trim_start();
    if !access.ends_with('s') || !path.starts_with('/') {
        return None;
    }
    let part = match u64::from_str_radix(offset, 16).ok()? {
        PRODUCER_OFFSET if access.contains('w') => Part::Producer,
        CONSUMER_OFFSET if access.contains('w') => Part::Consumer,
        _ => Part::Seen,
    };
    let inode = inode.parse().ok()?;
    Some(Area {
        range,
        part,
        inode,
        path,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn areas() {
        let maps = "\
55d000000000-55d000001000 r--p 00000000 fe:00 99                         /usr/bin/cat
7f0000000000-7f0000020000 rw-s 00000000 00:06 123                        /dev/vfifo0
7f0000020000-7f0000021000 rw-s 80000000 00:06 123                        /dev/vfifo0
7f0000021000-7f0000022000 r--s c0000000 00:06 123                        /dev/vfifo0
7f0000022000-7f0000023000 rw-s c0000000 00:06 124                        /dev/vfifo/a b (deleted)
7f0000023000-7f0000024000 rw-s 00000000 00:01 5                          anon_inode:[x]
7ffc00000000-7ffc00021000 rw-p 00000000 00:00 0                          [stack]
7ffc00021000-7ffc00022000 rw-p 00000000 00:00 0 
";
        let found: Vec<_> = parse(maps)
            .map(|area| (area.part, area.inode, area.path))
            .collect();
        assert_eq!(
            found,
            [
                (Part::Seen, 123, "/dev/vfifo0"),
                (Part::Producer, 123, "/dev/vfifo0"),
                (Part::Seen, 123, "/dev/vfifo0"),
                (Part::Consumer, 124, "/dev/vfifo/a b (deleted)"),
            ]
        );
        assert_eq!(
            parse(maps).next().unwrap().range,
            "7f0000000000-7f0000020000"
        );
    }

    #[test]
    fn other_text() {
        assert_eq!(parse("").count(), 0);
        assert_eq!(
            parse("hello\n a b c d e f\n- rw-s zz 0:0 1 /x\n").count(),
            0
        );
    }
}
