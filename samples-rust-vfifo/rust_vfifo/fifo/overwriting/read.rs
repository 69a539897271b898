// SPDX-License-Identifier: GPL-2.0
// Copyright (C) 2026 Seed 1f3ad1c2 maintainers.

//! Reads if the producer overwrites. See [`overwriting`](super).

use super::super::{
    super::{
        ring::{
            framing::Framing,
            overtaken::{
                Intact,
                Look,
                Next,
                Tries,
                Window, //
            },
            record::{
                offset,
                Record, //
            },
            Cursor, //
        },
        trace::{
            self,
            By, //
        }, //
    },
    end::{
        load_header,
        End,
        Side, //
    },
    records::{
        copy_out,
        fault_error, //
    },
    transfer::{
        attempt_step,
        bounce_buffer,
        Call,
        MoveTo,
        Step,
        ATTEMPTS,
        CHUNK, //
    },
    Fifo, //
};
use kernel::{
    page_buffer::data_race,
    prelude::*,
    sync::{
        atomic::Relaxed,
        MutexGuard, //
    },
    task::might_sleep,
    uaccess::nofault::{
        is_being_killed,
        without_page_faults, //
    }, //
};

/// Bytes that a reader is about to copy.
struct Portion {
    window: Window,
    /// The position of the first of them.
    at: u64,
    /// Their number.
    len: usize,
    /// How far `tail` moves with them.
    size: u64,
}

/// What came of an attempt to read a portion.
enum Outcome {
    /// It was copied and taken.
    Taken(usize),
    /// It was overwritten meanwhile, or not even found.
    Overtaken,
    /// This many bytes could be copied, but not all of their user memory is resident.
    NotResident(usize),
}

impl Fifo {
    /// Moves queued bytes, or the next record, to `to`. Faults memory in; if the reader `slept`,
    /// wakes the next one before.
    pub(in super::super) fn read_overwriting(
        &self,
        to: &mut impl MoveTo,
        call: impl Call,
        slept: bool,
    ) -> Step {
        let mut faults = 0;
        let mut want = to.remaining();
        if want > CHUNK && self.framing() == Framing::Stream {
            // One read returns all that is queued, so its memory must be resident.
            let queued = self.size().min(want as u64) as usize;
            if queued > CHUNK {
                if slept {
                    self.wake_next_reader();
                }
                to.fault_in(queued);
            }
        }
        let missing = loop {
            match self.read_portions(to, call, want) {
                Step::NotResident(missing) if faults < ATTEMPTS => {
                    // A page fault may take any time. Let others go on meanwhile.
                    if slept && faults == 0 {
                        self.wake_next_reader();
                    }
                    faults += 1;
                    let resident = missing.saturating_sub(to.fault_in(missing));
                    match self.framing() {
                        Framing::Record if resident < missing => return Step::Failed(fault_error()),
                        Framing::Record => {}
                        Framing::Stream if resident == 0 => return Step::Failed(fault_error()),
                        Framing::Stream => want = resident,
                    }
                }
                Step::NotResident(missing) => break missing,
                step => return step,
            }
        };
        self.read_overwriting_through_kernel(to, call, missing)
            .unwrap_or_else(Step::Failed)
    }

    /// Moves portions to the first `want` bytes of `to`, as long as one follows the other: one
    /// record, or bytes, [`CHUNK`] of them at a time. Holds the lock throughout, so that no other
    /// reader gets bytes from the middle.
    fn read_portions(&self, to: &mut impl MoveTo, call: impl Call, want: usize) -> Step {
        let mut guard = self.reader.lock();
        let end = &mut *guard;
        let want = want.min(usize::try_from(end.cursor.capacity).unwrap_or(want));
        let framing = self.framing();
        let mut tries = Tries::new(framing);
        let mut total = 0;
        loop {
            // Ends with the first portion that is not as large as it could be. So the lock is held
            // for a capacity's worth at most, however few bytes are published at a time.
            let most = match framing {
                Framing::Record => to.remaining(),
                Framing::Stream => (want - total).min(CHUNK),
            };
            let outcome = match self.read_portion(end, to, call, &mut tries, most, total > 0) {
                Ok(outcome) => outcome,
                // The next call reports it.
                Err(_) if total > 0 => return Step::Moved(total),
                Err(step) => return step,
            };
            match outcome {
                Outcome::Taken(done) => {
                    total += done;
                    let is_full = done == most && total < want;
                    if framing == Framing::Record || !is_full {
                        return Step::Moved(total);
                    }
                }
                Outcome::NotResident(_) | Outcome::Overtaken if total > 0 => {
                    return Step::Moved(total);
                }
                Outcome::NotResident(missing) => return Step::NotResident(missing),
                Outcome::Overtaken => {
                    self.ring.overtaken(&mut tries);
                    if tries.next() == Next::Pause {
                        return self.pause(call);
                    }
                    // Each attempt may have copied a large record.
                    if is_being_killed() {
                        return Step::Failed(ERESTARTSYS);
                    }
                }
            }
        }
    }

