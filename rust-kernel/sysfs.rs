// SPDX-License-Identifier: GPL-2.0
// Copyright (C) 2026 Seed 1f3ad1c2 maintainers.

//! Attributes of devices in sysfs, in static tables. Attributes of classes use the same trait.
//!
//! An [`Attribute`] is a type. It has a name, and methods that show and store a value of the data
//! that a driver keeps for a device. [`sysfs_groups!`] makes a static table of such types, which is
//! registered together with the device, so the attributes exist when user space hears of the
//! device. The mode follows from the methods: 0444, 0644 or 0200. An attribute with neither method
//! does not compile.
//!
//! A [`Host`] is a kind of device that has such a table. It defines the type of the driver's data,
//! and how to find the data of a device. A table for another kind of device, or with attributes for
//! other data, does not compile.
//!
//! Without `CONFIG_SYSFS` the tables still exist, but are not used.
//!
//! See `kernel::class` for a kind of device that has attributes, with an example.
//!
//! Not supported: binary attributes, visibility that depends on the device, and other modes.
//!
//! C header: [`include/linux/sysfs.h`](srctree/include/linux/sysfs.h)
//!
//! Reference: <https://www.kernel.org/doc/html/latest/filesystems/sysfs.html>

use core::{
    cell::UnsafeCell,
    marker::PhantomData,
    ptr, //
};
use kernel::{
    bindings,
    fmt,
    prelude::*,
    str::BStr, //
};

/// A kind of device that can have attributes.
///
/// # Safety
///
/// While a table of attributes is registered for a device of this kind, [`Host::data`] must be safe
/// to call with that device, and must return a valid reference.
pub unsafe trait Host {
    /// What the driver keeps for a device.
    type Data: Send + Sync + 'static;

    /// Returns the data of `device`.
    ///
    /// # Context
    ///
    /// Process context.
    ///
    /// # Safety
    ///
    /// `device` must be of this kind. It must have a table of attributes, which must stay
    /// registered for `'a`.
    unsafe fn data<'a>(device: *mut bindings::device) -> &'a Self::Data;
}

/// An attribute that is about a `T`: what a driver keeps for a device, or for a class.
///
/// # Context
///
/// Both methods are called in process context, and may sleep. They may run concurrently with each
/// other and with themselves. The device or class is not removed before they return.
#[vtable]
pub trait Attribute<T> {
    /// The name of the file. It must be unique in its directory.
    const NAME: &'static CStr;

    /// The type of the value that is shown. Its text must be shorter than a page; the rest of a
    /// longer text is cut off.
    type Value: fmt::Display;

    /// Called when the file is read. The value is shown as a line of text.
    ///
    /// # Errors
    ///
    /// The system call fails with the returned error.
    fn show(_data: &T) -> Result<Self::Value> {
        build_error!(kernel::error::VTABLE_DEFAULT_ERROR)
    }

    /// Called when the file is written, with the text up to the first NUL byte, and without a
    /// newline at its end. The text is not longer than a page, and may contain any other bytes.
    ///
    /// A device's attribute ignores what follows a NUL byte, as in C. For a class, such a write
    /// fails with [`EINVAL`].
    ///
    /// # Errors
    ///
    /// The system call fails with the returned error. In this case, nothing must have changed.
    fn store(_data: &T, _text: &BStr) -> Result {
        build_error!(kernel::error::VTABLE_DEFAULT_ERROR)
    }
}

/// A C attribute. Part of what [`sysfs_groups!`] expands to.
#[doc(hidden)]
#[repr(transparent)]
pub struct RawAttribute(UnsafeCell<bindings::device_attribute>);

// SAFETY: sysfs does not write to an attribute, except for lockdep, which has its own locks.
unsafe impl Sync for RawAttribute {}

impl RawAttribute {
    /// Returns the C attribute that calls `A`'s methods.
    pub const fn new<H: Host, A: Attribute<H::Data>>() -> Self {
        const { assert!(A::HAS_SHOW || A::HAS_STORE, "neither show() nor store()") };
        let mut raw: bindings::device_attribute = pin_init::zeroed();
        raw.attr.name = kernel::str::as_char_ptr_in_const_context(A::NAME);
        if A::HAS_SHOW {
            raw.attr.mode |= 0o444;
            raw.__bindgen_anon_1.show = Some(show::<H, A>);
        }
        if A::HAS_STORE {
            raw.attr.mode |= 0o200;
            raw.__bindgen_anon_2.store = Some(store::<H, A>);
        }
        Self(UnsafeCell::new(raw))
    }
}

