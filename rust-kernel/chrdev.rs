// SPDX-License-Identifier: GPL-2.0

//! Character devices.
//!
//! A driver implements [`FileOperations`] and makes a [`Registration`]: a range of device numbers,
//! a device with its node and attributes for each of them, and the file operations behind them all.
//!
//! The registration is made so that nothing in it can fail after user space was let in: first all
//! devices, then one `cdev` for all of their numbers, then the announcement of the devices. It
//! should be the last thing in the initialisation of a module that can fail: the kernel frees a
//! module that fails to initialise even if somebody has a device of it open.
//!
//! Who keeps what alive:
//!
//! - An open file keeps the module that implements its operations
//!   ([`FileOperations::OwnerModule`]), and owns its private data ([`FileOperations::File`]).
//! - A mapping keeps the file that it was made from.
//! - The registration owns the devices and shares their data with files that want it. Dropping it
//!   waits until its files are closed. In a module's exit they are.
//!
//! Not supported: fixed majors, `llseek`, locks, leases.
//!
//! C headers: [`include/linux/cdev.h`](srctree/include/linux/cdev.h),
//! [`include/linux/fs.h`](srctree/include/linux/fs.h)
//!
//! # Examples
//!
//! ```
//! use kernel::{
//!     chrdev::{
//!         FileOperations,
//!         Registration, //
//!     },
//!     class::{
//!         Class,
//!         Device, //
//!     },
//!     fs::{
//!         File,
//!         Kiocb, //
//!     },
//!     iov::IovIterDest,
//!     sync::{
//!         Arc,
//!         ArcBorrow, //
//!     },
//!     sysfs::{
//!         sysfs_groups,
//!         Attribute, //
//!     },
//! };
//!
//! /// A device that says the same thing over and over.
//! struct Parrot {
//!     word: &'static [u8],
//! }
//!
//! struct Length;
//!
//! #[vtable]
//! impl Attribute<Parrot> for Length {
//!     const NAME: &'static CStr = c"length";
//!     type Value = usize;
//!
//!     fn show(parrot: &Parrot) -> Result<usize> {
//!         Ok(parrot.word.len())
//!     }
//! }
//!
//! sysfs_groups! {
//!     static FILES: Device<Parrot> = [{ Length }];
//! }
//!
//! struct ParrotFile;
//!
//! #[vtable]
//! impl FileOperations for ParrotFile {
//!     type Device = Parrot;
//!     type File = Arc<Parrot>;
//!
//!     fn open(parrot: &Arc<Parrot>, _file: &File) -> Result<Arc<Parrot>> {
//!         Ok(parrot.clone())
//!     }
//!
//!     fn read_iter(kiocb: Kiocb<'_, Arc<Parrot>>, iov: &mut IovIterDest<'_>) -> Result<usize> {
//!         Ok(iov.copy_to_iter(kiocb.file().word))
//!     }
//! }
//!
//! let class = Class::new(c"parrot")?;
//! let registration = Registration::<ParrotFile>::new(c"parrot", 2, |index, number| {
//!     let word: &[u8] = if index == 0 { b"Lora" } else { b"Jako" };
//!     let parrot = Arc::new(Parrot { word }, GFP_KERNEL)?;
//!     Device::new(&class, Some(number), fmt!("parrot{index}"), parrot, &FILES)
//! })?;
//! assert_eq!(registration.devices().len(), 2);
//! # Ok::<(), Error>(())
//! ```

use core::{
    marker::PhantomData,
    ops::BitOr,
    ptr, //
};
use kernel::{
    bindings,
    class::{
        Device,
        DeviceNumber, //
    },
    container_of,
    error::{
        to_result,
        VTABLE_DEFAULT_ERROR, //
    },
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
    mmap::AreaDesc,
    module::this_module,
    new_mutex,
    page_buffer::{
        UserDest,
        UserSource, //
    },
    prelude::*,
    seq_file::SeqFile,
    sync::{
        atomic::{
            Atomic,
            Relaxed, //
        },
        Arc,
        Completion,
        Mutex, //
    },
    types::{
        ForeignOwnable,
        Opaque, //
    },
    uaccess::UserPtr,
    wait_queue::{
        new_wait_queue,
        WaitQueue, //
    }, //
};

