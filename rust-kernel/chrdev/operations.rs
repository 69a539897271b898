// SPDX-License-Identifier: GPL-2.0
// Copyright (C) 2026 Seed 1f3ad1c2 maintainers.

//! The trait that a driver implements.

use super::{
    Events,
    Opened,
    Waiters, //
};
use kernel::{
    error::VTABLE_DEFAULT_ERROR,
    fs::{
        File,
        Kiocb,
        LocalFile, //
    },
    iov::{
        IovIterDest,
        IovIterSource, //
    },
    mm::mmap::AreaDesc,
    page_buffer::{
        UserDest,
        UserSource, //
    },
    prelude::*,
    seq_file::SeqFile,
    sync::{
        Arc,
        ArcBorrow, //
    }, //
};

/// The operations of the files of a character device.
///
/// # Context
///
/// All methods are called in process context. They may sleep, unless the caller asked them not to.
/// They may run concurrently with each other and with themselves.
///
/// # Errors
///
/// If a method returns an error, the system call fails with it. If a signal interrupted a sleep,
/// return [`ERESTARTSYS`]: the system call is then restarted, or fails with `EINTR`.
///
/// C header: [`include/linux/fs.h`](srctree/include/linux/fs.h)
#[vtable]
pub trait FileOperations: Sized + 'static {
    /// The driver's data for each device.
    type Device: Send + Sync + 'static;

    /// The driver's data for each open file. The methods get it as part of an [`Opened`].
    type File: Send + Sync + 'static;

    /// Whether the files are streams. A stream has no position; `lseek`, `pread` and `pwrite` fail
    /// with `ESPIPE`.
    const STREAM: bool = true;

    /// Whether reads and writes respect [`Kiocb::nonblocking`], so that io_uring may call them from
    /// where they must not sleep.
    const NOWAIT: bool = false;

    /// Called when `device` is opened. The returned value is kept with the open file, and dropped
    /// when the last reference to the file is gone. Nothing can fail after this has succeeded.
    ///
    /// The device may be removed at any time, even while this runs, and this may even begin after
    /// the removal. The value is moved after this returns, so its address must not be kept.
    fn open(device: &Arc<Self::Device>, file: &File) -> Result<Self::File>;

    /// Returns the queues and lists for the pollers of the device's files and for the owners that
    /// want signals. Called once for each device, when it is added. They are kept until the last of
    /// its files is closed. It is up to the driver to wake and signal them.
    ///
    /// Without this method, the files are always ready, and no signals are sent.
    fn waiters(_device: &Arc<Self::Device>) -> Arc<Waiters> {
        build_error!(VTABLE_DEFAULT_ERROR)
    }

    /// Reads from the device: copies bytes to `iov`, and returns the number copied, which is at
    /// most the length of `iov`. Zero means end of file, unless `iov` is empty.
    ///
    /// Also implements `splice` from the file and, if it is not a stream, `sendfile`.
    fn read_iter(
        _kiocb: Kiocb<'_, Arc<Opened<Self>>>,
        _iov: &mut IovIterDest<'_>,
    ) -> Result<usize> {
        build_error!(VTABLE_DEFAULT_ERROR)
    }

    /// Writes to the device: copies bytes from `iov`, and returns the number copied, which is at
    /// most the length of `iov`.
    ///
    /// Also implements `splice` and `sendfile` to the file.
    fn write_iter(
        _kiocb: Kiocb<'_, Arc<Opened<Self>>>,
        _iov: &mut IovIterSource<'_>,
    ) -> Result<usize> {
        build_error!(VTABLE_DEFAULT_ERROR)
    }

    /// Like [`FileOperations::read_iter`], for a read(2) of a stream: to one range of user memory,
    /// and without flags for the single call. If this is not implemented, such a read is done by
    /// [`FileOperations::read_iter`].
    ///
    /// This is for drivers that move few bytes per call, for which setting up an iterator is a
    /// noticeable cost; `/dev/null` and `/dev/zero` do the same in C. All other kinds of reads
    /// still need [`FileOperations::read_iter`]. The price is that other parts of the kernel cannot
    /// read the file with `kernel_read()`, which refuses files that have both operations.
    fn read(
        _private: ArcBorrow<'_, Opened<Self>>,
        _file: &LocalFile,
        _to: &mut UserDest,
    ) -> Result<usize> {
        build_error!(VTABLE_DEFAULT_ERROR)
    }

    /// Like [`FileOperations::write_iter`], for a write(2) to a stream. See
    /// [`FileOperations::read`].
    fn write(
        _private: ArcBorrow<'_, Opened<Self>>,
        _file: &LocalFile,
        _from: &mut UserSource,
    ) -> Result<usize> {
        build_error!(VTABLE_DEFAULT_ERROR)
    }

    /// Returns the events for which the file is ready. Requires [`FileOperations::waiters`].
    ///
    /// When this is called, the poller is already on a queue for each direction that the file is
    /// open for; an exclusive poller, for each of these that it asked for, and on
    /// [`Waiters::hangup_pollers`] if it has not asked for all of them. `asked` holds the requested
    /// events. Of the returned events, the poller only gets those, errors and hang-ups.
    ///
    /// A file that is open for both directions is polled on two queues. `IOCB_CMD_POLL` of
    /// io_submit(2) refuses that with `EINVAL`, as it does for a pipe that is open for both.
    ///
    /// This is also called, with all events requested, after the owner of the file has asked for
    /// signals. So if the driver has to record that somebody polls, that also covers signals.
    fn poll(_private: ArcBorrow<'_, Opened<Self>>, _file: &File, _asked: Events) -> Events {
        build_error!(VTABLE_DEFAULT_ERROR)
    }

    /// Handles an ioctl. Depending on `cmd`, `arg` is a number or an address in user memory, and
    /// has not been checked. Returns the return value of the system call, which must not be
    /// negative.
    ///
    /// This is also called for 32-bit programs, with their pointers converted, so structures must
    /// have the same layout for these.
    ///
    /// # Errors
    ///
    /// Return [`ENOTTY`] if `cmd` is unknown.
    fn ioctl(
        _private: ArcBorrow<'_, Opened<Self>>,
        _file: &File,
        _cmd: u32,
        _arg: usize,
    ) -> Result<isize> {
        build_error!(VTABLE_DEFAULT_ERROR)
    }

    /// Writes what is specific to the file to `/proc/PID/fdinfo/FD`, in lines of the form
    /// `name:\tvalue`.
    fn show_fdinfo(_private: ArcBorrow<'_, Opened<Self>>, _file: &File, _out: &SeqFile) {
        build_error!(VTABLE_DEFAULT_ERROR)
    }

    /// Prepares to map the file. See [`kernel::mm::mmap`].
    ///
    /// This is called with the `mmap_lock` of the process held, so it must not take a lock under
    /// which user memory is accessed.
    ///
    /// If this does not pass the area to a mapping with [`AreaDesc::serve`], `mmap` fails with
    /// `ENODEV`.
    fn mmap_prepare(
        _private: ArcBorrow<'_, Opened<Self>>,
        _file: &File,
        _area: &mut AreaDesc<'_, Arc<Opened<Self>>>,
    ) -> Result {
        build_error!(VTABLE_DEFAULT_ERROR)
    }
}
