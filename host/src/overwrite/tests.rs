// SPDX-License-Identifier: GPL-2.0

//! One step after the other.

use super::memory::{full, full_of_records, Read};
use crate::ring::{
    framing::{Framing, Refused},
    overtaken::{Look, Tries, Window},
    overwrite::gone,
    record::{offset, Header, Record},
    switch::Cleared,
};

#[test]
fn as_many_old_bytes_make_way_as_are_needed() {
    let (shared, mut producer, mut consumer) = full(16);
    shared.write(&mut producer, 3);
    assert_eq!(producer.position.wrapping_sub(producer.peer), 16);
    assert_eq!(shared.ring.size_overwriting(16), Ok(16));
    let mut tries = Tries::new(Framing::Stream);
    let read = shared.read(&mut consumer, &mut tries, 10);
    assert_eq!(read, Read::Done { lost: 3, len: 10 });
    // There is room now, but the producer does not know, and need not.
    shared.write(&mut producer, 1);
    assert_eq!(shared.ring.size_overwriting(16), Ok(7));
    let read = shared.read(&mut consumer, &mut tries, 16);
    assert_eq!(read, Read::Done { lost: 0, len: 7 });
    assert_eq!(shared.read(&mut consumer, &mut tries, 16), Read::Empty);
    assert_eq!(shared.ring.size_overwriting(16), Ok(0));
    // More than the capacity at once.
    shared.write(&mut producer, 100);
    let read = shared.read(&mut consumer, &mut tries, 16);
    assert_eq!(read, Read::Done { lost: 84, len: 16 });
}

#[test]
fn as_many_old_records_make_way_as_are_needed() {
    let (shared, mut producer, mut consumer) = full_of_records(64, 8);
    let first = producer.peer;
    // 24 bytes in the ring, so two of 16 bytes each.
    shared.write_record(&mut producer, 9);
    assert_eq!(producer.peer, first.wrapping_add(32));
    let mut tries = Tries::new(Framing::Record);
    let lost = producer.peer.wrapping_sub(consumer.position);
    let read = shared.read_record(&mut consumer, &mut tries);
    assert_eq!(read, Read::Done { lost, len: 16 });
    // One that fills the ring.
    shared.write_record(&mut producer, 56);
    let read = shared.read_record(&mut consumer, &mut tries);
    assert_eq!(read, Read::Done { lost: 40, len: 64 });
    assert_eq!(shared.read_record(&mut consumer, &mut tries), Read::Empty);
}

#[test]
fn old_records_are_dropped_a_few_at_a_time() {
    let (shared, mut producer, _) = full_of_records(256, 8);
    let first = producer.peer;
    let mut reserve = |most| {
        let header = |offset| shared.load_header(offset);
        let place = shared
            .ring
            .reserve_overwriting(&mut producer, 248, most, header);
        let dropped = producer.peer.wrapping_sub(first) / 16;
        (place.map(|place| place.is_some()), dropped)
    };
    assert_eq!(reserve(0), (Ok(false), 0));
    assert_eq!(reserve(5), (Ok(false), 5));
    assert_eq!(reserve(5), (Ok(false), 10));
    // It has given up. The records are gone.
    assert_eq!(shared.ring.size_overwriting(256), Ok(96));
    assert_eq!(reserve(6), (Ok(true), 16));
    assert_eq!(reserve(0), (Ok(true), 16));
}

#[test]
fn a_wrong_header_in_the_way_is_an_error() {
    let (shared, mut producer, _) = full_of_records(64, 8);
    let before = producer;
    let forged = Header { len: 8, flags: 1 }.to_raw();
    let second = offset(producer.peer.wrapping_add(16), 64);
    shared.store_header(second, forged);
    let header = |offset| shared.load_header(offset);
    let result = shared
        .ring
        .reserve_overwriting(&mut producer, 24, 9, header);
    assert_eq!(result, Err(Refused::Broken));
    // Nothing was dropped.
    assert_eq!(producer, before);
    let result = shared
        .ring
        .reserve_overwriting(&mut producer, 57, 9, header);
    assert_eq!(result, Err(Refused::Length));
}

#[test]
fn records_of_a_window_are_used_in_place() {
    let (shared, mut producer, mut own) = full_of_records(64, 8);
    own.position = producer.peer;
    let tries = Tries::new(Framing::Record);
    let Ok(Look::Found(mut window)) = shared.ring.look(&mut own, &tries, 64) else {
        panic!("there are four");
    };
    let step = |window: &Window| -> Option<Record> {
        let raw = shared.load_header(offset(window.start(), 64));
        let record = shared.ring.intact(window)?.record(raw);
        Some(record.expect("honest"))
    };
    let first = step(&window).expect("nothing was overwritten");
    let intact = shared
        .ring
        .intact(&window)
        .expect("nothing was overwritten");
    assert_eq!(shared.ring.take(&mut own, intact, first.size()), 0);
    window = window.after(&first).expect("three are left");
    // The first one is overwritten, which does not matter any more, and then the second one.
    shared.write_record(&mut producer, 8);
    let second = step(&window).expect("it was not overwritten");
    shared.write_record(&mut producer, 8);
    assert_eq!(shared.ring.intact(&window), None);
    let third = step(&window.after(&second).expect("two are left"));
    let window = window.after(&second).and_then(|rest| rest.after(&third?));
    assert!(window.is_some_and(|last| last.len() == 16));
}

#[test]
fn bytes_are_counted_once() {
    let (shared, mut producer, mut own) = full(16);
    shared.write(&mut producer, 5);
    assert_eq!(gone(producer.peer, own.position), 5);
    // Cleared, and gone before.
    assert_eq!(
        shared.ring.clear_overwriting(&mut own),
        Cleared {
            cleared: 16,
            lost: 5
        }
    );
    assert_eq!(gone(producer.peer, own.position), 0);
    assert_eq!(shared.ring.size_overwriting(16), Ok(0));
    shared.write(&mut producer, 3);
    assert_eq!(
        shared.ring.clear_overwriting(&mut own),
        Cleared {
            cleared: 3,
            lost: 0
        }
    );
}

#[test]
fn the_setting_changes_at_any_time() {
    let (shared, mut producer, mut own) = full(16);
    shared.write(&mut producer, 5);
    assert_eq!(shared.ring.stop_overwriting(&mut producer, &mut own), 5);
    assert_eq!(shared.ring.free(&mut producer, 1), Ok(0));
    assert_eq!(shared.ring.used(&mut own, 17), Ok(16));
    assert_eq!(shared.ring.size(16), Ok(16));
    shared.ring.consume(&mut own, 10);
    assert_eq!(shared.ring.free(&mut producer, 16), Ok(10));
    shared.write(&mut producer, 2);
    shared.ring.start_overwriting(&mut producer, &mut own);
    // All that is queued is still there, and no more than that.
    assert_eq!(shared.ring.size_overwriting(16), Ok(8));
    shared.write(&mut producer, 9);
    let read = shared.read(&mut own, &mut Tries::new(Framing::Stream), 16);
    assert_eq!(read, Read::Done { lost: 1, len: 16 });
}
