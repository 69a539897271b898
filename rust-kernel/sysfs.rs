// SPDX-License-Identifier: GPL-2.0

//! Attributes of devices in sysfs, in static tables.
//!
//! An [`Attribute`] is a type: it has a name, and says how to show and to store a value of the data
//! that the driver keeps for a device. [`sysfs_groups!`] makes a static table of such types, which
//! is registered together with the device, so that the attributes are there when user space hears
//! of it. The mode follows from what is implemented: 0444, 0644, or 0200. An attribute that
//! implements neither does not compile.
//!
//! What the driver's data is, and where to find it, is the business of the [`Host`], the kind of
//! device that carries the table. A table for another kind, or of attributes of other data, does
//! not compile.
//!
//! Not supported: binary attributes, visibility that depends on the device, other modes.
//!
//! C header: [`include/linux/sysfs.h`](srctree/include/linux/sysfs.h)
//!
//! Reference: <https://www.kernel.org/doc/html/latest/filesystems/sysfs.html>
//!
//! Without sysfs (`CONFIG_SYSFS`), a table is there all the same, and nobody reads it.
//!
//! See `kernel::class` for a device that carries attributes.

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

/// A kind of device that attributes can belong to.
///
/// # Safety
///
/// While a table of attributes of a device of this kind is registered, [`Host::data`] must be safe
/// to call with that device, and what it returns valid.
pub unsafe trait Host {
    /// What the driver keeps for a device.
    type Data: Send + Sync + 'static;

    /// The data of `device`.
    ///
    /// # Safety
    ///
    /// `device` must be of this kind and have a table of attributes registered, which stays so for
    /// `'a`.
    unsafe fn data<'a>(device: *mut bindings::device) -> &'a Self::Data;
}

/// An attribute of a device whose driver keeps a `T` for it.
///
/// # Context
///
/// Both methods run in process context and may sleep. They may run at the same time as each other
/// and themselves. The device is not gone before they return.
#[vtable]
pub trait Attribute<T> {
    /// The name of the file, of which there is one in its directory.
    const NAME: &'static CStr;

    /// What is shown: a text of less than a page. The rest of a longer one is cut off.
    type Value: fmt::Display;

    /// Called when the file is read. The value is shown as a line of text.
    ///
    /// # Errors
    ///
    /// An error is what the system call fails with.
    fn show(_data: &T) -> Result<Self::Value> {
        build_error!(kernel::error::VTABLE_DEFAULT_ERROR)
    }

    /// Called when the file is written, with the text up to the first NUL byte, which is where a
    /// string in C ends, and without the newline that ends that, if any. It is no longer than a
    /// page, and may have any other bytes in it. All of what was written is taken, or none.
    ///
    /// # Errors
    ///
    /// An error is what the system call fails with. It must have changed nothing.
    fn store(_data: &T, _text: &BStr) -> Result {
        build_error!(kernel::error::VTABLE_DEFAULT_ERROR)
    }
}

/// A C attribute. Part of what [`sysfs_groups!`] expands to.
#[doc(hidden)]
#[repr(transparent)]
pub struct RawAttribute(UnsafeCell<bindings::device_attribute>);

// SAFETY: sysfs never writes to an attribute, but for lockdep, which has locks of its own.
unsafe impl Sync for RawAttribute {}

