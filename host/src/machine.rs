// SPDX-License-Identifier: GPL-2.0

//! A machine that has threads do what they do in every order, and has every load return every value
//! that it may.
//!
//! Its memory is that of C11 and Rust, told as a machine. A variable is a list of messages, the
//! stores to it in the order that all agree on. A thread has a view: how far in each list it has
//! come. It loads any message from there on, and stores anywhere after that. A message stored with
//! release has the view of the thread that stored it, which a thread that loads it with acquire
//! adds to its own. A fence (they are all sequentially consistent) adds to the thread's view those
//! of all fences before, and so on.
//!
//! Data are cells. An access that does not happen after all those that it conflicts with is a race;
//! for that, a view also says which accesses to cells it comes after. Fences by themselves do not
//! tell that to each other.
//!
//! What is left out is that a load may return what is stored later, if nothing orders the two. An
//! acquire load cannot be among these, nor a release store.
//!
//! Orders that lead to the same state are the same from there on, so each state is gone on from
//! only once; states are told apart by a hash of 128 bits. What a thread is about to do is a
//! function of what it was told since its last act began. So to go on, that act is begun again,
//! told the same again, and left (by unwinding) when it asks for more.
//!
//! loom does the same without looking for states that it has seen, and so cannot get through more
//! than a few steps of each thread; and it knows less of coherence: in loom, threads may load what
//! they have themselves stored over (<https://github.com/tokio-rs/loom/issues/282>).

use std::{
    any::Any,
    cell::RefCell,
    collections::{HashMap, HashSet},
    convert::Infallible,
    hash::{Hash, Hasher},
    ops::{Deref, DerefMut, Range},
    panic::{catch_unwind, resume_unwind, AssertUnwindSafe},
    sync::atomic::Ordering,
    thread::panicking,
    time::Duration,
};

/// The most that there can be of each.
const VARIABLES: usize = 12;
const CELLS: usize = 8;
const MUTEXES: usize = 8;
const THREADS: usize = 3;

/// What a thread asks of the machine.
#[rustfmt::skip]
#[derive(Clone, Copy, Debug)]
enum Op {
    Load { variable: usize, acquire: bool },
    Store { variable: usize, value: u64, release: bool },
    Add { variable: usize, value: u64 },
    Fence,
    Get { cell: usize },
    Set { cell: usize, value: u64 },
    Lock { mutex: usize },
    Unlock { mutex: usize, value: u64 },
    Sleep { bed: usize, mutex: usize, value: u64 },
    Wake { bed: usize },
}

/// What is known.
#[derive(Clone, Default, PartialEq, Eq, Hash)]
struct View {
    // The number of the last message known of each variable.
    seen: [u8; VARIABLES],
    // A bit for the last write to each cell, and for the last read of it by each thread.
    happened: u32,
}

impl View {
    fn write(cell: usize) -> u32 {
        1 << (cell * (1 + THREADS))
    }

    fn read(cell: usize, thread: usize) -> u32 {
        Self::write(cell) << (1 + thread)
    }

    fn accesses(cell: usize) -> u32 {
        Self::write(cell) * ((1 << (1 + THREADS)) - 1)
    }

    fn see(&mut self, other: &View) {
        for (mine, its) in self.seen.iter_mut().zip(other.seen) {
            *mine = its.max(*mine);
        }
    }

    fn join(&mut self, other: &View) {
        self.see(other);
        self.happened |= other.happened;
    }
}

/// A store.
#[derive(Clone, PartialEq, Eq, Hash)]
struct Message {
    value: u64,
    view: View,
    // Nothing can come between the message before and this.
    attached: bool,
}

#[derive(Clone, PartialEq, Eq, Hash)]
struct CellState {
    value: u64,
    // By which threads since the last write.
    read: [bool; THREADS],
}

#[derive(Clone, PartialEq, Eq, Hash)]
struct MutexState {
    locked: bool,
    value: u64,
    view: View,
}

#[derive(Clone, PartialEq, Eq, Hash)]
enum Status {
    Ready,
    Asleep { bed: usize, mutex: usize },
    Woken { mutex: usize },
    Done,
}

