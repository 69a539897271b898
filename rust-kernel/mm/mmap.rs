// SPDX-License-Identifier: GPL-2.0
// Copyright (C) 2026 Seed 1f3ad1c2 maintainers.

//! Mapping a driver's pages into user space.
//!
//! An `mmap` system call goes through three stages, and each of them has a type here:
//!
//! 1. The file's `mmap_prepare` operation is passed an [`AreaDesc`], the description of an area
//!    that does not exist yet. It refuses the area, or sets what may be done with it and which
//!    [`Mapping`] serves it. It must not keep any state, since creating the area may still fail.
//! 2. [`Mapping::mapped`] is called once the area exists. The area owns what it returns.
//! 3. [`Mapping::page`] supplies pages when user space touches them.
//!
//! A mapping is reference counted, because `fork`, or an `munmap` of a hole in the middle, leaves
//! several areas that share it. It is dropped with the last of them, whatever removes that:
//! `munmap`, `exec`, `exit` or a fatal signal. So anything that the mapping owns, such as a count,
//! a claim or a buffer, lives for as long as user space has a pointer to it.
//!
//! Pages are inserted when they are first touched, and not by `mmap_action_map_kernel_pages()`.
//! That action keeps a bare pointer to an array of pages between stages 1 and 2, and a driver has
//! no hook there to learn that the mapping failed and the array can be freed. As with that
//! function, the area has normal, reference-counted pages, which user space can pass to `write`,
//! `vmsplice` or direct I/O, unless the mapping is not [pinnable](Mapping::PINNABLE).
//!
//! The types are in `mmap/area.rs`, for stage 1, and `mmap/operations.rs`, for stages 2 and 3.
//!
//! Not supported: private mappings, growing a mapping with `mremap`, and memory without a
//! `struct page`.
//!
//! C header: [`include/linux/mm.h`](srctree/include/linux/mm.h)
//!
//! Reference: [mmap_prepare callback HOWTO][howto]
//!
//! [howto]: srctree/Documentation/filesystems/mmap_prepare.rst

use kernel::{
    page::BorrowedPage,
    page_buffer::PageBuffer,
    prelude::*,
    sync::Arc,
    types::ForeignOwnable, //
};

mod area;
mod operations;

pub use area::AreaDesc;

/// What serves an area of user memory.
///
/// # Context
///
/// All methods, and dropping, happen in process context, with the `mmap_lock` of the process (for
/// reading or for writing) or the lock of the area held. They may sleep. They must not take a lock
/// under which user memory is accessed, because a page fault takes the `mmap_lock`, unless that is
/// done without page faults (see `kernel::uaccess::nofault`).
pub trait Mapping: Send + Sync + Sized + 'static {
    /// The private data of the files that are mapped.
    type File: ForeignOwnable + Send + Sync + 'static;

    /// Whether `mremap` may move the area to another address. If not, it fails with `EINVAL`.
    const MOVABLE: bool = true;

    /// Whether other parts of the kernel may keep references to the pages of the area, as direct
    /// I/O, `vmsplice`, registered buffers of io_uring and `process_vm_writev` do. With such a
    /// reference, a page can be written to after the area is gone.
    ///
    /// If not, these calls fail with `EFAULT`, while calls that copy from or to the area work. The
    /// pages are then those of [`Mapping::fixed`], and [`Mapping::page`] is not called.
    const PINNABLE: bool = true;

    /// Called when an area has been mapped: `len` bytes, from byte `offset` of the file. Both are
    /// multiples of the page size.
    ///
    /// Memory allocated here is allocated on behalf of the process that maps the file, and should
    /// be charged to it (`GFP_KERNEL_ACCOUNT`).
    ///
    /// # Errors
    ///
    /// An error removes the area, and `mmap` fails with it.
    fn mapped(
        file: <Self::File as ForeignOwnable>::Borrowed<'_>,
        offset: u64,
        len: usize,
    ) -> Result<Arc<Self>>;

    /// Returns page number `index` of the file. If it is [`None`], the task that touched the page
    /// gets `SIGBUS`.
    fn page(&self, _index: usize) -> Option<BorrowedPage<'_>> {
        None
    }

    /// Returns the pages of an area that is not [`Mapping::PINNABLE`], starting with its first
    /// page. Called once for each area.
    fn fixed(&self) -> Option<Arc<PageBuffer>> {
        None
    }
}
