// SPDX-License-Identifier: GPL-2.0

//! KUnit tests of what can be tested without a device: the ring and the parsers.

use super::{
    attributes::{
        parse_capacity,
        parse_mode,
        parse_period_ms, //
    },
    fifo::MAX_CAPACITY,
    generator::Mode,
    ring::{
        pieces,
        queued,
        Broken,
        Cursor,
        End,
        Fence,
        Memory,
        Piece,
        Queues,
        Ring, //
    },
    turn::{
        Ticket,
        Turn, //
    },
    uapi, //
};
use kernel::{
    b_str,
    page::PAGE_SIZE,
    prelude::*,
    sync::atomic::{
        Atomic,
        Relaxed, //
    }, //
};

/// The seed of the random tests. They print it, so that a failure can be had again.
const SEED: u64 = 0x7666_6966_6f21;

/// A small random number generator (xorshift64), the same everywhere.
struct Random(u64);

impl Random {
    fn next(&mut self) -> u64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        self.0
    }

    /// A number from 0 to `max`.
    fn up_to(&mut self, max: u64) -> u64 {
        self.next() % (max + 1)
    }
}

/// An end that only one CPU looks at.
struct TestEnd {
    position: Atomic<u64>,
    waiting: Atomic<bool>,
}

impl End for TestEnd {
    fn load_acquire(&self) -> u64 {
        self.position.load(Relaxed)
    }

    fn store_release(&self, position: u64) {
        self.position.store(position, Relaxed);
    }

    fn is_waiting(&self) -> bool {
        self.waiting.load(Relaxed)
    }

    fn set_waiting(&self, waiting: bool) {
        self.waiting.store(waiting, Relaxed);
    }
}

struct TestMemory;

impl Memory for TestMemory {
    type Producer = TestEnd;
    type Consumer = TestEnd;

    fn fence(_: Fence) {}
}

/// A ring, and what both of its ends know.
struct Ends {
    ring: Ring<TestMemory>,
    producer: Cursor,
    consumer: Cursor,
}

impl Ends {
    fn new(capacity: u64, start: u64) -> Self {
        let end = || TestEnd {
            position: Atomic::new(start),
            waiting: Atomic::new(false),
        };
        Self {
            ring: Ring {
                producer: end(),
                consumer: end(),
            },
            producer: Cursor::new(capacity, start),
            consumer: Cursor::new(capacity, start),
        }
    }

    fn free(&mut self) -> Result<u64, Broken> {
        self.ring.free(&mut self.producer, u64::MAX)
    }

    fn used(&mut self) -> Result<u64, Broken> {
        self.ring.used(&mut self.consumer, u64::MAX)
    }

    fn produce(&mut self, len: u64) {
        self.ring.produce(&mut self.producer, len);
    }

    fn consume(&mut self, len: u64) {
        self.ring.consume(&mut self.consumer, len);
    }
}

/// Somebody who sleeps or polls, if so, and for whom there is something, if so.
struct TestQueues {
    sleepers: bool,
    signals: bool,
    pollers: bool,
    // Of them: whether they are exclusive, and whether that is known.
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

/// A stream over a ring, as a driver uses it: with a buffer, checked against a plain queue.
struct Model {
    ends: Ends,
    buffer: KVec<u8>,
    // What should be queued, oldest first.
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

    /// Consumes `len` bytes. `Ok(false)` if they are not those that should come.
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

    /// Whether the ring says of itself what the queue does.
    fn agrees(&mut self) -> Result<bool, Broken> {
        let (used, free) = (self.ends.used()?, self.ends.free()?);
        let (len, capacity) = (self.queue.len() as u64, self.buffer.len() as u64);
        let size = self.ends.ring.size(capacity)?;
        Ok(used == len && free == capacity - len && size == len)
    }
}

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
    fn impossible_positions_are_refused() {
        assert_eq!(queued(0, 0, 16), Ok(0));
        assert_eq!(queued(16, 0, 16), Ok(16));
        assert_eq!(queued(17, 0, 16), Err(Broken));
        assert_eq!(queued(0, 1, 16), Err(Broken));
        assert_eq!(queued(u64::MAX, 0, 16), Err(Broken));
        assert_eq!(queued(7, u64::MAX - 8, 16), Ok(16));
        assert_eq!(queued(8, u64::MAX - 8, 16), Err(Broken));

        // The consumer says so, and clearing heals it.
        let mut ends = Ends::new(16, 0);
        ends.produce(17);
        assert_eq!(ends.used(), Err(Broken));
        assert_eq!(ends.ring.size(16), Err(Broken));
        assert_eq!(ends.ring.clear(&mut ends.consumer), 16);
        assert_eq!(ends.used(), Ok(0));
        assert_eq!(ends.free(), Ok(16));

        // The producer too.
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
    fn who_takes_over_goes_on_from_the_last_valid_position() {
        for start in [0, u64::MAX - 5] {
            let at = |offset: u64| start.wrapping_add(offset);
            let mut ends = Ends::new(16, start);
            ends.produce(10);
            assert_eq!(ends.used(), Ok(10));
            ends.consume(4);
            // (what the producer stored last, where it is taken to have been)
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
            // With a consumer that keeps to itself: a queue that can be, or an empty one.
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
                let taken = ends.ring.consumer_left(None, 16);
                assert_eq!((taken.position, taken.peer), (tail, at(10)));
            }
        }
    }

