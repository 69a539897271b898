// SPDX-License-Identifier: GPL-2.0

//! Tests of both ends, on memory with the layout of the device and with a bell that needs no
//! kernel.

use crate::consumer;
use crate::end::{Bell, End, Wake};
use crate::map::{page_size, Region};
use crate::producer;
use std::fs::File;
use std::io;
use std::os::fd::{AsFd, FromRawFd, OwnedFd};
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Condvar, Mutex};
use std::time::{Duration, Instant};

/// Two bells, one for each end.
#[derive(Clone, Default)]
struct Pull {
    rung: Arc<[(Mutex<bool>, Condvar); 2]>,
    own: usize,
    wakes: Arc<AtomicU64>,
    /// Whether everybody at the other end has gone, for each of the two.
    ended: Arc<[AtomicBool; 2]>,
}

impl Pull {
    /// Everybody at the other end has gone.
    fn end(&self) {
        self.ended[self.own].store(true, Ordering::SeqCst);
        let (rung, condvar) = &self.rung[self.own];
        *rung.lock().unwrap() = true;
        condvar.notify_one();
    }
}

impl Bell for Pull {
    fn wake(&self) -> io::Result<()> {
        self.wakes.fetch_add(1, Ordering::Relaxed);
        let (rung, condvar) = &self.rung[1 - self.own];
        *rung.lock().unwrap() = true;
        condvar.notify_one();
        Ok(())
    }

    fn sleep(&self, timeout: Option<Duration>) -> io::Result<Wake> {
        let (rung, condvar) = &self.rung[self.own];
        let timeout = timeout.unwrap_or(Duration::from_secs(20));
        let ended = || self.ended[self.own].load(Ordering::SeqCst);
        let (mut rung, over) = condvar
            .wait_timeout_while(rung.lock().unwrap(), timeout, |rung| !*rung && !ended())
            .unwrap();
        // No test takes this long: a wake-up was lost.
        assert!(!over.timed_out() || timeout < Duration::from_secs(20));
        *rung = false;
        match ended() {
            true => Ok(Wake::Ended),
            false => Ok(Wake::Look),
        }
    }
}

/// The memory of a device, without a kernel behind it.
struct Fifo {
    file: OwnedFd,
    capacity: usize,
    bell: Pull,
}

impl Fifo {
    /// A FIFO of `pages` pages, a power of two, whose next byte is number `start`.
    fn new(pages: usize, start: u64) -> Self {
        // SAFETY: The name is a C string.
        let file = unsafe { libc::memfd_create(c"vfifo".as_ptr(), libc::MFD_CLOEXEC) };
        assert!(file >= 0, "{}", io::Error::last_os_error());
        // SAFETY: The descriptor is new, so nothing else owns it.
        let file = unsafe { OwnedFd::from_raw_fd(file) };
        let capacity = pages * page_size();
        let fifo = Self {
            file,
            capacity,
            bell: Pull::default(),
        };
        File::from(fifo.file.try_clone().unwrap())
            .set_len((capacity + 2 * page_size()) as u64)
            .unwrap();
        for side in 0..2 {
            fifo.page(side, true)
                .end_page()
                .position
                .store(start, Ordering::Relaxed);
        }
        fifo
    }

    /// The page of the producer (0) or the consumer (1).
    fn page(&self, side: usize, writable: bool) -> Region {
        let offset = self.capacity + side * page_size();
        Region::new(self.file.as_fd(), offset as u64, page_size(), writable).unwrap()
    }

    fn data(&self, writable: bool) -> Region {
        Region::twice(self.file.as_fd(), 0, self.capacity, writable).unwrap()
    }

    fn bell(&self, own: usize) -> Pull {
        Pull {
            own,
            ..self.bell.clone()
        }
    }

    fn producer(&self) -> producer::Port<Pull> {
        let (own, peer) = (self.page(0, true), self.page(1, false));
        producer::Port {
            end: End::new(own, peer, self.data(true), self.bell(0)).unwrap(),
        }
    }

