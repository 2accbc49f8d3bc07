//! Sleeping and waking.
//!
//! A doorbell is a futex word: bit 0 says that somebody sleeps, the rest counts the wake-ups. A sleeper
//! sets the bit, looks once more, and sleeps while the word stays as it is. A notifier looks at the bit
//! only; when it is set, it clears it, counts, and wakes all.
//!
//! | edge | hot side | rare side |
//! |---|---|---|
//! | W1 | notifier: what it publishes, light fence, load the bell | sleeper: set the bit, heavy fence, look for what is published, only then sleep |
//!
//! At least one sees the other's store, so nobody sleeps through a notification (`atomics`, asymmetric fences). A notifier that dies
//! between the change of the word and the wake-up leaves the others asleep until their slice is over.

use crate::protocol::atomics::{Shared32, heavy_fence, light_fence};
use crate::sys::Slept;
use crate::sys::trial::looks;
use std::time::Duration;

const ASLEEP: u32 = 1;
/// The longest sleep without a look at whether the peer lives: half of the time within which a death is noticed, and of
/// a plain read.
pub(crate) const SLICE: Duration = Duration::from_millis(50);
/// The same where the kernel has no `membarrier` and a notification may be missed.
const UNSURE_SLICE: Duration = Duration::from_millis(1);

/// Looks before a call that finds nothing begins to wait, in its turn and without a clock: half a microsecond, within which a peer that is at work
/// answers. Few for the fuzzer, which is to make many calls, and for the model.
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
    /// Wakes all who sleep.
    fn wake(&self);
}

/// Wakes the sleepers of `bell`; a load when there are none.
#[inline(always)]
pub(crate) fn notify(bell: impl Doorbell) {
    bell.light_fence(); // W1
    let seen = bell.word().get();
    if seen & ASLEEP != 0 {
        wake(bell, seen);
    }
}

/// How often the word may change under the hands of who wakes. More often only if somebody does not keep to the rules; then all are woken, and the
/// bit stays, which costs the next notification a system call.
const WAKE_TRIES: u32 = 16;

#[cold]
#[inline(never)]
fn wake(bell: impl Doorbell, mut seen: u32) {
    for _ in 0..WAKE_TRIES {
        if seen & ASLEEP == 0 {
            return;
        }
        match bell.word().exchange(seen, (seen & !ASLEEP).wrapping_add(2)) {
            // W1: the sleeper's kernel compares the word
            Ok(_) => return bell.wake(),
            Err(now) => seen = now,
        }
    }
    bell.wake();
}

/// The bit is set: a notification from now on is not missed.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Armed {
    seen: u32,
    longest: Duration,
}

/// Says that a thread is about to sleep on `bell`. It must look once more for what it waits for before it does
/// ([`sleep`]).
pub(crate) fn arm(bell: &impl Doorbell) -> Armed {
    let seen = bell.word().raise(ASLEEP); // W1
    let longest = if heavy_fence() { SLICE } else { UNSURE_SLICE }; // W1
    Armed { seen, longest }
}

/// Sleeps until a notification, unless there was one since `bell` was armed; at most for `limit`, or a slice.
pub(crate) fn sleep(bell: &impl Doorbell, armed: Armed, limit: Duration) -> Slept {
    bell.sleep(armed.seen, limit.min(armed.longest))
}
