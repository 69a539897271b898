// SPDX-License-Identifier: GPL-2.0
// Copyright (C) 2026 Seed 1f3ad1c2 maintainers.

//! The registration of a range of numbers, and the devices that are added to it.

use super::{
    numbers::{
        Entry,
        Numbers, //
    },
    vtable::VTable,
    FileOperations, //
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
    new_mutex,
    prelude::*,
    sync::{
        atomic::{
            Atomic,
            Relaxed, //
        },
        Arc,
        Completion,
        Mutex,
        UniqueArc, //
    },
    types::Opaque, //
};

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

/// A range of device numbers for character devices with operations `T`.
///
/// Must be dropped in process context. From then on, no device can be opened. Dropping it sleeps
/// until all files of the devices are closed.
///
/// C header: [`include/linux/cdev.h`](srctree/include/linux/cdev.h)
///
/// # Invariants
///
/// - `cdev` is initialised. It has been added if `started` is true.
/// - `users` is initialised.
#[pin_data(PinnedDrop)]
pub struct Registration<T: FileOperations> {
    #[pin]
    cdev: Opaque<bindings::cdev>,
    #[pin]
    users: Users,
    #[pin]
    started: Mutex<bool>,
    // Whether opening a device fails. `cdev_del()` alone does not ensure that while a file is open,
    // because an inode may still refer to the `cdev`.
    retired: Atomic<bool>,
    numbers: Arc<Numbers<T>>,
}

// SAFETY: The registration may be used and dropped by any task, and so may what is in it.
unsafe impl<T: FileOperations> Send for Registration<T> {}
// SAFETY: The `cdev` is changed only with `started` locked, and when the registration is dropped.
// The rest is `Sync`.
unsafe impl<T: FileOperations> Sync for Registration<T> {}

impl<T: FileOperations> Registration<T> {
    /// Allocates `count` consecutive numbers with a new major number. `name` is the name of that
    /// major number in `/proc/devices`.
    ///
    /// There are no devices yet, and none can be opened before [`Registration::start`].
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
    pub fn new(name: &'static CStr, count: u32) -> Result<Pin<KBox<Self>>> {
        let numbers = Numbers::new(name, count)?;
        // INVARIANT: Both are initialised, and the `cdev` has not been added.
        KBox::pin_init(
            pin_init!(Self {
                cdev <- Opaque::ffi_init(|slot: *mut bindings::cdev| {
                    // SAFETY: `slot` is valid for writes. The table is static, and the owner is the
                    // module that it belongs to.
                    unsafe {
                        bindings::cdev_init(slot, &raw const *VTable::<T>::TABLE);
                        (*slot).owner = this_module::<T::OwnerModule>().as_ptr();
                    }
                }),
                users <- Users::new(),
                started <- new_mutex!(false, "chrdev::Registration::started"),
                retired: Atomic::new(false),
                numbers,
            }),
            GFP_KERNEL,
        )
    }

    /// Makes it possible to open the devices, those that exist and those that are added later. In a
    /// module's initialisation, this should be the last step that can fail.
    ///
    /// # Context
    ///
    /// Process context. May sleep.
    ///
    /// # Errors
    ///
    /// - [`EBUSY`] if it has been started already.
    /// - [`ENOMEM`] if memory could not be allocated.
    pub fn start(self: Pin<&Self>) -> Result {
        let mut started = self.started.lock();
        if *started {
            return Err(EBUSY);
        }
        let (first, count) = self.numbers.range();
        // SAFETY: `cdev` and `users` are initialised. They are pinned, and stay in place until
        // `drop()` has waited for the last user of the `cdev`. As the lock is held and it has not
        // been added, nothing else uses it.
        to_result(unsafe {
            bindings::cdev_set_parent(self.cdev.get(), self.users.object.get());
            bindings::cdev_add(self.cdev.get(), first, count)
        })?;
        // INVARIANT: Just added.
        *started = true;
        Ok(())
    }

    /// Adds a device, with a free number. `make` creates it, from that number and from
    /// its place in the range, counted from zero.
    ///
    /// Opening the device fails with `ENXIO` until [`Member::publish`].
    ///
    /// # Context
    ///
    /// Process context. May sleep. No lock is held while `make` runs.
    ///
    /// # Errors
    ///
    /// - [`ENOSPC`] if no number is free.
    /// - [`ENOMEM`] if memory could not be allocated.
    /// - The errors of `make`.
    pub fn add(
        &self,
        make: impl FnOnce(u32, DeviceNumber) -> Result<Device<T::Device>>,
    ) -> Result<Member<T>> {
        // First, so that nothing can fail after `make`: the device has to go before its number is
        // free.
        let place = UniqueArc::new_uninit(GFP_KERNEL_ACCOUNT)?;
        let number = self.numbers.take()?;
        let device = make(number.index(), number.get())?;
        let entry = Arc::from(place.write(Entry {
            data: device.data().clone(),
            waiters: T::HAS_WAITERS.then(|| T::waiters(device.data())),
            number,
        }));
        Ok(Member { device, entry })
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

    /// Returns the entry of a number, if that is in the range and can be opened.
    pub(super) fn entry(&self, number: bindings::dev_t) -> Option<Arc<Entry<T>>> {
        if self.retired.load(Relaxed) {
            return None;
        }
        self.numbers.live(number)
    }
}

#[pinned_drop]
impl<T: FileOperations> PinnedDrop for Registration<T> {
    fn drop(self: Pin<&mut Self>) {
        self.retired.store(true, Relaxed);
        let started = *self.started.lock();
        // SAFETY: `cdev` is initialised, and so is its parent, which was set if it was added. The
        // `cdev` drops its reference to the parent when it is released; this drops ours.
        unsafe {
            if started {
                bindings::cdev_del(self.cdev.get());
            }
            bindings::kobject_put(self.users.object.get());
        }
        // No device can be opened any more. Wait until the files that are open are closed.
        self.users.gone.wait_for_completion();
    }
}

/// A device that was added to a [`Registration`].
///
/// Must be dropped in process context, see [`Device`]. Dropping it removes the device, its node and
/// its attributes, and makes opening it fail with `ENXIO`. It does not wait for open files: they go
/// on with the data of the device, which they share. The number of the device is free again when
/// the last of them is closed.
pub struct Member<T: FileOperations> {
    // Fields are dropped in this order, after `drop()`: the number must not be free before the
    // device is gone.
    device: Device<T::Device>,
    entry: Arc<Entry<T>>,
}

impl<T: FileOperations> Member<T> {
    /// Makes it possible to open the device, and tells user space of it. Call this once, after
    /// [`Registration::start`].
    ///
    /// # Context
    ///
    /// Process context. May sleep.
    pub fn publish(&self) {
        Self::publish_all(core::iter::once(self));
    }

    /// Like [`Member::publish`], for several devices. All of them can already be opened when user
    /// space is told of the first.
    ///
    /// # Context
    ///
    /// Process context. May sleep.
    pub fn publish_all<'a>(members: impl Iterator<Item = &'a Self> + Clone) {
        for member in members.clone() {
            member.entry.publish();
        }
        Device::announce_all(members.map(Self::device));
    }

    /// Returns the device.
    ///
    /// # Context
    ///
    /// Any context.
    pub fn device(&self) -> &Device<T::Device> {
        &self.device
    }
}

impl<T: FileOperations> Drop for Member<T> {
    fn drop(&mut self) {
        self.entry.retract();
    }
}
