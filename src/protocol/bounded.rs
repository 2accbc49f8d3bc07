//! VILLASnode's queue: bounded, for many producers and many consumers, as Dmitry Vyukov published it.
//!
//! Each cell has a sequence. Empty, it is the cell's position; full, the position + 1; empty again,
//! the position + the number of cells, which is the cell's position in the next lap. A producer
//! claims the position `tail` by moving it on, a consumer the position `head`; what a thread has
//! claimed it alone fills or empties.
//!
//! Here a thread claims a run of cells at once. It first sees that they are empty (full), then moves
//! `tail` (`head`) beyond all of them in one exchange. A cell that is empty (full) stays so until
//! its position is claimed, and the exchange succeeds only if nobody has claimed one since. So all
//! cells of the run are still as they were seen. The others, which may be of any program, look at
//! one cell after another; to them a run is as many claims that followed closely.
//!
//! A thread that dies with a run claimed has filled (emptied) the first cells of it, from none to
//! all. The others stop at the first cell that it did not get to.
//!
//! | edge | stores | loads | what it carries |
//! |---|---|---|---|
//! | V1 | producer: the sample and `data`, then `sequence` = position + 1, release | consumer: `sequence`, acquire | a whole sample, or a block that its last user has left |
//! | V2 | consumer: `data` is read, then `sequence` = position + cells, release | producer: `sequence`, acquire | the cell may be used again |
//! | V4 | user of a block: its last use of it, then takes its shares off `references`, release | user with all shares that are left: the same word, acquire, then pushes the block to its pool | all uses come before the block is handed out again (V1) |
//!
//! `tail` and `head` only share out positions: no other word is read because of their values.

use crate::protocol::atomics::{Shared32, Shared64, relax};
use crate::sys::trial::usual_or;

/// Attempts at a queue that others use too, before it counts as full or empty. Each failure means
/// that another thread made progress.
pub(crate) const ATTEMPTS: u32 = usual_or(1000, 50);

/// The words of a queue. Any process may change any of them at any time.
pub(crate) trait BoundedWords {
    /// A power of two, at least 2.
    fn cells(&self) -> u64;
    fn tail(&self) -> &Shared64;
    fn head(&self) -> &Shared64;
    /// Of the cell of a position.
    fn sequence(&self, position: u64) -> &Shared64;
    /// Of the cell of a position.
    fn data(&self, position: u64) -> &Shared64;
}

/// Cells in a row, as they were seen.
#[derive(Clone, Copy)]
pub(crate) struct Seen {
    position: u64,
    count: usize,
    /// Why there are no more of them: how far the sequence of the next cell is ahead. Positive:
    /// another thread has claimed it already.
    ahead: i64,
}

impl Seen {
    pub(crate) fn count(&self) -> usize {
        self.count
    }

    /// Claims the first `count` cells by moving `end`. `None`: another thread was first.
    #[inline(always)]
    fn claim(&self, end: &Shared64, count: usize) -> Option<Run> {
        let next = self.position.wrapping_add(count as u64);
        end.exchange(self.position, next).then_some(Run { position: self.position, count })
    }
}

/// Cells in a row that this thread has claimed.
#[must_use = "cells that are claimed and left stop the queue"]
pub(crate) struct Run {
    position: u64,
    count: usize,
}

impl Run {
    pub(crate) fn count(&self) -> usize {
        self.count
    }

    /// The position of the first cell.
    #[cfg(loom)]
    pub(crate) fn position(&self) -> u64 {
        self.position
    }

    /// Fills the cells of a run of empty ones with what `data` gives for each.
    #[inline(always)]
    pub(crate) fn fill(self, queue: &impl BoundedWords, mut data: impl FnMut(usize) -> u64) {
        for at in 0..self.count {
            let position = self.position.wrapping_add(at as u64);
            queue.data(position).set(data(at));
            queue.sequence(position).publish(position.wrapping_add(1)); // V1
        }
    }

    /// Empties the cells of a run of full ones.
    #[inline(always)]
    pub(crate) fn empty(self, queue: &impl BoundedWords) {
        for at in 0..self.count {
            let position = self.position.wrapping_add(at as u64);
            queue.sequence(position).publish(position.wrapping_add(queue.cells())); // V2
        }
    }
}

