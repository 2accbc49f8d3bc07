//! The life of a block.
//!
//! Each block has a home side, and only that side hands it out. Its header has four positions, each
//! with one writer. `sent` by X is 1 + the position in X's queue at which X last sent the block.
//! `done` by X is the other side's `sent` up to which X is done with the block. So a block is free
//! when neither side owes anything (Y is done with all that X sent, X with all that Y sent) and
//! this process holds no reference. These are positions, not counts, so a repair can store the same
//! number again.
//!
//! The references within a process, and `got`, the position at which a held block was received, are
//! private to the process.
//!
//! | edge | stores | loads | what it carries |
//! |---|---|---|---|
//! | P1 | Y: `done`, release, after its last use of the block | X asks whether it is free: `done` by Y, acquire | Y's use of the block comes before X's next |
//! | P2 | Y, echoing: `sent` by Y, then `done` by Y | X: `done` by Y, then `sent` by Y | if X sees that Y is done, X sees that Y has sent it back |
//! | P3 | X: `used` (or `kept`), release, then the `sent` that it is about | X's successor, in a repair: the same words | the repair overlooks no block and no reference that the dead had |
//!
//! Q1 (`queue`) carries `sent` to the peer, which sees it with the entry.
//!
//! P2 fixes the order of the two loads in [`Pool::settled`]: in the other order, a block that
//! comes back could look free between them.

use crate::error::{Error, Result};
use crate::memory::zeroed::{Table, Zeroable};
use crate::protocol::channel_words::{Block, ChannelWords, Side};
use crate::protocol::gate::Idle;
use crate::protocol::half::Sizes;
use crate::protocol::hand::{Holding, PoolBlock};

// SAFETY: integers.
unsafe impl Zeroable for Orphan {}

/// How far ahead of the cursor blocks are prefetched: the peer has just read them, so their lines
/// are in its cache. Not while the cursor follows close behind the peer (`Pool::close`), whose lines
/// this would take while it still reads them.
const AHEAD: u32 = 8;

/// How many busy blocks an allocation looks at before it takes one that was never used. This is
/// enough to pass over blocks that are held for long, and few enough to keep the working set as
/// small as the traffic allows.
const LOOKS: u32 = 16;

/// The number of no block.
const NO_BLOCK: u32 = u32::MAX;

/// All blocks, as one side sees them.
pub(crate) struct Pool {
    side: Side,
    /// Blocks at home on each side.
    home: u32,
    /// The first block of the own home.
    first: u32,
    /// A free block that was found and prefetched in idle time, to be handed out next.
    /// [`NO_BLOCK`]: none.
    ready: u32,
    /// Where to look first: the block that was handed out longest ago. In range 0 ..= `used`.
    cursor: u32,
    /// How many of the own home blocks have ever been handed out. In range 0 ..= `home`.
    used: u32,
    /// `used`, if the block at the cursor has rested, as all before it were handed out in line. Else
    /// 0, so that the fast path finds none.
    ready_made: u32,
    /// How many others are handed out before a block is handed out again, while some were never
    /// used.
    history: u32,
    /// Counts hand-outs by the slow path while blocks must rest; wraps.
    turn: u32,
    /// How many of them in a row went to the block at the cursor.
    in_line: u32,
    /// Hand-outs until blocks are prefetched again: one round after all were in use and the next one
    /// was busy.
    close: u32,
    /// Blocks to which this process holds references.
    held: u32,
    blocks: Table<PoolBlock>,
}

/// A block that the dead predecessor held.
#[derive(Clone, Copy)]
pub(crate) struct Orphan {
    pub(crate) block: u32,
    _padding: u32,
    /// The other side's `sent`, which gives the order in which the blocks came.
    pub(crate) sent: u64,
}

impl Pool {
    /// The pool as `side` finds it; this process holds no block.
    pub(crate) fn recover<W: ChannelWords>(words: &W, side: Side, sizes: Sizes) -> Result<Pool> {
        let Sizes { home_blocks: home, history, .. } = sizes;
        let used = words.used(side).get().min(u64::from(home)) as u32;
        let blocks = Table::resident(2 * home as usize, "the private state of the blocks")?;
        // In which order the predecessor used them is not known: all have rested.
        let turn = history;
        let first = side as u32 * home;
        let mut pool = Pool {
            side,
            home,
            first,
            ready: NO_BLOCK,
            cursor: 0,
            used,
            ready_made: 0,
            history,
            turn,
            in_line: 0,
            close: 0,
            held: 0,
            blocks,
        };
        pool.set_ready_made();
        Ok(pool)
    }

    /// Whether a block must rest before it is handed out again: while there are others that were
    /// never used.
    fn must_rest(&self) -> bool {
        self.history != 0 && self.used < self.home
    }

    fn set_ready_made(&mut self) {
        self.ready_made = if self.must_rest() { 0 } else { self.used };
    }

