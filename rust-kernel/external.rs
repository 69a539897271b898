// SPDX-License-Identifier: GPL-2.0
// Copyright (C) 2026 Seed 1f3ad1c2 maintainers.

//! The root of vfifo as an external module, for a kernel without these patches.
//!
//! In the files of the driver and of the abstractions, `kernel` is the crate of the running kernel
//! once the series is applied. In an external module it is this crate: everything that the running
//! kernel exports, and on top of it what the series adds, at the same paths. So the same files are
//! compiled into the module. A patched kernel does not use this file.
//!
//! The release functions of devices and classes are then part of the module as well. Dropping a
//! device waits until its release function has said that it is done, but another task that dropped
//! the last reference may still have to return from that function when the module is freed. In a
//! patched kernel, the function is in the kernel crate, which is never unloaded.

/// The crate of the running kernel.
extern crate kernel as running;
// For the files of the driver and of the abstractions, and for the kernel's procedural macros.
extern crate self as kernel;

pub use running::*;

// The modules named here take precedence over modules of the same name in the running kernel.
pub mod chrdev;
pub mod class;
pub mod dynamic_debug;
pub mod page_buffer;
pub mod sysfs;
pub mod ticker;

/// The running kernel's module, and what the series adds to it.
pub mod mm {
    pub use running::mm::*;

    pub mod mmap;
}

/// The running kernel's module, and what the series adds to it.
pub mod sync {
    pub use running::sync::*;

    pub mod wait_queue;

    /// The running kernel's module, with a `PollTable` that takes our wait queues.
    pub mod poll {
        use super::wait_queue::WaitQueue;
        use core::marker::PhantomData;
        use kernel::{
            bindings,
            fs::File, //
        };

        pub use running::sync::poll::*;

        /// See `rust/kernel/sync/poll.rs`.
        ///
        /// # Invariants
        ///
        /// The pointer is null or points at a valid `poll_table` for the duration of `'a`.
        pub struct PollTable<'a>(*mut bindings::poll_table, PhantomData<&'a ()>);

        impl PollTable<'_> {
            /// Wraps a poll table.
            ///
            /// # Safety
            ///
            /// `table` must be null, or valid for the duration of the returned object's lifetime.
            pub unsafe fn from_raw(table: *mut bindings::poll_table) -> Self {
                // INVARIANT: As the caller promises.
                Self(table, PhantomData)
            }

            /// Registers the poll table with a queue.
            ///
            /// # Safety
            ///
            /// The queue must not be dropped before its pollers have been removed, which they are
            /// when `file` is closed.
            pub unsafe fn register_wait_queue(&self, file: &File, queue: &WaitQueue) {
                // SAFETY: The file is valid, and so is the table, or it is null. The caller
                // promises that the queue outlives its pollers.
                unsafe { bindings::poll_wait(file.as_ptr(), queue.as_raw(), self.0) };
            }
        }
    }
}

/// The running kernel's module, and what the series adds to it.
pub mod task {
    pub use running::task::*;

    pub mod signal;
}

/// The running kernel's module, and what the series adds to it.
pub mod uaccess {
    pub use running::uaccess::*;

    pub mod nofault;
}

#[path = "../samples-rust-vfifo/rust_vfifo.rs"]
mod rust_vfifo;

/// The running kernel's prelude, and the methods that the series adds to types of the kernel.
pub mod prelude {
    pub use super::extensions::{
        KiocbExt as _,
        LocalFileExt as _, //
    };
    pub use running::prelude::*;
}

/// The methods that the series adds to types of the kernel.
///
/// In a patched kernel they are methods of these types. Here, where the types belong to another
/// crate, they are methods of traits, which every file gets from the prelude.
pub mod extensions {
    use core::ptr;
    use kernel::{
        bindings,
        fs::{
            file::flags,
            Kiocb,
            LocalFile, //
        },
        types::ForeignOwnable, //
    };

    /// See `rust/kernel/fs/kiocb.rs`.
    pub trait KiocbExt {
        /// Returns whether the call must not sleep.
        fn nonblocking(&self) -> bool;
        /// Returns whether the call must not send `SIGPIPE`.
        fn nosignal(&self) -> bool;
    }

