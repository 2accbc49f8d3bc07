//! Time, and time on a processor.

use nix::time::{ClockId, clock_gettime};
use std::sync::OnceLock;

fn read(clock: ClockId) -> u64 {
    let at = clock_gettime(clock).expect("the clocks that Linux has");
    at.tv_sec() as u64 * 1_000_000_000 + at.tv_nsec() as u64
}

/// Nanoseconds since a moment that is the same for all processes.
#[must_use]
pub fn now_ns() -> u64 {
    read(ClockId::CLOCK_MONOTONIC)
}

/// Nanoseconds that all threads of this process have spent on a processor.
#[must_use]
pub fn cpu_ns() -> u64 {
    read(ClockId::CLOCK_PROCESS_CPUTIME_ID)
}

/// The processor's own counter, if it has one: reading it takes a third of the time of the system's
/// clock. It does not serialise, so a reading may be about ten instructions early or late.
#[cfg(target_arch = "x86_64")]
#[inline(always)]
#[must_use]
pub fn ticks() -> u64 {
    // SAFETY: every x86-64 processor has the instruction.
    unsafe { std::arch::x86_64::_rdtsc() }
}

/// The system's clock.
#[cfg(not(target_arch = "x86_64"))]
#[inline(always)]
#[must_use]
pub fn ticks() -> u64 {
    now_ns()
}

/// Nanoseconds per tick; the first call measures it, for 20 ms.
#[must_use]
pub fn ns_per_tick() -> f64 {
    static RATE: OnceLock<f64> = OnceLock::new();
    *RATE.get_or_init(|| {
        let (from, first) = (now_ns(), ticks());
        while now_ns() < from + 20_000_000 {}
        let (last, to) = (ticks(), now_ns());
        (to - from) as f64 / (last - first) as f64
    })
}

/// The nanoseconds between two readings of [`ticks`].
#[inline(always)]
#[must_use]
pub fn ns_between(from: u64, to: u64, ns_per_tick: f64) -> u64 {
    (to.wrapping_sub(from) as f64 * ns_per_tick) as u64
}
