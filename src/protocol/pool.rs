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
//! | P3 | X: `used` (or `kept`), release, then the `sent` that it is about | who repairs X's side: the same words | no block and no reference that the dead had is overlooked |
//!
//! Q1 (`queue`) carries `sent` to the peer, which sees it with the entry.
//!
//! P2 is why the two loads of [`Pool::is_settled`] stand in that order: the other way round a block that comes back could
//! look free between them.

use crate::error::{Error, Result};
use crate::memory::zeroed::{Table, Zeroable};
use crate::protocol::channel_words::{Block, ChannelWords, Side};
use crate::protocol::gate::Idle;

/// What this process knows of a block.
#[derive(Clone, Copy)]
pub(crate) struct PoolBlock {
    /// What to store as `done` with the last reference.
    got: u64,
    references: u32,
    _padding: u32,
}

// SAFETY: integers.
unsafe impl Zeroable for PoolBlock {}

// SAFETY: integers.
unsafe impl Zeroable for Orphan {}

/// How far ahead of the cursor the blocks are fetched: their lines are with the peer, who has just read them.
const AHEAD: u32 = 8;

/// How many busy blocks an allocation looks at before it takes one that was never used: enough to pass by some that are held
/// for long, few enough to keep the set in use as small as the traffic allows.
const LOOKS: u32 = 16;

/// More references to one block than a program can have meant.
const MOST_REFERENCES: u32 = u32::MAX >> 1;

/// The number of no block.
const NO_BLOCK: u32 = u32::MAX;

/// All blocks, as one side sees them.
pub(crate) struct Pool {
    side: Side,
    /// Blocks at home on each side.
    home: u32,
    /// The first one of the own home.
    first: u32,
    /// A free block that was found and fetched while there was time: it is handed out next. [`NO_BLOCK`]: none.
    ready: u32,
    /// Where to look first: the block that was handed out longest ago. In range 0 ..= `used`.
    cursor: u32,
    /// How many of the own home blocks were ever handed out. In range 0 ..= `home`.
    used: u32,
    /// Blocks that somebody in this process holds.
    held: u32,
    blocks: Table<PoolBlock>,
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
    pub(crate) fn recover<W: ChannelWords>(words: &W, side: Side, home: u32) -> Result<Pool> {
        let used = words.used(side).get().min(u64::from(home)) as u32;
        let blocks = Table::resident(2 * home as usize, "the private state of the blocks")?;
        Ok(Pool { side, home, first: side as u32 * home, ready: NO_BLOCK, cursor: 0, used, held: 0, blocks })
    }

    /// Whose block it is.
    #[inline(always)]
    pub(crate) fn home(&self, block: u32) -> Side {
        if block < self.home { Side::A } else { Side::B }
    }

    /// The blocks that were ever in use, of either home.
    fn ever_used<W: ChannelWords>(&self, words: &W) -> impl Iterator<Item = u32> + use<W> {
        let of = |side: Side| {
            let used = words.used(side).observe().min(u64::from(self.home)) as u32; // P3
            let first = side as u32 * self.home;
            first..first + used
        };
        of(Side::A).chain(of(Side::B))
    }

