// SPDX-License-Identifier: GPL-2.0 OR MIT
// Copyright (C) 2026 Seed 1f3ad1c2 maintainers.

//! Tests with the driver and tokio:
//! `VFIFO_DEVICE=/dev/vfifo0 cargo test --features tokio --test device_tokio`. Bytes that are
//! queued there are lost.

#[path = "device/fixture.rs"]
mod fixture;

use fixture::{bytes, deadline, device, kind, kind_with_end};
use std::io::{self, Read, Write};
use std::time::Duration;
use tokio::io::{AsyncBufReadExt, AsyncReadExt, AsyncWriteExt};
use tokio::time::{sleep, timeout};
use tokio::{join, select, task};
use vfifo::overwriting::{self, Copied};
use vfifo::tokio::{Async, Reader, Writer};
use vfifo::{Consumer, Error, Gone, Producer, RecordConsumer, RecordProducer};

const SHORT: Duration = Duration::from_millis(20);

const TOTAL: usize = 300_000;

/// Puts all bytes in, and takes them out.
async fn moves(
    mut to: impl AsyncWriteExt + Unpin + Send + 'static,
    mut from: impl AsyncReadExt + Unpin + Send + 'static,
) {
    let writer = task::spawn(async move {
        let mut at = 0;
        while at < TOTAL {
            let len = (1 + at % 9999).min(TOTAL - at);
            to.write_all(&bytes(at, len)).await.unwrap();
            at += len;
        }
    });
    let reader = task::spawn(async move {
        let (mut at, mut got) = (0, vec![0; 10_000]);
        while at < TOTAL {
            let most = (1 + at % 8888).min(TOTAL - at);
            let len = from.read(&mut got[..most]).await.unwrap();
            assert!(len > 0);
            assert_eq!(got[..len], bytes(at, len), "at {at}");
            at += len;
        }
    });
    let both = async { join!(writer, reader) };
    let (writer, reader) = timeout(deadline(), both).await.unwrap();
    writer.unwrap();
    reader.unwrap();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn mapped_to_mapped() {
    let device = device();
    let producer = Async::new(device.producer()).unwrap();
    let consumer = Async::new(device.consumer()).unwrap();
    moves(producer, consumer).await;
}

#[tokio::test]
async fn mapped_to_plain() {
    let device = device();
    let producer = Async::new(device.producer()).unwrap();
    moves(producer, Reader::open(&device.path).unwrap()).await;
}

#[tokio::test]
async fn plain_to_mapped() {
    let device = device();
    let consumer = Async::new(device.consumer()).unwrap();
    moves(Writer::from_fd(device.file()).unwrap(), consumer).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn plain_to_plain() {
    let device = device();
    let writer = Writer::open(&device.path).unwrap();
    moves(writer, Reader::from_fd(device.file()).unwrap()).await;
}

/// A wait that loses a race has taken nothing, and the next one is woken.
#[tokio::test]
async fn waits_can_be_cancelled() {
    let device = device();
    let mut consumer = Async::new(device.consumer()).unwrap();
    for round in 0..20 {
        select! {
            biased;
            bytes = consumer.peek(2) => panic!("there is nothing, but {bytes:?}"),
            () = sleep(Duration::from_millis(round % 3)) => {}
        }
        let mut file = device.file();
        // One byte is not enough, and stays.
        file.write_all(b"a").unwrap();
        select! {
            biased;
            bytes = consumer.peek(2) => panic!("there is one byte, but {bytes:?}"),
            () = sleep(Duration::from_millis(round % 3)) => {}
        }
        let writes = async {
            sleep(Duration::from_millis(round % 2)).await;
            file.write_all(b"b").unwrap();
        };
        let reads = async {
            let bytes = timeout(deadline(), consumer.peek(2))
                .await
                .unwrap()
                .unwrap();
            assert_eq!(bytes.to_vec(), b"ab");
            bytes.release(2).unwrap();
        };
        join!(writes, reads);
    }
    let mut producer = Async::new(device.producer()).unwrap();
    let all = producer.get_ref().capacity();
    producer.reserve(all).await.unwrap().commit(all).unwrap();
    select! {
        biased;
        place = producer.reserve(2) => panic!("there is no room, but {place:?}"),
        () = sleep(SHORT) => {}
    }
    let reserves = timeout(deadline(), producer.reserve(2));
    let reads = async {
        sleep(SHORT).await;
        consumer.get_mut().peek().unwrap().release(2).unwrap();
    };
    let place = join!(reserves, reads).0.unwrap().unwrap();
    assert_eq!(place.len(), 2);
}

/// Of two FIFOs, the one with something wins each time. There is only one device, so the other one
/// is a plain reader of it whose turn never comes.
#[tokio::test]
async fn a_read_that_is_cancelled_takes_nothing() {
    let device = device();
    let mut reader = Reader::open(&device.path).unwrap();
    let mut got = [0; 8];
    for _ in 0..10 {
        select! {
            biased;
            _ = reader.read(&mut got) => panic!("there is nothing"),
            () = sleep(Duration::from_millis(1)) => {}
        }
        device.file().write_all(b"abc").unwrap();
        let len = timeout(deadline(), reader.read(&mut got)).await.unwrap();
        assert_eq!(len.unwrap(), 3);
    }
    let mut writer = Writer::open(&device.path).unwrap();
    let mut full = device.producer();
    let all = full.capacity();
    full.write_all(&vec![0; all]).unwrap();
    drop(full);
    select! {
        biased;
        _ = writer.write(b"x") => panic!("there is no room"),
        () = sleep(SHORT) => {}
    }
    let writes = timeout(deadline(), writer.write(b"x"));
    let reads = async {
        sleep(SHORT).await;
        let half = vec![0; all / 2 + 4096];
        let half = half.len().min(all);
        device.file().read(&mut vec![0; half]).unwrap()
    };
    assert_eq!(join!(writes, reads).0.unwrap().unwrap(), 1);
}

#[tokio::test]
async fn lines_are_read() {
    let device = device();
    let mut consumer = Async::new(device.consumer()).unwrap();
    let mut writer = Writer::open(&device.path).unwrap();
    let writes = async {
        for i in 0..100 {
            let line = format!("{i}\n");
            writer.write_all(line.as_bytes()).await.unwrap();
            if i % 10 == 0 {
                sleep(Duration::from_millis(1)).await;
            }
        }
    };
    let reads = async {
        let mut line = String::new();
        for i in 0..100 {
            line.clear();
            consumer.read_line(&mut line).await.unwrap();
            assert_eq!(line, format!("{i}\n"));
        }
    };
    timeout(deadline(), async { join!(writes, reads) })
        .await
        .unwrap();
}

/// The end is told each time, and a new writer continues the stream. tokio does not spin then.
#[tokio::test]
async fn a_stream_ends_and_goes_on() {
    let Some(kind) = kind_with_end("stream", "0") else {
        return;
    };
    let path = &kind.device.path;
    let mut consumer = Async::new(Consumer::open(path).unwrap()).unwrap();
    let mut writer = Writer::open(path).unwrap();
    for _ in 0..3 {
        writer.write_all(b"last").await.unwrap();
        let mut all = Vec::new();
        let reads = timeout(deadline(), consumer.read_to_end(&mut all));
        let ends = async {
            sleep(SHORT).await;
            drop(writer);
        };
        join!(reads, ends).0.unwrap().unwrap();
        assert_eq!(all, b"last");
        let ended = timeout(deadline(), consumer.wait(1)).await.unwrap();
        assert!(matches!(ended, Err(Error::Ended(Gone::Writers))));
        writer = Writer::open(path).unwrap();
        assert!(timeout(SHORT, consumer.wait(1)).await.is_err());
    }
    drop(consumer);
    // A plain reader, likewise.
    let mut reader = Reader::open(path).unwrap();
    writer.write_all(b"x").await.unwrap();
    drop(writer);
    let mut got = [0; 8];
    assert_eq!(reader.read(&mut got).await.unwrap(), 1);
    let end = timeout(deadline(), reader.read(&mut got)).await.unwrap();
    assert_eq!(end.unwrap(), 0);
    let mut writer = Writer::open(path).unwrap();
    let before = cpu_time();
    let nothing = timeout(Duration::from_millis(300), reader.read(&mut got)).await;
    assert!(nothing.is_err());
    let spent = cpu_time() - before;
    assert!(spent < Duration::from_millis(150), "spun for {spent:?}");
    drop(reader);
    let pipe = timeout(deadline(), writer.write(b"x")).await.unwrap();
    assert_eq!(pipe.unwrap_err().kind(), io::ErrorKind::BrokenPipe);
    let mut producer = Async::new({
        drop(writer);
        let _reader = Reader::open(path).unwrap();
        Producer::open(path).unwrap()
    })
    .unwrap();
    let all = producer.get_ref().capacity();
    producer.write_all(&vec![0; all]).await.unwrap();
    let ended = timeout(deadline(), producer.wait(1)).await.unwrap();
    assert!(matches!(ended, Err(Error::Ended(Gone::Readers))));
}

/// The time that this thread has spent on a CPU.
fn cpu_time() -> Duration {
    let mut time = libc::timespec {
        tv_sec: 0,
        tv_nsec: 0,
    };
    // SAFETY: There is room for the time.
    let got = unsafe { libc::clock_gettime(libc::CLOCK_THREAD_CPUTIME_ID, &mut time) };
    assert_eq!(got, 0);
    Duration::new(time.tv_sec as u64, time.tv_nsec as u32)
}

#[tokio::test]
async fn records_are_moved() {
    let Some(kind) = kind("record", "0") else {
        return;
    };
    let producer = RecordProducer::open(&kind.device.path).unwrap();
    let consumer = RecordConsumer::open(&kind.device.path).unwrap();
    let mut producer = Async::new(producer).unwrap();
    let mut consumer = Async::new(consumer).unwrap();
    let len = |i| 1 + i * 37 % 1500;
    let writes = task::spawn(async move {
        for i in 0..1000 {
            let payload = bytes(i, len(i));
            if i % 2 == 0 {
                producer.write(&payload).await.unwrap();
            } else {
                let mut place = producer.reserve(payload.len() + 5).await.unwrap();
                place.put(0, &payload).unwrap();
                place.commit(payload.len()).unwrap();
            }
        }
        producer
    });
    let reads = task::spawn(async move {
        let mut i = 0;
        while i < 1000 {
            let mut records = consumer.peek().await.unwrap();
            for record in &mut records {
                let record = record.unwrap();
                // A record can be held while something else is waited for.
                if i % 100 == 0 {
                    task::yield_now().await;
                }
                assert_eq!(record.to_vec(), bytes(i, len(i)));
                i += 1;
            }
            records.release().unwrap();
        }
        consumer
    });
    let both = async { join!(writes, reads) };
    let (producer, consumer) = timeout(deadline(), both).await.unwrap();
    let (mut producer, mut consumer) = (producer.unwrap(), consumer.unwrap());
    assert!(timeout(SHORT, consumer.wait()).await.is_err());
    assert!(matches!(producer.reserve(0).await, Err(Error::Length)));
    producer.get_mut().write(b"one").unwrap();
    let mut got = Vec::new();
    consumer.read_to_vec(&mut got).await.unwrap();
    assert_eq!(got, b"one");
    drop((producer, consumer.into_inner()));

    // Plain ends keep records apart as well.
    let mut writer = Writer::open(&kind.device.path).unwrap();
    let mut reader = Reader::open(&kind.device.path).unwrap();
    for payload in [&b"one"[..], b"three"] {
        assert_eq!(writer.write(payload).await.unwrap(), payload.len());
    }
    let mut got = [0; 8];
    assert_eq!(reader.read(&mut got).await.unwrap(), 3);
    let small = reader.read(&mut got[..4]).await.unwrap_err();
    assert_eq!(small.raw_os_error(), Some(libc::EMSGSIZE));
    assert_eq!(reader.read(&mut got).await.unwrap(), 5);
}

#[tokio::test]
async fn what_is_overwritten_is_counted() {
    let Some(kind) = kind("stream", "1") else {
        return;
    };
    let consumer = overwriting::Consumer::open(&kind.device.path).unwrap();
    let mut consumer = Async::new(consumer).unwrap();
    let mut producer = overwriting::Producer::open(&kind.device.path).unwrap();
    let all = producer.capacity();
    let mut got = Vec::new();
    let reads = timeout(deadline(), consumer.read_to_vec(&mut got));
    let writes = async {
        sleep(SHORT).await;
        producer.write_all(&bytes(0, all)).unwrap();
        producer.write_all(&bytes(all, 10)).unwrap();
    };
    let copied = join!(reads, writes).0.unwrap().unwrap();
    assert_eq!(copied, Copied { len: all, lost: 10 });
    assert_eq!(got, bytes(10, all));
    assert!(timeout(SHORT, consumer.wait(1)).await.is_err());
}

#[tokio::test]
async fn other_files_are_refused() {
    let error = Reader::open("/dev/null").unwrap_err();
    assert_eq!(error.errno(), Some(libc::ENOTTY));
    assert!(Writer::open("/nonexistent").is_err());
    let device = device();
    let mut reader = Reader::open(&device.path).unwrap();
    let consumer = device.consumer();
    let busy = timeout(deadline(), reader.read(&mut [0])).await.unwrap();
    assert_eq!(busy.unwrap_err().kind(), io::ErrorKind::ResourceBusy);
    drop(consumer);
}
