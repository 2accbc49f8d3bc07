//! How a call waits. It spins for a bounded time, if recent spins helped ([`Habit`]), then sleeps
//! in slices. In `polling` mode it only spins.
//!
//! A call alternates between an attempt, in its turn, and a step of [`Patience`], in which other
//! threads have theirs. Before it sleeps, it arms its bell and makes one more attempt, so that it
//! sleeps through nothing that comes in between (`doorbell`).

use crate::error::{Error, Result as Fallible};
use crate::protocol::atomics::relax;
use crate::protocol::doorbell;
use crate::protocol::gate::{Common, Idle, Pass};
use crate::protocol::interrupts::Interrupts;
use crate::sys::Slept;
use crate::sys::thread::{Uncancelled, is_confined};
use crate::sys::trial::usual_or;
use std::sync::atomic::{AtomicBool, AtomicU32, AtomicU64, Ordering::Relaxed};
use std::time::{Duration, Instant};

/// What a waiting call needs from its region.
pub(crate) trait Watched {
    /// What a waiter can look at without a turn, to see whether an attempt is worthwhile.
    type Hint;
    /// Proof that a thread has announced that it is about to sleep.
    type Armed;

    /// Whether an attempt is worthwhile.
    fn is_worth_a_look(&self, hint: &Self::Hint) -> bool;
    /// Whether only an attempt can tell.
    fn is_blind(&self, hint: &Self::Hint) -> bool;
    /// Whether an attempt will end the wait, whatever the hint says.
    fn is_over(&self, hint: &Self::Hint) -> bool;
    /// Prepares a sleep, which anything that happens from now on ends. The caller makes one more
    /// attempt before [`Watched::sleep`].
    fn arm(&self, hint: &Self::Hint) -> Self::Armed;
    /// Sleeps until something happens, at most for `limit`, or a slice.
    fn sleep(&self, hint: &Self::Hint, armed: Self::Armed, limit: Duration) -> Slept;
    /// The interruptions of waits.
    fn interrupts(&self) -> &Interrupts;
    /// Whether a waiter only spins and never sleeps.
    fn is_polling(&self) -> bool;
    /// What waits of this kind have taught. `None`: their duration teaches nothing.
    fn habit(&self, hint: &Self::Hint) -> Option<&Habit>;
    /// Asks the kernel whether the peers are alive.
    fn probe(&self);
    /// Whether a probe is due now, ahead of its time.
    fn wants_probe(&self) -> bool;
    /// Time since the last probe.
    fn since_probe(&self) -> Duration;
    /// The longest sleep before another attempt.
    fn longest_sleep(&self, _hint: &Self::Hint) -> Duration {
        doorbell::SLICE
    }
}

/// How long a call may wait.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Limit {
    /// Not at all.
    Now,
    /// For this long; then `EAGAIN` or `ETIMEDOUT`.
    For(Duration, i32),
    /// Without limit.
    Forever,
}

impl Limit {
    /// Of a plain `read` or `wait`, which returns so soon that its caller can check a flag.
    pub(crate) const PLAIN: Limit = Limit::For(Duration::from_millis(100), libc::EAGAIN);

    /// The interface's timeout: `None` is no limit.
    pub(crate) fn timeout(timeout: Option<Duration>) -> Limit {
        timeout.map_or(Limit::Forever, |t| Limit::For(t, libc::ETIMEDOUT))
    }
}

/// One attempt of a call that may wait.
pub(crate) enum Attempt<T, H> {
    Done(T),
    /// Nothing yet; wait by this hint.
    Wait(H),
}

/// Makes attempts until one is done, the limit is over (`Ok(Err(errno))`), or one fails. Not for
/// the fast path.
///
/// Tells `attempt` whether a sleep will follow if it has to wait.
pub(crate) fn repeat<S: Common + Watched, C: Idle, T>(
    limit: &Limit,
    mut pass: Pass<'_, S, C>,
    closed: impl Fn() -> Error,
    mut attempt: impl FnMut(&S, &mut C, bool) -> Fallible<Attempt<T, S::Hint>>,
) -> Fallible<Result<T, i32>> {
    let _whole = Uncancelled::new();
    let mut patience = Patience::new(limit, pass.parts().0);
    let mut ended = None;
    let mut last = None;
    loop {
        let (watched, core) = pass.parts();
        let hint = match attempt(watched, core, patience.armed.is_some())? {
            Attempt::Done(value) => {
                if let Some(hint) = &last {
                    patience.teach(watched, hint, true);
                }
                return Ok(Ok(value));
            }
            Attempt::Wait(hint) => hint,
        };
        if let Some(why) = ended {
            patience.teach(watched, &hint, false);
            if why == libc::EINTR {
                watched.interrupts().answer();
            }
            return Ok(Err(why));
        }
        let paused = pass.pause();
        ended = paused.with(|watched| patience.step(watched, &hint, || paused.is_closed()).err());
        if paused.is_closed() {
            // Drop the armed state first: it may be counted in a region that is unmapped when this
            // thread leaves.
            drop(patience);
            return Err(closed());
        }
        pass = paused.resume();
        last = Some(hint);
    }
}

