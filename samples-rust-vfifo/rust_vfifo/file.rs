// SPDX-License-Identifier: GPL-2.0

//! What can be done with an open `/dev/vfifoN`.

use super::{
    fifo::{
        Area,
        Claim,
        Mapped,
        Side, //
    },
    generator::Mode,
    uapi,
    Vfifo, //
};
use kernel::{
    chrdev::{
        Events,
        FileExt,
        FileOperations,
        KiocbExt,
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
    mmap::{
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
        ArcBorrow, //
    },
    uaccess::{
        UserPtr,
        UserSlice, //
    }, //
};

/// The operations of the files; the private data of each is the device.
pub(crate) struct VfifoFile;

#[vtable]
impl FileOperations for VfifoFile {
    type Device = Vfifo;
    type File = Arc<Vfifo>;

    const NOWAIT: bool = true;

    fn open(vfifo: &Arc<Vfifo>, _file: &File) -> Result<Arc<Vfifo>> {
        Ok(vfifo.clone())
    }

    fn waiters(vfifo: &Arc<Vfifo>) -> Arc<Waiters> {
        vfifo.fifo.waiters.clone()
    }

    #[inline]
    fn read_iter(kiocb: Kiocb<'_, Arc<Vfifo>>, to: &mut IovIterDest<'_>) -> Result<usize> {
        kiocb.file().fifo.read(to, || kiocb.nonblocking())
    }

    #[inline]
    fn write_iter(kiocb: Kiocb<'_, Arc<Vfifo>>, from: &mut IovIterSource<'_>) -> Result<usize> {
        kiocb.file().fifo.write(from, || kiocb.nonblocking())
    }

    #[inline]
    fn read(vfifo: ArcBorrow<'_, Vfifo>, file: &LocalFile, to: &mut UserDest) -> Result<usize> {
        vfifo.fifo.read(to, || file.nonblocking())
    }

    #[inline]
    fn write(
        vfifo: ArcBorrow<'_, Vfifo>,
        file: &LocalFile,
        from: &mut UserSource,
    ) -> Result<usize> {
        vfifo.fifo.write(from, || file.nonblocking())
    }

    fn poll(vfifo: ArcBorrow<'_, Vfifo>, file: &File, asked: Events) -> Events {
        vfifo.fifo.poll(
            file.readable() && asked.intersects(Events::READ),
            file.writable() && asked.intersects(Events::WRITE),
        )
    }

    fn ioctl(vfifo: ArcBorrow<'_, Vfifo>, file: &File, cmd: u32, arg: usize) -> Result<isize> {
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
            uapi::FIONREAD => int.writer().write(&c_int::try_from(vfifo.fifo.size())?)?,
            uapi::GET_INFO => {
                let size = UserSlice::new(UserPtr::from_addr(arg), size_of::<u32>());
                let size = size.reader().read::<u32>()? as usize;
                if size < uapi::INFO_MIN_SIZE {
                    return Err(EINVAL);
                }
                let info = uapi::info(size, vfifo.fifo.capacity());
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

    fn show_fdinfo(vfifo: ArcBorrow<'_, Vfifo>, _file: &File, out: &SeqFile) {
        seq_print!(out, "vfifo-size:\t{}\n", vfifo.fifo.size());
        seq_print!(out, "vfifo-capacity:\t{}\n", vfifo.fifo.capacity());
        seq_print!(out, "vfifo-mode:\t{}\n", vfifo.generator.mode().name());
        for side in [Side::Producer, Side::Consumer] {
            let state = match vfifo.fifo.is_claimed(side) {
                true => "claimed",
                false => "unclaimed",
            };
            seq_print!(out, "vfifo-{}:\t{}\n", side.name(), state);
        }
    }

    fn mmap_prepare(
        vfifo: ArcBorrow<'_, Vfifo>,
        _file: &File,
        area: &mut AreaDesc<'_, Arc<Vfifo>>,
    ) -> Result {
        area.deny_exec()?;
        match vfifo.fifo.area(area.offset(), area.len())? {
            Area::Data => area.serve::<Shown>(),
            Area::End(_) => {
                if area.writable() {
                    area.dont_copy();
                    area.serve::<Claimed>()
                } else {
                    area.deny_write()?;
                    area.serve::<Shown>()
                }
            }
        }
    }
}

/// A mapping of the data, or of an end's page by who does not claim that.
struct Shown {
    mapped: Mapped,
}

impl Mapping for Shown {
    type File = Arc<Vfifo>;

    fn mapped(vfifo: ArcBorrow<'_, Vfifo>, offset: u64, len: usize) -> Result<Arc<Self>> {
        let mapped = vfifo.fifo.as_arc_borrow().map(offset, len)?;
        Ok(Arc::new(Self { mapped }, GFP_KERNEL)?)
    }

    fn page(&self, index: usize) -> Option<BorrowedPage<'_>> {
        self.mapped.page(index)
    }
}

/// A writable mapping of an end's page, which is the claim on that end.
struct Claimed {
    claim: Claim,
}

impl Mapping for Claimed {
    type File = Arc<Vfifo>;

    const MOVABLE: bool = false;
    // A page that somebody held on to could be stored to after the claim has ended.
    const PINNABLE: bool = false;

    fn mapped(vfifo: ArcBorrow<'_, Vfifo>, offset: u64, len: usize) -> Result<Arc<Self>> {
        let claim = vfifo.fifo.as_arc_borrow().claim(offset, len)?;
        Ok(Arc::new(Self { claim }, GFP_KERNEL)?)
    }

    fn fixed(&self) -> Option<Arc<PageBuffer>> {
        Some(self.claim.page())
    }
}
