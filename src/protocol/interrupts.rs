//! Interruptions of the waits of one handle. None is lost: one that comes while no thread waits
//! ends the next wait.
//!
//! There are two counters: how many interruptions were raised, and up to which of them a wait has
//! ended with `EINTR`. A new wait loads the second as what it has seen, and ends once more than
//! that were raised. So an interruption ends every wait that has begun and not yet ended. If there
//! is none, it ends the next one, and only that. If a wait begins at the moment in which another
//! ends, the same interruption may end both.
//!
//! | edge | interrupter | waiter |
//! |---|---|---|
//! | I1 | raises (release), after what it has stored | sees the number (acquire), then what was stored before |
//!
//! An interrupter wakes the sleepers after it has raised, and a sleeper looks for interruptions
//! between arming and sleeping. So edge W3 of `doorbell` covers the counter like anything
//! published. `answered` needs no order (relaxed): the thread whose wait has ended sees its own
//! store, and another thread that does not see it yet ends one wait more than necessary.

use crate::protocol::atomics::{AtomicU64, Ordering};
use Ordering::{Acquire, Relaxed, Release};

/// See the module's description. Lives in private memory. A 64-bit counter never wraps.
pub(crate) struct Interrupts {
    raised: AtomicU64,
    /// At most `raised`.
    answered: AtomicU64,
}

impl Interrupts {
    pub(crate) fn new() -> Interrupts {
        Interrupts { raised: AtomicU64::new(0), answered: AtomicU64::new(0) }
    }

    /// Ends the waits that have begun, or else the next one. The caller must wake the sleepers
    /// afterwards. Async-signal-safe.
    pub(crate) fn raise(&self) {
        self.raised.fetch_add(1, Release); // I1
    }

    /// What a wait that begins now has seen.
    pub(crate) fn seen(&self) -> u64 {
        self.answered.load(Relaxed)
    }

    /// Whether a wait that had `seen` this many must end. This load of `raised` may return an older
    /// value than the waiter's load of `answered`.
    pub(crate) fn is_due(&self, seen: u64) -> bool {
        self.raised.load(Acquire) > seen // I1
    }

    /// Ends a wait with `EINTR`: it answers all interruptions raised so far.
    pub(crate) fn answer(&self) {
        self.answered.fetch_max(self.raised.load(Acquire), Relaxed); // I1
    }
}

#[cfg(all(test, not(loom)))]
#[path = "../tests/unit/protocol/interrupts.rs"]
mod tests;
