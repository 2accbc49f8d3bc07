//! The life of a block.
//!
//! Each block is at home on one side, which alone hands it out. In its header are four positions, each with one writer:
//! `sent` by X is 1 + the place in X's queue at which X sent it last, `done` by X is the other side's `sent` up to
//! which X is done with it. So a block is free when neither side owes anything: all that X sent, Y is done with, and
//! the other way round, and nobody in this process holds a reference. Positions, not counts: to repair one is to store
//! the same number again.
//!
//! References within a process, and `got`, the position at which a block in hand was received, are private to the process.
//!
//! | edge | stores | loads | what it carries |
//! |---|---|---|---|
//! | P1 | Y: `done`, release, after its last use of the block | X asks whether it is free: `done` by Y, acquire | Y's use of the block comes before X's next |
//! | P2 | Y, echoing: `sent` by Y, then `done` by Y | X: `done` by Y, then `sent` by Y | who sees that Y is done sees that Y has sent it back |
//! | Q1 | X: `sent`, then the entry | Y: the entry, then uses the block | `queue` |
//!
//! P2 is why the two loads of [`Pool::is_free`] stand in that order: the other way round a block that comes back could
//! look free between them.

use crate::error::{Error, Result};
use crate::layout::{Side, Words};
use crate::sys::gate::Idle;
use crate::sys::table::{Table, Zeroable};

/// What this process knows of a block.
#[derive(Clone, Copy)]
pub(crate) struct Private {
    /// What to store as `done` with the last reference.
    got: u64,
    references: u32,
    _padding: u32,
}

// SAFETY: integers.
unsafe impl Zeroable for Private {}

// SAFETY: integers.
unsafe impl Zeroable for Orphan {}

/// How far ahead of the cursor the blocks are fetched: their lines are with the peer, who has just read them. A round trip uses one or two blocks, which are
/// here already.
const AHEAD: u32 = 8;

/// How many busy blocks an allocation looks at before it takes one that was never used: enough to pass by some that are held
/// for long, few enough to keep the set in use as small as the traffic allows.
const LOOKS: u32 = 16;

/// The number of no block.
pub(crate) const NO_BLOCK: u32 = u32::MAX;

/// All blocks, as one side sees them.
pub(crate) struct Pool {
    side: Side,
    /// Blocks at home on each side.
    home: u32,
    /// Where to look first: the block that was handed out longest ago. In range 0 ..= `used`.
    cursor: u32,
    /// How many of the own home blocks were ever handed out. In range 0 ..= `home`.
    used: u32,
    /// Blocks that somebody in this process holds.
    held: u32,
    blocks: Table<Private>,
}

/// A block that the predecessor of this process had in its hands.
#[derive(Clone, Copy)]
pub(crate) struct Orphan {
    pub(crate) block: u32,
    _padding: u32,
    /// The other side's `sent`: the order in which they came.
    pub(crate) sent: u64,
}

impl Pool {
    /// The pool as `side` finds it; nothing is in anybody's hands.
    pub(crate) fn recover<W: Words>(words: &W, side: Side, home: u32) -> Result<Pool> {
        let used = words.used(side).get().min(u64::from(home)) as u32;
        let blocks = Table::new(2 * home as usize)
            .ok_or_else(|| Error::new(libc::ENOMEM, "no memory for the private state of the blocks"))?;
        Ok(Pool { side, home, cursor: 0, used, held: 0, blocks })
    }

    fn first(&self, side: Side) -> u32 {
        side as u32 * self.home
    }

    /// Whose block it is.
    #[inline(always)]
    pub(crate) fn home(&self, block: u32) -> Side {
        if block < self.home { Side::A } else { Side::B }
    }

    /// The blocks that were ever in use, of either home.
    fn ever_used<W: Words>(&self, words: &W) -> impl Iterator<Item = u32> + use<W> {
        let of = |side: Side| {
            let used = words.used(side).observe().min(u64::from(self.home)) as u32;
            self.first(side)..self.first(side) + used
        };
        of(Side::A).chain(of(Side::B))
    }

    /// Blocks that the dead predecessor had marked as sent and not published. At most one, since each is published
    /// before the next is marked.
    pub(crate) fn unpublished<W: Words>(&self, words: &W, tail: u64) -> Result<Option<u32>> {
        let mut found = None;
        for block in self.ever_used(words) {
            let sent = words.sent(self.side, block).get();
            if sent > tail {
                if found.is_some() || sent != tail.wrapping_add(1) {
                    return Err(Error::corrupt("the blocks of the region contradict its queues"));
                }
                found = Some(block);
            }
        }
        Ok(found)
    }

    /// Blocks that the dead predecessor had taken and not put: sent by the peer, at a place that is taken, and not done with.
    pub(crate) fn orphans<'p, W: Words>(&'p self, words: &'p W, taken: u64) -> impl Iterator<Item = Orphan> + 'p {
        self.ever_used(words).filter_map(move |block| {
            let sent = words.sent(self.side.other(), block).observe();
            (sent <= taken && sent != words.done(self.side, block).get()).then_some(Orphan { block, _padding: 0, sent })
        })
    }

    #[inline(always)]
    fn is_free<W: Words>(&self, words: &W, block: u32) -> bool {
        self.blocks[block as usize].references == 0
            && words.done(self.side.other(), block).observe() == words.sent(self.side, block).get() // P1, P2: first
            && words.sent(self.side.other(), block).observe() == words.done(self.side, block).get() // P2: second
    }

