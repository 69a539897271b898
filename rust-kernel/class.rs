// SPDX-License-Identifier: GPL-2.0
// Copyright (C) 2026 Seed 1f3ad1c2 maintainers.

//! Device classes, and devices that exist only as members of one.
//!
//! A [`Class`] is a directory in `/sys/class`. A [`Device`] of it is created together with its
//! attributes, but user space gets no event for it until [`Device::announce`]. So a program that
//! hears of a device finds its attributes, and can open it if it has a number. The registration of
//! a character device announces its devices itself.
//!
//! A device with a number has a [`Node`], which says in what directory of `/dev` it is, and with
//! what mode. A class can have attributes of its own ([`Files`]), for example to add and remove
//! devices.
//!
//! # Order
//!
//! ```text
//!  class -> devices -> announce the devices -> Files     at first
//!  Files -> devices -> class                             at the end
//! ```
//!
//! [`Files`] can be written to as soon as they exist, so they come last, and go first. If nothing
//! may fail after the devices are announced, create [`Files`] before that, and let their methods
//! return [`EAGAIN`] until the driver is ready. No order is unsafe: each value keeps alive what it
//! needs.
//!
//! # Where things are
//!
//! - `class.rs`: [`Class`].
//! - `class/device.rs`: [`Device`], [`DeviceNumber`] and [`Node`].
//! - `class/attributes.rs`: [`Files`] and [`class_attributes!`].
//!
//! Not supported: parent devices, and variables that a class adds to events.
//!
//! C headers: [`include/linux/device.h`](srctree/include/linux/device.h),
//! [`include/linux/device/class.h`](srctree/include/linux/device/class.h)
//!
//! # Examples
//!
//! ```
//! use kernel::{
//!     class::{
//!         class_attributes,
//!         Class,
//!         Device,
//!         Files, //
//!     },
//!     str::{
//!         parse_int::ParseInt,
//!         BStr, //
//!     },
//!     sync::{
//!         atomic::{Atomic, Relaxed},
//!         Arc, //
//!     },
//!     sysfs::{
//!         sysfs_groups,
//!         Attribute, //
//!     },
//! };
//!
//! struct Samovar {
//!     target: Atomic<u32>,
//!     boiled: Atomic<u32>,
//! }
//!
//! struct Target;
//!
//! #[vtable]
//! impl Attribute<Samovar> for Target {
//!     const NAME: &'static CStr = c"target";
//!     type Value = u32;
//!
//!     fn show(samovar: &Samovar) -> Result<u32> {
//!         Ok(samovar.target.load(Relaxed))
//!     }
//!
//!     fn store(samovar: &Samovar, text: &BStr) -> Result {
//!         samovar.target.store(u32::from_str(text)?, Relaxed);
//!         Ok(())
//!     }
//! }
//!
//! struct Boiled;
//!
//! #[vtable]
//! impl Attribute<Samovar> for Boiled {
//!     const NAME: &'static CStr = c"boiled";
//!     type Value = u32;
//!
//!     fn show(samovar: &Samovar) -> Result<u32> {
//!         Ok(samovar.boiled.load(Relaxed))
//!     }
//! }
//!
//! sysfs_groups! {
//!     /// The files `target` and `stats/boiled` of a samovar.
//!     static FILES: Device<Samovar> = [
//!         { Target },
//!         c"stats" { Boiled },
//!     ];
//! }
//!
//! let class = Class::new(c"samovar")?;
//! let samovar = Samovar { target: Atomic::new(90), boiled: Atomic::new(0) };
//! let samovar = Arc::new(samovar, GFP_KERNEL)?;
//! let device = Device::new(&class, None, fmt!("samovar{}", 0), samovar, &FILES)?;
//! device.announce();
//! assert_eq!(device.data().target.load(Relaxed), 90);
//! dev_info!(device, "hot in a minute\n");
//!
//! struct Lit {
//!     lit: Atomic<u32>,
//! }
//!
//! struct Fire;
//!
//! #[vtable]
//! impl Attribute<Lit> for Fire {
//!     const NAME: &'static CStr = c"fire";
//!     type Value = u32;
//!
//!     fn show(lit: &Lit) -> Result<u32> {
//!         Ok(lit.lit.load(Relaxed))
//!     }
//! }
//!
//! class_attributes! {
//!     /// The file `/sys/class/samovar/fire`.
//!     static CLASS_FILES: Lit = [Fire];
//! }
//!
//! let lit = Arc::new(Lit { lit: Atomic::new(1) }, GFP_KERNEL)?;
//! let files = Files::new(&class, lit, &CLASS_FILES)?;
//! assert_eq!(files.data().lit.load(Relaxed), 1);
//! # Ok::<(), Error>(())
//! ```

