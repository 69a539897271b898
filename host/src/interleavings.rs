// SPDX-License-Identifier: GPL-2.0

//! The ring under loom, which runs a model once for every order in which its threads can do what
//! they do, and for every value that a load may then return.
//!
//! The data are cells in which loom finds any access that is not ordered with the one before; a
//! wake-up that is lost leaves threads asleep that nobody will wake, which loom finds as well.
//!
//! What loom does not do: it lets no load return what is stored later (which acquire and release
//! forbid anyway); and it takes a full fence to be all that acquire and release are, so these are
//! shown to be enough, and needed, by models without fences.
//!
//! Nor does it try fences in another order than that of the loads and stores around them, where
//! these are of different variables. So each fence here is one with a store to a variable that all
//! share and nobody loads.

#[path = "fifo.rs"]
#[allow(clippy::duplicate_mod)]
mod fifo;

mod sync {
    pub(super) use loom::sync::{
        atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering},
        Condvar, Mutex,
    };

    pub(super) type Byte = loom::cell::Cell<u8>;

    loom::lazy_static! {
        static ref FENCES: AtomicUsize = AtomicUsize::new(0);
    }

    pub(super) fn fence() {
        FENCES.store(0, Ordering::Relaxed);
        loom::sync::atomic::fence(Ordering::SeqCst);
    }
}

use crate::ring::Cursor;
use fifo::{By, Fifo, Step, POSSIBLE};
use loom::{model::Builder, thread};
use std::{
    io::Write,
    panic::{catch_unwind, AssertUnwindSafe},
    rc::Rc,
    sync::{
        atomic::{AtomicUsize, Ordering},
        Arc,
    },
};

/// Streams begin here, so that positions pass 2^64 in each of them.
const START: u64 = u64::MAX;

const NOTHING: usize = Step::Nothing as usize;

/// What can be wrong.
#[derive(Debug, PartialEq, Eq)]
enum Bug {
    /// A byte is read or written while another thread writes it.
    Race,
    /// Everybody sleeps.
    LostWakeUp,
    /// The ring says of honest ends that their positions cannot be.
    Impossible,
}

const WRONG: &str = "the byte that was sent";

/// Explores `model`, with at most `preemptions` where a thread that could go on is interrupted, if
/// that is given. Returns the first bug.
///
/// `LOOM_MAX_PREEMPTIONS` in the environment says otherwise.
fn explore(
    name: &str,
    preemptions: Option<usize>,
    model: impl Fn() + Send + Sync + 'static,
) -> Result<(), Bug> {
    let mut builder = Builder::new();
    builder.max_branches = 10_000;
    builder.preemption_bound = builder.preemption_bound.or(preemptions);
    let bound = match builder.preemption_bound {
        Some(bound) => format!("with at most {bound} preemptions"),
        None => "all there are".to_string(),
    };

    let executions = Arc::new(AtomicUsize::new(0));
    let start = std::time::Instant::now();
    let counted = {
        let executions = executions.clone();
        move || {
            executions.fetch_add(1, Ordering::Relaxed);
            // Here, so that all threads come after it.
            sync::fence();
            model();
        }
    };
    let result = catch_unwind(AssertUnwindSafe(|| builder.check(counted))).map_err(|panic| {
        let message = match panic.downcast::<String>() {
            Ok(message) => *message,
            Err(panic) => panic.downcast_ref().copied().unwrap_or("?").to_string(),
        };
        match message {
            message if message.starts_with("Causality violation: ") => Bug::Race,
            message if message.starts_with("deadlock; ") => Bug::LostWakeUp,
            message if message.starts_with(POSSIBLE) => Bug::Impossible,
            message => panic!("{name}: {message}"),
        }
    });
    let executions = executions.load(Ordering::Relaxed);
    // Not by `println!()`, which is only shown of a test that fails.
    let line = format!("loom: {name}: {executions} executions, {bound}: {result:?} {:?}\n", start.elapsed());
    std::io::stderr().write_all(line.as_bytes()).unwrap();
    result
}

/// Bytes that are numbered, and so known when they come.
#[derive(Default)]
struct Numbered {
    next: u8,
}

impl Numbered {
    fn bytes(&self, count: usize) -> Vec<u8> {
        (self.next..).take(count).collect()
    }

    fn sent(&mut self, count: usize) -> usize {
        self.next += count as u8;
        count
    }

    fn received(&mut self, byte: u8) {
        assert_eq!(byte, self.next, "{WRONG}");
        self.next += 1;
    }
}

