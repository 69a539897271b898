// SPDX-License-Identifier: GPL-2.0 OR MIT
// Copyright (C) 2026 Seed 1f3ad1c2 maintainers.

//! Bytes, and a producer that waits for room.

use super::*;

#[test]
fn bytes_go_through() {
    for start in STARTS {
        let fifo = Fifo::new(1, start);
        let (mut producer, mut consumer) = (fifo.producer(), fifo.consumer());
        let (mut head, mut tail) = (start, start);
        for len in [1, 7, 8, 9, 100, 1000, 4095, 4096, 3000, 3000, 17] {
            assert!(consumer.peek().unwrap().is_none());
            let place = producer.reserve(len).unwrap().unwrap();
            for (i, chunk) in bytes(head, len).chunks(13).enumerate() {
                place.span().put(13 * i, chunk).unwrap();
            }
            place.commit(len).unwrap();
            head = head.wrapping_add(len as u64);
            while tail != head {
                let run = consumer.peek().unwrap().unwrap();
                let mut got = vec![0; run.len.min(999)];
                run.span().get(0, &mut got).unwrap();
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
        .span()
        .put(0, b"0123456789")
        .unwrap();
    assert!(consumer.peek().unwrap().is_none());
    let place = producer.reserve(10).unwrap().unwrap();
    place.span().put(0, b"abcdefghij").unwrap();
    place.commit(3).unwrap();
    let run = consumer.peek().unwrap().unwrap();
    let mut got = [0; 3];
    run.span().get(0, &mut got).unwrap();
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
        assert!(is_invalid(producer.end.wait(all + 1, None)));
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
    let place = producer.reserve(4).unwrap().unwrap();
    place.span().put(0, b"four").unwrap();
    for (offset, len) in OUTSIDE_FOUR {
        assert!(is_invalid(place.span().put(offset, &[b'x'; 8][..len])));
    }
    place.span().put(4, b"").unwrap();
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
        assert!(is_invalid(run.span().get(offset, &mut got[..len])));
        assert_eq!(got, [b'x'; 8]);
    }
    run.span().get(4, &mut []).unwrap();
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
            assert!(is_broken(consumer.end.look(usize::MAX)));
            assert!(is_broken(consumer.end.wait(cap as usize, None)));
            // The bytes that were known before are still there.
            assert_eq!(consumer.peek().unwrap().unwrap().len, 100);
            let next = fifo.end::<Tail<Stream>>();
            assert!(is_broken(next) || wrong == head.wrapping_sub(1));
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
            assert!(is_broken(producer.end.look(usize::MAX)));
            assert!(is_broken(producer.end.wait(cap as usize, None)));
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
                let place = producer.reserve_wait(len).unwrap();
                place
                    .span()
                    .put(0, &bytes(start.wrapping_add(at), len))
                    .unwrap();
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
            run.span().get(0, &mut got[..need]).unwrap();
            assert_eq!(got[..need], bytes(start.wrapping_add(at), need));
            run.release(need).unwrap();
            at += need as u64;
        }
        assert!(consumer.peek().unwrap().is_none());
    });
}

#[test]
fn files_give_and_take() {
    let fifo = Fifo::new(1, 4090);
    let (mut producer, mut consumer) = (fifo.producer(), fifo.consumer());
    let (mut from, to) = pipe();
    producer.write(&bytes(0, 100)).unwrap();
    let run = consumer.peek().unwrap().unwrap();
    assert_eq!(run.span().write_to(to.as_fd()).unwrap(), 100);
    run.release(100).unwrap();

    let place = producer.reserve(200).unwrap().unwrap();
    assert_eq!(place.span().read_from(from.as_fd()).unwrap(), 100);
    place.commit(100).unwrap();
    let mut got = [0; 200];
    assert_eq!(consumer.read(&mut got).unwrap(), 100);
    assert_eq!(got[..100], bytes(0, 100));

    let place = producer.reserve(1).unwrap().unwrap();
    drop(to);
    assert_eq!(place.span().read_from(from.as_fd()).unwrap(), 0);
    io::Read::read(&mut from, &mut got).unwrap();
    let run = {
        producer.write(b"x").unwrap();
        consumer.peek().unwrap().unwrap()
    };
    let error = run.span().write_to(from.as_fd()).unwrap_err();
    assert_eq!(error.raw_os_error(), Some(libc::EBADF));
}

#[test]
fn raw_places_are_the_memory() {
    let fifo = Fifo::new(1, 4090);
    let (mut producer, mut consumer) = (fifo.producer(), fifo.consumer());
    let place = producer.reserve(20).unwrap().unwrap();
    // SAFETY: Nothing else uses the file.
    unsafe { place.span().as_raw().as_mut().unwrap() }.copy_from_slice(&bytes(0, 20));
    place.commit(20).unwrap();
    let run = consumer.peek().unwrap().unwrap();
    // SAFETY: As above.
    let queued = unsafe { run.span().as_raw().as_ref().unwrap() };
    assert_eq!(queued, bytes(0, 20));
}

/// At the end, what is there can still be used; an end that asks for more gets its own error.
#[test]
fn the_other_end_may_be_gone() {
    let fifo = Fifo::new(1, 0);
    let (mut producer, mut consumer) = (fifo.producer(), fifo.consumer());
    assert_eq!(producer.write(&bytes(0, 10)).unwrap(), 10);
    assert_eq!(consumer.end.wait(11, Some(Duration::ZERO)).unwrap(), None);
    fifo.bell(1).end();
    for timeout in [None, Some(Duration::ZERO), Some(Duration::from_secs(1))] {
        assert_eq!(consumer.end.wait(10, timeout).unwrap(), Some(10));
        let result = consumer.end.wait(11, timeout);
        assert_eq!(has_ended(result), Some(Gone::Writers));
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
        assert_eq!(has_ended(result), Some(Gone::Readers));
    }
    assert_eq!(producer.write(b"xy").unwrap(), 1);
    assert_eq!(has_ended(producer.write(b"y")), Some(Gone::Readers));
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