#[derive(Clone, PartialEq, Eq, Hash)]
struct Thread {
    // How far it is: the number of a place that the explorer knows.
    place: usize,
    status: Status,
    view: View,
    // What a fence would add to its view, and what the last fence has added to its messages.
    acquirable: View,
    released: View,
}

#[derive(Clone, PartialEq, Eq, Hash)]
struct State {
    // Those of all variables, one after the other, and how many each has.
    messages: Vec<Message>,
    lengths: [u8; VARIABLES],
    cells: Vec<CellState>,
    mutexes: Vec<MutexState>,
    beds: usize,
    threads: Vec<Thread>,
    fences: View,
}

/// What can be wrong.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Bug {
    /// Two accesses to a cell, at least one of them a write, of which none happens before the
    /// other.
    Race,
    /// Threads sleep, and nobody is left to wake them.
    LostWakeUp,
    /// A thread has panicked, saying this.
    Panic(String),
}

impl State {
    /// Nothing, and one thread.
    fn new() -> Self {
        Self {
            messages: Vec::new(),
            lengths: [0; VARIABLES],
            cells: Vec::new(),
            mutexes: Vec::new(),
            beds: 0,
            threads: vec![Thread {
                place: 0,
                status: Status::Ready,
                view: View::default(),
                acquirable: View::default(),
                released: View::default(),
            }],
            fences: View::default(),
        }
    }

    fn new_variable(&mut self, value: u64) -> usize {
        let new = self.lengths.iter().position(|length| *length == 0);
        let new = new.expect("not more variables");
        self.lengths[new] = 1;
        self.messages.push(Message {
            value,
            view: View::default(),
            attached: false,
        });
        new
    }

    fn new_cell(&mut self, value: u64) -> usize {
        assert!(self.cells.len() < CELLS);
        self.cells.push(CellState {
            value,
            read: [false; THREADS],
        });
        let new = self.cells.len() - 1;
        self.threads[0].view.happened |= View::write(new);
        new
    }

    fn new_mutex(&mut self) -> usize {
        assert!(self.mutexes.len() < MUTEXES);
        self.mutexes.push(MutexState {
            locked: false,
            value: 0,
            view: View::default(),
        });
        self.mutexes.len() - 1
    }

    fn new_bed(&mut self) -> usize {
        self.beds += 1;
        self.beds - 1
    }

    /// Where the messages of a variable are.
    fn range(&self, variable: usize) -> Range<usize> {
        let before = &self.lengths[..variable];
        let start = before.iter().map(|length| usize::from(*length)).sum();
        start..start + usize::from(self.lengths[variable])
    }

    fn each_view(&mut self, mut change: impl FnMut(&mut View)) {
        for thread in &mut self.threads {
            change(&mut thread.view);
            change(&mut thread.acquirable);
            change(&mut thread.released);
        }
        for message in &mut self.messages {
            change(&mut message.view);
        }
        for mutex in &mut self.mutexes {
            change(&mut mutex.view);
        }
        change(&mut self.fences);
    }

    /// Makes `message` number `at` of a variable, which `thread` has seen then.
    fn insert(&mut self, thread: usize, variable: usize, at: usize, mut message: Message) {
        self.each_view(|view| {
            let seen = &mut view.seen[variable];
            *seen += u8::from(usize::from(*seen) >= at);
        });
        message.view.seen[variable] = at as u8;
        self.threads[thread].view.seen[variable] = at as u8;
        let start = self.range(variable).start;
        self.messages.insert(start + at, message);
        self.lengths[variable] += 1;
    }

