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
//! Most unsafe code lives in `sys`, `memory`, `protocol`, `layout` and `capi`. The rest makes views of
//! mappings and follows pointers to handles. Each block says why it is sound.
#![warn(missing_docs)]
// What only the C interface calls.
#![cfg_attr(not(feature = "capi"), allow(dead_code, unused_imports))]

#[cfg(feature = "capi")]
pub(crate) mod capi;
mod channel;
#[cfg(feature = "_test_crash_points")]
#[path = "tests/crash.rs"]
pub mod crash;
mod error;
mod event;
#[cfg(feature = "_test_fuzzing")]
#[path = "tests/fuzzing.rs"]
pub mod fuzzing;
pub mod inspect;
mod layout;
mod memory;
mod pod;
mod protocol;
mod region;
mod ring;
mod segment;
mod sys;
mod tests;
mod waiting;

pub use channel::{Channel, Config, Sample, Stats};
pub use error::{Error, ErrorKind, Result, strerror};
pub use event::Event;
pub use pod::Plain;
pub use protocol::flags::Flags;
pub use protocol::ring_words::{Policy, Role};
pub use ring::RingStats;
pub use ring::api::endpoint::{Endpoint, EndpointSide};
pub use ring::api::message::{Message, Reservation};
pub use ring::api::ring::{Bytes, Ring};
pub use segment::{Segment, SegmentOptions, SegmentStat};
pub use sys::clock::Timespec;
