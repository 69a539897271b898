// SPDX-License-Identifier: GPL-2.0
// Copyright (C) 2026 Seed 1f3ad1c2 maintainers.

//! Hanging up: with the attribute `hangup` set, closing an end means what it means for a pipe.
//!
//! # Definitions
//!
//! `parties.rs` defines readers, writers, and when a file has *met* them. In addition:
//!
//! - A file that has read a byte has met a writer, and so has a file that claims the consumer's end
//!   if `tail` has moved since the claim.
//! - A byte that was written proves nothing about readers.
//!
//! Whether there are bytes, and how many, does not matter here: what is queued is read first, and
//! stays queued when everybody has left.
//!
//! # States
//!
//! ```text
//!                          a writer opens
//!            .-------------------------------------------.
//!            v                                           |
//!      writers there                                 no writers
//!   empty: reads sleep,   -- the last one leaves -->  empty, met:   reads return 0; POLLHUP
//!          or EAGAIN         wakes the consumers      empty, unmet: reads sleep, or EAGAIN
//!
//!                          a reader opens
//!            .-------------------------------------------.
//!            v                                           |
//!      readers there                                 no readers
//!   writes queue bytes    -- the last one leaves -->  met:   EPIPE and SIGPIPE; POLLERR
//!                            wakes the producers      unmet: writes queue bytes
//! ```
//!
//! A file opens or closes a side also by releasing or claiming an end, and the generator by being
//! turned on or off. While `hangup` is clear, everybody is counted in the same way, but nobody is
//! woken, and both rows are as if somebody was there. Setting it wakes everybody in a column on the
//! right. When the device is removed, `hangup` is set for good, and every file counts as having met
//! a writer and a reader: see `removal.rs`.
//!
//! # Locks
//!
//! `parties` is a spinlock and the innermost lock. `reader`, `writer`, the generator's control lock
//! and the `mmap_lock` may be held; nothing is taken within it, and nobody is woken. A transfer
//! takes it only if one of the flags is set. Showing an attribute does not.
//!
//! # Invariants
//!
//! - [`Flags::NO_WRITERS`] and [`Flags::NO_READERS`] are set if `enabled` is set and there are
//!   none, and [`Flags::UNMET`] if there are files whose reads have to be noted, except while
//!   `parties` is held. These and `enabled` are stored with `parties` held.
//! - An [`OpenFile`] is counted from [`Fifo::open`] until it is dropped.
//!
//! # Barriers
//!
//! 1. No byte is lost at the end. The last writer has stored `head` before it leaves. It leaves
//!    with `parties` held, and [`Fifo::writers_gone`] takes that lock before it answers. So a
//!    reader that looks for writers first and then at `head` sees all of their bytes. A read does
//!    so with `reader` held, so that `tail` stays where it is: with a `tail` that another reader
//!    has moved since, a queue could look empty that never was. Nor can a claim begin then, which
//!    could be what made the last writer leave. Sleepers and poll(2) do without that lock. If they
//!    are wrong, the call that follows is not.
//! 2. Nobody sleeps through it. `wake_all_of_end()` is called after a flag was stored, and has the
//!    full fence of `has_sleepers()` before it looks at a queue. It pairs with the fence of
//!    `Ring::*_will_wait()` between going on a queue and testing the flag, and with the `smp_mb()`
//!    of C's `poll_wait()` for pollers that ask for neither direction.
//! 3. A reader that finds the queue empty, because another one has read the last byte through the
//!    same file, knows of that. The other one has noted it with `parties` held before it stored
//!    `tail`. A read has found the queue empty with `reader` held before it asks for writers.
//!    `wait_for_bytes()` must call [`Fifo::has_bytes`], which loads `tail` with acquire, before
//!    [`Fifo::writers_gone`].
//! 4. A read of a file that has met nobody sees [`Flags::UNMET`], without any barrier: it was set
//!    when the file was opened, and stays set until the file has met somebody.
//!
//! # Context
//!
//! Process context. No function sleeps, except [`Fifo::open`], which allocates memory.

use super::{
    super::{
        ring::{
            framing::Framing,
            End as _, //
        },
        uapi, //
    },
    end::{
        FileId,
        Side, //
    },
    parties::{
        Parties,
        PerSide,
        Standing, //
    },
    state::Flags,
    transfer::Call,
    Fifo, //
};
use kernel::{
    chrdev::Events,
    dynamic_debug::dynamic_pr_debug,
    new_spinlock,
    prelude::*,
    sync::{
        atomic::{
            Atomic,
            Relaxed, //
        },
        Arc,
        ArcBorrow,
        LockedBy,
        SpinLock, //
    }, //
};