/// One end, with what goes through it.
struct Side<const LEFT_OUT: usize> {
    fifo: Rc<Fifo<LEFT_OUT>>,
    cursor: Cursor,
    bytes: Numbered,
}

impl<const LEFT_OUT: usize> Side<LEFT_OUT> {
    fn new(fifo: &Rc<Fifo<LEFT_OUT>>) -> Self {
        Self {
            fifo: fifo.clone(),
            cursor: Cursor::new(fifo.capacity, START),
            bytes: Numbered::default(),
        }
    }

    /// Produces `count` bytes, or as many as fit.
    fn try_write(&mut self, count: usize) -> usize {
        let bytes = self.bytes.bytes(count);
        let sent = self.fifo.try_write(&mut self.cursor, &bytes, 1);
        self.bytes.sent(sent)
    }

    /// Consumes `count` bytes, or as many as there are.
    fn try_read(&mut self, count: usize) -> usize {
        let Self { fifo, cursor, bytes } = self;
        fifo.try_read(cursor, count, |byte| bytes.received(byte))
    }

    /// Produces a byte at a time, and sleeps while it does not fit.
    fn write(&mut self, by: By, count: usize) {
        let fifo = self.fifo.clone();
        for _ in 0..count {
            fifo.write(by, 0, 1, || self.try_write(1));
        }
    }

    /// Consumes a byte at a time, and sleeps while there is none.
    fn read(&mut self, by: By, count: usize) {
        let fifo = self.fifo.clone();
        for _ in 0..count {
            fifo.read(by, 0, || self.try_read(1));
        }
    }

    /// What is left, after all that others sent.
    fn drain(mut self, sent: Numbered) {
        self.try_read(self.fifo.capacity as usize);
        assert_eq!(self.bytes.next, sent.next, "nothing is lost or doubled");
        assert_eq!(self.fifo.size(), 0);
    }
}

fn fifo<const LEFT_OUT: usize>(capacity: u64) -> (Rc<Fifo<LEFT_OUT>>, Side<LEFT_OUT>, Side<LEFT_OUT>) {
    let fifo = Rc::new(Fifo::new(capacity, 1, START));
    let (producer, consumer) = (Side::new(&fifo), Side::new(&fifo));
    (fifo, producer, consumer)
}

/// Pieces of one and two bytes through a ring of two, without sleeping.
fn transfer<const LEFT_OUT: usize>() {
    let (_, mut producer, mut consumer) = fifo::<LEFT_OUT>(2);
    let producer = thread::spawn(move || {
        for count in [1, 2, 1] {
            producer.try_write(count);
        }
        producer.bytes
    });
    for count in [1, 2, 1] {
        consumer.try_read(count);
    }
    consumer.drain(producer.join().unwrap());
}

/// A consumer forgets what there is, while the producer goes on.
fn clearing<const LEFT_OUT: usize>() {
    let (fifo, mut producer, mut consumer) = fifo::<LEFT_OUT>(2);
    let producer = thread::spawn(move || {
        for count in [1, 2, 1] {
            producer.try_write(count);
        }
        producer.bytes
    });
    consumer.try_read(1);
    let cleared = fifo.ring.clear(&mut consumer.cursor);
    consumer.bytes.next += cleared as u8;
    consumer.try_read(1);
    consumer.drain(producer.join().unwrap());
}

/// Someone asks for the size while both ends move.
fn observer<const LEFT_OUT: usize>() {
    let (fifo, mut producer, mut consumer) = fifo::<LEFT_OUT>(1);
    let producer = thread::spawn(move || {
        for _ in 0..3 {
            producer.try_write(1);
        }
        producer.bytes
    });
    let consumer = thread::spawn(move || {
        for _ in 0..3 {
            consumer.try_read(1);
        }
        consumer
    });
    let size = fifo.ring.size(fifo.capacity).expect(POSSIBLE);
    assert!(size <= fifo.capacity);
    let sent = producer.join().unwrap();
    consumer.join().unwrap().drain(sent);
}

/// A mapped producer is gone, and the kernel goes on, while a mapped consumer does not rest.
fn producer_goes<const LEFT_OUT: usize>() {
    let (fifo, mut producer, mut consumer) = fifo::<LEFT_OUT>(2);
    let gone = thread::spawn(move || {
        producer.try_write(2);
        producer
    });
    let consumer = thread::spawn(move || {
        for _ in 0..3 {
            consumer.try_read(1);
        }
        consumer
    });
    let mut producer = gone.join().unwrap();
    producer.cursor = fifo.ring.producer_left(None, fifo.capacity);
    producer.try_write(2);
    consumer.join().unwrap().drain(producer.bytes);
}

