// SPDX-License-Identifier: GPL-2.0 OR MIT
// Copyright (C) 2026 Seed 1f3ad1c2 maintainers.

//! The kinds of FIFOs: what the data consists of, and what a producer does if there is no room.

use crate::error::{Error, Result, WrongKind};
use crate::ring::framing::Framing;
use crate::uapi::{self, Info};

/// A kind, as the type of an end knows it.
pub(crate) trait Kind {
    const FRAMING: Framing;
    const OVERWRITES: bool;
}

/// Bytes, and a producer that waits for room.
pub(crate) enum Stream {}

impl Kind for Stream {
    const FRAMING: Framing = Framing::Stream;
    const OVERWRITES: bool = false;
}

/// Records, and a producer that waits for room.
pub(crate) enum Records {}

impl Kind for Records {
    const FRAMING: Framing = Framing::Record;
    const OVERWRITES: bool = false;
}

/// Bytes, and a producer that overwrites the oldest ones.
pub(crate) enum OverwritingStream {}

impl Kind for OverwritingStream {
    const FRAMING: Framing = Framing::Stream;
    const OVERWRITES: bool = true;
}

/// Records, and a producer that overwrites the oldest ones.
pub(crate) enum OverwritingRecords {}

impl Kind for OverwritingRecords {
    const FRAMING: Framing = Framing::Record;
    const OVERWRITES: bool = true;
}

/// The two attributes that make a kind.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Kinds {
    pub(crate) records: bool,
    pub(crate) overwrites: bool,
}

/// Returns an error unless the FIFO is of the kind `K`.
pub(crate) fn check<K: Kind>(info: &Info, is_producer: bool) -> Result<()> {
    let wanted = Kinds {
        records: K::FRAMING == Framing::Record,
        overwrites: K::OVERWRITES,
    };
    let found = Kinds {
        records: info.has(uapi::RECORDS),
        overwrites: info.has(uapi::OVERWRITE),
    };
    match wanted == found {
        true => Ok(()),
        false => Err(Error::Kind(WrongKind {
            found,
            wanted,
            is_producer,
        })),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn result<K: Kind>(flags: u64) -> std::result::Result<(), String> {
        let info = Info {
            size: size_of::<Info>() as u32,
            flags,
            ..Info::default()
        };
        check::<K>(&info, true).map_err(|error| {
            assert!(matches!(error, Error::Kind(_)));
            error.to_string()
        })
    }

    #[test]
    fn each_kind_is_for_itself() {
        for (flags, name) in [
            (0, "vfifo::Producer"),
            (2, "vfifo::RecordProducer"),
            (4, "vfifo::overwriting::Producer"),
            (6, "vfifo::overwriting::RecordProducer"),
        ] {
            // Flags with another meaning make no difference.
            let flags = flags | uapi::HANGUP | uapi::NO_READERS | 1 << 40;
            let results = [
                ("vfifo::Producer", result::<Stream>(flags)),
                ("vfifo::RecordProducer", result::<Records>(flags)),
                (
                    "vfifo::overwriting::Producer",
                    result::<OverwritingStream>(flags),
                ),
                (
                    "vfifo::overwriting::RecordProducer",
                    result::<OverwritingRecords>(flags),
                ),
            ];
            for (tried, result) in results {
                match result {
                    Ok(()) => assert_eq!(tried, name),
                    Err(message) => {
                        assert_ne!(tried, name);
                        let end = format!(": use {name}, not {tried}");
                        assert!(message.ends_with(&end), "{message}");
                    }
                }
            }
        }
        assert_eq!(
            result::<Stream>(2).unwrap_err(),
            "the framing of this FIFO is \"record\" and its overwrite is 0: \
             use vfifo::RecordProducer, not vfifo::Producer"
        );
    }

    /// A kernel that does not fill the flags has only one kind of FIFO.
    #[test]
    fn an_older_kernel_has_streams() {
        let info = Info {
            size: 40,
            flags: 6,
            ..Info::default()
        };
        assert!(check::<Stream>(&info, false).is_ok());
        assert!(check::<Records>(&info, false).is_err());
        assert!(check::<OverwritingStream>(&info, false).is_err());
        assert!(check::<OverwritingRecords>(&info, false).is_err());
    }
}
