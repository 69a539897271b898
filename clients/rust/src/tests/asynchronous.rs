// SPDX-License-Identifier: GPL-2.0 OR MIT
// Copyright (C) 2026 Seed 1f3ad1c2 maintainers.

//! Waiting in tokio, with bells that tokio can watch.

use super::*;
use crate::kind::{OverwritingStream, Records};
use crate::overwriting::reader::Reader;
use crate::overwriting::Copied;
use crate::side::Head;
use crate::tokio::bytes::{poll_fill_buf, poll_read, poll_write};
use crate::tokio::overwriting;
use crate::tokio::wakes::Wakes;
use ::tokio::io::ReadBuf;
use ::tokio::time::{sleep, timeout};
use ::tokio::{join, select, task};
use std::future::poll_fn;
use std::io::{Read, Write};

/// Two eventfds, one for each end.
struct Bells {
    files: [Arc<File>; 2],
    ended: Arc<[AtomicBool; 2]>,
}

struct Nudge {
    files: [Arc<File>; 2],
    own: usize,
    ended: Arc<[AtomicBool; 2]>,
}

impl Bells {
    fn new() -> Self {
        let eventfd = || {
            // SAFETY: This has no preconditions.
            let fd = unsafe { libc::eventfd(0, libc::EFD_CLOEXEC | libc::EFD_NONBLOCK) };
            assert!(fd >= 0, "{}", io::Error::last_os_error());
            // SAFETY: The descriptor is new, so nothing else owns it.
            Arc::new(unsafe { File::from_raw_fd(fd) })
        };
        Self {
            files: [eventfd(), eventfd()],
            ended: Default::default(),
        }
    }

    fn of(&self, own: usize) -> Nudge {
        Nudge {
            files: self.files.clone(),
            own,
            ended: self.ended.clone(),
        }
    }

    fn wakes(&self, own: usize) -> Wakes {
        let fd = self.files[own].as_fd().try_clone_to_owned().unwrap();
        Wakes::new(fd).unwrap()
    }

    /// Everybody at the other end has gone.
    fn end(&self, own: usize) {
        self.ended[own].store(true, Ordering::SeqCst);
        ring(&self.files[own]);
    }
}

fn ring(mut file: &File) {
    file.write_all(&1u64.to_ne_bytes()).unwrap();
}

impl Bell for Nudge {
    fn wake(&self) -> Result<()> {
        ring(&self.files[1 - self.own]);
        Ok(())
    }

    fn sleep(&self, timeout: Option<Duration>) -> Result<Wake> {
        assert_eq!(timeout, Some(Duration::ZERO), "this blocks the thread");
        let _ = (&*self.files[self.own]).read(&mut [0; 8]);
        Ok(match self.ended[self.own].load(Ordering::SeqCst) {
            true => Wake::Ended,
            false => Wake::Look,
        })
    }
}

struct Both {
    producer: producer::Port<Nudge>,
    room: Wakes,
    consumer: consumer::Port<Nudge>,
    news: Wakes,
    bells: Bells,
}

fn both(fifo: &Fifo) -> Both {
    let bells = Bells::new();
    Both {
        producer: producer::Port::new(fifo.end_with(bells.of(0)).unwrap()),
        room: bells.wakes(0),
        consumer: consumer::Port::new(fifo.end_with(bells.of(1)).unwrap()),
        news: bells.wakes(1),
        bells,
    }
}

async fn read(wakes: &Wakes, port: &mut consumer::Port<Nudge>, to: &mut [u8]) -> usize {
    let mut to = ReadBuf::new(to);
    poll_fn(|cx| poll_read(wakes, port, &mut to, cx))
        .await
        .unwrap();
    to.filled().len()
}

async fn write(wakes: &Wakes, port: &mut producer::Port<Nudge>, bytes: &[u8]) -> usize {
    poll_fn(|cx| poll_write(wakes, port, bytes, cx))
        .await
        .unwrap()
}

const SHORT: Duration = Duration::from_millis(20);

/// No test takes this long: a wake-up was lost.
const LONG: Duration = Duration::from_secs(20);