/// What a file is ready for, as `poll` reports it. A set: several are joined with `|`.
///
/// The numbers are the same for all architectures (other than those of `POLLIN` and so on).
///
/// C header: [`include/uapi/linux/eventpoll.h`](srctree/include/uapi/linux/eventpoll.h)
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct Events(u32);

impl Events {
    /// Nothing.
    pub const NONE: Self = Self(0);
    /// A read would not sleep: `EPOLLIN | EPOLLRDNORM`.
    pub const READ: Self = Self(0x0001 | 0x0040);
    /// A write would not sleep: `EPOLLOUT | EPOLLWRNORM`.
    pub const WRITE: Self = Self(0x0004 | 0x0100);
    /// Something is wrong: `EPOLLERR`.
    pub const ERROR: Self = Self(0x0008);

    /// Not an event: what is asked for is asked for exclusively, `EPOLLEXCLUSIVE`.
    const EXCLUSIVE: u32 = 1 << 28;

    /// Whether who polls for them wants to be the only one that is woken (`EPOLLEXCLUSIVE`).
    pub fn are_exclusive(self) -> bool {
        self.0 & Self::EXCLUSIVE != 0
    }

    /// Whether some of `other` are among them.
    pub fn intersects(self, other: Self) -> bool {
        self.0 & other.0 != 0
    }
}

impl BitOr for Events {
    type Output = Self;

    fn bitor(self, other: Self) -> Self {
        Self(self.0 | other.0)
    }
}

/// Those who wait for a device to become readable or writable: tasks that sleep, those that poll,
/// and the owners of files who asked for `SIGIO` (`O_ASYNC`, see fcntl(2)).
///
/// Who sleeps is not on the same queue as who polls: a sleeper that passes a wake-up on is no news
/// to who polls.
#[pin_data]
pub struct Waiters {
    /// Who sleeps until there is something to read.
    #[pin]
    pub readers: WaitQueue,
    /// Who sleeps until there is room to write.
    #[pin]
    pub writers: WaitQueue,
    /// Who polls a file open for reading: to be woken after [`FileOperations::poll`] can see what
    /// there is to read. Exclusive pollers (`EPOLLEXCLUSIVE`) are on it only if they ask for that.
    #[pin]
    pub read_pollers: WaitQueue,
    /// Who polls a file open for writing: to be woken after [`FileOperations::poll`] can see that
    /// there is room. Exclusive pollers are on it only if they ask for that.
    #[pin]
    pub write_pollers: WaitQueue,
    read_signals: Signals,
    write_signals: Signals,
    // Held while a file is put on the lists or taken off. One flag of the file (FASYNC) says that
    // it is on some list, so that has to be one change.
    #[pin]
    signals: Mutex<()>,
}

// SAFETY: Queues and lists have locks of their own, and are not tied to a task.
unsafe impl Send for Waiters {}
// SAFETY: As above.
unsafe impl Sync for Waiters {}

impl Waiters {
    /// Nobody yet.
    ///
    /// # Errors
    ///
    /// [`ENOMEM`].
    pub fn new() -> Result<Arc<Self>> {
        Arc::pin_init(
            pin_init!(Self {
                readers <- new_wait_queue!("Waiters::readers"),
                writers <- new_wait_queue!("Waiters::writers"),
                read_pollers <- new_wait_queue!("Waiters::read_pollers"),
                write_pollers <- new_wait_queue!("Waiters::write_pollers"),
                read_signals: Signals::new(),
                write_signals: Signals::new(),
                signals <- new_mutex!((), "Waiters::signals"),
            }),
            GFP_KERNEL,
        )
    }

    /// Whether anyone wants `SIGIO` when there is something new to read.
    ///
    /// # Context
    ///
    /// Any.
    #[inline]
    pub fn wants_read_signals(&self) -> bool {
        self.read_signals.are_wanted()
    }

    /// Whether anyone wants `SIGIO` when there is new room to write.
    ///
    /// # Context
    ///
    /// Any.
    #[inline]
    pub fn wants_write_signals(&self) -> bool {
        self.write_signals.are_wanted()
    }

    /// Sends `SIGIO` to those who want it when there is something new to read. If there are any,
    /// `ready` is asked first.
    ///
    /// # Context
    ///
    /// As [`WaitQueue::wake_all`].
    #[inline]
    pub fn signal_readers(&self, ready: impl FnOnce() -> bool) {
        if self.wants_read_signals() && ready() {
            self.read_signals.send(bindings::POLL_IN);
        }
    }

