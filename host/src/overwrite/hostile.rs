// SPDX-License-Identifier: GPL-2.0

//! Positions and headers that a correct owner would not store.

use super::memory::{Attempt, Shared};
use crate::{
    ring::{
        framing::Framing,
        overtaken::{Look, Tries},
        overwrite::{first_queued, is_far, Oldest},
        switch::Cleared,
        Broken, Cursor, End,
    },
    tests::{hostile, start},
};
use proptest::prelude::*;

#[test]
fn impossible_positions_are_found() {
    let tries = Tries::new(Framing::Record);
    // (head, oldest, whether it is an error); the consumer has seen 64.
    for (head, oldest, error) in [
        (64, 0, false),
        (64, 64, false),
        (1 << 40, (1 << 40) - 8, false),
        (56, 0, true),
        (0, 0, true),
        (72, 0, true),
        (72, 80, true),
        (72, 1 << 63, true),
        (68, 8, true),
        (72, 12, true),
        // So far that it is before `tail`.
        ((1 << 63) - 8, (1 << 63) - 8, false),
        (1 << 63, 1 << 63, true),
        ((1 << 63) + 8, 1 << 63, true),
    ] {
        let ring = Shared::new(64, 0).ring;
        let mut own = Cursor {
            position: 0,
            peer: 64,
            capacity: 64,
        };
        ring.producer.store_release(head);
        ring.producer.store_oldest(oldest);
        let result = ring.look(&mut own, &tries, 64);
        assert_eq!(
            result.is_err(),
            error,
            "head {head}, oldest {oldest}: {result:?}"
        );
        if error {
            assert_eq!(own.peer, 64, "it is not believed");
        }
    }
}

#[test]
fn successor_of_an_overwriting_owner_goes_on_where_that_can_be() {
    let ring = Shared::new(64, 0).ring;
    // Where the claim began.
    let before = Cursor {
        position: 90,
        peer: 30,
        capacity: 64,
    };
    // (head, oldest, position and oldest of the successor); 100 was seen before.
    for (head, oldest, left) in [
        (100, 36, (100, 36)),
        (120, 56, (120, 56)),
        (120, 120, (120, 120)),
        (120, 55, (100, 100)),
        (99, 99, (100, 100)),
        (120, 121, (100, 100)),
        (1 << 63, 0, (100, 100)),
    ] {
        ring.producer.store_release(head);
        ring.producer.store_oldest(oldest);
        let own = ring.overwriter_left(&before, 100, Framing::Stream);
        assert_eq!(
            (own.position, own.peer),
            left,
            "head {head}, oldest {oldest}"
        );
        ring.restore_producer(&own);
        assert_eq!(ring.size_overwriting(64), Ok(left.0 - left.1));
    }
    for (head, oldest) in [(132, 128), (128, 124)] {
        ring.producer.store_release(head);
        ring.producer.store_oldest(oldest);
        let own = ring.overwriter_left(&before, 104, Framing::Record);
        assert_eq!((own.position, own.peer), (104, 104));
    }
    // Bytes that are gone do not come back.
    let all_gone = Cursor {
        position: 100,
        peer: 100,
        capacity: 64,
    };
    for (head, oldest, left) in [
        (100, 100, (100, 100)),
        (100, 99, (100, 100)),
        (100, 36, (100, 100)),
        (108, 92, (100, 100)),
        (108, 100, (108, 100)),
    ] {
        ring.producer.store_release(head);
        ring.producer.store_oldest(oldest);
        let own = ring.overwriter_left(&all_gone, 100, Framing::Stream);
        assert_eq!(
            (own.position, own.peer),
            left,
            "head {head}, oldest {oldest}"
        );
    }
}

#[test]
fn owners_that_go_far_away_are_caught_up_with() {
    for (head, oldest, tail, far, first) in [
        (100, 36, 50, false, 50),
        (100, 36, 10, false, 36),
        (100, 100, 10, false, 100),
        (1 << 62, (1 << 62) - 8, 0, true, (1 << 62) - 8),
        ((1 << 62) - 1, (1 << 62) - 9, 0, false, (1 << 62) - 9),
        (1 << 63, 1 << 63, 8, true, 1 << 63),
        // `tail` seems to be after `head`.
        (3 << 62, 3 << 62, 8, true, 3 << 62),
        (50, 36, 100, true, 36),
        (
            7,
            0u64.wrapping_sub(9),
            0u64.wrapping_sub(20),
            false,
            0u64.wrapping_sub(9),
        ),
    ] {
        let own = Cursor {
            position: head,
            peer: oldest,
            capacity: 64,
        };
        let case = format!("head {head}, oldest {oldest}, tail {tail}");
        assert_eq!(is_far(&own, tail), far, "{case}");
        assert_eq!(first_queued(&own, tail), first, "{case}");
    }
}

