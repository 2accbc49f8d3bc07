//! A region of the wire layout, as this process uses it: takes blocks from its queues and gives
//! them back, and counts references.
//!
//! All of that is done in runs (`protocol::bounded`). Free blocks are taken ahead of their use and
//! given back some at a time, so that calls with one sample, too, share the work of a run.

use crate::error::{Error, Result};
use crate::layout::sample::Raw;
use crate::layout::wire::{Which, WireView};
use crate::memory::zeroed::{Table, Zeroable};
use crate::protocol::bounded::{ATTEMPTS, Seen, claim_full, claim_seen, give_up, push_all, see_empty, skip_unfilled};
use crate::protocol::channel_words::Block;
use std::ops::Range;

/// The most cells that are claimed at once.
const RUN: usize = 64;
/// The most blocks that are taken from the pool ahead of their use.
const MOST_AHEAD: usize = 16;
/// Of the pool's blocks, one in so many may be taken ahead: another program may allocate in the same
/// region.
const SHARE_AHEAD: usize = 8;
/// The most blocks that are put before they go back to their pool in a run: meanwhile it lacks them.
const MOST_PUT: usize = 16;
/// Of the pool's blocks, one in so many may be put and not given back.
const SHARE_PUT: usize = 8;
/// How many blocks ahead of their use the memory of a block is fetched.
const EXPECTED: usize = 4;

/// What this process knows of a block.
#[derive(Clone, Copy)]
struct WireBlock {
    /// References within this process.
    references: u32,
    /// This process's references in the region. For a block that this process does not hold:
    /// [`SENT`], or 0.
    shares: u32,
}

/// This side has sent the block and has not handed it out again.
const SENT: u32 = u32::MAX;
/// The most references to a block within this process.
const MOST_REFERENCES: u32 = u32::MAX >> 1;

// SAFETY: integers.
unsafe impl Zeroable for WireBlock {}

/// See the module's description.
pub(super) struct WireRegion {
    pub(super) view: WireView,
    blocks: Table<WireBlock>,
    /// Blocks to which this process holds references.
    held: u32,
    /// The blocks of the run at hand.
    run: Table<u32>,
    /// How many of them wait for a cell.
    staged: usize,
    /// Free blocks that were taken from the pool, and which of them are still to be handed out.
    stash: Table<u32>,
    ahead: Range<usize>,
    /// Free blocks that go back to the pool together, and how many.
    free: Table<u32>,
    freed: usize,
}

impl WireRegion {
    pub(super) fn new(view: WireView) -> Result<WireRegion> {
        let blocks = Table::resident(view.facts().blocks as usize, "the private state of the blocks")?;
        // Not in the struct itself, which would pass through the stack of small threads.
        let list = || Table::resident(RUN, "the lists of blocks");
        Ok(WireRegion { view, blocks, held: 0, run: list()?, staged: 0, stash: list()?, ahead: 0..0, free: list()?, freed: 0 })
    }

    pub(super) fn held(&self) -> u32 {
        self.held
    }

    #[inline(always)]
    pub(super) fn is_held(&self, block: u32) -> bool {
        self.blocks[block as usize].references != 0
    }

    /// Whether this side has sent the block and neither holds it nor has handed it out again.
    pub(super) fn is_sent(&self, block: u32) -> bool {
        let WireBlock { references, shares } = self.blocks[block as usize];
        references == 0 && shares == SENT
    }

    /// Whether a block's header is possible. `capacity`: also check that its capacity is unchanged.
    #[inline(always)]
    pub(super) fn is_sound(&self, block: u32, capacity: bool) -> bool {
        let header = self.view.blocks().header(block);
        let most = self.view.facts().capacity();
        header.length.get() <= most && (!capacity || header.capacity.get() == most)
    }

    pub(super) fn get(&mut self, block: u32) -> u32 {
        let private = &mut self.blocks[block as usize];
        if private.references == 0 || private.references >= MOST_REFERENCES {
            return 0;
        }
        private.references += 1;
        private.references
    }

