//! Channels, as Rust sees them.

mod channel;
mod sample;

pub use channel::Channel;
pub use sample::Sample;
