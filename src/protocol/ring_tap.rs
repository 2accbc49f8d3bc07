//! A look at the messages of a ring as they pass. `tap` has the edges T3 and T4.
//!
//! In an SPSC ring a message stays until its producer writes over it, which it may do once `head`
//! has passed it. The producer says so only when it is done. So a message that waits is copied
//! whole; one that was taken is marked, as part of the copy may belong to its successor.
//!
//! In the other rings a message stays until `tail` is a lap ahead: a producer moves it past what it
//! has claimed before it writes. A message is marked unless the word of its run is FULL: its
//! consumer may have changed it, and behind `head` there may be slots without a message.

use crate::error::Result;
use crate::protocol::atomics::heavy_fence;
use crate::protocol::mpmc_look::{self, Stage};
use crate::protocol::ring_words::{Policy, RingWords};
use crate::protocol::run_word::MAX_RUN;
use crate::protocol::spsc;
use crate::protocol::tap::{Sighting, Sightings, overwritten};
use std::ops::Range;

/// The words of a ring as a tap reaches them, as [`super::tap::Tapped`] has those of a channel.
pub(crate) trait TappedRing {
    type Words: RingWords;
    type Copy;
    fn words(&self) -> &Self::Words;
    /// Fetches `head` and `tail`.
    fn fetch_indices(&mut self) -> Result<()>;
    /// Fetches the messages and words of so many slots, which do not wrap.
    fn fetch_slots(&mut self, index: u32, count: u32) -> Result<()>;
    /// What was fetched of this slot.
    fn copy(&self, index: u32) -> Self::Copy;
}

/// The place of a tap in a ring.
pub(crate) struct RingFollower {
    policy: Policy,
    /// The position of the next message.
    pub(crate) next: u64,
    /// Where several may be: a position at which a run begins; the run has the next message, or
    /// begins before it.
    run: u64,
}

impl RingFollower {
    /// Begins at the end, as far as it is known.
    pub(crate) fn new<T: TappedRing>(tap: &mut T, policy: Policy) -> Result<RingFollower> {
        tap.fetch_indices()?;
        let next = end(policy, tap.words())?;
        Ok(RingFollower { policy, next, run: next })
    }

    /// Goes back to the last message.
    pub(crate) fn step_back<T: TappedRing>(&mut self, tap: &mut T) -> Result<()> {
        self.next = self.next.wrapping_sub(1);
        if self.policy != Policy::Spsc {
            self.run = last_run(tap, self.next)?;
        }
        Ok(())
    }

    /// The stage of a message of a ring where several may be; `run` is as [`RingFollower::run`],
    /// `fetched` are the slots that need not be fetched.
    fn stage_in_run<T: TappedRing>(tap: &mut T, run: &mut u64, position: u64, fetched: &Range<u32>) -> Result<Stage> {
        let head = mpmc_look::passed(tap.words().capacity(), tap.words().head().observe())?; // M2
        if (head.wrapping_sub(position) as i64) > 0 {
            return Ok(Stage::Used);
        }
        if (head.wrapping_sub(*run) as i64) > 0 {
            *run = head;
        }
        // `tail` is never more than a lap ahead of `head`: in a ring that is not garbage, this walk
        // is short.
        if position.wrapping_sub(*run) > u64::from(tap.words().capacity()) {
            return Ok(Stage::Coming);
        }
        loop {
            let index = (*run % u64::from(tap.words().capacity())) as u32;
            if !fetched.contains(&index) {
                tap.fetch_slots(index, 1)?;
            }
            match mpmc_look::stage(tap.words(), *run) {
                (_, 0) => return Ok(Stage::Coming),
                (stage, count) if position.wrapping_sub(*run) < count.into() => return Ok(stage),
                (_, count) => *run = run.wrapping_add(count.into()),
            }
        }
    }

    fn stage<T: TappedRing>(&self, tap: &mut T, run: &mut u64, position: u64, fetched: &Range<u32>) -> Result<Stage> {
        if self.policy != Policy::Spsc {
            return RingFollower::stage_in_run(tap, run, position, fetched);
        }
        let words = tap.words();
        let capacity = u64::from(words.capacity());
        let index = (position % capacity) as u32;
        // R1; beyond it only where the slot is used again.
        let ahead = words.word(index).observe().wrapping_sub(position.wrapping_add(1)) as i64;
        Ok(match ahead {
            0 if words.head().observe() <= position && words.tail().get() < position.wrapping_add(capacity) => Stage::Waiting, // T3
            0 if words.tail().get() < position.wrapping_add(capacity) => Stage::Used,
            0.. => Stage::Gone,
            _ => Stage::Coming,
        })
    }

