//! Channels, as Rust sees them.

mod channel;
mod sample;

pub use channel::{Channel, Config};
pub(crate) use channel::{DEFAULT_QUEUELEN, DEFAULT_SAMPLELEN, DEFAULT_SPARE, or};
pub use sample::Sample;
