// SPDX-License-Identifier: GPL-2.0
// Copyright (C) 2026 Seed 1f3ad1c2 maintainers.

//! KUnit tests of the parts that need no device, one file for each topic.
//!
//! They are built with `CONFIG_SAMPLE_RUST_VFIFO_KUNIT_TEST`, and run when the module is loaded.

#[path = "tests/ends.rs"]
mod ends;
#[path = "tests/hangup.rs"]
mod hangup;
#[path = "tests/names.rs"]
mod names;
#[path = "tests/parsers.rs"]
mod parsers;
#[path = "tests/ring.rs"]
mod ring;
#[path = "tests/settings.rs"]
mod settings;
#[path = "tests/stream.rs"]
mod stream;
#[path = "tests/turn.rs"]
mod turn;
#[path = "tests/uapi.rs"]
mod uapi;
#[path = "tests/waiting.rs"]
mod waiting;
