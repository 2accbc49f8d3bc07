//! The ring with many producers, or many producers and consumers.
//!
//! The slots are divided into *runs*, of 1 to 64 slots. The word of a run's first slot holds lap,
//! length, state and owner; each step of the run's life is one compare-and-swap of this word,
//! however many messages it has:
//!
//! ```text
//! EMPTY(lap) ─→ CLAIMED(lap, owner) ─→ FULL(lap) ─→ TAKEN(lap, owner) ─→ EMPTY(lap + 1)
//!                        │                                                   ↑
//!                        └───────────→ SKIP(lap) ────────────────────────────┘
//! ```
//!
//! A producer joins as many EMPTY runs as it needs, and a producer or a consumer that needs less
//! than a run splits it ([`split`]): it makes the word at which the rest begins say so, before it
//! takes the first part. Words inside a run are whatever they were, and nobody trusts them.
//!
//! `tail` is the next slot to claim, `head` the next to take; at both, a run begins. Each holds lap
//! and index separately, so any capacity works. Both only follow the runs: a participant that finds
//! the run at an index already claimed (taken) moves the index past it. `head` passes a run before
//! that becomes EMPTY of the next lap: so the length by which it must move is still there.
//!
//! Claiming the slot itself and helping the index is from Shann, Huang and Chen, "A practical
//! nonblocking queue algorithm using compare-and-swap" (2000). An index that lags, and that any
//! participant brings up to date, is also in Tsigas and Zhang, "A simple, fast and scalable
//! non-blocking concurrent FIFO queue for shared memory multiprocessor systems" (2001). Their
//! queues hold one word for each element. This ring adds messages of any size, written between
//! CLAIMED and FULL; runs; the owner in the word; and the repair of claims of dead owners.
//!
//! | edge | stores | loads | what it carries |
//! |---|---|---|---|
//! | M1 | any step of a run's word: compare-and-swap, release | the word, acquire | the messages that were written before FULL; that they were read, before EMPTY; both also through the word of the rest, which a splitter stores after it has seen the whole |
//! | M2 | `tail`, `head`: compare-and-swap, release, after the word was seen beyond | `tail`, `head`, acquire | a load that sees the index moved on also sees the run behind it claimed (taken): so a word that seems to be of an earlier lap was not loaded too early |
//!
//! `docs/rings.md` has the argument, with deaths, late compare-and-swaps and wrapping laps.

use super::atomics::light_store_fence;
use super::ring_words::{Cause, RingWords, broken};
use super::run_word::{Age, CLAIMED, EMPTY, FULL, Index, LapSlot, MAX_RUN, SKIP, TAKEN, Word};
use crate::error::{Error, Result};
use crate::sys::processor::begin_again;
use crate::sys::trial::usual_or;