#[test]
fn successor_of_an_overtaken_owner_goes_on_where_that_can_be() {
    let ring = Shared::new(64, 0).ring;
    let own = Cursor {
        position: 40,
        peer: 100,
        capacity: 64,
    };
    let producer = Cursor {
        position: 200,
        peer: 136,
        capacity: 64,
    };
    for (tail, left) in [
        (40, 40),
        (41, 41),
        (150, 150),
        (200, 200),
        (201, 40),
        (39, 40),
    ] {
        ring.consumer.store_release(tail);
        let after = ring.overtaken_left(&own, Some(&producer), Framing::Stream);
        assert_eq!((after.position, after.peer), (left, 200), "tail {tail}");
    }
    ring.consumer.store_release(44);
    let after = ring.overtaken_left(&own, Some(&producer), Framing::Record);
    assert_eq!(after.position, 40);
    // The producer is claimed as well. Its `head` says how far the consumer may have got, if it did
    // not go back. But nothing is believed to have been seen that the consumer has not passed.
    for (head, tail, left) in [
        (150, 120, (120, 120)),
        (150, 90, (90, 100)),
        (1 << 40, 90, (90, 100)),
        (99, 120, (40, 100)),
        (99, 90, (90, 100)),
    ] {
        ring.producer.store_release(head);
        ring.consumer.store_release(tail);
        let after = ring.overtaken_left(&own, None, Framing::Stream);
        assert_eq!(
            (after.position, after.peer),
            left,
            "head {head}, tail {tail}"
        );
    }
}