/// Both ends in one thread, and then each in its own.
async fn nothing_is_lost() {
    const TOTAL: u64 = 400_000;
    let start = u64::MAX - 1000;
    let fifo = Fifo::new(1, start);
    let Both {
        mut producer,
        room,
        mut consumer,
        news,
        ..
    } = both(&fifo);
    let writer = task::spawn(async move {
        let mut at = 0;
        while at < TOTAL {
            let len = (1 + at % 777).min(TOTAL - at) as usize;
            room.wait(&mut producer.end, len).await.unwrap();
            let place = producer.reserve(len).unwrap().unwrap();
            let bytes = bytes(start.wrapping_add(at), len);
            place.span().put(0, &bytes).unwrap();
            place.commit(len).unwrap();
            at += len as u64;
        }
    });
    let reader = task::spawn(async move {
        let mut at = 0;
        let mut got = vec![0; 555];
        while at < TOTAL {
            let need = (1 + at % 555).min(TOTAL - at) as usize;
            news.wait(&mut consumer.end, need).await.unwrap();
            assert_eq!(consumer.read(&mut got[..need]).unwrap(), need);
            assert_eq!(got[..need], bytes(start.wrapping_add(at), need));
            at += need as u64;
        }
    });
    let (writer, reader) = timeout(LONG, async { join!(writer, reader) })
        .await
        .unwrap();
    writer.unwrap();
    reader.unwrap();
}

#[::tokio::test]
async fn one_thread_loses_nothing() {
    nothing_is_lost().await;
}

#[::tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn two_threads_lose_nothing() {
    nothing_is_lost().await;
}

/// A wait that is dropped has changed nothing, and the next one is woken.
#[::tokio::test]
async fn waits_can_be_cancelled() {
    let fifo = Fifo::new(1, 4090);
    let Both {
        mut producer,
        room,
        mut consumer,
        news,
        bells,
    } = both(&fifo);
    let mut got = [0; 8];
    for round in 0..20 {
        select! {
            biased;
            _ = read(&news, &mut consumer, &mut got) => panic!("there is nothing"),
            () = sleep(Duration::from_millis(round % 3)) => {}
        }
        // This comes between the two waits, or during the second one.
        if round % 2 == 0 {
            producer.write(b"ab").unwrap();
        }
        let reading = async { timeout(LONG, read(&news, &mut consumer, &mut got)).await };
        let writing = async {
            if round % 2 == 1 {
                sleep(Duration::from_millis(1)).await;
                producer.write(b"ab").unwrap();
            }
        };
        assert_eq!(join!(reading, writing).0.unwrap(), 2);
        assert_eq!(&got[..2], b"ab");
    }
    // The same at the other end.
    let all = vec![1; fifo.capacity];
    room.wait(&mut producer.end, fifo.capacity).await.unwrap();
    assert_eq!(write(&room, &mut producer, &all).await, fifo.capacity);
    select! {
        biased;
        _ = write(&room, &mut producer, b"x") => panic!("there is no room"),
        () = sleep(SHORT) => {}
    }
    let waits = timeout(LONG, room.wait(&mut producer.end, 5));
    let reads = async {
        sleep(SHORT).await;
        consumer.read(&mut [0; 5]).unwrap()
    };
    let (waited, _) = join!(waits, reads);
    assert_eq!(waited.unwrap().unwrap(), 5);
    assert_eq!(consumer.end.look(usize::MAX).unwrap(), fifo.capacity - 5);
    drop(bells);
}

#[::tokio::test]
async fn lines_are_read() {
    let fifo = Fifo::new(1, 0);
    let Both {
        mut producer,
        mut consumer,
        news,
        bells,
        ..
    } = both(&fifo);
    producer.write(b"one two").unwrap();
    let some = poll_fn(|cx| poll_fill_buf(&news, &mut consumer, cx).map_ok(<[u8]>::to_vec));
    assert_eq!(some.await.unwrap(), b"one two");
    consumer.consume(4);
    assert_eq!(consumer.end.look(usize::MAX).unwrap(), 3);
    consumer.consume(3);
    bells.end(1);
    let some = poll_fn(|cx| poll_fill_buf(&news, &mut consumer, cx).map_ok(<[u8]>::to_vec));
    assert_eq!(some.await.unwrap(), b"");
}

