// SPDX-License-Identifier: GPL-2.0 OR MIT
// Copyright (C) 2026 Seed 1f3ad1c2 maintainers.

//! Copies of what may be overwritten meanwhile.

use crate::device::Bell;
use crate::end::End;
use crate::error::{Error, Result};
use crate::kind::Kind;
use crate::ring::overtaken::{Look, Next, Tries, Window};
use crate::ring::record::{is_aligned, offset, Record};
use crate::side::Tail;
use std::time::{Duration, Instant};

/// What a consumer has read.
///
/// ```no_run
/// # fn main() -> vfifo::Result<()> {
/// # use vfifo::overwriting::{Consumer, Copied};
/// let mut consumer = Consumer::open("/dev/vfifo0")?;
/// let mut bytes = [0; 100];
/// let Copied { len, lost } = consumer.read_wait(&mut bytes)?;
/// if lost > 0 {
///     println!("... {lost} bytes are missing ...");
/// }
/// println!("{}", String::from_utf8_lossy(&bytes[..len]));
/// # Ok(())
/// # }
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Copied {
    /// The number of bytes, or the length of the record.
    pub len: usize,
    /// The number of bytes before them that were lost: overwritten or skipped since what was read
    /// before. In a FIFO of records, headers and padding count.
    pub lost: u64,
}

/// The outcome of an attempt to read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[must_use = "only what was copied is there"]
pub(crate) enum Outcome {
    /// Bytes, or a record.
    Copied(Copied),
    /// Nothing is queued.
    Empty,
    /// Something is queued, but the producer has overwritten it during each of 16 attempts. Nothing
    /// was taken out. The next call goes on where this one has ended, and skips more.
    Overtaken,
}

impl Outcome {
    /// As a public function returns it.
    pub(crate) fn into_result(self) -> Result<Copied> {
        match self {
            Outcome::Copied(copied) => Ok(copied),
            Outcome::Empty => Err(Error::NotYet),
            Outcome::Overtaken => Err(Error::Overtaken),
        }
    }
}

/// Where to copy to.
pub(crate) enum To<'a> {
    Slice(&'a mut [u8]),
    /// Its contents are replaced.
    Vec(&'a mut Vec<u8>),
}

impl To<'_> {
    /// The largest number of bytes.
    fn most(&self) -> usize {
        match self {
            To::Slice(slice) => slice.len(),
            To::Vec(_) => usize::MAX,
        }
    }

    /// The place for `len` bytes, at most that number.
    fn place(&mut self, len: usize) -> &mut [u8] {
        match self {
            To::Slice(slice) => &mut slice[..len],
            To::Vec(vec) => {
                vec.resize(len, 0);
                vec
            }
        }
    }

    /// Nothing was copied after all.
    fn clear(&mut self) {
        if let To::Vec(vec) = self {
            vec.clear();
        }
    }
}

/// A consumer that copies what may be overwritten meanwhile.
pub(crate) struct Reader<K: Kind, B: Bell> {
    pub(crate) end: End<Tail<K>, B>,
    tries: Tries,
}

impl<K: Kind, B: Bell> Reader<K, B> {
    pub(crate) fn new(end: End<Tail<K>, B>) -> Self {
        let tries = Tries::new(K::FRAMING);
        Self { end, tries }
    }