    fn consumer(&self) -> consumer::Port<Pull> {
        let (own, peer) = (self.page(1, true), self.page(0, false));
        consumer::Port {
            end: End::new(own, peer, self.data(false), self.bell(1)).unwrap(),
        }
    }
}

/// Initial positions: near zero, near a wrap of the buffer, and near a wrap of the positions.
const STARTS: [u64; 3] = [0, 4090, u64::MAX - 100];

fn byte(position: u64) -> u8 {
    (position.wrapping_mul(0x9e37_79b9_7f4a_7c15) >> 56) as u8
}

fn bytes(position: u64, len: usize) -> Vec<u8> {
    (0..len as u64)
        .map(|i| byte(position.wrapping_add(i)))
        .collect()
}

fn is_eio<T>(result: io::Result<T>) -> bool {
    result.err().and_then(|error| error.raw_os_error()) == Some(libc::EIO)
}

#[test]
fn bytes_go_through() {
    for start in STARTS {
        let fifo = Fifo::new(1, start);
        let (mut producer, mut consumer) = (fifo.producer(), fifo.consumer());
        let (mut head, mut tail) = (start, start);
        for len in [1, 7, 8, 9, 100, 1000, 4095, 4096, 3000, 3000, 17] {
            assert!(consumer.peek().unwrap().is_none());
            let mut place = producer.reserve(len).unwrap().unwrap();
            for (i, chunk) in bytes(head, len).chunks(13).enumerate() {
                place.put(13 * i, chunk).unwrap();
            }
            place.commit(len).unwrap();
            head = head.wrapping_add(len as u64);
            while tail != head {
                let run = consumer.peek().unwrap().unwrap();
                let mut got = vec![0; run.len.min(999)];
                run.get(0, &mut got).unwrap();
                assert_eq!(got, bytes(tail, got.len()));
                tail = tail.wrapping_add(got.len() as u64);
                run.release(got.len()).unwrap();
            }
        }
    }
}

#[test]
fn what_is_not_committed_is_not_there() {
    let fifo = Fifo::new(1, 0);
    let (mut producer, mut consumer) = (fifo.producer(), fifo.consumer());
    producer
        .reserve(10)
        .unwrap()
        .unwrap()
        .put(0, b"0123456789")
        .unwrap();
    assert!(consumer.peek().unwrap().is_none());
    let mut place = producer.reserve(10).unwrap().unwrap();
    place.put(0, b"abcdefghij").unwrap();
    place.commit(3).unwrap();
    let run = consumer.peek().unwrap().unwrap();
    let mut got = [0; 3];
    run.get(0, &mut got).unwrap();
    assert_eq!((run.len, &got), (3, b"abc"));
    // Bytes that are not released stay.
    let _ = run;
    consumer.peek().unwrap().unwrap().release(1).unwrap();
    assert_eq!(consumer.peek().unwrap().unwrap().len, 2);
}

#[test]
fn full_and_empty() {
    for start in STARTS {
        let fifo = Fifo::new(2, start);
        let (mut producer, mut consumer) = (fifo.producer(), fifo.consumer());
        let all = fifo.capacity;
        assert!(producer.reserve(all + 1).unwrap().is_none());
        producer.reserve(all).unwrap().unwrap().commit(all).unwrap();
        assert!(producer.reserve(1).unwrap().is_none());
        assert!(producer.reserve(0).unwrap().is_some());
        assert_eq!(producer.end.wait(1, Some(Duration::ZERO)).unwrap(), None);
        let error = producer.end.wait(all + 1, None).unwrap_err();
        assert_eq!(error.kind(), io::ErrorKind::InvalidInput);
        consumer.peek().unwrap().unwrap().release(all).unwrap();
        assert_eq!(consumer.end.wait(1, Some(Duration::ZERO)).unwrap(), None);
        assert_eq!(producer.end.wait(all, None).unwrap(), Some(all));
    }
}

