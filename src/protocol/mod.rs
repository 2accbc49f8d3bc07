//! The algorithms: what processes and threads do with the words that they share.
//!
//! The algorithms use traits of words, so the model checker runs the library's own functions
//! (`tests/model`). loom compiles this module and `error`, nothing else. The processor, the system
//! and the heap are behind `sys` and `memory`; the models have their own versions of both.

pub(crate) mod atomics;
pub(crate) mod bounded;
pub(crate) mod channel_words;
pub(crate) mod doorbell;
pub(crate) mod event;
pub(crate) mod flags;
pub(crate) mod futex_lock;
pub(crate) mod gate;
pub(crate) mod half;
pub(crate) mod hand;
pub(crate) mod interrupts;
pub(crate) mod mpmc;
pub(crate) mod mpmc_look;
#[cfg(not(loom))]
pub(crate) mod mutex;
pub(crate) mod pool;
pub(crate) mod queue;
pub(crate) mod readiness;
pub(crate) mod ring_tap;
pub(crate) mod ring_words;
pub(crate) mod run_word;
pub(crate) mod spsc;
pub(crate) mod tap;

#[cfg(loom)]
pub(crate) use crate::harness::mutex;
