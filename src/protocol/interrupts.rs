//! Interruptions of the waits of one handle. None is lost: one that comes while nobody waits ends
//! the next wait.
//!
//! Two counters: how many interruptions were raised, and up to which of them a wait has ended with
//! `EINTR`. A wait that begins takes the second for what it has seen; it is to end when more were
//! raised. So an interruption ends every wait that has begun and has not yet ended, and if there is
//! none, the next one, and only that. Where a wait begins at the moment in which another ends, both
//! may end by the same interruption.
//!
//! | edge | interrupter | waiter |
//! |---|---|---|
//! | I1 | raises (release), after what it has stored | sees the number (acquire), then what was stored before |
//!
//! An interrupter wakes the sleepers after it has raised; a sleeper looks for interruptions between
//! its arming and its sleep: so W1 of `doorbell` holds for the counter as for what is published.
//! `answered` is ordered by nothing (relaxed): the thread whose wait has ended sees its own store,
//! and another that does not see it yet ends once more than it must.

use crate::protocol::atomics::{AtomicU64, Ordering};
use Ordering::{Acquire, Relaxed, Release};

/// See the module's description. In private memory. No counter of 64 bits ever wraps.
pub(crate) struct Interrupts {
    raised: AtomicU64,
    /// At most `raised`.
    answered: AtomicU64,
}

impl Interrupts {
    pub(crate) fn new() -> Interrupts {
        Interrupts { raised: AtomicU64::new(0), answered: AtomicU64::new(0) }
    }

    /// Ends the waits that have begun, or else the next one; sleepers must be woken after it.
    /// Async-signal-safe.
    pub(crate) fn raise(&self) {
        self.raised.fetch_add(1, Release); // I1
    }

    /// What a wait that begins now has seen.
    pub(crate) fn seen(&self) -> u64 {
        self.answered.load(Relaxed)
    }

    /// Whether a wait that had `seen` so many is to end. A look at `raised` may be older than one
    /// at `answered`.
    pub(crate) fn is_due(&self, seen: u64) -> bool {
        self.raised.load(Acquire) > seen // I1
    }

    /// A wait ends with `EINTR`: for all that were raised so far.
    pub(crate) fn answer(&self) {
        self.answered.fetch_max(self.raised.load(Acquire), Relaxed); // I1
    }
}

#[cfg(all(test, not(loom)))]
#[path = "../tests/unit/protocol/interrupts.rs"]
mod tests;
