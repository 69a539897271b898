// SPDX-License-Identifier: GPL-2.0
// Copyright (C) 2026 Seed 1f3ad1c2 maintainers.

//! The description of an area that is about to be created.

use super::{
    operations::Operations,
    Mapping, //
};
use core::{
    marker::PhantomData,
    ptr, //
};
use kernel::{
    bindings,
    page::PAGE_SHIFT,
    prelude::*,
    types::ForeignOwnable, //
};

/// The description of an area of user memory that is about to be created, for files with private
/// data of type `F`.
///
/// C header: [`include/linux/mm_types.h`](srctree/include/linux/mm_types.h)
///
/// # Context
///
/// All methods can be called in any context. The `mmap_prepare` operation, which has the
/// description, is called in process context, with the `mmap_lock` of the process held.
///
/// # Invariants
///
/// `desc` is a valid `vm_area_desc`. If an area is made of it, then it is the one that the
/// `mmap_prepare` operation of a file with private data of type `F` was called with.
pub struct AreaDesc<'a, F: ForeignOwnable> {
    desc: &'a mut bindings::vm_area_desc,
    served: bool,
    _file: PhantomData<F>,
}

impl<'a, F: ForeignOwnable + Send + Sync + 'static> AreaDesc<'a, F> {
    /// Creates a description from a raw pointer.
    ///
    /// # Safety
    ///
    /// - `desc` must be valid, and nothing else may use it for `'a`.
    /// - `desc` must be what the `mmap_prepare` operation of a file was called with, and the
    ///   private data of that file must be of type `F` (see [`ForeignOwnable::into_foreign`]); or
    ///   no area may ever be made of it.
    pub unsafe fn from_raw(desc: *mut bindings::vm_area_desc) -> Self {
        // INVARIANT: As the caller promises.
        Self {
            // SAFETY: As the caller promises.
            desc: unsafe { &mut *desc },
            served: false,
            _file: PhantomData,
        }
    }

    /// Returns where in the file the area starts, in bytes. A multiple of the page size.
    pub fn offset(&self) -> u64 {
        // A file offset fits in 64 bits: `mmap` has checked that.
        (self.desc.pgoff as u64) << PAGE_SHIFT
    }

    /// Returns the size of the area, in bytes. A multiple of the page size, and not zero.
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

    /// Returns whether writes to the area are visible to everyone that maps the file
    /// (`MAP_SHARED`).
    pub fn shared(&self) -> bool {
        // Not VMA_SHARED_BIT: it is cleared for a file that is not open for writing.
        self.flag(bindings::VMA_MAYSHARE_BIT)
    }

    /// Returns whether the area is writable from the start.
    pub fn writable(&self) -> bool {
        self.flag(bindings::VMA_WRITE_BIT)
    }

    /// Prevents the area from being executable, now or after a later `mprotect`.
    ///
    /// # Errors
    ///
    /// Returns [`EACCES`] if the area is to be executable from the start.
    pub fn deny_exec(&mut self) -> Result {
        self.deny(bindings::VMA_EXEC_BIT, bindings::VMA_MAYEXEC_BIT)
    }

    /// Prevents the area from being writable, now or after a later `mprotect`.
    ///
    /// # Errors
    ///
    /// Returns [`EACCES`] if the area is to be writable from the start.
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

    /// Makes `fork` leave the area out of the child.
    pub fn dont_copy(&mut self) {
        self.set(bindings::VMA_DONTCOPY_BIT);
    }

    /// Makes mappings of type `M` serve the area, and excludes it from core dumps.
    ///
    /// This can be done only once, since whether pages or page frames are inserted is a property of
    /// the area. The compiler checks that `M` is for this kind of file.
    ///
    /// # Errors
    ///
    /// - [`EINVAL`] if the area is not [shared](Self::shared).
    /// - [`EBUSY`] if the area is served already.
    ///
    /// # Examples
    ///
    /// ```
    /// # use kernel::{
    /// #     bindings,
    /// #     mm::mmap::{AreaDesc, Mapping},
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
    /// # // SAFETY: No area is made of it, so its file is not used.
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
            // The two flags below say what is in the page table. With both, a fault would be a
            // `BUG()`.
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
        // Null until `mapped` supplies it: the area may be closed before that.
        self.desc.private_data = ptr::null_mut();
        self.served = true;
        Ok(())
    }

    /// Returns whether [`AreaDesc::serve`] was called.
    pub fn is_served(&self) -> bool {
        self.served
    }
}
