// SPDX-License-Identifier: GPL-2.0 OR MIT
// Copyright (C) 2026 Seed 1f3ad1c2 maintainers.

//! What programs expect of an end: its file, its errors, its end.

use super::*;
use std::io::BufRead;
use vfifo::{overwriting, Gone, Info, Pollable, RecordConsumer, RecordProducer};

/// Only what is new at the other end makes the descriptor readable.
#[test]
fn event_loop_waits_for_more_than_one_byte() {
    let device = device();
    let (mut producer, mut consumer) = (device.producer(), device.consumer());
    let has_news = |consumer: &Consumer, timeout| {
        let mut fd = libc::pollfd {
            fd: consumer.news().as_raw_fd(),
            events: libc::POLLIN,
            revents: 0,
        };
        // SAFETY: There is one.
        unsafe { libc::poll(&mut fd, 1, timeout) == 1 }
    };
    let at_once = deadline().as_millis() as i32;
    assert!(matches!(consumer.ask(3), Err(Error::NotYet)));
    assert!(!has_news(&consumer, 0));
    for _ in 0..2 {
        producer.write_all(b"x").unwrap();
        assert!(has_news(&consumer, at_once));
        assert!(matches!(consumer.ask(3), Err(Error::NotYet)));
        assert!(!has_news(&consumer, 0));
    }
    producer.write_all(b"x").unwrap();
    assert!(has_news(&consumer, at_once));
    consumer.ask(3).unwrap();
    assert!(matches!(
        consumer.ask(consumer.capacity() + 1),
        Err(Error::Range)
    ));
}

#[test]
fn event_loop_waits_for_a_record() {
    let Some(kind) = kind("record", "0") else {
        return;
    };
    let mut consumer = RecordConsumer::open(&kind.device.path).unwrap();
    assert!(matches!(consumer.ask(1), Err(Error::NotYet)));
    let mut producer = RecordProducer::open(&kind.device.path).unwrap();
    producer.ask(producer.largest()).unwrap();
    producer.write(b"x").unwrap();
    assert!(matches!(
        producer.ask(producer.largest()),
        Err(Error::NotYet)
    ));
    consumer.ask(1).unwrap();
    assert!(matches!(producer.ask(0), Err(Error::Length)));
}

/// The file goes on without the end.
#[test]
fn an_end_becomes_a_file_again() {
    let device = device();
    let producer = device.producer();
    let fd = producer.as_raw_fd();
    assert!(format!("{producer:?}").contains(&format!("fd: {fd}")));
    let file = OwnedFd::from(producer);
    assert_eq!(file.as_raw_fd(), fd);
    // The end is free, for this file and for others.
    let mut file = File::from(file);
    file.write_all(b"x").unwrap();
    let mut producer = device.producer();
    assert!(matches!(Producer::from_fd(file), Err(Error::Claimed)));
    producer.write_all(b"y").unwrap();
    let mut got = [0; 3];
    assert_eq!(device.file().read(&mut got).unwrap(), 2);
    assert_eq!(&got[..2], b"xy");
}

#[test]
fn lines_are_read() {
    let device = device();
    let mut consumer = device.consumer();
    device.file().write_all(b"one\ntwo\nrest").unwrap();
    let mut line = String::new();
    consumer.read_line(&mut line).unwrap();
    consumer.read_line(&mut line).unwrap();
    assert_eq!(line, "one\ntwo\n");
    assert_eq!(consumer.queued().unwrap(), 4);
    drop(consumer);
    let mut got = [0; 9];
    assert_eq!(device.file().read(&mut got).unwrap(), 4);
    assert_eq!(&got[..4], b"rest");
}

#[test]
fn timeouts_expire() {
    let device = device();
    let short = Duration::from_millis(20);
    let (mut producer, mut consumer) = (device.producer(), device.consumer());
    consumer.set_read_timeout(Some(short));
    let late = consumer.read(&mut [0]).unwrap_err();
    assert_eq!(late.kind(), io::ErrorKind::WouldBlock);
    let late = consumer.fill_buf().unwrap_err();
    assert_eq!(late.kind(), io::ErrorKind::WouldBlock);
    let late = consumer.peek_timeout(1, short);
    assert!(matches!(late, Err(Error::NotYet)));
    producer.set_write_timeout(Some(short));
    let all = producer.capacity();
    producer.write_all(&vec![1; all]).unwrap();
    let late = producer.write(b"x").unwrap_err();
    assert_eq!(late.kind(), io::ErrorKind::WouldBlock);
    let late = producer.reserve_timeout(1, short);
    assert!(matches!(late, Err(Error::NotYet)));
    assert!(matches!(producer.reserve(all + 1), Err(Error::Range)));
    consumer.peek().unwrap().release(all).unwrap();
    producer.reserve_timeout(all, short).unwrap();
}

#[test]
fn info_is_that_of_the_device() {
    let Some(kind) = kind_with_end("record", "1") else {
        return;
    };
    let file = File::open(&kind.device.path).unwrap();
    let info = Info::of(&file).unwrap();
    let size = std::fs::read_to_string(kind.device.attribute("capacity")).unwrap();
    assert_eq!(info.capacity().to_string(), size.trim());
    assert!(info.has_records() && info.overwrites() && info.hangs_up());
    assert!(info.has_readers() && !info.has_writers() && !info.is_broken());
    let error = Info::of(File::open("/dev/null").unwrap()).unwrap_err();
    assert_eq!(error.errno(), Some(libc::ENOTTY));
}