/// An end that is opened again goes on from its last position.
#[test]
fn next_owner_goes_on() {
    for start in STARTS {
        let fifo = Fifo::new(1, start);
        fifo.producer().write(b"hello").unwrap();
        let mut got = [0; 2];
        assert_eq!(fifo.consumer().read(&mut got).unwrap(), 2);
        assert_eq!(&got, b"he");
        fifo.producer().write(b", world").unwrap();
        let mut got = [0; 20];
        assert_eq!(fifo.consumer().read(&mut got).unwrap(), 10);
        assert_eq!(&got[..10], b"llo, world");
    }
}

fn is_invalid<T>(result: io::Result<T>) -> bool {
    result.is_err_and(|error| error.kind() == io::ErrorKind::InvalidInput)
}

/// Offsets and lengths that go beyond four bytes.
const OUTSIDE_FOUR: [(usize, usize); 9] = [
    (0, 5),
    (1, 4),
    (3, 2),
    (4, 1),
    (5, 0),
    (5, 1),
    (4096, 4),
    (usize::MAX, 0),
    (usize::MAX, 1),
];

#[test]
fn no_more_is_committed_than_reserved() {
    let fifo = Fifo::new(1, 0);
    let mut producer = fifo.producer();
    for len in [5, fifo.capacity, fifo.capacity + 1, usize::MAX] {
        assert!(is_invalid(
            producer.reserve(4).unwrap().unwrap().commit(len)
        ));
        assert!(fifo.consumer().peek().unwrap().is_none());
    }
    producer.reserve(0).unwrap().unwrap().commit(0).unwrap();
    assert!(is_invalid(producer.reserve(0).unwrap().unwrap().commit(1)));
    assert!(fifo.consumer().peek().unwrap().is_none());
    producer.reserve(4).unwrap().unwrap().commit(4).unwrap();
    assert_eq!(fifo.consumer().peek().unwrap().unwrap().len, 4);
}

#[test]
fn no_more_is_stored_than_reserved() {
    let fifo = Fifo::new(1, 0);
    let mut producer = fifo.producer();
    let mut place = producer.reserve(4).unwrap().unwrap();
    place.put(0, b"four").unwrap();
    for (offset, len) in OUTSIDE_FOUR {
        assert!(is_invalid(place.put(offset, &[b'x'; 8][..len])));
    }
    place.put(4, b"").unwrap();
    place.commit(4).unwrap();
    let mut got = [0; 4];
    assert_eq!(fifo.consumer().read(&mut got).unwrap(), 4);
    assert_eq!(&got, b"four");
    // Nothing was stored after them.
    let mut got = [1; 8];
    producer.reserve(8).unwrap().unwrap().commit(8).unwrap();
    assert_eq!(fifo.consumer().read(&mut got).unwrap(), 8);
    assert_eq!(got, [0; 8]);
}

#[test]
fn no_more_is_loaded_than_queued() {
    let fifo = Fifo::new(1, 0);
    fifo.producer().write(b"four").unwrap();
    let mut consumer = fifo.consumer();
    let run = consumer.peek().unwrap().unwrap();
    for (offset, len) in OUTSIDE_FOUR {
        let mut got = [b'x'; 8];
        assert!(is_invalid(run.get(offset, &mut got[..len])));
        assert_eq!(got, [b'x'; 8]);
    }
    run.get(4, &mut []).unwrap();
}

