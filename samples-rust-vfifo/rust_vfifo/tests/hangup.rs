// SPDX-License-Identifier: GPL-2.0
// Copyright (C) 2026 Seed 1f3ad1c2 maintainers.

//! Tests of the counts of readers and writers, and of files that meet them. The last one compares
//! random calls with a model that keeps no counts.

use super::{
    super::fifo::{
        parties::{
            Parties,
            PerSide,
            Standing, //
        },
        Side, //
    },
    stream::{
        Random,
        SEED, //
    }, //
};
use kernel::prelude::*;

/// Access modes and counts: for writing, for reading.
const fn both(producer: bool, consumer: bool) -> PerSide<bool> {
    PerSide { producer, consumer }
}

const NONE: PerSide<bool> = both(false, false);
const WRITE: PerSide<bool> = both(true, false);
const READ: PerSide<bool> = both(false, true);
const BOTH: PerSide<bool> = both(true, true);

/// A file. The parties that it belongs to are passed to each call.
struct TestFile {
    standing: Standing,
}

impl TestFile {
    fn open(parties: &mut Parties, access: PerSide<bool>) -> Self {
        let mut standing = Standing::default();
        parties.open(&mut standing, access);
        Self { standing }
    }

    fn claim(&mut self, parties: &mut Parties, side: Side) -> PerSide<bool> {
        parties.claim(&mut self.standing, side, 0)
    }

    fn release(&mut self, parties: &mut Parties, side: Side) -> PerSide<bool> {
        self.release_at(parties, side, 0)
    }

    fn release_at(&mut self, parties: &mut Parties, side: Side, position: u64) -> PerSide<bool> {
        parties.release(&mut self.standing, side, position)
    }

    fn read(&mut self, parties: &mut Parties) -> bool {
        parties.read(&mut self.standing)
    }

    fn close(mut self, parties: &mut Parties) -> PerSide<bool> {
        parties.close(&mut self.standing)
    }

    fn met_writer(&self, parties: &Parties) -> bool {
        parties.has_met(&self.standing, Side::Producer)
    }

    fn met_reader(&self, parties: &Parties) -> bool {
        parties.has_met(&self.standing, Side::Consumer)
    }
}

/// Whether there are no writers, and no readers.
fn empty(parties: &Parties) -> PerSide<bool> {
    both(
        parties.is_empty(Side::Producer),
        parties.is_empty(Side::Consumer),
    )
}

/// A file of the model: each answer is computed from what is true of the others.
#[derive(Clone, Copy, Default)]
struct ModelFile {
    standing: Standing,
    is_open: bool,
    access: [bool; 2],
    claimed: [bool; 2],
    met: [bool; 2],
    has_read: bool,
}

impl ModelFile {
    /// Whether it counts as a writer (0) or a reader (1).
    fn counts(&self, side: usize) -> bool {
        let claims = self.claimed[0] || self.claimed[1];
        self.is_open
            && match claims {
                true => self.claimed[side],
                false => self.access[side],
            }
    }
}

/// The number of files in the model.
const FILES: usize = 4;

struct Model {
    parties: Parties,
    files: [ModelFile; FILES],
    generates: bool,
}

impl Model {
    /// Who is at a side: a bit for each file, and one for the generator.
    fn members(&self, side: usize) -> u32 {
        let generator = u32::from(self.generates && side == 0) << FILES;
        let bit = |(i, file): (usize, &ModelFile)| u32::from(file.counts(side)) << i;
        self.files.iter().enumerate().map(bit).sum::<u32>() | generator
    }

    /// Makes a random change. Returns whether all answers are right.
    fn step(&mut self, random: &mut Random) -> bool {
        let before = [0, 1].map(|side| self.members(side));
        let [i, flag, side] = [FILES as u64, 1, 1].map(|max| random.up_to(max) as usize);
        let (name, parties) = (Side::BOTH[side], &mut self.parties);
        let mut is_news = None;
        // Whether those that are new at a side arrive there, and do not just come back.
        let mut arrives = false;
        let last = match self.files.get_mut(i) {
            None => {
                self.generates = !self.generates;
                arrives = true;
                parties.generator(self.generates)
            }
            Some(file) if !file.is_open => {
                arrives = true;
                *file = ModelFile::default();
                file.is_open = true;
                file.access = [flag == 1, side == 1];
                parties.open(&mut file.standing, both(flag == 1, side == 1));
                file.met = before.map(|members| members != 0);
                NONE
            }
            Some(file) if random.up_to(4) == 0 => {
                file.is_open = false;
                file.claimed = [false; 2];
                parties.close(&mut file.standing)
            }
            Some(file) if file.claimed[side] => {
                file.claimed[side] = false;
                file.has_read |= side == 1 && flag == 1;
                parties.release(&mut file.standing, name, flag as u64)
            }
            Some(file) if flag == 1 && file.access == [true; 2] => {
                file.claimed[side] = true;
                parties.claim(&mut file.standing, name, 0)
            }
            Some(file) => {
                let expected = file.access[1] && !file.has_read && !file.met[0];
                is_news = Some((parties.read(&mut file.standing), expected));
                file.has_read = true;
                NONE
            }
        };
        let after = [0, 1].map(|side| self.members(side));
        for side in [0, 1] {
            let arrived = after[side] & !before[side];
            for (i, file) in self.files.iter_mut().enumerate() {
                file.met[side] |= arrives && file.is_open && arrived & !(1 << i) != 0;
            }
        }
        let left = |side| before[side] != 0 && after[side] == 0;
        last == both(left(0), left(1))
            && is_news.is_none_or(|(is_news, expected)| is_news == expected)
            && self.agrees()
    }

