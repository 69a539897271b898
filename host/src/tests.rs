// SPDX-License-Identifier: GPL-2.0

use super::ring::{pieces, queued, Broken, Ring};
use proptest::prelude::*;
use proptest::test_runner::RngSeed;
use std::collections::VecDeque;
use std::sync::atomic::{AtomicU64, AtomicU8, Ordering};
use std::time::{Duration, Instant};

/// What both ends of a stream share: the ring, and the buffer it talks about.
struct Stream {
    ring: Ring<AtomicU64>,
    buffer: Vec<AtomicU8>,
}

impl Stream {
    fn new(capacity: usize, start: u64) -> Self {
        Self {
            ring: Ring::new(capacity as u64, start),
            buffer: (0..capacity).map(|_| AtomicU8::new(0xff)).collect(),
        }
    }

    /// Produces the first bytes of `bytes` that fit, and returns how many those are.
    fn produce(&self, bytes: &[u8]) -> usize {
        let (head, free) = self.ring.free().expect("the producer's positions");
        let len = free.min(bytes.len() as u64);
        let mut from = bytes.iter();
        for piece in pieces(head, len, self.ring.capacity()) {
            for cell in &self.buffer[piece.offset..][..piece.len] {
                cell.store(*from.next().expect("len is cut"), Ordering::Relaxed);
            }
        }
        self.ring.produce(len);
        len as usize
    }

    /// Consumes up to `max` bytes.
    fn consume(&self, max: usize) -> Vec<u8> {
        let (tail, used) = self.ring.used().expect("the consumer's positions");
        let len = used.min(max as u64);
        let mut bytes = Vec::new();
        for piece in pieces(tail, len, self.ring.capacity()) {
            let cells = &self.buffer[piece.offset..][..piece.len];
            bytes.extend(cells.iter().map(|cell| cell.load(Ordering::Relaxed)));
        }
        self.ring.consume(len);
        bytes
    }
}

/// The seed of the random tests, which is the same each time, so that a failure can be had again.
const SEED: u64 = 0x7666_6966_6f21;

fn config() -> ProptestConfig {
    println!("seed {SEED:#x}");
    ProptestConfig {
        cases: 512,
        rng_seed: RngSeed::Fixed(SEED),
        failure_persistence: None,
        ..ProptestConfig::default()
    }
}

#[derive(Clone, Debug)]
enum Step {
    Produce(Vec<u8>),
    Consume(usize),
    Clear,
}

fn step() -> impl Strategy<Value = Step> {
    prop_oneof![
        8 => prop::collection::vec(any::<u8>(), 0..80).prop_map(Step::Produce),
        8 => (0usize..80).prop_map(Step::Consume),
        1 => Just(Step::Clear),
    ]
}

/// Near zero, near 2^64, or anywhere.
fn start() -> impl Strategy<Value = u64> {
    prop_oneof![0u64..100, (u64::MAX - 100)..=u64::MAX, any::<u64>()]
}

proptest! {
    #![proptest_config(config())]

    #[test]
    fn agrees_with_a_queue(
        shift in 0u32..7,
        start in start(),
        steps in prop::collection::vec(step(), 0..200),
    ) {
        let capacity = 1usize << shift;
        let stream = Stream::new(capacity, start);
        let mut queue = VecDeque::new();
        for step in steps {
            match step {
                Step::Produce(bytes) => {
                    let len = stream.produce(&bytes);
                    prop_assert_eq!(len, bytes.len().min(capacity - queue.len()));
                    queue.extend(&bytes[..len]);
                }
                Step::Consume(max) => {
                    let bytes = stream.consume(max);
                    let expected: Vec<u8> = queue.drain(..max.min(queue.len())).collect();
                    prop_assert_eq!(bytes, expected);
                }
                Step::Clear => {
                    stream.ring.clear();
                    queue.clear();
                }
            }
            prop_assert_eq!(stream.ring.size(), queue.len() as u64);
        }
    }

    #[test]
    fn only_possible_positions_are_accepted(
        head in any::<u64>(),
        tail in any::<u64>(),
        near in 0u64..200,
        shift in 0u32..31,
    ) {
        let capacity = 1u64 << shift;
        for head in [head, tail.wrapping_add(near), tail.wrapping_sub(near)] {
            let distance = u128::from(head) + if head < tail { 1 << 64 } else { 0 } - u128::from(tail);
            let expected = if distance <= u128::from(capacity) {
                Ok(distance as u64)
            } else {
                Err(Broken)
            };
            prop_assert_eq!(queued(head, tail, capacity), expected);
        }
    }

    #[test]
    fn pieces_are_the_bytes_asked_for(
        position in any::<u64>(),
        len in any::<u64>(),
        shift in 0u32..10,
    ) {
        let capacity = 1u64 << shift;
        let offsets: Vec<u64> = pieces(position, len, capacity)
            .iter()
            .flat_map(|piece| piece.offset..piece.offset + piece.len)
            .map(|offset| offset as u64)
            .collect();
        let expected: Vec<u64> = (0..len.min(capacity))
            .map(|i| position.wrapping_add(i) % capacity)
            .collect();
        prop_assert_eq!(offsets, expected);
    }
}

/// A producer and a consumer that run at the same time lose, double and swap nothing.
#[test]
fn two_threads_see_one_stream() {
    const TOTAL: usize = 1 << 20;
    let stream = Stream::new(64, u64::MAX - 1000);
    let byte = |i: usize| (i % 251) as u8;
    // A ring that lost something would have them wait for it for ever.
    let deadline = Instant::now() + Duration::from_secs(60);
    let wait = || {
        assert!(Instant::now() < deadline, "a side makes no progress");
        std::thread::yield_now();
    };
    std::thread::scope(|scope| {
        scope.spawn(|| {
            let mut sent = 0;
            while sent < TOTAL {
                let end = TOTAL.min(sent + 1 + sent % 37);
                let bytes: Vec<u8> = (sent..end).map(byte).collect();
                let len = stream.produce(&bytes);
                sent += len;
                if len == 0 {
                    wait();
                }
            }
        });
        let mut received = 0;
        while received < TOTAL {
            let bytes = stream.consume(1 + received % 41);
            for got in &bytes {
                assert_eq!(*got, byte(received), "at byte {received}");
                received += 1;
            }
            if bytes.is_empty() {
                wait();
            }
        }
    });
    assert_eq!(stream.ring.size(), 0);
}
