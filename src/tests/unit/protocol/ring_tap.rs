//! Of `protocol/ring_tap`.

use super::*;
use crate::protocol::atomics::Shared64;
use crate::protocol::ring_words::Cause;
use crate::protocol::run_word::{FULL, Word};

const CAPACITY: u32 = 4;

/// A ring whose words somebody writes all the time, so that a walk goes on lap by lap, past the slot
/// that is not fetched again.
struct Hostile {
    tail: Shared64,
    head: Shared64,
    words: Vec<Shared64>,
    lap: u64,
}

impl RingWords for Hostile {
    fn capacity(&self) -> u32 {
        CAPACITY
    }
    fn tail(&self) -> &Shared64 {
        &self.tail
    }
    fn head(&self) -> &Shared64 {
        &self.head
    }
    fn word(&self, index: u32) -> &Shared64 {
        &self.words[index as usize]
    }
    fn count(&self, _: Cause, _: u32) {}
}

impl TappedRing for Hostile {
    type Words = Hostile;
    type Copy = ();
    fn words(&self) -> &Hostile {
        self
    }
    fn fetch_indices(&mut self) -> Result<()> {
        Ok(())
    }
    fn fetch_slots(&mut self, index: u32, count: u32) -> Result<()> {
        assert_eq!(count, 1);
        assert!(self.lap < 1000, "the tap walks far");
        let is_last = index == CAPACITY - 1;
        self.words[index as usize].set(Word::new(self.lap, 1 + u32::from(is_last), FULL, 0).0);
        self.lap += u64::from(is_last);
        Ok(())
    }
    fn copy(&self, _: u32) {}
}

#[test]
fn a_tap_walks_over_no_more_runs_than_a_ring_can_have() {
    let word = |value| Shared64::new(value);
    let words = (0..CAPACITY).map(|_| word(Word::new(0, 1, FULL, 0).0)).collect();
    let mut ring = Hostile { tail: word(0), head: word(0), words, lap: 0 };
    let Ok(mut follower) = RingFollower::new(&mut ring, Policy::Mpmc) else { panic!("no tap") };
    // A million laps ahead of the head.
    ring.tail.set(4_000_000);
    let found = follower.follow(&mut ring, 1);
    assert!(found.is_ok_and(|found| found.seen.is_empty() && found.missed == 3_999_996));
}
