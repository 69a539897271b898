// SPDX-License-Identifier: GPL-2.0
// Copyright (C) 2026 Seed 1f3ad1c2 maintainers.

//! Character devices.
//!
//! A driver implements [`FileOperations`] and creates a [`Registration`]: a range of device numbers
//! and, for each number, a device with a node and attributes.
//!
//! Creating a registration cannot fail after user space has been able to open a device. First all
//! devices are created, then a single `cdev` is added for all numbers, and then the devices are
//! announced. In a module's initialisation, this should be the last step that can fail: if the
//! initialisation of a module fails, the kernel frees the module even if a device of it is open.
//!
//! # Lifetimes
//!
//! - An open file holds a reference to the module that implements its operations
//!   ([`FileOperations::OwnerModule`]), and owns its private data ([`FileOperations::File`]).
//! - A mapping holds a reference to the file that was mapped.
//! - The registration owns the devices. Files may share the data of a device. Dropping the
//!   registration waits until all of its files are closed. When a module exits, they already are.
//!
//! # Where things are
//!
//! - `chrdev/operations.rs`: [`FileOperations`], what a driver implements.
//! - `chrdev/registration.rs`: [`Registration`].
//! - `chrdev/vtable.rs`: the `struct file_operations` that C calls.
//! - `chrdev/waiters.rs`: [`Waiters`], the queues and `SIGIO` lists of a device.
//! - `chrdev/events.rs`: [`Events`], what `poll` reports.
//!
//! Not supported: fixed major numbers, `llseek`, locks and leases.
//!
//! C headers: [`include/linux/cdev.h`](srctree/include/linux/cdev.h),
//! [`include/linux/fs.h`](srctree/include/linux/fs.h)
//!
//! # Examples
//!
//! ```
//! use kernel::{
//!     chrdev::{
//!         FileOperations,
//!         Registration, //
//!     },
//!     class::{
//!         Class,
//!         Device, //
//!     },
//!     fs::{
//!         File,
//!         Kiocb, //
//!     },
//!     iov::IovIterDest,
//!     sync::{
//!         Arc,
//!         ArcBorrow, //
//!     },
//!     sysfs::{
//!         sysfs_groups,
//!         Attribute, //
//!     },
//! };
//!
//! /// A device that repeats one word.
//! struct Parrot {
//!     word: &'static [u8],
//! }
//!
//! struct Length;
//!
//! #[vtable]
//! impl Attribute<Parrot> for Length {
//!     const NAME: &'static CStr = c"length";
//!     type Value = usize;
//!
//!     fn show(parrot: &Parrot) -> Result<usize> {
//!         Ok(parrot.word.len())
//!     }
//! }
//!
//! sysfs_groups! {
//!     static FILES: Device<Parrot> = [{ Length }];
//! }
//!
//! struct ParrotFile;
//!
//! #[vtable]
//! impl FileOperations for ParrotFile {
//!     type Device = Parrot;
//!     type File = Arc<Parrot>;
//!
//!     fn open(parrot: &Arc<Parrot>, _file: &File) -> Result<Arc<Parrot>> {
//!         Ok(parrot.clone())
//!     }
//!
//!     fn read_iter(kiocb: Kiocb<'_, Arc<Parrot>>, iov: &mut IovIterDest<'_>) -> Result<usize> {
//!         Ok(iov.copy_to_iter(kiocb.file().word))
//!     }
//! }
//!
//! let class = Class::new(c"parrot")?;
//! let registration = Registration::<ParrotFile>::new(c"parrot", 2, |index, number| {
//!     let word: &[u8] = if index == 0 { b"Lora" } else { b"Jako" };
//!     let parrot = Arc::new(Parrot { word }, GFP_KERNEL)?;
//!     Device::new(&class, Some(number), fmt!("parrot{index}"), parrot, &FILES)
//! })?;
//! assert_eq!(registration.devices().len(), 2);
//! # Ok::<(), Error>(())
//! ```

mod events;
mod operations;
mod registration;
mod vtable;
mod waiters;

pub use events::Events;
pub use operations::FileOperations;
pub use registration::Registration;
pub use waiters::Waiters;
