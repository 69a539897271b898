// SPDX-License-Identifier: GPL-2.0 OR MIT
// Copyright (C) 2026 Seed 1f3ad1c2 maintainers.

//! A producer of any kind: they can all do the same.

use crate::file::raw;
use crate::held::Lends;
use crate::loan::Place;
use crate::port::Wait;
use std::os::fd::{AsFd, AsRawFd, OwnedFd, RawFd};
use std::time::Duration;
use vfifo::{overwriting, Error, Pollable, Result};

/// The four kinds, of producers or of their reservations.
pub(crate) enum Any<S, R, OS, OR> {
    Stream(S),
    Records(R),
    OverwritingStream(OS),
    OverwritingRecords(OR),
}

pub(crate) type AnyProducer =
    Any<vfifo::Producer, vfifo::RecordProducer, overwriting::Producer, overwriting::RecordProducer>;

pub(crate) type AnyReservation<'a> = Any<
    vfifo::Reservation<'a>,
    vfifo::RecordReservation<'a>,
    overwriting::Reservation<'a>,
    overwriting::RecordReservation<'a>,
>;

/// The same for each.
macro_rules! each {
    ($any:expr, $one:ident => $result:expr) => {
        match $any {
            Any::Stream($one) => $result,
            Any::Records($one) => $result,
            Any::OverwritingStream($one) => $result,
            Any::OverwritingRecords($one) => $result,
        }
    };
}

/// The kind of a FIFO.
#[derive(Clone, Copy)]
pub(crate) enum Kind {
    Stream,
    Records,
    OverwritingStream,
    OverwritingRecords,
}

impl AnyProducer {
    pub(crate) fn new(kind: Kind, fd: OwnedFd) -> Result<Self> {
        Ok(match kind {
            Kind::Stream => Any::Stream(vfifo::Producer::from_fd(fd)?),
            Kind::Records => Any::Records(vfifo::RecordProducer::from_fd(fd)?),
            Kind::OverwritingStream => Any::OverwritingStream(overwriting::Producer::from_fd(fd)?),
            Kind::OverwritingRecords => {
                Any::OverwritingRecords(overwriting::RecordProducer::from_fd(fd)?)
            }
        })
    }

    pub(crate) fn reserve(&mut self, len: usize) -> Result<AnyReservation<'_>> {
        Ok(match self {
            Any::Stream(one) => Any::Stream(one.reserve(len)?),
            Any::Records(one) => Any::Records(one.reserve(len)?),
            Any::OverwritingStream(one) => Any::OverwritingStream(one.reserve(len)?),
            Any::OverwritingRecords(one) => Any::OverwritingRecords(one.reserve(len)?),
        })
    }

    pub(crate) fn check(&self) -> Result<()> {
        each!(self, one => one.check())
    }

    /// The length of the largest record, or the capacity.
    pub(crate) fn largest(&self) -> usize {
        match self {
            Any::Records(one) => one.largest(),
            Any::OverwritingRecords(one) => one.largest(),
            stream => stream.capacity(),
        }
    }

    /// How many bytes can be reserved now. Meant for a stream whose producer waits.
    pub(crate) fn room(&mut self) -> Result<usize> {
        match self {
            Any::Stream(one) => one.room(),
            other => Ok(other.largest()),
        }
    }
}

impl AnyReservation<'_> {
    pub(crate) fn place(&mut self) -> Place {
        Place(each!(self, one => one.as_raw()))
    }

    pub(crate) fn commit(self, len: usize) -> Result<()> {
        each!(self, one => one.commit(len))
    }

    /// Whether that many bytes can be committed.
    pub(crate) fn check(&self, len: usize) -> Result<()> {
        let (all, is_record) = match self {
            Any::Stream(one) => (one.len(), false),
            Any::Records(one) => (one.len(), true),
            Any::OverwritingStream(one) => (one.len(), false),
            Any::OverwritingRecords(one) => (one.len(), true),
        };
        match len <= all && (len > 0 || !is_record) {
            true => Ok(()),
            false => Err(Error::Range),
        }
    }
}

impl Lends for AnyProducer {
    type Loan<'a> = AnyReservation<'a>;
}

impl Wait for AnyProducer {
    fn capacity(&self) -> usize {
        each!(self, one => one.capacity())
    }

    fn fd(&self) -> RawFd {
        each!(self, one => raw(one))
    }

    fn news(&self) -> RawFd {
        match self {
            Any::Stream(one) => one.news().as_raw_fd(),
            Any::Records(one) => one.news().as_raw_fd(),
            // It never waits.
            Any::OverwritingStream(one) => one.as_fd().as_raw_fd(),
            Any::OverwritingRecords(one) => one.as_fd().as_raw_fd(),
        }
    }

    fn ask(&mut self, need: usize) -> Result<()> {
        match self {
            Any::Stream(one) => one.ask(need),
            Any::Records(one) => one.ask(need),
            Any::OverwritingStream(_) | Any::OverwritingRecords(_) => Ok(()),
        }
    }

    fn wait(&mut self, need: usize, timeout: Option<Duration>) -> Result<()> {
        match self {
            Any::Stream(one) => one.wait(need, timeout),
            Any::Records(one) => one.wait(need, timeout),
            Any::OverwritingStream(_) | Any::OverwritingRecords(_) => Ok(()),
        }
    }
}
