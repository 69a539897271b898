// SPDX-License-Identifier: GPL-2.0

//! `ring.rs` with the host's atomics and shared memory, compared with other ways to move bytes from
//! one process to another, and with `rtrb`, which moves them from one thread to another.
//!
//! `vfifo-bench ROUNDS MILLISECONDS FILE` appends samples as `bench.c` does. As there, both ends
//! are pinned, each way has one turn in each round, and the parent only reads a counter twice.

#[path = "../../../samples-rust-vfifo/rust_vfifo/ring.rs"]
#[allow(dead_code)]
mod ring;

// It depends on code under Apache-2.0: see Cargo.toml.
#[cfg(feature = "iceoryx2")]
mod iceoryx;

use ring::{Cursor, End, Fence, Memory, Ring};
use std::error::Error;
use std::fs::OpenOptions;
use std::io::{Read, Write};
use std::os::fd::AsRawFd;
use std::os::unix::net::UnixStream;
use std::sync::atomic::{fence, AtomicBool, AtomicU32, AtomicU64, Ordering};
use std::thread;
use std::time::{Duration, Instant};

const CAPACITY: usize = 64 * 1024;
const SIZES: [usize; 4] = [64, 512, 4096, 65536];

/// The most that is copied at once, so that both ends are busy even if a block fills the buffer.
const PIECE: usize = CAPACITY / 4;

/// One cache line, or two, since some processors fetch them in pairs.
#[repr(align(128))]
struct Line<T>(T);

/// As `struct vfifo_end`.
#[repr(C)]
struct SharedEnd {
    position: AtomicU64,
    reserved: [AtomicU64; 15],
    waiting: AtomicU32,
}

impl End for Line<SharedEnd> {
    #[inline]
    fn load_acquire(&self) -> u64 {
        self.0.position.load(Ordering::Acquire)
    }

    #[inline]
    fn store_release(&self, position: u64) {
        self.0.position.store(position, Ordering::Release);
    }

    #[inline]
    fn is_waiting(&self) -> bool {
        self.0.waiting.load(Ordering::Relaxed) != 0
    }

    #[inline]
    fn set_waiting(&self, waiting: bool) {
        self.0.waiting.store(waiting.into(), Ordering::Relaxed);
    }
}

struct SharedMemory;

impl Memory for SharedMemory {
    type Producer = Line<SharedEnd>;
    type Consumer = Line<SharedEnd>;

    #[inline]
    fn fence(_: Fence) {
        fence(Ordering::SeqCst);
    }
}

/// Shared by the processes of a sample. All zeroes are a valid value.
struct Shared {
    ring: Ring<SharedMemory>,
    stop: Line<AtomicBool>,
    done: Line<AtomicU64>,
    data: [u8; CAPACITY],
}

impl Shared {
    /// Creates one that children share, and that exists until the program ends.
    fn new() -> &'static Self {
        // SAFETY: A new mapping overlaps nothing.
        let memory = unsafe {
            libc::mmap(
                std::ptr::null_mut(),
                size_of::<Self>(),
                libc::PROT_READ | libc::PROT_WRITE,
                libc::MAP_SHARED | libc::MAP_ANONYMOUS,
                -1,
                0,
            )
        };
        assert_ne!(memory, libc::MAP_FAILED, "mmap");
        // SAFETY: It is large enough, page aligned and zeroed. Its contents are only changed by
        // atomics and by copies through raw pointers.
        unsafe { &*memory.cast() }
    }

    fn reset(&self) {
        self.ring.producer.store_release(0);
        self.ring.consumer.store_release(0);
        self.stop.0.store(false, Ordering::Relaxed);
        self.done.0.store(0, Ordering::Relaxed);
    }

    #[inline]
    fn stopped(&self) -> bool {
        self.stop.0.load(Ordering::Relaxed)
    }

    #[inline]
    fn count(&self, bytes: usize) {
        let done = self.done.0.load(Ordering::Relaxed);
        self.done.0.store(done + bytes as u64, Ordering::Relaxed);
    }

    fn data(&self) -> *mut u8 {
        (&raw const self.data).cast_mut().cast()
    }
}

/// Waits for the other end, and yields the processor from time to time.
#[inline]
fn spin(spins: &mut u32) {
    *spins += 1;
    if *spins % 1024 == 0 {
        thread::yield_now();
    } else {
        std::hint::spin_loop();
    }
}

/// The work of an end until it is told to stop, with its block of memory.
type Work = Box<dyn FnOnce(&Shared, &mut [u8]) + Send>;

/// A way to move bytes.
struct Way {
    name: &'static str,
    /// Whether the ends are threads of one process.
    threads: bool,
    produce: Work,
    consume: Work,
}

