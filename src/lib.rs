//! Samples between processes on one host, over POSIX shared memory.
//!
//! A *node* (a gateway such as VILLASnode, or this project's tool) creates a region; a *program* (a simulator, a
//! controller, a measurement) opens it. Both then exchange samples: a sequence number, timestamps, and an array of
//! 8-byte values. Samples are passed by reference and never copied by the library. Either process may die at any
//! instruction: the other learns of it, nothing that was written is lost, and a restarted one goes on.
//!
//! [`Channel`] and [`Sample`] are the interface for Rust; `<villas/shmem.h>` has the same for C. [`Segment`] is raw shared memory,
//! of POSIX or System V, and [`Event`] what such memory lacks: a way to wait for what another process writes there.
//!
//! Unsafe code lives in `sys`, `layout` and `capi`; besides, `channel::life` and `segment` make views of mappings, `inspect::snapshot` of
//! copies, and `pool` says of two
//! structs of integers that zero is a valid value.
#![warn(missing_docs)]
// The models run a part of the library.
#![cfg_attr(loom, allow(dead_code))]

#[cfg(not(loom))]
pub(crate) mod capi;
#[cfg(not(loom))]
mod channel;
#[cfg(feature = "crash-points")]
pub mod crash;
mod error;
#[cfg(not(loom))]
mod event;
#[cfg(all(feature = "fuzzing", not(loom)))]
pub mod fuzzing;
#[cfg(not(loom))]
pub mod inspect;
#[cfg(not(loom))]
mod layout;
mod memory;
#[cfg(not(loom))]
mod plain;
mod protocol;
#[cfg(not(loom))]
mod region;
#[cfg(not(loom))]
mod ring;
#[cfg(not(loom))]
mod sample;
#[cfg(not(loom))]
mod segment;
mod sys;
mod tests;
#[cfg(not(loom))]
mod waiting;

#[cfg(not(loom))]
pub use channel::handle::Stats;
#[cfg(not(loom))]
pub use channel::{Channel, Config};
pub use error::{Error, Result, strerror};
#[cfg(not(loom))]
pub use event::Event;
#[cfg(not(loom))]
pub use plain::Plain;
pub use protocol::cells::{Policy, Role};
pub use protocol::flags;
#[cfg(not(loom))]
pub use ring::endpoint::{Endpoint, EndpointSide};
#[cfg(not(loom))]
pub use ring::handle::RingStats;
#[cfg(not(loom))]
pub use ring::public::{Bytes, Message, Reservation, Ring};
#[cfg(not(loom))]
pub use sample::{Sample, Timespec};
#[cfg(not(loom))]
pub use segment::{Segment, SegmentOptions, SegmentStat};
