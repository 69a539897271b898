// SPDX-License-Identifier: GPL-2.0 OR MIT
// Copyright (C) 2026 Seed 1f3ad1c2 maintainers.

//! Errors.

use crate::kind::Kinds;
use crate::ring::framing::Refused;
use crate::ring::Broken;
use std::{fmt, io};

/// The result of an operation on a FIFO.
pub type Result<T, E = Error> = std::result::Result<T, E>;

/// Why an operation on a FIFO did not succeed.
///
/// The first four say what state the FIFO is in, and a program usually treats them differently:
///
/// ```no_run
/// # use std::time::Duration;
/// use vfifo::{Consumer, Error};
///
/// # fn main() -> vfifo::Result<()> {
/// let mut consumer = Consumer::open("/dev/vfifo0")?;
/// loop {
///     match consumer.peek_timeout(1, Duration::from_secs(1)) {
///         Ok(bytes) => {
///             let len = bytes.len();
///             bytes.release(len)?;
///         }
///         Err(Error::NotYet) => println!("nothing for a second"),
///         Err(Error::Ended(_)) => break,
///         Err(Error::Broken) => panic!("the producer does not follow the protocol"),
///         Err(error) => return Err(error),
///     }
/// }
/// # Ok(())
/// # }
/// ```
///
/// Each one converts to an [`io::Error`] with the error number that the table shows, so `?` works
/// in functions that return [`io::Result`].
///
/// | | errno |
/// |---|---|
/// | [`Error::NotYet`] | `EAGAIN` |
/// | [`Error::Ended`] | `ENODATA` for a consumer, `EPIPE` for a producer |
/// | [`Error::Overtaken`] | `ESTALE` |
/// | [`Error::Broken`] | `EIO` |
/// | [`Error::Length`] | `EMSGSIZE` |
/// | [`Error::Range`] | `EINVAL` |
/// | [`Error::Claimed`] | `EBUSY` |
/// | [`Error::NotVfifo`] | `ENOTTY` |
/// | [`Error::Kind`] | `EOPNOTSUPP`; the `io::Error` is of kind [`Unsupported`], and has the message instead of the number |
/// | [`Error::Io`] | that of the system call |
///
/// [`Unsupported`]: io::ErrorKind::Unsupported
#[derive(Debug)]
#[non_exhaustive]
pub enum Error {
    /// Nothing is queued yet, or there is no room yet, or not as much as was asked for. If the
    /// operation had a timeout, it has expired.
    NotYet,
    /// There never will be what was asked for, since everybody at the other end has gone.
    ///
    /// This is reported if the device's attribute `hangup` is 1 and there was somebody, or if the
    /// device has been removed. What was queued before can still be used. If somebody comes back,
    /// the stream goes on.
    Ended(Gone),
    /// Something is queued, but the producer has overwritten it during each of several attempts to
    /// copy it. Nothing was taken out. The next attempt goes on where this one has ended, and skips
    /// more. Only for [`overwriting`](crate::overwriting).
    Overtaken,
    /// The FIFO is in its error state: the other end has stored an impossible position, or the
    /// header of a record is impossible. The kernel repairs this when the end that did it is given
    /// back.
    Broken,
    /// No record can have this length, or the record is longer than the buffer for it. It stays
    /// queued.
    Length,
    /// More than the capacity was asked for, or more than what was reserved or peeked at. Nothing
    /// was done.
    Range,
    /// The end has an owner already.
    Claimed,
    /// The file is not a vfifo.
    NotVfifo,
    /// The FIFO is of another kind than the type that was used. The message names the right one.
    Kind(WrongKind),
    /// A system call has failed.
    Io(io::Error),
}

/// Who has gone, see [`Error::Ended`].
///
/// ```
/// use vfifo::{Error, Gone};
/// assert_eq!(Error::Ended(Gone::Readers).to_string(), "all readers have gone");
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Gone {
    /// All readers: this is for a producer.
    Readers,
    /// All writers: this is for a consumer.
    Writers,
}

/// A FIFO is of another kind than the type that was used to open it.
///
/// ```no_run
/// // /dev/vfifo0 has records.
/// match vfifo::Producer::open("/dev/vfifo0") {
///     // ... use vfifo::RecordProducer, not vfifo::Producer
///     Err(vfifo::Error::Kind(wrong)) => println!("{wrong}"),
///     _ => unreachable!(),
/// }
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct WrongKind {
    /// The kind of the FIFO.
    pub(crate) found: Kinds,
    /// The kind that the type is for.
    pub(crate) wanted: Kinds,
    /// Whether the type is that of a producer.
    pub(crate) is_producer: bool,
}

impl WrongKind {
    /// Whether the FIFO consists of records.
    pub fn has_records(&self) -> bool {
        self.found.records
    }

    /// Whether the producer of the FIFO overwrites the oldest bytes or records.
    pub fn overwrites(&self) -> bool {
        self.found.overwrites
    }

    /// The public type for a kind.
    fn name(&self, kinds: Kinds) -> String {
        let module = if kinds.overwrites {
            "overwriting::"
        } else {
            ""
        };
        let records = if kinds.records { "Record" } else { "" };
        let end = match self.is_producer {
            true => "Producer",
            false => "Consumer",
        };
        format!("vfifo::{module}{records}{end}")
    }
}