    /// What a reader does that is overtaken again and again. The lock is released, so that others
    /// that wait for it may go on as well.
    fn pause(&self, call: impl Call) -> Step {
        if call.nonblocking() && self.is_claimed(Side::Producer) {
            return Step::Failed(EAGAIN);
        }
        // As where it would sleep.
        if current!().signal_pending() {
            return Step::Failed(ERESTARTSYS);
        }
        might_sleep();
        Step::OtherKind
    }

    /// Locks the producer's end, unless it is claimed. Nothing is overwritten while this is held.
    fn stop_writers(&self) -> Option<MutexGuard<'_, End>> {
        let writer = self.writer.lock();
        (!writer.claimed).then_some(writer)
    }

    /// As [`Fifo::find`]. If it is time for that, stops the writers first, and returns the lock
    /// with which it does so. The caller holds it until it has copied what was found. If the
    /// portion `follows` another one, the reader need not find one.
    fn find_stopping(
        &self,
        end: &mut End,
        tries: &mut Tries,
        most: usize,
        follows: bool,
    ) -> (Option<MutexGuard<'_, End>>, Result<Option<Portion>, Step>) {
        let mut writer = match tries.next() {
            Next::Retry => None,
            Next::Lock | Next::Pause => self.stop_writers(),
        };
        if writer.is_some() {
            *tries = Tries::new(self.framing());
        }
        let mut found = self.find(end, tries, most);
        let all_gone = end.cursor.peer != end.cursor.position;
        if matches!(found, Err(Step::MustWait)) && all_gone && writer.is_none() && !follows {
            // A writer has made room for as much as fits. It publishes that before it unlocks.
            writer = self.stop_writers();
            if writer.is_some() {
                found = self.find(end, tries, most);
            }
        }
        (writer, found)
    }

    /// Attempts to read a portion of up to `most` bytes. If it `follows` another one, there must be
    /// no gap.
    ///
    /// # Errors
    ///
    /// The step that the caller returns.
    fn read_portion(
        &self,
        end: &mut End,
        to: &mut impl MoveTo,
        call: impl Call,
        tries: &mut Tries,
        most: usize,
        follows: bool,
    ) -> Result<Outcome, Step> {
        self.check_kind(end, self.overwriting_kind())?;
        let (writer, found) = self.find_stopping(end, tries, most, follows);
        let Some(portion) = found? else {
            return Ok(Outcome::Overtaken);
        };
        if follows && portion.window.start() != end.cursor.position {
            return Ok(Outcome::Overtaken);
        }
        let mut is_overtaken = false;
        let intact = to.attempt(|to| {
            let done = without_page_faults(|| {
                data_race(|| {
                    end.copy_at(portion.at, portion.len, |buffer, piece| {
                        to.copy_from_buffer(buffer, piece.offset, piece.len)
                    })
                })
            });
            if done < portion.len {
                return None;
            }
            let intact = self.ring.intact(&portion.window);
            is_overtaken = intact.is_none();
            intact
        });
        drop(writer);
        match intact {
            Some(intact) => {
                self.take(end, call, portion.window.start(), portion.size, intact);
                Ok(Outcome::Taken(portion.len))
            }
            None if is_overtaken => Ok(Outcome::Overtaken),
            None => Ok(Outcome::NotResident(portion.len)),
        }
    }

    /// Looks for bytes, or for the next record, of up to `most` bytes. Returns [`None`] if the
    /// reader was overtaken.
    ///
    /// # Errors
    ///
    /// The step that the caller returns. It fails with [`EIO`] or [`EMSGSIZE`].
    fn find(&self, end: &mut End, tries: &Tries, most: usize) -> Result<Option<Portion>, Step> {
        let broken = |_| Step::Failed(self.enter_error_state());
        let window = match self
            .ring
            .look(&mut end.cursor, tries, most as u64)
            .map_err(broken)?
        {
            Look::Empty => return Err(Step::MustWait),
            Look::Overtaken => return Ok(None),
            Look::Found(window) => window,
        };
        if self.framing() == Framing::Stream {
            // Fits into a `usize`, as it is not more than `most`.
            let len = window.len().min(most as u64) as usize;
            return Ok(Some(Portion {
                at: window.start(),
                len,
                size: len as u64,
                window,
            }));
        }
        let header = load_header(&end.buffer);
        let raw = data_race(|| header(offset(window.start(), end.cursor.capacity)));
        let Some(intact) = self.ring.intact(&window) else {
            return Ok(None);
        };
        let record = intact.record(raw).map_err(broken)?;
        let len = record.len as usize;
        if len > most {
            return Err(Step::Failed(EMSGSIZE));
        }
        Ok(Some(Portion {
            at: record.payload(),
            len,
            size: record.size(),
            window,
        }))
    }

    /// Takes `size` bytes from `start` on, which were copied, and were there afterwards.
    fn take(&self, end: &mut End, call: impl Call, start: u64, size: u64, intact: Intact) {
        self.note_read(call);
        trace::consume(self.index, start, size, By::Read);
        self.drop_bytes(|not_read| {
            let lost = self.ring.take(&mut end.cursor, intact, size);
            not_read.overwritten(lost);
        });
        if self.framing() == Framing::Record {
            self.stats.records_read.fetch_add(1, Relaxed);
        }
    }

    /// As [`Fifo::read_overwriting`], through kernel memory: to user memory with page faults
    /// enabled and no lock held. Reads at most `most` bytes, or a record. See [`Fifo::read`].
    fn read_overwriting_through_kernel(
        &self,
        to: &mut impl MoveTo,
        call: impl Call,
        most: usize,
    ) -> Result<Step> {
        let most = match self.framing() {
            // The next record may be another one, so this may have to be done once more.
            Framing::Record => most,
            Framing::Stream => most.min(CHUNK),
        };
        let bounce = bounce_buffer(most)?;
        let mut tries = Tries::new(self.framing());
        for _ in 0..Tries::MOST {
            let mut guard = self.reader.lock();
            let end = &mut *guard;
            if let Err(step) = self.check_kind(end, self.overwriting_kind()) {
                return Ok(step);
            }
            let framing = self.framing();
            let (writer, found) = self.find_stopping(end, &mut tries, most, false);
            let portion = match found {
                Ok(portion) => portion,
                // A larger record has come. The caller tries again.
                Err(Step::Failed(EMSGSIZE)) if most < to.remaining() => return Ok(Step::OtherKind),
                Err(step) => return Ok(step),
            };
            let intact = portion.and_then(|portion| {
                data_race(|| copy_out(end, portion.at, portion.len, &bounce));
                Some((self.ring.intact(&portion.window)?, portion))
            });
            drop(writer);
            let Some((intact, portion)) = intact else {
                self.ring.overtaken(&mut tries);
                if tries.next() == Next::Pause {
                    drop(guard);
                    return Ok(self.pause(call));
                }
                continue;
            };
            let before = (end.cursor.position, end.resets);
            drop(guard);

            let step = attempt_step(to, |to| {
                let done = to.copy_from_buffer(&bounce, 0, portion.len);
                if done == 0 || (done < portion.len && framing == Framing::Record) {
                    return Err(Some(Step::Failed(fault_error())));
                }
                let mut guard = self.reader.lock();
                let end = &mut *guard;
                self.check_kind(end, self.overwriting_kind())
                    .map_err(Some)?;
                // What was copied is whole, whatever has become of the original. But the end of a
                // claim may have dropped it, and left `tail` where it was.
                if (end.cursor.position, end.resets) != before {
                    return Err(None);
                }
                let size = match framing {
                    Framing::Record => portion.size,
                    Framing::Stream => done as u64,
                };
                self.take(end, call, portion.window.start(), size, intact);
                Ok(Step::Moved(done))
            });
            if let Some(step) = step {
                return Ok(step);
            }
        }
        // Others made progress each time. Go on as well, unless the task is being killed.
        match is_being_killed() {
            true => Err(ERESTARTSYS),
            false => Ok(Step::OtherKind),
        }
    }

    /// The next record, if there is one. The caller holds `reader`. If the producer's end is
    /// claimed, a reader that is overtaken all the time finds none.
    pub(in super::super) fn peek_overwriting(
        &self,
        cursor: &mut Cursor,
        header: impl Fn(usize) -> u64,
    ) -> Option<Record> {
        let mut tries = Tries::new(Framing::Record);
        let mut writer = None;
        for _ in 0..Tries::MOST {
            if writer.is_none() && tries.next() != Next::Retry {
                // If the kernel is the producer, nothing is overwritten while this is held.
                writer = Some(self.writer.lock());
                tries = Tries::new(Framing::Record);
            }
            match self.ring.look(cursor, &tries, u64::MAX).ok()? {
                // Unless a writer has made room for as much as fits, and not published it yet.
                Look::Empty if writer.is_some() || cursor.peer == cursor.position => return None,
                Look::Empty => {
                    writer = Some(self.writer.lock());
                    continue;
                }
                Look::Overtaken => {}
                Look::Found(window) => {
                    let raw = data_race(|| header(offset(window.start(), cursor.capacity)));
                    if let Some(intact) = self.ring.intact(&window) {
                        return intact.record(raw).ok();
                    }
                }
            }
            self.ring.overtaken(&mut tries);
        }
        None
    }
}
