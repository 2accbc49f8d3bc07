//! The Rust interface of channels.

mod channel;
mod sample;

pub use channel::{Channel, Unsent};
pub use sample::Sample;
