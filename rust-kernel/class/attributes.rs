// SPDX-License-Identifier: GPL-2.0
// Copyright (C) 2026 Seed 1f3ad1c2 maintainers.

//! Attributes of a class itself: files in `/sys/class/NAME/`, beside its devices.
//!
//! A driver whose devices come and go at run time typically has one attribute to add a device and
//! one to remove it. Such attributes should be created last, when the driver can do what they ask
//! for, and removed first. For that reason they are not part of the class (`class_groups` of
//! `struct class`, which `class_register()` creates and `class_unregister()` removes): they are a
//! value of their own, [`Files`].

use super::Class;
use core::{
    cell::UnsafeCell,
    marker::PhantomData,
    ptr, //
};
use kernel::{
    bindings,
    container_of,
    error::to_result,
    prelude::*,
    str::BStr,
    sync::Arc,
    sysfs::{
        self,
        Attribute, //
    },
    types::Opaque, //
};

/// A pointer to the data that the attributes of a class are about.
///
/// # Invariants
///
/// While any file of the class is registered, the pointer is valid, and points at the `T` of the
/// [`Files<T>`] that has registered them.
pub(super) struct Data(*const c_void);

// SAFETY: The data that it points at is `Send`: see `Files`.
unsafe impl Send for Data {}
// SAFETY: The data that it points at is `Sync`: see `Files`.
unsafe impl Sync for Data {}

/// A C attribute of a class, for a `T`. Part of what [`class_attributes!`] expands to.
///
/// [`class_attributes!`]: crate::class_attributes
#[doc(hidden)]
#[repr(transparent)]
pub struct RawAttribute<T> {
    raw: UnsafeCell<bindings::class_attribute>,
    _data: PhantomData<fn(T)>,
}

// SAFETY: sysfs does not write to an attribute, except for lockdep, which has its own locks.
unsafe impl<T> Sync for RawAttribute<T> {}

impl<T: Send + Sync + 'static> RawAttribute<T> {
    /// Returns the C attribute that calls `A`'s methods.
    pub const fn new<A: Attribute<T>>() -> Self {
        const { assert!(A::HAS_SHOW || A::HAS_STORE, "neither show() nor store()") };
        let mut raw: bindings::class_attribute = pin_init::zeroed();
        raw.attr.name = kernel::str::as_char_ptr_in_const_context(A::NAME);
        if A::HAS_SHOW {
            raw.attr.mode |= 0o444;
            raw.show = Some(show::<T, A>);
        }
        if A::HAS_STORE {
            raw.attr.mode |= 0o200;
            raw.store = Some(store::<T, A>);
        }
        Self {
            raw: UnsafeCell::new(raw),
            _data: PhantomData,
        }
    }
}

/// Returns the data that the attributes of a class are about. It is there: [`Files::new`] sets it
/// before it registers them.
///
/// # Safety
///
/// Must only be called while sysfs calls an attribute that a [`Files<T>`] has registered for
/// `class`. The result must not be used after that call.
unsafe fn data<'a, T>(class: *const bindings::class) -> Option<&'a T> {
    // SAFETY: Only a `Class` gets attributes from a `Files`, which keeps it alive.
    let class = unsafe { &*container_of!(Opaque::cast_from(class), Class, raw) };
    let data = class.data.as_ref()?;
    // SAFETY: By the type invariants of `Data`. Removing a file waits for the calls to it.
    Some(unsafe { &*data.0.cast::<T>() })
}

/// # Safety
///
/// Must only be called by sysfs, for an attribute that a [`Files<T>`] has registered, with a `page`
/// to write to.
unsafe extern "C" fn show<T, A: Attribute<T>>(
    class: *const bindings::class,
    _attribute: *const bindings::class_attribute,
    page: *mut c_char,
) -> isize {
    // SAFETY: As the caller promises.
    let value = unsafe { data::<T>(class) }.ok_or(ENXIO).and_then(A::show);
    match value {
        // SAFETY: `page` is the page that sysfs passed.
        Ok(value) => unsafe { sysfs::emit(page, fmt!("{}\n", value)) },
        Err(error) => error.to_errno() as isize,
    }
}

/// Like [`sysfs::line`], but ignores nothing of the text.
///
/// # Errors
///
/// [`EINVAL`] if a NUL byte is followed by something else than NUL bytes and newlines.
fn whole_line(text: &[u8]) -> Result<&BStr> {
    let line = sysfs::line(text);
    let rest = text.iter().skip(line.len());
    if rest.copied().all(|byte| matches!(byte, 0 | b'\n')) {
        Ok(line)
    } else {
        Err(EINVAL)
    }
}

