// SPDX-License-Identifier: GPL-2.0
// Copyright (C) 2026 Seed 1f3ad1c2 maintainers.

//! The attributes `/sys/class/vfifo/new_device` and `/sys/class/vfifo/delete_device`. See
//! `Documentation/ABI/testing/sysfs-class-vfifo`.
//!
//! | error | reason |
//! |---|---|
//! | [`EAGAIN`] | the module is still being loaded |
//! | [`EEXIST`] | the name is in use |
//! | [`EINVAL`], [`ERANGE`] | a bad line, see [`Settings::parse`] and [`Name::parse`] |
//! | [`ENOENT`] | there is no such device |
//! | [`ENOMEM`] | out of memory |
//! | [`ENOSPC`] | all numbers are in use |
//!
//! With an error, nothing has changed.
//!
//! # Context
//!
//! Process context, no lock held. May sleep.
//!
//! [`Settings::parse`]: super::Settings::parse

use super::{
    name::Name,
    Registry, //
};
use kernel::{
    class::class_attributes,
    prelude::*,
    str::BStr,
    sysfs::Attribute, //
};

class_attributes! {
    /// All attributes of the class. They have mode 0200.
    pub(crate) static FILES: Registry = [NewDevice, DeleteDevice];
}

struct NewDevice;

#[vtable]
impl Attribute<Registry> for NewDevice {
    const NAME: &'static CStr = c"new_device";
    type Value = u8;

    fn store(registry: &Registry, text: &BStr) -> Result {
        let (name, settings) = registry.defaults.parse(text)?;
        registry.add(name, settings)
    }
}

struct DeleteDevice;

#[vtable]
impl Attribute<Registry> for DeleteDevice {
    const NAME: &'static CStr = c"delete_device";
    type Value = u8;

    fn store(registry: &Registry, text: &BStr) -> Result {
        registry.remove(Name::parse(text)?)
    }
}