/// The whole protocol of the driver, with its fences and the checks of `waiting`.
fn ring_way() -> Way {
    let produce = |shared: &Shared, block: &mut [u8]| {
        let mut cursor = Cursor::new(CAPACITY as u64, 0);
        let mut spins = 0;
        while !shared.stopped() {
            for part in block.chunks(PIECE) {
                let len = part.len() as u64;
                while shared.ring.free(&mut cursor, len).expect("its tail") < len {
                    if shared.stopped() {
                        return;
                    }
                    spin(&mut spins);
                }
                let mut from = part.as_ptr();
                for piece in ring::pieces(cursor.position, len, CAPACITY as u64) {
                    // SAFETY: The ring says that the consumer is done with these bytes.
                    unsafe {
                        let to = shared.data().add(piece.offset);
                        to.copy_from_nonoverlapping(from, piece.len);
                        from = from.add(piece.len);
                    }
                }
                shared.ring.produce(&mut cursor, len);
                assert!(!shared.ring.consumer_waits(), "nobody sleeps here");
            }
        }
    };
    let consume = |shared: &Shared, block: &mut [u8]| {
        let mut cursor = Cursor::new(CAPACITY as u64, 0);
        let mut spins = 0;
        while !shared.stopped() {
            let used = shared.ring.used(&mut cursor, 1).expect("its head") as usize;
            if used == 0 {
                spin(&mut spins);
                continue;
            }
            let len = used.min(block.len()).min(PIECE);
            let mut to = block.as_mut_ptr();
            for piece in ring::pieces(cursor.position, len as u64, CAPACITY as u64) {
                // SAFETY: The ring says that the producer is done with these bytes.
                unsafe {
                    let from = shared.data().add(piece.offset);
                    to.copy_from_nonoverlapping(from, piece.len);
                    to = to.add(piece.len);
                }
            }
            shared.ring.consume(&mut cursor, len as u64);
            assert!(!shared.ring.producer_waits(), "nobody sleeps here");
            shared.count(len);
        }
    };
    Way {
        name: "ring.rs",
        threads: false,
        produce: Box::new(produce),
        consume: Box::new(consume),
    }
}

fn rtrb_way() -> Way {
    let (mut producer, mut consumer) = rtrb::RingBuffer::<u8>::new(CAPACITY);
    let produce = move |shared: &Shared, block: &mut [u8]| {
        let mut spins = 0;
        while !shared.stopped() {
            for part in block.chunks(PIECE) {
                while producer.push_entire_slice(part).is_err() {
                    if shared.stopped() {
                        return;
                    }
                    spin(&mut spins);
                }
            }
        }
    };
    let consume = move |shared: &Shared, block: &mut [u8]| {
        let most = block.len().min(PIECE);
        let mut spins = 0;
        while !shared.stopped() {
            let (done, _) = consumer.pop_partial_slice(&mut block[..most]);
            match done.len() {
                0 => spin(&mut spins),
                len => shared.count(len),
            }
        }
    };
    Way {
        name: "rtrb",
        threads: true,
        produce: Box::new(produce),
        consume: Box::new(consume),
    }
}

/// Any pair of files.
fn file_way(
    name: &'static str,
    mut from: impl Read + Send + 'static,
    mut to: impl Write + Send + 'static,
) -> Way {
    let produce = move |shared: &Shared, block: &mut [u8]| {
        while !shared.stopped() {
            to.write_all(block).expect(name);
        }
    };
    let consume = move |shared: &Shared, block: &mut [u8]| {
        while !shared.stopped() {
            shared.count(from.read(block).expect(name));
        }
    };
    Way {
        name,
        threads: false,
        produce: Box::new(produce),
        consume: Box::new(consume),
    }
}

fn pipe_way() -> Way {
    let (from, to) = std::io::pipe().expect("pipe");
    // SAFETY: Only a number is passed.
    let size = unsafe { libc::fcntl(to.as_raw_fd(), libc::F_SETPIPE_SZ, CAPACITY as libc::c_int) };
    assert_eq!(size, CAPACITY as libc::c_int, "F_SETPIPE_SZ");
    file_way("pipe", from, to)
}

fn unix_way() -> Way {
    let (from, to) = UnixStream::pair().expect("socketpair");
    let size = CAPACITY as libc::c_int;
    // SAFETY: The value is a valid integer of the given length.
    let status = unsafe {
        libc::setsockopt(
            to.as_raw_fd(),
            libc::SOL_SOCKET,
            libc::SO_SNDBUF,
            (&raw const size).cast(),
            size_of_val(&size) as libc::socklen_t,
        )
    };
    assert_eq!(status, 0, "SO_SNDBUF");
    file_way("unix", from, to)
}

