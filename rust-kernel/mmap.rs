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
//! or direct I/O; unless the mapping is not [pinnable](Mapping::PINNABLE).
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
    page_buffer::PageBuffer,
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
/// user memory is accessed, unless without page faults (see `kernel::nofault`): a fault wants the
/// `mmap_lock`.
pub trait Mapping: Send + Sync + Sized + 'static {
    /// The private data of the files that are mapped.
    type File: ForeignOwnable + Send + Sync + 'static;

    /// Whether `mremap` may move the area to another address. Else that fails, with `EINVAL`.
    const MOVABLE: bool = true;

    /// Whether others may keep references to the pages of the area, as direct I/O, `vmsplice`,
    /// io_uring's registered buffers and `process_vm_writev` do. Through such a reference a page
    /// can be written to when the area has gone.
    ///
    /// Else those calls get `EFAULT`; calls that copy from or to the area work. Then the pages are
    /// those of [`Mapping::fixed`], and [`Mapping::page`] is not called.
    const PINNABLE: bool = true;

    /// Called when an area of `len` bytes from byte `offset` of the file on has been mapped.
    ///
    /// Both are multiples of the page size. An error undoes the area, and is what `mmap` returns.
    /// What is allocated here is allocated for the process that maps the file: it should be charged
    /// to it (`GFP_KERNEL_ACCOUNT`).
    fn mapped(
        file: <Self::File as ForeignOwnable>::Borrowed<'_>,
        offset: u64,
        len: usize,
    ) -> Result<Arc<Self>>;

    /// The page that is page number `index` of the file.
    ///
    /// [`None`] has the one who touches it get `SIGBUS`.
    fn page(&self, _index: usize) -> Option<BorrowedPage<'_>> {
        None
    }

    /// The pages of an area that is not [`Mapping::PINNABLE`], from its start on. Asked for once.
    fn fixed(&self) -> Option<Arc<PageBuffer>> {
        None
    }
}

/// What an area owns.
struct Served<M> {
    mapping: Arc<M>,
    // Outlives the area, whatever the mapping does: nothing else keeps these pages while they are
    // in its page table.
    fixed: Option<Arc<PageBuffer>>,
    // The page of the file that the area started at when it was made. What a hole leaves of it
    // starts elsewhere.
    first: usize,
}

impl<M> Served<M> {
    /// The page frame of `fixed` that is page number `index` of the file.
    fn frame(&self, index: usize) -> Option<usize> {
        self.fixed.as_ref()?.frame(index.checked_sub(self.first)?)
    }
}

