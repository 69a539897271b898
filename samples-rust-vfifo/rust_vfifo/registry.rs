// SPDX-License-Identifier: GPL-2.0
// Copyright (C) 2026 Seed 1f3ad1c2 maintainers.

//! All devices, by name. They come and go while the module is loaded.
//!
//! # Where to look
//!
//! | file | question |
//! |---|---|
//! | `registry/files.rs` | What can be written to `new_device` and `delete_device`? |
//! | `registry/settings.rs` | Which options are there, and how is a line parsed? |
//! | `registry/name.rs` | What is a name? |
//! | `registry/names.rs` | Which names are in use? |
//! | `rust/kernel/chrdev/numbers.rs` | Which numbers are in use? |
//!
//! # The life of a device
//!
//! ```text
//!    new_device                                                       delete_device
//!        |                                                                  |
//!        v                                                                  v
//!   name reserved                                                   name cannot be removed again
//!        |                                                                  |
//!   number taken, buffers allocated, settings applied                opening gives ENXIO
//!        |                                                                  |
//!   device_add(): attributes, node;                                  device_del(): "remove", the
//!   no event yet; opening gives ENXIO                                node and attributes are gone
//!        |                                                                  |
//!   can be opened                                                    mode manual, hangup 1, as if
//!        |                                                           everybody had met
//!   "add" is sent  ----------------- in use ----------------------->        |
//!                                                                    name is free
//!                                                                           :
//!                                                                    last close, last unmapping:
//!                                                                    number and memory are free
//! ```
//!
//! If a step fails, those before it are undone, and user space has seen no event.
//!
//! Open files and mappings share the [`Vfifo`]; they do not need the device. So they go on when it
//! is removed, as those of an unlinked FIFO.
//!
//! # Locks
//!
//! `names` is held to look names up and to change what uses them, and while a new device is
//! published and announced: so it cannot be removed before user space has been told of it. It is
//! not held while memory is allocated for a device, or while a device is added or removed: removing
//! one waits for its attributes. The order is:
//!
//! 1. an attribute of the class, which counts as a lock: removing it waits for its callers
//! 2. `names`
//! 3. the numbers, and the locks of the driver core for events
//!
//! No attribute of a device takes `names`.
//!
//! # Loading and unloading
//!
//! The devices of the parameter `devices` are added first, then the files of the class are created.
//! [`Registry::start`] is the last step that can fail; until then, the files give [`EAGAIN`]. At
//! the end, the files go first. That waits for calls of them, so no device is added or removed any
//! more. Then the devices, the `cdev` and the class are removed.

#[path = "registry/files.rs"]
mod files;
#[path = "registry/name.rs"]
mod name;
#[path = "registry/names.rs"]
mod names;
#[path = "registry/settings.rs"]
mod settings;

pub(crate) use self::{
    files::FILES,
    name::Name,
    names::{
        Names,
        Vacancy, //
    },
    settings::Settings, //
};

use super::{
    attributes,
    file::VfifoFile,
    Vfifo, //
};
use kernel::{
    chrdev::{
        Member,
        Registration, //
    },
    class::{
        Class,
        Device,
        Node, //
    },
    dynamic_debug::dynamic_pr_debug,
    new_mutex,
    prelude::*,
    sync::{
        Arc,
        Mutex, //
    }, //
};

/// How many numbers there are. Each device needs one, until it is removed and its last file is
/// closed.
const NUMBERS: u32 = 4096;

/// What is protected by the lock.
struct Inner {
    names: Names<Member<VfifoFile>>,
    started: bool,
}

/// All devices.
#[pin_data]
pub(crate) struct Registry {
    // Fields are dropped in this order: the devices first.
    #[pin]
    inner: Mutex<Inner>,
    registration: Pin<KBox<Registration<VfifoFile>>>,
    class: Arc<Class>,
    /// The settings of a device that is added without options.
    pub(crate) defaults: Settings,
}

impl Registry {
    /// Creates a registry without devices.
    ///
    /// # Context
    ///
    /// Process context. May sleep.
    ///
    /// # Errors
    ///
    /// [`EEXIST`] if there is a class "vfifo", [`EBUSY`] if no major number is free, [`ENOMEM`].
    pub(crate) fn new(class: Arc<Class>, defaults: Settings) -> Result<Arc<Self>> {
        let registration = Registration::new(c"vfifo", NUMBERS)?;
        let inner = Inner {
            names: Names::new(),
            started: false,
        };
        Arc::pin_init(
            pin_init!(Self {
                inner <- new_mutex!(inner, "Registry::names"),
                registration,
                class,
                defaults,
            }),
            GFP_KERNEL,
        )
    }