    /// Sends `SIGIO` to those who want it when there is new room to write. If there are any,
    /// `ready` is asked first.
    ///
    /// # Context
    ///
    /// As [`WaitQueue::wake_all`].
    #[inline]
    pub fn signal_writers(&self, ready: impl FnOnce() -> bool) {
        if self.wants_write_signals() && ready() {
            self.write_signals.send(bindings::POLL_OUT);
        }
    }
}

/// The files whose owners want a signal.
struct Signals(Opaque<*mut bindings::fasync_struct>);

impl Signals {
    fn new() -> Self {
        Self(Opaque::new(ptr::null_mut()))
    }

    #[inline]
    fn are_wanted(&self) -> bool {
        // SAFETY: The list is valid. Its head is read once, as `kill_fasync()` does to see whether
        // there is anyone, and not followed.
        !unsafe { ptr::read_volatile(self.0.get()) }.is_null()
    }

    #[cold]
    fn send(&self, reason: u32) {
        // SAFETY: The list is valid; it is read under RCU.
        unsafe { bindings::kill_fasync(self.0.get(), bindings::SIGIO as c_int, reason as c_int) };
    }

    /// Puts `file` on the list, or takes it off. Positive if that changed something.
    ///
    /// # Safety
    ///
    /// `file` must be an open file, or one that is being released, and the lock of the lists that
    /// it may be on held. It must be taken off before it goes.
    unsafe fn set(&self, fd: c_int, file: *mut bindings::file, on: c_int) -> c_int {
        // SAFETY: The list is valid, and the file as the caller promises.
        unsafe { bindings::fasync_helper(fd, file, on, self.0.get()) }
    }
}

/// What a single read or write asked for, besides the bytes.
///
/// A trait, so that a module which brings this file along can add it to the type of the kernel.
pub trait KiocbExt {
    /// Whether it must not sleep: because the file is `O_NONBLOCK`, or because this call said so
    /// (`RWF_NOWAIT`, io_uring). If it would have to, it gets [`EAGAIN`].
    ///
    /// # Context
    ///
    /// Any.
    fn nonblocking(&self) -> bool;
}

impl<T: ForeignOwnable> KiocbExt for Kiocb<'_, T> {
    #[inline]
    fn nonblocking(&self) -> bool {
        let kiocb = self.as_raw();
        // SAFETY: The kiocb is valid, and so is its file. `f_flags` may change at any time
        // (F_SETFL), which is why it is read once.
        unsafe {
            (*kiocb).ki_flags & bindings::IOCB_NOWAIT != 0
                || ptr::read_volatile(&raw const (*(*kiocb).ki_filp).f_flags) & flags::O_NONBLOCK
                    != 0
        }
    }
}

/// How a file was opened, as far as its operations may want to know. A trait as [`KiocbExt`] is.
pub trait FileExt {
    /// Whether its reads and writes must not sleep, as far as the file has a say: `O_NONBLOCK`. See
    /// [`KiocbExt::nonblocking`].
    fn nonblocking(&self) -> bool;
    /// Whether it was opened for reading.
    fn readable(&self) -> bool;
    /// Whether it was opened for writing.
    fn writable(&self) -> bool;
}

/// Whether a file with these flags is open for reading.
fn reads(flags: u32) -> bool {
    matches!(flags & flags::O_ACCMODE, flags::O_RDONLY | flags::O_RDWR)
}

/// Whether a file with these flags is open for writing.
fn writes(flags: u32) -> bool {
    matches!(flags & flags::O_ACCMODE, flags::O_WRONLY | flags::O_RDWR)
}

impl FileExt for LocalFile {
    #[inline]
    fn nonblocking(&self) -> bool {
        self.flags() & flags::O_NONBLOCK != 0
    }

    fn readable(&self) -> bool {
        reads(self.flags())
    }

    fn writable(&self) -> bool {
        writes(self.flags())
    }
}