    fn agrees(&self) -> bool {
        let open = || self.files.iter().filter(|file| file.is_open);
        let parties = &self.parties;
        let sides = Side::BOTH.into_iter().zip([0, 1]);
        parties.any_unmet() == open().any(|file| file.access[1] && !file.has_read && !file.met[0])
            && sides.into_iter().all(|(name, side)| {
                parties.is_empty(name) == (self.members(side) == 0)
                    && open().all(|file| parties.has_met(&file.standing, name) == file.met[side])
            })
    }
}

#[kunit_tests(rust_vfifo_hangup)]
mod hangup_tests {
    use super::*;

    #[test]
    fn last_one_is_told_apart() {
        let mut parties = Parties::default();
        assert_eq!(empty(&parties), BOTH);
        let first = TestFile::open(&mut parties, WRITE);
        let second = TestFile::open(&mut parties, BOTH);
        let neither = TestFile::open(&mut parties, NONE);
        assert_eq!(empty(&parties), NONE);
        assert_eq!(first.close(&mut parties), NONE);
        assert_eq!(neither.close(&mut parties), NONE);
        let reader = TestFile::open(&mut parties, READ);
        assert_eq!(second.close(&mut parties), WRITE);
        assert_eq!(empty(&parties), WRITE);
        assert_eq!(reader.close(&mut parties), READ);
        assert_eq!(empty(&parties), BOTH);
    }

    #[test]
    fn file_has_met_who_was_there_since_it_was_opened() {
        let mut parties = Parties::default();
        let early = TestFile::open(&mut parties, READ);
        assert!(!early.met_writer(&parties));
        let writer = TestFile::open(&mut parties, WRITE);
        assert!(early.met_writer(&parties) && writer.met_reader(&parties));
        assert!(!writer.met_writer(&parties) && !early.met_reader(&parties));
        let middle = TestFile::open(&mut parties, READ);
        assert!(middle.met_writer(&parties));
        writer.close(&mut parties);
        let late = TestFile::open(&mut parties, READ);
        // It stays so when the writer has left.
        assert!(early.met_writer(&parties) && middle.met_writer(&parties));
        assert!(!late.met_writer(&parties));
        TestFile::open(&mut parties, WRITE).close(&mut parties);
        assert!(late.met_writer(&parties));
    }

    #[test]
    fn file_does_not_meet_itself() {
        let mut parties = Parties::default();
        let mut file = TestFile::open(&mut parties, BOTH);
        assert!(!file.met_writer(&parties) && !file.met_reader(&parties));
        for side in Side::BOTH {
            for _ in 0..3 {
                let given_up = file.claim(&mut parties, side);
                assert_eq!(
                    given_up,
                    both(side == Side::Consumer, side == Side::Producer)
                );
                assert_eq!(file.release(&mut parties, side), NONE);
                assert!(!file.met_writer(&parties) && !file.met_reader(&parties));
            }
        }
        // Others meet it.
        let reader = TestFile::open(&mut parties, READ);
        assert!(reader.met_writer(&parties) && file.met_reader(&parties));
        let writer = TestFile::open(&mut parties, WRITE);
        assert!(writer.met_reader(&parties) && file.met_writer(&parties));
        writer.close(&mut parties);
        assert!(file.met_writer(&parties));
    }

    /// The owner of a claim takes its other side back as it exits, just before its file is closed.
    #[test]
    fn nobody_meets_a_side_that_is_taken_back() {
        for (side, alone, neither) in [
            (Side::Consumer, READ, Side::Producer),
            (Side::Producer, WRITE, Side::Consumer),
        ] {
            let mut parties = Parties::default();
            let mut owner = TestFile::open(&mut parties, BOTH);
            owner.claim(&mut parties, side);
            let other = TestFile::open(&mut parties, alone);
            assert!(parties.is_empty(neither) && !parties.has_met(&other.standing, neither));
            // It is there again, and those that come now meet it.
            owner.release(&mut parties, side);
            assert!(!parties.is_empty(neither) && !parties.has_met(&other.standing, neither));
            let late = TestFile::open(&mut parties, alone);
            assert!(parties.has_met(&late.standing, neither));
            assert!(*owner.close(&mut parties).get(neither));
            assert!(!parties.has_met(&other.standing, neither));
            // One that is opened is met.
            let new = TestFile::open(&mut parties, BOTH);
            assert!(parties.has_met(&other.standing, neither));
            assert!(!parties.has_met(&new.standing, neither));
        }
    }

