// SPDX-License-Identifier: GPL-2.0

//! Random operations, one after the other, and in between.

use super::memory::{interrupted, Read, Shared};
use crate::{
    ring::{
        framing::Framing, overtaken::Tries, overwrite::gone, record::size_in_ring, Cursor, End,
    },
    tests::{config, start},
};
use proptest::prelude::*;
use std::{collections::VecDeque, rc::Rc};

#[derive(Clone, Debug)]
enum Step {
    Write(u64),
    Read(u64),
    Clear,
    /// To waiting and back.
    Switch,
}

fn step() -> impl Strategy<Value = Step> {
    prop_oneof![
        8 => (1u64..100).prop_map(Step::Write),
        8 => (1u64..100).prop_map(Step::Read),
        1 => Just(Step::Clear),
        1 => Just(Step::Switch),
    ]
}

proptest! {
    #![proptest_config(config())]

    /// Without anything in between: the newest bytes are there, and every byte is counted once.
    #[test]
    fn agrees_with_a_queue_that_forgets(
        shift in 0u32..7,
        start in start(),
        steps in prop::collection::vec(step(), 0..200),
    ) {
        let capacity = 1u64 << shift;
        let shared = Shared::new(capacity, start);
        let mut producer = Cursor::new(capacity, start);
        let mut own = producer;
        let mut queued = VecDeque::new();
        let (mut read, mut cleared, mut overwritten) = (0, 0, 0);
        for step in steps {
            match step {
                Step::Write(len) => {
                    queued.extend((0..len).map(|i| producer.position.wrapping_add(i)));
                    queued.drain(..queued.len().saturating_sub(capacity as usize));
                    shared.write(&mut producer, len);
                }
                Step::Read(most) => {
                    match shared.read(&mut own, &mut Tries::new(Framing::Stream), most) {
                        Read::Done { lost, len } => {
                            prop_assert_eq!(len, most.min(queued.len() as u64));
                            let last = queued.drain(..len as usize).next_back();
                            prop_assert_eq!(last, Some(own.position.wrapping_sub(1)));
                            read += len;
                            overwritten += lost;
                        }
                        Read::Empty => prop_assert!(queued.is_empty()),
                        Read::Overtaken => prop_assert!(false, "nobody writes meanwhile"),
                    }
                }
                Step::Clear => {
                    let done = shared.ring.clear_overwriting(&mut own);
                    prop_assert_eq!(done.cleared, queued.len() as u64);
                    cleared += done.cleared;
                    overwritten += done.lost;
                    queued.clear();
                }
                Step::Switch => {
                    overwritten += shared.ring.stop_overwriting(&mut producer, &mut own);
                    prop_assert_eq!(shared.ring.size(capacity), Ok(queued.len() as u64));
                    shared.ring.start_overwriting(&mut producer, &mut own);
                }
            }
            let size = shared.ring.size_overwriting(capacity).unwrap();
            prop_assert_eq!(size, queued.len() as u64);
            let gone = gone(producer.peer, own.position);
            let written = producer.position.wrapping_sub(start);
            prop_assert_eq!(written, read + cleared + overwritten + gone + size);
        }
    }

    /// The same for records.
    #[test]
    fn agrees_with_a_queue_that_forgets_records(
        shift in 4u32..8,
        start in start(),
        steps in prop::collection::vec((1u64..50, any::<bool>()), 0..200),
    ) {
        let capacity = 1u64 << shift;
        let start = Framing::Record.round_up(start);
        let shared = Shared::new(capacity, start);
        let mut producer = Cursor::new(capacity, start);
        let mut own = producer;
        let mut queued = VecDeque::<u64>::new();
        let mut passed = 0;
        for (len, write) in steps {
            let size = size_in_ring(len as u32);
            if !write {
                match shared.read_record(&mut own, &mut Tries::new(Framing::Record)) {
                    Read::Done { lost, len } => {
                        prop_assert_eq!(queued.pop_front(), Some(len));
                        passed += lost + len;
                    }
                    Read::Empty => prop_assert!(queued.is_empty()),
                    Read::Overtaken => prop_assert!(false, "nobody writes meanwhile"),
                }
            } else if size <= capacity {
                shared.write_record(&mut producer, len);
                queued.push_back(size);
                // What the consumer has read counts for the producer.
                let from_oldest = producer.position.wrapping_sub(producer.peer);
                while queued.iter().sum::<u64>() > from_oldest {
                    queued.pop_front();
                }
                // No more were dropped than necessary.
                prop_assert!(from_oldest <= capacity);
            }
            prop_assert_eq!(own.position.wrapping_sub(start), passed);
            prop_assert_eq!(shared.ring.size_overwriting(capacity), Ok(queued.iter().sum()));
        }
    }

    /// Whatever is written between any two steps of a reader, it returns no torn byte, takes nobody
    /// for broken, and counts every byte once. `read()` checks the bytes.
    #[test]
    fn no_byte_is_torn_whatever_happens_in_between(
        shift in 0u32..7,
        start in start(),
        writes in prop::collection::vec(prop_oneof![3 => Just(0u64), 2 => 0u64..8, 1 => 0u64..80], 1..60),
        most in 1u64..80,
    ) {
        let capacity = 1u64 << shift;
        let shared = Rc::new(Shared::new(capacity, start));
        let mut producer = Cursor::new(capacity, start);
        let mut own = producer;
        shared.write(&mut producer, capacity);
        let reader = shared.clone();
        let mut writes = writes.into_iter();
        let passed = interrupted(
            move || shared.write(&mut producer, writes.next().unwrap_or(0)),
            || {
                let mut passed = 0;
                let mut tries = Tries::new(Framing::Stream);
                // No more writes after 60, and the ring is smaller than this.
                for _ in 0..200 {
                    if let Read::Done { lost, len } = reader.read(&mut own, &mut tries, most) {
                        passed += lost + len;
                        tries = Tries::new(Framing::Stream);
                    }
                }
                passed
            },
        );
        prop_assert_eq!(own.position.wrapping_sub(start), passed);
        prop_assert_eq!(reader.ring.producer.load_acquire(), own.position);
        prop_assert_eq!(reader.ring.size_overwriting(capacity), Ok(0));
    }

    /// The same for records.
    #[test]
    fn no_record_is_torn_whatever_happens_in_between(
        shift in 5u32..8,
        start in start(),
        writes in prop::collection::vec(prop_oneof![3 => Just(0u64), 2 => 1u64..24], 1..60),
    ) {
        let capacity = 1u64 << shift;
        let start = Framing::Record.round_up(start);
        let shared = Rc::new(Shared::new(capacity, start));
        let mut producer = Cursor::new(capacity, start);
        let mut own = producer;
        shared.write_record(&mut producer, 8);
        let reader = shared.clone();
        let mut writes = writes.into_iter();
        let passed = interrupted(
            move || match writes.next() {
                None | Some(0) => {}
                Some(len) => shared.write_record(&mut producer, len),
            },
            || {
                let mut passed = 0;
                let mut tries = Tries::new(Framing::Record);
                for _ in 0..200 {
                    if let Read::Done { lost, len } = reader.read_record(&mut own, &mut tries) {
                        passed += lost + len;
                        tries = Tries::new(Framing::Record);
                    }
                }
                passed
            },
        );
        prop_assert_eq!(own.position.wrapping_sub(start), passed);
        prop_assert_eq!(reader.ring.producer.load_acquire(), own.position);
    }
}