#[test]
fn no_more_is_released_than_queued() {
    let fifo = Fifo::new(1, 0);
    fifo.producer().write(b"four").unwrap();
    let mut consumer = fifo.consumer();
    for len in [5, fifo.capacity, fifo.capacity + 1, usize::MAX] {
        assert!(is_invalid(consumer.peek().unwrap().unwrap().release(len)));
    }
    // More have arrived since, and have not been looked at.
    let run = consumer.peek().unwrap().unwrap();
    fifo.producer().write(b"more").unwrap();
    assert!(is_invalid(run.release(5)));
    consumer.peek().unwrap().unwrap().release(0).unwrap();
    assert_eq!(consumer.end.wait(8, None).unwrap(), Some(8));
    consumer.peek().unwrap().unwrap().release(8).unwrap();
    assert!(consumer.peek().unwrap().is_none());
}

#[test]
fn no_more_is_waited_for_than_the_capacity() {
    let fifo = Fifo::new(1, 0);
    let (mut producer, mut consumer) = (fifo.producer(), fifo.consumer());
    for len in [fifo.capacity + 1, usize::MAX] {
        for timeout in [None, Some(Duration::ZERO), Some(Duration::MAX)] {
            assert!(is_invalid(producer.end.wait(len, timeout)));
            assert!(is_invalid(consumer.end.wait(len, timeout)));
        }
        assert!(producer.reserve(len).unwrap().is_none());
        assert!(is_invalid(producer.reserve_wait(len)));
        assert!(is_invalid(consumer.peek_wait(len)));
    }
    assert_eq!(consumer.peek_wait(0).unwrap().len, 0);
    consumer.peek_wait(0).unwrap().release(0).unwrap();
    assert!(is_invalid(consumer.peek_wait(0).unwrap().release(1)));
}

/// A time that the clock cannot represent means forever.
#[test]
fn waits_for_any_time() {
    let fifo = Fifo::new(1, 0);
    std::thread::scope(|scope| {
        let mut consumer = fifo.consumer();
        let sleeper = scope.spawn(move || consumer.end.wait(1, Some(Duration::MAX)).unwrap());
        fifo.producer().write(b"x").unwrap();
        assert_eq!(sleeper.join().unwrap(), Some(1));
    });
}

/// Whatever position the other end stores, the result is an error or a possible number.
#[test]
fn wrong_positions_are_errors() {
    for start in STARTS {
        let fifo = Fifo::new(1, start);
        let cap = fifo.capacity as u64;
        let (mut producer, mut consumer) = (fifo.producer(), fifo.consumer());
        producer.write(&[0; 100]).unwrap();
        assert_eq!(consumer.end.look(usize::MAX).unwrap(), 100);
        let head = start.wrapping_add(100);

        let page = fifo.page(0, true);
        for wrong in [
            head.wrapping_sub(1),
            start.wrapping_sub(1),
            start.wrapping_add(cap + 1),
            head.wrapping_add(1 << 63),
        ] {
            page.end_page().position.store(wrong, Ordering::Relaxed);
            assert!(is_eio(consumer.end.look(usize::MAX)));
            assert!(is_eio(consumer.end.wait(cap as usize, None)));
            // The bytes that were known before are still there.
            assert_eq!(consumer.peek().unwrap().unwrap().len, 100);
            assert!(
                End::<crate::end::Tail, _>::new(
                    fifo.page(1, true),
                    fifo.page(0, false),
                    fifo.data(false),
                    fifo.bell(1)
                )
                .is_err_and(|error| error.raw_os_error() == Some(libc::EIO))
                    || wrong == head.wrapping_sub(1)
            );
        }
        page.end_page().position.store(head, Ordering::Relaxed);

        let page = fifo.page(1, true);
        for wrong in [
            start.wrapping_sub(1),
            head.wrapping_add(1),
            head.wrapping_sub(cap + 1),
            head.wrapping_add(1 << 63),
        ] {
            page.end_page().position.store(wrong, Ordering::Relaxed);
            assert!(is_eio(producer.end.look(usize::MAX)));
            assert!(is_eio(producer.end.wait(cap as usize, None)));
        }
    }
}

