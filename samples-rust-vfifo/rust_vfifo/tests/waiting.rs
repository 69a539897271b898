// SPDX-License-Identifier: GPL-2.0
// Copyright (C) 2026 Seed 1f3ad1c2 maintainers.

//! Tests of waiting: the announcement, and the wake-up.

use super::{
    super::ring::{
        End as _,
        Queues, //
    },
    ends::Ends, //
};
use kernel::{
    prelude::*,
    sync::atomic::{
        Atomic,
        Relaxed, //
    }, //
};

/// Queues with or without sleepers and pollers, for which there may or may not be something.
struct TestQueues {
    sleepers: bool,
    signals: bool,
    pollers: bool,
    // Whether the pollers are exclusive, and whether that is known.
    exclusive: bool,
    known: Atomic<bool>,
    ready: bool,
    sleepers_woken: Atomic<bool>,
    pollers_woken: Atomic<bool>,
    all_woken: Atomic<bool>,
}

impl Queues for TestQueues {
    fn has_sleepers(&self) -> bool {
        self.sleepers
    }

    fn wants_signals(&self) -> bool {
        self.signals
    }

    fn has_pollers(&self) -> bool {
        self.pollers
    }

    fn is_ready(&self) -> bool {
        self.ready
    }

    fn wake_sleepers(&self) {
        self.sleepers_woken.store(true, Relaxed);
    }

    fn exclusive(&self) -> bool {
        self.known.load(Relaxed)
    }

    fn set_exclusive(&self, exclusive: bool) {
        self.known.store(exclusive, Relaxed);
    }

    fn wake_pollers(&self) -> bool {
        self.pollers_woken.store(true, Relaxed);
        self.exclusive
    }

    fn wake_all_pollers(&self) {
        self.all_woken.store(true, Relaxed);
    }
}

#[kunit_tests(rust_vfifo_waiting)]
mod waiting_tests {
    use super::*;

    #[test]
    fn waiting_is_announced() {
        let ends = Ends::new(16, 0);
        assert!(!ends.ring.consumer_waits() && !ends.ring.producer_waits());
        ends.ring.consumer_will_wait();
        assert!(ends.ring.consumer_waits() && !ends.ring.producer_waits());
        ends.ring.producer_will_wait();
        ends.ring.consumer.set_waiting(false);
        assert!(!ends.ring.consumer_waits() && ends.ring.producer_waits());
    }

    #[test]
    fn waiters_are_woken_or_stay_announced() {
        for bits in 0..64 {
            let [sleepers, signals, pollers, ready, exclusive, known] =
                [1, 2, 4, 8, 16, 32].map(|bit| bits & bit != 0);
            let queues = || TestQueues {
                sleepers,
                signals,
                pollers,
                exclusive,
                known: Atomic::new(known),
                ready,
                sleepers_woken: Atomic::new(false),
                pollers_woken: Atomic::new(false),
                all_woken: Atomic::new(false),
            };
            let outcome = |queues: TestQueues, waits| {
                assert_eq!(queues.sleepers_woken.load(Relaxed), sleepers);
                assert_eq!(queues.pollers_woken.load(Relaxed), pollers && ready);
                // While exclusive pollers are known, `waiting` stays set.
                let woken_one = pollers && ready && exclusive;
                assert_eq!(
                    waits,
                    known || sleepers || signals || (pollers && !ready) || woken_one
                );
                // If they are found only now, all are woken, as something may have come meanwhile.
                assert_eq!(queues.all_woken.load(Relaxed), woken_one && !known);
                let still = known && pollers && !ready;
                assert_eq!(queues.known.load(Relaxed), woken_one || still);
            };
            let ends = Ends::new(16, 0);
            ends.ring.consumer_will_wait();
            ends.ring.producer_will_wait();
            let told = queues();
            ends.ring.tell_consumer(&told);
            outcome(told, ends.ring.consumer_waits());
            assert!(ends.ring.producer_waits());
            let told = queues();
            ends.ring.tell_producer(&told);
            outcome(told, ends.ring.producer_waits());
        }
    }
}