    /// Calls `copy` until it returns something other than [`None`]: it was overtaken. Or until it
    /// was overtaken so often that the caller should know.
    pub(crate) fn read(
        &mut self,
        mut to: To<'_>,
        copy: impl Fn(&mut End<Tail<K>, B>, &Tries, &mut To<'_>) -> Result<Option<Outcome>>,
    ) -> Result<Outcome> {
        let result = loop {
            match copy(&mut self.end, &self.tries, &mut to) {
                Ok(None) => self.end.ring.overtaken(&mut self.tries),
                Ok(Some(outcome)) => break Ok(outcome),
                Err(error) => break Err(error),
            }
            match self.tries.next() {
                // The producer's lock is not for programs.
                Next::Retry | Next::Lock => {}
                Next::Pause => {
                    to.clear();
                    return Ok(Outcome::Overtaken);
                }
            }
        };
        self.tries = Tries::new(K::FRAMING);
        if !matches!(result, Ok(Outcome::Copied(_))) {
            to.clear();
        }
        result
    }

    /// As [`Reader::read`], but sleeps until there is something, and does not give up if it is
    /// overtaken.
    pub(crate) fn read_wait(
        &mut self,
        read: impl FnMut(&mut Self) -> Result<Outcome>,
    ) -> Result<Copied> {
        self.read_timeout(None, read)
    }

    /// As [`Reader::read_wait`], but sleeps no longer than `timeout`.
    pub(crate) fn read_timeout(
        &mut self,
        timeout: Option<Duration>,
        mut read: impl FnMut(&mut Self) -> Result<Outcome>,
    ) -> Result<Copied> {
        // A time that is too far away for the clock is never reached.
        let until = timeout.and_then(|timeout| Instant::now().checked_add(timeout));
        loop {
            let left = until.map(|until| until.saturating_duration_since(Instant::now()));
            self.end.wait(1, left)?.ok_or(Error::NotYet)?;
            match read(self)? {
                Outcome::Copied(copied) => return Ok(copied),
                Outcome::Empty => {}
                Outcome::Overtaken => std::thread::yield_now(),
            }
        }
    }
}

/// What [`End::find`] has found.
enum Found {
    Empty,
    Overtaken,
    Window(Window),
}

impl<K: Kind, B: Bell> End<Tail<K>, B> {
    fn find(&mut self, tries: &Tries, most: usize) -> Result<Found> {
        let look = self.ring.look(&mut self.cursor, tries, most as u64)?;
        Ok(match look {
            Look::Empty => Found::Empty,
            Look::Overtaken => Found::Overtaken,
            Look::Found(window) => Found::Window(window),
        })
    }

    fn load(&self, position: u64, to: &mut [u8]) {
        self.data.load(offset(position, self.cursor.capacity), to);
    }

    /// The header at the start of the window, or one that is refused if none can be there.
    fn load_header(&self, window: &Window) -> u64 {
        match is_aligned(window.start()) {
            true => {
                let offset = offset(window.start(), self.cursor.capacity);
                self.data.load_word(offset)
            }
            false => 0,
        }
    }

    /// Copies bytes. Returns [`None`] if that was overtaken.
    pub(crate) fn copy_bytes(&mut self, tries: &Tries, to: &mut To<'_>) -> Result<Option<Outcome>> {
        let most = to.most();
        let window = match self.find(tries, most)? {
            Found::Empty => return Ok(Some(Outcome::Empty)),
            Found::Overtaken => return Ok(None),
            Found::Window(window) => window,
        };
        let len = most.min(window.len() as usize);
        self.load(window.start(), to.place(len));
        let Some(intact) = self.ring.intact(&window) else {
            return Ok(None);
        };
        let lost = self.ring.take(&mut self.cursor, intact, len as u64);
        Ok(Some(Outcome::Copied(Copied { len, lost })))
    }

    /// Copies a record. Returns [`None`] if that was overtaken.
    pub(crate) fn copy_record(
        &mut self,
        tries: &Tries,
        to: &mut To<'_>,
    ) -> Result<Option<Outcome>> {
        let window = match self.find(tries, 1)? {
            Found::Empty => return Ok(Some(Outcome::Empty)),
            Found::Overtaken => return Ok(None),
            Found::Window(window) => window,
        };
        let raw = self.load_header(&window);
        let Some(intact) = self.ring.intact(&window) else {
            return Ok(None);
        };
        let record: Record = intact.record(raw)?;
        let len = record.len as usize;
        if len > to.most() {
            return Err(Error::Length);
        }
        self.load(record.payload(), to.place(len));
        let Some(intact) = self.ring.intact(&window) else {
            return Ok(None);
        };
        let lost = self.ring.take(&mut self.cursor, intact, record.size());
        Ok(Some(Outcome::Copied(Copied { len, lost })))
    }
}
