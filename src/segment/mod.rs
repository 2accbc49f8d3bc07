//! Segments: raw shared memory, of POSIX or System V, with no structure of ours.

mod api;
pub(crate) mod handle;
mod open;

pub(crate) use api::*;
pub use api::{Segment, SegmentOptions, SegmentStat};
