//! The ring with many producers, or many producers and consumers.
//!
//! The word of a slot holds lap, state and owner together, and each step of its life is one compare-and-swap:
//!
//! ```text
//! EMPTY(lap) ─→ CLAIMED(lap, owner) ─→ FULL(lap) ─→ TAKEN(lap, owner) ─→ EMPTY(lap + 1)
//!                        │                                                   ↑
//!                        └───────────→ SKIP(lap) ────────────────────────────┘
//! ```
//!
//! `tail` is the next slot to be claimed, `head` the next to be taken, each as lap and index kept apart, so that any capacity works.
//! They only follow: whoever finds that the slot at an index is claimed (taken) already helps the index along. Claiming the slot itself
//! and helping the index is from Shann, Huang and Chen, "A practical nonblocking queue algorithm using compare-and-swap" (2000); that an
//! index may lag, and be brought up by whoever sees it, also from Tsigas and Zhang, "A simple, fast and scalable non-blocking concurrent
//! FIFO queue for shared memory multiprocessor systems" (2001). Theirs hold one word for each element; that a message of any size is
//! written between CLAIMED and FULL, the owner's name in the word, and what becomes of the claims of the dead, is from here.
//!
//! | edge | stores | loads | what it carries |
//! |---|---|---|---|
//! | M1 | any step of a slot's word: compare-and-swap, release | the word, acquire | the message that was written before FULL; that it was read, before EMPTY |
//! | M2 | `tail`, `head`: compare-and-swap, release, after the word was seen beyond | `tail`, `head`, acquire | who sees the index moved on sees the slot behind it claimed (taken): so a word that seems to be of an earlier lap is none that was seen too early |
//!
//! `docs/rings.md` has the argument, with deaths, late compare-and-swaps and wrapping laps.

use super::ring_words::{Cause, RingWords, broken};
use crate::error::{Error, Result};
use crate::sys::processor::begin_again;
use crate::sys::trial::usual_or;

/// Owners are numbered below this.
pub(crate) const MAX_OWNERS: u32 = 1 << OWNER_BITS;
const OWNER_BITS: u32 = 10;
const STATE_BITS: u32 = 3;
const LAP_BITS: u32 = 64 - STATE_BITS - OWNER_BITS;
const LAP_MASK: u64 = (1 << LAP_BITS) - 1;

const EMPTY: u64 = 0;
const CLAIMED: u64 = 1;
const FULL: u64 = 2;
const SKIP: u64 = 3;
const TAKEN: u64 = 4;

/// A slot's word: lap, state, owner. Zero is EMPTY(0).
#[derive(Clone, Copy, PartialEq, Eq)]
struct Word(u64);

impl Word {
    fn new(lap: u64, state: u64, owner: u32) -> Word {
        Word((lap & LAP_MASK) << (STATE_BITS + OWNER_BITS) | state << OWNER_BITS | u64::from(owner))
    }
    fn lap(self) -> u64 {
        self.0 >> (STATE_BITS + OWNER_BITS)
    }
    fn state(self) -> u64 {
        self.0 >> OWNER_BITS & ((1 << STATE_BITS) - 1)
    }
    fn owner(self) -> u32 {
        self.0 as u32 & (MAX_OWNERS - 1)
    }
    /// The same lap in another state.
    fn to(self, state: u64, owner: u32) -> Word {
        Word::new(self.lap(), state, owner)
    }
    fn next_lap(self) -> Word {
        Word::new(self.lap().wrapping_add(1), EMPTY, 0)
    }
    /// Which lap this is, seen from `lap`.
    #[inline(always)]
    fn age(self, lap: u64) -> Age {
        match self.lap().wrapping_sub(lap) & LAP_MASK {
            0 => Age::This,
            LAP_MASK => Age::Last,
            ahead if ahead <= LAP_MASK / 2 => Age::Later,
            _ => Age::Earlier,
        }
    }
}

enum Age {
    Earlier,
    Last,
    This,
    Later,
}

/// An index: the lap, and the slot in the low bits that a ring of this capacity needs.
#[derive(Clone, Copy)]
struct Index {
    bits: u32,
    capacity: u32,
}

impl Index {
    fn of(capacity: u32) -> Index {
        Index { bits: u32::BITS - (capacity - 1).leading_zeros(), capacity }
    }
    #[inline(always)]
    fn split(self, value: u64) -> Result<(u64, u32)> {
        let index = (value & ((1 << self.bits) - 1)) as u32;
        if index < self.capacity { Ok((value >> self.bits, index)) } else { Err(broken("an index is beyond its capacity")) }
    }
    #[inline(always)]
    fn next(self, lap: u64, index: u32) -> u64 {
        if index + 1 == self.capacity { lap.wrapping_add(1) << self.bits } else { lap << self.bits | u64::from(index + 1) }
    }
}

/// A slot that is this participant's: CLAIMED for a producer, TAKEN for a consumer.
#[derive(Clone, Copy)]
pub(crate) struct Ticket {
    pub(crate) index: u32,
    word: Word,
}