    /// Blocks that the dead predecessor had marked as sent and not published. At most one, since each is published
    /// before the next is marked.
    pub(crate) fn unpublished<W: ChannelWords>(&self, words: &W, tail: u64) -> Result<Option<u32>> {
        let mut found = None;
        for block in self.ever_used(words) {
            let sent = words.block(block).sent(self.side).get();
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
    pub(crate) fn orphans<'p, W: ChannelWords>(&'p self, words: &'p W, taken: u64) -> impl Iterator<Item = Orphan> + 'p {
        self.ever_used(words).filter_map(move |block| {
            let found = words.block(block);
            let sent = found.sent(self.side.other()).observe(); // Q1: it is taken, so its entry was seen
            (sent <= taken && sent != found.done(self.side).get()).then_some(Orphan { block, _padding: 0, sent })
        })
    }

    /// Whether `block`, which nobody here holds, is free.
    #[inline(always)]
    fn is_settled(side: Side, block: &impl Block) -> bool {
        block.done(side.other()).observe() == block.sent(side).get() // P1, P2: first
            && block.sent(side.other()).observe() == block.done(side).get() // P2: second
    }

    fn is_free<W: ChannelWords>(&self, words: &W, number: u32) -> bool {
        self.blocks[number as usize].references == 0 && Pool::is_settled(self.side, &words.block(number))
    }

    /// Hands out the block that was handed out longest ago, with one reference and an empty header. `None`: it is not free, and
    /// [`Pool::search`] must look for another.
    #[inline(always)]
    pub(crate) fn next<W: ChannelWords>(&mut self, words: &W) -> Option<(u32, W::Block)> {
        let (side, used) = (self.side, self.used);
        let at = if self.cursor < used { self.cursor } else { 0 };
        if at == used {
            return None;
        }
        let number = self.first + at;
        let block = words.block(number);
        words.block(self.first + if at + AHEAD < used { at + AHEAD } else { 0 }).expect();
        let private = self.blocks.get_mut(number as usize)?;
        if private.references != 0 || !Pool::is_settled(side, &block) {
            return None;
        }
        self.cursor = at + 1;
        private.hand_out(side, &block);
        self.held += 1;
        Some((number, block))
    }

    /// Hands out the block that was prepared, if one was.
    #[inline(always)]
    pub(crate) fn prepared<W: ChannelWords>(&mut self, words: &W) -> Option<(u32, W::Block)> {
        let number = self.ready;
        // That of no block is beyond them all.
        let private = self.blocks.get_mut(number as usize)?;
        self.ready = NO_BLOCK;
        if private.references != 0 {
            return None;
        }
        let block = words.block(number);
        private.hand_out(self.side, &block);
        self.held += 1;
        Some((number, block))
    }

    /// Finds the block that will be handed out next and fetches it: what is done while there is time need not be done when there is none. A free block
    /// stays free until its home side hands it out, so it need not be looked at again, but for whether a peer that keeps to no rule has sent it
    /// meanwhile. Who never allocates has none.
    ///
    /// The acquiring loads of P1 and P2 are those made here; whichever thread hands the block out has its turn later, and turns are ordered (`protocol::gate`, G3).
    #[inline(always)]
    pub(crate) fn prepare<W: ChannelWords>(&mut self, words: &W) {
        if self.ready == NO_BLOCK && self.used != 0 {
            self.find_ready(words);
        }
    }

    #[inline(never)]
    fn find_ready<W: ChannelWords>(&mut self, words: &W) {
        let at = if self.cursor < self.used { self.cursor } else { 0 };
        if self.is_free(words, self.first + at) {
            self.ready = self.first + at;
            self.cursor = at + 1;
        } else if let Some(number) = self.find(words, LOOKS) {
            self.ready = number;
        }
        if self.ready != NO_BLOCK {
            words.block(self.ready).expect();
        }
    }

    /// The same where the next one is busy: some further ones, one that was never used, at last all. `None` after each was seen busy.
    #[inline(never)]
    pub(crate) fn search<W: ChannelWords>(&mut self, words: &W) -> Option<(u32, W::Block)> {
        let number = self.find(words, u32::MAX)?;
        let block = words.block(number);
        self.blocks[number as usize].hand_out(self.side, &block);
        self.held += 1;
        Some((number, block))
    }

    /// Looks at the one at the cursor no more, and at no more than `most` others that were used.
    fn find<W: ChannelWords>(&mut self, words: &W, most: u32) -> Option<u32> {
        let first = self.first;
        let most = if self.used < self.home { LOOKS } else { most };
        for step in 1..self.used.min(most) {
            let at = (self.cursor + step) % self.used;
            if self.is_free(words, first + at) {
                self.cursor = at + 1;
                return Some(first + at);
            }
        }
        while self.used < self.home {
            let fresh = first + self.used;
            // The mark comes before the block can be sent: who repairs this side looks at no blocks beyond it.
            self.used += 1;
            words.used(self.side).publish(u64::from(self.used)); // P3
            // A predecessor may have died just after it had raised the mark; a block that was never sent is free, and all zero. Unless the
            // peer keeps to no rule and has sent it, though it was never given it: then it may be in hand here.
            if self.is_free(words, fresh) {
                self.cursor += 1;
                return Some(fresh);
            }
        }
        None
    }

    /// How many blocks of the own home are free. Looks at all.
    pub(crate) fn free<W: ChannelWords>(&self, words: &W) -> u32 {
        (self.first..self.first + self.home).filter(|&block| self.is_free(words, block)).count() as u32
    }

    /// Blocks that somebody in this process holds.
    pub(crate) fn held(&self) -> u32 {
        self.held
    }

    /// Takes `block` into this process, as sent by the peer at position `got - 1`; or says what is wrong with the region. It may
    /// be any number, and anything may lie there: the peer wrote both.
    #[inline(always)]
    pub(crate) fn receive<W: ChannelWords>(
        &mut self,
        words: &W,
        number: u32,
        got: u64,
    ) -> std::result::Result<W::Block, &'static str> {
        let Some(private) = self.blocks.get_mut(number as usize) else {
            return Err("the queue names a block that does not exist: the region is corrupt");
        };
        let block = words.block(number);
        if !block.is_sound() {
            return Err("a sample's length or capacity is not possible: the region is corrupt");
        }
        if private.references == MOST_REFERENCES {
            return Err("the peer sends a block that this side has not given back");
        }
        self.held += u32::from(private.references == 0);
        private.references += 1;
        private.got = got;
        Ok(block)
    }

    /// The block `number` as it is in hand here. `None`: nobody in this process holds it.
    #[inline(always)]
    pub(crate) fn hand<B: Block>(&mut self, number: u32, block: B) -> Option<Hand<'_, B>> {
        let private = self.blocks.get_mut(number as usize)?;
        (private.references != 0).then_some(Hand { side: self.side, block, private, held: &mut self.held })
    }

