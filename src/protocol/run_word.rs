//! The word of a slot of a ring with many producers or consumers, and the indices of such a ring.

use super::ring_words::broken;
use crate::error::Result;

/// Owners are numbered below this.
pub(crate) const MAX_OWNERS: u32 = 1 << OWNER_BITS;
/// The most slots of a run.
pub(crate) const MAX_RUN: u32 = 1 << RUN_BITS;
const OWNER_BITS: u32 = 9;
const STATE_BITS: u32 = 3;
const RUN_BITS: u32 = 6;
const RUN_AT: u32 = OWNER_BITS + STATE_BITS;
const LAP_AT: u32 = RUN_AT + RUN_BITS;
const LAP_MASK: u64 = (1 << (64 - LAP_AT)) - 1;

pub(super) const EMPTY: u64 = 0;
pub(super) const CLAIMED: u64 = 1;
pub(super) const FULL: u64 = 2;
pub(super) const SKIP: u64 = 3;
pub(super) const TAKEN: u64 = 4;

/// A slot's word: lap, slots of the run less one, state, owner. Zero is EMPTY(0), a run of one.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) struct Word(pub(super) u64);

impl Word {
    /// `run` is 1 to [`MAX_RUN`].
    #[inline(always)]
    pub(super) fn new(lap: u64, run: u32, state: u64, owner: u32) -> Word {
        Word((lap & LAP_MASK) << LAP_AT | u64::from(run - 1) << RUN_AT | state << OWNER_BITS | u64::from(owner))
    }
    #[inline(always)]
    fn lap(self) -> u64 {
        self.0 >> LAP_AT
    }
    /// The slots of the run that begins here.
    #[inline(always)]
    pub(super) fn run(self) -> u32 {
        (self.0 >> RUN_AT) as u32 % MAX_RUN + 1
    }
    #[inline(always)]
    pub(super) fn state(self) -> u64 {
        self.0 >> OWNER_BITS & ((1 << STATE_BITS) - 1)
    }
    pub(super) fn owner(self) -> u32 {
        self.0 as u32 % MAX_OWNERS
    }
    /// The same run in another state.
    #[inline(always)]
    pub(super) fn to(self, state: u64, owner: u32) -> Word {
        Word(self.0 >> RUN_AT << RUN_AT | state << OWNER_BITS | u64::from(owner))
    }
    /// The same run, free for the next lap.
    #[inline(always)]
    pub(super) fn freed(self) -> Word {
        Word(self.to(EMPTY, 0).0.wrapping_add(1 << LAP_AT))
    }
    /// This word's lap relative to `lap`.
    #[inline(always)]
    pub(super) fn age(self, lap: u64) -> Age {
        match self.lap().wrapping_sub(lap) & LAP_MASK {
            0 => Age::This,
            1 => Age::Next,
            LAP_MASK => Age::Last,
            _ => Age::Other,
        }
    }
}

pub(super) enum Age {
    Last,
    This,
    Next,
    /// Earlier or later.
    Other,
}

/// A slot in a lap.
#[derive(Clone, Copy)]
pub(super) struct LapSlot {
    pub(super) lap: u64,
    pub(super) index: u32,
}

/// How an index is packed: the slot in as many low bits as the capacity needs, the lap above.
#[derive(Clone, Copy)]
pub(super) struct Index {
    bits: u32,
    capacity: u32,
}

impl Index {
    #[inline(always)]
    pub(super) fn of(capacity: u32) -> Index {
        Index { bits: u32::BITS - (capacity - 1).leading_zeros(), capacity }
    }
    #[inline(always)]
    pub(super) fn split(self, value: u64) -> Result<LapSlot> {
        let index = (value & ((1 << self.bits) - 1)) as u32;
        if index < self.capacity {
            Ok(LapSlot { lap: value >> self.bits, index })
        } else {
            Err(broken("an index is beyond its capacity"))
        }
    }
    /// The place that is `count` slots, at most the capacity, behind `at`.
    #[inline(always)]
    pub(super) fn ahead(self, at: LapSlot, count: u32) -> LapSlot {
        let index = at.index + count;
        if index < self.capacity {
            LapSlot { lap: at.lap, index }
        } else {
            LapSlot { lap: at.lap.wrapping_add(1), index: index - self.capacity }
        }
    }
    #[inline(always)]
    pub(super) fn pack(self, at: LapSlot) -> u64 {
        at.lap << self.bits | u64::from(at.index)
    }
}
