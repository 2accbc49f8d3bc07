//! A look at the messages of a ring as they pass. `tap` has the edges T3 and T4.
//!
//! In an SPSC ring a message stays until its producer writes over it, which it may do once `head`
//! has passed it. The producer says so only when it is done. So a message that waits is copied
//! whole; one that was taken is marked, as part of the copy may belong to its successor.
//!
//! In the other rings the word of a slot tells: a message stays while the word is FULL, TAKEN, or
//! EMPTY of the next lap. It is marked unless it is FULL: its consumer may have changed it, and an
//! empty slot may be one in which no message was sent.

use crate::error::Result;
use crate::protocol::atomics::heavy_fence;
use crate::protocol::mpmc::{self, Stage};
use crate::protocol::ring_words::{Policy, RingWords};
use crate::protocol::spsc;
use crate::protocol::tap::{Sighting, Sightings, overwritten};

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
}

impl RingFollower {
    /// Begins at the end, as far as it is known.
    pub(crate) fn new<T: TappedRing>(tap: &mut T, policy: Policy) -> Result<RingFollower> {
        tap.fetch_indices()?;
        Ok(RingFollower { policy, next: end(policy, tap.words())? })
    }

    fn stage<W: RingWords>(&self, words: &W, position: u64) -> Stage {
        let capacity = u64::from(words.capacity());
        let (lap, index) = (position / capacity, (position % capacity) as u32);
        if self.policy != Policy::Spsc {
            return mpmc::stage(words, lap, index);
        }
        // R1; beyond it only where the slot is used again.
        let ahead = words.word(index).observe().wrapping_sub(position.wrapping_add(1)) as i64;
        match ahead {
            0 if words.head().observe() <= position && words.tail().get() < position.wrapping_add(capacity) => Stage::Waiting, // T3
            0 if words.tail().get() < position.wrapping_add(capacity) => Stage::Used,
            0.. => Stage::Gone,
            _ => Stage::Coming,
        }
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
        for index in first..first + count {
            match self.stage(tap.words(), self.next) {
                Stage::Coming => break,
                Stage::Waiting | Stage::Used => found.seen.push(Sighting::new(self.next, index)),
                Stage::Gone => found.missed += 1,
                Stage::Skipped => {}
            }
            self.next = self.next.wrapping_add(1);
        }
        if !found.seen.is_empty() {
            // The messages, after their words: M1, R1.
            let count = found.seen.last().map_or(0, |last| last.place + 1 - first);
            tap.fetch_slots(first, count)?;
            found.seen.iter_mut().for_each(|one| one.copy = Some(tap.copy(one.place)));
            self.examine(tap, &mut found, first, count)?;
        }
        Ok(found)
    }

    /// Leaves the copies that are whole, or may be.
    fn examine<T: TappedRing>(&self, tap: &mut T, found: &mut Sightings<T::Copy>, first: u32, count: u32) -> Result<()> {
        let passed = found.seen.len();
        if !heavy_fence() {
            // T3, T4: without it, nobody knows.
            found.seen.clear();
        }
        tap.fetch_slots(first, count)?;
        tap.fetch_indices()?;
        found.seen.retain_mut(|one| {
            let stage = self.stage(tap.words(), one.position); // T3, T4
            one.may_have_changed = matches!(stage, Stage::Used);
            matches!(stage, Stage::Waiting | Stage::Used)
        });
        found.missed += (passed - found.seen.len()) as u64;
        Ok(())
    }
}

/// The position behind the last message, which may lag.
fn end<W: RingWords>(policy: Policy, words: &W) -> Result<u64> {
    match policy {
        Policy::Spsc => spsc::check(words.tail().observe()), // R1
        Policy::Mpsc | Policy::Mpmc => mpmc::passed(words.capacity(), words.tail().observe()), // M2
    }
}