    /// Hands out a free block. `wanted`: how many the call wants, from this one on.
    #[inline(always)]
    pub(super) fn alloc(&mut self, wanted: usize) -> Option<u32> {
        // More than one attempt only if the peer gives back what is held here.
        for _ in 0..ATTEMPTS {
            if self.ahead.is_empty() {
                self.take_ahead(wanted)?;
            }
            let block = self.stash[self.ahead.start];
            if let Some(&later) = self.stash[..self.ahead.end].get(self.ahead.start + EXPECTED) {
                self.view.blocks().raw(later).expect();
            }
            self.ahead.start += 1;
            if !self.is_held(block) {
                self.view.blocks().raw(block).reset();
                self.view.references(block).set(1);
                self.blocks[block as usize] = WireBlock { references: 1, shares: 1 };
                self.held += 1;
                return Some(block);
            }
        }
        None
    }

    /// Takes blocks from the pool: those that are wanted, or some more. While they are handed out,
    /// this side stays away from the cells that the peer fills.
    #[inline(always)]
    fn take_ahead(&mut self, wanted: usize) -> Option<()> {
        let WireRegion { view, stash, .. } = self;
        let free = view.ends(Which::Free);
        let most = wanted.max(MOST_AHEAD.min(view.facts().blocks as usize / SHARE_AHEAD)).min(RUN);
        // Corruption here is in this side's own region, so the peer caused it: treat the pool as
        // empty.
        let claimed = claim_full(&free, most, |at, data| {
            let Some(block) = view.block_of(Which::Free, data) else { return false };
            stash[at] = block;
            true
        })?;
        self.ahead = 0..claimed.count();
        claimed.empty(&free);
        for &block in self.stash[self.ahead.clone()].iter().take(EXPECTED) {
            view.blocks().raw(block).expect();
        }
        Some(())
    }

    /// How many free blocks the pool lacks: they were taken and not handed out, or put and not given
    /// back.
    pub(super) fn kept(&self) -> usize {
        self.ahead.len() + self.freed
    }

    /// Receives up to `most` samples. `last`: the other user is dead and will never fill a cell
    /// that it has claimed. Returns an error only if it concerns the first one.
    #[inline(always)]
    pub(super) fn receive(&mut self, most: usize, last: bool, mut give: impl FnMut(usize, Raw)) -> Result<usize> {
        let mut given = 0;
        // A peer that claims cell after cell without an end must not keep this call.
        let mut skips = if last { ATTEMPTS } else { 0 };
        while given < most {
            let wanted = RUN.min(most - given);
            let taken = match self.take_samples(wanted) {
                Ok(taken) => taken,
                Err(e) if given == 0 => return Err(e),
                Err(_) => break,
            };
            for at in 0..taken {
                let block = self.run[at];
                let private = &mut self.blocks[block as usize];
                if private.references == 0 {
                    self.held += 1;
                    private.shares = 0;
                }
                private.references += 1;
                private.shares += 1;
                give(given, self.view.blocks().raw(block));
                given += 1;
            }
            if taken < wanted {
                if skips == 0 || !skip_unfilled(&self.view.ends(Which::Samples)) {
                    break;
                }
                skips -= 1;
            }
        }
        Ok(given)
    }

    /// Takes up to `most` samples of the queue into the run at hand; returns how many. A sample
    /// that cannot be received is taken alone, and lost.
    #[inline(always)]
    fn take_samples(&mut self, most: usize) -> Result<usize> {
        let WireRegion { view, blocks, run, .. } = self;
        let samples = view.ends(Which::Samples);
        let (capacity, mut wrong) = (view.facts().capacity(), None);
        let claimed = claim_full(&samples, most, |at, data| {
            if at == 0 {
                wrong = None;
            }
            let Some(block) = view.block_of(Which::Samples, data) else {
                if at == 0 {
                    wrong = Some(("a queue names a block that does not exist: the region is corrupt", false));
                }
                return false;
            };
            let raw = view.blocks().raw(block);
            raw.expect();
            run[at] = block;
            if raw.header().length.get() <= capacity && blocks[block as usize].references < MOST_REFERENCES {
                return wrong.is_none();
            }
            if at == 0 {
                let why = "the peer sends a sample of impossible length, or one that this side has not given back";
                wrong = Some((why, true));
            }
            at == 0
        });
        let count = claimed.map_or(0, |claimed| {
            let count = claimed.count();
            claimed.empty(&samples);
            count
        });
        match wrong {
            // Another may have taken the sample that was wrong.
            Some((why, is_taken)) if !is_taken || count > 0 => Err(Error::corrupt(why)),
            _ => Ok(count),
        }
    }

