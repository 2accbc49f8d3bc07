//! Events: a word in any shared memory that counts signals. Waiters that have seen all signals
//! sleep on it.
//!
//! Bit 0 says that a thread sleeps, the other bits are the number of signals. Each waiter remembers
//! in private memory how many signals it has seen. So an event needs no repair: a killed waiter
//! leaves at most bit 0 set, which costs the next signal one system call.
//!
//! | edge | signaller | waiter |
//! |---|---|---|
//! | E1 | adds a signal, and looks at bit 0 of the value before | sets bit 0, and looks at the number of the value before |
//! | E2 | adds a signal (release) | sees the number (acquire), then what was written before the signal |
//!
//! E1 is two changes of one word, and one of them comes first: either the signaller sees the bit or
//! the waiter sees the signal. This needs no fence, unlike a bell whose notifier only looks
//! (`doorbell`, edge W1). If a signaller dies between the addition and the wake-up, the sleepers
//! sleep until their slice is over.

use crate::protocol::atomics::Shared64;
use crate::sys::Slept;
use std::time::Duration;

pub(crate) const ASLEEP: u64 = 1;
/// The longest sleep without a look at the word.
const SLICE: Duration = crate::protocol::doorbell::SLICE;

/// An event's word, with its sleep and wake-up.
pub(crate) trait EventFutex {
    fn word(&self) -> &Shared64;
    /// Sleeps while the word is `seen`, at most for `slice`.
    fn sleep(&self, seen: u64, slice: Duration) -> Slept;
    /// Wakes all sleepers.
    fn wake(&self);
}

/// The number of signals so far.
#[inline]
pub(crate) fn count(event: &impl EventFutex) -> u64 {
    event.word().observe() >> 1 // E2
}

/// How many signals came after the first `seen`; stores the new number in `seen`.
#[inline]
pub(crate) fn take(event: &impl EventFutex, seen: &mut u64) -> u64 {
    let now = count(event);
    let fresh = now.wrapping_sub(*seen) & (u64::MAX >> 1);
    *seen = now;
    fresh
}

/// Adds a signal and wakes all waiters. Makes no system call if no thread sleeps.
#[inline]
pub(crate) fn signal(event: &impl EventFutex) {
    let before = event.word().add(2); // E1, E2
    if before & ASLEEP != 0 {
        event.word().lower(ASLEEP); // E1: the next signaller need not wake
        // Every signaller that saw the bit wakes, because another may die before it does.
        event.wake();
    }
}

/// Sleeps until there are signals after the first `seen`, at most for `limit` or a slice. May
/// return early without a reason.
pub(crate) fn doze(event: &impl EventFutex, seen: u64, limit: Duration) -> Slept {
    let armed = event.word().raise(ASLEEP); // E1
    if armed >> 1 != seen {
        return Slept::Woken;
    }
    event.sleep(armed, limit.min(SLICE))
}