/// The ways that are compared. Each is made from a number that is unique in this run.
const WAYS: &[fn(u32) -> Way] = &[
    |_| ring_way(),
    |_| rtrb_way(),
    #[cfg(feature = "iceoryx2")]
    iceoryx::way,
    |_| pipe_way(),
    |_| unix_way(),
];

fn pin(cpu: usize) {
    // SAFETY: All zero is an empty set; the set is valid during the call.
    unsafe {
        let mut set: libc::cpu_set_t = std::mem::zeroed();
        libc::CPU_SET(cpu, &mut set);
        libc::sched_setaffinity(0, size_of_val(&set), &set);
    }
}

/// Runs `work` in a child, which then exits.
fn child(work: impl FnOnce()) -> libc::pid_t {
    // SAFETY: There is one thread, so the child may do as it likes.
    let pid = unsafe { libc::fork() };
    assert!(pid >= 0, "fork");
    if pid == 0 {
        // SAFETY: Only numbers are passed.
        unsafe { libc::prctl(libc::PR_SET_PDEATHSIG, libc::SIGKILL) };
        work();
        // SAFETY: Exiting is always allowed. Nothing of the parent is flushed or dropped.
        unsafe { libc::_exit(0) };
    }
    pid
}

fn work_at(cpu: usize, size: usize, shared: &Shared, work: Work) {
    pin(cpu);
    work(shared, &mut vec![b'x'; size]);
}

/// MB/s of one way, during `time`.
fn sample(way: Way, size: usize, shared: &'static Shared, time: Duration) -> f64 {
    let Way {
        name,
        threads,
        produce,
        consume,
    } = way;
    shared.reset();
    let children: Vec<_> = if threads {
        vec![child(move || {
            let producer = thread::spawn(move || work_at(0, size, shared, produce));
            work_at(1, size, shared, consume);
            let _ = producer.join();
        })]
    } else {
        // One after the other, so that each has only its own end, and notices if the other ends.
        let first = child(|| work_at(0, size, shared, produce));
        vec![first, child(|| work_at(1, size, shared, consume))]
    };

    let look = || (Instant::now(), shared.done.0.load(Ordering::Relaxed));
    let patience = Instant::now();
    while look().1 == 0 {
        assert!(patience.elapsed() < Duration::from_secs(20), "{name}, {size} bytes: it hangs");
        thread::sleep(Duration::from_millis(1));
    }
    thread::sleep(Duration::from_millis(5));
    let (from, before) = look();
    thread::sleep(time);
    let (to, after) = look();
    shared.stop.0.store(true, Ordering::Relaxed);

    // Those that sleep in a system call do not see `stop`, and are killed.
    thread::sleep(Duration::from_millis(5));
    for pid in children {
        let mut status = 0;
        for attempt in 0.. {
            // SAFETY: `status` is valid; the child is ours and not waited for yet.
            unsafe {
                if libc::waitpid(pid, &mut status, libc::WNOHANG) == pid {
                    break;
                }
                let files = matches!(name, "pipe" | "unix");
                if files || attempt > 2000 {
                    libc::kill(pid, libc::SIGKILL);
                }
            }
            thread::sleep(Duration::from_millis(1));
        }
        let well = libc::WIFEXITED(status) && libc::WEXITSTATUS(status) == 0;
        assert!(well || libc::WIFSIGNALED(status), "{name}, {size} bytes: it failed");
    }
    (after - before) as f64 / (to - from).as_secs_f64() / 1e6
}

fn main() -> Result<(), Box<dyn Error>> {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let [rounds, milliseconds, file] = arguments.as_slice() else {
        return Err("usage: vfifo-bench ROUNDS MILLISECONDS FILE".into());
    };
    let (rounds, time) = (rounds.parse()?, Duration::from_millis(milliseconds.parse()?));
    let mut samples = OpenOptions::new().append(true).create(true).open(file)?;
    #[cfg(feature = "iceoryx2")]
    iceoryx::quiet();
    let shared = Shared::new();
    let mut number = 0;
    for round in 0..rounds {
        for size in SIZES {
            for turn in 0..WAYS.len() {
                number += 1;
                let way = WAYS[(turn + round) % WAYS.len()](number);
                let name = way.name;
                let rate = sample(way, size, shared, time);
                writeln!(samples, "native\t{name}\t{size}\tMB/s\t{rate:.6}")?;
            }
        }
        println!("  round {} of {rounds}", round + 1);
    }
    Ok(())
}
