//! What is known of a ring at one moment.

/// What is known of a ring at one moment. Events count since the ring was made.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct RingStats {
    /// Messages that can be taken.
    pub pending: u64,
    /// Messages that fit.
    pub available: u64,
    /// Places in the ring that producers had claimed when they died: no message came of them.
    pub skipped: u64,
    /// Messages that consumers had claimed when they died, and that nobody gets any more.
    pub lost: u64,
    /// Sleeps.
    pub waits: u64,
    /// Wake-ups.
    pub wakeups: u64,
    /// Producers that are alive, as far as can be known.
    pub producers: u64,
    /// Consumers that are alive.
    pub consumers: u64,
    /// Bytes of the shared memory object.
    pub region_size: u64,
}
