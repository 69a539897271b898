// SPDX-License-Identifier: GPL-2.0
// Copyright (C) 2026 Seed 1f3ad1c2 maintainers.

//! The `struct vm_operations_struct` of areas.

use super::Mapping;
use core::{
    marker::PhantomData,
    ptr, //
};
use kernel::{
    bindings,
    page::{
        PAGE_SHIFT,
        PAGE_SIZE, //
    },
    page_buffer::PageBuffer,
    prelude::*,
    sync::{
        Arc,
        ArcBorrow,
        UniqueArc, //
    },
    types::ForeignOwnable, //
};

/// The maximum number of pages that one fault inserts, if they are available.
const FAULT_AROUND: usize = 16;

/// What an area owns.
struct Served<M> {
    mapping: Arc<M>,
    // Keeps these pages alive for as long as the area exists, whatever the mapping does: an entry
    // for a page frame in the page table holds no reference to the page.
    fixed: Option<Arc<PageBuffer>>,
    // The page of the file that the original area started at. The parts that a hole leaves of it
    // may start elsewhere.
    first: usize,
}

impl<M> Served<M> {
    /// Returns the frame number of page number `index` of the file, if it is one of `fixed`.
    fn frame(&self, index: usize) -> Option<usize> {
        self.fixed.as_ref()?.frame(index.checked_sub(self.first)?)
    }
}

/// The operations of areas that are served by an `M`.
///
/// The private data of such an area is null, or an `Arc<Served<M>>` that the area owns.
pub(super) struct Operations<M>(PhantomData<M>);

impl<M: Mapping> Operations<M> {
    pub(super) const TABLE: &'static bindings::vm_operations_struct =
        &bindings::vm_operations_struct {
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
    /// Must only be called as `vm_operations_struct::mapped`, for an area that is served by an `M`.
    unsafe extern "C" fn mapped(
        start: c_ulong,
        end: c_ulong,
        pgoff: c_ulong,
        file: *const bindings::file,
        private_data: *mut *mut c_void,
    ) -> c_int {
        // SAFETY: The file is open, so its private data is an `M::File` in foreign form, by the
        // invariants of the `AreaDesc` that `M` was passed to.
        let file = unsafe { <M::File as ForeignOwnable>::borrow((*file).private_data) };
        // Allocated first: after `M::mapped()`, nothing fails.
        let served = UniqueArc::new_uninit(GFP_KERNEL_ACCOUNT)
            .map_err(Error::from)
            .and_then(|served| {
                let mapping = M::mapped(file, (pgoff as u64) << PAGE_SHIFT, end - start)?;
                let fixed = if M::PINNABLE { None } else { mapping.fixed() };
                let first = pgoff;
                Ok(served.write(Served {
                    mapping,
                    fixed,
                    first,
                }))
            });
        match served {
            Ok(served) => {
                let served = Arc::from(served);
                // SAFETY: The caller passes a pointer that is valid for writes. From here on, the
                // area owns the reference.
                unsafe { *private_data = served.into_foreign() };
                0
            }
            Err(error) => error.to_errno(),
        }
    }

    /// # Safety
    ///
    /// Must only be called as `vm_operations_struct::open`: `vma` is a copy of an area that is
    /// served by an `M`.
    unsafe extern "C" fn open(vma: *mut bindings::vm_area_struct) {
        // SAFETY: The copy has the private data of the original area, which still exists.
        let served = unsafe { Self::get((*vma).vm_private_data) };
        if let Some(served) = served {
            // The copy gets its own reference. The pointer stays the same.
            let _ = Arc::from(served).into_foreign();
        }
    }

    /// # Safety
    ///
    /// Must only be called as `vm_operations_struct::close`, for an area that is served by an `M`.
    unsafe extern "C" fn close(vma: *mut bindings::vm_area_struct) {
        // SAFETY: The area is being removed, so nothing else uses its private data.
        let private_data = unsafe { (*vma).vm_private_data };
        if !private_data.is_null() {
            // SAFETY: The area owns this reference, and does not use it after this.
            drop(unsafe { <Arc<Served<M>> as ForeignOwnable>::from_foreign(private_data) });
        }
    }

    /// # Safety
    ///
    /// Must only be called as `vm_operations_struct::mremap`.
    unsafe extern "C" fn refuse_to_move(_vma: *mut bindings::vm_area_struct) -> c_int {
        // The area already has a copy at the new address. The kernel removes it, with `close()`.
        EINVAL.to_errno()
    }

    /// # Safety
    ///
    /// Must only be called as `vm_operations_struct::fault`, for an area that is served by an `M`.
    unsafe extern "C" fn fault(vmf: *mut bindings::vm_fault) -> bindings::vm_fault_t {
        // SAFETY: The caller passes a valid fault.
        let (vma, index, address) = unsafe {
            let place = &(*vmf).__bindgen_anon_1;
            (place.vma, place.pgoff, place.address & !(PAGE_SIZE - 1))
        };
        // SAFETY: The area exists and does not change while a fault in it is handled.
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
            // SAFETY: By `serve()`, the area is for page frames and not private. It is locked
            // against changes. The frame is that of a page of `fixed`, which the area owns.
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
        // SAFETY: By `serve()`, the area may have normal pages inserted. It is locked against
        // changes. The `count` pages live as long as the mapping, and each gets a reference of its
        // own.
        let error =
            unsafe { bindings::vm_insert_pages(vma, address, pages.as_mut_ptr(), &mut left) };
        if left < count {
            return bindings::vm_fault_reason_VM_FAULT_NOPAGE;
        }
        match Error::from_errno(error) {
            // Another fault has inserted the page; or a page table is gone or could not be
            // allocated, which cannot be told apart. User space tries again.
            e if e == EBUSY || e == EFAULT => bindings::vm_fault_reason_VM_FAULT_NOPAGE,
            e if e == ENOMEM => bindings::vm_fault_reason_VM_FAULT_OOM,
            _ => bindings::vm_fault_reason_VM_FAULT_SIGBUS,
        }
    }

    /// Returns what the area owns, or [`None`] before `mapped()` has supplied it.
    ///
    /// # Safety
    ///
    /// `private_data` must be that of an area that is served by an `M` and exists for `'a`.
    unsafe fn get<'a>(private_data: *mut c_void) -> Option<ArcBorrow<'a, Served<M>>> {
        // SAFETY: It is null or an `Arc<Served<M>>` in foreign form, as described at `Operations`.
        (!private_data.is_null())
            .then(|| unsafe { <Arc<Served<M>> as ForeignOwnable>::borrow(private_data) })
    }
}

#[cfg(CONFIG_RUST_MMAP_KUNIT_TEST)]
#[kunit_tests(rust_kernel_mmap)]
mod tests {
    use super::{
        super::AreaDesc,
        *, //
    };
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
    /// Must only be called as `file_operations::mmap_prepare`, for a file whose private data is an
    /// `Arc<PageBuffer>`.
    unsafe extern "C" fn mmap_prepare(desc: *mut bindings::vm_area_desc) -> c_int {
        // SAFETY: As the caller promises.
        let mut area = unsafe { AreaDesc::<Arc<PageBuffer>>::from_raw(desc) };
        area.serve::<Kept>().map_or_else(Error::to_errno, |()| 0)
    }

