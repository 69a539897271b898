// SPDX-License-Identifier: GPL-2.0 OR MIT
// Copyright (C) 2026 Seed 1f3ad1c2 maintainers.

use super::*;
use vfifo::{RecordConsumer, RecordProducer};

const RECORDS: usize = 3000;

fn len(i: usize) -> usize {
    1 + i * 37 % 1500
}

/// Moves records from one kind of producer to one kind of consumer, in another thread.
fn moves(mut give: impl FnMut(&[u8]) + Send, mut take: impl FnMut() -> Vec<Vec<u8>>) {
    std::thread::scope(|scope| {
        scope.spawn(move || (0..RECORDS).for_each(|i| give(&bytes(i, len(i)))));
        let mut i = 0;
        while i < RECORDS {
            for record in take() {
                assert_eq!(record, bytes(i, len(i)), "record {i}");
                i += 1;
            }
        }
    });
}

fn put(producer: &mut RecordProducer, payload: &[u8]) {
    // More than is committed.
    let mut place = producer.reserve_wait(payload.len() + 100).unwrap();
    place.put(0, payload).unwrap();
    place.commit(payload.len()).unwrap();
}

fn take_all(consumer: &mut RecordConsumer) -> Vec<Vec<u8>> {
    let mut records = consumer.peek_wait().unwrap();
    let copies = records.iter().map(|record| record.unwrap().to_vec());
    let copies = copies.collect();
    records.release().unwrap();
    copies
}

#[test]
fn mapped_to_mapped() {
    let Some(kind) = kind("record", "0") else {
        return;
    };
    let mut producer = RecordProducer::open(&kind.device.path).unwrap();
    let mut consumer = RecordConsumer::open(&kind.device.path).unwrap();
    moves(
        |payload| put(&mut producer, payload),
        || take_all(&mut consumer),
    );
}

#[test]
fn mapped_to_read() {
    let Some(kind) = kind("record", "0") else {
        return;
    };
    let mut producer = RecordProducer::open(&kind.device.path).unwrap();
    let mut file = kind.device.file();
    let mut record = vec![0; 2000];
    let read = || {
        let len = file.read(&mut record).unwrap();
        vec![record[..len].to_vec()]
    };
    moves(|payload| put(&mut producer, payload), read);
}

#[test]
fn write_to_mapped() {
    let Some(kind) = kind("record", "0") else {
        return;
    };
    let mut consumer = RecordConsumer::open(&kind.device.path).unwrap();
    let mut file = kind.device.file();
    let write = |payload: &[u8]| assert_eq!(file.write(payload).unwrap(), payload.len());
    moves(write, || take_all(&mut consumer));
}

/// Records that were not released are there for the next consumer, of whatever kind.
#[test]
fn what_is_left_is_not_lost() {
    let Some(kind) = kind("record", "0") else {
        return;
    };
    let mut producer = RecordProducer::open(&kind.device.path).unwrap();
    for payload in [&b"one"[..], b"two", b"three", b"four"] {
        put(&mut producer, payload);
    }
    // Reserved, but not committed.
    let _ = producer.reserve(9).unwrap();
    drop(producer);

    let mut consumer = RecordConsumer::open(&kind.device.path).unwrap();
    let mut records = consumer.peek_wait().unwrap();
    let three = records.iter().take(3).map(Result::unwrap);
    let [one, two, three] = three.collect::<Vec<_>>().try_into().unwrap();
    assert_eq!(
        (one.to_vec(), two.len(), three.len()),
        (b"one".to_vec(), 3, 5)
    );
    three.put_back();
    records.release().unwrap();
    drop(consumer);

    let mut got = [0; 9];
    assert_eq!(kind.device.file().read(&mut got).unwrap(), 5);
    assert_eq!(&got[..5], b"three");
    let mut consumer = RecordConsumer::open(&kind.device.path).unwrap();
    assert_eq!(take_all(&mut consumer), [b"four"]);
    assert!(matches!(consumer.peek(), Err(Error::NotYet)));
    let more = consumer.wait(Some(Duration::from_millis(20)));
    assert!(matches!(more, Err(Error::NotYet)));
}

#[test]
fn waits_for_room() {
    let Some(kind) = kind("record", "0") else {
        return;
    };
    let mut producer = RecordProducer::open(&kind.device.path).unwrap();
    let largest = producer.largest();
    assert_eq!(largest, producer.capacity() - 8);
    put(&mut producer, &vec![1; largest - 100]);
    assert!(matches!(producer.reserve(100), Err(Error::NotYet)));
    let timeout = Some(Duration::from_millis(20));
    assert!(matches!(
        producer.wait(largest, timeout),
        Err(Error::NotYet)
    ));
    let mut file = kind.device.file();
    std::thread::scope(|scope| {
        scope.spawn(|| {
            let mut record = vec![0; largest];
            assert_eq!(file.read(&mut record).unwrap(), largest - 100);
        });
        producer.wait(largest, Some(deadline())).unwrap();
    });
}
