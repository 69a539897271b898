// SPDX-License-Identifier: GPL-2.0
// Copyright (C) 2026 Seed 1f3ad1c2 maintainers.

//! Tests of a stream over the ring, compared with a plain queue.

use super::{
    super::ring::{
        pieces,
        Broken,
        Cursor, //
    },
    ends::Ends, //
};
use kernel::prelude::*;

/// The seed of the random test. It is printed, so that a failure can be reproduced.
pub(super) const SEED: u64 = 0x7666_6966_6f21;

/// A small random number generator (xorshift64) with the same results on all machines.
pub(super) struct Random(pub(super) u64);

impl Random {
    fn next(&mut self) -> u64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        self.0
    }

    /// A number from 0 to `max`.
    pub(super) fn up_to(&mut self, max: u64) -> u64 {
        self.next() % (max + 1)
    }
}

/// A stream over a ring and a buffer, as the driver uses them, and a queue to compare with.
struct Model {
    ends: Ends,
    buffer: KVec<u8>,
    // The bytes that should be queued, oldest first.
    queue: KVec<u8>,
    next: u8,
}

impl Model {
    fn new(capacity: usize, start: u64) -> Result<Self> {
        Ok(Self {
            ends: Ends::new(capacity as u64, start),
            buffer: KVec::from_elem(0xff, capacity, GFP_KERNEL)?,
            queue: KVec::new(),
            next: 0,
        })
    }

    fn produce(&mut self, len: usize) -> Result {
        let Cursor {
            position, capacity, ..
        } = self.ends.producer;
        for piece in pieces(position, len as u64, capacity) {
            for i in piece.offset..piece.offset + piece.len {
                *self.buffer.get_mut(i).ok_or(ERANGE)? = self.next;
                self.queue.push(self.next, GFP_KERNEL)?;
                self.next = self.next.wrapping_add(1);
            }
        }
        self.ends.produce(len as u64);
        Ok(())
    }

    /// Consumes `len` bytes. Returns whether they are the expected ones.
    fn consume(&mut self, len: usize) -> Result<bool> {
        let Cursor {
            position, capacity, ..
        } = self.ends.consumer;
        let mut same = true;
        for piece in pieces(position, len as u64, capacity) {
            for i in piece.offset..piece.offset + piece.len {
                let byte = *self.buffer.get(i).ok_or(ERANGE)?;
                same &= self.queue.remove(0).is_ok_and(|expected| expected == byte);
            }
        }
        self.ends.consume(len as u64);
        Ok(same)
    }

    /// Whether ring and queue agree on the number of bytes.
    fn agrees(&mut self) -> Result<bool, Broken> {
        let (used, free) = (self.ends.used()?, self.ends.free()?);
        let (len, capacity) = (self.queue.len() as u64, self.buffer.len() as u64);
        let size = self.ends.ring.size(capacity)?;
        Ok(used == len && free == capacity - len && size == len)
    }
}

#[kunit_tests(rust_vfifo_stream)]
mod stream_tests {
    use super::*;

    #[test]
    fn wraps_at_every_offset() -> Result {
        const CAPACITY: usize = 16;
        for start in 0..CAPACITY as u64 {
            for len in 0..=CAPACITY {
                let mut model = Model::new(CAPACITY, start)?;
                model.produce(len)?;
                assert_eq!(model.agrees(), Ok(true));
                assert!(model.consume(len)?);
                assert_eq!(model.agrees(), Ok(true));
            }
        }
        Ok(())
    }

    #[test]
    fn positions_pass_two_to_the_64() -> Result {
        const CAPACITY: usize = 16;
        for before in 0..=2 * CAPACITY as u64 {
            let mut model = Model::new(CAPACITY, 0u64.wrapping_sub(before))?;
            for _ in 0..4 {
                model.produce(11)?;
                assert_eq!(model.agrees(), Ok(true));
                assert!(model.consume(11)?);
                assert_eq!(model.agrees(), Ok(true));
            }
        }
        Ok(())
    }

    #[test]
    fn agrees_with_a_queue() -> Result {
        pr_info!("seed {:#x}\n", SEED);
        let mut random = Random(SEED);
        for shift in [0, 1, 3, 6] {
            let mut model = Model::new(1 << shift, random.next())?;
            for _ in 0..2000 {
                if random.up_to(1) == 0 {
                    let free = model.ends.free().map_err(|_| EIO)?;
                    model.produce(random.up_to(free) as usize)?;
                } else {
                    let used = model.ends.used().map_err(|_| EIO)?;
                    assert!(model.consume(random.up_to(used) as usize)?);
                }
                assert_eq!(model.agrees(), Ok(true));
            }
        }
        Ok(())
    }
}
