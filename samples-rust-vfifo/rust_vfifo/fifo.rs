// SPDX-License-Identifier: GPL-2.0
// Copyright (C) 2026 Seed 1f3ad1c2 maintainers.

//! A FIFO: its data, its locks and the order in which they are taken.
//!
//! # Where to look
//!
//! | file | question |
//! |---|---|
//! | `fifo/read.rs`, `fifo/write.rs` | How are bytes moved? What if user memory is not resident? |
//! | `fifo/records.rs` | The same for records |
//! | `fifo/overwriting.rs` | The same if the producer overwrites the oldest bytes |
//! | `fifo/transfer.rs` | What do reads and writes have in common? |
//! | `fifo/sleeping.rs` | When does a call sleep, and on which queue? |
//! | `fifo/waking.rs` | Where is a reader, a writer or a poller woken? |
//! | `fifo/relay.rs` | Why is only one sleeper woken at a time? |
//! | `fifo/poll.rs` | What does poll(2) report? |
//! | `fifo/room.rs` | How many bytes are queued, and how many fit? |
//! | `fifo/state.rs` | Is an end free, claimed or in error? |
//! | `fifo/hangup.rs` | When has a stream ended? Whom does a close wake? |
//! | `fifo/parties.rs` | Which files are readers and writers, and which of them have met? |
//! | `fifo/claim.rs` | Where does a claim begin and end? What does `VFIFO_NOTIFY` do? |
//! | `fifo/mapping.rs` | What can be mapped? |
//! | `fifo/resize.rs` | Where does the capacity change? |
//! | `fifo/settings.rs` | Where do framing and overwriting change? |
//! | `fifo/removal.rs` | What happens when the device is removed? |
//! | `fifo/clear.rs` | What does `VFIFO_CLEAR` do? |
//! | `fifo/end.rs` | What belongs to one end? What is behind its lock? |
//! | `fifo/stats.rs` | What is counted? |
//! | `ring.rs`, `turn.rs` | The protocol of the two ends; fairness among writers |
//!
//! # Locks
//!
//! | lock | serializes | held while |
//! |---|---|---|
//! | `reader` | consumers: reads, clearing, and claiming their end | copying |
//! | `writer` | producers: writes, generation, and claiming their end | copying |
//! | `geometry` | mapping and resizing | counting |
//! | `dropped` (a spinlock) | counting bytes that are not read, `told` of claims | counting |
//! | `parties` (a spinlock) in `hangup` | opening, closing, and asking who is left | counting |
//!
//! They are taken in this order, after the control lock of the [`Generator`] and the `mmap_lock` of
//! a process:
//!
//! 1. `reader`
//! 2. `writer`
//! 3. `geometry`
//! 4. `dropped`
//! 5. `parties`
//!
//! A reader and a writer run at the same time, with only the ring between them. With a lock held,
//! nobody waits for bytes or for room, or takes a page fault: if user memory is not resident, a
//! transfer drops the lock, faults the memory in, and retries. Locks are therefore held for a short
//! time only. World-readable attributes take no lock that a transfer takes.
//!
//! # Context
//!
//! All public functions are called in process context, and most of them may sleep. The files say
//! which do not, and which locks a caller may hold.
//!
//! # Errors
//!
//! | error | reason | returned by |
//! |---|---|---|
//! | [`EAGAIN`] | would sleep, but must not | `read_slow()`, `write_slow()` |
//! | | overtaken again and again, and must not go on | `fifo/overwriting/read.rs` |
//! | [`EBUSY`] | the end is claimed | `check_usable()` in `fifo/state.rs`; [`Fifo::clear`] |
//! | | the end is claimed already | [`Fifo::claim`] |
//! | | mapped, or too much is queued | [`Fifo::resize`], `fifo/settings.rs` |
//! | [`EFAULT`] | bad user memory | `*_after_faults()`, `*_through_kernel()` |
//! | [`EINVAL`] | no such area | [`Fifo::area`] |
//! | [`EINVAL`], [`ERANGE`] | no such capacity | [`round_capacity`] |
//! | [`EIO`] | the FIFO is in its error state | `check_usable()`, `enter_error_state()` |
//! | [`EMSGSIZE`] | the record does not fit | `fifo/records.rs`, `fifo/overwriting.rs` |
//! | [`ENOMEM`] | out of memory | [`Fifo::new`], [`Fifo::resize`], `bounce_*()` |
//! | [`EPIPE`] | all readers have gone | `check_flags()` in `fifo/write.rs` |
//! | [`ERESTARTSYS`] | a signal | `fifo/sleeping.rs`, `write_slow()`, `read_portions()` |
//! | | a fatal signal | `*_after_faults()`, `*_through_kernel()` |
//!
//! Errors of ioctl(2) and mmap(2) are in `file.rs`, those of attributes in `attributes.rs`.
//!
//! [`Generator`]: super::generator::Generator

#[path = "fifo/claim.rs"]
mod claim;
#[path = "fifo/clear.rs"]
mod clear;
#[path = "fifo/end.rs"]
mod end;
#[path = "fifo/hangup.rs"]
mod hangup;
#[path = "fifo/mapping.rs"]
mod mapping;
#[path = "fifo/overwriting.rs"]
mod overwriting;
#[path = "fifo/parties.rs"]
pub(super) mod parties;
#[path = "fifo/poll.rs"]
mod poll;
#[path = "fifo/read.rs"]
mod read;
#[path = "fifo/records.rs"]
mod records;
#[path = "fifo/relay.rs"]
mod relay;
#[path = "fifo/removal.rs"]
mod removal;
#[path = "fifo/resize.rs"]
mod resize;
#[path = "fifo/room.rs"]
mod room;
#[path = "fifo/settings.rs"]
mod settings;
#[path = "fifo/sleeping.rs"]
mod sleeping;
#[path = "fifo/state.rs"]
mod state;
#[path = "fifo/stats.rs"]
mod stats;
#[path = "fifo/transfer.rs"]
mod transfer;
#[path = "fifo/waking.rs"]
mod waking;
#[path = "fifo/write.rs"]
mod write;

