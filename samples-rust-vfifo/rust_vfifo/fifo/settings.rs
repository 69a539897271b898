// SPDX-License-Identifier: GPL-2.0
// Copyright (C) 2026 Seed 1f3ad1c2 maintainers.

//! The settings that make a FIFO another kind of FIFO: `framing` and `overwrite`.
//!
//! | framing | overwrite | reads and writes are in |
//! |---|---|---|
//! | `stream` | 0 | `read.rs`, `write.rs`: the straight path |
//! | `record` | 0 | `records.rs` |
//! | any | 1 | `overwriting.rs` |
//!
//! # Invariants
//!
//! - Both change only with `reader`, `writer` and `geometry` held, and while nothing is mapped. So
//!   who holds the lock of an end can rely on them, and so can the owner of a mapping.
//! - The framing changes only while nothing is queued: bytes of one kind are not taken for those of
//!   the other.
//!
//! # Context
//!
//! Process context, no lock held. The setters may sleep.

use super::{
    super::ring::framing::Framing,
    end::{
        End,
        Side, //
    },
    state::Flags,
    Fifo, //
};
use kernel::{
    dynamic_debug::dynamic_pr_debug,
    prelude::*, //
};

impl Framing {
    /// The name of the framing, as the attribute shows and takes it.
    pub(crate) fn name(self) -> &'static str {
        match self {
            Framing::Stream => "stream",
            Framing::Record => "record",
        }
    }
}

impl Fifo {
    /// What the bytes are. May change at any time, unless the caller holds the lock of an end.
    pub(crate) fn framing(&self) -> Framing {
        match self.flags.any(Flags::RECORDS) {
            true => Framing::Record,
            false => Framing::Stream,
        }
    }

    /// Whether the producer overwrites the oldest bytes. For changes see [`Fifo::framing`].
    ///
    /// Without a lock, the answer belongs to the positions that are loaded afterwards: `oldest` was
    /// stored before the flag was set.
    pub(crate) fn overwrites(&self) -> bool {
        self.flags.any_acquire(Flags::OVERWRITE)
    }

    /// Changes a setting with `change`, unless it `is_set` to the new value.
    fn change_setting(
        &self,
        is_set: impl FnOnce() -> bool,
        change: impl FnOnce(&mut End, &mut End) -> Result,
    ) -> Result {
        let mut reader = self.reader.lock();
        let mut writer = self.writer.lock();
        let geometry = self.geometry.lock();
        if is_set() {
            return Ok(());
        }
        if geometry.mapped > 0 {
            return Err(EBUSY);
        }
        change(&mut reader, &mut writer)?;
        drop(geometry);
        drop(writer);
        drop(reader);
        // Sleepers and pollers wait for something else now.
        for side in Side::BOTH {
            self.wake_end(side);
        }
        Ok(())
    }

    /// Sets what the bytes are. A write that is under way ends with what it has written.
    ///
    /// # Errors
    ///
    /// [`EBUSY`] if anything is mapped or queued. Setting the current value always succeeds.
    pub(crate) fn set_framing(&self, framing: Framing) -> Result {
        self.change_setting(
            || framing == self.framing(),
            |reader, writer| {
                if self.queued() != Ok(0) {
                    return Err(EBUSY);
                }
                let old = self.framing();
                let overwrites = self.overwrites();
                self.stop_overwriting_if(overwrites, reader, writer);
                self.drop_bytes(|not_read| {
                    let before = reader.cursor.position;
                    self.ring
                        .align(&mut writer.cursor, &mut reader.cursor, framing);
                    // Up to seven bytes that nobody has written or read.
                    not_read.cleared(reader.cursor.position.wrapping_sub(before));
                });
                self.start_overwriting_if(overwrites, reader, writer);
                self.flags.set(Flags::RECORDS, framing == Framing::Record);
                dynamic_pr_debug!(
                    "{}: framing {} -> {}\n",
                    self.name,
                    old.name(),
                    framing.name()
                );
                Ok(())
            },
        )
    }

    /// Sets whether the producer overwrites the oldest bytes.
    ///
    /// # Errors
    ///
    /// [`EBUSY`] if anything is mapped. Setting the current value always succeeds.
    pub(crate) fn set_overwrite(&self, on: bool) -> Result {
        self.change_setting(
            || on == self.overwrites(),
            |reader, writer| {
                self.start_overwriting_if(on, reader, writer);
                self.stop_overwriting_if(!on, reader, writer);
                self.flags.set(Flags::OVERWRITE, on);
                dynamic_pr_debug!(
                    "{}: overwrite {} -> {}\n",
                    self.name,
                    u8::from(!on),
                    u8::from(on)
                );
                Ok(())
            },
        )
    }

    /// If the producer overwrites: from now on, it moves `oldest`. The caller holds both locks, and
    /// no end is claimed.
    pub(super) fn start_overwriting_if(
        &self,
        overwrites: bool,
        reader: &mut End,
        writer: &mut End,
    ) {
        if overwrites {
            self.ring
                .start_overwriting(&mut writer.cursor, &mut reader.cursor);
        }
    }

    /// If the producer overwrites: from now on, `tail` is not before `oldest`. What is gone is
    /// counted. The caller holds both locks, and no end is claimed.
    pub(super) fn stop_overwriting_if(&self, overwrites: bool, reader: &mut End, writer: &mut End) {
        if overwrites {
            self.drop_bytes(|not_read| {
                let lost = self
                    .ring
                    .stop_overwriting(&mut writer.cursor, &mut reader.cursor);
                not_read.overwritten(lost);
            });
        }
    }
}
