// SPDX-License-Identifier: GPL-2.0
// Copyright (C) 2026 Seed 1f3ad1c2 maintainers.

//! Which names are in use, and by what.
//!
//! ```text
//!             reserve()              complete()              begin_removal()
//!  not there ----------> being added -----------> there --------------------> being removed
//!    ^  ^                     |                                                     |
//!    |  |       release()     |                                       release()     |
//!    |  '---------------------'                                                     |
//!    '------------------------------------------------------------------------------'
//! ```
//!
//! Adding a device or removing it takes a while, and no lock is held for so long. Meanwhile its
//! name is in use: a device of the same name cannot be added ([`EEXIST`]). It cannot be removed
//! either ([`ENOENT`]): it is not there yet, or no longer.
//!
//! # Context
//!
//! Any: plain data without locks. The caller drops what these functions return after it has given
//! up the lock that protects the names.

use super::name::Name;
use kernel::{
    alloc::Flags,
    prelude::*,
    rbtree::{
        RBTree,
        RBTreeNode, //
    }, //
};

/// What a name is used by. `M` is a device that is there.
pub(crate) enum Use<M> {
    /// A device that is being added.
    Adding,
    /// A device that is there.
    There(M),
    /// A device that is being removed.
    Removing,
}

/// A name for which memory is allocated, but which is not in use yet.
pub(crate) struct Vacancy<M>(RBTreeNode<Name, Use<M>>);

impl<M> Vacancy<M> {
    /// Allocates what [`Names::reserve`] needs. May sleep if the flags say so.
    ///
    /// # Errors
    ///
    /// [`ENOMEM`].
    pub(crate) fn new(name: Name, flags: Flags) -> Result<Self> {
        Ok(Self(RBTreeNode::new(name, Use::Adding, flags)?))
    }
}

/// The names that are in use.
pub(crate) struct Names<M> {
    tree: RBTree<Name, Use<M>>,
}

impl<M> Names<M> {
    /// No name is in use.
    pub(crate) fn new() -> Self {
        Self {
            tree: RBTree::new(),
        }
    }

    /// Begins to add a device.
    ///
    /// # Errors
    ///
    /// [`EEXIST`] and the vacancy if the name is in use.
    pub(crate) fn reserve(
        &mut self,
        name: &Name,
        vacancy: Vacancy<M>,
    ) -> Result<(), (Error, Vacancy<M>)> {
        if self.tree.get(name).is_some() {
            return Err((EEXIST, vacancy));
        }
        self.tree.insert(vacancy.0);
        Ok(())
    }

    /// A device that was being added is there.
    ///
    /// # Errors
    ///
    /// The member, if the name was not reserved.
    pub(crate) fn complete(&mut self, name: &Name, member: M) -> Result<(), M> {
        match self.tree.get_mut(name) {
            Some(place @ Use::Adding) => {
                *place = Use::There(member);
                Ok(())
            }
            _ => Err(member),
        }
    }

    /// The device of that name, if it is there.
    pub(crate) fn get(&self, name: &Name) -> Option<&M> {
        match self.tree.get(name) {
            Some(Use::There(member)) => Some(member),
            _ => None,
        }
    }

    /// Begins to remove a device, and returns it.
    ///
    /// # Errors
    ///
    /// [`ENOENT`] if there is no device of that name.
    pub(crate) fn begin_removal(&mut self, name: &Name) -> Result<M> {
        let place = self.tree.get_mut(name).ok_or(ENOENT)?;
        match core::mem::replace(place, Use::Removing) {
            Use::There(member) => Ok(member),
            other => {
                *place = other;
                Err(ENOENT)
            }
        }
    }

    /// A device has been removed, or could not be added: its name is free.
    pub(crate) fn release(&mut self, name: &Name) -> Option<Vacancy<M>> {
        self.tree.remove_node(name).map(Vacancy)
    }
}
