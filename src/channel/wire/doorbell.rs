//! Sleeping and waking in the `pthread` mode of the wire layout: glibc's condition variable and
//! mutex, word by word.
//!
//! VILLASnode's reader takes the mutex, looks at the queue, and waits on the condition. Its writer
//! pushes, then takes the mutex, broadcasts, and unlocks. Here neither may wait without limit,
//! because the other can die at any instruction, even while it holds the mutex. So this library
//! takes the mutex by its futex word, in slices.
//!
//! A sleeper of this library counts itself among the condition's waiters, as glibc's own do, but
//! sleeps by itself on its group's futex word. It skips what glibc's waiters do after a broadcast
//! (they consume signals, and hold references that a broadcaster may have to wait for) and looks at
//! the queue instead. So its death costs no more than a wake-up for nobody, and a broadcaster never
//! waits for it.
//!
//! | edge | stores | loads | what it carries |
//! |---|---|---|---|
//! | B1 | sleeper, holding the mutex: counts itself in; then lets go, then looks at the queue | writer: pushes, then takes the mutex, then broadcasts | the second to take the mutex sees what the other did before: the sleeper the sample, or the writer the sleeper |
//! | B2 | sleeper: takes the mutex (a locked exchange), then looks or counts itself in, under it | writer: pushes, full fence, sees the mutex free, then nobody counted in | the broadcast may be left out |
//!
//! B2: the mutex may be free because the sleeper has not yet come. Then its exchange comes after
//! the writer's look, so all the sleeper's looks come after the push. Or the mutex may be free
//! because the sleeper has left it. Then its count was stored before the mutex was free, and the
//! writer, which looks at the mutex first, sees the count.
//!
//! All code that touches the condition's words must know their places, and glibc has moved them
//! (2.41). If this process's C library has other words than those below, no sleeper counts itself
//! in: readers nap, and writers always leave the broadcast to the C library.

use crate::layout::glibc::Condition;
use crate::layout::wire::WireView;
use crate::protocol::atomics::{Ordering, Shared32, fence};
use crate::sys::Slept;
use crate::sys::{condition, futex};
use std::time::{Duration, Instant};

const TAKEN: u32 = 1;
const WAITED_FOR: u32 = 2;
/// One thread in the condition's count of waiters; the bits below are flags.
const ONE_WAITS: u32 = 8;
/// The condition's lowest bits: the lock of a thread inside glibc's code.
const INNER_LOCK: u32 = 3;
/// Time between two checks whether a broadcast is possible.
const NAP: Duration = Duration::from_micros(100);

/// The mutex of a region, held; unlocked when dropped.
struct Held<'v>(&'v Shared32);

impl Held<'_> {
    /// Takes the mutex within `limit`.
    fn take(view: &WireView, limit: Duration) -> Option<Held<'_>> {
        let lock = &view.mutex().lock;
        if lock.exchange(0, TAKEN).is_ok() {
            // B1, B2
            return Some(Held(lock));
        }
        let end = Instant::now() + limit;
        while lock.swap(WAITED_FOR) != 0 {
            // B1, B2
            let left = end.saturating_duration_since(Instant::now());
            if left.is_zero() {
                return None;
            }
            futex::wait(lock.as_ptr(), WAITED_FOR, left);
        }
        Some(Held(lock))
    }
}

impl Drop for Held<'_> {
    fn drop(&mut self) {
        if self.0.swap(0) == WAITED_FOR {
            // B1
            futex::wake(self.0.as_ptr());
        }
    }
}

/// This thread counts among the waiters of a region's condition until it drops this.
pub(crate) struct Waiter {
    view: WireView,
    group: usize,
    signals: u32,
}

impl Waiter {
    /// `None`: the mutex stayed locked for `limit`, or the condition's words are not known.
    pub(super) fn new(view: &WireView, limit: Duration) -> Option<Waiter> {
        let (group, signals) = count_in(view, limit, || ())?;
        Some(Waiter { view: *view, group, signals })
    }