proptest! {
    #![proptest_config(hostile())]

    /// Whatever the pages and the buffer contain, a consumer stays within the ring, and its position
    /// is at most the `head` that it saw.
    #[test]
    fn hostile_positions_lead_nowhere(
        tail in start(),
        seen in 0u64..200,
        near in (0u64..300, 0u64..300),
        far in (any::<u64>(), any::<u64>()),
        kind in 0u32..16,
        defeats in 0u32..20,
        mark in any::<u64>(),
        raw in prop_oneof![any::<u64>(), 0u64..80],
        most in any::<u64>(),
    ) {
        const CAPACITY: u64 = 64;
        let shared = Shared::new(CAPACITY, tail);
        let mut own = Cursor {
            position: tail,
            peer: tail.wrapping_add(seen),
            capacity: CAPACITY,
        };
        let pick = |bit: u32, near: u64, far| match kind >> bit & 1 {
            0 => tail.wrapping_add(near),
            _ => far,
        };
        let (head, oldest) = (pick(0, near.0, far.0), pick(1, near.1, far.1));
        shared.ring.producer.store_release(head);
        shared.ring.producer.store_oldest(oldest);
        let framing = match kind >> 2 & 1 {
            0 => Framing::Stream,
            _ => Framing::Record,
        };
        let mut tries = Tries::new(framing);
        for _ in 0..defeats {
            // That was where `head` was then.
            let ring = Shared::new(CAPACITY, mark).ring;
            ring.overtaken(&mut tries);
        }
        let _ = shared.ring.size_overwriting(CAPACITY);
        match shared.look(&mut own, &mut tries, most) {
            Err(Broken) => prop_assert_eq!(own.peer, tail.wrapping_add(seen)),
            Ok(Attempt::Overtaken) => prop_assert!(false, "nothing moves"),
            Ok(Attempt::Empty) => prop_assert!(head == tail || head == oldest),
            Ok(Attempt::Found(window)) => {
                prop_assert_eq!(own.peer, head);
                                // Nothing moves, so it is intact.
                let intact = shared.ring.intact(&window).unwrap();
                if let Ok(record) = intact.record(raw) {
                    prop_assert!(record.size() <= window.len());
                    let rest = window.after(&record).map_or(0, |rest| rest.len());
                    prop_assert_eq!(rest, window.len() - record.size());
                }
                let lost = shared.ring.take(&mut own, intact, most);
                let len = most.min(window.len());
                prop_assert_eq!(own.position, tail.wrapping_add(lost).wrapping_add(len));
                prop_assert!(head.wrapping_sub(own.position) < CAPACITY);
            }
        }
        let before = own.position;
        let Cleared { cleared, lost } = shared.ring.clear_overwriting(&mut own);
        prop_assert_eq!(own.position, head);
        prop_assert_eq!(cleared.wrapping_add(lost), head.wrapping_sub(before));
    }

    /// A reader that finds nothing sleeps until `size_overwriting()` finds something or is broken. So
    /// the two must agree, whatever the positions are: otherwise it would neither sleep nor go on.
    #[test]
    fn nothing_to_read_is_nothing_to_wake_for(
        tail in start(),
        seen in any_distance(),
        head in any_distance(),
        oldest in any_distance(),
        record in any::<bool>(),
    ) {
        const CAPACITY: u64 = 64;
        let ring = Shared::new(CAPACITY, tail).ring;
        let head = tail.wrapping_add(head);
        let mut own = Cursor {
            position: tail,
            peer: tail.wrapping_add(seen),
            capacity: CAPACITY,
        };
        ring.producer.store_release(head);
        ring.producer.store_oldest(head.wrapping_sub(oldest));
        let framing = match record {
            true => Framing::Record,
            false => Framing::Stream,
        };
        let size = ring.size_overwriting(CAPACITY);
        match ring.look(&mut own, &Tries::new(framing), 1) {
            Ok(Look::Empty) => prop_assert_eq!(size, Ok(0)),
            Ok(Look::Found(window)) => prop_assert_eq!(size, Ok(window.len())),
            Ok(Look::Overtaken) => prop_assert!(false, "nothing moves"),
            Err(Broken) => {}
        }
    }

    /// Whatever owners leave, in either order, and whatever others did in between: when nothing is
    /// claimed any more, all positions are possible, and none is before one that the kernel knew.
    #[test]
    fn nothing_is_left_of_two_owners(
        start in start(),
        known in (0u64..100, 0u64..100),
        stores in (any_distance(), any_distance(), any_distance()),
        producer_first in any::<bool>(),
        record in any::<bool>(),
    ) {
        const CAPACITY: u64 = 64;
        let framing = match record {
            true => Framing::Record,
            false => Framing::Stream,
        };
        let start = framing.round_up(start);
        let ring = Shared::new(CAPACITY, start).ring;
        // The producer claims its end, publishes something, and the kernel reads all of it.
        let began = start.wrapping_add(framing.round_up(known.0));
        let read = began.wrapping_add(framing.round_up(known.1));
        let mut writer = Cursor { position: began, peer: began, capacity: CAPACITY };
        let mut reader = Cursor { position: read, peer: read, capacity: CAPACITY };
        // Then both are claimed.
        ring.producer.store_release(read.wrapping_add(stores.0));
        ring.producer.store_oldest(read.wrapping_add(stores.1));
        ring.consumer.store_release(read.wrapping_add(stores.2));
        for producer in [producer_first, !producer_first] {
            if producer {
                writer = ring.overwriter_left(&writer, reader.peer, framing);
                reader.peer = writer.position;
                ring.restore_producer(&writer);
            } else {
                let other = (!producer_first).then_some(()).map_or(Some(&writer), |()| None);
                reader = ring.overtaken_left(&reader, other, framing);
                ring.consume(&mut reader, 0);
            }
        }
        if is_far(&writer, reader.position) {
            reader.position = first_queued(&writer, reader.position);
            ring.consume(&mut reader, 0);
        }
        let size = ring.size_overwriting(CAPACITY);
        prop_assert!(size.is_ok(), "{:?} {:?}", writer, reader);
        prop_assert!(writer.position.wrapping_sub(read) < 1 << 63, "{:?}", writer);
        prop_assert!(reader.position.wrapping_sub(read) < 1 << 63, "{:?}", reader);
        let look = ring.look(&mut reader, &Tries::new(framing), 1);
        prop_assert!(look.is_ok(), "{:?} {:?}", writer, reader);
    }
}

/// Near or far, before or after.
fn any_distance() -> impl Strategy<Value = u64> {
    prop_oneof![
        4 => 0u64..300,
        2 => (0u64..300).prop_map(|near| 0u64.wrapping_sub(near)),
        2 => (0u64..64).prop_map(|shift| 1 << shift),
        1 => (0u64..64).prop_map(|shift| 0u64.wrapping_sub(1 << shift)),
        2 => (0u64..300).prop_map(|near| (1u64 << 63).wrapping_sub(150).wrapping_add(near)),
        1 => any::<u64>(),
    ]
}