impl RawAttribute {
    /// The C attribute that calls `A`'s methods.
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

/// Writes `text` to `page`, as `show()` in C does, and returns its length.
///
/// An argument, because rustc before 1.89 does not let a variable hold what [`fmt!`] makes.
///
/// # Safety
///
/// `page` must be the page that sysfs has passed to `show()`.
#[cfg(CONFIG_SYSFS)]
unsafe fn emit(page: *mut c_char, text: fmt::Arguments<'_>) -> isize {
    // SAFETY: `page` is a page, and `%pA` takes a pointer to `fmt::Arguments`.
    let len = unsafe {
        bindings::sysfs_emit(
            page,
            c"%pA".as_char_ptr(),
            ptr::from_ref(&text).cast::<c_void>(),
        )
    };
    len as isize
}

/// Without sysfs nobody calls `show()`, and the C function is inline, which bindgen leaves out.
#[cfg(not(CONFIG_SYSFS))]
unsafe fn emit(_page: *mut c_char, _text: fmt::Arguments<'_>) -> isize {
    0
}

/// # Safety
///
/// To be called by sysfs: `device` is of kind `H`, and `page` a page to write to.
unsafe extern "C" fn show<H: Host, A: Attribute<H::Data>>(
    device: *mut bindings::device,
    _attribute: *mut bindings::device_attribute,
    page: *mut c_char,
) -> isize {
    // SAFETY: sysfs keeps the table registered until this returns.
    let data = unsafe { H::data(device) };
    match A::show(data) {
        // SAFETY: `page` is a page.
        Ok(value) => unsafe { emit(page, fmt!("{}\n", value)) },
        Err(error) => error.to_errno() as isize,
    }
}

/// # Safety
///
/// To be called by sysfs: `device` is of kind `H`, and `text` points at `count` bytes.
unsafe extern "C" fn store<H: Host, A: Attribute<H::Data>>(
    device: *mut bindings::device,
    _attribute: *mut bindings::device_attribute,
    text: *const c_char,
    count: usize,
) -> isize {
    // SAFETY: sysfs keeps the table registered until this returns.
    let data = unsafe { H::data(device) };
    // SAFETY: `text` points at `count` bytes, which nobody else has.
    let text = unsafe { core::slice::from_raw_parts(text.cast::<u8>(), count) };
    // That is where kstrtoint() and sysfs_streq() stop, too.
    let text = text.split(|byte| *byte == 0).next().unwrap_or(text);
    let text = text.strip_suffix(b"\n").unwrap_or(text);
    match A::store(data, BStr::from_bytes(text)) {
        Ok(()) => count as isize,
        Err(error) => error.to_errno() as isize,
    }
}

/// A null-terminated list of `N - 1` attributes. Part of what [`sysfs_groups!`] expands to.
#[doc(hidden)]
#[repr(transparent)]
pub struct List<const N: usize>(UnsafeCell<[*mut bindings::attribute; N]>);

// SAFETY: Never written to.
unsafe impl<const N: usize> Sync for List<N> {}

impl<const N: usize> List<N> {
    /// A list of all of `attributes`, of which there must be `N - 1`.
    pub const fn new<const COUNT: usize>(attributes: &'static [RawAttribute; COUNT]) -> Self {
        assert!(N == COUNT + 1);
        let mut list = [ptr::null_mut(); N];
        let mut i = 0;
        while i < COUNT {
            // `attr` is the first field.
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

// SAFETY: Never written to.
unsafe impl Sync for Group {}

impl Group {
    /// The group of the attributes of `list`, in a directory called `name` if there is a name.
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

// SAFETY: Never written to.
unsafe impl<const N: usize> Sync for GroupList<N> {}

impl<const N: usize> GroupList<N> {
    /// A list of all of `groups`, of which there must be `N - 1`.
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

/// A static table of attributes, for devices of kind `H`. Made by [`sysfs_groups!`].
///
/// # Invariants
///
/// `list` points at a static, null-terminated list of attribute groups, whose attributes are for
/// devices of kind `H`.
pub struct Groups<H: Host> {
    list: *mut *const bindings::attribute_group,
    _host: PhantomData<fn(H)>,
}

// SAFETY: What it points at is static and never written to.
unsafe impl<H: Host> Send for Groups<H> {}
// SAFETY: As above.
unsafe impl<H: Host> Sync for Groups<H> {}

impl<H: Host> Groups<H> {
    /// Makes a table of `list`. Used by [`sysfs_groups!`], not to be called.
    ///
    /// # Safety
    ///
    /// The attributes in `list` must have been made for devices of kind `H`.
    #[doc(hidden)]
    pub const unsafe fn new<const N: usize>(list: &'static GroupList<N>) -> Self {
        // INVARIANT: `GroupList` is null-terminated; the rest is what the caller promises.
        Self {
            list: list.0.get().cast::<*const bindings::attribute_group>(),
            _host: PhantomData,
        }
    }

    /// What C calls `groups`: for [`Host`]s, to register together with a device of kind `H`.
    pub fn as_raw(&self) -> *mut *const bindings::attribute_group {
        self.list
    }
}

/// Makes a static table of attributes.
///
/// The groups are in brackets: first, if anywhere, those whose files are in the directory of the
/// device itself, then those with a directory of their own.
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
/// See `kernel::class` for the whole of it.
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
            // SAFETY: Every attribute of `LIST` was made for `$host`, just above.
            unsafe { $crate::sysfs::Groups::new(&LIST) }
        };
    };
    (@count $({ $attribute:ty })+) => {
        [$(::core::stringify!($attribute)),+].len()
    };
}
pub use sysfs_groups;
