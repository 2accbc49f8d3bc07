//! The library's algorithms under loom: the very sources of `src/protocol`, on the models' words.
//! Empty without `--cfg loom`.
#![cfg(loom)]
// A model runs only a part of the sources.
#![allow(dead_code)]
// For cfgs and paths that only the library has.
#![allow(unexpected_cfgs, unreachable_pub)]

#[path = "../../src/error.rs"]
mod error;
mod memory;
#[path = "../../src/protocol/mod.rs"]
mod protocol;

#[cfg(test)]
mod bounded;
#[cfg(test)]
mod channel;
#[cfg(test)]
mod doorbell;
#[cfg(test)]
mod event;
#[cfg(test)]
mod futex_lock;
#[cfg(test)]
mod gate;
mod harness;
#[cfg(test)]
mod interrupts;
#[cfg(test)]
mod readiness;
#[cfg(test)]
mod ring;
#[cfg(test)]
mod ring_tap;
#[cfg(test)]
mod runs;
#[cfg(test)]
mod spsc;
mod sys;
#[cfg(test)]
mod tap;