    /// All that can come of what `thread` asks: a state and an answer each. Nothing, if it has to
    /// wait.
    fn answers(&self, thread: usize, op: Op) -> Result<Vec<(State, u64)>, Bug> {
        let view = &self.threads[thread].view;
        let mut answers = Vec::new();
        match op {
            Op::Load { variable, acquire } => {
                let messages = &self.messages[self.range(variable)];
                let seen = view.seen[variable].into();
                for (at, message) in messages.iter().enumerate().skip(seen) {
                    let mut state = self.clone();
                    let me = &mut state.threads[thread];
                    me.view.seen[variable] = at as u8;
                    match acquire {
                        true => me.view.join(&message.view),
                        false => me.acquirable.join(&message.view),
                    }
                    answers.push((state, message.value));
                }
            }
            Op::Store {
                variable,
                value,
                release,
            } => {
                let messages = &self.messages[self.range(variable)];
                for at in usize::from(view.seen[variable]) + 1..=messages.len() {
                    if messages.get(at).is_some_and(|message| message.attached) {
                        continue;
                    }
                    let mut state = self.clone();
                    let me = &state.threads[thread];
                    let message = Message {
                        value,
                        view: match release {
                            true => me.view.clone(),
                            false => me.released.clone(),
                        },
                        attached: false,
                    };
                    state.insert(thread, variable, at, message);
                    answers.push((state, 0));
                }
            }
            Op::Add { variable, value } => {
                let messages = &self.messages[self.range(variable)];
                let seen = view.seen[variable].into();
                for (at, before) in messages.iter().enumerate().skip(seen) {
                    if messages.get(at + 1).is_some_and(|after| after.attached) {
                        continue;
                    }
                    let mut state = self.clone();
                    let me = &mut state.threads[thread];
                    me.acquirable.join(&before.view);
                    let mut message = Message {
                        value: before.value.wrapping_add(value),
                        view: me.released.clone(),
                        attached: true,
                    };
                    message.view.join(&before.view);
                    state.insert(thread, variable, at + 1, message);
                    answers.push((state, before.value));
                }
            }
            Op::Fence => {
                let mut state = self.clone();
                let me = &mut state.threads[thread];
                let acquired = std::mem::take(&mut me.acquirable);
                me.view.join(&acquired);
                me.view.see(&state.fences);
                state.fences.see(&me.view);
                me.released = me.view.clone();
                answers.push((state, 0));
            }
            Op::Get { cell } => {
                if view.happened & View::write(cell) == 0 {
                    return Err(Bug::Race);
                }
                let mut state = self.clone();
                state.each_view(|view| view.happened &= !View::read(cell, thread));
                state.threads[thread].view.happened |= View::read(cell, thread);
                state.cells[cell].read[thread] = true;
                answers.push((state, self.cells[cell].value));
            }
            Op::Set { cell, value } => {
                let before = (0..THREADS)
                    .filter(|thread| self.cells[cell].read[*thread])
                    .map(|thread| View::read(cell, thread))
                    .fold(View::write(cell), |all, one| all | one);
                if view.happened & before != before {
                    return Err(Bug::Race);
                }
                let mut state = self.clone();
                state.each_view(|view| view.happened &= !View::accesses(cell));
                state.threads[thread].view.happened |= View::write(cell);
                state.cells[cell] = CellState {
                    value,
                    read: [false; THREADS],
                };
                answers.push((state, 0));
            }
            Op::Lock { mutex } => {
                if !self.mutexes[mutex].locked {
                    let mut state = self.clone();
                    state.mutexes[mutex].locked = true;
                    state.threads[thread].view.join(&self.mutexes[mutex].view);
                    state.threads[thread].status = Status::Ready;
                    answers.push((state, self.mutexes[mutex].value));
                }
            }
            Op::Unlock { mutex, value } => {
                let mut state = self.clone();
                state.mutexes[mutex] = MutexState {
                    locked: false,
                    value,
                    view: view.clone(),
                };
                answers.push((state, 0));
            }
            Op::Sleep { bed, mutex, value } => {
                // The answer is that of the lock that comes when it is woken.
                let (mut state, _) = self.answers(thread, Op::Unlock { mutex, value })?.remove(0);
                state.threads[thread].status = Status::Asleep { bed, mutex };
                answers.push((state, 0));
            }
            Op::Wake { bed } => {
                for (number, sleeper) in self.threads.iter().enumerate() {
                    let Status::Asleep { bed: its, mutex } = sleeper.status else {
                        continue;
                    };
                    if its == bed {
                        let mut state = self.clone();
                        state.threads[number].status = Status::Woken { mutex };
                        answers.push((state, 0));
                    }
                }
                if answers.is_empty() {
                    answers.push((self.clone(), 0));
                }
            }
        }
        Ok(answers)
    }