/// A run of slots that this participant holds: CLAIMED by a producer, TAKEN by a consumer.
#[derive(Clone, Copy)]
pub(crate) struct Ticket {
    /// The first slot.
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

/// A run, or the obstacle to one.
pub(crate) type Claimed = std::result::Result<Ticket, Obstacle>;

/// How often to retry when others are always first; after that the caller waits a little, as for an
/// obstacle. The number exceeds the steps that the words of a garbage ring can make an index move.
/// The fuzzer's rings are garbage, and it need not outlast a thousand others.
fn tries<W: RingWords>(words: &W) -> u32 {
    2 * words.capacity() + usual_or(1000, 20)
}

/// Claims up to `most` slots from `tail` on for the producer `me`, as many as are free.
#[inline(always)]
pub(crate) fn claim<W: RingWords>(words: &W, me: u32, most: u32) -> Result<Claimed> {
    let indices = Index::of(words.capacity());
    let mut seen = Obstacle { index: 0, word: 0 };
    let mut left = tries(words);
    while left > 0 {
        left -= 1;
        let tail = words.tail().observe(); // M2
        let at = indices.split(tail)?;
        let word = Word(words.word(at.index).observe()); // M1
        seen = Obstacle { index: at.index, word: word.0 };
        // One compare for the usual case.
        let count = match (word.age(at.lap), word.state()) {
            _ if most == 1 && word == Word::new(at.lap, 1, EMPTY, 0) => 1,
            _ if word.run() > words.capacity() => refuse(words, words.tail().observe() == tail, &seen)?, // M2: a look
            (Age::This, EMPTY) => free_from(words, indices, at, word, most),
            // Claimed already. `tail` cannot be so far behind that the run is claimed again.
            (Age::This, CLAIMED | FULL | SKIP | TAKEN) | (Age::Next, EMPTY) => {
                words.tail().exchange(tail, indices.pack(indices.ahead(at, word.run()))); // M2
                0
            }
            (Age::Last, SKIP) => {
                // Each of these counts as a try too: garbage words can make `head` move on without
                // end.
                let passed = pass_skips(words)?;
                if !free_passed(words, indices, at, word) && passed == 0 {
                    return Ok(Err(seen));
                }
                left = left.saturating_sub(passed);
                0
            }
            // The ring is full: the run still was of the last lap when its word was loaded, after
            // `tail`.
            (Age::Last, CLAIMED | FULL | TAKEN) => return Ok(Err(seen)),
            _ => refuse(words, words.tail().observe() == tail, &seen)?, // M2: a look
        };
        if count == 0 {
            begin_again();
            continue;
        }
        // Before the exchange, which loads and stores behind it wait for.
        words.expect(at.index, true);
        let claimed = Word::new(at.lap, count, CLAIMED, me);
        if words.word(at.index).exchange(word.0, claimed.0) {
            // M1
            words.tail().exchange(tail, indices.pack(indices.ahead(at, count))); // M2
            light_store_fence(); // T4: before the messages
            return Ok(Ok(Ticket { index: at.index, word: claimed }));
        }
        begin_again();
    }
    Ok(Err(seen))
}

/// How many slots, at most `most`, are free from the EMPTY run `word` at `at` on, which is `tail`;
/// behind them, a run begins. 0: the run has changed.
#[inline(always)]
fn free_from<W: RingWords>(words: &W, indices: Index, at: LapSlot, word: Word, most: u32) -> u32 {
    let most = most.min(MAX_RUN).min(words.capacity());
    let mut count = word.run();
    while count < most {
        let behind = indices.ahead(at, count);
        let next = Word(words.word(behind.index).observe()); // M1
        match (next.age(behind.lap), next.state()) {
            (Age::This, EMPTY) => count += next.run(),
            _ => break,
        }
    }
    if count <= most {
        return count;
    }
    let cut = indices.ahead(at, most);
    // Of garbage words alone there can be more than the last run can have.
    let rest = Word::new(cut.lap, (count - most).min(MAX_RUN), EMPTY, 0);
    if split(words, at.index, word, cut.index, rest) { most } else { 0 }
}

/// Makes the word of slot `cut`, inside the run that `word` begins in slot `first`, say what begins
/// there if the run is split. `false`: the run has changed, or others were first.
#[inline(always)]
fn split<W: RingWords>(words: &W, first: u32, word: Word, cut: u32, rest: Word) -> bool {
    let inside = words.word(cut).observe(); // M1
    // Only if the run stands, nothing has begun there when this was loaded.
    let stands = words.word(first).observe() == word.0; // M1
    stands && (inside == rest.0 || words.word(cut).exchange(inside, rest.0)) // M1
}

/// Takes up to `most` messages of the run at `head` for the consumer `me`.
#[inline(always)]
pub(crate) fn take<W: RingWords>(words: &W, me: u32, most: u32) -> Result<Claimed> {
    let indices = Index::of(words.capacity());
    let mut seen = Obstacle { index: 0, word: 0 };
    for _ in 0..tries(words) {
        let head = words.head().observe(); // M2
        let at = indices.split(head)?;
        let word = Word(words.word(at.index).observe()); // M1
        seen = Obstacle { index: at.index, word: word.0 };
        // One compare for the usual case.
        let count = match (word.age(at.lap), word.state()) {
            _ if word == Word::new(at.lap, 1, FULL, 0) => 1,
            _ if word.run() > words.capacity() => refuse(words, words.head().observe() == head, &seen)?, // M2: a look
            (Age::This, FULL) if word.run() <= most => word.run(),
            (Age::This, FULL) => {
                let cut = indices.ahead(at, most);
                let rest = Word::new(cut.lap, word.run() - most, FULL, 0);
                if split(words, at.index, word, cut.index, rest) { most } else { 0 }
            }
            // The message has not come, or is being written; or the last lap's is still being read,
            // or was skipped and waits for a producer that needs the slot.
            (Age::This, EMPTY | CLAIMED) | (Age::Last, TAKEN | SKIP) => return Ok(Err(seen)),
            (Age::This, SKIP | TAKEN) => {
                pass(words, indices, head, at, word);
                0
            }
            _ => refuse(words, words.head().observe() == head, &seen)?, // M2: a look
        };
        if count == 0 {
            begin_again();
            continue;
        }
        // Before the exchange, which loads behind it wait for.
        words.expect(at.index, false);
        let taken = Word::new(at.lap, count, TAKEN, me);
        if words.word(at.index).exchange(word.0, taken.0) {
            // M1
            words.head().exchange(head, indices.pack(indices.ahead(at, count))); // M2
            light_store_fence(); // T4: before it changes a message
            return Ok(Ok(Ticket { index: at.index, word: taken }));
        }
        begin_again();
    }
    Ok(Err(seen))
}

/// Moves `head` past the run at it, which is SKIP or TAKEN; then frees it if it is SKIP.
fn pass<W: RingWords>(words: &W, indices: Index, head: u64, at: LapSlot, word: Word) {
    words.head().exchange(head, indices.pack(indices.ahead(at, word.run()))); // M2
    if word.state() == SKIP {
        words.word(at.index).exchange(word.0, word.freed().0); // M1
    }
}

/// Moves `tail` past the runs that are claimed; returns where it is then, and the word there.
/// Usually there is none; one, whole or in parts, if its producer was killed before it moved `tail`.
#[inline(always)]
pub(super) fn pass_claims<W: RingWords>(words: &W) -> Result<(LapSlot, Word)> {
    let indices = Index::of(words.capacity());
    let mut left = words.capacity();
    loop {
        let tail = words.tail().observe(); // M2
        let at = indices.split(tail)?;
        let word = Word(words.word(at.index).observe()); // M1
        let is_claimed = match word.age(at.lap) {
            Age::This => word.state() != EMPTY,
            Age::Next => word.state() == EMPTY,
            Age::Last | Age::Other => false,
        };
        if !is_claimed || left == 0 || word.run() > words.capacity() {
            return Ok((at, word));
        }
        words.tail().exchange(tail, indices.pack(indices.ahead(at, word.run()))); // M2
        left -= 1;
        begin_again();
    }
}

/// Passes the SKIP and TAKEN runs from `head` on; returns how many.
pub(super) fn pass_skips<W: RingWords>(words: &W) -> Result<u32> {
    let indices = Index::of(words.capacity());
    let mut passed = 0;
    while passed < words.capacity() {
        let head = words.head().observe(); // M2
        let at = indices.split(head)?;
        let word = Word(words.word(at.index).observe()); // M1
        match (word.age(at.lap), word.state()) {
            (Age::This, SKIP | TAKEN) if word.run() <= words.capacity() => pass(words, indices, head, at, word),
            _ => break,
        }
        passed += 1;
        begin_again();
    }
    Ok(passed)
}

/// Frees the SKIP run of the last lap that `word` begins at `tail`, unless `head` has yet to pass
/// it. `true`: it is free.
pub(super) fn free_passed<W: RingWords>(words: &W, indices: Index, tail: LapSlot, word: Word) -> bool {
    let last = indices.pack(LapSlot { lap: tail.lap.wrapping_sub(1), index: tail.index });
    let is_passed = words.head().observe().wrapping_sub(last) as i64 > 0; // M2
    if is_passed {
        words.word(tail.index).exchange(word.0, word.freed().0); // M1
    }
    is_passed
}

/// Refuses a word that participants that follow the rules never leave at an index, unless the index
/// or the word has changed since. No slot can be had by it.
#[cold]
fn refuse<W: RingWords>(words: &W, index_stands: bool, seen: &Obstacle) -> Result<u32> {
    if index_stands && words.word(seen.index).observe() == seen.word {
        // M1: a look
        Err(broken("an index and the slot at it do not belong together"))
    } else {
        Ok(0)
    }
}

impl Ticket {
    /// A ticket that was kept as its slot and its claim.
    #[inline(always)]
    pub(crate) fn kept(index: u32, claim: u64) -> Ticket {
        Ticket { index, word: Word(claim) }
    }