    /// The home side of `block`.
    #[inline(always)]
    pub(crate) fn home(&self, block: u32) -> Side {
        if block < self.home { Side::A } else { Side::B }
    }

    /// The blocks of both homes that have ever been used.
    fn ever_used<W: ChannelWords>(&self, words: &W) -> impl Iterator<Item = u32> + use<W> {
        let of = |side: Side| {
            let used = words.used(side).observe().min(u64::from(self.home)) as u32; // P3
            let first = side as u32 * self.home;
            first..first + used
        };
        of(Side::A).chain(of(Side::B))
    }

    /// The block that the dead predecessor had marked as sent and not published. At most one,
    /// because a side publishes each block before it marks the next.
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

    /// Blocks that the dead predecessor had taken and not put: the peer sent them, their position
    /// is below `taken`, and this side is not done with them.
    pub(crate) fn orphans<'p, W: ChannelWords>(&'p self, words: &'p W, taken: u64) -> impl Iterator<Item = Orphan> + 'p {
        self.ever_used(words).filter_map(move |block| {
            let found = words.block(block);
            let sent = found.sent(self.side.other()).observe(); // Q1: it is taken, so its entry was seen
            (sent <= taken && sent != found.done(self.side).get()).then_some(Orphan { block, _padding: 0, sent })
        })
    }

    /// `sent` by this side and by the other, if `block`, to which this process holds no reference, is
    /// free.
    #[inline(always)]
    fn settled(side: Side, block: &impl Block) -> Option<(u64, u64)> {
        let own = block.sent(side).get();
        let is_back = block.done(side.other()).observe() == own; // P1, P2: first
        let other = block.done(side).get();
        (is_back && block.sent(side.other()).observe() == other).then_some((own, other)) // P2: second
    }

    fn is_free<W: ChannelWords>(&self, words: &W, number: u32) -> bool {
        self.blocks[number as usize].references == 0 && Pool::settled(self.side, &words.block(number)).is_some()
    }

    /// Hands out up to `most` blocks, each with one reference and an empty header: those that were
    /// handed out longest ago, up to the first that is not free; returns how many. If fewer, call
    /// [`Pool::search`].
    #[inline(always)]
    pub(crate) fn next<W: ChannelWords>(&mut self, words: &W, most: usize, mut give: impl FnMut(usize, u32, W::Block)) -> usize {
        // Copies, kept in registers: fields of `self` would be loaded again after each store to
        // shared memory.
        let (side, first, used, is_close) = (self.side, self.first, self.ready_made, self.close != 0);
        let mut at = self.cursor;
        let mut count = 0;
        let blocks = &mut self.blocks[..];
        while count < most {
            at = if at < used { at } else { 0 };
            if at == used {
                break;
            }
            let number = first + at;
            let block = words.block(number);
            if !is_close {
                words.block(first + if at + AHEAD < used { at + AHEAD } else { 0 }).expect();
            }
            let Some(private) = blocks.get_mut(number as usize) else { break };
            if private.references != 0 {
                break;
            }
            let Some((sent, other)) = Pool::settled(side, &block) else { break };
            private.hand_out(&block, sent, other);
            at += 1;
            give(count, number, block);
            count += 1;
        }
        self.close = self.close.saturating_sub(count as u32);
        if count > 0 {
            self.cursor = at;
            self.held += count as u32;
        }
        count
    }

    /// Hands out the block that was prepared, if one was.
    #[inline(always)]
    pub(crate) fn prepared<W: ChannelWords>(&mut self, words: &W) -> Option<(u32, W::Block)> {
        let number = self.ready;
        // `NO_BLOCK` is beyond the end of the table.
        let private = self.blocks.get_mut(number as usize)?;
        self.ready = NO_BLOCK;
        if private.references != 0 {
            return None;
        }
        let block = words.block(number);
        private.hand_out(&block, block.sent(self.side).get(), block.done(self.side).get());
        self.held += 1;
        Some((number, block))
    }

    /// Finds and prefetches the block that will be handed out next, in idle time, so that the next
    /// allocation need not. A free block stays free until its home side hands it out, so only its
    /// references are checked again: a peer that breaks the rules may have sent it meanwhile. A
    /// process that never allocates prepares none.
    ///
    /// The acquiring loads of P1 and P2 are made here. The thread that hands the block out has a
    /// later turn, and turns are ordered (`protocol::gate`, G3).
    #[inline(always)]
    pub(crate) fn prepare<W: ChannelWords>(&mut self, words: &W) {
        if self.ready == NO_BLOCK && self.used != 0 {
            self.find_ready(words);
        }
    }

    #[inline(never)]
    fn find_ready<W: ChannelWords>(&mut self, words: &W) {
        let at = if self.cursor < self.used { self.cursor } else { 0 };
        if self.ready_made != 0 && self.is_free(words, self.first + at) {
            self.ready = self.first + at;
            self.cursor = at + 1;
        } else if let Some(number) = self.find(words, LOOKS) {
            self.ready = number;
        }
        if self.ready != NO_BLOCK {
            words.block(self.ready).expect();
        }
    }

