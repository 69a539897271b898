// SPDX-License-Identifier: GPL-2.0 OR MIT
// Copyright (C) 2026 Seed 1f3ad1c2 maintainers.

//! Records: the ends of a FIFO whose attribute `framing` is `record`.

pub(crate) mod batch;
pub(crate) mod consumer;
pub(crate) mod producer;
pub(crate) mod record;
pub(crate) mod reservation;
