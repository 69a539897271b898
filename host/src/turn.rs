// SPDX-License-Identifier: GPL-2.0
// Copyright (C) 2026 Seed 1f3ad1c2 maintainers.

//! The turn of the driver's writers under loom, when it is reserved for a writer that is about to
//! sleep: a model of `turn.rs`, `Fifo::wait_for_room()` and `Fifo::reserve_turn()`.
//!
//! The sleeper needs all of the buffer. It did not get the turn, and is on the queue. Another
//! writer does not have to sleep: it writes a byte, reserves the turn for the sleeper, and writes
//! on up to the limit. A reader takes what there is, and tells of the room if `waiting` is set.

use crate::{
    explore::{explore, needed, Bug},
    interleavings::full_fence,
};
use loom::{
    sync::{
        atomic::{AtomicBool, AtomicU64, Ordering::*},
        Condvar, Mutex,
    },
    thread,
};
// An `Arc` of loom cannot be dropped while loom reports a deadlock.
use std::sync::Arc;

// What is left out.
const NOTHING: usize = 0;
/// A writer that is about to sleep obeys the limit of a turn that is reserved for it.
const OWN_TURN: usize = 1;

const CAPACITY: u64 = 2;
const FREE: u64 = 0;
const SLEEPER: u64 = 1;
const RESERVED: u64 = 2;

struct Writers {
    head: AtomicU64,
    tail: AtomicU64,
    waiting: AtomicBool,
    holder: AtomicU64,
    until: AtomicU64,
    is_on_queue: AtomicBool,
    is_woken: Mutex<bool>,
    woken: Condvar,
}

impl Writers {
    fn free(&self) -> u64 {
        // In this order: `head` is not behind `tail`.
        let tail = self.tail.load(Acquire);
        CAPACITY.saturating_sub(self.head.load(Acquire) - tail)
    }

    /// As `Fifo::room()`.
    fn room(&self) -> u64 {
        match self.holder.load(Acquire) {
            FREE => self.free(),
            _ => {
                let head = self.head.load(Acquire);
                self.free()
                    .min(self.until.load(Relaxed).saturating_sub(head))
            }
        }
    }

    /// As `Fifo::room_of_first()`.
    fn room_of_first(&self) -> u64 {
        match self.holder.load(Acquire) {
            RESERVED => self.free(),
            _ => self.room(),
        }
    }

    /// As `Fifo::wait_for_room()`, until everything is free.
    fn sleep<const L: usize>(&self) {
        let mut has_turn = false;
        loop {
            self.is_on_queue.store(true, Relaxed);
            full_fence();
            self.waiting.store(true, Relaxed);
            full_fence();
            let room = match has_turn {
                true => self.free(),
                false if L == OWN_TURN => self.room(),
                false => self.room_of_first(),
            };
            if room < CAPACITY {
                let mut is_woken = self.is_woken.lock().unwrap();
                while !*is_woken {
                    is_woken = self.woken.wait(is_woken).unwrap();
                }
                *is_woken = false;
            }
            self.is_on_queue.store(false, Relaxed);
            if self.holder.load(Acquire) == FREE {
                let head = self.head.load(Acquire);
                self.until.store(head + CAPACITY, Relaxed);
            }
            self.holder.store(SLEEPER, Release);
            has_turn = true;
            if self.free() == CAPACITY {
                return;
            }
        }
    }

    /// As `Fifo::write()` of one byte, without sleeping.
    fn write(&self) {
        let head = self.head.load(Relaxed);
        if self.room() == 0 {
            return;
        }
        self.head.store(head + 1, Release);
        full_fence();
        if self.holder.load(Acquire) == FREE && self.is_on_queue.load(Relaxed) {
            self.until.store(head + 1 + CAPACITY, Relaxed);
            // With the lock held in the driver, as when the sleeper takes it.
            let _ = self
                .holder
                .compare_exchange(FREE, RESERVED, AcqRel, Acquire);
        }
    }

    /// As `Fifo::read()` of all bytes.
    fn read(&self) {
        let head = self.head.load(Acquire);
        if self.tail.load(Relaxed) == head {
            return;
        }
        self.tail.store(head, Release);
        full_fence();
        if !self.waiting.load(Relaxed) {
            return;
        }
        self.waiting.store(false, Relaxed);
        full_fence();
        if !self.is_on_queue.load(Relaxed) {
            return;
        }
        self.waiting.store(true, Relaxed);
        full_fence();
        let room = match self.holder.load(Acquire) {
            SLEEPER => self.free(),
            _ => self.room_of_first(),
        };
        if room == CAPACITY {
            *self.is_woken.lock().unwrap() = true;
            self.woken.notify_one();
        }
    }
}

fn reserved<const L: usize>() {
    let writers = Arc::new(Writers {
        head: AtomicU64::new(0),
        tail: AtomicU64::new(0),
        waiting: AtomicBool::new(false),
        holder: AtomicU64::new(FREE),
        until: AtomicU64::new(0),
        is_on_queue: AtomicBool::new(false),
        is_woken: Mutex::new(false),
        woken: Condvar::new(),
    });
    let sleeper = {
        let writers = writers.clone();
        thread::spawn(move || writers.sleep::<L>())
    };
    let writer = {
        let writers = writers.clone();
        thread::spawn(move || {
            writers.write();
            writers.write();
        })
    };
    writers.read();
    writer.join().unwrap();
    writers.read();
    sleeper.join().unwrap();
}

#[test]
fn the_turn_is_reserved_for_a_sleeper() {
    assert_eq!(
        explore("reserved turn", Some(3), reserved::<NOTHING>),
        Ok(())
    );
}

needed! {
    room_of_its_own_turn_is_needed: OWN_TURN, reserved, Some(3) => LostWakeUp;
}
