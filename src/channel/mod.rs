//! Channels: two queues of samples and a pool, between a node and a program.

mod any_handle;
mod api;
pub(crate) mod backend;
mod config;
pub(crate) mod count;
mod descriptor;
pub(crate) mod handle;
pub(crate) mod native;
mod references;
mod registry;
pub(crate) mod signals;
mod stats;
pub(crate) mod wire;

pub(crate) use any_handle::AnyHandle;
pub use api::{Channel, Sample, Unsent};
pub use config::Config;
pub use signals::Direction;
pub use stats::Stats;
