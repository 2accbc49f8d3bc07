//! Segments: raw POSIX or System V shared memory, without any structure of this library.

mod api;
pub(crate) mod handle;
mod open;

pub(crate) use api::*;
pub use api::{Segment, SegmentOptions, SegmentStat};
