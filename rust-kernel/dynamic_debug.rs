// SPDX-License-Identifier: GPL-2.0

//! Dynamic debug: messages that stay silent until root asks for them, while the kernel runs.
//!
//! Each place that has such a message is in `/proc/dynamic_debug/control`, and is turned on and off
//! there, alone or with others of its file, module or kind. As long as it is off, it costs a static
//! branch, and what it would print is not even computed. So messages may be in places that any user
//! can reach in a loop.
//!
//! C header: [`include/linux/dynamic_debug.h`](srctree/include/linux/dynamic_debug.h)
//!
//! Reference: <https://docs.kernel.org/admin-guide/dynamic-debug-howto.html>

use kernel::{
    bindings,
    prelude::*,
    types::Opaque, //
};

/// Prints a debug-level message (level 7), if that was asked for.
///
/// Equivalent to the kernel's `dynamic_pr_debug()`, which is what `pr_debug()` is in C if
/// `CONFIG_DYNAMIC_DEBUG` is set. If it is not, this is the same as [`pr_debug!`].
///
/// Messages are off at first, and are turned on by their module's parameter `dyndbg`, on the kernel
/// command line, or in `/proc/dynamic_debug/control`. All flags work. What differs from C: there is
/// no name of the function, which takes the path of the Rust module instead (`func` in a query,
/// and flag `f`).
///
/// Mimics the interface of [`std::print!`]. See [`core::fmt`] and [`std::format!`] for information
/// about the formatting syntax. The first argument must be a literal, and is what `format` in a
/// query is compared with.
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
/// // Nobody asked.
/// # #[cfg(CONFIG_DYNAMIC_DEBUG)]
/// assert_eq!(computed.load(Relaxed), 0);
/// ```
#[macro_export]
#[expect(clippy::crate_in_macro_def)]
macro_rules! dynamic_pr_debug {
    ($format:tt $($args:tt)*) => {{
        #[cfg(CONFIG_DYNAMIC_DEBUG)]
        {
            // A unique name, since what is passed as arguments can see it.
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
            // SAFETY: A `Site` is a `struct _ddebug`, whose `key` is a static key in either of the
            // two types that the union has for it.
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

/// A string of bytes that ends with the first zero, as a C string.
///
/// Public but hidden since it should only be used from [`dynamic_pr_debug!`].
#[doc(hidden)]
pub const fn c_str(bytes: &'static [u8]) -> &'static CStr {
    match CStr::from_bytes_with_nul(bytes) {
        Ok(c_str) => c_str,
        // While compiling, because this is only used for constants.
        Err(_) => panic!("a zero byte within a string"),
    }
}

/// The number of bits that a line number has.
const LINENO_BITS: u32 = 18;

/// The number of bits of a class.
const CLASS_BITS: u32 = 6;

/// A place that has a message.
///
/// Public but hidden since it should only be used from [`dynamic_pr_debug!`].
///
/// # Invariants
///
/// The strings of the `struct _ddebug` are static C strings.
#[doc(hidden)]
#[repr(transparent)]
pub struct Site(Opaque<bindings::_ddebug>);

// SAFETY: What is not constant is the flags and the key. They are changed by C, under its own lock;
// here the flags are read at once, and the key is for C.
unsafe impl Sync for Site {}

impl Site {
    /// A place that is off. To have it found, it must be in the section `__dyndbg`.
    pub const fn new(
        module: &'static CStr,
        function: &'static CStr,
        file: &'static CStr,
        format: &'static CStr,
        line: u32,
    ) -> Self {
        let line = line & ((1 << LINENO_BITS) - 1);
        // Not to be filtered by a class that somebody else has defined.
        let class = bindings::_DPRINTK_CLASS_DFLT;
        // Bit fields begin at the lowest bit, or at the highest; the setters are not `const`.
        let bits = if cfg!(target_endian = "big") {
            (line << (u32::BITS - LINENO_BITS)) | (class << (u32::BITS - LINENO_BITS - CLASS_BITS))
        } else {
            line | (class << LINENO_BITS)
        };
        // INVARIANT: These are such strings.
        Self(Opaque::new(bindings::_ddebug {
            modname: kernel::str::as_char_ptr_in_const_context(module),
            function: kernel::str::as_char_ptr_in_const_context(function),
            filename: kernel::str::as_char_ptr_in_const_context(file),
            format: kernel::str::as_char_ptr_in_const_context(format),
            _bitfield_1: bindings::__BindgenBitfieldUnit::new(bits.to_ne_bytes()),
            // A key of zeroes is one that is false.
            ..pin_init::zeroed()
        }))
    }

    fn flags(&self) -> u32 {
        let site = self.0.get();
        // SAFETY: The field is there, has 32 bits which are initialised, and is aligned as
        // `_bitfield_align_1` says. Volatile, because C may be changing it.
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

    /// Whether the message is on. For where there are no static branches.
    #[inline]
    pub fn enabled(&self) -> bool {
        self.flags() & bindings::_DPRINTK_FLAGS_PRINT != 0
    }

    /// Prints `args` as the message, with what the flags want before and after it.
    #[cfg(CONFIG_DYNAMIC_DEBUG)]
    #[cold]
    pub fn print(&self, args: kernel::fmt::Arguments<'_>) {
        let site = self.0.get();
        // The name goes before every message of a Rust module.
        //
        // SAFETY: By the invariants; `modname` is constant. The format wants a C string and a
        // pointer to `fmt::Arguments`.
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

    /// The bit fields are where C has them.
    #[test]
    fn bit_fields() {
        for line in [1, 0x15555, 0x2aaaa, (1 << LINENO_BITS) - 1] {
            let site = Site::new(c"module", c"function", c"file", c"format", line);
            let ddebug = site.0.get();
            // SAFETY: Nobody else knows of it.
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
