// SPDX-License-Identifier: GPL-2.0

//! A reader gets on, whatever a writer does between any two of its steps.

use super::memory::{full, full_of_records, interrupted, Read, Shared};
use crate::ring::{
    framing::Framing,
    overtaken::{Look, Next, Tries},
    Cursor,
};
use std::{
    sync::atomic::{AtomicBool, Ordering},
    time::{Duration, Instant},
};

/// Two writes between any two steps, neither of which empties the ring. Together they move `oldest`
/// to the `head` of before.
#[test]
fn a_ring_that_is_never_empty_is_not_found_empty() {
    let (shared, mut producer, own) = full(4);
    let reader = shared.clone();
    let two_writes = move || {
        shared.write(&mut producer, 2);
        shared.write(&mut producer, 2);
    };
    interrupted(two_writes, || {
        for _ in 0..100 {
            let tries = Tries::new(Framing::Stream);
            let found = reader.ring.look(&mut own.clone(), &tries, 4);
            assert_eq!(found, Ok(Look::Overtaken));
            assert_ne!(reader.ring.size_overwriting(4), Ok(0));
        }
    });
}

/// The number of attempts that a reader of bytes needs if `speed` bytes are written between any two
/// of its steps; [`None`] if it gives up.
fn attempts(capacity: u64, speed: u64, most: u64) -> Option<u32> {
    let (shared, mut producer, mut own) = full(capacity);
    let reader = shared.clone();
    interrupted(
        move || shared.write(&mut producer, speed),
        || {
            let mut tries = Tries::new(Framing::Stream);
            (1..=Tries::MOST).find(|_| {
                matches!(reader.read(&mut own, &mut tries, most), Read::Done { len, .. } if len > 0)
            })
        },
    )
}

#[test]
fn a_reader_of_bytes_gets_on() {
    // (capacity, bytes written between two steps, bytes wanted). An attempt has five steps, and one
    // more for every eight bytes.
    for (capacity, speed, most) in [
        (4096, 1, 1),
        (4096, 64, 1),
        (4096, 500, 8),
        (4096, 1, 4096),
        (4096, 16, 4096),
        (4096, 500, 4096),
        (65536, 500, 4096),
        (65536, 500, 65536),
    ] {
        let attempts = attempts(capacity, speed, most);
        assert!(
            attempts.is_some_and(|attempts| attempts > 1),
            "{attempts:?} with {speed} bytes between two steps, {most} of {capacity} wanted"
        );
    }
    // The whole ring is written between two steps: not this way.
    assert_eq!(attempts(4096, 4096, 1), None);
}

/// A small read does not cost more of the record than it has to.
#[test]
fn a_small_read_skips_little() {
    let (shared, mut producer, mut own) = full(1 << 16);
    let reader = shared.clone();
    let lost = interrupted(
        move || shared.write(&mut producer, 4),
        || {
            let mut tries = Tries::new(Framing::Stream);
            let mut read = || reader.read(&mut own, &mut tries, 8);
            (0..Tries::MOST).find_map(|_| match read() {
                Read::Done { lost, .. } => Some(lost),
                _ => None,
            })
        },
    );
    assert!(
        lost.is_some_and(|lost| (1..1000).contains(&lost)),
        "{lost:?} bytes are lost"
    );
}

#[test]
fn a_reader_of_records_gets_on() {
    // (capacity, length of each record)
    for (capacity, len) in [(256, 8), (512, 24), (4096, 8), (4096, 64), (4096, 128)] {
        let (shared, mut producer, mut own) = full_of_records(capacity, len);
        let reader = shared.clone();
        let (oldest, further) = interrupted(
            move || shared.write_record(&mut producer, len),
            || {
                // An attempt that starts at the oldest record is overtaken before it has its header.
                let oldest = (0..1000).find(|_| {
                    let mut tries = Tries::new(Framing::Record);
                    reader.read_record(&mut own, &mut tries) != Read::Overtaken
                });
                let mut tries = Tries::new(Framing::Record);
                let further = (1..=Tries::MOST)
                    .find(|_| reader.read_record(&mut own, &mut tries) != Read::Overtaken);
                (oldest, further)
            },
        );
        assert_eq!(oldest, None);
        assert_eq!(further, Some(3), "{len} bytes each, of {capacity}");
    }
}

#[test]
fn after_two_defeats_a_lock_helps_and_after_sixteen_a_pause() {
    let ring = Shared::new(16, 0).ring;
    let mut tries = Tries::new(Framing::Stream);
    for defeats in 1..=48 {
        ring.overtaken(&mut tries);
        let expected = match defeats {
            1 => Next::Retry,
            16 | 32 | 48 => Next::Pause,
            _ => Next::Lock,
        };
        assert_eq!(tries.next(), expected, "after {defeats}");
    }
}

/// A writer at full speed, and a reader that checks every byte.
#[test]
fn a_reader_gets_on_beside_a_writer_at_full_speed() {
    const CAPACITY: u64 = 64;
    const READS: usize = 2_000;
    let shared = Shared::new(CAPACITY, u64::MAX - 1000);
    let done = AtomicBool::new(false);
    let deadline = Instant::now() + Duration::from_secs(60);
    std::thread::scope(|scope| {
        scope.spawn(|| {
            let mut own = Cursor::new(CAPACITY, u64::MAX - 1000);
            while !done.load(Ordering::Relaxed) {
                let len = 1 + own.position % 40;
                shared.write(&mut own, len);
            }
        });
        let mut own = Cursor::new(CAPACITY, u64::MAX - 1000);
        let mut reads = 0;
        let mut tries = Tries::new(Framing::Stream);
        while reads < READS && Instant::now() < deadline {
            match shared.read(&mut own, &mut tries, 1 + reads as u64 % 41) {
                Read::Done { .. } => {
                    reads += 1;
                    tries = Tries::new(Framing::Stream);
                }
                _ if tries.next() == Next::Pause => std::thread::yield_now(),
                _ => {}
            }
        }
        done.store(true, Ordering::Relaxed);
        assert_eq!(reads, READS, "the reader makes no progress");
    });
}