    #[test]
    fn claims_count_as_what_was_claimed() {
        let mut parties = Parties::default();
        let mut file = TestFile::open(&mut parties, BOTH);
        assert_eq!(file.claim(&mut parties, Side::Producer), READ);
        assert_eq!(empty(&parties), READ);
        // With both claims, it counts as both again.
        assert_eq!(file.claim(&mut parties, Side::Consumer), NONE);
        assert_eq!(empty(&parties), NONE);
        assert_eq!(file.release(&mut parties, Side::Producer), WRITE);
        assert_eq!(empty(&parties), WRITE);
        assert_eq!(file.release(&mut parties, Side::Consumer), NONE);
        assert_eq!(empty(&parties), NONE);
        // Not the last one, if there is another.
        let reader = TestFile::open(&mut parties, READ);
        assert_eq!(file.claim(&mut parties, Side::Producer), NONE);
        assert_eq!(file.close(&mut parties), WRITE);
        assert_eq!(reader.close(&mut parties), READ);
    }

    /// Reads are noted for files that have met no writer, and for as long as there are any.
    #[test]
    fn read_is_as_good_as_a_writer() {
        let mut parties = Parties::default();
        let writer = TestFile::open(&mut parties, WRITE);
        assert!(!parties.any_unmet());
        writer.close(&mut parties);
        let mut first = TestFile::open(&mut parties, READ);
        let mut second = TestFile::open(&mut parties, READ);
        assert!(parties.any_unmet() && !first.standing.has_read(0));
        assert!(first.read(&mut parties) && !first.read(&mut parties));
        assert!(parties.any_unmet() && first.standing.has_read(0));
        assert!(!second.standing.has_read(0));
        assert!(second.read(&mut parties) && !parties.any_unmet());

        // A writer makes it needless. One that reads as well has not met itself.
        let mut third = TestFile::open(&mut parties, READ);
        assert!(parties.any_unmet());
        let mut open_for_both = TestFile::open(&mut parties, BOTH);
        assert!(!third.read(&mut parties) && parties.any_unmet());
        assert!(open_for_both.read(&mut parties) && !parties.any_unmet());
        open_for_both.close(&mut parties);

        // Nobody meets one that comes back, and it may go without having read.
        let mut open_for_both = TestFile::open(&mut parties, BOTH);
        open_for_both.claim(&mut parties, Side::Consumer);
        let fourth = TestFile::open(&mut parties, READ);
        open_for_both.release(&mut parties, Side::Consumer);
        assert!(!fourth.met_writer(&parties) && parties.any_unmet());
        open_for_both.close(&mut parties);
        assert!(parties.any_unmet());
        fourth.close(&mut parties);
        assert!(!parties.any_unmet());
        let fifth = TestFile::open(&mut parties, READ);
        assert!(parties.any_unmet());
        fifth.close(&mut parties);
        assert!(!parties.any_unmet());
        TestFile::open(&mut parties, READ);
        assert!(parties.any_unmet());
        parties.generator(true);
        assert!(!parties.any_unmet());
    }

    #[test]
    fn claim_has_read_if_it_has_moved() {
        let mut parties = Parties::default();
        let mut file = TestFile::open(&mut parties, BOTH);
        file.claim(&mut parties, Side::Consumer);
        assert!(!file.standing.has_read(0) && file.standing.has_read(1));
        file.release_at(&mut parties, Side::Consumer, 0);
        assert!(!file.standing.has_read(1) && parties.any_unmet());
        // The producer's position does not matter.
        file.claim(&mut parties, Side::Producer);
        assert!(!file.standing.has_read(1));
        file.release_at(&mut parties, Side::Producer, 1);
        assert!(!file.standing.has_read(1) && parties.any_unmet());
        file.claim(&mut parties, Side::Consumer);
        file.release_at(&mut parties, Side::Consumer, u64::MAX);
        assert!(file.standing.has_read(0) && !parties.any_unmet());
    }

    #[test]
    fn generator_is_a_writer() {
        let mut parties = Parties::default();
        let reader = TestFile::open(&mut parties, READ);
        assert_eq!(parties.generator(true), NONE);
        assert!(reader.met_writer(&parties));
        assert_eq!(empty(&parties), NONE);
        let writer = TestFile::open(&mut parties, WRITE);
        assert_eq!(parties.generator(false), NONE);
        parties.generator(true);
        assert_eq!(writer.close(&mut parties), NONE);
        let late = TestFile::open(&mut parties, READ);
        assert!(late.met_writer(&parties));
        assert_eq!(parties.generator(false), WRITE);
        assert_eq!(empty(&parties), WRITE);
    }

    #[test]
    fn random_calls_agree_with_a_model() {
        pr_info!("seed {:#x}\n", SEED);
        let mut random = Random(SEED);
        let mut model = Model {
            parties: Parties::default(),
            files: [ModelFile::default(); FILES],
            generates: false,
        };
        for _ in 0..20_000 {
            assert!(model.step(&mut random));
        }
    }
}
