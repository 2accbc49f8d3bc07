//! What is known of a channel at one moment.

/// What is known of a channel at one moment. Samples and sleeps count since the region was made, whoever held the side.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct Stats {
    /// Samples that this side has written.
    pub written: u64,
    /// Samples that this side has taken.
    pub read: u64,
    /// Samples that wait to be taken by this side.
    pub queued_in: u64,
    /// Samples of this side that wait to be taken by the peer.
    pub queued_out: u64,
    /// Samples that this process was given a second time, after a predecessor that died.
    pub redelivered: u64,
    /// Sleeps of this side.
    pub waits: u64,
    /// Wake-ups that this side has sent.
    pub wakeups: u64,
    /// Blocks of the pool, of both sides.
    pub blocks: u64,
    /// Blocks at home on this side that are free.
    pub blocks_free: u64,
    /// Blocks that this process holds references to.
    pub held: u64,
    /// Bytes of the region.
    pub region_size: u64,
}
