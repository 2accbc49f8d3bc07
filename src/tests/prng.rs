//! Pseudo-random numbers for tests that corrupt regions.
//!
//! `VILLAS_SHM_FUZZ_SECONDS=N` runs for N seconds, from a seed of the clock;
//! `VILLAS_SHM_FUZZ_SEED=N` selects another sequence. A failure prints its case, which reproduces
//! it.

use std::panic::{AssertUnwindSafe, catch_unwind, resume_unwind};
use std::time::{Duration, Instant, SystemTime};

/// splitmix64.
pub(crate) struct Prng(pub(crate) u64);

impl Prng {
    pub(crate) fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut x = self.0;
        x = (x ^ (x >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        x = (x ^ (x >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        x ^ (x >> 31)
    }

    pub(crate) fn below(&mut self, end: usize) -> usize {
        (self.next() % end.max(1) as u64) as usize
    }

    pub(crate) fn one_of<T: Copy>(&mut self, values: &[T]) -> T {
        values[self.below(values.len())]
    }
}

/// How many cases a plain run tries.
const CASES: u64 = if cfg!(debug_assertions) { 3_000 } else { 10_000 };

/// Tries cases; returns how many.
pub(crate) fn try_cases(mut case: impl FnMut(&mut Prng)) -> u64 {
    let number = |name: &str| std::env::var(name).ok().map(|value| value.parse::<u64>().unwrap());
    let seconds = number("VILLAS_SHM_FUZZ_SECONDS");
    let clock = || SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).unwrap().as_nanos() as u64;
    let first = number("VILLAS_SHM_FUZZ_SEED").unwrap_or_else(|| if seconds.is_some() { clock() } else { 1 });
    println!("VILLAS_SHM_FUZZ_SEED={first}");
    let end = Instant::now() + Duration::from_secs(seconds.unwrap_or(0));
    let mut cases = 0;
    while if seconds.is_some() { Instant::now() < end } else { cases < CASES } {
        let (seed, begin) = (first.wrapping_add(cases), Instant::now());
        catch_unwind(AssertUnwindSafe(|| case(&mut Prng(seed)))).unwrap_or_else(|why| {
            eprintln!("VILLAS_SHM_FUZZ_SEED={seed} finds it at once");
            resume_unwind(why)
        });
        assert!(begin.elapsed() < Duration::from_secs(20), "VILLAS_SHM_FUZZ_SEED={seed} takes {:?}", begin.elapsed());
        cases += 1;
    }
    cases
}
