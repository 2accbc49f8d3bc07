//! Samples and messages between processes of one Linux host, through shared memory.
//!
//! A *node* (a gateway such as VILLASnode, or this project's tool) creates a region; a *program* (a
//! simulator, a controller, a measurement) opens it. Both then exchange [samples](Sample): a sequence
//! number, timestamps, and an array of 8-byte values. Samples are passed by reference and never copied
//! by the library. Either process may die at any instruction: the other learns of it, nothing that was
//! written is lost, and a restarted one goes on.
//!
//! ```text
//!        node                 region in /dev/shm                program
//!   Channel::create   +-----------------------------+      Channel::open
//!        write    --> |  queue of samples           | -->     read
//!        read     <-- |           queue of samples  | <--     write
//!                     |  blocks, counted references |
//!                     +-----------------------------+
//! ```
//!
//! # A first program
//!
//! It doubles what a node sends, and survives the node's restart:
//!
//! ```no_run
//! use villas_shm::{Channel, ErrorKind, Result};
//!
//! fn main() -> Result<()> {
//!     let channel = Channel::timed_open("doubler", None)?; // waits for the node
//!     let mut samples = Vec::new();
//!     loop {
//!         match channel.read(&mut samples, 64) {
//!             Ok(_) => {}
//!             Err(e) if e.is_transient() => continue, // nothing within 100 ms: look at a flag here
//!             Err(e) if e.kind() == ErrorKind::Closed => {
//!                 channel.wait(None)?; // the node has gone: another one may come
//!                 continue;
//!             }
//!             Err(e) => return Err(e),
//!         }
//!         for sample in &mut samples {
//!             for at in 0..sample.len() {
//!                 sample.set(at, 2.0 * sample.get(at));
//!             }
//!         }
//!         channel.timed_write(&mut samples, None)?; // sends them back as they are, without a copy
//!         samples.clear(); // gives back what was not taken
//!     }
//! }
//! ```
//!
//! # What there is
//!
//! | you want to | use | in C |
//! |---|---|---|
//! | exchange samples with a node or a program | [`Channel`] | `shmem_shared_*`, `shmem_int_*` |
//! | read and fill a sample | [`Sample`], [`Flags`], [`Timespec`] | `struct sample`, `sample_*` |
//! | pass messages of one type between many processes | [`Ring`] | `shmem_ring_*` |
//! | a duplex connection | [`Endpoint`] | `shmem_endpoint_*` |
//! | wait in an event loop, such as tokio's | [`Channel::read_fd`], [`Ring::fd`], [`Endpoint::read_fd`] | `shmem_*_fd` |
//! | raw shared memory, POSIX or System V | [`Segment`] | `shmem_segment_*` |
//! | wait for what another process writes there | [`Event`] | `shmem_event_*` |
//! | see what is in shared memory | [`inspect`] | the tool `villas-shm` |
//!
//! **Waiting.** A name without `try_` or `timed_` waits as in C: [`Channel::read`] for 100 ms,
//! [`Ring::push`] and [`Ring::pop`] for ever, [`Channel::write`], [`Ring::reserve`] and
//! [`Ring::peek`] not at all. `try_` never waits, `timed_` at most for the given time, without limit for
//! `None`.
//!
//! **Results.** A call that moves samples or messages gives how many, at least one; if it moves none it
//! gives an [`Error`], whose [`kind`](Error::kind) says why. [`Error::is_transient`] is true where
//! calling again may help.
//!
//! **Threads.** [`Channel`], [`Sample`], [`Ring`], [`Endpoint`] and [`Segment`] are `Send` and `Sync`:
//! what lies in shared memory is reached by atomics or copies, since another process may write it at
//! any time, and calls on one side take turns.
//!
//! # Features
//!
//! | feature | what it does |
//! |---|---|
//! | `capi` (default) | exports the C symbols and writes the header; a Rust program needs neither |
//! | `bytemuck` | messages of a [`Ring`] may be every type that derives `bytemuck::Pod` |
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
mod nothing;
mod pod;
mod protocol;
mod readiness;
mod region;
mod ring;
mod segment;
mod sys;
mod tests;
mod waiting;

pub use channel::{Channel, Config, Direction, Sample, Stats, Unsent};
pub use error::{Error, ErrorKind, Result, strerror};
pub use event::Event;
pub use layout::signals::{Signal, SignalType};
pub use pod::Plain;
pub use protocol::flags::Flags;
pub use protocol::ring_words::{Policy, Role};
pub use ring::RingStats;
pub use ring::api::endpoint::{Endpoint, EndpointSide};
pub use ring::api::message::{Message, Reservation};
pub use ring::api::ring::{Bytes, Ring};
pub use segment::{Segment, SegmentOptions, SegmentStat};
pub use sys::clock::Timespec;

/// What the documentation promises of threads.
const _: () = {
    const fn shared<T: Send + Sync>() {}
    shared::<Channel>();
    shared::<Sample>();
    shared::<Ring>();
    shared::<Ring<f64>>();
    shared::<Endpoint>();
    shared::<Segment>();
};
