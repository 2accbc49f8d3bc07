//! What is in shared memory on this host, seen without taking part.
//!
//! Objects are opened read-only and copied piece by piece into private memory, where everything is
//! checked as when a region is opened; nothing is mapped, joined, locked, taken, or written. So a
//! look at a region cannot disturb its processes, and whatever is in it, or happens to it
//! meanwhile, cannot disturb the look. While others are at work the figures are those of about the
//! same microsecond.
//!
//! The locks of a region (asked for, not taken) and the identities in it tell which processes are
//! alive; for an object without locks of this library's, the mappings that `/proc` shows do.

mod channel;
mod entry;
#[cfg(all(test, any(target_arch = "x86_64", target_arch = "aarch64"), target_env = "gnu"))]
#[path = "../tests/inspect/handshakes.rs"]
mod handshakes;
pub(crate) mod look;
pub(crate) mod processes;
mod remove;
mod ring;
mod snapshot;
mod sysv;
mod tap;
#[cfg(test)]
#[path = "../tests/inspect/tests.rs"]
mod tests;
mod wire;

pub use entry::{Entry, Id, Kind, Parameter, Passed, Peer, PeerState, Queue, Sender, State, Waiting};
pub use look::{list, list_if, look, look_system_v, read_bytes};
pub use processes::Process;
pub use tap::Tap;
