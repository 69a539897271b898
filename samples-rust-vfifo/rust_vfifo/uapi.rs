// SPDX-License-Identifier: GPL-2.0
// Copyright (C) 2026 Seed 1f3ad1c2 maintainers.

//! Numbers and layouts of `include/uapi/linux/vfifo.h`, and of other headers that
//! `Documentation/misc-devices/vfifo.rst` names.
//!
//! `events.c` compares the former with the header. The types could come from the `uapi` crate, but
//! a module that is built for a kernel without this header cannot use that.
//!
//! A new ioctl is added here, in the header, in `events.c`, and in `file.rs`.

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

/// `VFIFO_CLEAR`: drop the queued bytes.
pub(crate) const CLEAR: u32 = _IO(b'k' as u32, 1);

/// `VFIFO_SET_MODE`: set the mode; takes a pointer to an `int`.
pub(crate) const SET_MODE: u32 = _IOW::<c_int>(b'k' as u32, 2);

/// `VFIFO_GET_INFO`: ask what can be mapped; takes a pointer to a `struct vfifo_info`.
pub(crate) const GET_INFO: u32 = _IOWR::<[u64; INFO_SIZE / 8]>(b'k' as u32, 3);

/// Whether `cmd` is [`GET_INFO`] in any version of the header. The structure may be larger or
/// smaller there than here, as in C's `extensible_ioctl_valid()`.
pub(crate) fn is_get_info(cmd: u32) -> bool {
    (_IOC_DIR(cmd), _IOC_TYPE(cmd), _IOC_NR(cmd))
        == (_IOC_DIR(GET_INFO), _IOC_TYPE(GET_INFO), _IOC_NR(GET_INFO))
        && _IOC_SIZE(cmd) >= INFO_MIN_SIZE
}

/// `VFIFO_NOTIFY`: wake those who wait and can go on.
pub(crate) const NOTIFY: u32 = _IO(b'k' as u32, 4);

/// The size of a `struct vfifo_info`, in bytes.
pub(crate) const INFO_SIZE: usize = 48;

/// The smallest `struct vfifo_info` that a caller may pass: `size` and `version`.
pub(crate) const INFO_MIN_SIZE: usize = 8;

/// A flag of `struct vfifo_info`: the attribute `hangup` is 1.
pub(crate) const HANGUP: u64 = 1;

/// A flag of `struct vfifo_info`: the data consists of records.
pub(crate) const RECORDS: u64 = 2;

/// A flag of `struct vfifo_info`: the producer overwrites the oldest bytes.
pub(crate) const OVERWRITE: u64 = 4;

/// A flag of `struct vfifo_info`: the FIFO is in its error state.
pub(crate) const BROKEN: u64 = 8;

/// A flag of `struct vfifo_info`: there are no readers.
pub(crate) const NO_READERS: u64 = 16;

/// A flag of `struct vfifo_info`: there are no writers.
pub(crate) const NO_WRITERS: u64 = 32;

/// The version of the mapping that `struct vfifo_info` describes.
const INFO_VERSION: u32 = 1;

/// The `mmap` offset of the data.
const DATA_OFFSET: u64 = 0;

/// The `mmap` offset of the producer page. It lies beyond any data, for any page size.
pub(crate) const PRODUCER_OFFSET: u64 = 2 << 30;

/// The `mmap` offset of the consumer page.
pub(crate) const CONSUMER_OFFSET: u64 = 3 << 30;

// The data is mapped twice in a row, and must end before the pages.
const _: () = assert!(DATA_OFFSET + 2 * MAX_CAPACITY <= PRODUCER_OFFSET);

// 32-bit kernels can map 4 GiB of a device, and the pages must end within that.
const _: () = assert!(PRODUCER_OFFSET < CONSUMER_OFFSET);
const _: () = assert!(CONSUMER_OFFSET + PAGE_SIZE as u64 <= u32::MAX as u64);

/// The offset of `position`, of 64 bits, in a `struct vfifo_end`.
pub(crate) const END_POSITION: usize = 0;

/// The offset of `waiting`, of 32 bits, in a `struct vfifo_end`.
///
/// It is two cache lines away from the position, as some processors fetch lines in pairs: the other
/// end loads `waiting` each time it publishes, while this end stores its position all the time.
pub(crate) const END_WAITING: usize = 128;

/// The offset of `oldest`, of 64 bits, in the `struct vfifo_end` of the producer.
pub(crate) const END_OLDEST: usize = 256;

/// The bytes of a `struct vfifo_info` for a caller whose structure has `size` bytes, at least
/// [`INFO_MIN_SIZE`]. Only the first `size` bytes are to be copied. `capacity` is in bytes.
pub(crate) fn info(size: usize, capacity: u64, flags: u64) -> [u8; INFO_SIZE] {
    let filled = size.min(INFO_SIZE) as u32;
    let mut info = [0; INFO_SIZE];
    let (words, longs) = info.split_at_mut(INFO_MIN_SIZE);
    for (place, word) in words.chunks_exact_mut(4).zip([filled, INFO_VERSION]) {
        place.copy_from_slice(&word.to_ne_bytes());
    }
    let values = [
        capacity,
        DATA_OFFSET,
        PRODUCER_OFFSET,
        CONSUMER_OFFSET,
        flags,
    ];
    for (place, long) in longs.chunks_exact_mut(8).zip(values) {
        place.copy_from_slice(&long.to_ne_bytes());
    }
    info
}

/// `FIONREAD`, see ioctl_list(2): the number of queued bytes; takes a pointer to an `int`.
pub(crate) const FIONREAD: u32 = kernel::bindings::FIONREAD;

/// The number of bytes up to which a write is atomic, see pipe(7).
pub(crate) const PIPE_BUF: u64 = kernel::bindings::PIPE_BUF as u64;
