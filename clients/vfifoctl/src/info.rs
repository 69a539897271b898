// SPDX-License-Identifier: GPL-2.0 OR MIT
// Copyright (C) 2026 Seed 1f3ad1c2 maintainers

//! The state of a device, from the ioctl `VFIFO_GET_INFO`.
//!
//! The file is opened for neither reading nor writing, so it is neither a reader nor a writer: that
//! this program looks at the device does not change its stream.

use rustix::fd::OwnedFd;
use rustix::fs::{open, Mode, OFlags};
use rustix::ioctl::{ioctl, ReadWriteOpcode, Updater};
use std::io;
use std::path::Path;

/// `struct vfifo_info`
#[repr(C)]
#[derive(Default)]
struct RawInfo {
    size: u32,
    version: u32,
    capacity: u64,
    data_offset: u64,
    producer_offset: u64,
    consumer_offset: u64,
    flags: u64,
}

/// `VFIFO_GET_INFO`
type GetInfo = ReadWriteOpcode<b'k', 3, RawInfo>;

/// `VFIFO_NO_WRITERS`
const NO_WRITERS: u64 = 32;

/// An open device.
#[derive(Debug)]
pub struct Info {
    file: OwnedFd,
}

impl Info {
    /// Opens the node, which needs permission to read and to write.
    pub fn open(node: &Path) -> io::Result<Self> {
        // O_ACCMODE: open(2) checks both permissions, and the file is good only for ioctls.
        let neither = OFlags::from_bits_retain(3);
        let flags = neither | OFlags::NONBLOCK | OFlags::CLOEXEC;
        Ok(Self {
            file: open(node, flags, Mode::empty())?,
        })
    }

    /// Whether anybody has the device open for writing.
    pub fn has_writers(&self) -> io::Result<bool> {
        let mut info = RawInfo {
            size: size_of::<RawInfo>() as u32,
            ..RawInfo::default()
        };
        // SAFETY: The request is that of the kernel's header for this structure, and the kernel
        // stores at most `size` bytes to it.
        unsafe { ioctl(&self.file, Updater::<GetInfo, _>::new(&mut info))? };
        // An older driver does not fill the flags.
        if (info.size as usize) < size_of::<RawInfo>() {
            return Err(io::ErrorKind::Unsupported.into());
        }
        Ok(info.flags & NO_WRITERS == 0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use rustix::ioctl::CompileTimeOpcode;

    /// As in the kernel's header.
    #[test]
    fn the_number_of_the_request() {
        assert_eq!(GetInfo::OPCODE.raw(), 0xc030_6b03);
    }

    #[test]
    fn other_files_are_refused() {
        assert!(Info::open(Path::new("/nonexistent")).is_err());
        let null = Info::open(Path::new("/dev/null")).unwrap();
        assert!(null.has_writers().is_err());
    }
}
