//! Sleeping and waking.
//!
//! A doorbell is a futex word: bit 0 says that a thread sleeps, the other bits count the wake-ups.
//! A sleeper sets the bit, looks once more, and sleeps while the word stays unchanged. A notifier
//! loads only the bit; if it is set, the notifier clears it, counts, and wakes all.
//!
//! | edge | hot side | rare side |
//! |---|---|---|
//! | W1 | notifier: what it publishes, light fence, load the bell | sleeper: set the bit, heavy fence, look for what is published, only then sleep |
//!
//! At least one of the two sees the other's store, so no thread sleeps through a notification
//! (`atomics`, asymmetric fences). If a notifier dies between changing the word and the wake-up,
//! the sleepers sleep until their slice is over.

use crate::protocol::atomics::{Shared32, heavy_fence, light_fence};
use crate::sys::Slept;
use crate::sys::trial::looks;
use std::time::Duration;

pub(super) const ASLEEP: u32 = 1;
/// The longest sleep without a check whether the peer is alive: half the time within which a death
/// is noticed, and half the limit of a plain read.
pub(crate) const SLICE: Duration = Duration::from_millis(50);
/// The longest sleep where the kernel has no `membarrier`, so a notification may be missed.
const UNSURE_SLICE: Duration = Duration::from_millis(1);

/// Looks that a call makes before it begins to wait, still in its turn and without reading a clock:
/// half a microsecond, within which a busy peer answers. Fewer in the model, and for the fuzzer,
/// which must make many calls.
pub(crate) const QUICK_LOOKS: u32 = looks(512, 8);

/// A doorbell, how to sleep on it, and how to wake the sleepers.
pub(crate) trait Doorbell {
    /// The fence of the notifier.
    #[inline(always)]
    fn light_fence(&self) {
        light_fence(); // of W1
    }
    /// The futex word.
    fn word(&self) -> &Shared32;
    /// Sleeps while the word is `seen`, at most for `slice`.
    fn sleep(&self, seen: u32, slice: Duration) -> Slept;
    /// Wakes all sleepers.
    fn wake(&self);
}

/// Wakes the sleepers of `bell`; costs one load if there are none.
#[inline(always)]
pub(crate) fn notify(bell: impl Doorbell) {
    bell.light_fence(); // W1
    let seen = bell.word().get();
    if seen & ASLEEP != 0 {
        wake(bell, seen);
    }
}

/// How often the word may change during a wake-up. It changes more often only if a participant
/// breaks the rules. Then all are woken and the bit stays set, which costs the next notification a
/// system call.
const WAKE_TRIES: u32 = 16;

#[cold]
#[inline(never)]
fn wake(bell: impl Doorbell, mut seen: u32) {
    for _ in 0..WAKE_TRIES {
        if seen & ASLEEP == 0 {
            return;
        }
        match bell.word().exchange(seen, (seen & !ASLEEP).wrapping_add(2)) {
            // W1: the sleeper's kernel compares the word; N1
            Ok(_) => return bell.wake(),
            Err(now) => seen = now,
        }
    }
    bell.wake();
}

/// The bit is set: no later notification is missed.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Armed {
    seen: u32,
    longest: Duration,
}

impl Armed {
    /// `Some`: the kernel has no `membarrier`, so a notification may be missed; look again after this
    /// time.
    pub(crate) fn limit(&self) -> Option<Duration> {
        (self.longest < SLICE).then_some(self.longest)
    }
}

/// Announces that a thread is about to sleep on `bell`. Before it does ([`sleep`]), it must look
/// once more for what it waits for.
pub(crate) fn arm(bell: &impl Doorbell) -> Armed {
    let seen = bell.word().raise(ASLEEP); // W1
    let longest = if heavy_fence() { SLICE } else { UNSURE_SLICE }; // W1
    Armed { seen, longest }
}

/// Sleeps until a notification, at most for `limit` or a slice; returns at once if there was one
/// since `bell` was armed.
pub(crate) fn sleep(bell: &impl Doorbell, armed: Armed, limit: Duration) -> Slept {
    bell.sleep(armed.seen, limit.min(armed.longest))
}