/// The cells from `end` on, up to `most`, whose sequence is their position + `turn` and that `accept`
/// takes.
#[inline(always)]
fn see(queue: &impl BoundedWords, end: &Shared64, turn: u64, most: usize, mut accept: impl FnMut(usize, u64) -> bool) -> Seen {
    let position = end.get();
    let mut seen = Seen { position, count: 0, ahead: 0 };
    while seen.count < most {
        let at = position.wrapping_add(seen.count as u64);
        seen.ahead = queue.sequence(at).observe().wrapping_sub(at.wrapping_add(turn)) as i64; // V1, V2
        if seen.ahead != 0 || !accept(seen.count, at) {
            break;
        }
        seen.count += 1;
    }
    seen
}

/// Claims what `look` sees, as often as another thread was first. `None`: there is nothing.
#[inline(always)]
fn claim(end: &Shared64, mut look: impl FnMut() -> Seen) -> Option<Run> {
    for _ in 0..ATTEMPTS {
        let seen = look();
        if seen.count > 0 {
            if let Some(run) = seen.claim(end, seen.count) {
                return Some(run);
            }
        } else if seen.ahead <= 0 {
            return None;
        }
        relax();
    }
    None
}

/// The next empty cells, up to `most`.
#[inline(always)]
pub(crate) fn see_empty(queue: &impl BoundedWords, most: usize) -> Seen {
    see(queue, queue.tail(), 0, most, |_, _| true)
}

/// Claims the next empty cells, up to `most`. `None`: the queue is full.
#[inline(always)]
pub(crate) fn claim_empty(queue: &impl BoundedWords, most: usize) -> Option<Run> {
    claim(queue.tail(), || see_empty(queue, most))
}

/// Claims the first `count` of cells that were seen empty, or, if another thread was first, the next
/// ones, up to as many. `None`: the queue is full.
#[inline(always)]
pub(crate) fn claim_seen(queue: &impl BoundedWords, seen: Seen, count: usize) -> Option<Run> {
    seen.claim(queue.tail(), count).or_else(|| claim_empty(queue, count))
}

/// Pushes all items into a queue that must have room for them; `data` is what a cell says of one.
#[inline(always)]
pub(crate) fn push_all<Q: BoundedWords>(queue: impl Fn() -> Q, mut items: &[u32], data: impl Fn(u32) -> u64) {
    let ends = queue();
    while !items.is_empty() {
        let Some(run) = claim_empty(&ends, items.len()) else { return push_one_by_one(queue, items, data) };
        let (these, rest) = items.split_at(run.count());
        run.fill(&ends, |at| data(these[at]));
        items = rest;
    }
}

/// What [`push_all`] could not do as other threads, which look at one cell only, were always first.
/// Items for which there is no room even so are lost.
#[cold]
#[inline(never)]
fn push_one_by_one<Q: BoundedWords>(queue: impl Fn() -> Q, items: &[u32], data: impl Fn(u32) -> u64) {
    let ends = queue();
    for &item in items {
        let Some(run) = claim_empty(&ends, 1) else { break };
        run.fill(&ends, |_| data(item));
    }
}

/// Claims the next full cells, up to `most`, as long as `accept` takes the `data` of each; it is
/// asked for a cell again, from the first one on, when another thread was first. `None`: the queue
/// is empty, or `accept` has refused the first cell.
#[inline(always)]
pub(crate) fn claim_full(queue: &impl BoundedWords, most: usize, mut accept: impl FnMut(usize, u64) -> bool) -> Option<Run> {
    let mut look = || see(queue, queue.head(), 1, most, |at, position| accept(at, queue.data(position).get()));
    claim(queue.head(), &mut look)
}

/// Skips a cell that a dead producer has claimed and not filled. `false`: the next cell is full, or
/// nothing was claimed behind it.
pub(crate) fn skip_unfilled(queue: &impl BoundedWords) -> bool {
    let position = queue.head().get();
    let ahead = queue.sequence(position).observe().wrapping_sub(position.wrapping_add(1)) as i64; // V1: a look
    let claimed = queue.tail().observe().wrapping_sub(position); // V1: a look
    if ahead >= 0 || claimed <= 1 || claimed > queue.cells() {
        return false;
    }
    let is_mine = queue.head().exchange(position, position.wrapping_add(1));
    if is_mine {
        Run { position, count: 1 }.empty(queue);
    }
    is_mine
}

/// Takes `shares` off the references to a block, which count those of all processes. Whether they
/// were all: the block is free, and the word is the caller's to set to 0. A process with all of
/// them needs no read-modify-write, because only a process that has some adds more.
#[inline(always)]
pub(crate) fn give_up(references: &Shared32, shares: u32) -> bool {
    references.observe() == shares || references.add(shares.wrapping_neg()) == shares // V4
}

#[cfg(all(test, not(loom)))]
#[path = "../tests/unit/protocol/bounded.rs"]
mod tests;