/// A mapped consumer is gone, and the kernel goes on, while a mapped producer does not rest.
fn consumer_goes<const LEFT_OUT: usize>() {
    let (fifo, mut producer, mut consumer) = fifo::<LEFT_OUT>(2);
    producer.try_write(2);
    let gone = thread::spawn(move || {
        consumer.try_read(1);
        consumer
    });
    let producer = thread::spawn(move || {
        for _ in 0..2 {
            producer.try_write(1);
        }
        producer.bytes
    });
    let mut consumer = gone.join().unwrap();
    consumer.cursor = fifo.ring.consumer_left(None, fifo.capacity);
    consumer.try_read(2);
    consumer.drain(producer.join().unwrap());
}

/// A producer with room enough, and a consumer that sleeps while there is nothing.
fn consumer_sleeps<const LEFT_OUT: usize>(by: [By; 2], count: usize) {
    let (_, mut producer, mut consumer) = fifo::<LEFT_OUT>(4);
    let producer = thread::spawn(move || {
        producer.write(by[0], count);
        producer.bytes
    });
    consumer.read(by[1], count);
    consumer.drain(producer.join().unwrap());
}

/// A consumer with bytes enough, and a producer that sleeps while there is no room.
fn producer_sleeps<const LEFT_OUT: usize>(by: [By; 2], count: usize) {
    let (_, mut producer, mut consumer) = fifo::<LEFT_OUT>(4);
    producer.try_write(4);
    let producer = thread::spawn(move || {
        producer.write(by[0], count);
        producer.bytes
    });
    consumer.read(by[1], count);
    consumer.drain(producer.join().unwrap());
}

/// Both sleep.
fn both_sleep<const LEFT_OUT: usize>(by: [By; 2], count: usize) {
    let (_, mut producer, mut consumer) = fifo::<LEFT_OUT>(1);
    let producer = thread::spawn(move || {
        producer.write(by[0], count);
        producer.bytes
    });
    consumer.read(by[1], count);
    consumer.drain(producer.join().unwrap());
}

/// Readers that share an end, as calls do: with a lock.
struct Readers<const LEFT_OUT: usize> {
    fifo: Rc<Fifo<LEFT_OUT>>,
    end: sync::Mutex<Side<LEFT_OUT>>,
}

impl<const LEFT_OUT: usize> Readers<LEFT_OUT> {
    fn new(end: Side<LEFT_OUT>) -> Rc<Self> {
        Rc::new(Self {
            fifo: end.fifo.clone(),
            end: sync::Mutex::new(end),
        })
    }

    /// One of them reads a byte.
    fn read(&self, by: By, sleeper: usize) {
        let attempt = || self.end.lock().unwrap().try_read(1);
        self.fifo.read(by, sleeper, attempt);
    }

    /// What is left when all are done.
    fn drain(self: Rc<Self>, sent: Numbered) {
        let readers = Rc::into_inner(self).expect("all others are gone");
        readers.end.into_inner().unwrap().drain(sent);
    }
}

/// Two sleep on one flag, and what comes at once, with one `VFIFO_NOTIFY`, is enough for both.
fn two_readers_one_notify<const LEFT_OUT: usize>(by: [By; 2]) {
    let (fifo, mut producer, consumer) = fifo::<LEFT_OUT>(2);
    let readers = Readers::new(consumer);
    let threads = [0, 1].map(|reader| {
        let readers = readers.clone();
        thread::spawn(move || readers.read(by[reader], reader))
    });
    fifo.write(By::Mapping, 0, 1, || producer.try_write(2));
    threads.map(|thread| thread.join().unwrap());
    readers.drain(producer.bytes);
}

/// Two sleep on one flag, and a byte comes for the one, and then for the other.
fn two_readers_two_notifies<const LEFT_OUT: usize>(by: [By; 2]) {
    let (_, mut producer, consumer) = fifo::<LEFT_OUT>(2);
    let readers = Readers::new(consumer);
    let threads = [0, 1].map(|reader| {
        let readers = readers.clone();
        thread::spawn(move || readers.read(by[reader], reader))
    });
    producer.write(By::Mapping, 2);
    threads.map(|thread| thread.join().unwrap());
    readers.drain(producer.bytes);
}

