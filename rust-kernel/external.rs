// SPDX-License-Identifier: GPL-2.0

//! The root of vfifo as an external module, on a kernel that is not patched.
//!
//! What the files of the driver and of the abstractions call `kernel` is here not the crate of the
//! running kernel, but this one: all that the other exports, and on top of it what the series adds.
//! So they are the same files, compiled into the module. In a patched kernel this one has no part.

/// The crate of the running kernel.
extern crate kernel as running;
// For them, and for the kernel's procedural macros.
extern crate self as kernel;

pub use running::*;

// What is named here comes before what the running kernel may have by the same name.
pub mod chrdev;
pub mod class;
pub mod dynamic_debug;
pub mod mmap;
pub mod nofault;
pub mod page_buffer;
pub mod sysfs;
pub mod ticker;
pub mod wait_queue;

#[path = "../samples-rust-vfifo/rust_vfifo.rs"]
mod rust_vfifo;

/// The running kernel's bindings, and the constants that the series adds to
/// `rust/bindings/bindings_helper.h`. These are compared with C in `external.c`.
pub mod bindings {
    pub use running::bindings::*;

    /// The file knows `IOCB_NOWAIT`.
    pub const FMODE_NOWAIT: fmode_t = 1 << 27;
    /// The call must not sleep.
    pub const IOCB_NOWAIT: i32 = 8;
}

/// Tracepoints, as the series declares them.
///
/// The running kernel's bindings do not have those of the driver, so they are declared where they
/// are used. That they are what `include/trace/events/vfifo.h` says, and safe to call, is checked
/// in a patched kernel.
pub mod tracepoint {
    /// Declares safe Rust entry points for tracepoints whose arguments are nothing but numbers.
    #[macro_export]
    macro_rules! declare_trace {
        ($(
            $(#[$attr:meta])*
            $pub:vis fn $name:ident($($argname:ident : $argtyp:ty),* $(,)?);
        )*) => {$(
            $( #[$attr] )*
            #[inline(always)]
            $pub fn $name($($argname : $argtyp),*) {
                #[cfg(CONFIG_TRACEPOINTS)]
                $crate::macros::paste! {
                    // Without lockdep, a structure in it is empty.
                    #[allow(improper_ctypes)]
                    extern "C" {
                        static [< __tracepoint_ $name >]: $crate::bindings::tracepoint;
                        fn [< rust_do_trace_ $name >]($($argname : $argtyp),*);
                    }

                    // SAFETY: It's always okay to query the static key for a tracepoint.
                    let should_trace = unsafe {
                        $crate::jump_label::static_branch_unlikely!(
                            [< __tracepoint_ $name >],
                            $crate::bindings::tracepoint,
                            key
                        )
                    };
                    if should_trace {
                        // SAFETY: All arguments are numbers, of which C code requires nothing.
                        unsafe { [< rust_do_trace_ $name >]($($argname),*) };
                    }
                }

                #[cfg(not(CONFIG_TRACEPOINTS))]
                {
                    $( let _unused = $argname; )*
                }
            }
        )*};
    }
    pub use declare_trace;
}

// What follows is made by `module!` in the driver, but only for the module that it is in, and is
// looked for in the root of the crate.

/// The name in front of messages.
const __LOG_PREFIX: &[u8] = b"rust_vfifo\0";

/// Who owns the files.
struct LocalModule;

impl ModuleMetadata for LocalModule {
    const NAME: &'static str::CStr = c"rust_vfifo";

    // SAFETY: `__this_module` is made by the kernel when it loads the module, and lives until that
    // is unloaded.
    const THIS_MODULE: ThisModule =
        unsafe { ThisModule::from_ptr((&raw const bindings::__this_module).cast_mut()) };
}
