// SPDX-License-Identifier: GPL-2.0
// Copyright (C) 2026 Seed 1f3ad1c2 maintainers.

//! Character devices.
//!
//! A driver implements [`FileOperations`] and creates a [`Registration`]: a range of device
//! numbers. Then it adds devices, each a [`Member`] with a number, a node and attributes. Devices
//! can be added and removed at any time.
//!
//! # Order
//!
//! ```text
//!  Registration::new()       numbers
//!  Registration::add()       device, node and attributes; opening fails with ENXIO
//!  Registration::start()     the last step that can fail
//!  Member::publish()         can be opened; user space is told
//!      ...                   add(), publish()
//!  drop of the Member        opening fails, name, node and attributes go
//!  last close                the number is free
//!  drop of the Registration
//! ```
//!
//! In a module's initialisation, [`Registration::start`] should be the last step that can fail: if
//! the initialisation of a module fails, the kernel frees the module even if a device of it is
//! open. Before that step, no device can be opened, and none that exists is announced.
//!
//! # Lifetimes
//!
//! - An open file holds a reference to the module that implements its operations
//!   ([`FileOperations::OwnerModule`]). It owns an [`Opened`]: the driver's data for the file, and
//!   references to the data and the [`Waiters`] of the device. So it does not need the device.
//! - A mapping holds a reference to the file that was mapped.
//! - A [`Member`] owns its device. It can be dropped while files of the device are open.
//! - Dropping the registration waits until all files of its devices are closed. When a module
//!   exits, they already are.
//!
//! # Where things are
//!
//! - `chrdev/operations.rs`: [`FileOperations`], what a driver implements.
//! - `chrdev/registration.rs`: [`Registration`] and [`Member`].
//! - `chrdev/numbers.rs`: the numbers, and what is behind each.
//! - `chrdev/opened.rs`: [`Opened`], what is kept for an open file.
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
//!         Member,
//!         Opened,
//!         Registration, //
//!     },
//!     class::{
//!         Class,
//!         Device,
//!         Node, //
//!     },
//!     fs::{
//!         File,
//!         Kiocb, //
//!     },
//!     iov::IovIterDest,
//!     sync::Arc,
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
//!     fn read_iter(
//!         kiocb: Kiocb<'_, Arc<Opened<Self>>>,
//!         iov: &mut IovIterDest<'_>,
//!     ) -> Result<usize> {
//!         Ok(iov.copy_to_iter(kiocb.file().word))
//!     }
//! }
//!
//! let class = Class::new(c"parrot")?;
//! let registration = Registration::<ParrotFile>::new(c"parrot", 2)?;
//! let add = |word: &'static [u8]| {
//!     registration.add(|index, number| {
//!         let parrot = Arc::new(Parrot { word }, GFP_KERNEL)?;
//!         let node = Node::new(number).in_directory(c"parrots").with_mode(0o444);
//!         Device::new(&class, Some(node), fmt!("parrot{index}"), parrot, &FILES)
//!     })
//! };
//! let lora = add(b"Lora")?;
//! registration.as_ref().start()?;
//! lora.publish();
//!
//! // Another one, while the first is in use.
//! let jako = add(b"Jako")?;
//! jako.publish();
//! assert_eq!(jako.device().data().word, b"Jako");
//!
//! // There are two numbers. The first is free again, as nobody has the device open.
//! assert_eq!(add(b"Coco").map(|_| ()), Err(ENOSPC));
//! drop(lora);
//! let coco: Member<ParrotFile> = add(b"Coco")?;
//! coco.publish();
//! # Ok::<(), Error>(())
//! ```

mod events;
mod numbers;
mod opened;
mod operations;
mod registration;
mod vtable;
mod waiters;

pub use events::Events;
pub use opened::Opened;
pub use operations::FileOperations;
pub use registration::{
    Member,
    Registration, //
};
pub use waiters::Waiters;
