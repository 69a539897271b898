// SPDX-License-Identifier: GPL-2.0 OR MIT
// Copyright (C) 2026 Seed 1f3ad1c2 maintainers

//! `vfifoctl wait`: until a device is in some state.
//!
//! This looks at the attributes several times a second. To sleep in poll(2), it would have to open
//! the device for reading or writing. Then it would be a reader or a writer of the stream itself:
//! with `hangup` 1, its end could be the end of the stream for others.

use crate::device::{self, Device};
use crate::error::{Error, Result, Status};
use crate::explain;
use crate::info::Info;
use crate::root::Root;
use std::io;
use std::time::{Duration, Instant};

/// What to wait for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Condition {
    /// Something is queued.
    Readable,
    /// A write of up to `PIPE_BUF` bytes need not wait.
    Writable,
    /// At least that many bytes are queued.
    Queued(u64),
    /// All writers have left.
    Hangup,
}

/// The time between two looks. The first ones follow each other more quickly.
const SHORTEST: Duration = Duration::from_millis(1);
const LONGEST: Duration = Duration::from_millis(50);

const PIPE_BUF: u64 = 4096;

/// Waits. A timeout is an error with a status of its own.
pub fn run(root: &Root, argument: &str, condition: Condition, timeout: Option<Duration>) -> Result {
    let from = Instant::now();
    let mut stream = Stream::default();
    let device = Device::find(root, argument)?;
    possible(&device, condition)?;
    let info = match condition {
        Condition::Hangup => Some(
            Info::open(&root.path(&device.node)).map_err(|error| explain::open(&device, &error))?,
        ),
        _ => None,
    };
    let mut pause = SHORTEST;
    loop {
        let now = Device::find(root, argument)?;
        if now.number != device.number {
            return Err(device::gone(&device.name, &io::ErrorKind::NotFound.into()));
        }
        possible(&now, condition)?;
        let met = match &info {
            None => is_met(&now, condition),
            Some(info) => {
                let writers = info
                    .has_writers()
                    .map_err(|error| explain::info(&device, &error))?;
                stream.ended(writers, &now)
            }
        };
        if met {
            return Ok(());
        }
        let left = timeout.map(|timeout| timeout.saturating_sub(from.elapsed()));
        if left == Some(Duration::ZERO) {
            let text = format!(
                "{}: timed out waiting until {}",
                device.name,
                describe(condition)
            );
            return Err(Error::new(Status::TimedOut, text));
        }
        std::thread::sleep(left.map_or(pause, |left| left.min(pause)));
        pause = (pause * 2).min(LONGEST);
    }
}

fn describe(condition: Condition) -> String {
    match condition {
        Condition::Readable => "there is something to read".into(),
        Condition::Writable => "there is room to write".into(),
        Condition::Queued(bytes) => format!("{bytes} bytes are queued"),
        Condition::Hangup => "all writers have left".into(),
    }
}

/// An error for what can never happen with the present settings.
fn possible(device: &Device, condition: Condition) -> Result {
    let name = &device.name;
    match condition {
        Condition::Queued(bytes) if bytes > device.capacity() => Err(Error::new(
            Status::Failed,
            format!("{name} never has {bytes} bytes queued: its capacity is {}", device.capacity()),
        )),
        Condition::Hangup if !device.hangup() => Err(Error::new(
            Status::Failed,
            format!("the stream of {name} has no end while hangup is 0; run: sudo vfifoctl set {name} hangup=1"),
        )),
        _ => Ok(()),
    }
}

fn is_met(device: &Device, condition: Condition) -> bool {
    let (queued, capacity) = (device.queued(), device.capacity());
    match condition {
        Condition::Readable => queued > 0,
        Condition::Queued(bytes) => queued >= bytes,
        Condition::Writable => {
            // A record has a header of 8 bytes.
            let needed = match device.framing() {
                Some("record") => PIPE_BUF.min(capacity.saturating_sub(8)) + 8,
                _ => PIPE_BUF,
            };
            device.overwrite() || capacity.saturating_sub(queued) >= needed
        }
        Condition::Hangup => false,
    }
}

/// What has been seen of the writers.
#[derive(Debug, Default)]
struct Stream {
    /// Whether there have been writers since the beginning.
    met: bool,
    /// What the counters were at the beginning.
    before: Option<(u64, u64)>,
}

impl Stream {
    /// Whether the stream has ended: there are no writers, and there was one before. Queued bytes
    /// were left by one; a writer that came and went between two looks has changed a counter.
    fn ended(&mut self, writers: bool, device: &Device) -> bool {
        let now = (device.stat("bytes_written"), device.stat("hangups"));
        let before = *self.before.get_or_insert(now);
        self.met |= writers || device.queued() > 0 || now != before;
        self.met && !writers
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn device(attributes: &[(&str, &str)], written: u64) -> Device {
        let attributes = attributes
            .iter()
            .map(|(name, value)| (name.to_string(), value.to_string()));
        Device {
            name: "a".into(),
            node: "/dev/vfifo/a".into(),
            number: None,
            attributes: attributes.collect(),
            stats: [("bytes_written".to_string(), written)].into(),
        }
    }

    fn filled(queued: &str) -> Device {
        device(&[("capacity", "8192"), ("size", queued)], 0)
    }

    #[test]
    fn readable() {
        assert!(!is_met(&filled("0"), Condition::Readable));
        assert!(is_met(&filled("1"), Condition::Readable));
        assert!(!is_met(&filled("9"), Condition::Queued(10)));
        assert!(is_met(&filled("10"), Condition::Queued(10)));
    }

    #[test]
    fn writable() {
        assert!(is_met(&filled("4096"), Condition::Writable));
        assert!(!is_met(&filled("4097"), Condition::Writable));
        let records = |capacity, queued| {
            device(
                &[
                    ("capacity", capacity),
                    ("size", queued),
                    ("framing", "record"),
                ],
                0,
            )
        };
        assert!(!is_met(&records("8192", "4096"), Condition::Writable));
        assert!(is_met(&records("8192", "4088"), Condition::Writable));
        assert!(is_met(&records("4096", "0"), Condition::Writable));
        let overwriting = device(
            &[("capacity", "4096"), ("size", "4096"), ("overwrite", "1")],
            0,
        );
        assert!(is_met(&overwriting, Condition::Writable));
    }

    #[test]
    fn hangup_needs_a_writer_first() {
        let empty = filled("0");
        let mut stream = Stream::default();
        assert!(!stream.ended(false, &empty));
        assert!(!stream.ended(true, &empty));
        assert!(stream.ended(false, &empty));
    }

    #[test]
    fn hangup_after_a_quick_writer() {
        let mut stream = Stream::default();
        assert!(!stream.ended(false, &filled("0")));
        let written = device(&[("capacity", "8192"), ("size", "0")], 5);
        assert!(stream.ended(false, &written));
        // Before the first look.
        assert!(Stream::default().ended(false, &filled("7")));
    }

    #[test]
    fn impossible_conditions() {
        let error = possible(&filled("0"), Condition::Queued(8193)).unwrap_err();
        assert!(error.text.contains("its capacity is 8192"));
        let error = possible(&filled("0"), Condition::Hangup).unwrap_err();
        assert!(error.text.contains("sudo vfifoctl set a hangup=1"));
        assert!(possible(&filled("0"), Condition::Readable).is_ok());
    }
}