/// Writes `text` to `page`, as `show()` does in C, and returns the length.
///
/// `text` is an argument, because before rustc 1.89 the result of [`fmt!`] cannot be stored in a
/// variable.
///
/// # Safety
///
/// `page` must be the page that sysfs passed to `show()`.
#[cfg(CONFIG_SYSFS)]
pub(crate) unsafe fn emit(page: *mut c_char, text: fmt::Arguments<'_>) -> isize {
    // SAFETY: `page` is a page from sysfs, and `%pA` takes a pointer to `fmt::Arguments`.
    let len = unsafe {
        bindings::sysfs_emit(
            page,
            c"%pA".as_char_ptr(),
            ptr::from_ref(&text).cast::<c_void>(),
        )
    };
    len as isize
}

/// Without sysfs, `show()` is never called, and bindgen has no `sysfs_emit()`, since it is inline.
#[cfg(not(CONFIG_SYSFS))]
pub(crate) unsafe fn emit(_page: *mut c_char, _text: fmt::Arguments<'_>) -> isize {
    0
}

/// Returns what [`Attribute::store`] gets of the `text` that was written: the part up to the first
/// NUL byte, without a newline at its end.
pub(crate) fn line(text: &[u8]) -> &BStr {
    // `kstrtoint()` and `sysfs_streq()` stop there as well.
    let text = text.split(|byte| *byte == 0).next().unwrap_or(text);
    BStr::from_bytes(text.strip_suffix(b"\n").unwrap_or(text))
}

/// # Safety
///
/// Must only be called by sysfs, with a device of kind `H` and a `page` to write to.
unsafe extern "C" fn show<H: Host, A: Attribute<H::Data>>(
    device: *mut bindings::device,
    _attribute: *mut bindings::device_attribute,
    page: *mut c_char,
) -> isize {
    // SAFETY: The device is of kind `H`, and its table stays registered until this returns.
    let data = unsafe { H::data(device) };
    match A::show(data) {
        // SAFETY: `page` is the page that sysfs passed.
        Ok(value) => unsafe { emit(page, fmt!("{}\n", value)) },
        Err(error) => error.to_errno() as isize,
    }
}

/// # Safety
///
/// Must only be called by sysfs, with a device of kind `H` and a `text` of `count` bytes.
unsafe extern "C" fn store<H: Host, A: Attribute<H::Data>>(
    device: *mut bindings::device,
    _attribute: *mut bindings::device_attribute,
    text: *const c_char,
    count: usize,
) -> isize {
    // SAFETY: The device is of kind `H`, and its table stays registered until this returns.
    let data = unsafe { H::data(device) };
    // SAFETY: `text` points at `count` bytes, which nothing else accesses during the call.
    let text = unsafe { core::slice::from_raw_parts(text.cast::<u8>(), count) };
    match A::store(data, line(text)) {
        Ok(()) => count as isize,
        Err(error) => error.to_errno() as isize,
    }
}

/// A null-terminated list of `N - 1` attributes. Part of what [`sysfs_groups!`] expands to.
#[doc(hidden)]
#[repr(transparent)]
pub struct List<const N: usize>(UnsafeCell<[*mut bindings::attribute; N]>);

// SAFETY: It is never written to.
unsafe impl<const N: usize> Sync for List<N> {}

impl<const N: usize> List<N> {
    /// Returns the list of all `attributes`. There must be `N - 1` of them.
    pub const fn new<const COUNT: usize>(attributes: &'static [RawAttribute; COUNT]) -> Self {
        assert!(N == COUNT + 1);
        let mut list = [ptr::null_mut(); N];
        let mut i = 0;
        while i < COUNT {
            // The attribute is the first field.
            list[i] = attributes[i].0.get().cast::<bindings::attribute>();
            i += 1;
        }
        Self(UnsafeCell::new(list))
    }
}

const _: () = assert!(core::mem::offset_of!(bindings::device_attribute, attr) == 0);

/// A C attribute group. Part of what [`sysfs_groups!`] expands to.
#[doc(hidden)]
#[repr(transparent)]
pub struct Group(bindings::attribute_group);

// SAFETY: It is never written to.
unsafe impl Sync for Group {}

impl Group {
    /// Returns the group of the attributes in `list`. If it has a `name`, they are in a directory
    /// of that name.
    pub const fn new<const N: usize>(name: Option<&'static CStr>, list: &'static List<N>) -> Self {
        let mut raw: bindings::attribute_group = pin_init::zeroed();
        if let Some(name) = name {
            raw.name = kernel::str::as_char_ptr_in_const_context(name);
        }
        raw.__bindgen_anon_2.attrs = list.0.get().cast::<*mut bindings::attribute>();
        Self(raw)
    }
}

