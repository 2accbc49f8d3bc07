//! Events: a word in any shared memory that counts signals, and on which those sleep who have seen all of them.
//!
//! Bit 0 says that somebody sleeps, the rest is the number of signals. Who waits knows how many he has seen; nothing in shared memory is
//! his. So an event needs no repair: a killed waiter leaves at most bit 0, which costs the next signal one system call.
//!
//! | edge | signaller | waiter |
//! |---|---|---|
//! | E1 | adds a signal, and looks at bit 0 of the value before | sets bit 0, and looks at the number of the value before |
//! | E2 | adds a signal (release) | sees the number (acquire), then what was written before the signal |
//!
//! E1 is two changes of one word, one of which comes first: either the signaller sees the bit or the waiter the signal. No fence is needed,
//! unlike where a bell and what it tells of are two words (`doorbell`, edge W1). A signaller that dies between the addition and the wake-up
//! leaves the others asleep until their slice is over.

use crate::protocol::atomics::Shared64;
use crate::sys::Slept;
use std::time::Duration;

pub(crate) const ASLEEP: u64 = 1;
/// The longest sleep without a look at the word.
const SLICE: Duration = crate::protocol::doorbell::SLICE;

/// The word, and how to sleep on it and wake who does.
pub(crate) trait EventFutex {
    fn word(&self) -> &Shared64;
    /// Sleeps while the word is `seen`, at most for `slice`.
    fn sleep(&self, seen: u64, slice: Duration) -> Slept;
    /// Wakes all who sleep.
    fn wake(&self);
}

/// Signals so far.
#[inline]
pub(crate) fn count(event: &impl EventFutex) -> u64 {
    event.word().observe() >> 1 // E2
}

/// How many signals came after the first `seen`, which are all seen then.
#[inline]
pub(crate) fn take(event: &impl EventFutex, seen: &mut u64) -> u64 {
    let now = count(event);
    let fresh = now.wrapping_sub(*seen) & (u64::MAX >> 1);
    *seen = now;
    fresh
}

/// Adds a signal, and wakes all who wait; no system call when nobody sleeps.
#[inline]
pub(crate) fn signal(event: &impl EventFutex) {
    let before = event.word().add(2); // E1, E2
    if before & ASLEEP != 0 {
        event.word().lower(ASLEEP); // E1: the next signaller need not wake
        // Every signaller that has seen the bit: another one may die before it wakes.
        event.wake();
    }
}

/// Sleeps until there are signals after the first `seen`, at most for `limit`, or a slice; now and then for no reason shorter.
pub(crate) fn doze(event: &impl EventFutex, seen: u64, limit: Duration) -> Slept {
    let armed = event.word().raise(ASLEEP); // E1
    if armed >> 1 != seen {
        return Slept::Woken;
    }
    event.sleep(armed, limit.min(SLICE))
}
