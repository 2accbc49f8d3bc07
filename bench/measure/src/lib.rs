//! How this project measures speed.
//!
//! On a shared machine, processors change between near and far within a second, so no figure stands
//! alone. A *yardstick* in bare code and the *contenders* run in turns, in slices of about ten
//! milliseconds, by the same two processes, each pinned to its own processor. A contender's slice
//! counts if the yardsticks before and after it agree.
//!
//! [`rig`] has the two processes, [`contender`] their work in a slice, [`yardsticks`] the bare
//! code. [`capi`] has the library's channel through the C interface, with [`functions`] as its
//! table, and [`channel`] the one through the Rust interface. [`compare`] runs the turns and
//! computes the results; [`table`] and [`plot`] show them.

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

/// An empty histogram.
#[must_use]
pub fn no_times() -> Times {
    Times::new_with_bounds(1, 100_000_000_000, 2).expect("bounds in order")
}
