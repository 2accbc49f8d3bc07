//! Channels: two queues of samples and a pool, between a node and a program.

mod any;
pub(crate) mod ends;
pub(crate) mod handle;
pub(crate) mod life;
pub(crate) mod native;
mod public;
mod sample;
pub(crate) mod wire;

pub(crate) use any::AnyHandle;
pub use public::{Channel, Config};
pub(crate) use public::{DEFAULT_QUEUELEN, DEFAULT_SAMPLELEN, DEFAULT_SPARE, or};
pub use sample::Sample;
