//! Rings and endpoints, as Rust sees them.

pub(crate) mod endpoint;
pub(crate) mod message;
pub(crate) mod ring;