    /// What a thread that is done knows makes no difference.
    fn end(&mut self, thread: usize) {
        let me = &mut self.threads[thread];
        me.status = Status::Done;
        me.view = View::default();
        me.acquirable = View::default();
        me.released = View::default();
    }

    /// Forgets the messages that nobody can load any more, which make no difference either.
    fn forget(&mut self) {
        for variable in 0..VARIABLES {
            let awake = self.threads.iter();
            let awake = awake.filter(|thread| thread.status != Status::Done);
            let first = awake.map(|thread| thread.view.seen[variable]).min();
            let first = first.unwrap_or(self.lengths[variable].saturating_sub(1));
            if first > 0 {
                let start = self.range(variable).start;
                self.messages.drain(start..start + usize::from(first));
                self.messages[start].attached = false;
                self.lengths[variable] -= first;
                self.each_view(|view| {
                    view.seen[variable] = view.seen[variable].saturating_sub(first);
                });
            }
        }
    }
}

/// A hash of 128 bits, quicker than those of the library.
struct Fingerprint([u64; 2]);

impl Fingerprint {
    fn of(state: &State) -> [u64; 2] {
        let mut fingerprint = Self([0x243f_6a88_85a3_08d3, 0x1319_8a2e_0370_7344]);
        state.hash(&mut fingerprint);
        fingerprint.0
    }
}

impl Hasher for Fingerprint {
    fn write(&mut self, bytes: &[u8]) {
        for chunk in bytes.chunks(8) {
            let mut word = [0; 8];
            word[..chunk.len()].copy_from_slice(chunk);
            self.write_u64(u64::from_le_bytes(word));
        }
    }

    fn write_u8(&mut self, value: u8) {
        self.write_u64(value.into());
    }

    fn write_u32(&mut self, value: u32) {
        self.write_u64(value.into());
    }

    fn write_usize(&mut self, value: usize) {
        self.write_u64(value as u64);
    }

    fn write_u64(&mut self, value: u64) {
        let factors = [0xa409_3822_299f_31d0u64 | 1, 0x082e_fa98_ec4e_6c89];
        for (half, factor) in self.0.iter_mut().zip(factors) {
            let product = u128::from(*half ^ value) * u128::from(factor);
            *half = ((product >> 64) as u64 ^ product as u64).rotate_left(23) ^ factor;
        }
    }

    fn finish(&self) -> u64 {
        self.0[0]
    }
}

/// How what runs is answered.
enum Mode {
    /// It is the only thread.
    Alone(State),
    /// As it was before, and from the number given on no more.
    Told(Vec<u64>, usize),
}

thread_local! {
    static MODE: RefCell<Mode> = const { RefCell::new(Mode::Told(Vec::new(), 0)) };
}

/// What an act unwinds with that has not been told enough.
struct Asks(Op);

fn ask(op: Op) -> u64 {
    let answer = MODE.with(|mode| match &mut *mode.borrow_mut() {
        Mode::Alone(state) => {
            let mut answers = state.answers(0, op).expect("nobody to race with");
            assert_eq!(answers.len(), 1, "nobody to disagree with");
            let (next, answer) = answers.remove(0);
            *state = next;
            Some(answer)
        }
        Mode::Told(told, count) => {
            *count += 1;
            told.get(*count - 1).copied()
        }
    });
    answer.unwrap_or_else(|| resume_unwind(Box::new(Asks(op))))
}

fn declare(declare: impl FnOnce(&mut State) -> usize) -> usize {
    MODE.with(|mode| match &mut *mode.borrow_mut() {
        Mode::Alone(state) => declare(state),
        Mode::Told(..) => panic!("made before the threads begin"),
    })
}

