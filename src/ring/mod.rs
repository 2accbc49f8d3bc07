//! Rings: bounded queues of messages of one size, for one or many producers and consumers.
//!
//! `protocol::spsc` and `protocol::mpmc` are the algorithms; `liveness` knows the participants of a
//! ring; `handle` is an open ring in this process, `core` what a thread works with in its turn,
//! `transfer` what it does then, `api` the interface for Rust.

pub(crate) mod api;
pub(crate) mod buffers;
mod core;
mod descriptor;
pub(crate) mod handle;
mod liveness;
pub(crate) mod open;
mod stats;
mod transfer;

pub(crate) use crate::protocol::ring_words::{Policy, Role};
pub use stats::RingStats;