    /// The block that was handed out longest ago, if it is free.
    #[inline(always)]
    pub(crate) fn next_free<W: Words>(&mut self, words: &W) -> Option<u32> {
        if self.cursor >= self.used {
            self.cursor = 0;
        }
        let block = self.first(self.side) + self.cursor;
        words.expect(block + AHEAD);
        let is_free = self.used > 0 && self.is_free(words, block);
        is_free.then(|| {
            self.cursor += 1;
            block
        })
    }

    /// Hands out a free block of the own home, with one reference and an empty header.
    #[inline(always)]
    pub(crate) fn hand_out<W: Words>(&mut self, words: &W, block: u32) {
        let private = &mut self.blocks[block as usize];
        private.references = 1;
        private.got = words.done(self.side, block).get();
        self.held += 1;
        words.reset(block);
    }

    /// The next one is busy: some further ones, one that was never used, at last all. `None` after each was seen busy.
    #[inline(never)]
    pub(crate) fn search<W: Words>(&mut self, words: &W) -> Option<u32> {
        let first = self.first(self.side);
        for step in 1..self.used {
            if step == LOOKS && self.used < self.home {
                break;
            }
            let at = (self.cursor + step) % self.used;
            if self.is_free(words, first + at) {
                self.cursor = at + 1;
                return Some(first + at);
            }
        }
        let fresh = self.used;
        if fresh == self.home {
            return None;
        }
        // The mark comes before the block can be sent: who repairs this side looks at no blocks beyond it.
        self.used += 1;
        words.used(self.side).publish(u64::from(self.used));
        self.cursor += 1;
        // A predecessor may have died just after it had raised the mark; a block that was never sent is free, and all zero.
        Some(first + fresh)
    }

    /// How many blocks of the own home are free. Looks at all.
    pub(crate) fn free<W: Words>(&self, words: &W) -> u32 {
        let first = self.first(self.side);
        (first..first + self.home).filter(|&block| self.is_free(words, block)).count() as u32
    }

    /// Blocks that somebody in this process holds.
    pub(crate) fn held(&self) -> u32 {
        self.held
    }

    /// Takes `block` into this process, as sent by the peer at position `got - 1`.
    #[inline(always)]
    pub(crate) fn receive(&mut self, block: u32, got: u64) -> Result<()> {
        let private = &mut self.blocks[block as usize];
        if private.references == u32::MAX >> 1 {
            return Err(Error::corrupt("the peer sends a block that this side has not given back"));
        }
        if private.references == 0 {
            self.held += 1;
        }
        private.references += 1;
        private.got = got;
        Ok(())
    }

    /// One reference more; how many there are then. 0: `block` is in nobody's hands here.
    pub(crate) fn get(&mut self, block: u32) -> u32 {
        let private = &mut self.blocks[block as usize];
        if private.references == 0 || private.references == u32::MAX >> 1 {
            return 0;
        }
        private.references += 1;
        private.references
    }

    /// One reference less; how many are left. `None`: there was none.
    #[inline(always)]
    pub(crate) fn put<W: Words>(&mut self, words: &W, block: u32) -> Option<u32> {
        let private = &mut self.blocks[block as usize];
        private.references = private.references.checked_sub(1)?;
        if private.references == 0 {
            self.held -= 1;
            words.done(self.side, block).publish(private.got); // P1
        }
        Some(private.references)
    }

    /// The same without a store: for a process that has lost its side.
    pub(crate) fn drop_reference(&mut self, block: u32) -> Option<u32> {
        let private = &mut self.blocks[block as usize];
        private.references = private.references.checked_sub(1)?;
        self.held -= u32::from(private.references == 0);
        Some(private.references)
    }

    /// Whether somebody in this process holds `block`.
    #[inline(always)]
    pub(crate) fn is_held(&self, block: u32) -> bool {
        self.blocks.get(block as usize).is_some_and(|private| private.references != 0)
    }

    /// Whether the peer has been done with `block` since this side sent it last.
    #[inline(always)]
    pub(crate) fn is_back<W: Words>(&self, words: &W, block: u32) -> bool {
        words.done(self.side.other(), block).observe() == words.sent(self.side, block).get()
    }

    /// Marks `block` as sent at `position` and gives up a reference to it. The entry must follow.
    #[inline(always)]
    pub(crate) fn send<W: Words>(&mut self, words: &W, block: u32, position: u64) {
        let private = &self.blocks[block as usize];
        if private.references > 1 && private.got != words.done(self.side, block).get() {
            // For `complete`: what was received stays in hand though it is sent on.
            words.kept(self.side).publish(position.wrapping_add(1));
        }
        words.sent(self.side, block).publish(position.wrapping_add(1)); // P2: first; Q1 carries it to the peer
        let _ = self.put(words, block); // P2: second
    }

    /// Does what is left of the dead predecessor's `send` of `block`, which was marked for `position`. A sample that it
    /// had taken (up to `taken`) and sent on goes out and does not come again, unless the dead had kept a reference.
    pub(crate) fn complete<W: Words>(&self, words: &W, block: u32, position: u64, taken: u64) {
        let received = words.sent(self.side.other(), block).observe();
        if words.kept(self.side).get() != position.wrapping_add(1) && received <= taken {
            words.done(self.side, block).publish(received);
        }
    }
}

impl Idle for Pool {
    fn is_idle(&self) -> bool {
        self.held == 0
    }
}
