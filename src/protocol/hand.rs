//! The blocks in a process's hands: its references to them, and what it may do with each.
//!
//! The edges are those of `pool`.

use crate::memory::zeroed::Zeroable;
use crate::protocol::atomics;
use crate::protocol::channel_words::{Block, ChannelWords, Side};
use crate::protocol::tap;

/// What this process knows of a block.
#[derive(Clone, Copy)]
pub(crate) struct PoolBlock {
    /// The value to store as `done` with the last reference.
    pub(super) got: u64,
    pub(super) references: u32,
    /// The hand-out of a block of the own home that was this block's last one (`Pool::turn`).
    pub(super) turn: u32,
}

// SAFETY: integers.
unsafe impl Zeroable for PoolBlock {}

/// A count of references that no correct program reaches.
const MOST_REFERENCES: u32 = u32::MAX >> 1;

/// The blocks that this process holds. Their number is kept here, in a register, until this goes.
pub(crate) struct Holding<'p> {
    pub(super) side: Side,
    pub(super) blocks: &'p mut [PoolBlock],
    pub(super) held: u32,
    pub(super) total: &'p mut u32,
}

impl Drop for Holding<'_> {
    #[inline(always)]
    fn drop(&mut self) {
        *self.total = self.held;
    }
}

impl Holding<'_> {
    /// Takes `block`, sent by the peer at position `got - 1`, into this process, or says what is
    /// wrong with the region. The peer wrote the number and the block, so both can be anything.
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

    /// The block `number` as this process holds it; `None` if it holds no reference.
    #[inline(always)]
    pub(crate) fn hand<B: Block>(&mut self, number: u32, block: B) -> Option<Hand<'_, B>> {
        let private = self.blocks.get_mut(number as usize)?;
        (private.references != 0).then_some(Hand { side: self.side, block, private, held: &mut self.held })
    }
}

/// A block that this process holds.
pub(crate) struct Hand<'p, B> {
    side: Side,
    block: B,
    private: &'p mut PoolBlock,
    held: &'p mut u32,
}

impl<B: Block> Hand<'_, B> {
    /// Whether the block's header is possible.
    #[inline(always)]
    pub(crate) fn is_sound(&self) -> bool {
        self.block.is_sound()
    }

    /// Whether the peer is done with the block since this side last sent it.
    #[inline(always)]
    pub(crate) fn is_back(&self) -> bool {
        self.block.done(self.side.other()).observe() == self.block.sent(self.side).get() // P1
    }

    /// Marks the block as sent at `position` and gives up a reference to it. The caller must
    /// publish the entry next.
    #[inline(always)]
    pub(crate) fn send<W: ChannelWords>(self, words: &W, position: u64) {
        if self.private.references > 1 && self.private.got != self.block.done(self.side).get() {
            // For `complete`: a received block stays held although it is sent on.
            words.kept(self.side).publish(position.wrapping_add(1)); // P3
        }
        self.block.sent(self.side).publish(position.wrapping_add(1)); // P2: first; Q1 carries it to the peer
        self.put(); // P2: second
    }

    /// Gives up a reference; returns how many are left.
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

    /// Gives up a reference without a store to shared memory, for a process that has lost its side;
    /// returns how many are left.
    pub(crate) fn drop_reference(self) -> u32 {
        self.private.references -= 1;
        *self.held -= u32::from(self.private.references == 0);
        self.private.references
    }

    /// Adds a reference; returns how many there are. 0: no more can be counted.
    pub(crate) fn get(self) -> u32 {
        if self.private.references == MOST_REFERENCES {
            return 0;
        }
        self.private.references += 1;
        self.private.references
    }
}

impl PoolBlock {
    /// Prepares a free block of the own home for its user: one reference, the tag, an empty header.
    /// This side has sent it up to `own`, and is done with what the other has sent, `other`.
    #[inline(always)]
    pub(super) fn hand_out(&mut self, block: &impl Block, own: u64, other: u64) {
        self.references = 1;
        self.got = other;
        block.tag().publish(tap::tag(own, other)); // T1
        atomics::light_store_fence(); // T1
        block.reset();
    }
}
