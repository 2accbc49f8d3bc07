//! Pairs of kills: a process before each of its stores, and its successor before stores of its
//! repair. If the first was in the middle of something, there is something to repair, and stores
//! are taken densely; otherwise sparsely. With `REPAIRS=all` in the environment, all are taken.

use std::time::Instant;

/// The result of a run.
pub(crate) struct Fate {
    /// How many processes were killed, one after the other.
    pub(crate) deaths: usize,
    /// The first of them was in the middle of what matters.
    pub(crate) was_inside: bool,
    /// The last of them was beyond what must be swept.
    pub(crate) was_beyond: bool,
}

/// Which stores of the repair are taken: one of so many.
pub(crate) struct Strides {
    pub(crate) inside: u64,
    pub(crate) elsewhere: u64,
}

/// The least that a sweep must find, or it has missed its purpose.
pub(crate) struct Least {
    /// Stores of the longest repair.
    pub(crate) repair: u64,
    /// Pairs whose first process was inside.
    pub(crate) inside: u32,
}

/// Sweeps pairs of kills. `dies` runs processes that are killed before these stores, one after the
/// other; `where_inside` is for people.
pub(crate) fn repair_sweep(what: &str, where_inside: &str, strides: &Strides, least: &Least, dies: impl Fn(&[u64]) -> Fate) {
    let start = Instant::now();
    let all = std::env::var("REPAIRS").is_ok_and(|value| value == "all");
    let stride = |is_inside: bool| {
        if all {
            1
        } else if is_inside {
            strides.inside
        } else {
            strides.elsewhere
        }
    };
    let (mut pairs, mut pairs_inside, mut longest) = (0, 0, 0);
    for first in 0.. {
        // Another offset each time, so that all stores of the repair are met.
        let mut is_inside = false;
        let mut second = first % stride(false);
        loop {
            let fate = dies(&[first, second]);
            if fate.deaths == 0 {
                let seconds = start.elapsed().as_secs_f64();
                println!(
                    "{what}: {pairs} pairs of kills, {pairs_inside} of them with the first {where_inside}, up to {longest} stores of repair, {seconds:.1} s"
                );
                assert!(longest >= least.repair, "{what}: the successors did not repair: {longest} stores");
                assert!(pairs_inside >= least.inside, "{what}: only {pairs_inside} pairs of kills with the first {where_inside}");
                return;
            }
            if fate.was_inside && !is_inside {
                is_inside = true;
                let begin = first % stride(true);
                if begin != second {
                    second = begin;
                    continue;
                }
            }
            if fate.deaths == 1 || fate.was_beyond {
                break;
            }
            (pairs, pairs_inside, longest) = (pairs + 1, pairs_inside + u32::from(fate.was_inside), longest.max(second + 1));
            second += stride(is_inside);
        }
    }
}
