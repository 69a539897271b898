// SPDX-License-Identifier: GPL-2.0
// Copyright (C) 2026 Seed 1f3ad1c2 maintainers.

//! The file operations of the devices.
//!
//! This file translates: system calls, ioctls and mappings to calls of [`Fifo`](super::fifo::Fifo)
//! and [`Generator`](super::generator::Generator). It has no state of its own.
//!
//! | call | error | reason |
//! |---|---|---|
//! | ioctl(2) | [`EBADF`] | the file is not open for what the command does |
//! | | [`EFAULT`] | bad user memory |
//! | | [`EINVAL`] | the `struct vfifo_info` is too small |
//! | | [`ENODEV`] | mode auto, and the device has been removed |
//! | | [`ENOTTY`] | unknown command |
//! | mmap(2) | [`EACCES`] | executable |
//! | | [`EINVAL`] | no such area |
//! | mprotect(2) | [`EACCES`] | executable; writable, if it is a page that was mapped read-only |
//!
//! All other errors are in the table of `fifo.rs`.
//!
//! # Context
//!
//! Process context, no lock held, except that mappings are made and removed with the `mmap_lock`
//! held. All operations but poll(2) may sleep.

use super::{
    fifo::{
        Area,
        Call,
        Claim,
        Mapped,
        OpenFile,
        Side, //
    },
    generator::Mode,
    uapi,
    Vfifo, //
};
use kernel::{
    chrdev::{
        self,
        Events,
        FileOperations,
        Waiters, //
    },
    fs::{
        File,
        Kiocb,
        LocalFile, //
    },
    iov::{
        IovIterDest,
        IovIterSource, //
    },
    mm::mmap::{
        AreaDesc,
        Mapping, //
    },
    page::BorrowedPage,
    page_buffer::{
        PageBuffer,
        UserDest,
        UserSource, //
    },
    prelude::*,
    seq_file::SeqFile,
    seq_print,
    sync::{
        Arc,
        ArcBorrow,
        UniqueArc, //
    },
    uaccess::{
        UserPtr,
        UserSlice, //
    }, //
};

/// What the driver keeps for an open file. It does not need the device, which may be removed.
pub(crate) struct OpenVfifo {
    vfifo: Arc<Vfifo>,
    file: Arc<OpenFile>,
}

/// An open file.
type Opened = chrdev::Opened<VfifoFile>;

/// A read(2) or write(2).
#[derive(Clone, Copy)]
struct Plain<'a> {
    opened: ArcBorrow<'a, Opened>,
    file: &'a LocalFile,
}

impl Call for Plain<'_> {
    #[inline]
    fn file(&self) -> &OpenFile {
        &self.opened.file
    }

    fn nonblocking(&self) -> bool {
        self.file.nonblocking()
    }

    fn nosignal(&self) -> bool {
        false
    }
}

/// A call that may have flags of its own.
#[derive(Clone, Copy)]
struct Flagged<'a> {
    opened: ArcBorrow<'a, Opened>,
    kiocb: &'a Kiocb<'a, Arc<Opened>>,
}

impl Call for Flagged<'_> {
    #[inline]
    fn file(&self) -> &OpenFile {
        &self.opened.file
    }

    fn nonblocking(&self) -> bool {
        self.kiocb.nonblocking()
    }

    fn nosignal(&self) -> bool {
        self.kiocb.nosignal()
    }
}

/// The file operations.
pub(crate) struct VfifoFile;

#[vtable]
impl FileOperations for VfifoFile {
    type Device = Vfifo;
    type File = OpenVfifo;

    const NOWAIT: bool = true;

    fn open(vfifo: &Arc<Vfifo>, file: &File) -> Result<OpenVfifo> {
        let fifo = vfifo.fifo.as_arc_borrow();
        let file = fifo.open(file.readable(), file.writable())?;
        let vfifo = vfifo.clone();
        Ok(OpenVfifo { vfifo, file })
    }

    fn waiters(vfifo: &Arc<Vfifo>) -> Arc<Waiters> {
        vfifo.fifo.waiters.clone()
    }

    #[inline]
    fn read_iter(kiocb: Kiocb<'_, Arc<Opened>>, to: &mut IovIterDest<'_>) -> Result<usize> {
        let opened = kiocb.file();
        let kiocb = &kiocb;
        opened.vfifo.fifo.read(to, Flagged { opened, kiocb })
    }

    #[inline]
    fn write_iter(kiocb: Kiocb<'_, Arc<Opened>>, from: &mut IovIterSource<'_>) -> Result<usize> {
        let opened = kiocb.file();
        let kiocb = &kiocb;
        opened.vfifo.fifo.write(from, Flagged { opened, kiocb })
    }

    #[inline]
    fn read(opened: ArcBorrow<'_, Opened>, file: &LocalFile, to: &mut UserDest) -> Result<usize> {
        opened.vfifo.fifo.read(to, Plain { opened, file })
    }

