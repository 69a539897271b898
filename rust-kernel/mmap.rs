// SPDX-License-Identifier: GPL-2.0

//! Mapping a driver's pages into user space.
//!
//! An `mmap` system call goes through three stages, and each has a type:
//!
//! 1. The file's `mmap_prepare` operation gets an [`AreaDesc`], the description of an area that
//!    does not exist yet. It refuses, or says what may be done with the area, and which [`Mapping`]
//!    is to serve it. It must keep no state: the area may yet fail to be made.
//! 2. [`Mapping::mapped`] is called once the area exists. What it returns belongs to the area.
//! 3. [`Mapping::page`] supplies pages when they are touched.
//!
//! The mapping is reference counted: a `fork`, or an `munmap` of a hole in the middle, leaves
//! several areas that share it. It is dropped with the last of them, whatever ends it: `munmap`,
//! `exec`, `exit` or a fatal signal. So what the mapping holds (a count, a claim, a buffer) is held
//! just as long as user space has a pointer to it.
//!
//! Pages are inserted on the first touch rather than by `mmap_action_map_kernel_pages()`. The
//! latter keeps a bare pointer to a page array between stages 1 and 2, where there is no hook that
//! tells a driver that the mapping has failed and the array is free to go. As with that function
//! the result is normal, reference counted pages, which user space can hand to `write`, `vmsplice`
//! or direct I/O.
//!
//! Not supported: private mappings, growing a mapping by `mremap`, and memory without a
//! `struct page`.
//!
//! C header: [`include/linux/mm.h`](srctree/include/linux/mm.h)
//!
//! Reference: [mmap_prepare callback HOWTO][howto]
//!
//! [howto]: srctree/Documentation/filesystems/mmap_prepare.rst

use core::{
    marker::PhantomData,
    ptr, //
};
use kernel::{
    bindings,
    page::{
        BorrowedPage,
        PAGE_SHIFT,
        PAGE_SIZE, //
    },
    prelude::*,
    sync::{
        Arc,
        ArcBorrow, //
    },
    types::ForeignOwnable, //
};

/// How many pages one fault inserts at most, where they are there to insert.
const FAULT_AROUND: usize = 16;

/// What serves an area of user memory.
///
/// # Context
///
/// All methods, and dropping, run in process context with the `mmap_lock` of the process held, for
/// reading or writing, or the area's own lock. They may sleep, but must not take a lock under which
/// user memory is accessed, unless [without page faults](kernel::nofault): a fault wants the
/// `mmap_lock`.
pub trait Mapping: Send + Sync + Sized + 'static {
    /// The private data of the files that are mapped.
    type File: ForeignOwnable + Send + Sync + 'static;

    /// Whether `mremap` may move the area to another address. Else that fails, with `EINVAL`.
    const MOVABLE: bool = true;

    /// Called when an area of `len` bytes from byte `offset` of the file on has been mapped.
    ///
    /// Both are multiples of the page size. An error undoes the area, and is what `mmap` returns.
    fn mapped(
        file: <Self::File as ForeignOwnable>::Borrowed<'_>,
        offset: u64,
        len: usize,
    ) -> Result<Arc<Self>>;

    /// The page that is page number `index` of the file.
    ///
    /// [`None`] has the one who touches it get `SIGBUS`.
    fn page(&self, index: usize) -> Option<BorrowedPage<'_>>;
}

/// The description of an area of user memory that is about to be made, for files with private data
/// of type `F`.
///
/// # Invariants
///
/// `desc` points at the `vm_area_desc` that the `mmap_prepare` operation of a file with private
/// data of type `F` was called with, for the duration of `'a`.
pub struct AreaDesc<'a, F: ForeignOwnable> {
    desc: &'a mut bindings::vm_area_desc,
    served: bool,
    _file: PhantomData<F>,
}