/// A thread that stores to the buffer at full speed changes the bytes that are read, nothing else.
#[test]
fn data_may_change_at_any_time() {
    let fifo = Fifo::new(1, 4000);
    let stop = AtomicBool::new(false);
    let data = fifo.data(true);
    std::thread::scope(|scope| {
        scope.spawn(|| {
            // Moved here, as only one thread at a time can use it.
            let data = data;
            for i in 0u32.. {
                if stop.load(Ordering::Relaxed) {
                    break;
                }
                let at = i.wrapping_mul(2_654_435_761) as usize % (2 * fifo.capacity - 8);
                data.store(at, &[i as u8; 8]);
            }
        });
        let (mut producer, mut consumer) = (fifo.producer(), fifo.consumer());
        let mut got = vec![0; fifo.capacity];
        for len in (1..fifo.capacity).step_by(37) {
            producer.reserve(len).unwrap().unwrap().commit(len).unwrap();
            assert_eq!(consumer.read(&mut got).unwrap(), len);
            assert_eq!(got[..len].to_vec(), got[..len]);
        }
        stop.store(true, Ordering::Relaxed);
    });
}

#[test]
fn waiting_ends_in_time() {
    let fifo = Fifo::new(1, 0);
    let mut consumer = fifo.consumer();
    let from = Instant::now();
    let timeout = Duration::from_millis(30);
    assert_eq!(consumer.end.wait(1, Some(timeout)).unwrap(), None);
    assert!(from.elapsed() >= timeout);
    assert!(from.elapsed() < Duration::from_secs(10));
    // `waiting` is still set, since others may wait there as well.
    fifo.producer().write(b"x").unwrap();
    assert_eq!(fifo.bell.wakes.load(Ordering::Relaxed), 1);
}

/// Both ends run at the same time, sleep, and wake each other.
#[test]
fn two_threads_lose_nothing() {
    const TOTAL: u64 = 2_000_000;
    let fifo = Fifo::new(1, u64::MAX - 1000);
    let start = u64::MAX - 1000;
    std::thread::scope(|scope| {
        let mut producer = fifo.producer();
        scope.spawn(move || {
            let mut at = 0;
            while at < TOTAL {
                let len = (1 + at % 777).min(TOTAL - at) as usize;
                let mut place = producer.reserve_wait(len).unwrap();
                place.put(0, &bytes(start.wrapping_add(at), len)).unwrap();
                place.commit(len).unwrap();
                at += len as u64;
                // Let the other end sleep now and then.
                if at % 64 == 0 {
                    std::thread::yield_now();
                }
            }
        });
        let mut consumer = fifo.consumer();
        let mut at = 0;
        let mut got = vec![0; fifo.capacity];
        while at < TOTAL {
            let need = (1 + at % 555).min(TOTAL - at) as usize;
            let run = consumer.peek_wait(need).unwrap();
            assert!(run.len >= need);
            run.get(0, &mut got[..need]).unwrap();
            assert_eq!(got[..need], bytes(start.wrapping_add(at), need));
            run.release(need).unwrap();
            at += need as u64;
        }
        assert!(consumer.peek().unwrap().is_none());
    });
}

/// `std::io::pipe()` needs Rust 1.87.
fn pipe() -> (File, File) {
    let mut ends = [0; 2];
    // SAFETY: There is room for two descriptors.
    assert_eq!(unsafe { libc::pipe2(ends.as_mut_ptr(), libc::O_CLOEXEC) }, 0);
    // SAFETY: Nothing else owns these descriptors.
    ends.map(|end| unsafe { File::from_raw_fd(end) }).into()
}