    #[inline]
    fn write(
        opened: ArcBorrow<'_, Opened>,
        file: &LocalFile,
        from: &mut UserSource,
    ) -> Result<usize> {
        opened.vfifo.fifo.write(from, Plain { opened, file })
    }

    fn poll(opened: ArcBorrow<'_, Opened>, file: &File, asked: Events) -> Events {
        opened.vfifo.fifo.poll(
            &opened.file,
            file.readable() && asked.intersects(Events::READ),
            file.writable() && asked.intersects(Events::WRITE),
            asked.are_exclusive(),
        )
    }

    fn ioctl(opened: ArcBorrow<'_, Opened>, file: &File, cmd: u32, arg: usize) -> Result<isize> {
        let vfifo = &opened.vfifo;
        let int = UserSlice::new(UserPtr::from_addr(arg), size_of::<c_int>());
        match cmd {
            uapi::CLEAR if file.readable() => vfifo.fifo.clear()?,
            uapi::SET_MODE if file.writable() => {
                let mode = match int.reader().read::<c_int>()? {
                    0 => Mode::Manual,
                    _ => Mode::Auto,
                };
                vfifo.generator.set_mode(mode)?;
            }
            uapi::CLEAR | uapi::SET_MODE => return Err(EBADF),
            uapi::FIONREAD => int
                .writer()
                .write(&c_int::try_from(vfifo.fifo.next_len())?)?,
            cmd if uapi::is_get_info(cmd) => {
                let size = UserSlice::new(UserPtr::from_addr(arg), size_of::<u32>());
                let size = size.reader().read::<u32>()? as usize;
                if size < uapi::INFO_MIN_SIZE {
                    return Err(EINVAL);
                }
                let info = uapi::info(size, vfifo.fifo.capacity(), vfifo.fifo.info_flags());
                let filled = info.get(..size).unwrap_or(&info);
                UserSlice::new(UserPtr::from_addr(arg), filled.len())
                    .writer()
                    .write_slice(filled)?;
            }
            uapi::NOTIFY => vfifo.fifo.notify(),
            _ => return Err(ENOTTY),
        }
        Ok(0)
    }

    fn show_fdinfo(opened: ArcBorrow<'_, Opened>, _file: &File, out: &SeqFile) {
        let vfifo = &opened.vfifo;
        seq_print!(out, "vfifo-size:\t{}\n", vfifo.fifo.size());
        seq_print!(out, "vfifo-capacity:\t{}\n", vfifo.fifo.capacity());
        seq_print!(out, "vfifo-mode:\t{}\n", vfifo.generator.mode().name());
        for side in Side::BOTH {
            let state = match vfifo.fifo.is_claimed(side) {
                true => "claimed",
                false => "unclaimed",
            };
            seq_print!(out, "vfifo-{}:\t{}\n", side.name(), state);
        }
    }

    fn mmap_prepare(
        opened: ArcBorrow<'_, Opened>,
        _file: &File,
        area: &mut AreaDesc<'_, Arc<Opened>>,
    ) -> Result {
        area.deny_exec()?;
        match opened.vfifo.fifo.area(area.offset(), area.len())? {
            Area::Data => area.serve::<PlainMapping>(),
            Area::End(_) => {
                if area.writable() {
                    area.dont_copy();
                    area.serve::<ClaimMapping>()
                } else {
                    area.deny_write()?;
                    area.serve::<PlainMapping>()
                }
            }
        }
    }
}

/// A mapping of the data, or a read-only mapping of an end's page.
struct PlainMapping {
    mapped: Mapped,
}

impl Mapping for PlainMapping {
    type File = Arc<Opened>;

    fn mapped(opened: ArcBorrow<'_, Opened>, offset: u64, len: usize) -> Result<Arc<Self>> {
        let mapped = opened.vfifo.fifo.as_arc_borrow().map(offset, len)?;
        Ok(Arc::new(Self { mapped }, GFP_KERNEL_ACCOUNT)?)
    }

    fn page(&self, index: usize) -> Option<BorrowedPage<'_>> {
        self.mapped.page(index)
    }
}

/// A writable mapping of an end's page: the claim on that end.
struct ClaimMapping {
    claim: Claim,
}

impl Mapping for ClaimMapping {
    type File = Arc<Opened>;

    const MOVABLE: bool = false;
    // A pinned page could still be stored to after the claim has ended.
    const PINNABLE: bool = false;

    fn mapped(opened: ArcBorrow<'_, Opened>, offset: u64, len: usize) -> Result<Arc<Self>> {
        let fifo = opened.vfifo.fifo.as_arc_borrow();
        // Allocated first: a claim that begins and ends can hang up.
        let mapping = UniqueArc::new_uninit(GFP_KERNEL_ACCOUNT)?;
        let claim = fifo.claim(&opened.file, offset, len)?;
        Ok(mapping.write(Self { claim }).into())
    }

    fn fixed(&self) -> Option<Arc<PageBuffer>> {
        Some(self.claim.page())
    }
}