macro_rules! atomic {
    ($name:ident, $type:ty, $from:expr) => {
        pub(crate) struct $name(usize);

        impl $name {
            pub(crate) fn new(value: $type) -> Self {
                Self(declare(|state| state.new_variable(value as u64)))
            }

            pub(crate) fn load(&self, ordering: Ordering) -> $type {
                $from(ask(Op::Load {
                    variable: self.0,
                    acquire: ordering == Ordering::Acquire,
                }))
            }

            pub(crate) fn store(&self, value: $type, ordering: Ordering) {
                ask(Op::Store {
                    variable: self.0,
                    value: value as u64,
                    release: ordering == Ordering::Release,
                });
            }
        }
    };
}

atomic!(AtomicU64, u64, |value| value);
atomic!(AtomicUsize, usize, |value| value as usize);
atomic!(AtomicBool, bool, |value| value != 0);

impl AtomicUsize {
    /// Relaxed.
    pub(crate) fn fetch_add(&self, value: usize, _: Ordering) -> usize {
        let (variable, value) = (self.0, value as u64);
        ask(Op::Add { variable, value }) as usize
    }

    /// Relaxed.
    pub(crate) fn fetch_sub(&self, value: usize, ordering: Ordering) -> usize {
        self.fetch_add(value.wrapping_neg(), ordering)
    }
}

/// A sequentially consistent fence.
pub(crate) fn fence() {
    ask(Op::Fence);
}

/// A byte of data.
pub(crate) struct Byte(usize);

impl Byte {
    pub(crate) fn new(value: u8) -> Self {
        Self(declare(|state| state.new_cell(value.into())))
    }

    pub(crate) fn get(&self) -> u8 {
        ask(Op::Get { cell: self.0 }) as u8
    }

    pub(crate) fn set(&self, value: u8) {
        let (cell, value) = (self.0, value.into());
        ask(Op::Set { cell, value });
    }
}

/// A lock around something, which the machine knows by its number in a list of all that it ever
/// was.
pub(crate) struct Mutex<T> {
    mutex: usize,
    values: RefCell<Vec<T>>,
}

impl<T: Clone + PartialEq> Mutex<T> {
    pub(crate) fn new(value: T) -> Self {
        Self {
            mutex: declare(State::new_mutex),
            values: RefCell::new(vec![value]),
        }
    }

    pub(crate) fn lock(&self) -> Result<Guard<'_, T>, Infallible> {
        let value = ask(Op::Lock { mutex: self.mutex });
        Ok(self.locked(value))
    }

    fn locked(&self, value: u64) -> Guard<'_, T> {
        Guard {
            mutex: self,
            value: Some(self.values.borrow()[value as usize].clone()),
        }
    }

    fn number(&self, value: T) -> u64 {
        let mut values = self.values.borrow_mut();
        let number = values.iter().position(|known| *known == value);
        number.unwrap_or_else(|| {
            values.push(value);
            values.len() - 1
        }) as u64
    }
}

/// A lock that is held.
pub(crate) struct Guard<'a, T: Clone + PartialEq> {
    mutex: &'a Mutex<T>,
    value: Option<T>,
}

impl<T: Clone + PartialEq> Deref for Guard<'_, T> {
    type Target = T;

    fn deref(&self) -> &T {
        self.value.as_ref().expect("there until it is dropped")
    }
}

impl<T: Clone + PartialEq> DerefMut for Guard<'_, T> {
    fn deref_mut(&mut self) -> &mut T {
        self.value.as_mut().expect("there until it is dropped")
    }
}

impl<T: Clone + PartialEq> Drop for Guard<'_, T> {
    fn drop(&mut self) {
        if panicking() {
            return;
        }
        if let Some(value) = self.value.take() {
            let (mutex, value) = (self.mutex.mutex, self.mutex.number(value));
            ask(Op::Unlock { mutex, value });
        }
    }
}

/// What one sleeps on.
pub(crate) struct Condvar(usize);

/// Nobody sleeps for too long here: they are woken or not.
pub(crate) struct InTime;

impl InTime {
    pub(crate) fn timed_out(&self) -> bool {
        false
    }
}

impl Condvar {
    pub(crate) fn new() -> Self {
        Self(declare(State::new_bed))
    }