#[test]
fn files_give_and_take() {
    let fifo = Fifo::new(1, 4090);
    let (mut producer, mut consumer) = (fifo.producer(), fifo.consumer());
    let (mut from, to) = pipe();
    producer.write(&bytes(0, 100)).unwrap();
    let run = consumer.peek().unwrap().unwrap();
    assert_eq!(run.write_to(to.as_fd()).unwrap(), 100);
    run.release(100).unwrap();

    let mut place = producer.reserve(200).unwrap().unwrap();
    assert_eq!(place.read_from(from.as_fd()).unwrap(), 100);
    place.commit(100).unwrap();
    let mut got = [0; 200];
    assert_eq!(consumer.read(&mut got).unwrap(), 100);
    assert_eq!(got[..100], bytes(0, 100));

    let mut place = producer.reserve(1).unwrap().unwrap();
    drop(to);
    assert_eq!(place.read_from(from.as_fd()).unwrap(), 0);
    io::Read::read(&mut from, &mut got).unwrap();
    let run = {
        producer.write(b"x").unwrap();
        consumer.peek().unwrap().unwrap()
    };
    let error = run.write_to(from.as_fd()).unwrap_err();
    assert_eq!(error.raw_os_error(), Some(libc::EBADF));
}

#[test]
fn raw_places_are_the_memory() {
    let fifo = Fifo::new(1, 4090);
    let (mut producer, mut consumer) = (fifo.producer(), fifo.consumer());
    let mut place = producer.reserve(20).unwrap().unwrap();
    // SAFETY: Nothing else uses the file.
    unsafe { place.as_raw().as_mut().unwrap() }.copy_from_slice(&bytes(0, 20));
    place.commit(20).unwrap();
    let run = consumer.peek().unwrap().unwrap();
    // SAFETY: As above.
    assert_eq!(unsafe { run.as_raw().as_ref().unwrap() }, bytes(0, 20));
}

/// At the end, what is there can still be used; an end that asks for more gets its own error.
#[test]
fn the_other_end_may_be_gone() {
    let fifo = Fifo::new(1, 0);
    let (mut producer, mut consumer) = (fifo.producer(), fifo.consumer());
    let kind = |result: io::Result<Option<usize>>| result.unwrap_err().kind();
    assert_eq!(producer.write(&bytes(0, 10)).unwrap(), 10);
    assert_eq!(consumer.end.wait(11, Some(Duration::ZERO)).unwrap(), None);
    fifo.bell(1).end();
    for timeout in [None, Some(Duration::ZERO), Some(Duration::from_secs(1))] {
        assert_eq!(consumer.end.wait(10, timeout).unwrap(), Some(10));
        let result = consumer.end.wait(11, timeout);
        assert_eq!(kind(result), io::ErrorKind::UnexpectedEof);
    }
    let mut some = [0; 20];
    assert_eq!(consumer.read(&mut some).unwrap(), 10);
    assert_eq!(some[..10], bytes(0, 10));
    assert_eq!(consumer.read(&mut some).unwrap(), 0);

    let most = fifo.capacity - 1;
    assert_eq!(producer.end.wait(most, None).unwrap(), Some(most + 1));
    assert_eq!(producer.write(&bytes(10, most)).unwrap(), most);
    fifo.bell(0).end();
    for timeout in [None, Some(Duration::ZERO), Some(Duration::from_secs(1))] {
        assert_eq!(producer.end.wait(1, timeout).unwrap(), Some(1));
        let result = producer.end.wait(2, timeout);
        assert_eq!(kind(result), io::ErrorKind::BrokenPipe);
    }
    assert_eq!(producer.write(b"xy").unwrap(), 1);
    let result = producer.write(b"y").unwrap_err();
    assert_eq!(result.kind(), io::ErrorKind::BrokenPipe);
}

/// One that sleeps is woken.
#[test]
fn a_sleeper_learns_of_the_end() {
    let fifo = Fifo::new(1, 0);
    let mut consumer = fifo.consumer();
    let bell = fifo.bell(1);
    let sleeper = std::thread::spawn(move || consumer.read(&mut [0; 1]).unwrap());
    bell.end();
    assert_eq!(sleeper.join().unwrap(), 0);
}
