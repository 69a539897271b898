// SPDX-License-Identifier: GPL-2.0
// Copyright (C) 2026 Seed 1f3ad1c2 maintainers.

//! The numbers of a registration, and what is behind each of them.
//!
//! ```text
//!            take()            publish()            retract()
//!   free ------------> taken ------------> live --------------.
//!    ^                   |                                    |
//!    |                   | the last `Number` is dropped       v
//!    '-------------------+--------------------------------- taken
//! ```
//!
//! Opening a device finds only what is live. A [`Number`] belongs to an [`Entry`], which the device
//! and all of its open files share. So a number stays taken until its last file is closed, also if
//! the device has been removed: otherwise, opening that file again through `/proc/PID/fd` would
//! find another device.
//!
//! A node made with mknod(1) is not an open file, and does not keep the number. Numbers are
//! therefore allocated cyclically, as `idr_alloc_cyclic()` does: a free number is taken again only
//! after all others have had their turn.
//!
//! A live slot refers to its entry, whose number refers to the slots. [`Entry::retract`] breaks
//! this cycle. Without that call, neither is freed.
//!
//! # Locks
//!
//! `slots` is a leaf: with it held, nothing is dropped or called that could take another lock.

use super::{
    FileOperations,
    Waiters, //
};
use core::mem;
use kernel::{
    bindings,
    class::DeviceNumber,
    error::to_result,
    new_mutex,
    prelude::*,
    sync::{
        Arc,
        Mutex, //
    }, //
};

/// What the open files of a device share with it.
pub(super) struct Entry<T: FileOperations> {
    pub(super) data: Arc<T::Device>,
    pub(super) waiters: Option<Arc<Waiters>>,
    pub(super) number: Number<T>,
}

/// A range of device numbers, with a major number of its own.
struct Region {
    first: bindings::dev_t,
    count: u32,
}

impl Region {
    fn new(name: &'static CStr, count: u32) -> Result<Self> {
        let mut first = 0;
        // SAFETY: `first` is valid for writes, and `name` is a C string.
        to_result(unsafe {
            bindings::alloc_chrdev_region(&mut first, 0, count, name.as_char_ptr())
        })?;
        Ok(Self { first, count })
    }
}

impl Drop for Region {
    fn drop(&mut self) {
        // SAFETY: `new()` allocated this range.
        unsafe { bindings::unregister_chrdev_region(self.first, self.count) };
    }
}

/// What is behind a number. `E` is a reference to an [`Entry`].
enum Slot<E> {
    Free,
    Taken,
    Live(E),
}

/// The slots of all numbers.
struct Slots<E> {
    list: KVVec<Slot<E>>,
    /// Where the search for a free number begins.
    next: usize,
}

impl<E: Clone> Slots<E> {
    /// Creates the slots of `count` numbers, all of them free.
    fn new(count: u32) -> Result<Self> {
        let count = count as usize;
        let mut list = KVVec::with_capacity(count, GFP_KERNEL)?;
        for _ in 0..count {
            list.push(Slot::Free, GFP_KERNEL)?;
        }
        Ok(Self { list, next: 0 })
    }

    /// Takes the next free number, counted from the one that was taken last.
    fn take(&mut self) -> Result<u32> {
        let (before, after) = self.list.split_at(self.next);
        let is_free = |slot: &Slot<E>| matches!(slot, Slot::Free);
        let index = match after.iter().position(is_free) {
            Some(index) => self.next + index,
            None => before.iter().position(is_free).ok_or(ENOSPC)?,
        };
        self.list[index] = Slot::Taken;
        self.next = index + 1;
        Ok(u32::try_from(index)?)
    }

    /// Replaces what is behind a number that is taken or live.
    fn set(&mut self, number: u32, slot: Slot<E>) -> Slot<E> {
        match self.list.get_mut(number as usize) {
            Some(old) => mem::replace(old, slot),
            None => slot,
        }
    }

    /// Returns what is behind a number, if it is live.
    fn live(&self, number: u32) -> Option<E> {
        match self.list.get(number as usize) {
            Some(Slot::Live(entry)) => Some(entry.clone()),
            _ => None,
        }
    }
}

/// The numbers of a registration.
#[pin_data]
pub(super) struct Numbers<T: FileOperations> {
    #[pin]
    slots: Mutex<Slots<Arc<Entry<T>>>>,
    region: Region,
}

