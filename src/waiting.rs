//! How a call waits: it spins for a bounded time, if that has paid off lately ([`Habit`]), then sleeps in slices; `polling` only spins.
//!
//! A call alternates between an attempt, in its turn, and a step of [`Patience`], in which others have theirs. Before
//! it sleeps, its bell is armed and one more attempt is made, so that nothing that comes in between is slept through
//! (`doorbell`, edge W1).

use crate::error::{Error, Result as Fallible};
use crate::protocol::atomics::relax;
use crate::protocol::doorbell;
use crate::protocol::gate::{Common, Idle, Pass};
use crate::protocol::interrupts::Interrupts;
use crate::sys::Slept;
use crate::sys::thread::Uncancelled;
use crate::sys::trial::usual_or;
use std::sync::atomic::{AtomicU32, AtomicU64, Ordering::Relaxed};
use std::time::{Duration, Instant};

/// What a waiting call must know of its region.
pub(crate) trait Watched {
    /// What can be looked at without a turn, to see whether an attempt is worth it.
    type Hint;
    /// Says that a thread is about to sleep.
    type Armed;

    /// Whether an attempt is worth it.
    fn is_worth_a_look(&self, hint: &Self::Hint) -> bool;
    /// Whether nothing but an attempt can tell.
    fn is_blind(&self, hint: &Self::Hint) -> bool;
    /// Whether the attempt will end the wait, whatever the hint says.
    fn is_over(&self, hint: &Self::Hint) -> bool;
    /// Before a sleep: what happens from now on ends it. One more attempt is made before [`Watched::sleep`].
    fn arm(&self, hint: &Self::Hint) -> Self::Armed;
    /// Sleeps until something happens, at most for `limit`, or a slice.
    fn sleep(&self, hint: &Self::Hint, armed: Self::Armed, limit: Duration) -> Slept;
    /// What interrupts the waits.
    fn interrupts(&self) -> &Interrupts;
    /// Who waits spins and never sleeps.
    fn is_polling(&self) -> bool;
    /// What the waits of this kind have taught. `None`: nothing can be learnt from how long one takes.
    fn habit(&self, hint: &Self::Hint) -> Option<&Habit>;
    /// Asks the kernel whether the others are alive.
    fn probe(&self);
    /// Whether that must not wait for its time.
    fn wants_probe(&self) -> bool;
    /// How long ago it was done.
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
    /// So long; `EAGAIN` or `ETIMEDOUT` then.
    For(Duration, i32),
    /// Until it comes.
    Forever,
}

impl Limit {
    /// As in the interface: `None` is no limit.
    pub(crate) fn timeout(timeout: Option<Duration>) -> Limit {
        timeout.map_or(Limit::Forever, |t| Limit::For(t, libc::ETIMEDOUT))
    }
}

/// One attempt of a call that may wait.
pub(crate) enum Attempt<T, H> {
    Done(T),
    /// Nothing yet; what to look at.
    Wait(H),
}

/// Makes attempts until one is done, the limit is over (`Ok(Err(errno))`), or one fails. Not for the hot path.
///
/// `attempt` is told whether a sleep will follow if it has to wait.
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
            // First what is armed, which may be counted in a region that goes when this thread leaves.
            drop(patience);
            return Err(closed());
        }
        pass = paused.resume();
        last = Some(hint);
    }
}

/// Looks between two of the clock.
const LOOKS: u32 = 64;
/// How long to spin before sleeping: about what a sleep and a wake-up cost.
/// The fuzzer's peers are the same thread, so that spinning does not help.
const SPIN: Duration = Duration::from_micros(usual_or(50, 5) as u64);

/// A wait that sleeps at once takes at most so long if a spin would have been enough: the peer may be asleep too, so that two wake-ups pass.
const SOON: Duration = Duration::from_micros(3 * SPIN.as_micros() as u64);
/// From so many spins in vain on, the rests between them get no longer.
const MOST_VAIN: u32 = 6;

/// Whether waits of one kind spin before they sleep: only while that pays off.
///
/// A spin in vain is followed by a rest, in which waits sleep at once, until so many of them have ended soon: none after the first, then 1, 3, 7, up
/// to 31. Each spin that was not in vain undoes one that was. So waits of milliseconds do not spin at all, waits that are a little too long for a
/// spin hardly ever do, and two sides that sleep on each other find back to spinning. Threads that share a side may lose what another has noted,
/// which costs a spin or a sleep.
#[derive(Default)]
pub(crate) struct Habit {
    /// Spins in vain, less those that were not; at most [`MOST_VAIN`].
    vain: AtomicU32,
    /// How many waits must end soon before the next spin.
    rest: AtomicU32,
}

impl Habit {
    fn spins(&self) -> bool {
        self.rest.load(Relaxed) == 0
    }

    /// A wait is over. `soon`: a spin was enough, or would have been.
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

/// What the waits of one side have in common.
pub(crate) struct Pace {
    opened: Instant,
    /// When the peer was probed last, in microseconds after `opened`.
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

    /// Notes that the peer is probed now; microseconds since the channel was opened.
    pub(crate) fn note_probe(&self) -> u64 {
        let now = self.opened.elapsed().as_micros() as u64;
        self.probed.store(now, Relaxed);
        now
    }

    /// How long ago the peer was probed.
    pub(crate) fn since_probe(&self) -> Duration {
        self.opened.elapsed().saturating_sub(Duration::from_micros(self.probed.load(Relaxed)))
    }

    /// Probes the peer, unless that was done a short time ago: for callers that do not wait.
    pub(crate) fn probe_now_and_then(&self, watched: &impl Watched) {
        if self.since_probe() >= doorbell::SLICE {
            watched.probe();
        }
    }

    pub(crate) fn interrupts(&self) -> &Interrupts {
        &self.interrupts
    }
}

/// Where a waiting call stands.
struct Patience<W: Watched> {
    limit: Limit,
    clock: Option<Clock>,
    armed: Option<W::Armed>,
    /// The interruptions that this wait need not answer.
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
}

impl<W: Watched> Patience<W> {
    fn new(limit: &Limit, watched: &W) -> Patience<W> {
        Patience { limit: *limit, clock: None, armed: None, seen: watched.interrupts().seen() }
    }

    /// Waits a while. `Ok`: make another attempt. `Err`: the wait is over, with this `errno`.
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
                // Now and then an attempt, whatever the hint says: it also finds out what no hint tells.
                return Ok(());
            }
            if self.clock.as_ref().and_then(|c| c.spin_until).is_some_and(|until| now >= until) {
                self.armed = Some(watched.arm(hint));
                return Ok(());
            }
            self.give_way(now);
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

    /// Now and then offers the processor to others: where there are more spinners than processors, the one that is
    /// waited for may have none.
    fn give_way(&mut self, now: Instant) {
        let Some(clock) = &mut self.clock else { return };
        if now >= clock.next_yield {
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
            // Goes on from the last probe, whichever call made it: a loop of short waits must not put it off.
            next_probe: now + doorbell::SLICE.saturating_sub(watched.since_probe()),
        });
    }

    /// Looks at the clock and at what else may end the wait: the time, and whether the peer was probed.
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
                // Awake anyhow: who reads again and again so is not woken once more for the probe soon after.
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

    /// The wait is over. `done`: what it was for has come.
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
