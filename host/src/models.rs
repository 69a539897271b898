// SPDX-License-Identifier: GPL-2.0

//! What threads do with a FIFO, to be done in every order. In the crate as often as `fifo.rs` is.

use super::fifo::{By, Fifo};
use std::rc::Rc;

/// Streams begin here, so that in each of them positions pass 2^64.
const START: u64 = u64::MAX;

/// Something that a thread does.
pub(crate) type Act<const LEFT_OUT: usize> = Box<dyn Fn(&Fifo<LEFT_OUT>)>;

/// A FIFO, and what the threads that use it do, each one thing after the other.
pub(crate) struct Model<const LEFT_OUT: usize> {
    pub(crate) fifo: Rc<Fifo<LEFT_OUT>>,
    pub(crate) threads: Vec<Vec<Act<LEFT_OUT>>>,
    pub(crate) asleep: usize,
}

impl<const LEFT_OUT: usize> Model<LEFT_OUT> {
    fn new(capacity: u64, pipe_buf: u64) -> Self {
        Self {
            fifo: Rc::new(Fifo::new(capacity, pipe_buf, START)),
            threads: Vec::new(),
            asleep: std::env::var("A").map_or(0, |a| a.parse().unwrap()),
        }
    }

    /// With so many bytes in it.
    fn with(self, len: u64) -> Self {
        self.fifo.try_write(len, len);
        self
    }

    /// A thread that does something with one parameter after the other.
    fn thread<T: Copy + 'static>(
        mut self,
        parameters: &[T],
        act: impl Fn(&Fifo<LEFT_OUT>, T) + Copy + 'static,
    ) -> Self {
        let acts = parameters.iter().map(|parameter| {
            let parameter = *parameter;
            Box::new(move |fifo: &Fifo<LEFT_OUT>| act(fifo, parameter)) as Act<LEFT_OUT>
        });
        self.threads.push(acts.collect());
        self
    }
}

/// Pieces of one and two bytes through a ring of two, without sleeping.
pub(crate) fn transfer<const L: usize>() -> Model<L> {
    Model::new(2, 1)
        .thread(&[1, 2, 1], |fifo, len| drop(fifo.try_write(len, 1)))
        .thread(&[1, 2, 1], |fifo, len| drop(fifo.try_read(len)))
}

/// The consumer forgets what there is while the producer goes on.
pub(crate) fn clearing<const L: usize>() -> Model<L> {
    Model::new(2, 1)
        .thread(&[1, 2, 1], |fifo, len| drop(fifo.try_write(len, 1)))
        .thread(&[true, false, true], |fifo, read| match read {
            true => drop(fifo.try_read(1)),
            false => fifo.clear(),
        })
}

/// Someone asks for the size while both ends move.
pub(crate) fn asking<const L: usize>() -> Model<L> {
    Model::new(1, 1)
        .thread(&[(); 3], |fifo, ()| drop(fifo.try_write(1, 1)))
        .thread(&[(); 3], |fifo, ()| drop(fifo.try_read(1)))
        .thread(&[()], |fifo, ()| drop(fifo.size()))
}

/// The owner of the producer's end is gone, and the kernel goes on.
pub(crate) fn producer_goes<const L: usize>() -> Model<L> {
    Model::new(2, 1)
        .thread(&[true, false, true], |fifo, write| match write {
            true => drop(fifo.try_write(2, 1)),
            false => fifo.producer_goes(),
        })
        .thread(&[1, 1, 1], |fifo, len| drop(fifo.try_read(len)))
}

/// The owner of the consumer's end is gone, and the kernel goes on.
pub(crate) fn consumer_goes<const L: usize>() -> Model<L> {
    Model::new(2, 1)
        .with(2)
        .thread(&[1, 1, 1], |fifo, len| drop(fifo.try_write(len, 1)))
        .thread(&[true, false, true], |fifo, read| match read {
            true => drop(fifo.try_read(1)),
            false => fifo.consumer_goes(),
        })
}

/// There is room, and the consumer sleeps until there is a byte, as often as `COUNT` times.
pub(crate) fn consumer_sleeps<const L: usize, const COUNT: usize>(by: [By; 2]) -> Model<L> {
    Model::new(4, 1)
        .thread(&[by[0]; COUNT], |fifo, by| fifo.write(by, 0, 1))
        .thread(&[by[1]; COUNT], |fifo, by| fifo.read(by, 0, 1))
}

/// There are bytes, and the producer sleeps until there is room.
pub(crate) fn producer_sleeps<const L: usize, const COUNT: usize>(by: [By; 2]) -> Model<L> {
    Model::new(4, 1)
        .with(4)
        .thread(&[by[0]; COUNT], |fifo, by| fifo.write(by, 0, 1))
        .thread(&[by[1]; COUNT], |fifo, by| fifo.read(by, 0, 1))
}

/// There is room for one byte only, and both sleep.
pub(crate) fn both_sleep<const L: usize, const COUNT: usize>(by: [By; 2]) -> Model<L> {
    Model::new(1, 1)
        .thread(&[by[0]; COUNT], |fifo, by| fifo.write(by, 0, 1))
        .thread(&[by[1]; COUNT], |fifo, by| fifo.read(by, 0, 1))
}

/// Two sleep on one flag. What both wait for comes at once, and one `VFIFO_NOTIFY` is enough.
pub(crate) fn two_readers_one_notify<const L: usize>(by: [By; 2]) -> Model<L> {
    Model::new(2, 2)
        .thread(&[by[0]], |fifo, by| fifo.read(by, 0, 1))
        .thread(&[by[1]], |fifo, by| fifo.read(by, 1, 1))
        .thread(&[()], |fifo, ()| fifo.write(By::Mapping, 0, 2))
}

/// Two sleep on one flag. Something comes for the one, and then for the other.
pub(crate) fn two_readers_two_notifies<const L: usize>(by: [By; 2]) -> Model<L> {
    Model::new(2, 1)
        .thread(&[by[0]], |fifo, by| fifo.read(by, 0, 1))
        .thread(&[by[1]], |fifo, by| fifo.read(by, 1, 1))
        .thread(&[(); 2], |fifo, ()| fifo.write(By::Mapping, 0, 1))
}

/// Someone calls `VFIFO_NOTIFY` for no reason while a consumer goes to sleep.
pub(crate) fn stray_notify<const L: usize>(by: By) -> Model<L> {
    Model::new(2, 1)
        .thread(&[by; 2], |fifo, by| fifo.read(by, 0, 1))
        .thread(&[()], |fifo, ()| fifo.notify())
        .thread(&[(); 2], |fifo, ()| fifo.write(By::Call, 0, 1))
}

/// One writer sleeps until one byte fits, another until two do. Room comes a byte at a time.
pub(crate) fn small_and_large_writer<const L: usize>() -> Model<L> {
    Model::new(2, 2)
        .with(2)
        .thread(&[1], |fifo, len| fifo.write(By::Call, 0, len))
        .thread(&[2], |fifo, len| fifo.write(By::Call, 1, len))
        .thread(&[(); 3], |fifo, ()| fifo.read(By::Call, 0, 1))
}

/// The owner of the consumer's end polls for a byte, takes it, and does something else. Someone who
/// only polls must still hear of the next byte.
pub(crate) fn owner_and_observer<const L: usize>() -> Model<L> {
    Model::new(2, 1)
        .thread(&[()], |fifo, ()| fifo.read(By::Mapping, 0, 1))
        .thread(&[()], |fifo, ()| fifo.wait_for_bytes(By::Mapping, 1))
        .thread(&[(); 2], |fifo, ()| fifo.write(By::Mapping, 0, 1))
}