/// The parties of a FIFO, and the attribute. What a transfer needs to know of them is in [`Flags`].
#[pin_data]
pub(super) struct Hangup {
    #[pin]
    parties: SpinLock<Parties>,
    enabled: Atomic<bool>,
    // Whether the device has been removed.
    removed: Atomic<bool>,
}

impl Hangup {
    /// Nobody is there. `on` is the value of the attribute.
    pub(super) fn new(on: bool) -> impl PinInit<Self> {
        pin_init!(Self {
            parties <- new_spinlock!(Parties::default(), "Hangup::parties"),
            enabled: Atomic::new(on),
            removed: Atomic::new(false),
        })
    }

    /// From now on, every file counts as having met a writer and a reader.
    pub(super) fn set_removed(&self) {
        self.removed.store(true, Relaxed);
    }

    /// Whether [`Hangup::set_removed`] was called.
    pub(super) fn is_removed(&self) -> bool {
        self.removed.load(Relaxed)
    }

    /// The flags of a FIFO when nobody is there.
    pub(super) fn initial_flags(on: bool) -> Flags {
        Flags::new(match on {
            true => Flags::NO_WRITERS | Flags::NO_READERS,
            false => 0,
        })
    }
}

/// An open file: what it counts as until it is dropped, and what it has met.
pub(crate) struct OpenFile {
    fifo: Arc<Fifo>,
    // How the file is open. `Standing` has the same, but behind the lock.
    access: PerSide<bool>,
    standing: LockedBy<Standing, Parties>,
    // Whether a read was noted, so that it need not be noted again.
    has_read: Atomic<bool>,
}

impl OpenFile {
    /// The owner of claims made through this file.
    pub(super) fn id(&self) -> FileId {
        FileId::of(self)
    }

    /// Makes a change to what the file counts as.
    fn change(&self, change: impl FnOnce(&mut Parties, &mut Standing) -> PerSide<bool>) {
        self.fifo.change_parties(|parties| {
            let mut standing = *self.standing.access(parties);
            let last = change(parties, &mut standing);
            *self.standing.access_mut(parties) = standing;
            last
        });
    }

    /// The file has claimed the end `side`, which is at `position`.
    pub(super) fn begin_claim(&self, side: Side, position: u64) {
        self.change(|parties, standing| parties.claim(standing, side, position));
    }

    /// The claim on the end `side` ends at `position`. To be called before others can use the end.
    pub(super) fn end_claim(&self, side: Side, position: u64) {
        self.change(|parties, standing| parties.release(standing, side, position));
    }
}

impl Drop for OpenFile {
    /// Closes the file. The process may have been killed.
    fn drop(&mut self) {
        self.change(|parties, standing| parties.close(standing));
    }
}

impl Fifo {
    /// Opens the FIFO for reading, for writing, for both or for neither.
    ///
    /// # Errors
    ///
    /// [`ENOMEM`].
    pub(crate) fn open(
        self: ArcBorrow<'_, Self>,
        readable: bool,
        writable: bool,
    ) -> Result<Arc<OpenFile>> {
        let access = PerSide {
            producer: writable,
            consumer: readable,
        };
        let file = Arc::new(
            OpenFile {
                access,
                standing: LockedBy::new(&self.hangup.parties, Standing::default()),
                fifo: self.into(),
                has_read: Atomic::new(false),
            },
            GFP_KERNEL_ACCOUNT,
        )?;
        file.change(|parties, standing| {
            parties.open(standing, access);
            PerSide::default()
        });
        Ok(file)
    }

    /// Stores what follows from `parties`, whose lock is held.
    fn update_hangup(&self, parties: &Parties) {
        let enabled = self.hangup();
        for (side, flag) in [
            (Side::Producer, Flags::NO_WRITERS),
            (Side::Consumer, Flags::NO_READERS),
        ] {
            self.flags.set(flag, enabled && parties.is_empty(side));
        }
        self.flags.set(Flags::UNMET, parties.any_unmet());
    }

    /// Makes a change to the parties. If the last writer or reader has left, wakes those who wait
    /// at the other end.
    fn change_parties(&self, change: impl FnOnce(&mut Parties) -> PerSide<bool>) {
        let (last, enabled) = {
            let mut parties = self.hangup.parties.lock();
            let last = change(&mut parties);
            self.update_hangup(&parties);
            (last, self.hangup())
        };
        for side in Side::BOTH {
            if enabled && *last.get(side) {
                self.stats.hangups.fetch_add(1, Relaxed);
                self.wake_all_of_end(side.other());
            }
        }
    }

