//! Rings: bounded queues of messages of one size, for one or many producers and consumers.
//!
//! `protocol::spsc` and `protocol::mpmc` are the algorithms; `liveness` is who takes part in a ring, `handle` an open ring in this process, `api`
//! the interface for Rust.

pub(crate) mod api;
pub(crate) mod handle;
pub(crate) mod liveness;
pub(crate) mod open;

pub(crate) use crate::protocol::ring_words::{Policy, Role};
