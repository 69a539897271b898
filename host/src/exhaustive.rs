// SPDX-License-Identifier: GPL-2.0

//! The models of `models.rs`, with everything that can happen in them.

#[path = "fifo.rs"]
mod fifo;
#[path = "models.rs"]
mod models;

use crate::machine as sync;
use crate::machine::{explore, Program, Bug};
use fifo::{By, Step};
use models::*;
use std::rc::Rc;

fn run<const L: usize>(name: &str, model: impl Fn() -> Model<L>) -> Result<(), Bug> {
    let start = std::time::Instant::now();
    let (r, e) = explore(|| {
        let model = model();
        let fifo = model.fifo;
        Program {
            asleep: model.asleep,
            threads: model.threads.into_iter().map(|acts| acts.into_iter().map(|act| {
                let fifo = fifo.clone();
                Box::new(move || act(&fifo)) as sync::Act
            }).collect()).collect(),
            finally: { let fifo = Rc::clone(&fifo); Box::new(move || assert!(fifo.is_whole(), "lost or doubled")) },
        }
    });
    eprintln!("{name}: {e:?}: {r:?} {:?}", start.elapsed());
    r
}

#[test]
fn measure() {
    use By::*;
    const N: usize = Step::Nothing as usize;
    run::<N>("transfer", transfer).unwrap();
    run::<N>("clearing", clearing).unwrap();
    run::<N>("asking", asking).unwrap();
    run::<N>("producer goes", producer_goes).unwrap();
    run::<N>("consumer goes", consumer_goes).unwrap();
    for by in [[Call, Call], [Call, Mapping], [Mapping, Call], [Mapping, Mapping]] {
        run::<N>(&format!("consumer sleeps 1 {by:?}"), || consumer_sleeps::<N, 1>(by)).unwrap();
        run::<N>(&format!("producer sleeps 1 {by:?}"), || producer_sleeps::<N, 1>(by)).unwrap();
        run::<N>(&format!("both sleep 1 {by:?}"), || both_sleep::<N, 1>(by)).unwrap();
        run::<N>(&format!("consumer sleeps 2 {by:?}"), || consumer_sleeps::<N, 2>(by)).unwrap();
        run::<N>(&format!("producer sleeps 2 {by:?}"), || producer_sleeps::<N, 2>(by)).unwrap();
        run::<N>(&format!("both sleep 2 {by:?}"), || both_sleep::<N, 2>(by)).unwrap();
    }
}
#[test]
fn measure3() {
    use By::*;
    const N: usize = Step::Nothing as usize;
    for by in [[Call, Call], [Call, Mapping], [Mapping, Call], [Mapping, Mapping]] {
        run::<N>(&format!("consumer sleeps 3 {by:?}"), || consumer_sleeps::<N, 3>(by)).unwrap();
        run::<N>(&format!("producer sleeps 3 {by:?}"), || producer_sleeps::<N, 3>(by)).unwrap();
        run::<N>(&format!("both sleep 3 {by:?}"), || both_sleep::<N, 3>(by)).unwrap();
    }
}
#[test]
fn measure4() {
    use By::*;
    const N: usize = Step::Nothing as usize;
    for by in [[Call, Call], [Call, Mapping], [Mapping, Mapping]] {
        run::<N>(&format!("2r1n {by:?}"), || two_readers_one_notify::<N>(by)).unwrap();
        run::<N>(&format!("2r2n {by:?}"), || two_readers_two_notifies::<N>(by)).unwrap();
    }
    run::<N>(&format!("stray call"), || stray_notify::<N>(Call)).unwrap();
    run::<N>(&format!("stray mapping"), || stray_notify::<N>(Mapping)).unwrap();
    run::<N>(&format!("sl"), || small_and_large_writer::<N>()).unwrap();
    run::<N>(&format!("oo"), || owner_and_observer::<N>()).unwrap();
}
macro_rules! all { ($($step:ident)*) => { $(
    #[allow(non_snake_case)]
    #[test]
    fn $step() {
        use By::*;
        const L: usize = Step::$step as usize;
        let n = stringify!($step);
        let _ = run::<L>(&format!("{n} transfer"), transfer);
        let _ = run::<L>(&format!("{n} clearing"), clearing);
        let _ = run::<L>(&format!("{n} asking"), asking);
        let _ = run::<L>(&format!("{n} producer goes"), producer_goes);
        let _ = run::<L>(&format!("{n} consumer goes"), consumer_goes);
        for by in [[Call, Call], [Call, Mapping], [Mapping, Call], [Mapping, Mapping]] {
            let _ = run::<L>(&format!("{n} consumer sleeps 1 {by:?}"), || consumer_sleeps::<L, 1>(by));
            let _ = run::<L>(&format!("{n} producer sleeps 1 {by:?}"), || producer_sleeps::<L, 1>(by));
            let _ = run::<L>(&format!("{n} consumer sleeps 2 {by:?}"), || consumer_sleeps::<L, 2>(by));
            let _ = run::<L>(&format!("{n} producer sleeps 2 {by:?}"), || producer_sleeps::<L, 2>(by));
            let _ = run::<L>(&format!("{n} both sleep 2 {by:?}"), || both_sleep::<L, 2>(by));
        }
        for by in [[Call, Call], [Call, Mapping]] {
            let _ = run::<L>(&format!("{n} 2r1n {by:?}"), || { let mut m = two_readers_one_notify::<L>(by); m.asleep = 2; m });
            let _ = run::<L>(&format!("{n} 2r2n {by:?}"), || { let mut m = two_readers_two_notifies::<L>(by); m.asleep = 2; m });
        }
        let _ = run::<L>(&format!("{n} stray call"), || stray_notify::<L>(Call));
        let _ = run::<L>(&format!("{n} stray map"), || stray_notify::<L>(Mapping));
        let _ = run::<L>(&format!("{n} sl"), || { let mut m = small_and_large_writer::<L>(); m.asleep = 2; m });
        let _ = run::<L>(&format!("{n} oo"), || { let mut m = owner_and_observer::<L>(); m.asleep = 2; m });
    }
)* } }
all!(Nothing HeadRelease HeadAcquire TailRelease TailAcquire FenceProduced FenceConsumed FenceConsumerWaits FenceProducerWaits LookAgain QueueThenSay FenceQueued FenceCleared ClearThenLook SetAgain PassOn LeaveSet);
