// SPDX-License-Identifier: GPL-2.0
// Copyright (C) 2026 Seed 1f3ad1c2 maintainers.

//! A device of a class, and its node.

use super::Class;
use core::{
    iter,
    ptr, //
};
use kernel::{
    bindings,
    container_of,
    device,
    error::to_result,
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

/// The node of a device: its number, and where devtmpfs and udev create it.
#[derive(Clone, Copy)]
pub struct Node {
    number: DeviceNumber,
    directory: Option<&'static CStr>,
    mode: bindings::umode_t,
}

impl Node {
    /// Returns the node `/dev/NAME` for the device with this number. `NAME` is the name of the
    /// device. devtmpfs gives it mode 0600; udev may have a rule for another.
    ///
    /// # Context
    ///
    /// Any context.
    pub fn new(number: DeviceNumber) -> Self {
        Self {
            number,
            directory: None,
            mode: 0,
        }
    }

    /// Makes it `/dev/DIRECTORY/NAME`. devtmpfs creates the directory, and removes it when it has
    /// become empty.
    ///
    /// # Context
    ///
    /// Any context.
    pub fn in_directory(self, directory: &'static CStr) -> Self {
        Self {
            directory: Some(directory),
            ..self
        }
    }

    /// Chooses the mode. Only the permissions are used, 0777. udev is told of it (`DEVMODE`), and
    /// its rules may take it into account. A mode of 0 is the same as none.
    ///
    /// # Context
    ///
    /// Any context.
    pub fn with_mode(self, mode: u16) -> Self {
        Self {
            mode: mode & 0o777,
            ..self
        }
    }
}

/// Tells the driver core the name and mode of a node. It frees the name. Without a name of its own,
/// a node has the name of its device.
///
/// devtmpfs asks once when it creates the node, and again when it removes it. It must get the same
/// answer, so the allocation of the name is not allowed to fail; it has a few bytes.
///
/// # Safety
///
/// Must only be called by the driver core, with a device of a [`Class`], and a `mode` that is valid
/// for writes or null.
pub(super) unsafe extern "C" fn devnode(
    device: *const bindings::device,
    mode: *mut bindings::umode_t,
) -> *mut c_char {
    const FLAGS: bindings::gfp_t = bindings::GFP_KERNEL | 1 << bindings::___GFP_NOFAIL_BIT;

    // SAFETY: As the caller promises. All devices of a `Class` are in a `RawDevice`.
    let this = unsafe { &*container_of!(Opaque::cast_from(device), RawDevice, raw) };
    let Some(node) = this.node else {
        return ptr::null_mut();
    };
    if !mode.is_null() {
        // SAFETY: As the caller promises.
        unsafe { *mode = node.mode };
    }
    let Some(directory) = node.directory else {
        return ptr::null_mut();
    };
    // SAFETY: The device has a name, and both are C strings.
    unsafe {
        bindings::kasprintf(
            FLAGS,
            c"%s/%s".as_char_ptr(),
            directory.as_char_ptr(),
            bindings::dev_name(device),
        )
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
    node: Option<Node>,
}

impl RawDevice {
    // Not generic and not inlined, so that `release()` is the one in this crate, and not a copy in
    // the crate of the driver.
    #[inline(never)]
    fn new(node: Option<Node>) -> Result<Pin<KBox<Self>>> {
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
                        (*slot).devt = node.map_or(0, |node| node.number.0);
                    }
                }),
                released <- Completion::new(),
                node,
            }),
            GFP_KERNEL_ACCOUNT,
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
    /// `node`, devtmpfs creates that. Memory that is allocated here is charged to the memory cgroup
    /// of the caller; what the driver core allocates is not.
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
        node: Option<Node>,
        name: fmt::Arguments<'_>,
        data: Arc<T>,
        groups: &'static sysfs::Groups<Self>,
    ) -> Result<Self> {
        let device = RawDevice::new(node)?;
        let raw = device.raw.get();
        // SAFETY: The device is initialised, and nothing else has access to it before it is added.
        // The class, the driver data and the groups outlive it. `%pA` takes a pointer to
        // `fmt::Arguments`.
        unsafe {
            (*raw).class = class.raw.get();
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
