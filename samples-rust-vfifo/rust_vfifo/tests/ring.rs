// SPDX-License-Identifier: GPL-2.0
// Copyright (C) 2026 Seed 1f3ad1c2 maintainers.

//! Tests of positions and pieces in the ring.

use super::{
    super::ring::{
        pieces,
        queued,
        Broken,
        End as _,
        Piece, //
    },
    ends::Ends, //
};
use kernel::prelude::*;

#[kunit_tests(rust_vfifo_ring)]
mod ring_tests {
    use super::*;

    #[test]
    fn new_ring_is_empty() {
        let mut ends = Ends::new(16, 5);
        assert_eq!(ends.ring.size(16), Ok(0));
        assert_eq!(ends.used(), Ok(0));
        assert_eq!(ends.free(), Ok(16));
    }

    #[test]
    fn full_ring_has_no_room() {
        let mut ends = Ends::new(16, 0);
        ends.produce(16);
        assert_eq!(ends.used(), Ok(16));
        assert_eq!(ends.free(), Ok(0));
        ends.consume(16);
        assert_eq!(ends.used(), Ok(0));
        assert_eq!(ends.free(), Ok(16));
    }

    #[test]
    fn clear_forgets_all() {
        let mut ends = Ends::new(16, 0);
        ends.produce(9);
        assert_eq!(ends.ring.clear(&mut ends.consumer), 9);
        assert_eq!(ends.ring.clear(&mut ends.consumer), 0);
        assert_eq!(ends.ring.size(16), Ok(0));
        assert_eq!(ends.used(), Ok(0));
        assert_eq!(ends.free(), Ok(16));
    }

    #[test]
    fn impossible_positions_are_refused() {
        assert_eq!(queued(0, 0, 16), Ok(0));
        assert_eq!(queued(16, 0, 16), Ok(16));
        assert_eq!(queued(17, 0, 16), Err(Broken));
        assert_eq!(queued(0, 1, 16), Err(Broken));
        assert_eq!(queued(u64::MAX, 0, 16), Err(Broken));
        assert_eq!(queued(7, u64::MAX - 8, 16), Ok(16));
        assert_eq!(queued(8, u64::MAX - 8, 16), Err(Broken));

        // The consumer finds the error, and clearing ends it.
        let mut ends = Ends::new(16, 0);
        ends.produce(17);
        assert_eq!(ends.used(), Err(Broken));
        assert_eq!(ends.ring.size(16), Err(Broken));
        assert_eq!(ends.ring.clear(&mut ends.consumer), 16);
        assert_eq!(ends.used(), Ok(0));
        assert_eq!(ends.free(), Ok(16));

        // So does the producer.
        ends.consume(1);
        assert_eq!(ends.free(), Err(Broken));
    }

    #[test]
    fn positions_do_not_go_back() {
        let mut ends = Ends::new(16, 0);
        ends.produce(9);
        assert_eq!(ends.used(), Ok(9));
        ends.ring.producer.store_release(8);
        assert_eq!(ends.used(), Err(Broken));
        ends.ring.producer.store_release(9);
        assert_eq!(ends.used(), Ok(9));

        ends.consume(5);
        assert_eq!(ends.free(), Ok(12));
        ends.ring.consumer.store_release(4);
        assert_eq!(ends.free(), Err(Broken));
    }

    #[test]
    fn looks_only_if_it_has_to() {
        let mut ends = Ends::new(16, 0);
        ends.ring.consumer.store_release(77);
        assert_eq!(ends.ring.free(&mut ends.producer, 16), Ok(16));
        assert_eq!(ends.ring.free(&mut ends.producer, 17), Err(Broken));
        ends.ring.producer.store_release(77);
        assert_eq!(ends.ring.used(&mut ends.consumer, 0), Ok(0));
        assert_eq!(ends.ring.used(&mut ends.consumer, 1), Err(Broken));
    }

    #[test]
    fn successor_goes_on_from_the_last_valid_position() {
        for start in [0, u64::MAX - 5] {
            let at = |offset: u64| start.wrapping_add(offset);
            let mut ends = Ends::new(16, start);
            ends.produce(10);
            assert_eq!(ends.used(), Ok(10));
            ends.consume(4);
            // (the last position stored by the producer, the position of its successor)
            for (stored, head) in [
                (at(10), at(10)),
                (at(20), at(20)),
                (at(21), at(10)),
                (at(9), at(10)),
                (at(3), at(10)),
                (at(1 << 63), at(10)),
            ] {
                ends.ring.producer.store_release(stored);
                let taken = ends.ring.producer_left(Some(&ends.consumer), 16);
                assert_eq!((taken.position, taken.peer), (head, at(4)));
            }
            // With an unknown consumer: the stored position if it is possible, or an empty queue.
            for (stored, head) in [(at(4), at(4)), (at(20), at(20)), (at(21), at(4))] {
                ends.ring.producer.store_release(stored);
                let taken = ends.ring.producer_left(None, 16);
                assert_eq!((taken.position, taken.peer), (head, at(4)));
            }

            let mut ends = Ends::new(16, start);
            ends.produce(10);
            assert_eq!(ends.used(), Ok(10));
            ends.consume(4);
            assert_eq!(ends.free(), Ok(10));
            for (stored, tail) in [
                (at(4), at(4)),
                (at(10), at(10)),
                (at(11), at(4)),
                (at(3), at(4)),
            ] {
                ends.ring.consumer.store_release(stored);
                let taken = ends.ring.consumer_left(Some(&ends.producer), 16);
                assert_eq!((taken.position, taken.peer), (tail, at(10)));
            }
            for (stored, tail) in [(at(10), at(10)), (at(0), at(0)), (at(11), at(10))] {
                ends.ring.consumer.store_release(stored);
                // What a claimed producer has published is found out when it is looked at.
                let taken = ends.ring.consumer_left(None, 16);
                assert_eq!((taken.position, taken.peer), (tail, tail));
            }
        }
    }

    #[test]
    fn pieces_stay_within_the_buffer() {
        let none = Piece { offset: 0, len: 0 };
        assert_eq!(pieces(3, 5, 8), [Piece { offset: 3, len: 5 }, none]);
        assert_eq!(
            pieces(3, 6, 8),
            [Piece { offset: 3, len: 5 }, Piece { offset: 0, len: 1 }]
        );
        // For any arguments.
        for position in [0, 7, 8, u64::MAX] {
            for len in [0, 1, 8, 9, u64::MAX] {
                let [first, second] = pieces(position, len, 8);
                assert!(first.offset + first.len <= 8 && second.offset + second.len <= 8);
                assert_eq!((first.len + second.len) as u64, len.min(8));
            }
        }
    }
}