/// "Nothing yet" and "ended" can be told apart, at both ends.
#[test]
fn a_stream_ends() {
    let Some(kind) = kind_with_end("stream", "0") else {
        return;
    };
    let path = &kind.device.path;
    let mut consumer = Consumer::open(path).unwrap();
    // Nobody has been there yet.
    let short = Duration::from_millis(20);
    let nothing = consumer.peek_timeout(1, short);
    assert!(matches!(nothing, Err(Error::NotYet)));
    let mut producer = Producer::open(path).unwrap();
    producer.check().unwrap();
    producer.write_all(b"last").unwrap();
    drop(producer);
    assert_eq!(consumer.peek_wait(4).unwrap().len(), 4);
    let ended = consumer.wait(5, None).unwrap_err();
    assert!(matches!(ended, Error::Ended(Gone::Writers)), "{ended}");
    let mut all = String::new();
    consumer.read_to_string(&mut all).unwrap();
    assert_eq!(all, "last");
    assert_eq!(consumer.fill_buf().unwrap(), b"");

    // A new writer continues the stream.
    let mut producer = Producer::open(path).unwrap();
    let nothing = consumer.peek_timeout(1, short);
    assert!(matches!(nothing, Err(Error::NotYet)));
    drop(consumer);
    let ended = producer.check().unwrap_err();
    assert!(matches!(ended, Error::Ended(Gone::Readers)), "{ended}");
    let all = producer.capacity();
    producer.wait(all, None).unwrap();
    producer.write_all(&vec![0; all]).unwrap();
    let ended = producer.wait(1, None).unwrap_err();
    assert!(matches!(ended, Error::Ended(Gone::Readers)), "{ended}");
    let pipe = producer.write(b"x").unwrap_err();
    assert_eq!(pipe.kind(), io::ErrorKind::BrokenPipe);
}

/// A position or header that is impossible is its own error, of every kind of FIFO.
#[test]
fn a_broken_record_is_told() {
    let Some(kind) = kind("record", "0") else {
        return;
    };
    let mut producer = RecordProducer::open(&kind.device.path).unwrap();
    let mut consumer = RecordConsumer::open(&kind.device.path).unwrap();
    producer.write(b"good").unwrap();
    let mut place = producer.reserve(8).unwrap();
    place.put(0, b"wrong").unwrap();
    // SAFETY: The eight bytes before a payload are its header, which the next line but one stores.
    let header = unsafe { place.as_raw().cast::<u64>().sub(1) };
    place.commit(8).unwrap();
    // SAFETY: As above; the consumer has not looked at it yet.
    unsafe { header.write_volatile(u64::MAX) };
    let mut got = Vec::new();
    consumer.read_to_vec(&mut got).unwrap();
    assert_eq!(got, b"good");
    let broken = consumer.read_to_vec(&mut got).unwrap_err();
    assert!(matches!(broken, Error::Broken), "{broken}");
    assert_eq!(io::Error::from(broken).raw_os_error(), Some(libc::EIO));
}

#[test]
fn records_are_copied() {
    let Some(kind) = kind("record", "0") else {
        return;
    };
    let mut producer = RecordProducer::open(&kind.device.path).unwrap();
    let mut consumer = RecordConsumer::open(&kind.device.path).unwrap();
    producer.write(b"one").unwrap();
    producer.write_wait(b"three").unwrap();
    assert!(matches!(producer.write(b""), Err(Error::Length)));
    assert_eq!(consumer.queued().unwrap(), 32);
    let mut four = [0; 4];
    assert_eq!(consumer.read(&mut four).unwrap(), 3);
    assert!(matches!(consumer.read(&mut four), Err(Error::Length)));
    let mut got = Vec::new();
    consumer.read_to_vec(&mut got).unwrap();
    assert_eq!(got, b"three");
    assert!(matches!(consumer.read(&mut four), Err(Error::NotYet)));
    let late = consumer.peek_timeout(Duration::from_millis(20));
    assert!(matches!(late, Err(Error::NotYet)));
}

#[test]
fn an_overwriting_reader_waits_for_a_time() {
    let Some(kind) = kind_with_end("stream", "1") else {
        return;
    };
    let mut consumer = overwriting::Consumer::open(&kind.device.path).unwrap();
    let mut got = [0; 4];
    let late = consumer.read_timeout(&mut got, Duration::from_millis(20));
    assert!(matches!(late, Err(Error::NotYet)));
    kind.device.file().write_all(b"abcde").unwrap();
    assert_eq!(consumer.queued().unwrap(), 5);
    let read = consumer.read_timeout(&mut got, deadline()).unwrap();
    assert_eq!((read.len, &got), (4, b"abcd"));
    consumer.read_wait(&mut got).unwrap();
    let ended = consumer.read_timeout(&mut got, deadline());
    assert!(matches!(ended, Err(Error::Ended(Gone::Writers))));
}