/// The operations of the files of a character device.
///
/// # Context
///
/// All methods run in process context, and may sleep where they were not asked not to. They may run
/// at the same time as each other and themselves.
///
/// # Errors
///
/// An error that a method returns is what the system call fails with. For [`ERESTARTSYS`], which
/// is for who was interrupted by a signal, it is restarted, or fails with `EINTR`.
#[vtable]
pub trait FileOperations: Sized + 'static {
    /// What the driver keeps for each device.
    type Device: Send + Sync + 'static;

    /// What the driver keeps for each open file.
    type File: ForeignOwnable + Send + Sync + 'static;

    /// Whether the files are streams: they have no position, and `lseek`, `pread` and `pwrite` get
    /// `ESPIPE`.
    const STREAM: bool = true;

    /// Whether reads and writes heed [`KiocbExt::nonblocking`], so that io_uring may call them from
    /// where it must not sleep.
    const NOWAIT: bool = false;

    /// Called when `device` is opened, for what is to be kept with the file: until the last
    /// reference to the open file has gone, when it is dropped.
    fn open(device: &Arc<Self::Device>, file: &File) -> Result<Self::File>;

    /// Called once for each device when it is registered: where those wait who poll its files, and
    /// who want signals. The driver wakes and signals them.
    ///
    /// Without this, the files are always ready, and nobody gets a signal.
    fn waiters(_device: &Arc<Self::Device>) -> Arc<Waiters> {
        build_error!(VTABLE_DEFAULT_ERROR)
    }

    /// Reads: copies to `iov`, and returns how many bytes that were, at most as many as it has.
    /// Zero means the end of the file, unless `iov` is empty.
    ///
    /// Gives `splice` from the file, too, and if it is not a stream `sendfile`.
    fn read_iter(_kiocb: Kiocb<'_, Self::File>, _iov: &mut IovIterDest<'_>) -> Result<usize> {
        build_error!(VTABLE_DEFAULT_ERROR)
    }

    /// Writes: copies from `iov`, and returns how many bytes that were, at most as many as it has.
    ///
    /// Gives `splice` and `sendfile` to the file, too.
    fn write_iter(_kiocb: Kiocb<'_, Self::File>, _iov: &mut IovIterSource<'_>) -> Result<usize> {
        build_error!(VTABLE_DEFAULT_ERROR)
    }

    /// As [`FileOperations::read_iter`], for a read(2) of a stream: to one piece of user memory,
    /// and with no other flags than those of the file. Without it, such a read goes by iterators.
    ///
    /// This is for drivers that move few bytes at a time, to which an iterator is a cost, as it is
    /// to `/dev/null` and `/dev/zero` in C. All other reads still need `read_iter`. What is lost is
    /// that other parts of the kernel can read the file by `kernel_read()`, which refuses files
    /// that have both.
    fn read(
        _private: <Self::File as ForeignOwnable>::Borrowed<'_>,
        _file: &LocalFile,
        _to: &mut UserDest,
    ) -> Result<usize> {
        build_error!(VTABLE_DEFAULT_ERROR)
    }

    /// As [`FileOperations::write_iter`], for a write(2) to a stream. See [`FileOperations::read`].
    fn write(
        _private: <Self::File as ForeignOwnable>::Borrowed<'_>,
        _file: &LocalFile,
        _from: &mut UserSource,
    ) -> Result<usize> {
        build_error!(VTABLE_DEFAULT_ERROR)
    }

    /// Says what the file is ready for. Needs [`FileOperations::waiters`]; when this is called, who
    /// polls waits there already, for all that the file is open for, or, if it is exclusive, for
    /// what it asks for. What it polls for is in `asked`; what is answered beyond that, it does not
    /// get to see, errors excepted.
    ///
    /// Of a file that is open for both, two queues are polled. As with a pipe, `IOCB_CMD_POLL` of
    /// io_submit(2) refuses that with `EINVAL`.
    ///
    /// Also called with all asked for when the file's owner has asked for signals: whatever is to
    /// be done for who polls, so that there will be news, is then done for the signals.
    fn poll(
        _private: <Self::File as ForeignOwnable>::Borrowed<'_>,
        _file: &File,
        _asked: Events,
    ) -> Events {
        build_error!(VTABLE_DEFAULT_ERROR)
    }

    /// Handles an ioctl. `arg` is a number or the address of user memory, as `cmd` has it, and has
    /// been checked by nobody. Returns what the system call does, which is not negative.
    ///
    /// 32-bit callers get here too, with their pointers made ours, so structures must have the same
    /// layout for them.
    ///
    /// # Errors
    ///
    /// [`ENOTTY`] for a `cmd` that is not known.
    fn ioctl(
        _private: <Self::File as ForeignOwnable>::Borrowed<'_>,
        _file: &File,
        _cmd: u32,
        _arg: usize,
    ) -> Result<isize> {
        build_error!(VTABLE_DEFAULT_ERROR)
    }

    /// Writes what is to be said of the file to `/proc/PID/fdinfo/FD`, in lines of `name:\tvalue`.
    fn show_fdinfo(
        _private: <Self::File as ForeignOwnable>::Borrowed<'_>,
        _file: &File,
        _out: &SeqFile,
    ) {
        build_error!(VTABLE_DEFAULT_ERROR)
    }

    /// Prepares to map the file. See [`kernel::mmap`].
    ///
    /// The `mmap_lock` of the process is held. So this must not take a lock under which user memory
    /// is accessed.
    ///
    /// An area that is not given to a mapping by [`AreaDesc::serve`] is refused, with `ENODEV`.
    fn mmap_prepare(
        _private: <Self::File as ForeignOwnable>::Borrowed<'_>,
        _file: &File,
        _area: &mut AreaDesc<'_, Self::File>,
    ) -> Result {
        build_error!(VTABLE_DEFAULT_ERROR)
    }
}