    #[test]
    fn who_waits_says_so() {
        let ends = Ends::new(16, 0);
        assert!(!ends.ring.consumer_waits() && !ends.ring.producer_waits());
        ends.ring.consumer_will_wait();
        assert!(ends.ring.consumer_waits() && !ends.ring.producer_waits());
        ends.ring.producer_will_wait();
        ends.ring.consumer.set_waiting(false);
        assert!(!ends.ring.consumer_waits() && ends.ring.producer_waits());
    }

    #[test]
    fn who_waits_is_told_or_waits_on() {
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
                // Those that are known to be exclusive keep the word that somebody waits.
                let woken_one = pollers && ready && exclusive;
                assert_eq!(
                    waits,
                    known || sleepers || signals || (pollers && !ready) || woken_one
                );
                // Those that are found to be get no less than what came meanwhile.
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

    #[test]
    fn pieces_stay_within_the_buffer() {
        let none = Piece { offset: 0, len: 0 };
        assert_eq!(pieces(3, 5, 8), [Piece { offset: 3, len: 5 }, none]);
        assert_eq!(
            pieces(3, 6, 8),
            [Piece { offset: 3, len: 5 }, Piece { offset: 0, len: 1 }]
        );
        // Whatever is asked for.
        for position in [0, 7, 8, u64::MAX] {
            for len in [0, 1, 8, 9, u64::MAX] {
                let [first, second] = pieces(position, len, 8);
                assert!(first.offset + first.len <= 8 && second.offset + second.len <= 8);
                assert_eq!((first.len + second.len) as u64, len.min(8));
            }
        }
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

#[kunit_tests(rust_vfifo_parsers)]
mod parser_tests {
    use super::*;

    #[test]
    fn modes() {
        assert_eq!(parse_mode(b_str!("0")), Ok(Mode::Manual));
        assert_eq!(parse_mode(b_str!("manual")), Ok(Mode::Manual));
        assert_eq!(parse_mode(b_str!("1")), Ok(Mode::Auto));
        assert_eq!(parse_mode(b_str!("auto")), Ok(Mode::Auto));
        for text in [
            "", "2", "-1", "00", "01", "1 ", " 1", "Auto", "AUTO", "manuall", "1\n", "\0",
        ] {
            assert_eq!(parse_mode(text.as_bytes().as_ref()), Err(EINVAL));
        }
    }

    #[test]
    fn periods() {
        assert_eq!(parse_period_ms(b_str!("1")), Ok(1));
        assert_eq!(parse_period_ms(b_str!("+1000")), Ok(1000));
        assert_eq!(parse_period_ms(b_str!("0x10")), Ok(16));
        assert_eq!(parse_period_ms(b_str!("+0X1f")), Ok(31));
        assert_eq!(parse_period_ms(b_str!("017")), Ok(15));
        assert_eq!(parse_period_ms(b_str!("3600000")), Ok(3_600_000));
        for text in [
            "0",
            "00",
            "3600001",
            "4294967296",
            "99999999999999999999999",
            "0x10000000000000000",
        ] {
            assert_eq!(parse_period_ms(text.as_bytes().as_ref()), Err(ERANGE));
        }
        for text in [
            "", "-", "ms", "1ms", "1 000", "1.5", "-1", "-0", " 1", "08", "0x", "0x+5", "0b1",
            "++1", "1_0", "\0",
        ] {
            assert_eq!(parse_period_ms(text.as_bytes().as_ref()), Err(EINVAL));
        }
    }

    #[test]
    fn capacities() {
        let page = PAGE_SIZE as u64;
        assert_eq!(parse_capacity(b_str!("1")), Ok(page));
        assert_eq!(parse_capacity(b_str!("4096")), Ok(page.max(4096)));
        assert_eq!(parse_capacity(b_str!("65537")), Ok(131072.max(page)));
        assert_eq!(parse_capacity(b_str!("0x100000")), Ok(1 << 20));
        assert_eq!(parse_capacity(b_str!("1073741824")), Ok(MAX_CAPACITY));
        for text in ["1073741825", "18446744073709551615", "18446744073709551616"] {
            assert_eq!(parse_capacity(text.as_bytes().as_ref()), Err(ERANGE));
        }
        for text in ["", "0", "-4096", "4k", "64 KiB", "0x", "12a", "\0"] {
            assert_eq!(parse_capacity(text.as_bytes().as_ref()), Err(EINVAL));
        }
    }

    #[test]
    fn numbers_are_those_of_the_header() {
        assert_eq!(uapi::CLEAR, 0x6b01);
        assert_eq!(uapi::SET_MODE, 0x4004_6b02);
        assert_eq!(uapi::GET_INFO, 0xc028_6b03);
        assert_eq!(uapi::NOTIFY, 0x6b04);
        assert_eq!(uapi::PIPE_BUF, 4096);
    }

    /// Of any size from the least on; of no other direction, type or number.
    #[test]
    fn info_may_grow() {
        let (direction, number) = (0xc000_0000, 0x6b03);
        for size in 0..0x4000 {
            let cmd = direction | size << 16 | number;
            assert_eq!(uapi::is_get_info(cmd), size >= uapi::INFO_MIN_SIZE as u32);
        }
        for cmd in [
            0x0028_6b03,
            0x4028_6b03,
            0x8028_6b03,
            0xc028_6a03,
            0xc028_6b02,
        ] {
            assert!(!uapi::is_get_info(cmd));
        }
    }

    /// The limit for others is where it was when the turn was taken, whoever takes it over.
    #[test]
    fn turn_limits_the_others() {
        let start = u64::MAX - 1000;
        let turn = Turn::new();
        let [mut first, mut second, mut third] = [(); 3].map(|()| Ticket::NONE);
        assert_eq!(turn.needed(), None);
        assert_eq!(turn.left_for_others(start, 4096), 4096);

        // The first to come takes it, and others do not.
        assert!(turn.take(&mut first, true, start, 8192, 100));
        assert!(!turn.take(&mut second, true, start, 8192, 1));
        assert!(!turn.take(&mut third, false, start, 8192, 1));
        assert_eq!(turn.needed(), Some(100));
        assert!(turn.is_of(&first) && !turn.is_of(&second) && !turn.is_of(&Ticket::NONE));
        for (written, left) in [(0, 4096), (4096, 4096), (4097, 4095), (8192, 0), (8193, 0)] {
            let head = start.wrapping_add(written);
            assert_eq!(turn.left_for_others(head, 4096), left);
        }

        // Who comes when it is free takes it, and one that is older takes it over.
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
        assert!(turn.is_of_a_newer(&second) && !turn.is_of_a_newer(&third));
        assert!(turn.take(&mut second, true, later.wrapping_add(100), 8192, 2));
        assert!(!turn.is_of(&third) && turn.is_of(&second));
        assert_eq!(turn.needed(), Some(2));
        assert_eq!(turn.left_for_others(later.wrapping_add(100), 9000), 8092);
        assert!(turn.give_up(&third).is_none() && turn.give_up(&second).is_some());
        assert!(!turn.is_taken());

        // While it is reserved the limit holds; any that has slept takes it over or gives it up.
        assert!(turn.reserve(later, 8192) && !turn.reserve(later, 4096));
        assert_eq!(turn.needed(), None);
        assert_eq!(turn.left_for_others(later, 9000), 8192);
        assert!(turn.is_of_a_newer(&third) && turn.give_up(&Ticket::NONE).is_none());
        assert!(turn.take(&mut third, true, later.wrapping_add(1), 8192, 3));
        assert_eq!(turn.left_for_others(later, 9000), 8192);
        assert!(turn.give_up(&third).is_some() && turn.reserve(later, 8192));
        assert!(turn.give_up(&second).is_some() && !turn.is_taken());
        assert!(turn.reserve(later, 8192));
        turn.unreserve();
        assert!(!turn.is_taken());
    }

    #[test]
    fn info_is_laid_out_as_in_the_header() {
        let mut expected = [0; uapi::INFO_SIZE];
        let fields: [(usize, &[u8]); 6] = [
            (0, &40u32.to_ne_bytes()),
            (4, &1u32.to_ne_bytes()),
            (8, &8192u64.to_ne_bytes()),
            (16, &0u64.to_ne_bytes()),
            (24, &(2u64 << 30).to_ne_bytes()),
            (32, &(3u64 << 30).to_ne_bytes()),
        ];
        for (offset, bytes) in fields {
            expected[offset..][..bytes.len()].copy_from_slice(bytes);
        }
        assert_eq!(uapi::info(100, 8192), expected);
        assert_eq!(uapi::info(40, 8192), expected);
        expected[..4].copy_from_slice(&24u32.to_ne_bytes());
        assert_eq!(uapi::info(24, 8192), expected);
    }
}
