// SPDX-License-Identifier: GPL-2.0 OR MIT
// Copyright (C) 2026 Seed 1f3ad1c2 maintainers.

//! The native part of the Python package `vfifo`: the crate `vfifo`, as classes.
//!
//! | file | |
//! |---|---|
//! | `error.rs` | the crate's errors as exceptions |
//! | `file.rs`, `timeout.rs`, `memory.rs` | arguments: files, timeouts, and objects that export their memory |
//! | `held.rs` | an end together with what borrows it, such as a reservation |
//! | `views.rs` | counts the views of what is in the buffer |
//! | `port.rs` | an end that several Python objects share, made of these three |
//! | `fork.rs` | tells children of this process from it |
//! | `loan.rs` | a place in the buffer, and its export to Python |
//! | the others | the classes |
//!
//! The Python part has the exceptions and what is for asyncio.

use pyo3::prelude::*;

mod any;
mod consumer;
mod end;
mod error;
mod file;
mod fork;
mod held;
mod info;
mod loan;
mod memory;
mod overwriting;
mod peeked;
mod port;
mod producer;
mod record_consumer;
mod records;
mod reservation;
mod timeout;
mod views;

/// The native part of the package vfifo.
#[pymodule]
fn _vfifo(module: &Bound<'_, PyModule>) -> PyResult<()> {
    fork::watch()?;
    module.add_class::<end::End>()?;
    module.add_class::<producer::AnyProducer>()?;
    module.add_class::<producer::Producer>()?;
    module.add_class::<producer::RecordProducer>()?;
    module.add_class::<reservation::Reservation>()?;
    module.add_class::<consumer::Consumer>()?;
    module.add_class::<peeked::Peeked>()?;
    module.add_class::<record_consumer::RecordConsumer>()?;
    module.add_class::<records::Records>()?;
    module.add_class::<records::Record>()?;
    module.add_class::<info::Info>()?;

    // They have the same names, in another module.
    let py = module.py();
    let overwriting = [
        (
            "OverwritingProducer",
            py.get_type::<producer::OverwritingProducer>(),
        ),
        (
            "OverwritingRecordProducer",
            py.get_type::<producer::OverwritingRecordProducer>(),
        ),
        (
            "OverwritingConsumer",
            py.get_type::<overwriting::Consumer>(),
        ),
        (
            "OverwritingRecordConsumer",
            py.get_type::<overwriting::RecordConsumer>(),
        ),
    ];
    for (name, class) in overwriting {
        module.add(name, class)?;
    }
    Ok(())
}
