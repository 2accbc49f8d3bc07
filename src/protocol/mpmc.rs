//! The ring with many producers, or many producers and consumers.
//!
//! The word of a slot holds lap, state and owner; each step of its life is one compare-and-swap:
//!
//! ```text
//! EMPTY(lap) ─→ CLAIMED(lap, owner) ─→ FULL(lap) ─→ TAKEN(lap, owner) ─→ EMPTY(lap + 1)
//!                        │                                                   ↑
//!                        └───────────→ SKIP(lap) ────────────────────────────┘
//! ```
//!
//! `tail` is the next slot to claim, `head` the next to take. Each holds lap and index separately,
//! so any capacity works. Both only follow the slots: a participant that finds the slot at an index
//! already claimed (taken) moves the index forward.
//!
//! Claiming the slot itself and helping the index is from Shann, Huang and Chen, "A practical
//! nonblocking queue algorithm using compare-and-swap" (2000). An index that lags, and that any
//! participant brings up to date, is also in Tsigas and Zhang, "A simple, fast and scalable
//! non-blocking concurrent FIFO queue for shared memory multiprocessor systems" (2001). Their
//! queues hold one word for each element. This ring adds messages of any size, written between
//! CLAIMED and FULL; the owner in the word; and the repair of claims of dead owners.
//!
//! | edge | stores | loads | what it carries |
//! |---|---|---|---|
//! | M1 | any step of a slot's word: compare-and-swap, release | the word, acquire | the message that was written before FULL; that it was read, before EMPTY |
//! | M2 | `tail`, `head`: compare-and-swap, release, after the word was seen beyond | `tail`, `head`, acquire | a load that sees the index moved on also sees the slot behind it claimed (taken): so a word that seems to be of an earlier lap was not loaded too early |
//!
//! `docs/rings.md` has the argument, with deaths, late compare-and-swaps and wrapping laps.

use super::atomics::light_store_fence;
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
    /// Another state of the same lap.
    fn to(self, state: u64, owner: u32) -> Word {
        Word::new(self.lap(), state, owner)
    }
    fn next_lap(self) -> Word {
        Word::new(self.lap().wrapping_add(1), EMPTY, 0)
    }
    /// This word's lap relative to `lap`.
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

/// How an index is packed: the slot in as many low bits as the capacity needs, the lap above.
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

/// A slot that this participant holds: CLAIMED by a producer, TAKEN by a consumer.
#[derive(Clone, Copy)]
pub(crate) struct Ticket {
    pub(crate) index: u32,
    word: Word,
}

/// Why no slot is available: the word that must change first.
#[derive(Clone, Copy)]
pub(crate) struct Obstacle {
    pub(crate) index: u32,
    pub(crate) word: u64,
}

impl Obstacle {
    /// The owner of the claim that is in the way, if it is a claim.
    pub(crate) fn owner(&self) -> Option<u32> {
        let word = Word(self.word);
        matches!(word.state(), CLAIMED | TAKEN).then(|| word.owner())
    }
}

/// A slot, or the obstacle to one.
pub(crate) type Claimed = std::result::Result<Ticket, Obstacle>;

/// How often to retry when others are always first; after that the caller waits a little, as for an
/// obstacle. The number exceeds the steps that the words of a garbage ring can make an index move.
/// The fuzzer's rings are garbage, and it need not outlast a thousand others.
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
                light_store_fence(); // T4: before the message
                words.tail().exchange(tail, indices.next(lap, index)); // M2
                return Ok(Ok(Ticket { index, word: claimed }));
            }
            (Age::This, CLAIMED | FULL | SKIP | TAKEN) | (Age::Later, _) => true,
            // A SKIP that is the oldest can be passed, which frees its slot.
            (Age::Last, SKIP) => {
                // Each of these counts as a try too: garbage words can make `head` move on without
                // end.
                let passed = pass_skips(words)?;
                if passed == 0 {
                    return Ok(Err(seen));
                }
                left = left.saturating_sub(passed);
                false
            }
            // The ring is full: the slot still was of the last lap when its word was loaded, after
            // `tail`.
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
            // The message has not come, or is being written; or the last lap's is still being read.
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

/// Frees the SKIP slots from `head` on; returns how many slots `head` has passed.
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

/// Refuses a word that participants that follow the rules never leave at an index, unless the index
/// or the word has changed since.
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

    /// The message is written: publishes it.
    #[inline(always)]
    pub(crate) fn publish<W: RingWords>(self, words: &W) -> Result<()> {
        self.step(words, self.word.to(FULL, 0)) // M1
    }

    /// Gives the slot up: no message will come in it.
    pub(crate) fn abort<W: RingWords>(self, words: &W) -> Result<()> {
        self.step(words, self.word.to(SKIP, 0))?;
        pass_skips(words)?;
        Ok(())
    }

    /// The message has been read: frees the slot for the next lap.
    #[inline(always)]
    pub(crate) fn release<W: RingWords>(self, words: &W) -> Result<()> {
        self.step(words, self.word.next_lap()) // M1
    }
}

/// The word of a slot that this participant held has changed.
#[cold]
pub(crate) fn given_up() -> Error {
    Error::new(
        libc::ESTALE,
        "this process was taken for dead (its locks were gone), and what it had claimed was given up: open again",
    )
}

/// Undoes a claim of a dead owner. `false`: the claim no longer stands.
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

/// Undoes all claims of the dead `owner` before a newcomer takes its number.
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

/// Up to `most` slots from `head` on, each with the word that it has while its message waits.
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

/// What has become of a message, as a tap sees it.
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

/// The stage of the message that slot `index` has in this lap.
pub(crate) fn stage<W: RingWords>(words: &W, lap: u64, index: u32) -> Stage {
    let word = Word(words.word(index).observe()); // M1, T4
    match (word.age(lap), word.state()) {
        (Age::This, FULL) => Stage::Waiting,
        (Age::This, TAKEN) => Stage::Used,
        (Age::This, SKIP) => Stage::Skipped,
        (Age::Later, EMPTY) if matches!(word.age(lap.wrapping_add(1)), Age::This) => Stage::Used,
        (Age::Later, _) => Stage::Gone,
        _ => Stage::Coming,
    }
}

/// How many messages `index`, either `head` or `tail`, has passed since the ring was created.
pub(crate) fn passed(capacity: u32, index: u64) -> Result<u64> {
    let (lap, index) = Index::of(capacity).split(index)?;
    Ok(lap.wrapping_mul(u64::from(capacity)).wrapping_add(u64::from(index)))
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
