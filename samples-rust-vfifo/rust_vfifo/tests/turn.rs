// SPDX-License-Identifier: GPL-2.0
// Copyright (C) 2026 Seed 1f3ad1c2 maintainers.

//! Tests of the turn of writers.

use super::super::turn::{
    Ticket,
    Turn, //
};
use kernel::prelude::*;

#[kunit_tests(rust_vfifo_turn)]
mod turn_tests {
    use super::*;

    /// The limit for others stays where it was when the turn was taken, even if it is taken over.
    #[test]
    fn turn_limits_the_others() {
        let start = u64::MAX - 1000;
        let turn = Turn::new();
        let [mut first, mut second, mut third] = [(); 3].map(|()| Ticket::NONE);
        assert_eq!(turn.needed(), None);
        assert_eq!(turn.left_for_others(start, 4096), 4096);

        // The first writer takes the turn, and others do not.
        assert!(turn.take(&mut first, true, start, 8192, 100));
        assert!(!turn.take(&mut second, true, start, 8192, 1));
        assert!(!turn.take(&mut third, false, start, 8192, 1));
        assert_eq!(turn.needed(), Some(100));
        assert!(
            turn.is_held_by(&first) && !turn.is_held_by(&second) && !turn.is_held_by(&Ticket::NONE)
        );
        for (written, left) in [(0, 4096), (4096, 4096), (4097, 4095), (8192, 0), (8193, 0)] {
            let head = start.wrapping_add(written);
            assert_eq!(turn.left_for_others(head, 4096), left);
        }

        // When the turn is free, the next writer takes it, and an older one takes it over.
        assert!(turn.give_up(&second).is_none());
        let limit = turn.give_up(&first).unwrap();
        for (written, free, needed, held_back) in [
            (0, 8192, 8192, false),
            (1, 8192, 8192, true),
            (1, 8191, 8192, false),
            (4096, 8192, 4096, false),
            (4097, 8192, 4096, true),
            (9000, 1, 1, true),
            (9000, 0, 1, false),
        ] {
            let head = start.wrapping_add(written);
            assert_eq!(limit.held_back(head, free, needed), held_back);
        }
        assert!(turn.give_up(&first).is_none());
        let later = start.wrapping_add(2000);
        assert!(turn.take(&mut third, true, later, 8192, 3));
        assert!(turn.is_held_by_newer(&second) && !turn.is_held_by_newer(&third));
        assert!(turn.take(&mut second, true, later.wrapping_add(100), 8192, 2));
        assert!(!turn.is_held_by(&third) && turn.is_held_by(&second));
        assert_eq!(turn.needed(), Some(2));
        assert_eq!(turn.left_for_others(later.wrapping_add(100), 9000), 8092);
        assert!(turn.give_up(&third).is_none() && turn.give_up(&second).is_some());
        assert!(!turn.is_taken());

        // While it is reserved, the limit holds. A writer that has slept takes it or gives it up.
        assert!(turn.reserve(later, 8192) && !turn.reserve(later, 4096));
        assert_eq!(turn.needed(), None);
        assert_eq!(turn.left_for_others(later, 9000), 8192);
        assert!(turn.is_held_by_newer(&third) && turn.give_up(&Ticket::NONE).is_none());
        assert!(turn.take(&mut third, true, later.wrapping_add(1), 8192, 3));
        assert_eq!(turn.left_for_others(later, 9000), 8192);
        assert!(turn.give_up(&third).is_some() && turn.reserve(later, 8192));
        assert!(turn.give_up(&second).is_some() && !turn.is_taken());
        assert!(turn.reserve(later, 8192));
        turn.unreserve();
        assert!(!turn.is_taken());
    }
}