    /// Adds `vfifo0` and so on, `devices` of them. They cannot be used before [`Registry::start`].
    /// To be called once, before any other device is added: so each gets the number in its name.
    ///
    /// # Context
    ///
    /// Process context, no lock held. May sleep.
    ///
    /// # Errors
    ///
    /// Those of [`Registry::add`]. Those that have been added stay.
    pub(crate) fn add_numbered(&self, devices: u32) -> Result {
        for number in 0..devices {
            let name = Name::numbered(number);
            self.reserve(&name)?;
            let member = self.make(&name, self.defaults)?;
            let completed = self.inner.lock().names.complete(&name, member);
            completed.map_err(|_member| EINVAL)?;
        }
        Ok(())
    }

    /// Makes it possible to open the devices, and to add and remove them. Nothing can fail after
    /// this. Then tells user space of the numbered `devices`.
    ///
    /// # Context
    ///
    /// Process context, no lock held. May sleep.
    ///
    /// # Errors
    ///
    /// [`ENOMEM`]. No device could be opened.
    pub(crate) fn start(&self, devices: u32) -> Result {
        self.registration.as_ref().start()?;
        let mut inner = self.inner.lock();
        inner.started = true;
        let names = &inner.names;
        Member::publish_all((0..devices).filter_map(|number| names.get(&Name::numbered(number))));
        Ok(())
    }

    /// Adds a device, and tells user space of it.
    ///
    /// # Context
    ///
    /// Process context, no lock held. May sleep.
    ///
    /// # Errors
    ///
    /// - [`EAGAIN`] before [`Registry::start`].
    /// - [`EEXIST`] if the name is in use.
    /// - [`ENOSPC`] if all numbers are in use.
    /// - [`ENOMEM`].
    fn add(&self, name: Name, settings: Settings) -> Result {
        if !self.inner.lock().started {
            return Err(EAGAIN);
        }
        self.reserve(&name)?;
        let member = match self.make(&name, settings) {
            Ok(member) => member,
            Err(error) => {
                self.release(&name);
                return Err(error);
            }
        };
        let completed = {
            let mut inner = self.inner.lock();
            let completed = inner.names.complete(&name, member);
            if completed.is_ok() {
                if let Some(member) = inner.names.get(&name) {
                    member.publish();
                }
            }
            completed
        };
        // The name is reserved, so this does not fail. If it did, the member would be dropped here,
        // after the lock.
        completed.map_err(|_member| EINVAL)
    }

    /// Removes a device. Its open files and mappings go on until they are closed and unmapped.
    ///
    /// # Context
    ///
    /// Process context, no lock held. Sleeps until the attributes of the device that are in use are
    /// finished.
    ///
    /// # Errors
    ///
    /// - [`EAGAIN`] before [`Registry::start`].
    /// - [`ENOENT`] if there is no such device.
    fn remove(&self, name: Name) -> Result {
        let member = {
            let mut inner = self.inner.lock();
            if !inner.started {
                return Err(EAGAIN);
            }
            inner.names.begin_removal(&name)?
        };
        let vfifo = member.device().data().clone();
        drop(member);
        // After the attributes are gone, since they could undo it.
        vfifo.device_removed();
        self.release(&name);
        dynamic_pr_debug!("{}: removed\n", name);
        Ok(())
    }

    /// Begins to use a name.
    fn reserve(&self, name: &Name) -> Result {
        let vacancy = Vacancy::new(*name, GFP_KERNEL_ACCOUNT)?;
        let reserved = self.inner.lock().names.reserve(name, vacancy);
        // With an error it has the vacancy, which is dropped after the lock.
        reserved.map_err(|(error, _vacancy)| error)
    }

    /// Ceases to use a name.
    fn release(&self, name: &Name) {
        let vacancy = self.inner.lock().names.release(name);
        // After the lock.
        drop(vacancy);
    }

    /// Makes a device, whose name is reserved. It cannot be opened yet.
    fn make(&self, name: &Name, settings: Settings) -> Result<Member<VfifoFile>> {
        let member = self.registration.add(|index, number| {
            let vfifo = Vfifo::new(*name, index, settings)?;
            let mut node = Node::new(number);
            if !name.is_numbered() {
                node = node.in_directory(c"vfifo");
            }
            if let Some(perm) = settings.perm {
                node = node.with_mode(perm);
            }
            Device::new(
                &self.class,
                Some(node),
                fmt!("{}", name),
                vfifo,
                &attributes::GROUPS,
            )
        })?;
        dynamic_pr_debug!("{}: capacity {}\n", name, settings.capacity);
        Ok(member)
    }
}