    /// Sleeps until the condition is broadcast, at most for `slice`; returns at once if it has been
    /// since.
    pub(super) fn sleep(&self, slice: Duration) -> Slept {
        futex::wait(self.view.condition().signals[self.group].as_ptr(), self.signals, slice)
    }
}

impl Drop for Waiter {
    fn drop(&mut self) {
        count_out(&self.view);
    }
}

/// Counts one more among the waiters of a region's condition, until [`count_out`]. Returns its group
/// and the value of the group's futex word. Nobody broadcasts between the count and `note`. `None`: as
/// [`Waiter::new`].
pub(super) fn count_in(view: &WireView, limit: Duration, note: impl FnOnce()) -> Option<(usize, u32)> {
    if !condition::is_known() {
        return None;
    }
    let _held = Held::take(view, limit)?; // B1, B2
    let condition = view.condition();
    let group = (condition.waiters.add(2) & 1) as usize; // B1, B2
    condition.waiting.add(ONE_WAITS); // B1, B2
    note();
    Some((group, condition.signals[group].observe())) // B1
}

/// Undoes [`count_in`].
pub(super) fn count_out(view: &WireView) {
    let waiting = &view.condition().waiting;
    // The third bit: a thread destroys the condition, and waits for the last waiter to leave.
    if waiting.add(ONE_WAITS.wrapping_neg()) >> 2 == 3 {
        // glibc's own order
        futex::wake(waiting.as_ptr());
    }
}

/// The futex words of both groups, as each broadcast wakes the other one. And a word that only grows:
/// two broadcasts can bring those of the groups back to the values that a helper knows, before it
/// looks.
pub(super) fn bells(view: &WireView) -> [&Shared32; 3] {
    let Condition { signals: [first, second], group_start: [start, _], .. } = view.condition();
    [first, second, start]
}

/// Whether a writer that has pushed must broadcast.
pub(super) fn is_anyone_waiting(view: &WireView) -> bool {
    fence(Ordering::SeqCst); // B2
    !condition::is_known() || view.mutex().lock.observe() != 0 || view.condition().waiting.get() >= ONE_WAITS // B2
}

/// Whether a broadcast would have to wait until the threads that an earlier one woke have left
/// their group, because others wait in the next one. Only for a condition whose words are known.
fn is_old_group_needed(condition: &Condition) -> bool {
    let waiters = condition.waiters.observe(); // B1: under the mutex
    let (new, old) = ((waiters & 1) as usize, (waiters & 1 ^ 1) as usize);
    // B1: under the mutex
    if condition.references[old].observe() >> 1 == 0 {
        return false;
    }
    let [low, high] = &condition.group_start;
    let begin = low.get() >> 1 | high.get() << 31;
    let old_size = condition.inner.get() >> 2;
    ((waiters >> 1) as u32).wrapping_sub(begin).wrapping_sub(old_size).wrapping_add(condition.sizes[new].get()) != 0
}

/// Wakes all waiters of the condition. `false`: the mutex, or the condition's own lock, stayed
/// locked for `limit`.
pub(super) fn broadcast(view: &WireView, limit: Duration) -> bool {
    let Some(_held) = Held::take(view, limit) else { return false }; // B1
    let condition = view.condition();
    if condition::is_known() {
        if condition.waiting.get() < ONE_WAITS {
            return true;
        }
        // B1. glibc waits without limit for what others hold for a few instructions, unless they
        // died or were stopped there.
        let end = Instant::now() + limit;
        // B1: under the mutex
        while condition.inner.observe() & INNER_LOCK != 0 || is_old_group_needed(condition) {
            if Instant::now() >= end {
                return false;
            }
            std::thread::sleep(NAP);
        }
    }
    // SAFETY: an initialised, process-shared condition, mapped and aligned.
    unsafe { libc::pthread_cond_broadcast(std::ptr::from_ref(condition).cast_mut().cast()) == 0 }
}

/// Wakes the sleepers of this library, which then look for the reason. Async-signal-safe.
pub(super) fn shake(view: &WireView) {
    view.condition().signals.iter().for_each(|word| futex::wake(word.as_ptr()));
}
