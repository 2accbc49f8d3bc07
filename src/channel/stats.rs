//! Counters and fill levels of a channel.

/// Counters and fill levels of a channel at one moment. Samples and sleeps are counted since the
/// region was created, across all holders of the side.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct Stats {
    /// Samples that this side has written.
    pub written: u64,
    /// Samples that this side has taken.
    pub read: u64,
    /// Samples that this side has still to take.
    pub queued_in: u64,
    /// Samples of this side that the peer has still to take.
    pub queued_out: u64,
    /// Samples that a dead predecessor held and that were redelivered to this process.
    pub redelivered: u64,
    /// Sleeps of this side.
    pub waits: u64,
    /// Wake-ups that this side has sent.
    pub wakeups: u64,
    /// Blocks of both sides.
    pub blocks: u64,
    /// Free blocks of this side.
    pub blocks_free: u64,
    /// Blocks to which this process holds references.
    pub held: u64,
    /// Of these, blocks at home on this side: allocated and not yet written, or come back.
    pub held_own: u64,
    /// Size of the region in bytes.
    pub region_size: u64,
}
