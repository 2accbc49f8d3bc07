//! Channels, as Rust sees them.

mod channel;
mod sample;

pub use channel::{Channel, Unsent};
pub use sample::Sample;
