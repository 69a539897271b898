// SPDX-License-Identifier: GPL-2.0
// Copyright (C) 2026 Seed 1f3ad1c2 maintainers.

//! What is kept for an open file.

use super::{
    numbers::Entry,
    FileOperations,
    Waiters, //
};
use core::ops::Deref;
use kernel::sync::Arc;

/// An open file of a character device: the driver's data for it, and what it needs of the device.
///
/// Since it has its own references, it stays usable when the device is removed. It dereferences to
/// the driver's data.
pub struct Opened<T: FileOperations> {
    // Fields are dropped in this order.
    file: T::File,
    entry: Arc<Entry<T>>,
}

impl<T: FileOperations> Opened<T> {
    pub(super) fn new(file: T::File, entry: Arc<Entry<T>>) -> Self {
        Self { file, entry }
    }

    /// Returns the data of the device that was opened.
    ///
    /// # Context
    ///
    /// Any context.
    pub fn device(&self) -> &Arc<T::Device> {
        &self.entry.data
    }

    /// Returns the queues and lists that the file is on, if it has any. They are always the same.
    pub(super) fn waiters(&self) -> Option<&Waiters> {
        self.entry.waiters.as_deref()
    }
}

impl<T: FileOperations> Deref for Opened<T> {
    type Target = T::File;

    #[inline]
    fn deref(&self) -> &T::File {
        &self.file
    }
}