/// Someone calls `VFIFO_NOTIFY` for no reason while a consumer goes to sleep.
fn stray_notify<const LEFT_OUT: usize>(by: By) {
    let (fifo, mut producer, mut consumer) = fifo::<LEFT_OUT>(2);
    let stray = thread::spawn(move || fifo.notify());
    let consumer = thread::spawn(move || {
        consumer.read(by, 1);
        consumer
    });
    producer.write(By::Call, 1);
    stray.join().unwrap();
    consumer.join().unwrap().drain(producer.bytes);
}

/// One writer sleeps until one byte fits, another until two do, and the consumer makes room for
/// both a byte at a time.
fn small_and_large_writer<const LEFT_OUT: usize>() {
    let fifo = Rc::new(Fifo::<LEFT_OUT>::new(2, 2, START));
    let mut producer = Side::new(&fifo);
    let mut consumer = Side::new(&fifo);
    producer.try_write(2);
    let end = Rc::new(sync::Mutex::new(producer));
    let threads = [1, 2].map(|len| {
        let (fifo, end) = (fifo.clone(), end.clone());
        thread::spawn(move || {
            fifo.write(By::Call, len - 1, len as u64, || {
                let end = &mut *end.lock().unwrap();
                let bytes = end.bytes.bytes(len);
                let sent = fifo.try_write(&mut end.cursor, &bytes, len as u64);
                end.bytes.sent(sent)
            })
        })
    });
    consumer.read(By::Call, 3);
    threads.map(|thread| thread.join().unwrap());
    let producer = Rc::into_inner(end).unwrap().into_inner().unwrap();
    consumer.drain(producer.bytes);
}

/// The owner of a consumer's end polls for a byte and takes it. Someone else, who only polls, must
/// see the next one.
fn owner_and_observer<const LEFT_OUT: usize>() {
    let (fifo, mut producer, mut consumer) = fifo::<LEFT_OUT>(2);
    let owner = thread::spawn(move || {
        consumer.read(By::Mapping, 1);
        consumer
    });
    let observer = thread::spawn(move || fifo.wait_for_bytes(By::Mapping, 1));
    producer.write(By::Mapping, 2);
    observer.join().unwrap();
    owner.join().unwrap().drain(producer.bytes);
}

#[test]
fn measure() {
    use By::*;
    let want = std::env::var("M").unwrap();
    let pb = std::env::var("PB").ok().map(|p| p.parse().unwrap());
    let n = std::env::var("N").map(|n| n.parse().unwrap()).unwrap_or(1);
    match want.as_str() {
        "transfer" => drop(explore("transfer", pb, transfer::<NOTHING>)),
        "clearing" => drop(explore("clearing", pb, clearing::<NOTHING>)),
        "observer" => drop(explore("observer", pb, observer::<NOTHING>)),
        "pg" => drop(explore("pg", pb, producer_goes::<NOTHING>)),
        "cg" => drop(explore("cg", pb, consumer_goes::<NOTHING>)),
        "cs" => for p in [Call, Mapping] { for c in [Call, Mapping] { drop(explore(&format!("cs {p:?} {c:?} {n}"), pb, move || consumer_sleeps::<NOTHING>([p, c], n))) }},
        "ps" => for p in [Call, Mapping] { for c in [Call, Mapping] { drop(explore(&format!("ps {p:?} {c:?} {n}"), pb, move || producer_sleeps::<NOTHING>([p, c], n))) }},
        "bs" => for p in [Call, Mapping] { for c in [Call, Mapping] { drop(explore(&format!("bs {p:?} {c:?} {n}"), pb, move || both_sleep::<NOTHING>([p, c], n))) }},
        "t1" => for p in [Call, Mapping] { for c in [Call, Mapping] { drop(explore(&format!("t1 {p:?} {c:?} {n}"), pb, move || two_readers_one_notify::<NOTHING>([p, c]))) }},
        "t2" => for p in [Call, Mapping] { for c in [Call, Mapping] { drop(explore(&format!("t2 {p:?} {c:?} {n}"), pb, move || two_readers_two_notifies::<NOTHING>([p, c]))) }},
        "sn" => for p in [Call, Mapping] { drop(explore(&format!("sn {p:?} {n}"), pb, move || stray_notify::<NOTHING>(p))) },
        "sl" => drop(explore(&format!("sl {n}"), pb, move || small_and_large_writer::<NOTHING>())),
        "oo" => { drop(explore(&format!("oo {n}"), pb, move || owner_and_observer::<NOTHING>()));
          drop(explore(&format!("oo clears {n}"), pb, move || owner_and_observer::<{Step::LeaveSet as usize}>())) },
        _ => panic!(),
    }
}
