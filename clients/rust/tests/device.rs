// SPDX-License-Identifier: GPL-2.0 OR MIT
// Copyright (C) 2026 Seed 1f3ad1c2 maintainers.

//! Tests with the driver: `VFIFO_DEVICE=/dev/vfifo0 cargo test --test device`. Bytes that are
//! queued there are lost.

#[path = "device/ends.rs"]
mod ends;
#[path = "device/fixture.rs"]
mod fixture;
#[path = "device/kinds.rs"]
mod kinds;
#[path = "device/overwriting.rs"]
mod overwriting;
#[path = "device/records.rs"]
mod records;

use fixture::{bytes, deadline, device, kind, kind_with_end, Kind};
use std::fs::File;
use std::io::{self, Read, Write};
use std::os::fd::{AsFd, AsRawFd, FromRawFd, OwnedFd};
use std::time::Duration;
use vfifo::{Consumer, Error, Producer};

#[test]
fn ends_have_one_owner() {
    let device = device();
    let producer = device.producer();
    let second = Producer::open(&device.path).err().unwrap();
    assert!(matches!(second, Error::Claimed), "{second}");
    let plain = device.file().write(b"x").unwrap_err();
    assert_eq!(plain.kind(), io::ErrorKind::ResourceBusy);
    drop(producer);
    assert_eq!(device.file().write(b"x").unwrap(), 1);

    let consumer = device.consumer();
    assert!(Consumer::from_fd(device.file()).is_err());
    let plain = device.file().read(&mut [0]).unwrap_err();
    assert_eq!(plain.kind(), io::ErrorKind::ResourceBusy);
    drop(consumer);
    let mut got = [0];
    assert_eq!(device.file().read(&mut got).unwrap(), 1);
    assert_eq!(&got, b"x");
}

#[test]
fn other_files_are_refused() {
    let _device = device();
    let error = Producer::open("/dev/null").err().unwrap();
    assert_eq!(error.errno(), Some(libc::ENOTTY));
    assert!(Consumer::open("/nonexistent").is_err());
    assert!(Consumer::from_fd(File::open("/dev/zero").unwrap()).is_err());
}

/// Moves bytes from one kind of producer to one kind of consumer, in another thread.
fn moves(
    mut give: impl FnMut(&[u8]) + Send,
    mut take: impl FnMut(&mut [u8]) -> usize,
    total: usize,
) {
    std::thread::scope(|scope| {
        scope.spawn(move || {
            let mut at = 0;
            while at < total {
                let len = (1 + at % 9999).min(total - at);
                give(&bytes(at, len));
                at += len;
            }
        });
        let (mut at, mut got) = (0, vec![0; 10_000]);
        while at < total {
            let most = (1 + at % 8888).min(total - at);
            let len = take(&mut got[..most]);
            assert_eq!(got[..len], bytes(at, len), "at {at}");
            at += len;
        }
    });
}

const TOTAL: usize = 2_000_000;

#[test]
fn mapped_to_mapped() {
    let device = device();
    let (mut producer, mut consumer) = (device.producer(), device.consumer());
    moves(
        |bytes| {
            let mut place = producer.reserve_wait(bytes.len()).unwrap();
            place.put(0, bytes).unwrap();
            place.commit(bytes.len()).unwrap();
        },
        |to| {
            let bytes = consumer.peek_wait(1).unwrap();
            let len = bytes.len().min(to.len());
            bytes.get(0, &mut to[..len]).unwrap();
            bytes.release(len).unwrap();
            len
        },
        TOTAL,
    );
}

#[test]
fn mapped_to_read() {
    let device = device();
    let (mut producer, mut file) = (device.producer(), device.file());
    moves(
        |bytes| producer.write_all(bytes).unwrap(),
        |to| file.read(to).unwrap(),
        TOTAL,
    );
}

#[test]
fn write_to_mapped() {
    let device = device();
    let (mut file, mut consumer) = (device.file(), device.consumer());
    moves(
        |bytes| file.write_all(bytes).unwrap(),
        |to| consumer.read(to).unwrap(),
        TOTAL,
    );
}

