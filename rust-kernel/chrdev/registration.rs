// SPDX-License-Identifier: GPL-2.0
// Copyright (C) 2026 Seed 1f3ad1c2 maintainers.

//! The registration of a range of devices.
//!
//! Fields are dropped in the order of their declaration, after `drop()` has deleted the `cdev` and
//! waited for its last user: the devices first, then their numbers.

use super::{
    vtable::VTable,
    FileOperations,
    Waiters, //
};
use kernel::{
    bindings,
    class::{
        Device,
        DeviceNumber, //
    },
    container_of,
    error::to_result,
    module::this_module,
    prelude::*,
    sync::{
        atomic::{
            Atomic,
            Relaxed, //
        },
        Arc,
        Completion, //
    },
    types::Opaque, //
};

/// A device and its waiters. Outlives all open files of the device, and thereby all their pollers.
pub(super) struct Entry<T: FileOperations> {
    pub(super) device: Device<T::Device>,
    pub(super) waiters: Option<Arc<Waiters>>,
}

/// A range of device numbers, with a major number of its own.
struct Region {
    first: bindings::dev_t,
    count: u32,
}

impl Region {
    fn new(name: &'static CStr, count: u32) -> Result<Self> {
        let mut first = 0;
        // SAFETY: `first` is valid for writes, and `name` is a C string.
        to_result(unsafe {
            bindings::alloc_chrdev_region(&mut first, 0, count, name.as_char_ptr())
        })?;
        Ok(Self { first, count })
    }
}

impl Drop for Region {
    fn drop(&mut self) {
        // SAFETY: `new()` allocated this range.
        unsafe { bindings::unregister_chrdev_region(self.first, self.count) };
    }
}

/// The parent of a `cdev`. Completes when the last user of the `cdev` is gone.
#[pin_data]
struct Users {
    #[pin]
    object: Opaque<bindings::kobject>,
    #[pin]
    gone: Completion,
}

impl Users {
    const TYPE: &'static bindings::kobj_type = &bindings::kobj_type {
        release: Some(Self::release),
        ..pin_init::zeroed()
    };

    fn new() -> impl PinInit<Self> {
        pin_init!(Self {
            object <- Opaque::ffi_init(|slot: *mut bindings::kobject| {
                // SAFETY: `slot` is valid for writes, and `kobject_init()` expects a zeroed object.
                // The type is static.
                unsafe {
                    slot.write(pin_init::zeroed());
                    bindings::kobject_init(slot, Self::TYPE);
                }
            }),
            gone <- Completion::new(),
        })
    }

    /// # Safety
    ///
    /// Must only be called by the kobject core, with the object of a live `Users`.
    unsafe extern "C" fn release(object: *mut bindings::kobject) {
        // SAFETY: As the caller promises. Dropping the registration waits for the completion below,
        // so `Users` is still there.
        let this = unsafe { &*container_of!(Opaque::cast_from(object), Self, object) };
        this.gone.complete_all();
    }
}

/// A registered range of character devices, with operations `T`.
///
/// Must be dropped in process context. Dropping it sleeps until all files of the devices are
/// closed.
///
/// C header: [`include/linux/cdev.h`](srctree/include/linux/cdev.h)
///
/// # Invariants
///
/// - `cdev` is initialised and, unless `added` is false, added.
/// - There are as many `entries` as there are numbers in `region`.
#[pin_data(PinnedDrop)]
pub struct Registration<T: FileOperations> {
    #[pin]
    cdev: Opaque<bindings::cdev>,
    #[pin]
    users: Users,
    added: bool,
    // Whether opening a device fails. `cdev_del()` alone does not ensure that while a file is open,
    // because an inode may still refer to the `cdev`.
    retired: Atomic<bool>,
    entries: KVec<Entry<T>>,
    region: Region,
}

// SAFETY: The registration may be dropped by any task, and so may its devices.
unsafe impl<T: FileOperations> Send for Registration<T> {}
// SAFETY: A shared registration gives access to nothing but its devices, which are `Sync`.
unsafe impl<T: FileOperations> Sync for Registration<T> {}