    pub(crate) fn wait_timeout<'a, T: Clone + PartialEq>(
        &self,
        mut guard: Guard<'a, T>,
        _: Duration,
    ) -> Result<(Guard<'a, T>, InTime), Infallible> {
        let lock = guard.mutex;
        let value = guard.value.take().expect("there until it is dropped");
        let (bed, mutex, value) = (self.0, lock.mutex, lock.number(value));
        let value = ask(Op::Sleep { bed, mutex, value });
        Ok((lock.locked(value), InTime))
    }

    pub(crate) fn notify_one(&self) {
        ask(Op::Wake { bed: self.0 });
    }
}

/// Something that a thread does.
pub(crate) type Act = Box<dyn Fn()>;

/// What there is to explore.
pub(crate) struct Program {
    /// What each thread does, one after the other.
    pub(crate) threads: Vec<Vec<Act>>,
    /// How many of the threads are asleep before the others begin.
    pub(crate) asleep: usize,
    /// What is done when all are done.
    pub(crate) finally: Act,
}

/// What comes next.
#[derive(Clone)]
enum Next {
    Asks(Op),
    Ends,
    Panics(String),
}

fn play(act: &dyn Fn(), mode: Mode) -> Next {
    MODE.with(|current| *current.borrow_mut() = mode);
    match catch_unwind(AssertUnwindSafe(act)) {
        Ok(()) => Next::Ends,
        Err(panic) => match panic.downcast::<Asks>() {
            Ok(asks) => Next::Asks(asks.0),
            Err(panic) => Next::Panics(said(&*panic)),
        },
    }
}

/// What a panic says.
pub(crate) fn said(panic: &(dyn Any + Send)) -> String {
    match panic.downcast_ref::<String>() {
        Some(said) => said.clone(),
        None => panic.downcast_ref().copied().unwrap_or("?").to_string(),
    }
}

/// A place in what a thread does: in which act, and what it was told since that began.
struct Place {
    thread: usize,
    act: usize,
    told: Vec<u64>,
    // What comes next, and where the answers lead, as far as is known.
    next: Option<Next>,
    after: HashMap<u64, usize>,
}

/// Which threads have to do with something, and which change it.
#[derive(Clone, Copy, Default)]
struct Users {
    all: [bool; THREADS],
    writers: [bool; THREADS],
}

impl Users {
    /// Adds one. Returns whether that makes a difference to another.
    fn add(&mut self, thread: usize, writes: bool) -> bool {
        let is_new = !self.all[thread] || (writes && !self.writers[thread]);
        self.all[thread] = true;
        self.writers[thread] |= writes;
        is_new && (Self::others(&self.writers, thread) || writes && Self::others(&self.all, thread))
    }

    fn others(users: &[bool; THREADS], thread: usize) -> bool {
        (0..THREADS).any(|other| other != thread && users[other])
    }
}

/// How much there was to explore.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Explored {
    /// Different states.
    pub(crate) states: usize,
    /// Ways from one to another.
    pub(crate) steps: usize,
}

struct Explorer {
    program: Program,
    places: Vec<Place>,
    // Where each act of each thread begins, and behind them its end.
    begins: Vec<Vec<usize>>,
    // Who has to do with what, as far as is known, and whether that has changed.
    variables: [Users; VARIABLES],
    mutexes: [Users; MUTEXES],
    learned: bool,
    explored: Explored,
    reached: HashSet<[u64; 2]>,
    // The way to each state: from which, by which thread, and which answer.
    ways: Vec<(u32, u8, u8)>,
}

impl Explorer {
    fn new(program: Program) -> Self {
        let mut places = Vec::new();
        let mut begins = Vec::new();
        for (thread, acts) in program.threads.iter().enumerate() {
            let first = places.len();
            places.extend((0..=acts.len()).map(|act| Place {
                thread,
                act,
                told: Vec::new(),
                next: None,
                after: HashMap::new(),
            }));
            begins.push((first..places.len()).collect());
        }
        Self {
            program,
            places,
            begins,
            variables: Default::default(),
            mutexes: Default::default(),
            learned: false,
            explored: Explored::default(),
            reached: HashSet::new(),
            ways: Vec::new(),
        }
    }

