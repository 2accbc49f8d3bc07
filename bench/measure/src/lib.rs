//! How this project measures speed.
//!
//! The processors of a shared machine wander between near and far within a second, so no figure stands alone: a *yardstick*
//! in bare code and the *contenders* run in turn, in slices of some ten milliseconds, by the same two processes, each pinned
//! to a processor of its own. A slice of a contender counts where the yardstick before it and the one after it agree.
//!
//! [`rig`] has the two processes, [`contender`] what they do in a slice, [`yardsticks`] the bare code, [`capi`] the
//! library's channel through the C interface, whose [`functions`] have a table, [`channel`] through the Rust one, [`compare`] the turns and what follows from them, [`table`] and [`plot`]
//! how it is shown.

pub mod capi;
pub mod channel;
pub mod clock;
pub mod compare;
pub mod contender;
pub mod functions;
pub mod plot;
pub mod rig;
mod shared;
pub mod table;
pub mod yardsticks;

pub use shared::{Line, Shared, SharedWords, Zeroable};

/// Bytes of a sample's header; its values follow.
pub const SAMPLE_HEADER: usize = 88;

/// The histograms of this crate: nanoseconds, exact to a hundredth.
pub type Times = hdrhistogram::Histogram<u32>;

/// An empty one.
#[must_use]
pub fn no_times() -> Times {
    Times::new_with_bounds(1, 100_000_000_000, 2).expect("bounds in order")
}