impl<'a, F: ForeignOwnable + Send + Sync + 'static> AreaDesc<'a, F> {
    /// Makes a description from a raw pointer.
    ///
    /// # Safety
    ///
    /// `desc` must be what the `mmap_prepare` operation of a file was called with; the private data
    /// of that file must be of type `F` (see [`ForeignOwnable::into_foreign`]) and nothing else may
    /// use `desc` during `'a`.
    pub unsafe fn from_raw(desc: *mut bindings::vm_area_desc) -> Self {
        // INVARIANT: As the caller promises.
        Self {
            // SAFETY: As the caller promises.
            desc: unsafe { &mut *desc },
            served: false,
            _file: PhantomData,
        }
    }

    /// Where in the file the area starts, in bytes. A multiple of the page size.
    pub fn offset(&self) -> u64 {
        // A file offset fits in 64 bits: `mmap` has checked it.
        (self.desc.pgoff as u64) << PAGE_SHIFT
    }

    /// The size of the area, in bytes. A multiple of the page size, and not zero.
    #[expect(clippy::len_without_is_empty, reason = "never empty")]
    pub fn len(&self) -> usize {
        self.desc.end - self.desc.start
    }

    fn flag(&self, bit: u32) -> bool {
        self.desc.vma_flags.__vma_flags[0] & (1 << bit) != 0
    }

    fn set(&mut self, bit: u32) {
        self.desc.vma_flags.__vma_flags[0] |= 1 << bit;
    }

    fn clear(&mut self, bit: u32) {
        self.desc.vma_flags.__vma_flags[0] &= !(1 << bit);
    }

    /// Whether what is written to the area is meant for all who map it (`MAP_SHARED`).
    pub fn shared(&self) -> bool {
        // Not VMA_SHARED_BIT: that one is taken away from a file which is not open for writing.
        self.flag(bindings::VMA_MAYSHARE_BIT)
    }

    /// Whether the area is to be writable from the start.
    pub fn writable(&self) -> bool {
        self.flag(bindings::VMA_WRITE_BIT)
    }

    /// Rules out that the area is executable, now or by a later `mprotect`.
    ///
    /// # Errors
    ///
    /// [`EACCES`] if it is asked to be from the start.
    pub fn deny_exec(&mut self) -> Result {
        self.deny(bindings::VMA_EXEC_BIT, bindings::VMA_MAYEXEC_BIT)
    }

    /// Rules out that the area is writable, now or by a later `mprotect`.
    ///
    /// # Errors
    ///
    /// [`EACCES`] if it is asked to be from the start.
    pub fn deny_write(&mut self) -> Result {
        self.deny(bindings::VMA_WRITE_BIT, bindings::VMA_MAYWRITE_BIT)
    }

    fn deny(&mut self, now: u32, later: u32) -> Result {
        if self.flag(now) {
            return Err(EACCES);
        }
        self.clear(later);
        Ok(())
    }

    /// Rules out that the kernel gets at the pages of the area by itself: as the buffer of another
    /// system call's transfer they work if those copy, but are refused (`EFAULT`) by those that
    /// keep a reference to the page, such as direct I/O, `vmsplice`, io_uring's registered buffers,
    /// and `process_vm_writev`. So nobody can write to a page any more once the area is gone.
    pub fn deny_pinning(&mut self) {
        self.set(bindings::VMA_IO_BIT);
    }

    /// Has `fork` leave the area out of the child.
    pub fn dont_copy(&mut self) {
        self.set(bindings::VMA_DONTCOPY_BIT);
    }

    /// Has the area served by mappings of type `M`, and keeps it out of core dumps.
    ///
    /// That `M` is made for this kind of file is checked by the compiler.
    ///
    /// # Errors
    ///
    /// [`EINVAL`] if the area is not [shared](Self::shared).
    pub fn serve<M: Mapping<File = F>>(&mut self) -> Result {
        if !self.shared() {
            return Err(EINVAL);
        }
        self.set(bindings::VMA_MIXEDMAP_BIT);
        self.set(bindings::VMA_DONTEXPAND_BIT);
        self.set(bindings::VMA_DONTDUMP_BIT);
        self.desc.vm_ops = Operations::<M>::TABLE;
        // Null until `mapped` has supplied one: the area may be closed before that.
        self.desc.private_data = ptr::null_mut();
        self.served = true;
        Ok(())
    }

    /// Whether [`AreaDesc::serve`] was called.
    pub fn is_served(&self) -> bool {
        self.served
    }
}

/// The operations of areas that are served by an `M`.
///
/// In all of them the private data of the area is null, or an `Arc<M>` that the area owns.
struct Operations<M>(PhantomData<M>);

