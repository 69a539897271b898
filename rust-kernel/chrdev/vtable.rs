// SPDX-License-Identifier: GPL-2.0
// Copyright (C) 2026 Seed 1f3ad1c2 maintainers.

//! The `struct file_operations` of a driver.
//!
//! Each function converts the arguments that C passes, calls the method of [`FileOperations`] with
//! the same name, and converts the result.

use super::{
    Events,
    FileOperations,
    Opened,
    Registration, //
};
use core::{
    marker::PhantomData,
    ptr, //
};
use kernel::{
    bindings,
    fs::{
        file::flags,
        File,
        Kiocb,
        LocalFile, //
    },
    iov::{
        IovIterDest,
        IovIterSource, //
    },
    mm::mmap::AreaDesc,
    module::this_module,
    page_buffer::{
        UserDest,
        UserSource, //
    },
    prelude::*,
    seq_file::SeqFile,
    sync::{
        barrier,
        poll::PollTable,
        Arc,
        ArcBorrow,
        UniqueArc, //
    },
    types::ForeignOwnable,
    uaccess::UserPtr, //
};

/// The C file operations that call `T`'s methods.
pub(super) struct VTable<T: FileOperations>(PhantomData<T>);

impl<T: FileOperations> VTable<T> {
    pub(super) const TABLE: &'static bindings::file_operations = &bindings::file_operations {
        owner: this_module::<T::OwnerModule>().as_ptr(),
        open: Some(Self::open),
        release: Some(Self::release),
        read: if T::HAS_READ && T::STREAM {
            Some(Self::read)
        } else {
            None
        },
        write: if T::HAS_WRITE && T::STREAM {
            Some(Self::write)
        } else {
            None
        },
        read_iter: if T::HAS_READ_ITER {
            Some(Self::read_iter)
        } else {
            None
        },
        splice_read: if T::HAS_READ_ITER {
            Some(bindings::copy_splice_read)
        } else {
            None
        },
        write_iter: if T::HAS_WRITE_ITER {
            Some(Self::write_iter)
        } else {
            None
        },
        splice_write: if T::HAS_WRITE_ITER {
            Some(bindings::iter_file_splice_write)
        } else {
            None
        },
        poll: if T::HAS_POLL {
            assert!(T::HAS_WAITERS, "`poll` needs `waiters`");
            Some(Self::poll)
        } else {
            None
        },
        unlocked_ioctl: if T::HAS_IOCTL {
            Some(Self::ioctl)
        } else {
            None
        },
        #[cfg(CONFIG_COMPAT)]
        compat_ioctl: if T::HAS_IOCTL {
            bindings::compat_ptr_ioctl
        } else {
            None
        },
        fasync: if T::HAS_WAITERS {
            Some(Self::fasync)
        } else {
            None
        },
        show_fdinfo: if T::HAS_SHOW_FDINFO {
            Some(Self::show_fdinfo)
        } else {
            None
        },
        mmap_prepare: if T::HAS_MMAP_PREPARE {
            Some(Self::mmap_prepare)
        } else {
            None
        },
        ..pin_init::zeroed()
    };

    /// Returns what is kept for a file, in its private data.
    ///
    /// # Safety
    ///
    /// `file` must point at an open file of a `Registration<T>`, which stays open for `'a`.
    unsafe fn private<'a>(file: *mut bindings::file) -> ArcBorrow<'a, Opened<T>> {
        // SAFETY: `open()` stored the private data, and `release()`, which is called last, takes
        // it.
        unsafe { <Arc<Opened<T>> as ForeignOwnable>::borrow((*file).private_data) }
    }

    /// # Safety
    ///
    /// `inode` and `file` must be those of a device of a `Registration<T>` that is being opened.
    unsafe extern "C" fn open(inode: *mut bindings::inode, file: *mut bindings::file) -> c_int {
        // SAFETY: `chrdev_open()` has set `i_cdev`, and holds a reference to it meanwhile. Dropping
        // the registration waits for that.
        let entry = unsafe {
            let registration = Registration::<T>::from_cdev((*inode).__bindgen_anon_5.i_cdev);
            registration.entry((*inode).i_rdev)
        };
        let Some(entry) = entry else {
            return ENXIO.to_errno();
        };
        // First, so that nothing can fail once the driver has opened the device.
        let Ok(place) = UniqueArc::<Opened<T>>::new_uninit(GFP_KERNEL_ACCOUNT) else {
            return ENOMEM.to_errno();
        };

        // SAFETY: The file is valid, and nothing else has access to it yet.
        unsafe {
            if T::STREAM {
                // Never fails.
                bindings::stream_open(inode, file);
            }
            if T::NOWAIT {
                (*file).f_mode |= bindings::FMODE_NOWAIT;
            }
        }
        // SAFETY: The file is valid during the call. It has no file descriptor yet, so this task is
        // in no `fdget_pos()` region of it.
        match T::open(&entry.data, unsafe { File::from_raw_file(file) }) {
            Ok(data) => {
                let private = Arc::from(place.write(Opened::new(data, entry)));
                // SAFETY: Nothing else has access to the file yet.
                unsafe { (*file).private_data = private.into_foreign() };
                0
            }
            Err(error) => error.to_errno(),
        }
    }

    /// # Safety
    ///
    /// `file` must point at a file of a `Registration<T>` that is being released.
    unsafe extern "C" fn release(_inode: *mut bindings::inode, file: *mut bindings::file) -> c_int {
        // SAFETY: `open()` stored the private data, and nothing else has access to the file any
        // more.
        drop(unsafe { <Arc<Opened<T>> as ForeignOwnable>::from_foreign((*file).private_data) });
        0
    }

    /// # Safety
    ///
    /// `file` must point at an open file of a `Registration<T>`.
    unsafe extern "C" fn read(
        file: *mut bindings::file,
        buf: *mut c_char,
        len: usize,
        _position: *mut bindings::loff_t,
    ) -> isize {
        // SAFETY: As the caller promises. If there is an `fdget_pos()` region, it belongs to this
        // task, which makes the system call.
        let (private, file) = unsafe { (Self::private(file), LocalFile::from_raw_file(file)) };
        let mut to = UserDest::new(UserPtr::from_ptr(buf.cast()), len);
        match T::read(private, file, &mut to) {
            Ok(count) => count.min(len) as isize,
            Err(error) => error.to_errno() as isize,
        }
    }

    /// # Safety
    ///
    /// `file` must point at an open file of a `Registration<T>`.
    unsafe extern "C" fn write(
        file: *mut bindings::file,
        buf: *const c_char,
        len: usize,
        _position: *mut bindings::loff_t,
    ) -> isize {
        // SAFETY: As in `read()`.
        let (private, file) = unsafe { (Self::private(file), LocalFile::from_raw_file(file)) };
        let mut from = UserSource::new(UserPtr::from_ptr(buf.cast_mut().cast()), len);
        match T::write(private, file, &mut from) {
            Ok(count) => count.min(len) as isize,
            Err(error) => error.to_errno() as isize,
        }
    }

    /// # Safety
    ///
    /// `kiocb` must be valid, and its file an open file of a `Registration<T>`. `iter` must be a
    /// valid iterator over memory to copy to.
    unsafe extern "C" fn read_iter(
        kiocb: *mut bindings::kiocb,
        iter: *mut bindings::iov_iter,
    ) -> isize {
        // SAFETY: As the caller promises.
        let (kiocb, iov) = unsafe { (Kiocb::from_raw(kiocb), IovIterDest::from_raw(iter)) };
        // The kernel's splice code relies on the count, so do not take it from the driver
        // unchecked.
        let most = iov.len();
        match T::read_iter(kiocb, iov) {
            Ok(count) => count.min(most) as isize,
            Err(error) => error.to_errno() as isize,
        }
    }

    /// # Safety
    ///
    /// `kiocb` must be valid, and its file an open file of a `Registration<T>`. `iter` must be a
    /// valid iterator over memory to copy from.
    unsafe extern "C" fn write_iter(
        kiocb: *mut bindings::kiocb,
        iter: *mut bindings::iov_iter,
    ) -> isize {
        // SAFETY: As the caller promises.
        let (kiocb, iov) = unsafe { (Kiocb::from_raw(kiocb), IovIterSource::from_raw(iter)) };
        // See `read_iter()`.
        let most = iov.len();
        match T::write_iter(kiocb, iov) {
            Ok(count) => count.min(most) as isize,
            Err(error) => error.to_errno() as isize,
        }
    }

    /// # Safety
    ///
    /// `raw_file` must point at an open file of a `Registration<T>`. `table` must be valid or null.
    unsafe extern "C" fn poll(
        raw_file: *mut bindings::file,
        table: *mut bindings::poll_table,
    ) -> bindings::__poll_t {
        // SAFETY: As the caller promises.
        let (private, file, poll_table) = unsafe {
            (
                Self::private(raw_file),
                File::from_raw_file(raw_file),
                PollTable::from_raw(table),
            )
        };
        let Some(waiters) = private.waiters() else {
            return Events::ERROR.into_raw();
        };
        let all = Events::READ | Events::WRITE;
        // SAFETY: As the caller promises. Without a table, the caller does not wait, and all events
        // are requested.
        let asked = unsafe { table.as_ref() }.map_or(all, |table| Events::from_key(table._key));
        // The queues depend on how the file is open, and not on the requested events: an epoll item
        // that is modified to request others is not added to other queues. An exclusive item cannot
        // be modified, and must not consume a wake-up that is meant for the other direction. It
        // waits for hang-ups and errors of that direction on a queue of its own.
        let exclusive = asked.are_exclusive();
        let mut partly = false;
        for (open, direction, queue) in [
            (file.readable(), Events::READ, &waiters.read_pollers),
            (file.writable(), Events::WRITE, &waiters.write_pollers),
        ] {
            if !open {
                continue;
            }
            if exclusive && !asked.intersects(direction) {
                partly = true;
                continue;
            }
            // SAFETY: What is kept for the file has a reference to the queue, and is dropped when
            // the file is released. The file's pollers have left the queue by then.
            unsafe { poll_table.register_wait_queue(file, queue) };
        }
        if partly {
            // SAFETY: As above.
            unsafe { poll_table.register_wait_queue(file, &waiters.hangup_pollers) };
        }
        T::poll(private, file, asked).into_raw()
    }

    /// # Safety
    ///
    /// `file` must point at an open file of a `Registration<T>`.
    unsafe extern "C" fn ioctl(file: *mut bindings::file, cmd: c_uint, arg: c_ulong) -> c_long {
        // SAFETY: As the caller promises.
        let (private, file) = unsafe { (Self::private(file), File::from_raw_file(file)) };
        match T::ioctl(private, file, cmd, arg) {
            Ok(value) => value as c_long,
            Err(error) => error.to_errno() as c_long,
        }
    }

    /// # Safety
    ///
    /// `raw_file` must point at an open file of a `Registration<T>` or, if `on` is zero, at one
    /// that is being released.
    unsafe extern "C" fn fasync(fd: c_int, raw_file: *mut bindings::file, on: c_int) -> c_int {
        // SAFETY: As the caller promises. Other flags may change at any time, so they are read
        // once.
        let (private, flags) = unsafe {
            (
                Self::private(raw_file),
                ptr::read_volatile(&raw const (*raw_file).f_flags),
            )
        };
        let Some(waiters) = private.waiters() else {
            return 0;
        };
        // Not `LocalFile::readable()`: a file that is being released has no reference count left.
        let directions = match flags & flags::O_ACCMODE {
            flags::O_RDONLY => (true, false),
            flags::O_WRONLY => (false, true),
            flags::O_RDWR => (true, true),
            _ => (false, false),
        };
        // SAFETY: The file is as the caller promises. How a file was opened does not change, and
        // the kernel calls this with zero before it frees the file.
        let result = unsafe { waiters.set_signals(fd, raw_file, on, directions) };
        if let Err(error) = result {
            return error.to_errno();
        }

        // The file must be on the list before `poll` below records that somebody waits: the driver
        // may look at the list only if that record says so. Pairs with the barrier that such a
        // driver needs between its look at the record and its look at the list.
        barrier::smp_mb(barrier::Full);

        if on != 0 && T::HAS_POLL {
            // SAFETY: The file is open, as the caller promises.
            let file = unsafe { File::from_raw_file(raw_file) };
            T::poll(private, file, Events::READ | Events::WRITE);
        }
        0
    }

    /// # Safety
    ///
    /// `seq` must be valid, and `file` must point at an open file of a `Registration<T>`.
    unsafe extern "C" fn show_fdinfo(seq: *mut bindings::seq_file, file: *mut bindings::file) {
        // SAFETY: As the caller promises.
        let (private, file, out) = unsafe {
            (
                Self::private(file),
                File::from_raw_file(file),
                SeqFile::from_raw(seq),
            )
        };
        T::show_fdinfo(private, file, out);
    }

    /// # Safety
    ///
    /// `desc` must describe an area that is to be made of an open file of a `Registration<T>`.
    unsafe extern "C" fn mmap_prepare(desc: *mut bindings::vm_area_desc) -> c_int {
        // SAFETY: As the caller promises.
        let (private, file, mut area) = unsafe {
            let file = (*desc).file;
            (
                Self::private(file),
                File::from_raw_file(file),
                AreaDesc::from_raw(desc),
            )
        };
        match T::mmap_prepare(private, file, &mut area) {
            Ok(()) if !area.is_served() => ENODEV.to_errno(),
            Ok(()) => 0,
            Err(error) => error.to_errno(),
        }
    }
}
