// SPDX-License-Identifier: GPL-2.0

//! Overwriting the oldest bytes.

mod hostile;
mod interleavings;
mod memory;
mod progress;
mod random;
mod tests;
