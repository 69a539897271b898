// SPDX-License-Identifier: GPL-2.0

use super::ring::{framing::Framing, pieces, queued, Broken, Cursor, End, Fence, Memory, Ring};
use proptest::prelude::*;
use proptest::test_runner::RngSeed;
use std::collections::VecDeque;
use std::sync::atomic::{fence, AtomicBool, AtomicU64, AtomicU8, AtomicUsize, Ordering};
use std::sync::{Condvar, Mutex};
use std::time::{Duration, Instant};

/// An end in memory of the host, which counts the loads of its position.
struct HostEnd {
    position: AtomicU64,
    waiting: AtomicBool,
    loads: AtomicUsize,
}

impl HostEnd {
    fn new(start: u64) -> Self {
        Self {
            position: AtomicU64::new(start),
            waiting: AtomicBool::new(false),
            loads: AtomicUsize::new(0),
        }
    }
}

impl End for HostEnd {
    fn load_acquire(&self) -> u64 {
        self.loads.fetch_add(1, Ordering::Relaxed);
        self.position.load(Ordering::Acquire)
    }

    fn store_release(&self, position: u64) {
        self.position.store(position, Ordering::Release);
    }

    fn is_waiting(&self) -> bool {
        self.waiting.load(Ordering::Relaxed)
    }

    fn set_waiting(&self, waiting: bool) {
        self.waiting.store(waiting, Ordering::Relaxed);
    }
}

struct Host;

impl Memory for Host {
    type Producer = HostEnd;
    type Consumer = HostEnd;

    fn fence(_: Fence) {
        fence(Ordering::SeqCst);
    }
}

fn ring(start: u64) -> Ring<Host> {
    Ring {
        producer: HostEnd::new(start),
        consumer: HostEnd::new(start),
    }
}

/// Shared by both ends of a stream: the ring and its buffer.
struct Stream {
    ring: Ring<Host>,
    buffer: Vec<AtomicU8>,
}

impl Stream {
    fn new(capacity: usize, start: u64) -> Self {
        Self {
            ring: ring(start),
            buffer: (0..capacity).map(|_| AtomicU8::new(0xff)).collect(),
        }
    }

    /// Produces as many of `bytes` as fit, and returns their number. Loads the position of the
    /// other end only if less room than `enough` is known of.
    fn produce(&self, own: &mut Cursor, bytes: &[u8], enough: u64) -> usize {
        let free = self
            .ring
            .free(own, enough)
            .expect("the producer's positions");
        let len = free.min(bytes.len() as u64);
        let mut from = bytes.iter();
        for piece in pieces(own.position, len, own.capacity) {
            for cell in &self.buffer[piece.offset..][..piece.len] {
                cell.store(*from.next().expect("len is cut"), Ordering::Relaxed);
            }
        }
        self.ring.produce(own, len);
        len as usize
    }

    /// Consumes up to `max` bytes.
    fn consume(&self, own: &mut Cursor, max: usize, enough: u64) -> Vec<u8> {
        let used = self
            .ring
            .used(own, enough)
            .expect("the consumer's positions");
        let len = used.min(max as u64);
        let mut bytes = Vec::new();
        for piece in pieces(own.position, len, own.capacity) {
            let cells = &self.buffer[piece.offset..][..piece.len];
            bytes.extend(cells.iter().map(|cell| cell.load(Ordering::Relaxed)));
        }
        self.ring.consume(own, len);
        bytes
    }
}

/// The seed of the random tests. It is the same each time, so that failures can be reproduced.
const SEED: u64 = 0x7666_6966_6f21;

pub(crate) fn config() -> ProptestConfig {
    println!("seed {SEED:#x}");
    ProptestConfig {
        cases: 512,
        rng_seed: RngSeed::Fixed(SEED),
        failure_persistence: None,
        ..ProptestConfig::default()
    }
}

