// SPDX-License-Identifier: GPL-2.0 OR MIT
// Copyright (C) 2026 Seed 1f3ad1c2 maintainers.

use crate::device::Device;
use crate::error::Result;
use crate::uapi;
use std::fmt;
use std::os::fd::AsFd;

/// What a device is like, and the state that it is in.
///
/// This needs no claim, and the device may be open for reading or for writing only. A program that
/// does not know the kind of a FIFO can find out which type to use:
///
/// ```no_run
/// # fn main() -> vfifo::Result<()> {
/// use std::fs::OpenOptions;
/// use vfifo::{overwriting, Consumer, Info, RecordConsumer};
///
/// let file = OpenOptions::new().read(true).write(true).open("/dev/vfifo0")?;
/// let info = Info::of(&file)?;
/// match (info.has_records(), info.overwrites()) {
///     (false, false) => drop(Consumer::from_fd(file)?),
///     (true, false) => drop(RecordConsumer::from_fd(file)?),
///     (false, true) => drop(overwriting::Consumer::from_fd(file)?),
///     (true, true) => drop(overwriting::RecordConsumer::from_fd(file)?),
/// }
/// # Ok(())
/// # }
/// ```
///
/// While an end is mapped, the capacity and the kind do not change. Otherwise anything may have
/// changed by the time this is looked at.
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct Info {
    capacity: usize,
    flags: u64,
}

impl Info {
    /// Asks the kernel.
    ///
    /// # Errors
    ///
    /// [`Error::NotVfifo`](crate::Error::NotVfifo) if the file is none.
    pub fn of(file: impl AsFd) -> Result<Self> {
        let info = Device::info(file.as_fd())?;
        Ok(Self {
            // There is no larger buffer than fits into memory.
            capacity: info.capacity as usize,
            // An older kernel has nothing of what they stand for.
            flags: if info.has_flags() { info.flags } else { 0 },
        })
    }

    /// The capacity in bytes.
    pub fn capacity(&self) -> usize {
        self.capacity
    }

    /// Whether the FIFO consists of records: the attribute `framing` is `record`.
    pub fn has_records(&self) -> bool {
        self.flags & uapi::RECORDS != 0
    }

    /// Whether the producer overwrites the oldest bytes or records: the attribute `overwrite` is 1.
    pub fn overwrites(&self) -> bool {
        self.flags & uapi::OVERWRITE != 0
    }

    /// Whether the stream ends when everybody at one end has gone: the attribute `hangup` is 1, or
    /// the device has been removed.
    pub fn hangs_up(&self) -> bool {
        self.flags & uapi::HANGUP != 0
    }

    /// Whether the FIFO is in its error state.
    pub fn is_broken(&self) -> bool {
        self.flags & uapi::BROKEN != 0
    }

    /// Whether a file is open for reading. The file that was asked counts as well.
    pub fn has_readers(&self) -> bool {
        self.flags & uapi::NO_READERS == 0
    }

    /// Whether a file is open for writing. The file that was asked counts as well.
    pub fn has_writers(&self) -> bool {
        self.flags & uapi::NO_WRITERS == 0
    }
}

impl fmt::Debug for Info {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Info")
            .field("capacity", &self.capacity())
            .field("has_records", &self.has_records())
            .field("overwrites", &self.overwrites())
            .field("hangs_up", &self.hangs_up())
            .field("is_broken", &self.is_broken())
            .field("has_readers", &self.has_readers())
            .field("has_writers", &self.has_writers())
            .finish()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_flag_is_for_itself() {
        let answers = |flags| {
            let info = Info {
                capacity: 4096,
                flags,
            };
            [
                info.hangs_up(),
                info.has_records(),
                info.overwrites(),
                info.is_broken(),
                !info.has_readers(),
                !info.has_writers(),
            ]
        };
        assert_eq!(answers(0), [false; 6]);
        for bit in 0..6 {
            let mut expected = [false; 6];
            expected[bit] = true;
            assert_eq!(answers(1 << bit), expected, "{bit}");
        }
    }

    #[test]
    fn other_files_are_refused() {
        let null = std::fs::File::open("/dev/null").unwrap();
        assert_eq!(Info::of(null).unwrap_err().errno(), Some(libc::ENOTTY));
    }
}
