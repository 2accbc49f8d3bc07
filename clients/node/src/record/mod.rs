//! One sample outside shared memory, whatever the format that it is written in.

mod nan;
mod remarks;
pub mod time;
pub mod value;

pub use remarks::{Oddity, Remarks};
pub use time::Time;

/// One sample, outside shared memory.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Record {
    /// When the sample was made; printed as `0.0` if unknown.
    pub origin: Option<Time>,
    /// When it was received.
    pub received: Option<Time>,
    /// Its sequence number.
    pub sequence: Option<u64>,
    /// Whether it is the first sample of a frame.
    pub new_frame: bool,
    /// Its values, as the 8 bytes that a sample holds; the signals give their types.
    pub values: Vec<u64>,
    /// The parts of its line that were not taken literally.
    pub oddities: Vec<Oddity>,
}
