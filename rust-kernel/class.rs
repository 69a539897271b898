// SPDX-License-Identifier: GPL-2.0
// Copyright (C) 2026 Seed 1f3ad1c2 maintainers.

//! Device classes, and devices that exist only as members of one.
//!
//! A [`Class`] is a directory in `/sys/class`. A [`Device`] of it is created together with its
//! attributes, but user space gets no event for it until [`Device::announce`]. So a program that
//! hears of a device finds its attributes, and can open it if it has a number. The registration of
//! a character device announces its devices itself.
//!
//! Not supported: parent devices, and classes with attributes or with node names of their own.
//!
//! C headers: [`include/linux/device.h`](srctree/include/linux/device.h),
//! [`include/linux/device/class.h`](srctree/include/linux/device/class.h)
//!
//! # Examples
//!
//! ```
//! use kernel::{
//!     class::{
//!         Class,
//!         Device, //
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
//! # Ok::<(), Error>(())
//! ```

use core::{
    iter,
    ptr::{
        self,
        NonNull, //
    }, //
};
use kernel::{
    bindings,
    container_of,
    device,
    error::{
        from_err_ptr,
        to_result, //
    },
    fmt,
    prelude::*,
    sync::{
        Arc,
        Completion, //
    },
    sysfs,
    types::Opaque, //
};

/// A device number: a major number of 12 bits and a minor number of 20 bits.
///
/// C header: [`include/linux/kdev_t.h`](srctree/include/linux/kdev_t.h)
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct DeviceNumber(pub(crate) bindings::dev_t);

/// A class of devices.
///
/// Must be dropped in process context, and may sleep then. Its devices keep it alive.
///
/// C header: [`include/linux/device/class.h`](srctree/include/linux/device/class.h)
///
/// # Invariants
///
/// `class` was created by `class_create()`, and is used only to add devices to.
pub struct Class {
    class: NonNull<bindings::class>,
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
    pub fn new(name: &'static CStr) -> Result<Arc<Self>> {
        // SAFETY: `name` is a C string that outlives the class.
        let class = from_err_ptr(unsafe { bindings::class_create(name.as_char_ptr()) })?;
        // INVARIANT: Just created.
        let class = Self {
            class: NonNull::new(class).ok_or(ENOMEM)?,
        };
        Ok(Arc::new(class, GFP_KERNEL)?)
    }
}

impl Drop for Class {
    fn drop(&mut self) {
        // SAFETY: By the type invariants. The class has no devices left: each holds a reference to
        // `self`.
        unsafe { bindings::class_destroy(self.class.as_ptr()) };
    }
}

/// A `struct device`.
///
/// Dropping it waits until the last reference to it is gone: only then may the memory be freed, and
/// the code of `release()` be unloaded. `mod_kobject_put()` does the same in C.
///
/// # Invariants
///
/// `raw` was initialised by `device_initialize()`, with `release` set to [`RawDevice::release`].
#[pin_data(PinnedDrop)]
struct RawDevice {
    #[pin]
    raw: Opaque<bindings::device>,
    #[pin]
    released: Completion,
}

impl RawDevice {
    // Not generic and not inlined, so that `release()` is the one in this crate, and not a copy in
    // the crate of the driver.
    #[inline(never)]
    fn new() -> Result<Pin<KBox<Self>>> {
        // INVARIANT: As required.
        KBox::pin_init(
            pin_init!(Self {
                raw <- Opaque::ffi_init(|slot: *mut bindings::device| {
                    // SAFETY: `slot` is valid for writes, and `device_initialize()` expects a
                    // zeroed device.
                    unsafe {
                        slot.write(pin_init::zeroed());
                        bindings::device_initialize(slot);
                        (*slot).release = Some(Self::release);
                    }
                }),
                released <- Completion::new(),
            }),
            GFP_KERNEL,
        )
    }

    /// # Safety
    ///
    /// Must only be called by the driver core, with the device of a live `RawDevice`.
    unsafe extern "C" fn release(raw: *mut bindings::device) {
        // SAFETY: As the caller promises. `drop()` waits for the completion below, so the
        // `RawDevice` is still there.
        let this = unsafe { &*container_of!(Opaque::cast_from(raw), Self, raw) };
        this.released.complete_all();
    }
}

#[pinned_drop]
impl PinnedDrop for RawDevice {
    fn drop(self: Pin<&mut Self>) {
        // SAFETY: By the type invariants, the device is initialised. This drops the reference that
        // it was initialised with.
        unsafe { bindings::put_device(self.raw.get()) };
        self.released.wait_for_completion();
    }
}

/// A device that is a member of a [`Class`], with a `T` that its driver keeps for it.
///
/// Must be dropped in process context. Dropping it removes the device, its node and its attributes.
/// It sleeps until the attributes that are being shown or stored are finished, and until the last
/// reference to the device is gone. So a task that drops it must not itself keep such a reference,
/// as an [`ARef`] of its [`device::Device`].
///
/// C header: [`include/linux/device.h`](srctree/include/linux/device.h)
///
/// # Invariants
///
/// `device` has been added, and its driver data points at the `T` in `data`.
///
/// [`ARef`]: kernel::sync::aref::ARef
pub struct Device<T: Send + Sync + 'static> {
    // Fields are dropped in this order: until the device is gone, the data and the class must stay.
    device: Pin<KBox<RawDevice>>,
    data: Arc<T>,
    _class: Arc<Class>,
}