    /// The word that says that the run is claimed: no other claim has the same, and it is not 0.
    #[inline(always)]
    pub(crate) fn claim(&self) -> u64 {
        self.word.0
    }

    /// How many slots it has.
    #[inline(always)]
    pub(crate) fn count(&self) -> u32 {
        self.word.run()
    }

    #[inline(always)]
    fn step<W: RingWords>(self, words: &W, next: Word) -> Result<()> {
        if words.word(self.index).exchange(self.word.0, next.0) { Ok(()) } else { Err(given_up()) } // M1
    }

    /// The messages are written: publishes them.
    #[inline(always)]
    pub(crate) fn publish<W: RingWords>(self, words: &W) -> Result<()> {
        self.step(words, self.word.to(FULL, 0)) // M1
    }

    /// Gives the slots up: no messages will come in them.
    pub(crate) fn abort<W: RingWords>(self, words: &W) -> Result<()> {
        self.step(words, self.word.to(SKIP, 0))?;
        pass_skips(words)?;
        Ok(())
    }

    /// The messages have been read: frees the slots for the next lap.
    #[inline(always)]
    pub(crate) fn release<W: RingWords>(self, words: &W) -> Result<()> {
        self.step(words, self.word.freed()) // M1
    }
}

/// The word of a run that this participant held has changed.
#[cold]
pub(crate) fn given_up() -> Error {
    Error::new(
        libc::ESTALE,
        "this process was taken for dead (its locks were gone), and what it had claimed was given up: open again",
    )
}

/// Undoes a claim of a dead owner. `false`: the claim no longer stands.
pub(crate) fn settle<W: RingWords>(words: &W, claim: &Obstacle) -> Result<bool> {
    let word = Word(claim.word);
    let (next, cause) = match word.state() {
        CLAIMED => (word.to(SKIP, 0), Cause::Skipped),
        TAKEN => (word.freed(), Cause::Lost),
        _ => return Ok(false),
    };
    let indices = Index::of(words.capacity());
    let head = words.head().observe(); // M2
    let at = indices.split(head)?;
    if word.run() > words.capacity() {
        return Err(broken("a run is longer than its capacity"));
    }
    if word.state() == TAKEN && at.index == claim.index && matches!(word.age(at.lap), Age::This) {
        pass(words, indices, head, at, word);
    }
    let is_settled = words.word(claim.index).exchange(claim.word, next.0); // M1
    if is_settled {
        words.count(cause, word.run());
    }
    Ok(is_settled)
}

/// Undoes all claims of the dead `owner` before a newcomer takes its number.
pub(crate) fn settle_all<W: RingWords>(words: &W, owner: u32) -> Result<()> {
    for index in 0..words.capacity() {
        let claim = Obstacle { index, word: words.word(index).observe() }; // M1
        if claim.owner() == Some(owner) {
            settle(words, &claim)?;
        }
    }
    pass_skips(words)?;
    Ok(())
}