/// A device, and who waits for it. Outlives its open files, and so whatever polls them.
struct Entry<T: FileOperations> {
    device: Device<T::Device>,
    waiters: Option<Arc<Waiters>>,
}

/// A range of device numbers, with a major of its own.
struct Region {
    first: bindings::dev_t,
    count: u32,
}

impl Region {
    fn new(name: &'static CStr, count: u32) -> Result<Self> {
        let mut first = 0;
        // SAFETY: `first` is valid for writing, `name` a string.
        to_result(unsafe {
            bindings::alloc_chrdev_region(&mut first, 0, count, name.as_char_ptr())
        })?;
        Ok(Self { first, count })
    }
}

impl Drop for Region {
    fn drop(&mut self) {
        // SAFETY: It was allocated by `new()`.
        unsafe { bindings::unregister_chrdev_region(self.first, self.count) };
    }
}

/// Completes when the last user of the `cdev` whose parent it is has gone.
#[pin_data]
struct Users {
    #[pin]
    object: Opaque<bindings::kobject>,
    #[pin]
    gone: Completion,
}

impl Users {
    const TYPE: &'static bindings::kobj_type = &bindings::kobj_type {
        release: Some(Self::release),
        ..pin_init::zeroed()
    };

    fn new() -> impl PinInit<Self> {
        pin_init!(Self {
            object <- Opaque::ffi_init(|slot: *mut bindings::kobject| {
                // SAFETY: `slot` is valid for writing, and zero is what `kobject_init()` expects.
                // The type is static.
                unsafe {
                    slot.write(pin_init::zeroed());
                    bindings::kobject_init(slot, Self::TYPE);
                }
            }),
            gone <- Completion::new(),
        })
    }

    /// # Safety
    ///
    /// To be called by the kobject core, with the object of a live `Users`.
    unsafe extern "C" fn release(object: *mut bindings::kobject) {
        // SAFETY: By the caller. Whoever waits for the completion has not dropped it yet.
        let this = unsafe { &*container_of!(Opaque::cast_from(object), Self, object) };
        this.gone.complete_all();
    }
}

/// A registered range of character devices, with operations `T`.
///
/// Dropping it, in process context, sleeps until all files of the devices are closed.
///
/// # Invariants
///
/// `cdev` is initialised, and added unless `added` is false. There are as many `entries` as the
/// region has numbers.
#[pin_data(PinnedDrop)]
pub struct Registration<T: FileOperations> {
    #[pin]
    cdev: Opaque<bindings::cdev>,
    #[pin]
    users: Users,
    added: bool,
    // No more files are opened. While there is one, `cdev_del()` alone does not see to that.
    retired: Atomic<bool>,
    entries: KVec<Entry<T>>,
    region: Region,
}

// SAFETY: The registration may be dropped by any task, and its devices too.
unsafe impl<T: FileOperations> Send for Registration<T> {}
// SAFETY: All that can be had of a shared registration is its devices, which are `Sync`.
unsafe impl<T: FileOperations> Sync for Registration<T> {}