    const OPERATIONS: &bindings::file_operations = &bindings::file_operations {
        mmap_prepare: Some(mmap_prepare),
        ..pin_init::zeroed()
    };

    /// The parts that a hole leaves of an area keep their pages.
    #[test]
    fn hole() -> Result {
        let pages = Arc::new(PageBuffer::new(PAGES)?, GFP_KERNEL)?;
        for index in 0..PAGES {
            assert_eq!(
                pages.write(index * PAGE_SIZE, &index.to_ne_bytes()),
                size_of::<usize>()
            );
        }
        // SAFETY: This task belongs to KUnit, which detaches the memory when the test ends.
        to_result(unsafe { bindings::kunit_attach_mm() })?;
        let private_data = pages.into_foreign();
        // SAFETY: The operations are static, and are for this type of private data.
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

        // SAFETY: There are no references to the memory that is mapped there.
        to_result(unsafe { bindings::vm_munmap(start + PAGE_SIZE, PAGE_SIZE) })?;
        for index in [0, 2, 3] {
            let page = UserPtr::from_addr(start + index * PAGE_SIZE);
            let there: usize = UserSlice::new(page, size_of::<usize>()).reader().read()?;
            assert_eq!(there, index);
        }

        // SAFETY: As above.
        to_result(unsafe { bindings::vm_munmap(start, PAGES * PAGE_SIZE) })?;
        // SAFETY: This is the last use of the file, whose reference this is.
        unsafe { bindings::fput(file) };
        // SAFETY: It came from `into_foreign()`, and no area can be made of the file any more, so
        // nothing else uses it.
        drop(unsafe { <Arc<PageBuffer> as ForeignOwnable>::from_foreign(private_data) });
        Ok(())
    }
}
