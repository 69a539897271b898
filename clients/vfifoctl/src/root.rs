// SPDX-License-Identifier: GPL-2.0 OR MIT
// Copyright (C) 2026 Seed 1f3ad1c2 maintainers

//! Where `/sys`, `/proc` and `/dev` are: below the root of the system, or below another folder.
//!
//! Tests use another folder (`--sysroot`). There, a node is a file that contains its device number,
//! and the links in `/proc` lead to it by their text.

use crate::error::{Error, Result, Status};
use std::fmt;
use std::fs::{self, File, OpenOptions};
use std::io::{self, Write};
use std::os::unix::fs::{FileTypeExt, MetadataExt};
use std::path::{Path, PathBuf};

/// The number of a device.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Number {
    /// Of the driver.
    pub major: u32,
    /// Of the device.
    pub minor: u32,
}

impl Number {
    /// From text such as `248:0`.
    pub fn parse(text: &str) -> Option<Self> {
        let (major, minor) = text.trim().split_once(':')?;
        Some(Self {
            major: major.parse().ok()?,
            minor: minor.parse().ok()?,
        })
    }

    fn from_raw(number: u64) -> Self {
        Self {
            major: rustix::fs::major(number),
            minor: rustix::fs::minor(number),
        }
    }
}

impl fmt::Display for Number {
    fn fmt(&self, to: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(to, "{}:{}", self.major, self.minor)
    }
}

/// The folder that has `sys`, `proc` and `dev`.
#[derive(Clone, Debug)]
pub struct Root {
    base: Option<PathBuf>,
}

impl Root {
    /// That folder, or the root of the system.
    pub fn new(base: Option<PathBuf>) -> Self {
        Self { base }
    }

    /// Where that absolute path is.
    pub fn path(&self, absolute: impl AsRef<Path>) -> PathBuf {
        let absolute = absolute.as_ref();
        match &self.base {
            Some(base) => base.join(absolute.strip_prefix("/").unwrap_or(absolute)),
            None => absolute.to_path_buf(),
        }
    }

    /// The folder of the class, which exists while the driver is loaded.
    pub fn class(&self) -> Result<PathBuf> {
        let class = self.path("/sys/class/vfifo");
        if class.is_dir() {
            return Ok(class);
        }
        let text = if self.path("/sys/class").is_dir() {
            "the driver is not loaded; load it with: sudo modprobe vfifo (if it is installed), or sudo insmod build/rust_vfifo.ko"
        } else {
            "/sys is not mounted; mount it with: sudo mount -t sysfs sysfs /sys"
        };
        Err(Error::new(Status::NotLoaded, text))
    }

    /// The number of the device that a link in `/proc/PID` leads to; none if it is not a character
    /// device.
    pub fn number_by_link(&self, link: &Path) -> Option<Number> {
        if self.base.is_some() {
            let target = fs::read_link(link).ok()?;
            let target = target.to_str()?;
            return self.number_in_file(target.strip_suffix(DELETED).unwrap_or(target));
        }
        // A link to a file on a server that does not answer must not stop us.
        let found = rustix::fs::statx(
            rustix::fs::CWD,
            link,
            rustix::fs::AtFlags::STATX_DONT_SYNC,
            rustix::fs::StatxFlags::TYPE,
        )
        .ok()?;
        let kind = rustix::fs::FileType::from_raw_mode(found.stx_mode.into());
        (kind == rustix::fs::FileType::CharacterDevice).then_some(Number {
            major: found.stx_rdev_major,
            minor: found.stx_rdev_minor,
        })
    }

    /// The number of the device that has that path and, in its file system, that inode.
    pub fn number_by_path(&self, path: &str, inode: u64) -> Option<Number> {
        if self.base.is_some() {
            return self.number_in_file(path.strip_suffix(DELETED).unwrap_or(path));
        }
        let found = fs::symlink_metadata(path).ok()?;
        (found.file_type().is_char_device() && found.ino() == inode)
            .then(|| Number::from_raw(found.rdev()))
    }

    fn number_in_file(&self, path: &str) -> Option<Number> {
        Number::parse(&fs::read_to_string(self.path(path)).ok()?)
    }
}

/// What `/proc` adds to the path of a file that is no longer there.
pub const DELETED: &str = " (deleted)";

/// Reads an attribute, without the newline at its end.
pub fn read_attribute(path: &Path) -> io::Result<String> {
    Ok(fs::read_to_string(path)?.trim_end_matches('\n').to_string())
}

/// Writes an attribute, in one call.
pub fn write_attribute(path: &Path, text: &str) -> io::Result<()> {
    let mut file: File = OpenOptions::new().write(true).open(path)?;
    let line = format!("{text}\n");
    match file.write(line.as_bytes())? {
        written if written == line.len() => Ok(()),
        _ => Err(io::Error::other("the kernel took only a part of the line")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers() {
        let number = Number {
            major: 248,
            minor: 3,
        };
        assert_eq!(Number::parse("248:3\n"), Some(number));
        assert_eq!(number.to_string(), "248:3");
        assert_eq!(Number::parse("hello"), None);
        assert_eq!(Number::parse("1:x"), None);
    }

    #[test]
    fn paths() {
        assert_eq!(Root::new(None).path("/sys/x"), Path::new("/sys/x"));
        let other = Root::new(Some("/tmp/r".into()));
        assert_eq!(other.path("/sys/x"), Path::new("/tmp/r/sys/x"));
    }

    #[test]
    fn the_number_of_a_real_device() {
        let root = Root::new(None);
        let null = Some(Number { major: 1, minor: 3 });
        assert_eq!(root.number_by_link(Path::new("/dev/null")), null);
        let inode = fs::metadata("/dev/null").unwrap().ino();
        assert_eq!(root.number_by_path("/dev/null", inode), null);
        assert_eq!(root.number_by_path("/dev/null", inode + 1), None);
        assert_eq!(root.number_by_link(Path::new("/proc/version")), None);
    }
}