impl<T: FileOperations> Registration<T> {
    /// Registers `count` devices, with as many consecutive numbers of a new major; `name` is what
    /// `/proc/devices` calls it. `make` makes each of them, from its index and number.
    ///
    /// Once this has returned, the devices can be opened, and user space knows of them. If it does
    /// not succeed, none ever could be, and what was made is undone. In the initialisation of a
    /// module it should be the last thing that can fail.
    ///
    /// # Context
    ///
    /// Process context. May sleep.
    ///
    /// # Errors
    ///
    /// [`EINVAL`] if `count` is zero, or more than the 2^20 numbers of a major; [`EBUSY`] if there
    /// are no majors left; [`ENOMEM`]; and those of `make`.
    pub fn new(
        name: &'static CStr,
        count: u32,
        mut make: impl FnMut(u32, DeviceNumber) -> Result<Device<T::Device>>,
    ) -> Result<Pin<KBox<Self>>> {
        if count == 0 {
            return Err(EINVAL);
        }
        let region = Region::new(name, count)?;
        let mut entries = KVec::with_capacity(count as usize, GFP_KERNEL)?;
        for index in 0..count {
            let device = make(index, DeviceNumber(region.first + index))?;
            let waiters = T::HAS_WAITERS.then(|| T::waiters(device.data()));
            entries.push(Entry { device, waiters }, GFP_KERNEL)?;
        }

        let this: Pin<KBox<Self>> = KBox::pin_init(
            try_pin_init!(Self {
                cdev <- Opaque::ffi_init(|slot: *mut bindings::cdev| {
                    // SAFETY: `slot` is valid for writing; the table is static, and the owner is
                    // the module that it belongs to.
                    unsafe {
                        bindings::cdev_init(slot, &raw const *VTable::<T>::TABLE);
                        (*slot).owner = this_module::<T::OwnerModule>().as_ptr();
                    }
                }),
                users <- Users::new(),
                added: false,
                retired: Atomic::new(false),
                entries,
                region,
            })
            .pin_chain(|this| {
                // SAFETY: Nothing is moved out of it.
                let this = unsafe { this.get_unchecked_mut() };
                // Set first, since from `cdev_add()` on others look at the rest of `this`.
                this.added = true;
                let (cdev, users) = (this.cdev.get(), this.users.object.get());
                let (first, count) = (this.region.first, this.region.count);
                // SAFETY: Both are initialised, and stay in place until `drop()` has waited for the
                // users of `cdev`.
                let added = unsafe {
                    bindings::cdev_set_parent(cdev, users);
                    to_result(bindings::cdev_add(cdev, first, count))
                };
                if added.is_err() {
                    this.added = false;
                }
                added
            }),
            GFP_KERNEL,
        )?;
        Device::announce_all(this.devices());
        Ok(this)
    }

    /// From here on, nobody can open a device any more.
    fn retire(&self) {
        self.retired.store(true, Relaxed);
    }

    /// The devices, in the order of their numbers.
    pub fn devices(&self) -> impl ExactSizeIterator<Item = &Device<T::Device>> + Clone {
        self.entries.iter().map(|entry| &entry.device)
    }
}

#[pinned_drop]
impl<T: FileOperations> PinnedDrop for Registration<T> {
    fn drop(self: Pin<&mut Self>) {
        self.retire();
        // SAFETY: `cdev` is initialised, and its parent, if it was added. When the `cdev` goes, so
        // does its reference to the parent; ours goes here.
        unsafe {
            if self.added {
                bindings::cdev_del(self.cdev.get());
            }
            bindings::kobject_put(self.users.object.get());
        }
        // Nobody can open a device any more; those who have may take their time.
        self.users.gone.wait_for_completion();
    }
}

/// The file operations that call `T`'s methods.
struct VTable<T: FileOperations>(PhantomData<T>);

impl<T: FileOperations> VTable<T> {
    const TABLE: &'static bindings::file_operations = &bindings::file_operations {
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

    /// # Safety
    ///
    /// `file` must be an open file of a `Registration<T>`, during `'a`.
    unsafe fn private<'a>(file: *mut bindings::file) -> <T::File as ForeignOwnable>::Borrowed<'a> {
        // SAFETY: `open()` has put it there, and `release()`, which comes last, takes it.
        unsafe { <T::File as ForeignOwnable>::borrow((*file).private_data) }
    }