    /// Prepares a block that this process holds for being sent, and gives up one reference to it.
    /// It is in the run at hand then: [`WireRegion::send`] must follow before the turn ends.
    #[inline(always)]
    pub(super) fn stage(&mut self, block: u32) {
        // The references and the contents must be right before the peer can see the block.
        let private = &mut self.blocks[block as usize];
        let more = if private.references > 1 { 1 } else { 1u32.wrapping_sub(private.shares) };
        self.view.complete(block);
        if more != 0 {
            self.view.references(block).add(more); // V4
        }
        private.references -= 1;
        if private.references == 0 {
            private.shares = SENT;
            self.held -= 1;
        }
        self.run[self.staged] = block;
        self.staged += 1;
    }

    /// Takes a staged block back.
    fn unstage(&mut self, block: u32) {
        let private = &mut self.blocks[block as usize];
        if private.references == 0 {
            private.shares = 1;
            self.held += 1;
        } else {
            self.view.references(block).add(u32::MAX); // V4
        }
        private.references += 1;
    }

    /// The room in the queue for up to `most` blocks, of which so many may be staged.
    #[inline(always)]
    pub(super) fn room(&self, most: usize) -> Seen {
        see_empty(&self.view.ends(Which::Samples), most.min(RUN))
    }

    /// Sends the staged blocks into the room that was seen; returns how many. Fewer: another writer
    /// took the room, and this process holds the others again.
    #[inline(always)]
    pub(super) fn send(&mut self, room: Seen) -> usize {
        let samples = self.view.ends(Which::Samples);
        let staged = std::mem::take(&mut self.staged);
        let mut sent = 0;
        if let Some(claimed) = claim_seen(&samples, room, staged) {
            let run = &self.run[..claimed.count()];
            sent = run.len();
            claimed.fill(&samples, |at| self.view.data_of(Which::Samples, run[at]));
        }
        for at in sent..staged {
            self.unstage(self.run[at]);
        }
        sent
    }

    /// Gives up a reference; returns how many are left, and whether the block is free then: with the
    /// last reference, unless another process holds it.
    #[inline(always)]
    fn drop_one(&mut self, block: u32) -> Option<(u32, bool)> {
        let private = &mut self.blocks[block as usize];
        private.references = private.references.checked_sub(1)?;
        if private.references > 0 {
            return Some((private.references, false));
        }
        self.held -= 1;
        let shares = std::mem::take(&mut private.shares);
        Some((0, give_up(self.view.references(block), shares)))
    }

    /// Gives up a reference; returns how many are left. A block that is free then goes back to its
    /// pool with others, in a run; the caller sees to it that no peer waits for the rest of them
    /// (`Wire::keep_if_more`).
    #[inline(always)]
    pub(super) fn put(&mut self, block: u32) -> Option<u32> {
        let (left, is_free) = self.drop_one(block)?;
        if is_free {
            self.free[self.freed] = block;
            self.freed += 1;
            if self.freed >= MOST_PUT.min(self.view.facts().blocks as usize / SHARE_PUT) {
                self.give_back();
            }
        }
        Some(left)
    }

    /// Whether blocks that were put are not back in their pool.
    #[inline(always)]
    pub(super) fn has_freed(&self) -> bool {
        self.freed > 0
    }

    /// Gives the blocks that were put back to their pool; returns how many. If it has no room, it is
    /// corrupt, and they are lost.
    #[inline(never)]
    pub(super) fn give_back(&mut self) -> usize {
        let freed = std::mem::take(&mut self.freed);
        let view = &self.view;
        push_all(
            || view.ends(Which::Free),
            &self.free[..freed],
            |block| {
                view.references(block).set(0);
                view.data_of(Which::Free, block)
            },
        );
        freed
    }
}

#[cfg(test)]
#[path = "../../tests/unit/channel/wire/region.rs"]
mod tests;
