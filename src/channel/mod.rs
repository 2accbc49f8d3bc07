//! Channels: two queues of samples and a pool, between a node and a program.

mod any_handle;
mod api;
pub(crate) mod backend;
pub(crate) mod handle;
pub(crate) mod native;
pub(crate) mod wire;

pub(crate) use any_handle::AnyHandle;
pub use api::{Channel, Config, Sample};
pub(crate) use api::{DEFAULT_QUEUELEN, DEFAULT_SAMPLELEN, DEFAULT_SPARE, or};
