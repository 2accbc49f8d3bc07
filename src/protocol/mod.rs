//! The algorithms: what processes and threads do with the words that they share.
//!
//! They are written against traits of words, so that the model checker runs the very functions that the library runs (`tests/model`). All that
//! loom compiles is here, and in `error`. What the processor, the system and the heap do is reached through
//! `sys` and `memory`, of which the models have their own.

pub(crate) mod atomics;
pub(crate) mod channel_words;
pub(crate) mod doorbell;
pub(crate) mod event;
pub(crate) mod flags;
pub(crate) mod futex_lock;
pub(crate) mod gate;
pub(crate) mod half;
pub(crate) mod interrupts;
pub(crate) mod mpmc;
#[cfg(not(loom))]
pub(crate) mod mutex;
pub(crate) mod pool;
pub(crate) mod queue;
pub(crate) mod ring_words;
pub(crate) mod spsc;

#[cfg(loom)]
pub(crate) use crate::harness::mutex;