    /// Hands out another block when the next one is busy: first it tries some further ones, then
    /// one that was never used, at last all. `None` if each was seen busy.
    #[inline(never)]
    pub(crate) fn search<W: ChannelWords>(&mut self, words: &W) -> Option<(u32, W::Block)> {
        if self.used == self.home {
            self.close = self.used;
        }
        let number = self.find(words, u32::MAX)?;
        let block = words.block(number);
        self.blocks[number as usize].hand_out(&block, block.sent(self.side).get(), block.done(self.side).get());
        self.held += 1;
        Some((number, block))
    }

    /// Looks at up to `most` used blocks after the one at the cursor, then at those never used. The
    /// one at the cursor is busy, unless blocks must rest: then nobody has looked at it.
    fn find<W: ChannelWords>(&mut self, words: &W, most: u32) -> Option<u32> {
        if !self.must_rest() {
            return self.find_used(words, most).or_else(|| self.find_fresh(words));
        }
        if self.ready_made != 0 {
            self.note_turns();
        }
        let cursor = self.cursor;
        let number = self.find_used(words, most).or_else(|| self.find_fresh(words))?;
        self.turn = self.turn.wrapping_add(1);
        self.blocks[number as usize].turn = self.turn;
        let is_in_line = number - self.first == if cursor < self.used { cursor } else { 0 };
        self.in_line = if is_in_line { self.in_line.saturating_add(1) } else { 0 };
        if self.used > self.history && self.in_line >= self.used {
            // Each is followed by all others, until one is passed by.
            self.ready_made = self.used;
        }
        Some(number)
    }

    /// Ends a time in which the fast path handed out all blocks in line.
    fn note_turns(&mut self) {
        for at in 0..self.used {
            let ago = (self.cursor + self.used - 1 - at) % self.used;
            self.blocks[(self.first + at) as usize].turn = self.turn.wrapping_sub(ago);
        }
        (self.ready_made, self.in_line) = (0, 0);
    }

    fn find_used<W: ChannelWords>(&mut self, words: &W, most: u32) -> Option<u32> {
        let must_rest = self.must_rest();
        let most = if self.used < self.home { LOOKS } else { most };
        for step in u32::from(!must_rest)..self.used.min(most) {
            let at = (self.cursor + step) % self.used;
            let number = self.first + at;
            let has_rested = !must_rest || self.turn.wrapping_sub(self.blocks[number as usize].turn) >= self.history;
            if has_rested && self.is_free(words, number) {
                self.cursor = at + 1;
                if must_rest {
                    words.block(self.first + if at + AHEAD < self.used { at + AHEAD } else { 0 }).expect();
                }
                return Some(number);
            }
        }
        None
    }

    fn find_fresh<W: ChannelWords>(&mut self, words: &W) -> Option<u32> {
        let first = self.first;
        while self.used < self.home {
            let fresh = first + self.used;
            // The mark is raised before the block can be sent: a repair of this side looks at no
            // block beyond the mark.
            self.used += 1;
            self.set_ready_made();
            words.used(self.side).publish(u64::from(self.used)); // P3
            // A predecessor may have died just after it raised the mark; a block that was never
            // sent is free, and all zero. It is busy only if a peer that breaks the rules has sent
            // it without having received it: then this process may hold it.
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

    /// Blocks to which this process holds references.
    pub(crate) fn held(&self) -> u32 {
        self.held
    }

    /// Of these, blocks of the own home. Looks at all.
    pub(crate) fn held_own(&self) -> u32 {
        let own = self.first as usize..(self.first + self.home) as usize;
        self.blocks[own].iter().filter(|block| block.references > 0).count() as u32
    }

    /// The blocks that this process holds, to take, send and put some.
    #[inline(always)]
    pub(crate) fn hold(&mut self) -> Holding<'_> {
        Holding { side: self.side, held: self.held, blocks: &mut self.blocks, total: &mut self.held }
    }

    /// Whether this process holds the block `number`.
    pub(crate) fn is_held(&self, number: u32) -> bool {
        self.blocks.get(number as usize).is_some_and(|private| private.references != 0)
    }

    /// Completes the dead predecessor's `send` of `block`, which was marked for `position`. A
    /// sample that it had taken (up to `taken`) and sent on is not delivered again, unless the
    /// predecessor had kept a reference.
    pub(crate) fn complete<W: ChannelWords>(&self, words: &W, number: u32, position: u64, taken: u64) {
        let block = words.block(number);
        let received = block.sent(self.side.other()).observe(); // Q1: as in `orphans`
        if words.kept(self.side).get() != position.wrapping_add(1) && received <= taken {
            block.done(self.side).publish(received); // P1
        }
    }
}

impl Idle for Pool {
    fn is_idle(&self) -> bool {
        self.held == 0
    }
}
