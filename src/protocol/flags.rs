//! What a sample's `flags` say. Bits as VILLASnode has them; [`REDELIVERED`] is this library's own.

/// `ts.origin` is given.
pub const HAS_TS_ORIGIN: i32 = 1;
/// `ts.received` is given.
pub const HAS_TS_RECEIVED: i32 = 2;
/// The offset between the two is meaningful.
pub const HAS_OFFSET: i32 = 4;
/// `sequence` is given.
pub const HAS_SEQUENCE: i32 = 8;
/// The values are given.
pub const HAS_DATA: i32 = 16;
/// The first sample of a frame.
pub const NEW_FRAME: i32 = 1 << 16;
/// The first sample of a simulation.
pub const NEW_SIMULATION: i32 = 1 << 17;
/// A predecessor of this process had taken the sample and died before it put it: it may have acted on it.
pub const REDELIVERED: i32 = 1 << 24;