/// Why there is no slot to be had: the word that must change first.
#[derive(Clone, Copy)]
pub(crate) struct Obstacle {
    pub(crate) index: u32,
    pub(crate) word: u64,
}

impl Obstacle {
    /// Whose claim is in the way, if it is one.
    pub(crate) fn owner(&self) -> Option<u32> {
        let word = Word(self.word);
        matches!(word.state(), CLAIMED | TAKEN).then(|| word.owner())
    }
}

/// A slot, or what is in the way of one.
pub(crate) type Claimed = std::result::Result<Ticket, Obstacle>;

/// How often to begin again when others are always first; then the caller waits a little, as for an obstacle. More than the words of a
/// ring that is garbage can make an index move. The fuzzer, whose rings are garbage, need not wait for a thousand others.
fn tries<W: RingWords>(words: &W) -> u32 {
    2 * words.capacity() + usual_or(1000, 20)
}

/// Claims the slot at `tail` for the producer `me`.
#[inline(always)]
pub(crate) fn claim<W: RingWords>(words: &W, me: u32) -> Result<Claimed> {
    let indices = Index::of(words.capacity());
    let mut seen = Obstacle { index: 0, word: 0 };
    let mut left = tries(words);
    while left > 0 {
        left -= 1;
        let tail = words.tail().observe(); // M2
        let (lap, index) = indices.split(tail)?;
        let word = Word(words.word(index).observe()); // M1
        seen = Obstacle { index, word: word.0 };
        let is_claimed = match (word.age(lap), word.state()) {
            (Age::This, EMPTY) => {
                let claimed = word.to(CLAIMED, me);
                if !words.word(index).exchange(word.0, claimed.0) {
                    // M1
                    begin_again();
                    continue;
                }
                words.tail().exchange(tail, indices.next(lap, index)); // M2
                return Ok(Ok(Ticket { index, word: claimed }));
            }
            (Age::This, CLAIMED | FULL | SKIP | TAKEN) | (Age::Later, _) => true,
            // The way is free behind a SKIP that is the oldest.
            (Age::Last, SKIP) => {
                // Each of them is a step, too: words that are garbage can make `head` move on without end.
                let passed = pass_skips(words)?;
                if passed == 0 {
                    return Ok(Err(seen));
                }
                left = left.saturating_sub(passed);
                false
            }
            // Full: the slot is of the last lap still, and was when the word was loaded, after `tail`.
            (Age::Last, CLAIMED | FULL | TAKEN) => return Ok(Err(seen)),
            _ => {
                refuse(words, words.tail().observe() == tail, &seen)?; // M2: a look
                false
            }
        };
        if is_claimed {
            words.tail().exchange(tail, indices.next(lap, index)); // M2
        }
        begin_again();
    }
    Ok(Err(seen))
}

/// Takes the slot at `head` for the consumer `me`.
#[inline(always)]
pub(crate) fn take<W: RingWords>(words: &W, me: u32) -> Result<Claimed> {
    let indices = Index::of(words.capacity());
    let mut seen = Obstacle { index: 0, word: 0 };
    for _ in 0..tries(words) {
        let head = words.head().observe(); // M2
        let (lap, index) = indices.split(head)?;
        let word = Word(words.word(index).observe()); // M1
        seen = Obstacle { index, word: word.0 };
        let is_taken = match (word.age(lap), word.state()) {
            (Age::This, FULL) => {
                let taken = word.to(TAKEN, me);
                if !words.word(index).exchange(word.0, taken.0) {
                    // M1
                    begin_again();
                    continue;
                }
                words.head().exchange(head, indices.next(lap, index)); // M2
                return Ok(Ok(Ticket { index, word: taken }));
            }
            // Nothing has come here, or it is still being written, or what came in the last lap is still being read.
            (Age::This, EMPTY | CLAIMED) | (Age::Last, TAKEN) => return Ok(Err(seen)),
            (Age::This, SKIP) => words.word(index).exchange(word.0, word.next_lap().0), // M1
            (Age::This, TAKEN) | (Age::Later, _) => true,
            _ => {
                refuse(words, words.head().observe() == head, &seen)?; // M2: a look
                false
            }
        };
        if is_taken {
            words.head().exchange(head, indices.next(lap, index)); // M2
        }
        begin_again();
    }
    Ok(Err(seen))
}

/// Frees the slots from `head` on that were given up; how many `head` has passed.
fn pass_skips<W: RingWords>(words: &W) -> Result<u32> {
    let indices = Index::of(words.capacity());
    let mut passed = 0;
    for _ in 0..words.capacity() {
        let head = words.head().observe(); // M2
        let (lap, index) = indices.split(head)?;
        let word = Word(words.word(index).observe()); // M1
        match (word.age(lap), word.state()) {
            (Age::This, SKIP) => {
                words.word(index).exchange(word.0, word.next_lap().0); // M1
            }
            (Age::This, TAKEN) | (Age::Later, _) => {}
            _ => break,
        }
        words.head().exchange(head, indices.next(lap, index)); // M2
        passed += 1;
        begin_again();
    }
    Ok(passed)
}