    /// # Safety
    ///
    /// `inode` must be that of a device of a `Registration<T>`, a file of which is open or being
    /// opened during `'a`.
    unsafe fn registration<'a>(inode: *mut bindings::inode) -> &'a Registration<T> {
        // SAFETY: `chrdev_open()` has set `i_cdev`, and holds a reference to it until the file is
        // closed, for which dropping the registration waits.
        unsafe {
            let cdev = (*inode).__bindgen_anon_5.i_cdev;
            &*container_of!(Opaque::cast_from(cdev), Registration<T>, cdev)
        }
    }

    /// # Safety
    ///
    /// As for [`VTable::registration`].
    unsafe fn entry<'a>(inode: *mut bindings::inode) -> Option<&'a Entry<T>> {
        // SAFETY: As the caller promises.
        let (registration, number) = unsafe { (Self::registration::<'a>(inode), (*inode).i_rdev) };
        let index = number.wrapping_sub(registration.region.first);
        registration.entries.get(index as usize)
    }

    /// # Safety
    ///
    /// As for [`VTable::entry`].
    unsafe fn waiters<'a>(inode: *mut bindings::inode) -> Option<&'a Waiters> {
        // SAFETY: As the caller promises.
        let entry = unsafe { Self::entry::<'a>(inode) };
        entry?.waiters.as_deref()
    }

    /// # Safety
    ///
    /// `inode` and `file` must be those of a device of a `Registration<T>` that is being opened.
    unsafe extern "C" fn open(inode: *mut bindings::inode, file: *mut bindings::file) -> c_int {
        // SAFETY: As the caller promises.
        let (registration, entry) = unsafe { (Self::registration(inode), Self::entry(inode)) };
        let (false, Some(entry)) = (registration.retired.load(Relaxed), entry) else {
            return ENXIO.to_errno();
        };

        // SAFETY: The file is valid, and nobody else has it yet.
        unsafe {
            if T::STREAM {
                // Never fails.
                bindings::stream_open(inode, file);
            }
            if T::NOWAIT {
                (*file).f_mode |= bindings::FMODE_NOWAIT;
            }
        }
        // SAFETY: The file is valid during the call, and not in an fdget_pos region of this task.
        match T::open(entry.device.data(), unsafe { File::from_raw_file(file) }) {
            Ok(private) => {
                // SAFETY: Nobody else has the file yet.
                unsafe { (*file).private_data = private.into_foreign() };
                0
            }
            Err(error) => error.to_errno(),
        }
    }

    /// # Safety
    ///
    /// `file` must be an open file of a `Registration<T>` that is being released.
    unsafe extern "C" fn release(_inode: *mut bindings::inode, file: *mut bindings::file) -> c_int {
        // SAFETY: `open()` has put it there, and nobody has the file any more.
        drop(unsafe { <T::File as ForeignOwnable>::from_foreign((*file).private_data) });
        0
    }

    /// # Safety
    ///
    /// `file` must be an open file of a `Registration<T>`.
    unsafe extern "C" fn read(
        file: *mut bindings::file,
        buf: *mut c_char,
        len: usize,
        _position: *mut bindings::loff_t,
    ) -> isize {
        // SAFETY: As the caller promises. If this is in an `fdget_pos()` region, that is of this
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
    /// `file` must be an open file of a `Registration<T>`.
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
    /// `kiocb` must be valid, and for an open file of a `Registration<T>`; `iter` must be valid,
    /// and to be written to.
    unsafe extern "C" fn read_iter(
        kiocb: *mut bindings::kiocb,
        iter: *mut bindings::iov_iter,
    ) -> isize {
        // SAFETY: As the caller promises.
        let (kiocb, iov) = unsafe { (Kiocb::from_raw(kiocb), IovIterDest::from_raw(iter)) };
        // The kernel's own code for splice believes the count.
        let most = iov.len();
        match T::read_iter(kiocb, iov) {
            Ok(count) => count.min(most) as isize,
            Err(error) => error.to_errno() as isize,
        }
    }

    /// # Safety
    ///
    /// `kiocb` must be valid, and for an open file of a `Registration<T>`; `iter` must be valid,
    /// and to be read from.
    unsafe extern "C" fn write_iter(
        kiocb: *mut bindings::kiocb,
        iter: *mut bindings::iov_iter,
    ) -> isize {
        // SAFETY: As the caller promises.
        let (kiocb, iov) = unsafe { (Kiocb::from_raw(kiocb), IovIterSource::from_raw(iter)) };
        // The kernel's own code for splice believes the count.
        let most = iov.len();
        match T::write_iter(kiocb, iov) {
            Ok(count) => count.min(most) as isize,
            Err(error) => error.to_errno() as isize,
        }
    }

    /// # Safety
    ///
    /// `raw_file` must be an open file of a `Registration<T>`; `table` must be valid or null.
    unsafe extern "C" fn poll(
        raw_file: *mut bindings::file,
        table: *mut bindings::poll_table,
    ) -> bindings::__poll_t {
        // SAFETY: As the caller promises.
        let (waiters, private, file) = unsafe {
            (
                Self::waiters((*raw_file).f_inode),
                Self::private(raw_file),
                File::from_raw_file(raw_file),
            )
        };
        let Some(waiters) = waiters else {
            return Events::ERROR.0;
        };
        // SAFETY: As the caller promises. Without a table nobody waits, and all is asked for.
        let asked = unsafe { table.as_ref() }.map_or(!Events::EXCLUSIVE, |table| table._key);
        let asked = Events(asked & ((Events::READ | Events::WRITE).0 | Events::EXCLUSIVE));
        // By how the file is open and not by what is asked: an epoll item that is modified to ask
        // for something else does not get to wait anywhere else. Exclusive ones can't be modified,
        // and must not use up a wake-up that is for the other direction.
        let exclusive = asked.are_exclusive() && asked.intersects(Events::READ | Events::WRITE);
        for (open, direction, queue) in [
            (file.readable(), Events::READ, &waiters.read_pollers),
            (file.writable(), Events::WRITE, &waiters.write_pollers),
        ] {
            if open && (!exclusive || asked.intersects(direction)) {
                // SAFETY: The file is valid, and so is the table or it is null. The queue lives
                // until the registration is dropped, which waits for the file to be closed, which
                // takes whoever polls it off the queue.
                unsafe { bindings::poll_wait(raw_file, queue.as_raw(), table) };
            }
        }
        T::poll(private, file, asked).0
    }

    /// # Safety
    ///
    /// `file` must be an open file of a `Registration<T>`.
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
    /// `raw_file` must be an open file of a `Registration<T>`, or, if `on` is zero, one that is
    /// being released.
    unsafe extern "C" fn fasync(fd: c_int, raw_file: *mut bindings::file, on: c_int) -> c_int {
        // SAFETY: As the caller promises. How a file was opened does not change.
        let (waiters, flags) = unsafe {
            (
                Self::waiters((*raw_file).f_inode),
                ptr::read_volatile(&raw const (*raw_file).f_flags),
            )
        };
        let Some(waiters) = waiters else {
            return 0;
        };
        let lists = [
            (reads(flags), &waiters.read_signals),
            (writes(flags), &waiters.write_signals),
        ];

        let guard = waiters.signals.lock();
        let mut added: Option<&Signals> = None;
        for (_, list) in lists.into_iter().filter(|(wanted, _)| *wanted) {
            // SAFETY: The lock is held. The lists are always the same for a file, so that when it
            // goes it is taken off where it was put.
            let status = unsafe { list.set(fd, raw_file, on) };
            if status < 0 {
                // Not on one list without the other, unless it was there before.
                if let Some(added) = added {
                    // SAFETY: As above.
                    unsafe { added.set(-1, raw_file, 0) };
                }
                return status;
            }
            if status > 0 && on != 0 {
                added = Some(list);
            }
        }
        drop(guard);

        // Listed before `poll` says that somebody waits, for a peer that looks at that alone.
        kernel::sync::barrier::smp_mb(kernel::sync::barrier::Full);

        if on != 0 && T::HAS_POLL {
            // SAFETY: The file is open, as the caller promises.
            let (private, file) =
                unsafe { (Self::private(raw_file), File::from_raw_file(raw_file)) };
            T::poll(private, file, Events::READ | Events::WRITE);
        }
        0
    }

    /// # Safety
    ///
    /// `seq` must be valid, `file` an open file of a `Registration<T>`.
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
