// SPDX-License-Identifier: GPL-2.0 OR MIT
// Copyright (C) 2026 Seed 1f3ad1c2 maintainers.

//! What all ends have in common.

/// Implements it for a type that consists of something with an `end`.
macro_rules! end_traits {
    ($type:ident) => {
        impl std::os::fd::AsRawFd for $type {
            fn as_raw_fd(&self) -> std::os::fd::RawFd {
                std::os::fd::AsFd::as_fd(self).as_raw_fd()
            }
        }

        /// Gives the end back, and returns the device as an ordinary file, for `read` and `write`.
        ///
        /// This is not [`IntoRawFd`](std::os::fd::IntoRawFd), since the file does not own the end:
        /// the mappings do.
        impl From<$type> for std::os::fd::OwnedFd {
            fn from(end: $type) -> Self {
                end.0.end.into_file()
            }
        }

        impl std::fmt::Debug for $type {
            fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                self.0.end.debug(f, stringify!($type))
            }
        }
    };
}

/// Implements [`Debug`](std::fmt::Debug) for bytes that others can change: only their number is
/// sure.
macro_rules! debug_len {
    ($type:ident) => {
        impl std::fmt::Debug for $type<'_> {
            fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                f.debug_struct(stringify!($type))
                    .field("len", &self.len())
                    .finish_non_exhaustive()
            }
        }
    };
}

pub(crate) use {debug_len, end_traits};