    /// Copies the messages that have passed since, at most `most`.
    pub(crate) fn follow<T: TappedRing>(&mut self, tap: &mut T, most: u32) -> Result<Sightings<T::Copy>> {
        let capacity = tap.words().capacity();
        tap.fetch_indices()?;
        let missed = overwritten(self.next, end(self.policy, tap.words())?, capacity)?;
        let mut found = Sightings { seen: Vec::new(), missed };
        self.next = self.next.wrapping_add(found.missed);
        let first = (self.next % u64::from(capacity)) as u32;
        let count = most.min(capacity - first);
        tap.fetch_slots(first, count)?;
        let (begin, mut run) = (self.run, self.run);
        for index in first..first + count {
            match self.stage(tap, &mut run, self.next, &(first..first + count))? {
                Stage::Coming => break,
                Stage::Waiting | Stage::Used => found.seen.push(Sighting::new(self.next, index)),
                Stage::Gone => found.missed += 1,
                Stage::Skipped => {}
            }
            self.next = self.next.wrapping_add(1);
        }
        self.run = run;
        if !found.seen.is_empty() {
            // The messages, after their words: M1, R1.
            let count = found.seen.last().map_or(0, |last| last.place + 1 - first);
            tap.fetch_slots(first, count)?;
            found.seen.iter_mut().for_each(|one| one.copy = Some(tap.copy(one.place)));
            self.examine(tap, &mut found, begin, first..first + count)?;
        }
        Ok(found)
    }

    /// Leaves the copies that are whole, or may be, of the messages in these slots; `run` is where
    /// the first of them was looked for.
    fn examine<T: TappedRing>(&self, tap: &mut T, found: &mut Sightings<T::Copy>, mut run: u64, slots: Range<u32>) -> Result<()> {
        let passed = found.seen.len();
        if !heavy_fence() {
            // T3, T4: without it, nobody knows.
            found.seen.clear();
        }
        tap.fetch_indices()?;
        tap.fetch_slots(slots.start, slots.end - slots.start)?;
        let tail = end(self.policy, tap.words())?; // T4
        let capacity = u64::from(tap.words().capacity());
        for mut one in std::mem::take(&mut found.seen) {
            let stage = self.stage(tap, &mut run, one.position, &slots)?; // T3, T4
            one.may_have_changed = stage != Stage::Waiting;
            let is_there = match self.policy {
                Policy::Spsc => matches!(stage, Stage::Waiting | Stage::Used),
                Policy::Mpsc | Policy::Mpmc => tail.wrapping_sub(one.position) as i64 <= capacity as i64,
            };
            if is_there {
                found.seen.push(one);
            }
        }
        found.missed += (passed - found.seen.len()) as u64;
        Ok(())
    }
}

/// Where the run of the last message, at `position`, begins, or an earlier run.
fn last_run<T: TappedRing>(tap: &mut T, position: u64) -> Result<u64> {
    let capacity = tap.words().capacity();
    let head = mpmc_look::passed(capacity, tap.words().head().observe())?; // M2
    let farthest = position.wrapping_sub(u64::from(MAX_RUN) - 1);
    if (head.wrapping_sub(farthest) as i64) >= 0 {
        return Ok(head);
    }
    // Only the run at `head` is ever split: of any other, no word but the first is of this lap and
    // claimed.
    for back in 0..u64::from(MAX_RUN) {
        let at = position.wrapping_sub(back);
        tap.fetch_slots((at % u64::from(capacity)) as u32, 1)?;
        if mpmc_look::stage(tap.words(), at).1 > 0 {
            return Ok(at);
        }
    }
    Ok(position)
}

/// The position behind the last message, which may lag.
fn end<W: RingWords>(policy: Policy, words: &W) -> Result<u64> {
    match policy {
        Policy::Spsc => spsc::check(words.tail().observe()), // R1
        Policy::Mpsc | Policy::Mpmc => mpmc_look::passed(words.capacity(), words.tail().observe()), // M2
    }
}

#[cfg(all(test, not(loom)))]
#[path = "../tests/unit/protocol/ring_tap.rs"]
mod tests;
