//! Segments: raw shared memory, of POSIX or System V, with no structure of ours.

mod api;
mod open;

pub(crate) use api::*;
pub use api::{Segment, SegmentOptions, SegmentStat};
