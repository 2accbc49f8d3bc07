//! The words of a channel that both sides see, as the protocol accesses them: in a region, or in a
//! model.

use crate::protocol::atomics::{self, Shared32, Shared64};
use crate::protocol::doorbell::Doorbell;
use crate::sys::Slept;
use std::time::Duration;

/// One of the two ends of a channel.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Side {
    /// The node side, which creates the region.
    A = 0,
    /// The program side, which opens it.
    B = 1,
}

impl Side {
    pub(crate) fn other(self) -> Side {
        match self {
            Side::A => Side::B,
            Side::B => Side::A,
        }
    }
}

/// The two reasons for which a thread of a side sleeps; each has a futex word.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum ChannelBell {
    /// A sample has come, or a peer.
    Data = 0,
    /// The peer has taken samples, or a block has become free.
    Room = 1,
}

/// The words of a block that both sides see. Each position has one writer: the side named in the
/// call.
pub(crate) trait Block {
    /// 1 + the position at which `side` last sent the block; 0 never.
    fn sent(&self, side: Side) -> &Shared64;
    /// The other side's `sent` up to which `side` is done with the block.
    fn done(&self, side: Side) -> &Shared64;
    /// What its home side knew when it handed the block out, for taps (`tap::tag`).
    fn tag(&self) -> &Shared32;
    /// A hint that the block will be written soon.
    fn expect(&self);
    /// Resets the header to that of an empty sample.
    fn reset(&self);
    /// Whether the header names no more values than the block has.
    fn is_sound(&self) -> bool;
    /// Adds a flag to the sample.
    fn mark(&self, flag: i32);
}

/// The words of a channel that both sides see. Each word except the bells has one writer: the side
/// named in the call.
pub(crate) trait ChannelWords {
    /// A block, as this process accesses it.
    type Block: Block;
    /// The block `number`, which must be below the number of blocks.
    fn block(&self, number: u32) -> Self::Block;
    /// The block that begins at `address`, and its number; `None` if none does. `address` may be
    /// any.
    fn block_at(&self, address: usize) -> Option<(u32, Self::Block)>;
    /// The entry `index` of the queue that `from` writes: block number `<< 1 |` phase.
    fn entry(&self, from: Side, index: u32) -> &Shared32;
    /// The position up to which `side` has taken samples from the queue that it reads.
    fn taken(&self, side: Side) -> &Shared64;
    /// How many of its home blocks `side` has ever handed out.
    fn used(&self, side: Side) -> &Shared64;
    /// 1 + the position of the last sample that `side` sent on while it kept a reference; 0 none.
    fn kept(&self, side: Side) -> &Shared64;
    /// The futex word on which threads of `side` sleep.
    fn bell(&self, side: Side, bell: ChannelBell) -> &Shared32;
    /// As [`atomics::light_fence`].
    #[inline(always)]
    fn light_fence(&self) {
        atomics::light_fence();
    }
    /// Counts a sample that is redelivered to `side`.
    fn count_redelivered(&self, _side: Side) {}
    /// Sleeps while `bell` has the value `seen`, at most for `slice`.
    fn sleep(&self, side: Side, bell: ChannelBell, seen: u32, slice: Duration) -> Slept;
    /// Wakes all threads that sleep on `side`'s `bell`, on behalf of `by`.
    fn wake(&self, by: Side, side: Side, bell: ChannelBell);
    /// `side`'s `bell`, for `by` to notify or sleep on.
    #[inline(always)]
    fn doorbell(&self, by: Side, side: Side, bell: ChannelBell) -> ChannelDoorbell<'_, Self>
    where
        Self: Sized,
    {
        ChannelDoorbell { words: self, by, side, bell }
    }
}

/// A bell of one side, and the side that uses it.
pub(crate) struct ChannelDoorbell<'w, W> {
    words: &'w W,
    by: Side,
    side: Side,
    bell: ChannelBell,
}

impl<W: ChannelWords> Doorbell for ChannelDoorbell<'_, W> {
    #[inline(always)]
    fn light_fence(&self) {
        self.words.light_fence();
    }
    #[inline(always)]
    fn word(&self) -> &Shared32 {
        self.words.bell(self.side, self.bell)
    }
    fn is_sole_notifier(&self) -> bool {
        self.by != self.side
    }
    fn sleep(&self, seen: u32, slice: Duration) -> Slept {
        self.words.sleep(self.side, self.bell, seen, slice)
    }
    fn wake(&self) {
        self.words.wake(self.by, self.side, self.bell);
    }
}
