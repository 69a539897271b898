// SPDX-License-Identifier: GPL-2.0
// Copyright (C) 2026 Seed 1f3ad1c2 maintainers.

//! vfifo: a FIFO device, `/dev/vfifoN`.
//!
//! Bytes go in at one end and come out at the other, as with a pipe. The buffer in between can be
//! mapped. Status and settings are in sysfs. See `Documentation/misc-devices/vfifo.rst`.
//!
//! ```text
//!   rust_vfifo.rs       module parameters, registration
//!     file.rs           system calls            -.
//!     attributes.rs     sysfs                    |--> fifo.rs, fifo/   locks, sleeping, waking
//!     generator.rs      mode auto               -'      ring.rs        positions, `waiting`
//!                                                       turn.rs        fairness among writers
//!     trace.rs, uapi.rs                          tracepoints; numbers of the UAPI header
//! ```

use kernel::{
    chrdev::Registration,
    class::{
        Class,
        Device, //
    },
    dynamic_debug::dynamic_pr_debug,
    prelude::*,
    sync::Arc, //
};

#[path = "rust_vfifo/attributes.rs"]
mod attributes;
#[path = "rust_vfifo/fifo.rs"]
mod fifo;
#[path = "rust_vfifo/file.rs"]
mod file;
#[path = "rust_vfifo/generator.rs"]
mod generator;
#[path = "rust_vfifo/ring.rs"]
mod ring;
#[cfg(CONFIG_SAMPLE_RUST_VFIFO_KUNIT_TEST)]
#[path = "rust_vfifo/tests.rs"]
mod tests;
#[path = "rust_vfifo/trace.rs"]
mod trace;
#[path = "rust_vfifo/turn.rs"]
mod turn;
#[path = "rust_vfifo/uapi.rs"]
mod uapi;

module! {
    type: VfifoModule,
    name: "rust_vfifo",
    authors: ["Seed 1f3ad1c2 maintainers"],
    description: "FIFO device with system call and mapped ends",
    license: "GPL",
    alias: ["vfifo"],
    params: {
        devices: u32 {
            default: 1,
            description: "Number of devices, 1 to 256",
        },
        buffer_size: u64 {
            default: 65536,
            description: "Capacity of each in bytes, up to 1 GiB; rounded up to a power of two",
        },
    },
}

/// The largest number of devices.
const MAX_DEVICES: u32 = 256;

/// A device.
#[pin_data]
pub(crate) struct Vfifo {
    fifo: Arc<fifo::Fifo>,
    #[pin]
    generator: generator::Generator,
}

impl Vfifo {
    fn new(index: u32, capacity: u64) -> Result<Arc<Self>> {
        let fifo = fifo::Fifo::new(index, capacity)?;
        Arc::pin_init(
            try_pin_init!(Self {
                generator <- generator::Generator::new(fifo.clone()),
                fifo,
            }),
            GFP_KERNEL,
        )
    }
}

struct VfifoModule {
    _registration: Pin<KBox<Registration<file::VfifoFile>>>,
}

impl kernel::Module for VfifoModule {
    fn init(_module: &'static ThisModule) -> Result<Self> {
        let devices = module_parameters::devices.value();
        let buffer_size = module_parameters::buffer_size.value();
        if !(1..=MAX_DEVICES).contains(&devices) {
            pr_err!("devices={} is not within 1 to {}\n", devices, MAX_DEVICES);
            return Err(EINVAL);
        }
        let capacity = fifo::round_capacity(buffer_size).map_err(|_| {
            pr_err!(
                "buffer_size={} is not within 1 to {}\n",
                buffer_size,
                fifo::MAX_CAPACITY
            );
            EINVAL
        })?;

        let class = Class::new(c"vfifo")?;
        let registration = Registration::new(c"vfifo", devices, |index, number| {
            let vfifo = Vfifo::new(index, capacity)?;
            dynamic_pr_debug!("vfifo{}: capacity {}\n", index, capacity);
            Device::new(
                &class,
                Some(number),
                fmt!("vfifo{}", index),
                vfifo,
                &attributes::GROUPS,
            )
        })?;
        pr_info!("loaded, devices={} capacity={}\n", devices, capacity);
        Ok(Self {
            _registration: registration,
        })
    }
}

impl Drop for VfifoModule {
    fn drop(&mut self) {
        pr_info!("unloaded\n");
    }
}
