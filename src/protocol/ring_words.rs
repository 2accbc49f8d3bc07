//! The kinds of rings, and the words of a ring that all participants see, as the protocol accesses
//! them: in a region, or in a model.

use crate::error::{Error, Result};
use crate::protocol::atomics::Shared64;

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
pub(crate) trait RingWords {
    fn capacity(&self) -> u32;
    /// The next slot for a producer.
    fn tail(&self) -> &Shared64;
    /// The next slot for a consumer.
    fn head(&self) -> &Shared64;
    /// The word of slot `index`, which is below the capacity.
    fn word(&self, index: u32) -> &Shared64;
    /// Counts messages that were given up.
    fn count(&self, cause: Cause, messages: u32);
    /// A hint that slot `index` will soon be written, or read; nothing if it is beyond the capacity.
    #[inline(always)]
    fn expect(&self, _index: u32, _to_write: bool) {}
    /// A hint that slot `index` is being awaited.
    #[inline(always)]
    fn attend(&self, _index: u32) {}
}

#[cold]
pub(crate) fn broken(why: &str) -> Error {
    Error::corrupt(format!("the ring is corrupt: {why}; remove it and open it anew"))
}
