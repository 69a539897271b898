// SPDX-License-Identifier: GPL-2.0
// Copyright (C) 2026 Seed 1f3ad1c2 maintainers.

//! Dynamic debug: debug messages that are turned on at run time.
//!
//! Each place with such a message is listed in `/proc/dynamic_debug/control`, where root turns it
//! on and off, alone or together with others of its file, module or format. While a message is off,
//! it costs a static branch, and its arguments are not evaluated. So messages may be in places that
//! any user can reach in a loop.
//!
//! C header: [`include/linux/dynamic_debug.h`](srctree/include/linux/dynamic_debug.h)
//!
//! Reference: <https://docs.kernel.org/admin-guide/dynamic-debug-howto.html>

use kernel::{
    bindings,
    prelude::*,
    types::Opaque, //
};

/// Prints a debug-level message (level 7) if it has been turned on.
///
/// Equivalent to the kernel's `dynamic_pr_debug()`, which `pr_debug()` is in C if
/// `CONFIG_DYNAMIC_DEBUG` is set. If it is not set, this is the same as [`pr_debug!`].
///
/// Messages are off at first. They are turned on by their module's parameter `dyndbg`, on the
/// kernel command line, or in `/proc/dynamic_debug/control`. All flags work. Unlike in C, the name
/// of the function is not available; the path of the Rust module takes its place (`func` in a
/// query, and flag `f`).
///
/// Mimics the interface of [`std::print!`]. See [`core::fmt`] and [`std::format!`] for information
/// about the formatting syntax. The first argument must be a literal; `format` in a query is
/// matched against it.
///
/// # Context
///
/// Any context, like `printk()`.
///
/// [`pr_debug!`]: kernel::pr_debug!
/// [`std::print!`]: https://doc.rust-lang.org/std/macro.print.html
/// [`std::format!`]: https://doc.rust-lang.org/std/macro.format.html
///
/// # Examples
///
/// ```
/// use kernel::{
///     dynamic_debug::dynamic_pr_debug,
///     sync::atomic::{Atomic, Relaxed}, //
/// };
///
/// let computed = Atomic::new(0);
/// let answer = || computed.fetch_add(1, Relaxed) + 42;
/// dynamic_pr_debug!("the answer is {}\n", answer());
///
/// // The message is off.
/// # #[cfg(CONFIG_DYNAMIC_DEBUG)]
/// assert_eq!(computed.load(Relaxed), 0);
/// ```
#[macro_export]
#[expect(clippy::crate_in_macro_def)]
macro_rules! dynamic_pr_debug {
    ($format:tt $($args:tt)*) => {{
        #[cfg(CONFIG_DYNAMIC_DEBUG)]
        {
            // An unusual name, because it is visible to the expressions in the arguments.
            #[link_section = "__dyndbg"]
            static __DYNAMIC_DEBUG_SITE: $crate::dynamic_debug::Site =
                $crate::dynamic_debug::Site::new(
                    $crate::dynamic_debug::c_str(crate::__LOG_PREFIX),
                    $crate::dynamic_debug::c_str(concat!(module_path!(), "\0").as_bytes()),
                    $crate::dynamic_debug::c_str(concat!(file!(), "\0").as_bytes()),
                    $crate::dynamic_debug::c_str(concat!($format, "\0").as_bytes()),
                    line!(),
                );

            #[cfg(CONFIG_JUMP_LABEL)]
            // SAFETY: A `Site` is a `struct _ddebug`. Its `key` is a static key, in both of the
            // types that the union has for it.
            let enabled = unsafe {
                ::kernel::jump_label::arch_static_branch! {
                    __DYNAMIC_DEBUG_SITE, ::kernel::bindings::_ddebug, key, false
                }
            };
            #[cfg(not(CONFIG_JUMP_LABEL))]
            let enabled = __DYNAMIC_DEBUG_SITE.enabled();

            if enabled {
                __DYNAMIC_DEBUG_SITE.print(::kernel::prelude::fmt!($format $($args)*));
            }
        }

        #[cfg(not(CONFIG_DYNAMIC_DEBUG))]
        {
            ::kernel::pr_debug!($format $($args)*);
        }
    }};
}
pub use dynamic_pr_debug;