/// The end is told by each wait, and is over when somebody comes back.
#[::tokio::test]
async fn the_other_end_may_be_gone() {
    let fifo = Fifo::new(1, 0);
    let Both {
        mut producer,
        room,
        mut consumer,
        news,
        bells,
    } = both(&fifo);
    producer.write(b"last").unwrap();
    let waits = timeout(LONG, news.wait(&mut consumer.end, 5));
    let ends = async {
        sleep(SHORT).await;
        bells.end(1);
    };
    assert_eq!(
        has_ended(join!(waits, ends).0.unwrap()),
        Some(Gone::Writers)
    );
    let mut got = [0; 8];
    assert_eq!(read(&news, &mut consumer, &mut got).await, 4);
    assert_eq!(read(&news, &mut consumer, &mut got).await, 0);
    let waited = news.wait(&mut consumer.end, 1).await;
    assert_eq!(has_ended(waited), Some(Gone::Writers));
    bells.ended[1].store(false, Ordering::SeqCst);
    let waited = timeout(SHORT, news.wait(&mut consumer.end, 1)).await;
    assert!(waited.is_err());
    producer.write(b"more").unwrap();
    assert_eq!(read(&news, &mut consumer, &mut got).await, 4);

    bells.end(0);
    room.wait(&mut producer.end, 4096).await.unwrap();
    assert_eq!(write(&room, &mut producer, &[0; 5000]).await, 4096);
    let refused = poll_fn(|cx| poll_write(&room, &mut producer, b"x", cx)).await;
    assert_eq!(refused.unwrap_err().kind(), io::ErrorKind::BrokenPipe);
    assert!(is_invalid(room.wait(&mut producer.end, 4097).await));
}

/// A task that always finds something to do lets others have a turn.
#[::tokio::test]
async fn others_have_a_turn() {
    let fifo = Fifo::new(1, 0);
    let Both {
        mut producer, room, ..
    } = both(&fifo);
    let turn = Arc::new(AtomicBool::new(false));
    let other = turn.clone();
    let other = task::spawn(async move { other.store(true, Ordering::Relaxed) });
    let busy = async {
        while !turn.load(Ordering::Relaxed) {
            room.wait(&mut producer.end, 1).await.unwrap();
        }
    };
    timeout(LONG, busy).await.unwrap();
    other.await.unwrap();
}

#[::tokio::test]
async fn wrong_positions_are_errors() {
    let fifo = Fifo::new(1, 0);
    let Both {
        mut consumer, news, ..
    } = both(&fifo);
    let page = fifo.page(0, true);
    page.end_page().position.store(5000, Ordering::Relaxed);
    assert!(is_broken(news.wait(&mut consumer.end, 1).await));
}

#[::tokio::test]
async fn records_and_overwritten_bytes_are_waited_for() {
    let fifo = Fifo::new(1, 0);
    let bells = Bells::new();
    let mut producer = crate::records::producer::Port {
        end: fifo.end_with::<Head<Records>, _>(bells.of(0)).unwrap(),
    };
    let room = bells.wakes(0);
    let largest = producer.end.largest();
    let waited = room.wait(&mut producer.end, largest).await;
    assert_eq!(waited.unwrap(), largest);
    producer.reserve(9).unwrap().unwrap().commit(9).unwrap();
    let waited = timeout(SHORT, room.wait(&mut producer.end, largest)).await;
    assert!(waited.is_err());

    let fifo = Fifo::new(1, 0);
    let bells = Bells::new();
    let mut writer = crate::overwriting::producer::Port {
        end: fifo
            .end_with::<Head<OverwritingStream>, _>(bells.of(0))
            .unwrap(),
    };
    let end = fifo.end_with::<Tail<OverwritingStream>, _>(bells.of(1));
    let mut reader = Reader::new(end.unwrap());
    let news = bells.wakes(1);
    let mut got = [0; 8];
    let reads = overwriting::read(&news, &mut reader, |reader| reader.read_bytes(&mut got));
    let writes = async {
        sleep(SHORT).await;
        writer.write(b"abc").unwrap()
    };
    let (copied, _) = join!(timeout(LONG, reads), writes);
    assert_eq!(copied.unwrap().unwrap(), Copied { len: 3, lost: 0 });
    assert_eq!(&got[..3], b"abc");
}

#[test]
fn futures_can_be_sent() {
    fn good<T: Send>(_: T) {}
    fn all(
        producer: &'static mut crate::tokio::Async<crate::Producer>,
        consumer: &'static mut crate::tokio::Async<crate::RecordConsumer>,
        reader: &'static mut crate::tokio::Async<crate::overwriting::Consumer>,
    ) {
        good(producer.reserve(1));
        good(consumer.peek());
        good(reader.read_to_vec(Box::leak(Box::default())));
    }
    let _ = all;
}