/// Looks at the hint between two looks at the clock.
const LOOKS: u32 = 64;
/// A yield that takes less has switched to no other thread.
const SWITCH: Duration = Duration::from_micros(1);
/// How long to spin before sleeping: about the cost of a sleep and a wake-up. The fuzzer's peers
/// are in the same thread, so spinning does not help there.
const SPIN: Duration = Duration::from_micros(usual_or(50, 5) as u64);

/// The longest wait without a spin that a spin could have replaced. The peer may be asleep too, so
/// two wake-ups pass.
const SOON: Duration = Duration::from_micros(3 * SPIN.as_micros() as u64);
/// After this many failed spins, the pauses between spins stop growing.
const MOST_VAIN: u32 = 6;

/// Whether waits of one kind spin before they sleep: only while that helps.
///
/// A backoff: after a failed spin, waits sleep at once until N of them have ended soon (N = 0, 1,
/// 3, 7 … 31 for successive failures). Each successful spin cancels one failed spin. So waits of
/// milliseconds do not spin at all, and waits that are slightly too long for a spin hardly ever do.
/// Two sides that sleep on each other return to spinning. Threads that share a side may lose each
/// other's updates, which costs a spin or a sleep.
#[derive(Default)]
pub(crate) struct Habit {
    /// Failed spins, less successful ones; at most [`MOST_VAIN`].
    vain: AtomicU32,
    /// How many waits must still end soon before the next spin.
    rest: AtomicU32,
    /// Whether the last wait's thread was confined to one processor that others wanted too.
    shares: AtomicBool,
}

impl Habit {
    fn spins(&self) -> bool {
        self.rest.load(Relaxed) == 0
    }

    /// Notes the end of a wait. `soon`: a spin sufficed, or would have.
    fn learn(&self, spun: bool, soon: bool) {
        let (vain, rest) = (self.vain.load(Relaxed), self.rest.load(Relaxed));
        match (spun, soon) {
            (true, true) => self.vain.store(vain.saturating_sub(1), Relaxed),
            (true, false) => {
                self.vain.store((vain + 1).min(MOST_VAIN), Relaxed);
                self.rest.store((1 << vain.min(MOST_VAIN - 1)) - 1, Relaxed);
            }
            (false, true) => self.rest.store(rest.saturating_sub(1), Relaxed),
            (false, false) => {}
        }
    }
}

/// State that all waits of one side share.
pub(crate) struct Pace {
    opened: Instant,
    /// When the peer was last probed, in microseconds after `opened`.
    probed: AtomicU64,
    interrupts: Interrupts,
    pub(crate) for_samples: Habit,
    pub(crate) for_room: Habit,
}

impl Pace {
    pub(crate) fn new() -> Pace {
        Pace {
            opened: Instant::now(),
            probed: AtomicU64::new(0),
            interrupts: Interrupts::new(),
            for_samples: Habit::default(),
            for_room: Habit::default(),
        }
    }

    /// Notes a probe of the peer; returns its time in microseconds after `opened`.
    pub(crate) fn note_probe(&self) -> u64 {
        let now = self.micros();
        self.probed.store(now, Relaxed);
        now
    }

    /// Microseconds after `opened`.
    pub(crate) fn micros(&self) -> u64 {
        self.opened.elapsed().as_micros() as u64
    }

    /// Time since the last probe of the peer.
    pub(crate) fn since_probe(&self) -> Duration {
        self.opened.elapsed().saturating_sub(Duration::from_micros(self.probed.load(Relaxed)))
    }

    /// Probes the peer unless a recent call did: for callers that do not wait.
    pub(crate) fn probe_now_and_then(&self, watched: &impl Watched) {
        if self.since_probe() >= doorbell::SLICE {
            watched.probe();
        }
    }

    pub(crate) fn interrupts(&self) -> &Interrupts {
        &self.interrupts
    }
}

/// The state of a waiting call.
struct Patience<W: Watched> {
    limit: Limit,
    clock: Option<Clock>,
    armed: Option<W::Armed>,
    /// The interruptions that are no reason to end this wait.
    seen: u64,
}

struct Clock {
    started: Instant,
    deadline: Option<Instant>,
    /// `None`: never sleep. `started`: do not spin.
    spin_until: Option<Instant>,
    slept: bool,
    next_probe: Instant,
    next_yield: Instant,
    looked: bool,
    /// Whether the thread may run on one processor only, once that is known.
    confined: Option<bool>,
}

impl<W: Watched> Patience<W> {
    fn new(limit: &Limit, watched: &W) -> Patience<W> {
        Patience { limit: *limit, clock: None, armed: None, seen: watched.interrupts().seen() }
    }