pub(crate) use self::{
    claim::Claim,
    end::Side,
    hangup::OpenFile,
    mapping::{
        Area,
        Mapped, //
    },
    resize::{
        round_capacity,
        MAX_CAPACITY, //
    },
    transfer::Call, //
};

use self::{
    end::{
        CacheAligned,
        End,
        EndPage,
        EndStatus,
        Pages, //
    },
    hangup::Hangup,
    mapping::Geometry,
    relay::Relay,
    state::Flags,
    stats::{
        Dropped,
        Stats, //
    }, //
};
use super::{
    registry::Name,
    ring::Ring,
    turn::Turn, //
};
use kernel::{
    chrdev::Waiters,
    new_mutex,
    new_spinlock,
    new_wait_queue,
    prelude::*,
    sync::{
        atomic::{
            Acquire,
            Atomic, //
        },
        wait_queue::WaitQueue,
        Arc,
        Mutex,
        SpinLock, //
    }, //
};

/// A byte stream with two ends.
///
/// # Invariants
///
/// - `capacity`, the capacities of the cursors and the sizes of the three `buffer`s are the same,
///   except while a resize holds `reader`, `writer` and `geometry`.
/// - An end's `owner` is not zero exactly if its `claimed` is set, except while the end's lock is
///   held.
#[pin_data]
pub(crate) struct Fifo {
    /// The name of the device, for messages.
    pub(crate) name: Name,
    /// The minor number of the device, for trace events.
    pub(crate) index: u32,
    ring: Ring<Pages>,
    // A copy of the cursors' capacity, for those who hold no lock.
    capacity: Atomic<u64>,
    #[pin]
    reader: CacheAligned<Mutex<End>>,
    #[pin]
    writer: CacheAligned<Mutex<End>>,
    #[pin]
    geometry: Mutex<Geometry>,
    producer: EndStatus,
    consumer: EndStatus,
    flags: Flags,
    #[pin]
    hangup: Hangup,
    #[pin]
    dropped: SpinLock<()>,
    // Changed with `dropped` held.
    not_read: Dropped,
    turn: Turn,
    // The writer that has the turn sleeps here.
    #[pin]
    turn_queue: WaitQueue,
    // Writers sleep and none of them has the turn: the next writer that does not sleep reserves it.
    turn_free: Atomic<bool>,
    // The sleepers that are woken one after the other.
    reader_relay: Relay,
    writer_relay: Relay,
    // The number of other sleeping writers that fit into less than `wake_room()`.
    small_writers: Atomic<u32>,
    // The number of those that need more: writers of records.
    large_writers: Atomic<u32>,
    /// Sleepers, pollers, and files that want signals.
    pub(crate) waiters: Arc<Waiters>,
    /// Counters for debugging.
    pub(crate) stats: Stats,
}

impl Fifo {
    /// Creates an empty FIFO for the device of this name and minor number. `capacity` is a result
    /// of [`round_capacity`], and `hangup` is whether closing an end hangs up.
    ///
    /// # Errors
    ///
    /// [`ENOMEM`].
    pub(crate) fn new(name: Name, index: u32, capacity: u64, hangup: bool) -> Result<Arc<Self>> {
        let buffer = resize::allocate(capacity)?;
        let waiters = Waiters::new()?;
        let ring = Ring {
            producer: EndPage::new()?,
            consumer: EndPage::new()?,
        };
        Arc::pin_init(
            pin_init!(Self {
                name,
                index,
                waiters,
                ring,
                capacity: Atomic::new(capacity),
                reader <- CacheAligned::new(new_mutex!(End::new(buffer.clone()), "Fifo::reader")),
                writer <- CacheAligned::new(new_mutex!(End::new(buffer.clone()), "Fifo::writer")),
                geometry <- new_mutex!(Geometry { buffer, mapped: 0 }, "Fifo::geometry"),
                producer: EndStatus::new(),
                consumer: EndStatus::new(),
                flags: Hangup::initial_flags(hangup),
                hangup <- Hangup::new(hangup),
                dropped <- new_spinlock!((), "Fifo::dropped"),
                not_read: Dropped::new(),
                turn: Turn::new(),
                turn_queue <- new_wait_queue!("Fifo::turn_queue"),
                turn_free: Atomic::new(false),
                reader_relay: Relay::new(),
                writer_relay: Relay::new(),
                small_writers: Atomic::new(0),
                large_writers: Atomic::new(0),
                stats: Stats::new(),
            }),
            GFP_KERNEL_ACCOUNT,
        )
    }

    /// The fields of an end that need no lock.
    fn end(&self, side: Side) -> &EndStatus {
        match side {
            Side::Producer => &self.producer,
            Side::Consumer => &self.consumer,
        }
    }

    /// The capacity, in bytes.
    pub(crate) fn capacity(&self) -> u64 {
        // Pairs with the release in `resize()`: whoever sees that the capacity has shrunk also sees
        // the reads that made this possible.
        self.capacity.load(Acquire)
    }
}