/// For small tests of what anybody may have stored: more cases.
pub(crate) fn hostile() -> ProptestConfig {
    ProptestConfig {
        cases: 20_000,
        ..config()
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
pub(crate) fn start() -> impl Strategy<Value = u64> {
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
        let mut producer = Cursor::new(capacity as u64, start);
        let mut consumer = producer;
        let mut queue = VecDeque::new();
        for step in steps {
            match step {
                Step::Produce(bytes) => {
                    // The other end's position is loaded only if not enough room is known of.
                    let known = capacity as u64 - producer.position.wrapping_sub(producer.peer);
                    let loads = stream.ring.consumer.loads.load(Ordering::Relaxed);
                    let len = stream.produce(&mut producer, &bytes, bytes.len() as u64);
                    let looked = stream.ring.consumer.loads.load(Ordering::Relaxed) - loads;
                    prop_assert_eq!(looked, usize::from(known < bytes.len() as u64));
                    prop_assert_eq!(len, bytes.len().min(capacity - queue.len()));
                    queue.extend(&bytes[..len]);
                }
                Step::Consume(max) => {
                    let bytes = stream.consume(&mut consumer, max, max as u64);
                    let expected: Vec<u8> = queue.drain(..max.min(queue.len())).collect();
                    prop_assert_eq!(bytes, expected);
                }
                Step::Clear => {
                    prop_assert_eq!(stream.ring.clear(&mut consumer), queue.len() as u64);
                    queue.clear();
                }
            }
            prop_assert_eq!(stream.ring.size(capacity as u64), Ok(queue.len() as u64));
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

    /// A consumer accepts `head` if 0 to capacity bytes are queued, and no fewer than before. When
    /// a producer's claim ends, such a `head` is kept, and otherwise the last possible one.
    #[test]
    fn only_a_head_that_can_be_is_believed(
        tail in start(),
        seen in 0u64..=64,
        head in any::<u64>(),
        near in 0u64..200,
    ) {
        const CAPACITY: u64 = 64;
        for head in [head, tail.wrapping_add(near), tail.wrapping_sub(near)] {
            let ring = ring(tail);
            let last = tail.wrapping_add(seen);
            let before = Cursor { position: tail, peer: last, capacity: CAPACITY };
            ring.producer.store_release(head);
            let distance = head.wrapping_sub(tail);
            let possible = (seen..=CAPACITY).contains(&distance);
            let mut consumer = before;
            let expected = if possible { Ok(distance) } else { Err(Broken) };
            prop_assert_eq!(ring.used(&mut consumer, u64::MAX), expected);
            let kept = if possible { head } else { last };
            prop_assert_eq!(consumer, Cursor { peer: kept, ..before });
            let left = ring.producer_left(Some(&before), CAPACITY);
            prop_assert_eq!((left.position, left.peer), (kept, tail));
            // If the consumer is mapped, only its position is known.
            let left = ring.producer_left(None, CAPACITY);
            let kept = if distance <= CAPACITY { head } else { tail };
            prop_assert_eq!((left.position, left.peer), (kept, tail));
        }
    }

    /// The same for a producer and `tail`.
    #[test]
    fn only_a_tail_that_can_be_is_believed(
        head in start(),
        seen in 0u64..=64,
        tail in any::<u64>(),
        near in 0u64..200,
    ) {
        const CAPACITY: u64 = 64;
        for tail in [tail, head.wrapping_add(near), head.wrapping_sub(near)] {
            let ring = ring(head);
            let last = head.wrapping_sub(seen);
            let before = Cursor { position: head, peer: last, capacity: CAPACITY };
            ring.consumer.store_release(tail);
            let distance = head.wrapping_sub(tail);
            let possible = distance <= seen;
            let mut producer = before;
            let expected = if possible { Ok(CAPACITY - distance) } else { Err(Broken) };
            prop_assert_eq!(ring.free(&mut producer, u64::MAX), expected);
            let kept = if possible { tail } else { last };
            prop_assert_eq!(producer, Cursor { peer: kept, ..before });
            let left = ring.consumer_left(Some(&before), CAPACITY);
            prop_assert_eq!((left.position, left.peer), (kept, head));
            // What a claimed producer has published is found out when it is looked at.
            let left = ring.consumer_left(None, CAPACITY);
            let kept = if distance <= CAPACITY { tail } else { head };
            prop_assert_eq!((left.position, left.peer), (kept, kept));
        }
    }

    /// If both ends are claimed, the positions may be anything. The owner who leaves first cannot
    /// move them back behind the last ones that the kernel knows of; where a correct owner could
    /// have moved them, they are kept.
    #[test]
    fn two_owners_cannot_go_back(
        tail in start(),
        size in 0u64..=64,
        by_head in prop_oneof![-200i64..200, any::<i64>().prop_map(|far| far / 4)],
        by_tail in prop_oneof![-200i64..200, any::<i64>().prop_map(|far| far / 4)],
    ) {
        const CAPACITY: u64 = 64;
        for framing in [Framing::Stream, Framing::Record] {
            let tail = framing.round_up(tail);
            let head = tail.wrapping_add(framing.round_down(size));
            let stored = (head.wrapping_add_signed(by_head), tail.wrapping_add_signed(by_tail));
            let ring = ring(0);
            ring.producer.store_release(stored.0);
            ring.consumer.store_release(stored.1);
            let correct = by_head >= 0
                && by_tail >= 0
                && queued(stored.0, stored.1, CAPACITY).is_ok()
                && framing.is_aligned(stored.0 | stored.1);

            let left = ring.producer_left_first(framing, head, tail, CAPACITY);
            prop_assert!(left.position.wrapping_sub(head) as i64 >= 0);
            prop_assert!(left.peer.wrapping_sub(tail) as i64 >= 0);
            prop_assert!(queued(left.position, left.peer, CAPACITY).is_ok());
            if correct {
                prop_assert_eq!((left.position, left.peer), stored);
            }

            let left = ring.consumer_left_first(framing, head, tail, CAPACITY);
            prop_assert!(left.position.wrapping_sub(tail) as i64 >= 0);
            prop_assert!(left.peer.wrapping_sub(head) as i64 >= 0);
            prop_assert!(queued(left.peer, left.position, CAPACITY).is_ok());
            if correct {
                prop_assert_eq!(left.position, stored.1);
            }
            // Nor can the other one, who leaves afterwards.
            let last = ring.producer_left_in(framing, Some(&left), CAPACITY);
            prop_assert!(last.position.wrapping_sub(head) as i64 >= 0);
            if correct {
                prop_assert_eq!(last.position, stored.0);
            }
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

/// A producer and a consumer that run at the same time lose, duplicate and reorder nothing.
#[test]
fn two_threads_see_one_stream() {
    const TOTAL: usize = 1 << 20;
    const START: u64 = u64::MAX - 1000;
    let stream = Stream::new(64, START);
    let byte = |i: usize| (i % 251) as u8;
    // If the ring lost a byte, they would wait forever.
    let deadline = Instant::now() + Duration::from_secs(60);
    let wait = || {
        assert!(Instant::now() < deadline, "a side makes no progress");
        std::thread::yield_now();
    };
    std::thread::scope(|scope| {
        scope.spawn(|| {
            let mut own = Cursor::new(64, START);
            let mut sent = 0;
            while sent < TOTAL {
                let end = TOTAL.min(sent + 1 + sent % 37);
                let bytes: Vec<u8> = (sent..end).map(byte).collect();
                let len = stream.produce(&mut own, &bytes, 1);
                sent += len;
                if len == 0 {
                    wait();
                }
            }
        });
        let mut own = Cursor::new(64, START);
        let mut received = 0;
        while received < TOTAL {
            let bytes = stream.consume(&mut own, 1 + received % 41, 1);
            for got in &bytes {
                assert_eq!(*got, byte(received), "at byte {received}");
                received += 1;
            }
            if bytes.is_empty() {
                wait();
            }
        }
    });
    assert_eq!(stream.ring.size(64), Ok(0));
}

/// They sleep and wake each other repeatedly, and neither sleeps forever.
#[test]
fn two_threads_wake_each_other() {
    const TOTAL: usize = 200_000;
    /// A sleeper at an end, with the number of its wake-ups.
    #[derive(Default)]
    struct Queue(Mutex<u64>, Condvar);
    impl Queue {
        fn wake(&self, end: &HostEnd) {
            end.set_waiting(false);
            *self.0.lock().unwrap() += 1;
            self.1.notify_one();
        }
        fn sleep_unless(&self, ready: impl FnOnce() -> bool) {
            let woken = self.0.lock().unwrap();
            let before = *woken;
            if !ready() {
                let limit = Duration::from_secs(60);
                let slept = self
                    .1
                    .wait_timeout_while(woken, limit, |woken| *woken == before);
                assert!(!slept.unwrap().1.timed_out(), "nobody wakes a sleeper");
            }
        }
    }
    let (readers, writers) = (Queue::default(), Queue::default());
    let stream = Stream::new(4, 0);
    std::thread::scope(|scope| {
        scope.spawn(|| {
            let mut own = Cursor::new(4, 0);
            let mut sent = 0;
            while sent < TOTAL {
                let len = stream.produce(&mut own, &[sent as u8], 1);
                sent += len;
                if len == 0 {
                    writers.sleep_unless(|| {
                        stream.ring.producer_will_wait();
                        stream.ring.free(&mut own, 1) != Ok(0)
                    });
                } else if stream.ring.consumer_waits() {
                    readers.wake(&stream.ring.consumer);
                }
            }
        });
        let mut own = Cursor::new(4, 0);
        let mut received = 0;
        while received < TOTAL {
            let bytes = stream.consume(&mut own, 4, 1);
            for got in &bytes {
                assert_eq!(*got, received as u8);
                received += 1;
            }
            if bytes.is_empty() {
                readers.sleep_unless(|| {
                    stream.ring.consumer_will_wait();
                    stream.ring.used(&mut own, 1) != Ok(0)
                });
            } else if stream.ring.producer_waits() {
                writers.wake(&stream.ring.producer);
            }
        }
    });
}