#[test]
fn waits_for_more_than_some() {
    let device = device();
    let mut consumer = device.consumer();
    let mut file = device.file();
    std::thread::scope(|scope| {
        scope.spawn(|| {
            for _ in 0..50 {
                file.write_all(b"0123456789").unwrap();
                std::thread::sleep(Duration::from_millis(1));
            }
        });
        consumer.wait(500, Some(deadline())).unwrap();
        assert_eq!(consumer.peek().unwrap().len(), 500);
    });
    let more = consumer.wait(501, Some(Duration::from_millis(20)));
    assert!(matches!(more, Err(Error::NotYet)));
}

#[test]
fn sleeps_on_after_a_stop() {
    let device = device();
    let mut consumer = device.consumer();
    let sleeper = std::thread::spawn(move || consumer.wait(1, Some(deadline())));
    // More than once, since it may not be asleep yet the first time.
    for _ in 0..10 {
        let stop = format!("kill -STOP {0}; kill -CONT {0}", std::process::id());
        let status = std::process::Command::new("sh")
            .args(["-c", &stop])
            .status();
        assert!(status.unwrap().success());
        std::thread::sleep(Duration::from_millis(50));
    }
    device.file().write_all(b"x").unwrap();
    sleeper.join().unwrap().unwrap();
}

/// `std::io::pipe()` needs Rust 1.87.
fn pipe() -> (File, File) {
    let mut ends = [0; 2];
    // SAFETY: There is room for two descriptors.
    let made = unsafe { libc::pipe2(ends.as_mut_ptr(), libc::O_CLOEXEC) };
    assert_eq!(made, 0);
    // SAFETY: Nothing else owns these descriptors.
    ends.map(|end| unsafe { File::from_raw_fd(end) }).into()
}

/// The kernel moves the bytes between the FIFO and another file.
#[test]
fn buffer_of_other_calls() {
    let device = device();
    let (mut producer, mut consumer) = (device.producer(), device.consumer());
    let (mut from, mut to) = pipe();
    to.write_all(&bytes(0, 3000)).unwrap();
    let mut place = producer.reserve_wait(4000).unwrap();
    assert_eq!(place.read_from(from.as_fd()).unwrap(), 3000);
    place.commit(3000).unwrap();
    let queued = consumer.peek_wait(3000).unwrap();
    assert_eq!(queued.write_to(to.as_fd()).unwrap(), 3000);
    queued.release(3000).unwrap();
    let mut got = vec![0; 3000];
    from.read_exact(&mut got).unwrap();
    assert_eq!(got, bytes(0, 3000));
}

/// Bytes that were not released are there for the next consumer.
#[test]
fn what_is_left_is_not_lost() {
    let device = device();
    device.producer().write_all(b"hello").unwrap();
    let mut consumer = device.consumer();
    consumer.peek_wait(5).unwrap().release(2).unwrap();
    drop(consumer);
    let mut got = [0; 9];
    assert_eq!(device.file().read(&mut got).unwrap(), 3);
    assert_eq!(&got[..3], b"llo");
}

/// An event loop that polls an end is woken, even after the end itself has waited.
#[test]
fn event_loop_is_told_too() {
    let device = device();
    let (mut producer, mut consumer) = (device.producer(), device.consumer());
    // SAFETY: This has no preconditions.
    let epoll = unsafe { libc::epoll_create1(libc::EPOLL_CLOEXEC) };
    assert!(epoll >= 0, "{}", io::Error::last_os_error());
    // SAFETY: The descriptor is new, so nothing else owns it.
    let epoll = unsafe { OwnedFd::from_raw_fd(epoll) };
    let mut event = libc::epoll_event {
        events: libc::EPOLLIN as u32,
        u64: 0,
    };
    // SAFETY: The event is valid during the call.
    let added = unsafe {
        libc::epoll_ctl(
            epoll.as_raw_fd(),
            libc::EPOLL_CTL_ADD,
            consumer.as_fd().as_raw_fd(),
            &mut event,
        )
    };
    assert_eq!(added, 0, "{}", io::Error::last_os_error());
    let mut heard = |timeout| {
        // SAFETY: There is room for one event.
        unsafe { libc::epoll_wait(epoll.as_raw_fd(), &mut event, 1, timeout) }
    };
    assert_eq!(heard(0), 0);
    let more = consumer.wait(1, Some(Duration::from_millis(20)));
    assert!(matches!(more, Err(Error::NotYet)));
    producer.write_all(b"x").unwrap();
    assert_eq!(heard(1000), 1);
}