    /// Waits for one step. `Ok`: make another attempt. `Err`: the wait is over, with this `errno`.
    fn step(&mut self, watched: &W, hint: &W::Hint, is_closed: impl Fn() -> bool) -> Result<(), i32> {
        if let Some(armed) = self.armed.take() {
            return self.sleep(watched, hint, armed);
        }
        if matches!(self.limit, Limit::Now) {
            return Err(libc::EAGAIN);
        }
        if self.clock.is_none() {
            self.start_clock(watched, hint);
        }
        loop {
            if is_closed() || watched.is_over(hint) {
                return Ok(());
            }
            let (now, probed) = self.check(watched)?;
            if probed {
                // Every probe allows an attempt, whatever the hint says: an attempt also finds out
                // what no hint tells.
                return Ok(());
            }
            if self.clock.as_ref().and_then(|c| c.spin_until).is_some_and(|until| now >= until) {
                self.armed = Some(watched.arm(hint));
                return Ok(());
            }
            self.give_way(watched.habit(hint), now);
            for _ in 0..LOOKS {
                if watched.is_worth_a_look(hint) {
                    return Ok(());
                }
                relax();
            }
            if watched.is_blind(hint) {
                return Ok(());
            }
        }
    }

    /// Yields the processor regularly: if there are more spinners than processors, the awaited
    /// thread may have none. A thread that may run on one processor only yields each time, since
    /// the awaited thread may be waiting for that one; if it is not, such a yield costs less than a
    /// microsecond.
    ///
    /// The first looks come before the system call that tells, unless the last wait has shown that
    /// the processor is shared. Otherwise two threads, each with a processor of its own, could make
    /// each other late by yields, so that each wait of theirs is long enough for one.
    fn give_way(&mut self, habit: Option<&Habit>, now: Instant) {
        let Some(clock) = &mut self.clock else { return };
        let learn = |shares| habit.into_iter().for_each(|habit| habit.shares.store(shares, Relaxed));
        if clock.confined.is_none() && (clock.looked || habit.is_some_and(|habit| habit.shares.load(Relaxed))) {
            clock.confined = Some(is_confined());
            learn(false);
        }
        clock.looked = true;
        if clock.confined == Some(true) {
            let from = Instant::now();
            std::thread::yield_now();
            learn(from.elapsed() >= SWITCH);
        } else if now >= clock.next_yield {
            std::thread::yield_now();
            clock.next_yield = now + SPIN;
        }
    }

    fn start_clock(&mut self, watched: &W, hint: &W::Hint) {
        let now = Instant::now();
        let spin = if watched.habit(hint).is_none_or(Habit::spins) { SPIN } else { Duration::ZERO };
        let deadline = match self.limit {
            Limit::For(limit, _) => now.checked_add(limit),
            _ => None,
        };
        self.clock = Some(Clock {
            started: now,
            deadline,
            spin_until: (!watched.is_polling()).then(|| now + spin),
            slept: false,
            next_yield: now + SPIN,
            looked: false,
            confined: None,
            // Counted from the last probe of any call, so that a loop of short waits does not put
            // it off.
            next_probe: now + doorbell::SLICE.saturating_sub(watched.since_probe()),
        });
    }

    /// Checks the clock and the interruptions. Returns the time, and whether the peer was probed.
    fn check(&mut self, watched: &W) -> Result<(Instant, bool), i32> {
        if watched.interrupts().is_due(self.seen) {
            return Err(libc::EINTR);
        }
        let now = Instant::now();
        let mut probed = false;
        if let Some(clock) = &mut self.clock {
            if now >= clock.next_probe || watched.wants_probe() {
                watched.probe();
                clock.next_probe = now + doorbell::SLICE;
                probed = true;
            }
            if clock.deadline.is_some_and(|deadline| now >= deadline) {
                // Probe while awake: then a caller that reads in a loop is not woken once more soon
                // after.
                if !probed && watched.since_probe() >= doorbell::SLICE / 2 {
                    watched.probe();
                }
                return Err(match self.limit {
                    Limit::For(_, errno) => errno,
                    _ => libc::ETIMEDOUT,
                });
            }
        }
        Ok((now, probed))
    }

    /// Teaches the habit at the end of a wait. `done`: the awaited thing has come.
    fn teach(&self, watched: &W, hint: &W::Hint, done: bool) {
        let (Some(habit), Some(clock)) = (watched.habit(hint), &self.clock) else { return };
        let Some(spin_until) = clock.spin_until else { return };
        let spun = spin_until > clock.started;
        habit.learn(spun, done && if spun { !clock.slept } else { clock.started.elapsed() <= SOON });
    }

    fn sleep(&mut self, watched: &W, hint: &W::Hint, armed: W::Armed) -> Result<(), i32> {
        let (now, _) = self.check(watched)?;
        if watched.is_over(hint) {
            return Ok(());
        }
        if let Some(clock) = &mut self.clock {
            clock.slept = true;
        }
        let deadline = self.clock.as_ref().and_then(|c| c.deadline);
        let next_probe = self.clock.as_ref().map_or(now + doorbell::SLICE, |c| c.next_probe);
        let until = deadline.map_or(next_probe, |deadline| deadline.min(next_probe));
        let limit = until.saturating_duration_since(now).min(watched.longest_sleep(hint));
        match watched.sleep(hint, armed, limit) {
            Slept::Signal => Err(libc::EINTR),
            Slept::Woken | Slept::Slice => Ok(()),
        }
    }
}

#[cfg(test)]
#[path = "tests/unit/waiting.rs"]
mod tests;