/// No ring of participants that keep to the rules has a word like this at an index, unless the index has moved on since.
#[cold]
fn refuse<W: RingWords>(words: &W, index_stands: bool, seen: &Obstacle) -> Result<()> {
    if index_stands && words.word(seen.index).observe() == seen.word {
        // M1: a look
        Err(broken("an index and the slot at it do not belong together"))
    } else {
        Ok(())
    }
}

impl Ticket {
    /// The claim of `me` on slot `index`, if there is one.
    pub(crate) fn find<W: RingWords>(words: &W, index: u32, me: u32, is_producer: bool) -> Option<Ticket> {
        let word = Word(words.word(index).get());
        let state = if is_producer { CLAIMED } else { TAKEN };
        (word.state() == state && word.owner() == me).then_some(Ticket { index, word })
    }

    #[inline(always)]
    fn step<W: RingWords>(self, words: &W, next: Word) -> Result<()> {
        if words.word(self.index).exchange(self.word.0, next.0) { Ok(()) } else { Err(given_up()) } // M1
    }

    /// The message is written: it can be taken from now on.
    #[inline(always)]
    pub(crate) fn publish<W: RingWords>(self, words: &W) -> Result<()> {
        self.step(words, self.word.to(FULL, 0)) // M1
    }

    /// There will be no message in this slot.
    pub(crate) fn abort<W: RingWords>(self, words: &W) -> Result<()> {
        self.step(words, self.word.to(SKIP, 0))?;
        pass_skips(words)?;
        Ok(())
    }

    /// The message has been read: the slot is free for the next lap.
    #[inline(always)]
    pub(crate) fn release<W: RingWords>(self, words: &W) -> Result<()> {
        self.step(words, self.word.next_lap()) // M1
    }
}

/// The word of a slot that was this participant's says otherwise.
#[cold]
pub(crate) fn given_up() -> Error {
    Error::new(
        libc::ESTALE,
        "this process was taken for dead (its locks were gone), and what it had claimed was given up: open again",
    )
}

/// Undoes a claim whose owner is dead. `false`: it is none any more.
pub(crate) fn settle<W: RingWords>(words: &W, claim: &Obstacle) -> bool {
    let word = Word(claim.word);
    let (next, cause) = match word.state() {
        CLAIMED => (word.to(SKIP, 0), Cause::Skipped),
        TAKEN => (word.next_lap(), Cause::Lost),
        _ => return false,
    };
    let is_settled = words.word(claim.index).exchange(claim.word, next.0); // M1
    if is_settled {
        words.count(cause);
    }
    is_settled
}

/// Undoes all claims of `owner`, who is dead, for the one who is about to take its number.
pub(crate) fn settle_all<W: RingWords>(words: &W, owner: u32) -> Result<()> {
    for index in 0..words.capacity() {
        let claim = Obstacle { index, word: words.word(index).observe() }; // M1
        if claim.owner() == Some(owner) {
            settle(words, &claim);
        }
    }
    pass_skips(words)?;
    Ok(())
}

/// The slots from `head` on, and the words that they have while their messages wait; at most `most` of them.
pub(crate) fn next_slots<W: RingWords>(words: &W, most: u32) -> Result<Vec<(u32, u64)>> {
    let indices = Index::of(words.capacity());
    let mut at = words.head().observe(); // a look: M2
    let step = |_| {
        let (lap, index) = indices.split(at)?;
        at = indices.next(lap, index);
        Ok((index, Word::new(lap, FULL, 0).0))
    };
    (0..most.min(words.capacity())).map(step).collect()
}

/// How many messages `index`, which is `head` or `tail`, has gone past since the ring was made.
pub(crate) fn passed(capacity: u32, index: u64) -> Result<u64> {
    let (lap, index) = Index::of(capacity).split(index)?;
    Ok(lap.wrapping_mul(u64::from(capacity)).wrapping_add(u64::from(index)))
}

/// How many slots are between `head` and `tail`; whether the next push would find room, and the next pop a message.
pub(crate) struct Fill {
    pub(crate) between: u32,
    pub(crate) has_room: bool,
    pub(crate) has_message: bool,
}

/// A look at the ring, exact while nobody is at work.
pub(crate) fn fill<W: RingWords>(words: &W) -> Result<Fill> {
    pass_skips(words)?;
    let capacity = words.capacity();
    let indices = Index::of(capacity);
    let (head_lap, head_index) = indices.split(words.head().observe())?; // a look: M2
    let (tail_lap, tail_index) = indices.split(words.tail().observe())?; // a look: M2
    let at = |index: u32| Word(words.word(index).observe()); // a look: M1
    let laps = tail_lap.wrapping_sub(head_lap) as i64;
    let distance = laps.clamp(-1, 2) * i64::from(capacity) + i64::from(tail_index) - i64::from(head_index);
    Ok(Fill {
        between: distance.clamp(0, i64::from(capacity)) as u32,
        has_room: matches!(at(tail_index).age(tail_lap), Age::This | Age::Later),
        has_message: at(head_index).state() == FULL,
    })
}