    /// The generator is turned on, or off if `on` is false. The caller does neither twice.
    pub(crate) fn count_generator(&self, on: bool) {
        self.change_parties(|parties| parties.generator(on));
    }

    /// Whether closing an end hangs up.
    pub(crate) fn hangup(&self) -> bool {
        self.hangup.enabled.load(Relaxed)
    }

    /// Sets whether closing an end hangs up. This takes effect at once, for sleepers as well.
    pub(crate) fn set_hangup(&self, enabled: bool) {
        let nobody = {
            let parties = self.hangup.parties.lock();
            if enabled == self.hangup() {
                return;
            }
            self.hangup.enabled.store(enabled, Relaxed);
            self.update_hangup(&parties);
            PerSide {
                producer: parties.is_empty(Side::Producer),
                consumer: parties.is_empty(Side::Consumer),
            }
        };
        dynamic_pr_debug!(
            "{}: hangup {} -> {}\n",
            self.name,
            u8::from(!enabled),
            u8::from(enabled)
        );
        for side in Side::BOTH {
            if enabled && *nobody.get(side) {
                self.wake_all_of_end(side.other());
            }
        }
    }

    /// The flags of `struct vfifo_info`.
    pub(crate) fn info_flags(&self) -> u64 {
        let parties = self.hangup.parties.lock();
        [
            (self.hangup(), uapi::HANGUP),
            (self.framing() == Framing::Record, uapi::RECORDS),
            (self.overwrites(), uapi::OVERWRITE),
            (self.is_in_error(), uapi::BROKEN),
            (parties.is_empty(Side::Consumer), uapi::NO_READERS),
            (parties.is_empty(Side::Producer), uapi::NO_WRITERS),
        ]
        .into_iter()
        .filter_map(|(set, flag)| set.then_some(flag))
        .fold(0, |flags, flag| flags | flag)
    }

    /// Whether the file of `call` has met a writer and none is left. If the queue is empty after
    /// this, with `reader` held all the time, its readers are at the end.
    #[inline]
    pub(super) fn writers_gone(&self, call: impl Call) -> bool {
        self.flags.any(Flags::NO_WRITERS) && self.has_hung_up(call.file(), Side::Producer)
    }

    /// Whether the file of `call` has met a reader and none is left: writes fail with [`EPIPE`].
    #[inline]
    pub(super) fn readers_gone(&self, call: impl Call) -> bool {
        self.flags.any(Flags::NO_READERS) && self.has_hung_up(call.file(), Side::Consumer)
    }

    /// What poll(2) reports to `file`, without regard to the queue.
    pub(super) fn poll_hangup(&self, file: &OpenFile) -> Events {
        let mut events = Events::NONE;
        if file.access.consumer
            && self.flags.any(Flags::NO_WRITERS)
            && self.has_hung_up(file, Side::Producer)
        {
            events = events | Events::HANGUP;
        }
        if file.access.producer
            && self.flags.any(Flags::NO_READERS)
            && self.has_hung_up(file, Side::Consumer)
        {
            events = events | Events::ERROR;
        }
        events
    }

    /// Whether `file` has met somebody at the end `side`, and nobody is left there.
    #[cold]
    fn has_hung_up(&self, file: &OpenFile, side: Side) -> bool {
        let parties = self.hangup.parties.lock();
        if !self.hangup() || !parties.is_empty(side) {
            return false;
        }
        let standing = file.standing.access(&parties);
        self.hangup.is_removed()
            || parties.has_met(standing, side)
            || (side == Side::Producer && standing.has_read(self.ring.consumer.load_acquire()))
    }

    /// Notes that bytes are read. To be called with `reader` held, before `tail` moves past them.
    #[inline(always)]
    pub(super) fn note_read(&self, call: impl Call) {
        if self.flags.any(Flags::UNMET) && !call.file().has_read.load(Relaxed) {
            self.note_first_read(call.file());
        }
    }

    /// The first read through `file` while some file has met no writer. If it is this one, it has
    /// met one now. Others that share the file may wait already, and poll(2) reports something new.
    #[cold]
    fn note_first_read(&self, file: &OpenFile) {
        let mut is_news = false;
        file.change(|parties, standing| {
            is_news = parties.read(standing);
            PerSide::default()
        });
        file.has_read.store(true, Relaxed);
        if is_news && self.flags.any(Flags::NO_WRITERS) {
            self.wake_all_of_end(Side::Consumer);
        }
    }
}
