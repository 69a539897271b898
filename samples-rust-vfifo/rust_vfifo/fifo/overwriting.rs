// SPDX-License-Identifier: GPL-2.0
// Copyright (C) 2026 Seed 1f3ad1c2 maintainers.

//! Reads and writes if the producer overwrites the oldest bytes, of either framing. For the
//! protocol see `ring/overwrite.rs` and `ring/overtaken.rs`.
//!
//! A writer never waits. A reader copies bytes that may be overwritten meanwhile, looks whether
//! they were, and if so discards the copy and starts again:
//!
//! ```text
//!   lock `reader`
//!        |
//!        v                       nothing queued
//!   look for a portion --------------------------> wait, as other readers do
//!        |         ^
//!        v         |  overtaken: from the third time on, lock `writer` as
//!   copy it -------+  well, unless its end is claimed: then start further on
//!        |
//!        | still there
//!        v
//!   take it; what was skipped counts as overwritten
//! ```
//!
//! If everything is gone, a writer may be copying what replaces it. So the reader locks `writer`
//! and looks again before it waits. A write that has to be published at once can replace the whole
//! buffer; a longer one is published in parts that leave half of it.
//!
//! # Where to look
//!
//! | file | question |
//! |---|---|
//! | `overwriting/read.rs` | What does a reader do that is overtaken? |
//! | `overwriting/write.rs` | Which bytes make way? |
//!
//! # Invariants
//!
//! - What a read returns was queued as it is: nothing is torn, and a read of several portions ends
//!   where bytes are missing.
//! - A writer moves `oldest` only after its memory was faulted in. If the memory is gone again, or
//!   if the writer does not get through with the records to drop, old ones are dropped for a write
//!   that fails.
//!
//! # Context
//!
//! Process context, no lock held, and the functions may sleep. Those that are passed an [`End`] are
//! called with the lock of that end held.

use super::{
    state::Flags,
    Fifo, //
};

#[path = "overwriting/read.rs"]
mod read;
#[path = "overwriting/write.rs"]
mod write;

impl Fifo {
    /// The kind that these functions are for, with the framing that the FIFO has.
    fn overwriting_kind(&self) -> u32 {
        self.kind() | Flags::OVERWRITE
    }
}