/// The description of an area of user memory that is about to be made, for files with private data
/// of type `F`.
///
/// # Invariants
///
/// `desc` points at a `vm_area_desc` for the duration of `'a`. If an area is made of it, then it is
/// what the `mmap_prepare` operation of a file with private data of type `F` was called with.
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
    /// `desc` must be what the `mmap_prepare` operation of a file was called with, or never be made
    /// an area; the private data of that file must be of type `F` (see
    /// [`ForeignOwnable::into_foreign`]) and nothing else may use `desc` during `'a`.
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

    /// Has `fork` leave the area out of the child.
    pub fn dont_copy(&mut self) {
        self.set(bindings::VMA_DONTCOPY_BIT);
    }

    /// Has the area served by mappings of type `M`, and keeps it out of core dumps. To be called
    /// once: whether pages or page frames are inserted is a property of the area.
    ///
    /// That `M` is made for this kind of file is checked by the compiler.
    ///
    /// # Errors
    ///
    /// [`EINVAL`] if the area is not [shared](Self::shared); [`EBUSY`] if it is served already.
    ///
    /// # Examples
    ///
    /// ```
    /// # use kernel::{
    /// #     bindings,
    /// #     mmap::{AreaDesc, Mapping},
    /// #     sync::{Arc, ArcBorrow}, //
    /// # };
    /// struct Lent;
    ///
    /// impl Mapping for Lent {
    ///     type File = Arc<u32>;
    ///
    ///     fn mapped(_file: ArcBorrow<'_, u32>, _offset: u64, _len: usize) -> Result<Arc<Self>> {
    ///         Ok(Arc::new(Lent, GFP_KERNEL)?)
    ///     }
    /// }
    ///
    /// struct Kept;
    ///
    /// impl Mapping for Kept {
    ///     type File = Arc<u32>;
    ///
    ///     const PINNABLE: bool = false;
    ///
    ///     fn mapped(_file: ArcBorrow<'_, u32>, _offset: u64, _len: usize) -> Result<Arc<Self>> {
    ///         Ok(Arc::new(Kept, GFP_KERNEL)?)
    ///     }
    /// }
    ///
    /// # let mut raw = bindings::vm_area_desc::default();
    /// # // SAFETY: It is never made an area, so the file is not looked at.
    /// # let mut area = unsafe { AreaDesc::<Arc<u32>>::from_raw(&mut raw) };
    /// # assert_eq!(area.serve::<Lent>(), Err(EINVAL));
    /// # raw.vma_flags.__vma_flags[0] = 1 << bindings::VMA_MAYSHARE_BIT;
    /// # // SAFETY: As above.
    /// # let mut area = unsafe { AreaDesc::<Arc<u32>>::from_raw(&mut raw) };
    /// area.serve::<Lent>()?;
    /// assert_eq!(area.serve::<Kept>(), Err(EBUSY));
    /// # let flags = raw.vma_flags.__vma_flags[0];
    /// # assert!(flags & (1 << bindings::VMA_MIXEDMAP_BIT) != 0);
    /// # assert!(flags & (1 << bindings::VMA_PFNMAP_BIT) == 0);
    /// # Ok::<(), Error>(())
    /// ```
    pub fn serve<M: Mapping<File = F>>(&mut self) -> Result {
        if !self.shared() {
            return Err(EINVAL);
        }
        if self.served {
            // With both flags that say what is in the page table, a fault would be a `BUG()`.
            return Err(EBUSY);
        }
        if M::PINNABLE {
            self.set(bindings::VMA_MIXEDMAP_BIT);
        } else {
            self.set(bindings::VMA_PFNMAP_BIT);
            self.set(bindings::VMA_IO_BIT);
        }
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
/// In all of them the private data of the area is null, or an `Arc<Served<M>>` that it owns.
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
        let served =
            M::mapped(file, (pgoff as u64) << PAGE_SHIFT, end - start).and_then(|mapping| {
                let fixed = if M::PINNABLE { None } else { mapping.fixed() };
                let first = pgoff;
                Ok(Arc::new(
                    Served {
                        mapping,
                        fixed,
                        first,
                    },
                    GFP_KERNEL_ACCOUNT,
                )?)
            });
        match served {
            Ok(served) => {
                // SAFETY: The caller passes a place for it. The area owns it from here on.
                unsafe { *private_data = served.into_foreign() };
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
        let served = unsafe { Self::get((*vma).vm_private_data) };
        if let Some(served) = served {
            // The copy owns a reference of its own. The pointer stays the same.
            let _ = Arc::from(served).into_foreign();
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
            drop(unsafe { <Arc<Served<M>> as ForeignOwnable>::from_foreign(private_data) });
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
        let (end, served) = unsafe {
            (
                (*vma).__bindgen_anon_1.__bindgen_anon_1.vm_end,
                Self::get((*vma).vm_private_data),
            )
        };
        let Some(served) = served else {
            return bindings::vm_fault_reason_VM_FAULT_SIGBUS;
        };
        if !M::PINNABLE {
            let Some(frame) = served.frame(index) else {
                return bindings::vm_fault_reason_VM_FAULT_SIGBUS;
            };
            // SAFETY: The area is one for page frames, by `serve()`, not private, and locked
            // against changes; the page lives as long as it.
            return unsafe { bindings::vmf_insert_pfn(vma, address, frame) };
        }

        let mut pages = [ptr::null_mut(); FAULT_AROUND];
        let mut count = 0;
        for (i, slot) in pages.iter_mut().enumerate() {
            if address + i * PAGE_SIZE >= end {
                break;
            }
            let Some(page) = served.mapping.page(index + i) else {
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
    unsafe fn get<'a>(private_data: *mut c_void) -> Option<ArcBorrow<'a, Served<M>>> {
        // SAFETY: It is null or a foreign `Arc<Served<M>>`, as said at the type.
        (!private_data.is_null())
            .then(|| unsafe { <Arc<Served<M>> as ForeignOwnable>::borrow(private_data) })
    }
}

#[cfg(CONFIG_RUST_MMAP_KUNIT_TEST)]
#[kunit_tests(rust_kernel_mmap)]
mod tests {
    use super::*;
    use kernel::{
        error::{
            from_err_ptr,
            to_result, //
        },
        fs::file::flags,
        uaccess::{
            UserPtr,
            UserSlice, //
        }, //
    };

    // From include/uapi/asm-generic/mman-common.h and mman.h.
    const PROT_READ: usize = 1;
    const MAP_SHARED: usize = 1;

    const PAGES: usize = 4;

    struct Kept(Arc<PageBuffer>);

    impl Mapping for Kept {
        type File = Arc<PageBuffer>;

        const PINNABLE: bool = false;

        fn mapped(file: ArcBorrow<'_, PageBuffer>, _offset: u64, _len: usize) -> Result<Arc<Self>> {
            Ok(Arc::new(Kept(file.into()), GFP_KERNEL)?)
        }

        fn fixed(&self) -> Option<Arc<PageBuffer>> {
            Some(self.0.clone())
        }
    }

    /// # Safety
    ///
    /// To be called as `file_operations::mmap_prepare`, for a file whose private data is a buffer.
    unsafe extern "C" fn mmap_prepare(desc: *mut bindings::vm_area_desc) -> c_int {
        // SAFETY: As the caller promises.
        let mut area = unsafe { AreaDesc::<Arc<PageBuffer>>::from_raw(desc) };
        area.serve::<Kept>().map_or_else(Error::to_errno, |()| 0)
    }

    const OPERATIONS: &bindings::file_operations = &bindings::file_operations {
        mmap_prepare: Some(mmap_prepare),
        ..pin_init::zeroed()
    };

    /// What a hole leaves of an area has the pages that it had.
    #[test]
    fn hole() -> Result {
        let pages = Arc::new(PageBuffer::new(PAGES)?, GFP_KERNEL)?;
        for index in 0..PAGES {
            assert_eq!(
                pages.write(index * PAGE_SIZE, &index.to_ne_bytes()),
                size_of::<usize>()
            );
        }
        // SAFETY: This task belongs to KUnit, which takes the memory away with it.
        to_result(unsafe { bindings::kunit_attach_mm() })?;
        let private_data = pages.into_foreign();
        // SAFETY: The operations are static, and for this private data.
        let file = from_err_ptr(unsafe {
            bindings::anon_inode_getfile(
                c"kept".as_char_ptr(),
                OPERATIONS,
                private_data,
                flags::O_RDWR as c_int,
            )
        })?;
        // SAFETY: The file is open.
        let start =
            unsafe { bindings::vm_mmap(file, 0, PAGES * PAGE_SIZE, PROT_READ, MAP_SHARED, 0) };
        from_err_ptr(start as *mut c_void)?;

        // SAFETY: Nobody has a reference to what is mapped there.
        to_result(unsafe { bindings::vm_munmap(start + PAGE_SIZE, PAGE_SIZE) })?;
        for index in [0, 2, 3] {
            let page = UserPtr::from_addr(start + index * PAGE_SIZE);
            let there: usize = UserSlice::new(page, size_of::<usize>()).reader().read()?;
            assert_eq!(there, index);
        }

        // SAFETY: As above.
        to_result(unsafe { bindings::vm_munmap(start, PAGES * PAGE_SIZE) })?;
        // SAFETY: This is the only reference to it now.
        unsafe { bindings::fput(file) };
        // SAFETY: It came from `into_foreign()`, and only making an area looks at it.
        drop(unsafe { <Arc<PageBuffer> as ForeignOwnable>::from_foreign(private_data) });
        Ok(())
    }
}
