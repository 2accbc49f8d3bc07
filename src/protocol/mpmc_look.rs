//! Looks at a ring with many producers or consumers, which take no part in it.

use super::mpmc::{free_passed, pass_claims, pass_skips};
use super::ring_words::RingWords;
use super::run_word::{Age, CLAIMED, EMPTY, FULL, Index, SKIP, TAKEN, Word};
use crate::error::Result;

/// What has become of a message, as an observer sees it.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Stage {
    /// It is not published.
    Coming,
    /// It is published and not taken.
    Waiting,
    /// It is taken, or given back, and still there.
    Used,
    /// There will be none.
    Skipped,
    /// Its slot is used again.
    Gone,
}

/// The stage of the run that begins at a position, and how many messages it has; 0 if it is not
/// claimed, or it is not known any more what was.
pub(crate) fn stage<W: RingWords>(words: &W, position: u64) -> (Stage, u32) {
    let capacity = u64::from(words.capacity());
    let word = Word(words.word((position % capacity) as u32).observe()); // M1, T4
    let run = word.run().min(words.capacity());
    match (word.age(position / capacity), word.state()) {
        (Age::This, CLAIMED) => (Stage::Coming, run),
        (Age::This, FULL) => (Stage::Waiting, run),
        (Age::This, TAKEN) | (Age::Next, EMPTY) => (Stage::Used, run),
        (Age::This, SKIP) => (Stage::Skipped, run),
        _ => (Stage::Coming, 0),
    }
}

/// How many messages `index`, either `head` or `tail`, has passed since the ring was created.
pub(crate) fn passed(capacity: u32, index: u64) -> Result<u64> {
    let at = Index::of(capacity).split(index)?;
    Ok(at.lap.wrapping_mul(u64::from(capacity)).wrapping_add(u64::from(at.index)))
}

/// How many slots are between `head` and `tail`, whether the next push would find room, and whether
/// the next pop would find a message.
pub(crate) struct Fill {
    pub(crate) between: u32,
    pub(crate) has_room: bool,
    pub(crate) has_message: bool,
}

/// The fill of the ring; exact while no participant is at work.
pub(crate) fn fill<W: RingWords>(words: &W) -> Result<Fill> {
    pass_skips(words)?;
    let capacity = words.capacity();
    let indices = Index::of(capacity);
    let head = indices.split(words.head().observe())?; // a look: M2
    let at_head = Word(words.word(head.index).observe()); // a look: M1
    let (tail, room) = pass_claims(words)?;
    let laps = tail.lap.wrapping_sub(head.lap) as i64;
    let distance = laps.clamp(-1, 2) * i64::from(capacity) + i64::from(tail.index) - i64::from(head.index);
    Ok(Fill {
        between: distance.clamp(0, i64::from(capacity)) as u32,
        has_room: match room.age(tail.lap) {
            Age::Last => room.state() == SKIP && free_passed(words, indices, tail, room),
            Age::This | Age::Next => true,
            Age::Other => false,
        },
        has_message: at_head.state() == FULL,
    })
}