impl fmt::Display for WrongKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "the framing of this FIFO is \"{}\" and its overwrite is {}: use {}, not {}",
            if self.found.records {
                "record"
            } else {
                "stream"
            },
            u32::from(self.found.overwrites),
            self.name(self.found),
            self.name(self.wanted),
        )
    }
}

impl std::error::Error for WrongKind {}

impl Error {
    /// The number of this error, as C programs know it. [`None`] only for an [`Error::Io`] that has
    /// none.
    pub fn errno(&self) -> Option<i32> {
        Some(match self {
            Error::NotYet => libc::EAGAIN,
            Error::Ended(Gone::Writers) => libc::ENODATA,
            Error::Ended(Gone::Readers) => libc::EPIPE,
            Error::Overtaken => libc::ESTALE,
            Error::Broken => libc::EIO,
            Error::Length => libc::EMSGSIZE,
            Error::Range => libc::EINVAL,
            Error::Claimed => libc::EBUSY,
            Error::NotVfifo => libc::ENOTTY,
            Error::Kind(_) => libc::EOPNOTSUPP,
            Error::Io(error) => return error.raw_os_error(),
        })
    }
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Error::NotYet => "nothing is queued yet, or there is no room yet",
            Error::Ended(Gone::Writers) => "all writers have gone",
            Error::Ended(Gone::Readers) => "all readers have gone",
            Error::Overtaken => "the producer has overwritten what was about to be read",
            Error::Broken => "the FIFO is in its error state: a position or header is impossible",
            Error::Length => "no record can have this length, or the buffer for it is too small",
            Error::Range => "more than the capacity, or than what was reserved or peeked at",
            Error::Claimed => "this end of the FIFO is mapped already, by this program or another",
            Error::NotVfifo => "this file is not a vfifo",
            Error::Kind(wrong) => return wrong.fmt(f),
            Error::Io(error) => return error.fmt(f),
        })
    }
}

impl std::error::Error for Error {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        match self {
            // Its message is that of this error, so the source is what is below.
            Error::Io(error) => error.source(),
            _ => None,
        }
    }
}

impl From<io::Error> for Error {
    fn from(error: io::Error) -> Self {
        Error::Io(error)
    }
}

impl From<Error> for io::Error {
    fn from(error: Error) -> Self {
        match (error.errno(), error) {
            (_, Error::Io(error)) => error,
            (Some(errno), error) if !matches!(error, Error::Kind(_)) => {
                io::Error::from_raw_os_error(errno)
            }
            (_, error) => io::Error::new(io::ErrorKind::Unsupported, error),
        }
    }
}

impl From<Broken> for Error {
    #[cold]
    fn from(_: Broken) -> Self {
        Error::Broken
    }
}

impl From<Refused> for Error {
    fn from(refused: Refused) -> Self {
        match refused {
            Refused::Broken => Error::Broken,
            Refused::Length => Error::Length,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn wrong_kind() -> Error {
        Error::Kind(WrongKind {
            found: Kinds {
                records: true,
                overwrites: false,
            },
            wanted: Kinds {
                records: false,
                overwrites: false,
            },
            is_producer: true,
        })
    }

    #[test]
    fn numbers_reach_an_io_error() {
        for (error, errno) in [
            (Error::NotYet, libc::EAGAIN),
            (Error::Ended(Gone::Writers), libc::ENODATA),
            (Error::Ended(Gone::Readers), libc::EPIPE),
            (Error::Overtaken, libc::ESTALE),
            (Error::Broken, libc::EIO),
            (Error::Length, libc::EMSGSIZE),
            (Error::Range, libc::EINVAL),
            (Error::Claimed, libc::EBUSY),
            (Error::NotVfifo, libc::ENOTTY),
            (
                io::Error::from_raw_os_error(libc::EINTR).into(),
                libc::EINTR,
            ),
        ] {
            assert_eq!(error.errno(), Some(errno));
            assert_eq!(io::Error::from(error).raw_os_error(), Some(errno));
        }
        assert_eq!(
            io::Error::from(Error::NotYet).kind(),
            io::ErrorKind::WouldBlock
        );
    }

    /// The type to use is worth more than a number.
    #[test]
    fn a_wrong_kind_keeps_its_message() {
        let error = wrong_kind();
        assert_eq!(error.errno(), Some(libc::EOPNOTSUPP));
        let message = error.to_string();
        let error = io::Error::from(error);
        assert_eq!(error.kind(), io::ErrorKind::Unsupported);
        assert_eq!(error.to_string(), message);
        let inner = error.get_ref().unwrap().downcast_ref::<Error>();
        assert!(matches!(inner, Some(Error::Kind(wrong)) if wrong.has_records()));
    }

    #[test]
    fn an_io_error_comes_back_as_it_was() {
        let error = io::Error::new(io::ErrorKind::NotFound, "no such thing");
        let error = Error::from(error);
        assert_eq!(
            (error.errno(), &*error.to_string()),
            (None, "no such thing")
        );
        assert_eq!(io::Error::from(error).kind(), io::ErrorKind::NotFound);
    }

    /// Every operation returns one, or something of its size.
    #[test]
    fn is_small() {
        assert!(size_of::<Error>() <= 2 * size_of::<usize>());
    }

    #[test]
    fn can_be_sent() {
        fn good<T: std::error::Error + Send + Sync + 'static>() {}
        good::<Error>();
        good::<WrongKind>();
    }
}