    /// Where an answer leads from a place.
    fn after(&mut self, place: usize, answer: u64) -> usize {
        let from = &self.places[place];
        if let Some(after) = from.after.get(&answer) {
            return *after;
        }
        let mut told = from.told.clone();
        told.push(answer);
        let new = Place {
            thread: from.thread,
            act: from.act,
            told,
            next: None,
            after: HashMap::new(),
        };
        let after = self.places.len();
        self.places.push(new);
        self.places[place].after.insert(answer, after);
        after
    }

    /// What comes next at a place.
    fn next(&mut self, place: usize) -> Next {
        let at = &mut self.places[place];
        if let Some(next) = &at.next {
            return next.clone();
        }
        let thread = at.thread;
        let act = self.program.threads[thread].get(at.act);
        let next = act.map_or(Next::Ends, |act| play(act, Mode::Told(at.told.clone(), 0)));
        at.next = Some(next.clone());
        if let Next::Asks(op) = next {
            self.learned |= match op {
                Op::Load { variable, .. } => self.variables[variable].add(thread, false),
                Op::Store { variable, .. } | Op::Add { variable, .. } => {
                    self.variables[variable].add(thread, true)
                }
                Op::Lock { mutex } => self.mutexes[mutex].add(thread, true),
                _ => false,
            };
        }
        next
    }

    /// Whether it makes no difference to other threads when this is done: as far as is known, they
    /// have nothing to do with it, or can only wait for it. (Who sleeps or wakes holds the lock
    /// that the other needs to wake up or sleep.)
    fn is_own(&self, thread: usize, op: Op) -> bool {
        let others = |users: &[bool; THREADS]| Users::others(users, thread);
        match op {
            Op::Get { .. } | Op::Set { .. } => true,
            Op::Unlock { .. } | Op::Sleep { .. } | Op::Wake { .. } => true,
            Op::Load { variable, .. } => !others(&self.variables[variable].writers),
            Op::Store { variable, .. } => !others(&self.variables[variable].all),
            Op::Add { variable, .. } => !others(&self.variables[variable].all),
            Op::Lock { mutex } => !others(&self.mutexes[mutex].all),
            Op::Fence => false,
        }
    }

    /// Has threads do what makes no difference to others.
    fn settle(&mut self, mut state: State) -> Result<State, Bug> {
        for thread in 0..state.threads.len() {
            while state.threads[thread].status == Status::Ready {
                let place = state.threads[thread].place;
                match self.next(place) {
                    Next::Ends => {
                        let begins = &self.begins[thread];
                        match begins.get(self.places[place].act + 1) {
                            Some(begin) => state.threads[thread].place = *begin,
                            None => state.end(thread),
                        }
                    }
                    Next::Asks(op) if self.is_own(thread, op) => {
                        let (next, answer) = state.answers(thread, op)?.remove(0);
                        state = next;
                        if !matches!(op, Op::Sleep { .. }) {
                            state.threads[thread].place = self.after(place, answer);
                        }
                    }
                    Next::Asks(_) => break,
                    Next::Panics(said) => return Err(Bug::Panic(said)),
                }
            }
        }
        state.forget();
        Ok(state)
    }

    /// What a thread of a settled state asks next, if it is not asleep or done.
    fn op(&mut self, state: &State, thread: usize) -> Option<Op> {
        match state.threads[thread].status {
            Status::Done | Status::Asleep { .. } => None,
            Status::Woken { mutex } => Some(Op::Lock { mutex }),
            Status::Ready => match self.next(state.threads[thread].place) {
                Next::Asks(op) => Some(op),
                _ => unreachable!("settled"),
            },
        }
    }

    /// What comes of an answer.
    fn answered(&mut self, thread: usize, (mut state, answer): (State, u64)) -> Result<State, Bug> {
        let me = &mut state.threads[thread];
        me.place = self.after(me.place, answer);
        self.settle(state)
    }

