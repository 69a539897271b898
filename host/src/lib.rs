// SPDX-License-Identifier: GPL-2.0

//! The ring of the driver, tested without a kernel.

#[path = "../../samples-rust-vfifo/rust_vfifo/ring.rs"]
#[allow(dead_code)]
mod ring;

#[cfg(test)]
mod explore;
#[cfg(test)]
mod interleavings;
#[cfg(test)]
mod overwrite;
#[cfg(test)]
mod records;
#[cfg(test)]
mod tests;
#[cfg(test)]
mod turn;