// SAFETY: A device is not tied to a task, and neither is `T`.
unsafe impl<T: Send + Sync + 'static> Send for Device<T> {}
// SAFETY: The driver core has its own locks, and `T` may be shared.
unsafe impl<T: Send + Sync + 'static> Sync for Device<T> {}

// SAFETY: The driver data is set before the attributes are registered. It is dropped after they are
// unregistered, which waits until none is in use.
unsafe impl<T: Send + Sync + 'static> sysfs::Host for Device<T> {
    type Data = T;

    unsafe fn data<'a>(device: *mut bindings::device) -> &'a T {
        // SAFETY: The caller promises that `device` was created by `Device::<T>::new()`, and that
        // its attributes are registered for `'a`.
        unsafe { &*bindings::dev_get_drvdata(device).cast::<T>() }
    }
}

impl<T: Send + Sync + 'static> Device<T> {
    /// Adds the device `/sys/class/CLASS/NAME`, with all attributes of `groups`. If it has a
    /// `number`, devtmpfs creates the node `/dev/NAME` for it, with mode 0600.
    ///
    /// User space gets no events for the device until [`Device::announce`].
    ///
    /// # Context
    ///
    /// Process context. May sleep.
    ///
    /// # Errors
    ///
    /// - [`EEXIST`] if the name is in use.
    /// - [`ENOMEM`] if memory could not be allocated.
    pub fn new(
        class: &Arc<Class>,
        number: Option<DeviceNumber>,
        name: fmt::Arguments<'_>,
        data: Arc<T>,
        groups: &'static sysfs::Groups<Self>,
    ) -> Result<Self> {
        let device = RawDevice::new()?;
        let raw = device.raw.get();
        // SAFETY: The device is initialised, and nothing else has access to it before it is added.
        // The class, the driver data and the groups outlive it. `%pA` takes a pointer to
        // `fmt::Arguments`.
        unsafe {
            (*raw).class = class.class.as_ptr();
            (*raw).devt = number.map_or(0, |number| number.0);
            (*raw).groups = groups.as_raw();
            bindings::dev_set_drvdata(raw, ptr::from_ref(&*data).cast_mut().cast::<c_void>());
            to_result(bindings::dev_set_name(
                raw,
                c"%pA".as_char_ptr(),
                ptr::from_ref(&name).cast::<c_void>(),
            ))?;
            // As for a disk, see `__add_disk()`: no events until it can be used.
            bindings::dev_set_uevent_suppress(raw, 1);
            to_result(bindings::device_add(raw))?;
        }
        // INVARIANT: Just added, with that driver data.
        Ok(Self {
            device,
            data,
            _class: class.clone(),
        })
    }

    /// Tells user space of the device, by a uevent. Call this once, when the device can be used.
    ///
    /// # Context
    ///
    /// Process context. May sleep.
    pub fn announce(&self) {
        Self::announce_all(iter::once(self));
    }

    /// Like [`Device::announce`], for several devices. All of them can already be used when user
    /// space is told of the first.
    ///
    /// # Context
    ///
    /// Process context. May sleep.
    pub fn announce_all<'a>(devices: impl Iterator<Item = &'a Self> + Clone) {
        // For all devices before the first event, so that a program that hears of one can have the
        // events of the others repeated.
        for device in devices.clone() {
            // SAFETY: The device is initialised.
            unsafe { bindings::dev_set_uevent_suppress(device.as_raw(), 0) };
        }
        for device in devices {
            // SAFETY: The device has been added. A lost event is not an error: if there is no
            // memory for it, user space finds the device when it looks.
            unsafe {
                bindings::kobject_uevent(
                    &raw mut (*device.as_raw()).kobj,
                    bindings::kobject_action_KOBJ_ADD,
                )
            };
        }
    }

    /// Returns what the driver keeps for the device.
    ///
    /// # Context
    ///
    /// Any context.
    pub fn data(&self) -> &Arc<T> {
        &self.data
    }

    fn as_raw(&self) -> *mut bindings::device {
        self.device.raw.get()
    }
}

impl<T: Send + Sync + 'static> AsRef<device::Device> for Device<T> {
    fn as_ref(&self) -> &device::Device {
        // SAFETY: The device is valid, and has a reference, for as long as `self` lives.
        unsafe { device::Device::from_raw(self.as_raw()) }
    }
}

impl<T: Send + Sync + 'static> Drop for Device<T> {
    fn drop(&mut self) {
        // SAFETY: By the type invariants, the device has been added. This waits for the attributes
        // that are in use, so that `data` can be dropped. Other references to the device do not
        // give access to the data.
        unsafe { bindings::device_del(self.as_raw()) };
    }
}