    /// Does what is to be done when all threads are done, and so all else has happened.
    fn finish(&self, mut state: State) -> Result<(), Bug> {
        state.threads.truncate(1);
        let view = &mut state.threads[0].view;
        view.happened = u32::MAX;
        for (seen, length) in view.seen.iter_mut().zip(state.lengths) {
            *seen = length.saturating_sub(1);
        }
        match play(&self.program.finally, Mode::Alone(state)) {
            Next::Ends => Ok(()),
            Next::Panics(said) => Err(Bug::Panic(said)),
            Next::Asks(_) => unreachable!("answered"),
        }
    }

    /// Explores all there is, or until there is something to learn. Returns a bug, and the number
    /// of the state that it was found in.
    fn explore(&mut self, first: &State) -> Result<(), (Bug, usize)> {
        self.learned = false;
        self.explored = Explored::default();
        self.reached.clear();
        self.ways.clear();

        let mut first = self.settle(first.clone()).map_err(|bug| (bug, 0))?;
        for thread in 0..self.program.asleep {
            while let Some(op) = self.op(&first, thread) {
                let mut answers = first.answers(thread, op).map_err(|bug| (bug, 0))?;
                first = self.answered(thread, answers.remove(0)).map_err(|bug| (bug, 0))?;
            }
        }
        self.reached.insert(Fingerprint::of(&first));
        self.ways.push((0, 0, 0));
        let mut open = vec![(first, 0)];
        while let Some((state, number)) = open.pop() {
            self.explored.states += 1;
            let found = |bug| (bug, number);
            let mut is_stuck = true;
            for thread in 0..state.threads.len() {
                let Some(op) = self.op(&state, thread) else {
                    continue;
                };
                let answers = state.answers(thread, op).map_err(found)?;
                for (choice, answer) in answers.into_iter().enumerate() {
                    is_stuck = false;
                    self.explored.steps += 1;
                    self.ways.push((number as u32, thread as u8, choice as u8));
                    let next = self.answered(thread, answer);
                    let next = next.map_err(|bug| (bug, self.ways.len() - 1))?;
                    if self.learned {
                        return Ok(());
                    }
                    if self.reached.insert(Fingerprint::of(&next)) {
                        open.push((next, self.ways.len() - 1));
                    } else {
                        self.ways.pop();
                    }
                }
            }
            if is_stuck {
                if state.threads.iter().any(|thread| thread.status != Status::Done) {
                    return Err(found(Bug::LostWakeUp));
                }
                self.finish(state).map_err(found)?;
            }
        }
        Ok(())
    }

    /// Prints how it came to a state.
    fn tell(&mut self, first: State, mut number: usize) {
        let mut ways = Vec::new();
        while number != 0 {
            let (from, thread, choice) = self.ways[number];
            ways.push((usize::from(thread), usize::from(choice)));
            number = from as usize;
        }
        let mut state = self.settle(first);
        for (thread, choice) in ways.into_iter().rev() {
            let Ok(before) = state else { break };
            let op = self.op(&before, thread).expect("it was asked");
            let answer = before.answers(thread, op).expect("answers").remove(choice);
            println!("thread {thread}: {op:x?}: {:x}", answer.1);
            state = self.answered(thread, answer);
        }
    }
}

/// Has threads do what they do in every order. Returns the first bug, having printed how it comes
/// about.
pub(crate) fn explore(program: impl FnOnce() -> Program) -> (Result<(), Bug>, Explored) {
    MODE.with(|mode| *mode.borrow_mut() = Mode::Alone(State::new()));
    let program = program();
    let Mode::Alone(mut first) = MODE.with(|mode| mode.replace(Mode::Told(Vec::new(), 0))) else {
        unreachable!("nothing was played");
    };
    let mut explorer = Explorer::new(program);
    let begins = &explorer.begins;
    assert!(begins.len() <= THREADS);
    first.threads = vec![first.threads[0].clone(); begins.len()];
    for (thread, begins) in first.threads.iter_mut().zip(begins) {
        thread.place = begins[0];
    }

    let result = loop {
        let result = explorer.explore(&first);
        // What is learned is that something is shared; that was not explored as such.
        if result.is_err() || !explorer.learned {
            break result;
        }
    };
    let result = result.map_err(|(bug, number)| {
        explorer.tell(first, number);
        println!("{bug:?}");
        bug
    });
    (result, explorer.explored)
}
