//! The library's algorithms under loom: the very sources of `src/protocol`, on words of the models'. Empty without `--cfg loom`.
#![cfg(loom)]
// A model runs a part of what is there.
#![allow(dead_code)]
// What the library has beside the models.
#![allow(unexpected_cfgs, unreachable_pub)]

#[path = "../../src/error.rs"]
mod error;
mod memory;
#[path = "../../src/protocol/mod.rs"]
mod protocol;

#[cfg(test)]
mod channel;
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
mod ring;
mod sys;
