// SPDX-License-Identifier: GPL-2.0

//! Device classes, and devices that exist only as members of one.
//!
//! A [`Class`] is a directory in `/sys/class`. A [`Device`] of it is made together with its
//! attributes, and stays unknown to user space until [`Device::announce`]: so whoever hears of a
//! device finds its attributes there, and can open it if it has a number. The registration of a
//! character device announces its devices by itself.
//!
//! Not supported: parents, classes with their own attributes or device node names.
//!
//! C header: [`include/linux/device/class.h`](srctree/include/linux/device/class.h)
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
    device,
    error::from_err_ptr,
    fmt,
    prelude::*,
    sync::{
        atomic::{
            Acquire,
            Atomic,
            Release, //
        },
        Arc, //
    },
    sysfs, //
};

/// A device number: a major number of 12 bits and a minor number of 20.
///
/// C header: [`include/linux/kdev_t.h`](srctree/include/linux/kdev_t.h)
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct DeviceNumber(pub(crate) bindings::dev_t);

/// A class of devices.
///
/// Dropping it, in process context, may sleep. Its devices keep it alive.
///
/// # Invariants
///
/// `class` is a class made by `class_create()`, to which nothing has been done but adding devices.
pub struct Class {
    class: NonNull<bindings::class>,
}

// SAFETY: A class may be used by any task.
unsafe impl Send for Class {}
// SAFETY: The driver core has locks of its own.
unsafe impl Sync for Class {}

impl Class {
    /// Makes the class `/sys/class/NAME`.
    ///
    /// # Context
    ///
    /// Process context. May sleep.
    ///
    /// # Errors
    ///
    /// [`EEXIST`] if there is one of that name; [`ENOMEM`].
    pub fn new(name: &'static CStr) -> Result<Arc<Self>> {
        // SAFETY: `name` is a string that outlives the class.
        let class = from_err_ptr(unsafe { bindings::class_create(name.as_char_ptr()) })?;
        // SAFETY: It is new, so nobody has it yet, and `uevent` is what the callback should be for
        // devices which `Device::new()` is the only one to make.
        unsafe { (*class).dev_uevent = Some(uevent) };
        // INVARIANT: Just made.
        let class = Self {
            class: NonNull::new(class).ok_or(ENOMEM)?,
        };
        Ok(Arc::new(class, GFP_KERNEL)?)
    }
}

impl Drop for Class {
    fn drop(&mut self) {
        // SAFETY: By the type invariants. It has no devices: each holds a reference to `self`.
        unsafe { bindings::class_destroy(self.class.as_ptr()) };
    }
}

/// What the driver data of a device points at.
///
/// Its first part has the same layout for every `T`, since the class does not know `T`.
#[repr(C)]
struct DriverData<T> {
    announced: Atomic<bool>,
    data: Arc<T>,
}

/// Keeps events about a device from user space until the device is announced.
///
/// `dev_set_uevent_suppress()` would do it if there was a moment between making the device and
/// adding it. `device_create_with_groups()` leaves none, but it is the function whose devices are
/// released by code that can't be in a module which has gone by then.
///
/// # Safety
///
/// To be called by the driver core, for a device made by [`Device::new`] and not yet dropped.
unsafe extern "C" fn uevent(
    device: *const bindings::device,
    _env: *mut bindings::kobj_uevent_env,
) -> c_int {
    // SAFETY: The driver data is a `DriverData` of some kind, of which only the part that is common
    // to all is looked at.
    let announced = unsafe { &(*(*device).driver_data.cast::<DriverData<()>>()).announced };
    if announced.load(Acquire) {
        0
    } else {
        // Drops the event.
        ENODEV.to_errno()
    }
}

/// A device that is a member of a [`Class`], with a `T` that its driver keeps for it.
///
/// Dropping it, in process context, takes it, its node and its attributes away. That sleeps until
/// attributes that are just being shown or stored are done.
///
/// # Invariants
///
/// `device` is a registered device, whose driver data points at `driver_data`.
pub struct Device<T: Send + Sync + 'static> {
    device: NonNull<bindings::device>,
    driver_data: KBox<DriverData<T>>,
    _class: Arc<Class>,
}

