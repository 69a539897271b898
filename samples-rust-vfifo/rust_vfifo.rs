// SPDX-License-Identifier: GPL-2.0
// Copyright (C) 2026 Seed 1f3ad1c2 maintainers.

//! vfifo: FIFO devices, `/dev/vfifoN` and `/dev/vfifo/NAME`.
//!
//! Bytes go in at one end and come out at the other, as with a pipe. The buffer in between can be
//! mapped. Status and settings are in sysfs. See `Documentation/misc-devices/vfifo.rst`.
//!
//! ```text
//!   rust_vfifo.rs       module parameters, a device
//!     registry.rs       all devices, by name; adding and removing them
//!     file.rs           system calls            -.
//!     attributes.rs     sysfs                    |--> fifo.rs, fifo/   locks, sleeping, waking
//!     generator.rs      mode auto               -'      ring.rs        positions, `waiting`
//!                                                       turn.rs        fairness among writers
//!     trace.rs, uapi.rs                          tracepoints; numbers of the UAPI header
//! ```

use kernel::{
    class::{
        Class,
        Files, //
    },
    prelude::*,
    sync::Arc, //
};

use registry::{
    Name,
    Registry,
    Settings,
    FILES, //
};

#[path = "rust_vfifo/attributes.rs"]
mod attributes;
#[path = "rust_vfifo/fifo.rs"]
mod fifo;
#[path = "rust_vfifo/file.rs"]
mod file;
#[path = "rust_vfifo/generator.rs"]
mod generator;
#[path = "rust_vfifo/registry.rs"]
mod registry;
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
            description: "Number of devices that are made at load, 0 to 256",
        },
        buffer_size: u64 {
            default: 65536,
            description: "Capacity of each in bytes, up to 1 GiB; rounded up to a power of two",
        },
        hangup: u32 {
            default: 0,
            description: "1: closing an end means what it means for a pipe; 0: it means nothing",
        },
        perm: u32 {
            default: 0o600,
            description: "Mode of the nodes, 1 to 0777; octal only with a 0 in front (440 is 0670)",
        },
    },
}

/// The largest number of devices that are made when the module is loaded.
const MAX_DEVICES: u32 = 256;

/// What a device and its open files share.
#[pin_data]
pub(crate) struct Vfifo {
    fifo: Arc<fifo::Fifo>,
    #[pin]
    generator: generator::Generator,
}

impl Vfifo {
    /// Creates the FIFO of a device that is about to be added.
    ///
    /// # Errors
    ///
    /// [`ENOMEM`].
    fn new(name: Name, index: u32, settings: Settings) -> Result<Arc<Self>> {
        let fifo = fifo::Fifo::new(name, index, settings.capacity, settings.hangup)?;
        fifo.set_framing(settings.framing)?;
        fifo.set_overwrite(settings.overwrite)?;
        let vfifo = Arc::pin_init(
            try_pin_init!(Self {
                generator <- generator::Generator::new(fifo.clone()),
                fifo,
            }),
            GFP_KERNEL_ACCOUNT,
        )?;
        vfifo.generator.set_period_ms(settings.period_ms);
        vfifo.generator.set_mode(settings.mode)?;
        Ok(vfifo)
    }

    /// The device has been removed. Its files may still be open.
    ///
    /// # Context
    ///
    /// Process context, no lock held. May sleep.
    fn device_removed(&self) {
        // First: from now on the mode cannot become auto, since nobody could turn it off again.
        self.fifo.begin_removal();
        // Manual mode is never refused.
        let _ = self.generator.set_mode(generator::Mode::Manual);
        self.fifo.device_removed();
    }
}

struct VfifoModule {
    // Fields are dropped in this order: no device is added or removed any more when the files of
    // the class are gone.
    _files: Files<Registry>,
    _registry: Arc<Registry>,
}

impl kernel::Module for VfifoModule {
    fn init(_module: &'static ThisModule) -> Result<Self> {
        let devices = module_parameters::devices.value();
        let buffer_size = module_parameters::buffer_size.value();
        let perm = module_parameters::perm.value();
        if devices > MAX_DEVICES {
            pr_err!("devices={} is not within 0 to {}\n", devices, MAX_DEVICES);
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
        let hangup = match module_parameters::hangup.value() {
            0 => false,
            1 => true,
            hangup => {
                pr_err!("hangup={} is not 0 or 1\n", hangup);
                return Err(EINVAL);
            }
        };
        let defaults = Settings::new(capacity, hangup, perm).map_err(|_| {
            pr_err!(
                "perm={} is not within 1 to 0777 (an octal number begins with 0)\n",
                perm
            );
            EINVAL
        })?;

        let class = Class::new(c"vfifo")?;
        let registry = Registry::new(class.clone(), defaults)?;
        registry.add_numbered(devices)?;
        let files = Files::new(&class, registry.clone(), &FILES)?;
        registry.start(devices)?;
        // In octal, because `perm=440` is a decimal number, and thus 0670.
        pr_info!(
            "loaded, devices={} capacity={} hangup={} perm=0{:o}\n",
            devices,
            capacity,
            u8::from(hangup),
            perm
        );
        Ok(Self {
            _files: files,
            _registry: registry,
        })
    }
}

impl Drop for VfifoModule {
    fn drop(&mut self) {
        pr_info!("unloaded\n");
    }
}