mod attributes;
mod device;

pub use attributes::{
    class_attributes,
    Attributes,
    Files,
    RawAttribute, //
};
pub use device::{
    Device,
    DeviceNumber,
    Node, //
};

use kernel::{
    bindings,
    container_of,
    error::to_result,
    prelude::*,
    sync::{
        Arc,
        Completion,
        SetOnce, //
    },
    types::Opaque, //
};

/// A class of devices.
///
/// Must be dropped in process context, and may sleep then. Its devices and its [`Files`] keep it
/// alive.
///
/// C header: [`include/linux/device/class.h`](srctree/include/linux/device/class.h)
///
/// # Invariants
///
/// `raw` is registered. All of its devices are created by [`Device::new`], and all of its
/// attributes by [`Files::new`].
#[pin_data(PinnedDrop)]
pub struct Class {
    // What the attributes are about.
    data: SetOnce<attributes::Data>,
    #[pin]
    released: Completion,
    #[pin]
    raw: Opaque<bindings::class>,
}

// SAFETY: A class is not tied to a task.
unsafe impl Send for Class {}
// SAFETY: The driver core has its own locks.
unsafe impl Sync for Class {}

impl Class {
    /// Creates the class `/sys/class/NAME`.
    ///
    /// # Context
    ///
    /// Process context. May sleep.
    ///
    /// # Errors
    ///
    /// - [`EEXIST`] if there is a class of that name.
    /// - [`ENOMEM`] if memory could not be allocated.
    // Not inlined, so that `release()` is the one in this crate, and not a copy in the crate of the
    // driver.
    #[inline(never)]
    pub fn new(name: &'static CStr) -> Result<Arc<Self>> {
        // INVARIANT: If it cannot be registered, there is no `Class`.
        Arc::pin_init(
            try_pin_init!(Self {
                data: SetOnce::new(),
                released <- Completion::new(),
                // Last: if this fails, `release()` is not called, and there is nothing to undo.
                raw <- Opaque::try_ffi_init(|slot: *mut bindings::class| {
                    // SAFETY: `slot` is valid for writes. The class stays in place until `drop()`
                    // has waited for its release, and `name` outlives it.
                    unsafe {
                        slot.write(bindings::class {
                            name: name.as_char_ptr(),
                            devnode: Some(device::devnode),
                            class_release: Some(Self::release),
                            ..pin_init::zeroed()
                        });
                        to_result(bindings::class_register(slot))
                    }
                }),
            }),
            GFP_KERNEL,
        )
    }

    /// # Safety
    ///
    /// Must only be called by the driver core, with the class of a live `Class`.
    unsafe extern "C" fn release(class: *const bindings::class) {
        // SAFETY: As the caller promises. `drop()` waits for the completion below, so the `Class`
        // is still there.
        let this = unsafe { &*container_of!(Opaque::cast_from(class), Self, raw) };
        this.released.complete_all();
    }
}

#[pinned_drop]
impl PinnedDrop for Class {
    fn drop(self: Pin<&mut Self>) {
        // SAFETY: By the type invariants. The class has no devices or attributes left: each holds a
        // reference to `self`.
        unsafe { bindings::class_unregister(self.raw.get()) };
        self.released.wait_for_completion();
    }
}