/// Returns bytes that end with the first zero, as a C string.
///
/// Public but hidden since it should only be used from [`dynamic_pr_debug!`].
#[doc(hidden)]
pub const fn c_str(bytes: &'static [u8]) -> &'static CStr {
    match CStr::from_bytes_with_nul(bytes) {
        Ok(c_str) => c_str,
        // At compile time, because this is only used for constants.
        Err(_) => panic!("a zero byte within a string"),
    }
}

/// The number of bits of a line number.
const LINENO_BITS: u32 = 18;

/// The number of bits of a class.
const CLASS_BITS: u32 = 6;

/// A place with a message.
///
/// Public but hidden since it should only be used from [`dynamic_pr_debug!`].
///
/// # Invariants
///
/// The strings of the `struct _ddebug` are static C strings.
#[doc(hidden)]
#[repr(transparent)]
pub struct Site(Opaque<bindings::_ddebug>);

// SAFETY: Everything is constant except the flags and the key, which C changes under its own lock.
// Here the flags are read with a single load, and the key is not accessed.
unsafe impl Sync for Site {}

impl Site {
    /// Returns a place whose message is off. Dynamic debug finds it in the section `__dyndbg`.
    pub const fn new(
        module: &'static CStr,
        function: &'static CStr,
        file: &'static CStr,
        format: &'static CStr,
        line: u32,
    ) -> Self {
        let line = line & ((1 << LINENO_BITS) - 1);
        // Not in a class, by which another user could turn it on or off.
        let class = bindings::_DPRINTK_CLASS_DFLT;
        // Bit fields begin at the lowest bit or, on big-endian machines, at the highest. bindgen's
        // setters are not `const`.
        let bits = if cfg!(target_endian = "big") {
            (line << (u32::BITS - LINENO_BITS)) | (class << (u32::BITS - LINENO_BITS - CLASS_BITS))
        } else {
            line | (class << LINENO_BITS)
        };
        // INVARIANT: The strings are static C strings.
        Self(Opaque::new(bindings::_ddebug {
            modname: kernel::str::as_char_ptr_in_const_context(module),
            function: kernel::str::as_char_ptr_in_const_context(function),
            filename: kernel::str::as_char_ptr_in_const_context(file),
            format: kernel::str::as_char_ptr_in_const_context(format),
            _bitfield_1: bindings::__BindgenBitfieldUnit::new(bits.to_ne_bytes()),
            // A zeroed static key is false.
            ..pin_init::zeroed()
        }))
    }

    fn flags(&self) -> u32 {
        let site = self.0.get();
        // SAFETY: The field has 32 bits, which are initialised, and the alignment of
        // `_bitfield_align_1`. The load is volatile, because C may change the flags at any time.
        let bits = unsafe {
            (&raw const (*site)._bitfield_1)
                .cast::<u32>()
                .read_volatile()
        };
        if cfg!(target_endian = "big") {
            bits & ((1 << (u32::BITS - LINENO_BITS - CLASS_BITS)) - 1)
        } else {
            bits >> (LINENO_BITS + CLASS_BITS)
        }
    }

    /// Returns whether the message is on. For configurations without static branches.
    ///
    /// # Context
    ///
    /// Any context.
    #[inline]
    pub fn enabled(&self) -> bool {
        self.flags() & bindings::_DPRINTK_FLAGS_PRINT != 0
    }

    /// Prints `args` as the message, with what the flags add before and after it.
    ///
    /// # Context
    ///
    /// Any context, like `printk()`.
    #[cfg(CONFIG_DYNAMIC_DEBUG)]
    #[cold]
    pub fn print(&self, args: kernel::fmt::Arguments<'_>) {
        let site = self.0.get();
        // As for all messages of Rust modules, the name of the module comes first.
        //
        // SAFETY: By the invariants, `modname` is a C string, which does not change. The format
        // takes that and a pointer to `fmt::Arguments`.
        unsafe {
            bindings::__dynamic_pr_debug(
                site,
                c"%s: %pA".as_char_ptr(),
                (*site).modname,
                core::ptr::from_ref(&args).cast::<c_void>(),
            );
        }
        if self.flags() & bindings::_DPRINTK_FLAGS_INCL_STACK != 0 {
            // SAFETY: Always safe to call.
            unsafe { bindings::dump_stack() };
        }
    }
}

#[cfg(CONFIG_RUST_DYNAMIC_DEBUG_KUNIT_TEST)]
#[kunit_tests(rust_kernel_dynamic_debug)]
mod tests {
    use super::*;

    /// The bit fields are where C expects them.
    #[test]
    fn bit_fields() {
        for line in [1, 0x15555, 0x2aaaa, (1 << LINENO_BITS) - 1] {
            let site = Site::new(c"module", c"function", c"file", c"format", line);
            let ddebug = site.0.get();
            // SAFETY: Nothing else accesses it.
            let ddebug = unsafe { &mut *ddebug };
            assert_eq!(ddebug.lineno(), line);
            assert_eq!(ddebug.class_id(), bindings::_DPRINTK_CLASS_DFLT);
            assert_eq!(ddebug.flags(), bindings::_DPRINTK_FLAGS_NONE);

            ddebug.set_flags(0x5a);
            assert_eq!(site.flags(), 0x5a);
            assert!(!site.enabled());
        }
    }
}
