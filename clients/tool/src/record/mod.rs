//! One sample outside shared memory, whatever the format that it is written in.

mod nan;
mod remarks;
pub(crate) mod time;
pub(crate) mod value;

pub(crate) use remarks::{Oddity, Remarks};
pub(crate) use time::Time;

/// One sample, outside shared memory.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Record {
    /// When the sample was made; printed as `0.0` if unknown.
    pub(crate) origin: Option<Time>,
    /// When it was received.
    pub(crate) received: Option<Time>,
    /// Its sequence number.
    pub(crate) sequence: Option<u64>,
    /// Whether it is the first sample of a frame.
    pub(crate) new_frame: bool,
    /// Its values, as the 8 bytes that a sample holds; the signals give their types.
    pub(crate) values: Vec<u64>,
    /// The parts of its line that were not taken literally.
    pub(crate) oddities: Vec<Oddity>,
}