// SAFETY: A device may be used by any task, and so may `T`.
unsafe impl<T: Send + Sync + 'static> Send for Device<T> {}
// SAFETY: The driver core has locks of its own, and `T` may be shared.
unsafe impl<T: Send + Sync + 'static> Sync for Device<T> {}

// SAFETY: The driver data is set before the attributes are registered, and dropped after they are
// unregistered, which waits for those in use.
unsafe impl<T: Send + Sync + 'static> sysfs::Host for Device<T> {
    type Data = T;

    unsafe fn data<'a>(device: *mut bindings::device) -> &'a T {
        // SAFETY: The caller promises that `device` was made by `Device::<T>::new()`, and that its
        // attributes are registered for `'a`.
        unsafe { &(*(*device).driver_data.cast::<DriverData<T>>()).data }
    }
}

impl<T: Send + Sync + 'static> Device<T> {
    /// Adds the device `/sys/class/CLASS/NAME`, with all attributes of `groups`. With a `number`,
    /// devtmpfs makes the node `/dev/NAME` for it, with mode 0600.
    ///
    /// Until [`Device::announce`] user space gets no event, and the file `uevent` is empty.
    ///
    /// # Context
    ///
    /// Process context. May sleep.
    ///
    /// # Errors
    ///
    /// [`EEXIST`] if the name is taken; [`ENOMEM`].
    pub fn new(
        class: &Arc<Class>,
        number: Option<DeviceNumber>,
        name: fmt::Arguments<'_>,
        data: Arc<T>,
        groups: &'static sysfs::Groups<Self>,
    ) -> Result<Self> {
        let driver_data = KBox::new(
            DriverData {
                announced: Atomic::new(false),
                data,
            },
            GFP_KERNEL,
        )?;
        // SAFETY: The class is valid; the driver data and the groups outlive the registration;
        // `%pA` takes a pointer to `fmt::Arguments`.
        let device = from_err_ptr(unsafe {
            bindings::device_create_with_groups(
                class.class.as_ptr(),
                ptr::null_mut(),
                number.map_or(0, |number| number.0),
                ptr::from_ref(&*driver_data).cast_mut().cast::<c_void>(),
                groups.as_raw(),
                c"%pA".as_char_ptr(),
                ptr::from_ref(&name).cast::<c_void>(),
            )
        })?;
        // INVARIANT: Just registered, with that driver data.
        Ok(Self {
            device: NonNull::new(device).ok_or(ENOMEM)?,
            driver_data,
            _class: class.clone(),
        })
    }

    /// Tells user space of the device, by a uevent. To be called once, when it can be used.
    ///
    /// # Context
    ///
    /// Process context. May sleep.
    pub fn announce(&self) {
        Self::announce_all(iter::once(self));
    }

    /// As [`Device::announce`], for several. Whoever hears of the first can use the others already.
    ///
    /// # Context
    ///
    /// Process context. May sleep.
    pub fn announce_all<'a>(devices: impl Iterator<Item = &'a Self> + Clone) {
        // All before the first event: until then, the file `uevent` is empty.
        for device in devices.clone() {
            device.driver_data.announced.store(true, Release);
        }
        for device in devices {
            // SAFETY: The device is registered. The event is advice: if there is no memory for it,
            // user space finds the device when it looks.
            unsafe {
                bindings::kobject_uevent(
                    &raw mut (*device.device.as_ptr()).kobj,
                    bindings::kobject_action_KOBJ_ADD,
                )
            };
        }
    }

    /// What the driver keeps for the device.
    ///
    /// # Context
    ///
    /// Any.
    pub fn data(&self) -> &Arc<T> {
        &self.driver_data.data
    }
}

impl<T: Send + Sync + 'static> AsRef<device::Device> for Device<T> {
    fn as_ref(&self) -> &device::Device {
        // SAFETY: It is registered, and so counted, for as long as `self` lives.
        unsafe { device::Device::from_raw(self.device.as_ptr()) }
    }
}

impl<T: Send + Sync + 'static> Drop for Device<T> {
    fn drop(&mut self) {
        // SAFETY: It is registered. This waits for callbacks, so that `driver_data` can go. Others
        // may still have references to the device, but then not to its data.
        unsafe { bindings::device_unregister(self.device.as_ptr()) };
    }
}