impl<T: FileOperations> Registration<T> {
    /// Registers `count` devices, with consecutive numbers of a new major number. `name` is the
    /// name of that major number in `/proc/devices`. `make` creates each device, from its index and
    /// its number.
    ///
    /// When this returns, the devices can be opened, and user space has been told of them. If it
    /// fails, no device could ever be opened, and everything is undone. In a module's
    /// initialisation, it should be the last step that can fail.
    ///
    /// # Context
    ///
    /// Process context. May sleep.
    ///
    /// # Errors
    ///
    /// - [`EINVAL`] if `count` is zero or exceeds the 2^20 numbers of a major number.
    /// - [`EBUSY`] if there is no free major number.
    /// - [`ENOMEM`] if memory could not be allocated.
    /// - The errors of `make`.
    pub fn new(
        name: &'static CStr,
        count: u32,
        mut make: impl FnMut(u32, DeviceNumber) -> Result<Device<T::Device>>,
    ) -> Result<Pin<KBox<Self>>> {
        if count == 0 {
            return Err(EINVAL);
        }
        let region = Region::new(name, count)?;
        let mut entries = KVec::with_capacity(count as usize, GFP_KERNEL)?;
        for index in 0..count {
            let device = make(index, DeviceNumber(region.first + index))?;
            let waiters = T::HAS_WAITERS.then(|| T::waiters(device.data()));
            entries.push(Entry { device, waiters }, GFP_KERNEL)?;
        }

        let this: Pin<KBox<Self>> = KBox::pin_init(
            try_pin_init!(Self {
                cdev <- Opaque::ffi_init(|slot: *mut bindings::cdev| {
                    // SAFETY: `slot` is valid for writes. The table is static, and the owner is the
                    // module that it belongs to.
                    unsafe {
                        bindings::cdev_init(slot, &raw const *VTable::<T>::TABLE);
                        (*slot).owner = this_module::<T::OwnerModule>().as_ptr();
                    }
                }),
                users <- Users::new(),
                added: false,
                retired: Atomic::new(false),
                entries,
                region,
            })
            .pin_chain(|this| {
                // SAFETY: Nothing is moved out of `this`.
                let this = unsafe { this.get_unchecked_mut() };
                // Set before `cdev_add()`, since other tasks may look at `this` from then on.
                this.added = true;
                let (cdev, users) = (this.cdev.get(), this.users.object.get());
                let (first, count) = (this.region.first, this.region.count);
                // SAFETY: Both are initialised, and stay in place until `drop()` has waited for the
                // last user of the `cdev`.
                let added = unsafe {
                    bindings::cdev_set_parent(cdev, users);
                    to_result(bindings::cdev_add(cdev, first, count))
                };
                if added.is_err() {
                    this.added = false;
                }
                added
            }),
            GFP_KERNEL,
        )?;
        Device::announce_all(this.devices());
        Ok(this)
    }

    /// Makes all later attempts to open a device fail.
    fn retire(&self) {
        self.retired.store(true, Relaxed);
    }

    /// Returns the devices, in the order of their numbers.
    ///
    /// # Context
    ///
    /// Any context.
    pub fn devices(&self) -> impl ExactSizeIterator<Item = &Device<T::Device>> + Clone {
        self.entries.iter().map(|entry| &entry.device)
    }

    /// Returns the registration of a `cdev`.
    ///
    /// # Safety
    ///
    /// `cdev` must point at the `cdev` of a `Registration<T>`, which lives for `'a`.
    pub(super) unsafe fn from_cdev<'a>(cdev: *mut bindings::cdev) -> &'a Self {
        // SAFETY: As the caller promises.
        unsafe { &*container_of!(Opaque::cast_from(cdev), Self, cdev) }
    }

    /// Returns whether devices can no longer be opened.
    pub(super) fn is_retired(&self) -> bool {
        self.retired.load(Relaxed)
    }

    /// Returns the entry of a device number, or [`None`] if it is not in the range.
    pub(super) fn entry(&self, number: bindings::dev_t) -> Option<&Entry<T>> {
        let index = number.wrapping_sub(self.region.first);
        self.entries.get(index as usize)
    }
}

#[pinned_drop]
impl<T: FileOperations> PinnedDrop for Registration<T> {
    fn drop(self: Pin<&mut Self>) {
        self.retire();
        // SAFETY: `cdev` is initialised, and its parent too, if it was added. The `cdev` drops its
        // reference to the parent when it is released; this drops ours.
        unsafe {
            if self.added {
                bindings::cdev_del(self.cdev.get());
            }
            bindings::kobject_put(self.users.object.get());
        }
        // No device can be opened any more. Wait until the files that are open are closed.
        self.users.gone.wait_for_completion();
    }
}
