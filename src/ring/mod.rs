//! Rings: bounded queues of messages of one size, for one or many producers and consumers.
//!
//! [`spsc`] and [`mpmc`] are the algorithms, on words of any kind ([`Words`]), so that the model checker can run them; `life` is who
//! takes part in a ring, `handle` an open ring in this process, `public` the interface for Rust.

#[cfg(not(loom))]
pub(crate) mod endpoint;
#[cfg(not(loom))]
pub(crate) mod handle;
#[cfg(not(loom))]
pub(crate) mod life;
pub(crate) mod mpmc;
#[cfg(not(loom))]
pub(crate) mod open;
#[cfg(not(loom))]
pub(crate) mod public;
pub(crate) mod spsc;

use crate::error::{Error, Result};
use crate::sync::Shared64;

/// How many producers and consumers a ring can have.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Policy {
    /// One producer, one consumer: the fastest.
    Spsc = 1,
    /// Many producers, one consumer.
    Mpsc = 2,
    /// Many producers, many consumers.
    Mpmc = 3,
}

/// What a participant of a ring does.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Role {
    /// It writes messages.
    Producer = 1,
    /// It reads messages.
    Consumer = 2,
}

impl Policy {
    pub(crate) fn from_number(number: i64) -> Result<Policy> {
        match number {
            1 => Ok(Policy::Spsc),
            2 => Ok(Policy::Mpsc),
            3 => Ok(Policy::Mpmc),
            _ => Err(Error::invalid(format!("the policy is {number}, but must be 1 (SPSC), 2 (MPSC) or 3 (MPMC)"))),
        }
    }

    pub(crate) fn name(self) -> &'static str {
        match self {
            Policy::Spsc => "SPSC",
            Policy::Mpsc => "MPSC",
            Policy::Mpmc => "MPMC",
        }
    }
}

impl Role {
    pub(crate) fn from_number(number: i64) -> Result<Role> {
        match number {
            1 => Ok(Role::Producer),
            2 => Ok(Role::Consumer),
            _ => Err(Error::invalid(format!("the role is {number}, but must be 1 (producer) or 2 (consumer)"))),
        }
    }
}

/// Why a message was given up.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Cause {
    /// Its producer died before it published it.
    Skipped,
    /// Its consumer died before it released it.
    Lost,
}

/// The words of a ring that all participants see.
pub(crate) trait Words {
    fn capacity(&self) -> u32;
    /// Where producers are.
    fn tail(&self) -> &Shared64;
    /// Where consumers are.
    fn head(&self) -> &Shared64;
    /// The word of slot `index`, which is below the capacity.
    fn word(&self, index: u32) -> &Shared64;
    /// Counts a message that was given up.
    fn count(&self, cause: Cause);
    /// Says that slot `index` will be written, or read, soon.
    #[inline(always)]
    fn expect(&self, _index: u32, _to_write: bool) {}
}

#[cold]
fn broken(why: &str) -> Error {
    Error::corrupt(format!("the ring is corrupt: {why}; remove it and open it anew"))
}
