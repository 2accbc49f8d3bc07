//! Channels: two queues of samples and a pool, between a node and a program.

#[cfg(not(loom))]
mod any;
#[cfg(not(loom))]
pub(crate) mod ends;
#[cfg(not(loom))]
pub(crate) mod handle;
#[cfg(not(loom))]
pub(crate) mod life;
#[cfg(not(loom))]
pub(crate) mod native;
#[cfg(not(loom))]
mod public;
pub(crate) mod side;
#[cfg(not(loom))]
pub(crate) mod wire;

#[cfg(not(loom))]
pub(crate) use any::AnyHandle;
#[cfg(not(loom))]
pub use public::{Channel, Config};
#[cfg(not(loom))]
pub(crate) use public::{DEFAULT_QUEUELEN, DEFAULT_SAMPLELEN, DEFAULT_SPARE, or};
