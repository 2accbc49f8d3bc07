//! What a sample's `flags` say.

use std::ops::{BitAnd, BitOr, BitOrAssign, Not};

/// What a sample's header says, as a set. The bits are VILLASnode's; [`Flags::REDELIVERED`] is this
/// library's own.
///
/// ```
/// use villas_shm::Flags;
/// let flags = Flags::HAS_DATA | Flags::HAS_SEQUENCE;
/// assert!(flags.contains(Flags::HAS_DATA) && !flags.contains(Flags::NEW_FRAME));
/// assert_eq!(flags.bits(), 24);
/// ```
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
#[repr(transparent)]
pub struct Flags(i32);

impl Flags {
    /// Nothing: the header is given as it stands.
    pub const NONE: Flags = Flags(0);
    /// `ts.origin` is given.
    pub const HAS_TS_ORIGIN: Flags = Flags(1);
    /// `ts.received` is given.
    pub const HAS_TS_RECEIVED: Flags = Flags(2);
    /// The offset between the two is meaningful.
    pub const HAS_OFFSET: Flags = Flags(4);
    /// `sequence` is given.
    pub const HAS_SEQUENCE: Flags = Flags(8);
    /// The values are given.
    pub const HAS_DATA: Flags = Flags(16);
    /// The first sample of a frame.
    pub const NEW_FRAME: Flags = Flags(1 << 16);
    /// The first sample of a simulation.
    pub const NEW_SIMULATION: Flags = Flags(1 << 17);
    /// A predecessor of this process had taken the sample and died before it put it: it may have
    /// acted on it.
    pub const REDELIVERED: Flags = Flags(1 << 24);

    /// The set of these bits, unknown ones included.
    pub const fn from_bits(bits: i32) -> Flags {
        Flags(bits)
    }

    /// The bits, as in the sample's header.
    pub const fn bits(self) -> i32 {
        self.0
    }

    /// Whether all of `flags` are in it.
    pub const fn contains(self, flags: Flags) -> bool {
        self.0 & flags.0 == flags.0
    }

    /// Whether any of `flags` is in it.
    pub const fn intersects(self, flags: Flags) -> bool {
        self.0 & flags.0 != 0
    }

    /// Both sets together.
    pub const fn union(self, flags: Flags) -> Flags {
        Flags(self.0 | flags.0)
    }
}

impl BitOr for Flags {
    type Output = Flags;
    fn bitor(self, other: Flags) -> Flags {
        self.union(other)
    }
}

impl BitOrAssign for Flags {
    fn bitor_assign(&mut self, other: Flags) {
        self.0 |= other.0;
    }
}

impl BitAnd for Flags {
    type Output = Flags;
    fn bitand(self, other: Flags) -> Flags {
        Flags(self.0 & other.0)
    }
}

impl Not for Flags {
    type Output = Flags;
    fn not(self) -> Flags {
        Flags(!self.0)
    }
}