/// A null-terminated list of groups. Part of what [`sysfs_groups!`] expands to.
#[doc(hidden)]
#[repr(transparent)]
pub struct GroupList<const N: usize>(UnsafeCell<[*const bindings::attribute_group; N]>);

// SAFETY: It is never written to.
unsafe impl<const N: usize> Sync for GroupList<N> {}

impl<const N: usize> GroupList<N> {
    /// Returns the list of all `groups`. There must be `N - 1` of them.
    pub const fn new<const COUNT: usize>(groups: [&'static Group; COUNT]) -> Self {
        assert!(N == COUNT + 1);
        let mut list = [ptr::null(); N];
        let mut i = 0;
        while i < COUNT {
            list[i] = &raw const groups[i].0;
            i += 1;
        }
        Self(UnsafeCell::new(list))
    }
}

/// A static table of attributes for devices of kind `H`. Created by [`sysfs_groups!`].
///
/// # Invariants
///
/// `list` points at a static, null-terminated list of attribute groups, whose attributes are for
/// devices of kind `H`.
pub struct Groups<H: Host> {
    list: *mut *const bindings::attribute_group,
    _host: PhantomData<fn(H)>,
}

// SAFETY: The table that it points at is static, and never written to.
unsafe impl<H: Host> Send for Groups<H> {}
// SAFETY: As above.
unsafe impl<H: Host> Sync for Groups<H> {}

impl<H: Host> Groups<H> {
    /// Creates a table of `list`. Only for [`sysfs_groups!`].
    ///
    /// # Safety
    ///
    /// The attributes in `list` must have been created for devices of kind `H`.
    #[doc(hidden)]
    pub const unsafe fn new<const N: usize>(list: &'static GroupList<N>) -> Self {
        // INVARIANT: A `GroupList` is null-terminated. The rest is as the caller promises.
        Self {
            list: list.0.get().cast::<*const bindings::attribute_group>(),
            _host: PhantomData,
        }
    }

    /// Returns the table for the `groups` of a C device, which must be of kind `H`. For [`Host`]s.
    ///
    /// # Context
    ///
    /// Any context.
    pub fn as_raw(&self) -> *mut *const bindings::attribute_group {
        self.list
    }
}

/// Creates a static table of attributes.
///
/// Each pair of braces is a group. The files of a group with a name are in a directory of that
/// name. Those of a group without one are in the directory of the device; such a group comes first.
///
/// ```text
/// sysfs_groups! {
///     /// The files `target` and `stats/boiled` of a samovar.
///     static FILES: KindOfDevice = [
///         { Target },
///         c"stats" { Boiled },
///     ];
/// }
/// ```
///
/// See `kernel::class` for a complete example.
#[macro_export]
macro_rules! sysfs_groups {
    (
        $(#[$meta:meta])*
        $vis:vis static $table:ident: $host:ty = [
            $( $($name:literal)? { $($attribute:ty),+ $(,)? } ),+ $(,)?
        ];
    ) => {
        $(#[$meta])*
        $vis static $table: $crate::sysfs::Groups<$host> = {
            static LIST: $crate::sysfs::GroupList<
                { 1 + [$($crate::sysfs_groups!(@count $({ $attribute })+)),+].len() },
            > = $crate::sysfs::GroupList::new([$({
                const COUNT: usize = $crate::sysfs_groups!(@count $({ $attribute })+);
                static ATTRIBUTES: [$crate::sysfs::RawAttribute; COUNT] =
                    [$($crate::sysfs::RawAttribute::new::<$host, $attribute>()),+];
                static POINTERS: $crate::sysfs::List<{ COUNT + 1 }> =
                    $crate::sysfs::List::new(&ATTRIBUTES);
                #[allow(unused_assignments, unused_mut)]
                const NAME: ::core::option::Option<&'static $crate::str::CStr> = {
                    let mut name = ::core::option::Option::None;
                    $( name = ::core::option::Option::Some($name); )?
                    name
                };
                static GROUP: $crate::sysfs::Group = $crate::sysfs::Group::new(NAME, &POINTERS);
                &GROUP
            }),+]);
            // SAFETY: All attributes in `LIST` are created for `$host`, just above.
            unsafe { $crate::sysfs::Groups::new(&LIST) }
        };
    };
    (@count $({ $attribute:ty })+) => {
        [$(::core::stringify!($attribute)),+].len()
    };
}
pub use sysfs_groups;