/// # Safety
///
/// Must only be called by sysfs, for an attribute that a [`Files<T>`] has registered, with a `text`
/// of `count` bytes.
unsafe extern "C" fn store<T, A: Attribute<T>>(
    class: *const bindings::class,
    _attribute: *const bindings::class_attribute,
    text: *const c_char,
    count: usize,
) -> isize {
    // SAFETY: As the caller promises.
    let Some(data) = (unsafe { data::<T>(class) }) else {
        return ENXIO.to_errno() as isize;
    };
    // SAFETY: `text` points at `count` bytes, which nothing else accesses during the call.
    let text = unsafe { core::slice::from_raw_parts(text.cast::<u8>(), count) };
    match whole_line(text).and_then(|line| A::store(data, line)) {
        Ok(()) => count as isize,
        Err(error) => error.to_errno() as isize,
    }
}

/// A static table of attributes of a class, for a `T`. Created by [`class_attributes!`].
///
/// [`class_attributes!`]: crate::class_attributes
pub struct Attributes<T: 'static>(&'static [RawAttribute<T>]);

impl<T: Send + Sync + 'static> Attributes<T> {
    /// Creates a table of `list`. Part of what [`class_attributes!`] expands to.
    ///
    /// [`class_attributes!`]: crate::class_attributes
    #[doc(hidden)]
    pub const fn new(list: &'static [RawAttribute<T>]) -> Self {
        Self(list)
    }
}

/// Creates a static table of attributes of a class. They are about a value of the given type.
///
/// ```text
/// class_attributes! {
///     /// The files `new_device` and `delete_device`.
///     static FILES: Registry = [NewDevice, DeleteDevice];
/// }
/// ```
///
/// See `kernel::class` for a complete example.
#[macro_export]
macro_rules! class_attributes {
    (
        $(#[$meta:meta])*
        $vis:vis static $table:ident: $data:ty = [ $($attribute:ty),+ $(,)? ];
    ) => {
        $(#[$meta])*
        $vis static $table: $crate::class::Attributes<$data> = {
            const COUNT: usize = [$(::core::stringify!($attribute)),+].len();
            static LIST: [$crate::class::RawAttribute<$data>; COUNT] =
                [$($crate::class::RawAttribute::new::<$attribute>()),+];
            $crate::class::Attributes::new(&LIST)
        };
    };
}
pub use class_attributes;

/// The attributes of a class, which are about a `T`. They are removed when this is dropped.
///
/// Must be dropped in process context. Dropping it sleeps until the attributes that are being shown
/// or stored are finished. So the task must not hold a lock that an attribute takes, and an
/// attribute must not drop it.
///
/// # Invariants
///
/// The first `created` attributes of `table` are registered. The data of `class` points at `data`.
pub struct Files<T: Send + Sync + 'static> {
    class: Arc<Class>,
    data: Arc<T>,
    table: &'static Attributes<T>,
    created: usize,
}

impl<T: Send + Sync + 'static> Files<T> {
    /// Creates the files of `table` in `/sys/class/CLASS/`, in their order. They can be used at
    /// once: an attribute may be called before this returns.
    ///
    /// A class can have attributes only once in its life.
    ///
    /// # Context
    ///
    /// Process context. May sleep.
    ///
    /// # Errors
    ///
    /// - [`EBUSY`] if the class has, or had, attributes.
    /// - [`EEXIST`] if the name of an attribute is in use, as by a device of the class.
    /// - [`ENOMEM`] if memory could not be allocated.
    pub fn new(class: &Arc<Class>, data: Arc<T>, table: &'static Attributes<T>) -> Result<Self> {
        if !class
            .data
            .populate(Data(Arc::as_ptr(&data).cast::<c_void>()))
        {
            return Err(EBUSY);
        }
        // INVARIANT: No attribute is registered so far, and the data has just been set. It is not
        // set again, and `data` keeps what it points at alive.
        let mut files = Self {
            class: class.clone(),
            data,
            table,
            created: 0,
        };
        for attribute in table.0 {
            // SAFETY: The class is registered, and the attribute is static. Its functions are for a
            // class whose data points at a `T`.
            to_result(unsafe {
                bindings::class_create_file_ns(
                    files.class.raw.get(),
                    attribute.raw.get(),
                    ptr::null(),
                )
            })?;
            // INVARIANT: Just registered.
            files.created += 1;
        }
        Ok(files)
    }

    /// Returns what the attributes are about.
    ///
    /// # Context
    ///
    /// Any context.
    pub fn data(&self) -> &Arc<T> {
        &self.data
    }
}

impl<T: Send + Sync + 'static> Drop for Files<T> {
    fn drop(&mut self) {
        for attribute in self.table.0.iter().take(self.created).rev() {
            // SAFETY: By the type invariants, the attribute is registered. This waits for the calls
            // to it, so that `data` can be dropped.
            unsafe {
                bindings::class_remove_file_ns(
                    self.class.raw.get(),
                    attribute.raw.get(),
                    ptr::null(),
                )
            };
        }
    }
}
