// SPDX-License-Identifier: GPL-2.0

//! The numbers of `include/uapi/linux/vfifo.h`, and of other headers that
//! `Documentation/misc-devices/vfifo.rst` names.
//!
//! Those of the first are compared with it in `events.c`. Its types would come from the `uapi`
//! crate, but a module that is built for a kernel which has no such header must do without.

use super::fifo::MAX_CAPACITY;
use kernel::{
    ioctl::{
        _IO,
        _IOC_DIR,
        _IOC_NR,
        _IOC_SIZE,
        _IOC_TYPE,
        _IOW,
        _IOWR, //
    },
    page::PAGE_SIZE,
    prelude::*, //
};

/// `VFIFO_CLEAR`: forget the queued bytes.
pub(crate) const CLEAR: u32 = _IO(b'k' as u32, 1);

/// `VFIFO_SET_MODE`: choose who produces; takes a pointer to an `int`.
pub(crate) const SET_MODE: u32 = _IOW::<c_int>(b'k' as u32, 2);

/// `VFIFO_GET_INFO`: ask what can be mapped; takes a pointer to a `struct vfifo_info`.
pub(crate) const GET_INFO: u32 = _IOWR::<[u64; INFO_SIZE / 8]>(b'k' as u32, 3);

/// Whether `cmd` is [`GET_INFO`] as some version of the header has it. Its structure may be larger
/// or smaller there than here, as for C's `extensible_ioctl_valid()`.
pub(crate) fn is_get_info(cmd: u32) -> bool {
    (_IOC_DIR(cmd), _IOC_TYPE(cmd), _IOC_NR(cmd))
        == (_IOC_DIR(GET_INFO), _IOC_TYPE(GET_INFO), _IOC_NR(GET_INFO))
        && _IOC_SIZE(cmd) >= INFO_MIN_SIZE
}

/// `VFIFO_NOTIFY`: wake who waits and can go on.
pub(crate) const NOTIFY: u32 = _IO(b'k' as u32, 4);

/// The size of a `struct vfifo_info`, in bytes.
pub(crate) const INFO_SIZE: usize = 40;

/// The least that a caller of `VFIFO_GET_INFO` may have of it: `size` and `version`.
pub(crate) const INFO_MIN_SIZE: usize = 8;

/// The version of what `struct vfifo_info` describes.
const INFO_VERSION: u32 = 1;

/// The `mmap` offset of the data.
const DATA_OFFSET: u64 = 0;

/// The `mmap` offset of the producer page. Beyond any data, for any page size.
pub(crate) const PRODUCER_OFFSET: u64 = 2 << 30;

/// The `mmap` offset of the consumer page.
pub(crate) const CONSUMER_OFFSET: u64 = 3 << 30;

// The data can be mapped twice in a row.
const _: () = assert!(DATA_OFFSET + 2 * MAX_CAPACITY <= PRODUCER_OFFSET);

// 32-bit kernels map no more of a device, and the pages must end within that.
const _: () = assert!(PRODUCER_OFFSET < CONSUMER_OFFSET);
const _: () = assert!(CONSUMER_OFFSET + PAGE_SIZE as u64 <= u32::MAX as u64);

/// The offset of `position` in a `struct vfifo_end`, in bytes. It has 64 bits.
pub(crate) const END_POSITION: usize = 0;

/// The offset of `waiting` in a `struct vfifo_end`, in bytes. It has 32 bits.
///
/// Two cache lines on, as some processors fetch them in pairs: who publishes looks there each time,
/// while the position is stored to all the time.
pub(crate) const END_WAITING: usize = 128;

/// The bytes of a `struct vfifo_info` of which the caller has `size` bytes, at least
/// [`INFO_MIN_SIZE`]. Those after them are not for the caller. `capacity` is in bytes.
pub(crate) fn info(size: usize, capacity: u64) -> [u8; INFO_SIZE] {
    let filled = size.min(INFO_SIZE) as u32;
    let mut info = [0; INFO_SIZE];
    let (words, longs) = info.split_at_mut(INFO_MIN_SIZE);
    for (place, word) in words.chunks_exact_mut(4).zip([filled, INFO_VERSION]) {
        place.copy_from_slice(&word.to_ne_bytes());
    }
    let values = [capacity, DATA_OFFSET, PRODUCER_OFFSET, CONSUMER_OFFSET];
    for (place, long) in longs.chunks_exact_mut(8).zip(values) {
        place.copy_from_slice(&long.to_ne_bytes());
    }
    info
}

/// `FIONREAD`, see ioctl_list(2): how many bytes are queued; takes a pointer to an `int`.
pub(crate) const FIONREAD: u32 = kernel::bindings::FIONREAD;

/// The number of bytes up to which a write is atomic, see pipe(7).
pub(crate) const PIPE_BUF: u64 = kernel::bindings::PIPE_BUF as u64;