impl<M: Mapping> Operations<M> {
    const TABLE: &'static bindings::vm_operations_struct = &bindings::vm_operations_struct {
        open: Some(Self::open),
        close: Some(Self::close),
        mapped: Some(Self::mapped),
        fault: Some(Self::fault),
        mremap: if M::MOVABLE {
            None
        } else {
            Some(Self::refuse_to_move)
        },
        ..pin_init::zeroed()
    };

    /// # Safety
    ///
    /// To be called as `vm_operations_struct::mapped`, for a file with private data `M::File`.
    unsafe extern "C" fn mapped(
        start: c_ulong,
        end: c_ulong,
        pgoff: c_ulong,
        file: *const bindings::file,
        private_data: *mut *mut c_void,
    ) -> c_int {
        // SAFETY: The file is open, so its private data is what `open` made of an `M::File`, by the
        // invariants of the `AreaDesc` that named `M`.
        let file = unsafe { <M::File as ForeignOwnable>::borrow((*file).private_data) };
        match M::mapped(file, (pgoff as u64) << PAGE_SHIFT, end - start) {
            Ok(mapping) => {
                // SAFETY: The caller passes a place for it. The area owns it from here on.
                unsafe { *private_data = mapping.into_foreign() };
                0
            }
            Err(error) => error.to_errno(),
        }
    }

    /// # Safety
    ///
    /// To be called as `vm_operations_struct::open`: `vma` is a copy of an area that is served by
    /// an `M`.
    unsafe extern "C" fn open(vma: *mut bindings::vm_area_struct) {
        // SAFETY: The copy has the private data of the original, which is alive.
        let mapping = unsafe { Self::get((*vma).vm_private_data) };
        if let Some(mapping) = mapping {
            // The copy owns a reference of its own. The pointer stays the same.
            let _ = Arc::from(mapping).into_foreign();
        }
    }

    /// # Safety
    ///
    /// To be called as `vm_operations_struct::close`, for an area that is served by an `M`.
    unsafe extern "C" fn close(vma: *mut bindings::vm_area_struct) {
        // SAFETY: The area is going away, so nobody else uses its private data.
        let private_data = unsafe { (*vma).vm_private_data };
        if !private_data.is_null() {
            // SAFETY: The area owns this reference, and this is the last that is done with it.
            drop(unsafe { <Arc<M> as ForeignOwnable>::from_foreign(private_data) });
        }
    }

    /// # Safety
    ///
    /// To be called as `vm_operations_struct::mremap`. The copy that is at the new address already
    /// goes away again, by `close()`.
    unsafe extern "C" fn refuse_to_move(_vma: *mut bindings::vm_area_struct) -> c_int {
        EINVAL.to_errno()
    }

    /// # Safety
    ///
    /// To be called as `vm_operations_struct::fault`, for an area that is served by an `M`.
    unsafe extern "C" fn fault(vmf: *mut bindings::vm_fault) -> bindings::vm_fault_t {
        // SAFETY: The caller passes a valid fault.
        let (vma, index, address) = unsafe {
            let place = &(*vmf).__bindgen_anon_1;
            (place.vma, place.pgoff, place.address & !(PAGE_SIZE - 1))
        };
        // SAFETY: The area is alive and not going to change while a fault in it is handled.
        let (end, mapping) = unsafe {
            (
                (*vma).__bindgen_anon_1.__bindgen_anon_1.vm_end,
                Self::get((*vma).vm_private_data),
            )
        };
        let Some(mapping) = mapping else {
            return bindings::vm_fault_reason_VM_FAULT_SIGBUS;
        };

        let mut pages = [ptr::null_mut(); FAULT_AROUND];
        let mut count = 0;
        for (i, slot) in pages.iter_mut().enumerate() {
            if address + i * PAGE_SIZE >= end {
                break;
            }
            let Some(page) = mapping.page(index + i) else {
                break;
            };
            *slot = page.as_ptr();
            count += 1;
        }
        if count == 0 {
            return bindings::vm_fault_reason_VM_FAULT_SIGBUS;
        }

        let mut left: c_ulong = count;
        // SAFETY: The area allows a mix of pages, by `serve()`, and is locked against changes; the
        // `count` pages are alive, since the mapping is, and get a reference each.
        let error =
            unsafe { bindings::vm_insert_pages(vma, address, pages.as_mut_ptr(), &mut left) };
        if left < count {
            return bindings::vm_fault_reason_VM_FAULT_NOPAGE;
        }
        match Error::from_errno(error) {
            // Somebody else was faster; or a page table has gone meanwhile, or could not be had,
            // which are not told apart. It is tried again.
            e if e == EBUSY || e == EFAULT => bindings::vm_fault_reason_VM_FAULT_NOPAGE,
            e if e == ENOMEM => bindings::vm_fault_reason_VM_FAULT_OOM,
            _ => bindings::vm_fault_reason_VM_FAULT_SIGBUS,
        }
    }

    /// # Safety
    ///
    /// `private_data` must be that of an area which is served by an `M` and lives for `'a`.
    unsafe fn get<'a>(private_data: *mut c_void) -> Option<ArcBorrow<'a, M>> {
        // SAFETY: It is null or a foreign `Arc<M>`, as said at the type.
        (!private_data.is_null())
            .then(|| unsafe { <Arc<M> as ForeignOwnable>::borrow(private_data) })
    }
}
