//! Sleeping and waking.
//!
//! A doorbell is a futex word: bit 0 says that a thread sleeps, the highest bits are promises, the
//! others count the wake-ups. A sleeper sets bit 0, looks once more, and sleeps while the word stays
//! unchanged. A notifier loads only the word; if the bit is set, the notifier clears it, counts, and
//! wakes all.
//!
//! For that load the sleeper pays, with a heavy fence: tens of microseconds where both sides are busy.
//! So a notifier that has woken somebody promises to change the word with each of its next
//! notifications, and while a promise is left, a sleeper needs no heavy fence.
//!
//! | edge | notifier | sleeper, which sleeps only then |
//! |---|---|---|
//! | W1 | what it publishes, light fence, load the bell | set the bit, find no promise, heavy fence, look for what is published |
//! | W2 | what it publishes, then takes a promise off the bell | set the bit, find a promise, look for what is published |
//! | W3 | out of turn: what it publishes, fence, load the bell | set the bit, fence, look for what is published |
//!
//! No thread sleeps through a notification. W1 and W3: at least one of the two sees the other's store
//! (for W1 see `atomics`, asymmetric fences). W2: of two changes of one word the later one sees the
//! earlier. If the notifier's is later, it finds the bit, or that somebody has counted since; if the
//! sleeper's is, it acquires what the notifier has published.
//!
//! Between threads of one side ([`notify_own`]) turns do the same: a sleeper sets the bit before the
//! turn in which it looks, and of two turns the later one sees all of the earlier.
//!
//! Promises are made and taken back by one process only, in the turns of its side. So its load never
//! shows fewer than there are, and after a sleeper has found one, a change follows before a mere
//! load. A bell that any number of processes notify has no promises. Others promise nothing and take
//! none back. A process that goes on after another has taken its side over may break this; then a
//! sleeper sleeps until its slice is over.
//!
//! If a notifier dies between changing the word and the wake-up, the sleepers sleep until their slice is
//! over. Promises of a dead process are its successor's.

use crate::protocol::atomics::{Ordering, Shared32, fence, heavy_fence, light_fence};
use crate::sys::Slept;
use crate::sys::trial::looks;
use std::time::Duration;

pub(super) const ASLEEP: u32 = 1;
/// One promise, and as many as fit.
pub(crate) const PROMISE: u32 = 1 << 27;
pub(crate) const PROMISES: u32 = 31 * PROMISE;
/// What counts the wake-ups.
pub(crate) const COUNT: u32 = !(ASLEEP | PROMISES);
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
    /// Whether nobody but this side notifies in a turn.
    fn is_sole_notifier(&self) -> bool;
    /// Sleeps while the word is `seen`, at most for `slice`.
    fn sleep(&self, seen: u32, slice: Duration) -> Slept;
    /// Wakes all sleepers.
    fn wake(&self);
}

/// Wakes the sleepers of `bell`; costs one load if there are none and none was woken lately.
#[inline(always)]
pub(crate) fn notify(bell: impl Doorbell) {
    bell.light_fence(); // W1
    let seen = bell.word().get();
    if seen & !COUNT != 0 {
        notify_changing(bell, seen);
    }
}

/// As [`notify`], without the turn of this side.
#[cold]
pub(crate) fn notify_out_of_turn(bell: impl Doorbell) {
    fence(Ordering::SeqCst); // W3
    notify_own(bell);
}

/// As [`notify`], for the bell of this side itself, which the other side notifies by promises.
#[inline(always)]
pub(crate) fn notify_own(bell: impl Doorbell) {
    let seen = bell.word().get();
    if seen & ASLEEP != 0 {
        wake(bell, seen, false);
    }
}

#[cold]
#[inline(never)]
fn notify_changing(bell: impl Doorbell, mut seen: u32) {
    if seen & PROMISES != 0 {
        seen = bell.word().lessen(PROMISE); // W2
    }
    if seen & ASLEEP != 0 {
        let promises = bell.is_sole_notifier();
        wake(bell, seen, promises);
    }
}

/// How often the word may change during a wake-up. It hardly ever changes more often, unless a
/// participant breaks the rules. Then all are woken and the bit stays set, which costs the next
/// notification a system call.
const WAKE_TRIES: u32 = 16;

#[cold]
#[inline(never)]
fn wake(bell: impl Doorbell, mut seen: u32, promises: bool) {
    for _ in 0..WAKE_TRIES {
        if seen & ASLEEP == 0 {
            return;
        }
        let made = if promises { PROMISES } else { seen & PROMISES };
        match bell.word().exchange(seen, seen.wrapping_add(2) & COUNT | made) {
            // W1, W2: the sleeper's kernel compares the word; N1
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
    let seen = bell.word().raise(ASLEEP); // W1, W2
    let is_sure = if seen & PROMISES != 0 {
        fence(Ordering::SeqCst); // W3
        true
    } else {
        heavy_fence() // W1, W3
    };
    let longest = if is_sure { SLICE } else { UNSURE_SLICE };
    Armed { seen, longest }
}

/// Sleeps until a notification, at most for `limit` or a slice; returns at once if there was one
/// since `bell` was armed.
pub(crate) fn sleep(bell: &impl Doorbell, armed: Armed, limit: Duration) -> Slept {
    bell.sleep(armed.seen, limit.min(armed.longest))
}