    impl<T: ForeignOwnable> KiocbExt for Kiocb<'_, T> {
        #[inline]
        fn nonblocking(&self) -> bool {
            let kiocb = self.as_raw();
            // SAFETY: The kiocb is valid, and so is its file. `f_flags` may change at any time
            // (F_SETFL), so it is read once.
            unsafe {
                (*kiocb).ki_flags & bindings::IOCB_NOWAIT != 0
                    || ptr::read_volatile(&raw const (*(*kiocb).ki_filp).f_flags)
                        & flags::O_NONBLOCK
                        != 0
            }
        }

        #[inline]
        fn nosignal(&self) -> bool {
            // SAFETY: The kiocb is valid.
            unsafe { (*self.as_raw()).ki_flags & bindings::IOCB_NOSIGNAL != 0 }
        }
    }

    /// See `rust/kernel/fs/file.rs`.
    pub trait LocalFileExt {
        /// Returns whether reads and writes of the file must not sleep.
        fn nonblocking(&self) -> bool;
        /// Returns whether the file is open for reading.
        fn readable(&self) -> bool;
        /// Returns whether the file is open for writing.
        fn writable(&self) -> bool;
    }

    impl LocalFileExt for LocalFile {
        #[inline]
        fn nonblocking(&self) -> bool {
            self.flags() & flags::O_NONBLOCK != 0
        }

        fn readable(&self) -> bool {
            matches!(
                self.flags() & flags::O_ACCMODE,
                flags::O_RDONLY | flags::O_RDWR
            )
        }

        fn writable(&self) -> bool {
            matches!(
                self.flags() & flags::O_ACCMODE,
                flags::O_WRONLY | flags::O_RDWR
            )
        }
    }
}

/// The running kernel's bindings, with the constants and helpers that the series adds to
/// `rust/bindings/bindings_helper.h` and `rust/helpers/`. `external.c` compares the constants with
/// C and defines the helpers.
pub mod bindings {
    pub use running::bindings::*;

    /// There is something to read.
    pub const EPOLLIN: __poll_t = 0x0001;
    /// There is room to write.
    pub const EPOLLOUT: __poll_t = 0x0004;
    /// There is an error.
    pub const EPOLLERR: __poll_t = 0x0008;
    /// The other side has hung up.
    pub const EPOLLHUP: __poll_t = 0x0010;
    /// There is normal data to read.
    pub const EPOLLRDNORM: __poll_t = 0x0040;
    /// There is room to write normal data.
    pub const EPOLLWRNORM: __poll_t = 0x0100;
    /// Only one of the pollers is to be woken.
    pub const EPOLLEXCLUSIVE: __poll_t = 1 << 28;
    /// The file respects `IOCB_NOWAIT`.
    pub const FMODE_NOWAIT: fmode_t = 1 << 27;
    /// The call must not sleep.
    pub const IOCB_NOWAIT: i32 = 8;
    /// The call must not send `SIGPIPE`.
    pub const IOCB_NOSIGNAL: i32 = 0x100;

    // Depending on the configuration, some structure within these is empty.
    #[allow(improper_ctypes)]
    extern "C" {
        /// Sets whether events about a device are kept from user space.
        #[link_name = "rust_helper_dev_set_uevent_suppress"]
        pub fn dev_set_uevent_suppress(dev: *mut device, val: kernel::ffi::c_int);
        /// Returns whether a task is being killed.
        #[link_name = "rust_helper_fatal_signal_pending"]
        pub fn fatal_signal_pending(task: *mut task_struct) -> kernel::ffi::c_int;
    }
}

/// Tracepoints, as the series declares them.
///
/// The running kernel's bindings do not have the driver's tracepoints, so these are declared where
/// they are used. In a patched kernel it is checked that the declarations match those in
/// `include/trace/events/vfifo.h`, and that the tracepoints are safe to call.
pub mod tracepoint {
    /// Declares safe Rust entry points for tracepoints that take only numbers.
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
                    // Without lockdep, `struct tracepoint` contains an empty structure.
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
                        // SAFETY: All arguments are numbers, and the C code takes any values.
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

// In other modules, the `module!` macro of the driver makes what follows. It is looked for in the
// root of the crate, where that macro is not.

/// The prefix of messages.
const __LOG_PREFIX: &[u8] = b"rust_vfifo\0";

/// The owner of the files.
struct LocalModule;

impl ModuleMetadata for LocalModule {
    const NAME: &'static str::CStr = c"rust_vfifo";

    // SAFETY: The kernel creates `__this_module` when it loads the module, and it exists until the
    // module is unloaded.
    const THIS_MODULE: ThisModule =
        unsafe { ThisModule::from_ptr((&raw const bindings::__this_module).cast_mut()) };
}