impl<T: FileOperations> Numbers<T> {
    /// Allocates `count` numbers with a new major number.
    pub(super) fn new(name: &'static CStr, count: u32) -> Result<Arc<Self>> {
        if count == 0 {
            return Err(EINVAL);
        }
        let slots = Slots::new(count)?;
        let region = Region::new(name, count)?;
        Arc::pin_init(
            pin_init!(Self {
                slots <- new_mutex!(slots, "chrdev::Numbers::slots"),
                region,
            }),
            GFP_KERNEL,
        )
    }

    /// Takes a free number.
    pub(super) fn take(self: &Arc<Self>) -> Result<Number<T>> {
        let index = self.slots.lock().take()?;
        Ok(Number {
            numbers: self.clone(),
            index,
        })
    }

    /// Returns what is behind a number, if it is in the range and can be opened.
    pub(super) fn live(&self, number: bindings::dev_t) -> Option<Arc<Entry<T>>> {
        self.slots
            .lock()
            .live(number.wrapping_sub(self.region.first))
    }

    /// Returns the first number of the range, and how many there are.
    pub(super) fn range(&self) -> (bindings::dev_t, u32) {
        (self.region.first, self.region.count)
    }
}

/// A number that is taken. Dropping it makes it free.
pub(super) struct Number<T: FileOperations> {
    numbers: Arc<Numbers<T>>,
    index: u32,
}

impl<T: FileOperations> Number<T> {
    /// Returns which one of the range it is, counted from zero.
    pub(super) fn index(&self) -> u32 {
        self.index
    }

    /// Returns the number.
    pub(super) fn get(&self) -> DeviceNumber {
        DeviceNumber(self.numbers.region.first + self.index)
    }

    fn set(&self, slot: Slot<Arc<Entry<T>>>) {
        // What was there is dropped here, after the lock: it may own the last reference to a
        // number.
        let _old = {
            let mut slots = self.numbers.slots.lock();
            slots.set(self.index, slot)
        };
    }
}

impl<T: FileOperations> Entry<T> {
    /// Makes opening the number find this entry.
    pub(super) fn publish(self: &Arc<Self>) {
        self.number.set(Slot::Live(self.clone()));
    }

    /// Makes opening the number fail.
    pub(super) fn retract(&self) {
        self.number.set(Slot::Taken);
    }
}

impl<T: FileOperations> Drop for Number<T> {
    fn drop(&mut self) {
        self.set(Slot::Free);
    }
}

#[cfg(CONFIG_RUST_CHRDEV_KUNIT_TEST)]
#[kunit_tests(rust_kernel_chrdev)]
mod tests {
    use super::*;

    #[test]
    fn free_numbers_are_taken_in_turn() -> Result {
        let mut slots = Slots::<u32>::new(6)?;
        for number in 0..4 {
            assert_eq!(slots.take(), Ok(number));
        }
        // What was freed last is not taken next.
        slots.set(3, Slot::Free);
        slots.set(1, Slot::Free);
        for number in [4, 5, 1, 3] {
            assert_eq!(slots.take(), Ok(number));
        }
        assert_eq!(slots.take(), Err(ENOSPC));
        // If one number is free, it is found, wherever it is.
        for number in [0, 5, 2, 3] {
            slots.set(number, Slot::Free);
            assert_eq!(slots.take(), Ok(number));
            assert_eq!(slots.take(), Err(ENOSPC));
        }
        Ok(())
    }

    #[test]
    fn only_live_numbers_are_found() -> Result {
        let mut slots = Slots::new(2)?;
        assert_eq!(slots.live(0), None);
        assert_eq!(slots.take(), Ok(0));
        assert_eq!(slots.live(0), None);
        slots.set(0, Slot::Live(7));
        assert_eq!(slots.live(0), Some(7));
        assert_eq!(slots.live(1), None);
        assert_eq!(slots.live(u32::MAX), None);
        slots.set(0, Slot::Taken);
        assert_eq!(slots.live(0), None);
        assert_eq!(slots.take(), Ok(1));
        slots.set(0, Slot::Free);
        assert_eq!(slots.live(0), None);
        assert_eq!(slots.take(), Ok(0));
        Ok(())
    }
}
