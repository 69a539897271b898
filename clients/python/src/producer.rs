// SPDX-License-Identifier: GPL-2.0 OR MIT
// Copyright (C) 2026 Seed 1f3ad1c2 maintainers.

//! Producers of all kinds.

use crate::any::{self, Kind};
use crate::end::{open, End};
use crate::error::{to_py, with_path, wrong_kind};
use crate::file::File;
use crate::loan::Loan;
use crate::memory::Memory;
use crate::port::Port;
use crate::reservation::Reservation;
use crate::timeout::Timeout;
use pyo3::prelude::*;
use std::sync::Arc;
use vfifo::Error;

/// What producers of all kinds have in common.
#[pyclass(module = "vfifo", extends = End, subclass, frozen)]
pub(crate) struct AnyProducer {
    port: Arc<Port<any::AnyProducer>>,
    largest: usize,
}

impl AnyProducer {
    fn open(file: File, kind: Kind, class: &str) -> PyResult<PyClassInitializer<Self>> {
        let (fd, name) = open(file)?;
        let producer = match any::AnyProducer::new(kind, fd) {
            Err(Error::Kind(kind)) => return Err(wrong_kind(&kind, class, "Producer", name)),
            result => result.map_err(|error| with_path(error, name))?,
        };
        let largest = producer.largest();
        let port = Arc::new(Port::new(producer));
        let end = PyClassInitializer::from(End::new(port.clone()));
        Ok(end.add_subclass(Self { port, largest }))
    }
}

#[pymethods]
impl AnyProducer {
    /// Reserve room for `size` bytes, or for a record of up to that size, and wait until there is.
    ///
    /// The bytes can be stored in place. Nobody sees them until they are committed. There is one
    /// reservation at a time: this one replaces an earlier one.
    #[pyo3(signature = (size, timeout = Timeout::NONE), text_signature = "($self, size, timeout=None)")]
    fn reserve(&self, py: Python<'_>, size: usize, timeout: Timeout) -> PyResult<Reservation> {
        let mut end = self.port.start()?;
        let place = end.lend(py, size, &timeout, |producer| {
            let mut reservation = producer.reserve(size)?;
            let place = reservation.place();
            Ok((reservation, place))
        })?;
        // SAFETY: It is that of the reservation.
        let loan = unsafe { Loan::new(end.turn, place) };
        Ok(Reservation::new(self.port.clone(), loan))
    }

    /// Queue all of `data`, as one record if there are records, and wait until there is room for it.
    ///
    /// Either all of it is queued or, if there is an exception, nothing.
    #[pyo3(signature = (data, timeout = Timeout::NONE), text_signature = "($self, data, timeout=None)")]
    fn send(&self, py: Python<'_>, data: &Bound<'_, PyAny>, timeout: Timeout) -> PyResult<()> {
        let data = Memory::source(data)?;
        let len = data.len();
        let mut end = self.port.start()?;
        end.once(py, len, &timeout, |producer| {
            let mut place = match producer.reserve(len) {
                Err(Error::NotYet) => return Ok(None),
                result => result.map_err(to_py)?,
            };
            // SAFETY: That many bytes are reserved.
            unsafe { data.copy_to(place.place().0.cast(), len) }?;
            place.commit(len).map(Some).map_err(to_py)
        })
    }

    /// Raise NoReaders if all readers have gone, and Broken in the error state.
    fn check(&self) -> PyResult<()> {
        self.port.start()?.end().check().map_err(to_py)
    }
}

macro_rules! classes {
    ($(
        $(#[$doc:meta])*
        $class:ident = $kind:ident as $name:literal in $module:literal { $($methods:tt)* }
    )*) => {
        $(
            $(#[$doc])*
            #[pyclass(name = $name, module = $module, extends = AnyProducer, subclass, frozen)]
            pub(crate) struct $class;

            #[pymethods]
            impl $class {
                #[new]
                #[pyo3(signature = (file, /))]
                fn new(file: File) -> PyResult<PyClassInitializer<Self>> {
                    let class = concat!($module, ".", $name);
                    let base = AnyProducer::open(file, Kind::$kind, class)?;
                    Ok(base.add_subclass(Self))
                }

                $($methods)*
            }
        )*
    };
}

classes! {
    /// The producer's end of a FIFO of bytes. While this is open, nobody else puts bytes in.
    Producer = Stream as "Producer" in "vfifo" {
        /// Queue as many bytes of `data` as there is room for, and wait until there is room for one.
        /// Returns their number.
        #[pyo3(signature = (data, timeout = Timeout::NONE), text_signature = "($self, data, timeout=None)")]
        fn write(
            slf: PyRef<'_, Self>,
            py: Python<'_>,
            data: &Bound<'_, PyAny>,
            timeout: Timeout,
        ) -> PyResult<usize> {
            let data = Memory::source(data)?;
            if data.len() == 0 {
                return Ok(0);
            }
            let mut end = slf.as_super().port.start()?;
            end.once(py, 1, &timeout, |producer| {
                let len = producer.room().map_err(to_py)?.min(data.len());
                if len == 0 {
                    return Ok(None);
                }
                let mut place = producer.reserve(len).map_err(to_py)?;
                // SAFETY: That many bytes are reserved.
                unsafe { data.copy_to(place.place().0.cast(), len) }?;
                place.commit(len).map_err(to_py)?;
                Ok(Some(len))
            })
        }

        /// Wait until `size` bytes can be reserved.
        #[pyo3(signature = (size = 1, timeout = Timeout::NONE), text_signature = "($self, size=1, timeout=None)")]
        fn wait(slf: PyRef<'_, Self>, py: Python<'_>, size: usize, timeout: Timeout) -> PyResult<()> {
            slf.as_super().port.wait(py, size, &timeout)
        }

        /// The number of bytes that can be reserved now.
        fn room(slf: PyRef<'_, Self>) -> PyResult<usize> {
            slf.as_super().port.start()?.end().room().map_err(to_py)
        }
    }

    /// The producer's end of a FIFO of records. While this is open, nobody else puts records in.
    RecordProducer = Records as "RecordProducer" in "vfifo" {
        /// Wait until a record of `size` bytes fits.
        #[pyo3(signature = (size = 1, timeout = Timeout::NONE), text_signature = "($self, size=1, timeout=None)")]
        fn wait(slf: PyRef<'_, Self>, py: Python<'_>, size: usize, timeout: Timeout) -> PyResult<()> {
            slf.as_super().port.wait(py, size, &timeout)
        }

        /// The length of the largest record.
        #[getter]
        fn largest(slf: PyRef<'_, Self>) -> usize {
            slf.as_super().largest
        }
    }

    /// The producer's end of a FIFO of bytes, which overwrites the oldest ones. While this is open,
    /// nobody else puts bytes in.
    OverwritingProducer = OverwritingStream as "Producer" in "vfifo.overwriting" {}

    /// The producer's end of a FIFO of records, which overwrites the oldest ones. While this is open,
    /// nobody else puts records in.
    OverwritingRecordProducer = OverwritingRecords as "RecordProducer" in "vfifo.overwriting" {
        /// The length of the largest record.
        #[getter]
        fn largest(slf: PyRef<'_, Self>) -> usize {
            slf.as_super().largest
        }
    }
}