    /// Whether somebody in this process holds the block `number`.
    pub(crate) fn is_held(&self, number: u32) -> bool {
        self.blocks.get(number as usize).is_some_and(|private| private.references != 0)
    }

    /// Does what is left of the dead predecessor's `send` of `block`, which was marked for `position`. A sample that it
    /// had taken (up to `taken`) and sent on goes out and does not come again, unless the dead had kept a reference.
    pub(crate) fn complete<W: ChannelWords>(&self, words: &W, number: u32, position: u64, taken: u64) {
        let block = words.block(number);
        let received = block.sent(self.side.other()).observe(); // Q1: as in `orphans`
        if words.kept(self.side).get() != position.wrapping_add(1) && received <= taken {
            block.done(self.side).publish(received); // P1
        }
    }
}

/// A block that somebody in this process holds.
pub(crate) struct Hand<'p, B> {
    side: Side,
    block: B,
    private: &'p mut PoolBlock,
    held: &'p mut u32,
}

impl<B: Block> Hand<'_, B> {
    /// Whether the block says something possible.
    #[inline(always)]
    pub(crate) fn is_sound(&self) -> bool {
        self.block.is_sound()
    }

    /// Whether the peer has been done with the block since this side sent it last.
    #[inline(always)]
    pub(crate) fn is_back(&self) -> bool {
        self.block.done(self.side.other()).observe() == self.block.sent(self.side).get() // P1
    }

    /// Marks the block as sent at `position` and gives up a reference to it. The entry must follow.
    #[inline(always)]
    pub(crate) fn send<W: ChannelWords>(self, words: &W, position: u64) {
        if self.private.references > 1 && self.private.got != self.block.done(self.side).get() {
            // For `complete`: what was received stays in hand though it is sent on.
            words.kept(self.side).publish(position.wrapping_add(1)); // P3
        }
        self.block.sent(self.side).publish(position.wrapping_add(1)); // P2: first; Q1 carries it to the peer
        self.put(); // P2: second
    }

    /// One reference less; how many are left.
    #[inline(always)]
    pub(crate) fn put(self) -> u32 {
        let left = self.private.references - 1;
        self.private.references = left;
        if left == 0 {
            *self.held -= 1;
            self.block.done(self.side).publish(self.private.got); // P1
        }
        left
    }

    /// The same without a store to shared memory: for a process that has lost its side.
    pub(crate) fn drop_reference(self) -> u32 {
        self.private.references -= 1;
        *self.held -= u32::from(self.private.references == 0);
        self.private.references
    }

    /// One reference more; how many there are then. 0: no more can be counted.
    pub(crate) fn get(self) -> u32 {
        if self.private.references == MOST_REFERENCES {
            return 0;
        }
        self.private.references += 1;
        self.private.references
    }
}

impl PoolBlock {
    /// A free block of the own home, with one reference and an empty header.
    #[inline(always)]
    fn hand_out(&mut self, side: Side, block: &impl Block) {
        self.references = 1;
        self.got = block.done(side).get();
        block.reset();
    }
}

impl Idle for Pool {
    fn is_idle(&self) -> bool {
        self.held == 0
    }
}
