//! What happened between two looks at an object, in events per second.

use villas_shm::inspect::{Entry, Queue};

/// The rates of one queue.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub(super) struct QueueRates {
    pub(super) written: f64,
    pub(super) read: f64,
}

/// The rates of one object. They need two looks.
#[derive(Clone, Debug, Default)]
pub(super) struct Rates {
    queues: Vec<QueueRates>,
    counters: Vec<f64>,
}

impl Rates {
    /// `None`: the looks are not at the same object at different moments.
    pub(super) fn between(before: &Entry, now: &Entry) -> Option<Rates> {
        let seconds = now.at.checked_duration_since(before.at)?.as_secs_f64();
        if seconds <= 0.0 || !now.is_same_object(before) {
            return None;
        }
        let queue = |(before, now): (&Queue, &Queue)| QueueRates {
            written: per_second(before.written, now.written, seconds),
            read: per_second(before.read, now.read, seconds),
        };
        Some(Rates {
            queues: before.queues.iter().zip(&now.queues).map(queue).collect(),
            counters: before.counters.iter().zip(&now.counters).map(|(b, n)| per_second(b.1, n.1, seconds)).collect(),
        })
    }

    pub(super) fn queue(&self, at: usize) -> Option<QueueRates> {
        self.queues.get(at).copied()
    }

    pub(super) fn counter(&self, at: usize) -> Option<f64> {
        self.counters.get(at).copied()
    }

    /// The rate of all writes.
    pub(super) fn total(&self) -> f64 {
        self.queues.iter().map(|queue| queue.written).sum()
    }
}

/// Counters wrap; one that seems to go back was read during a change.
fn per_second(before: u64, now: u64, seconds: f64) -> f64 {
    (now.wrapping_sub(before) as i64).max(0) as f64 / seconds
}

/// At most five characters: `0`, `0.4`, `37`, `999`, `1.0k`, `12k`, `1.4M`. `-`: unknown.
pub(super) fn say(rate: Option<f64>) -> String {
    let Some(mut rate) = rate else { return "-".into() };
    if rate == 0.0 {
        return "0".into();
    }
    for unit in ["", "k", "M", "G"] {
        if rate < 9.95 {
            return format!("{rate:.1}{unit}");
        }
        if rate < 999.5 {
            return format!("{rate:.0}{unit}");
        }
        rate /= 1000.0;
    }
    format!("{rate:.0}T")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rates_are_short() {
        let texts = [
            (0.0, "0"),
            (0.04, "0.0"),
            (0.4, "0.4"),
            (9.96, "10"),
            (999.4, "999"),
            (999.6, "1.0k"),
            (12_345.0, "12k"),
            (999_700.0, "1.0M"),
            (1.44e6, "1.4M"),
            (2e15, "2000T"),
        ];
        for (rate, text) in texts {
            assert_eq!(say(Some(rate)), text);
        }
        assert_eq!(say(None), "-");
    }

    #[test]
    fn a_counter_that_wraps_goes_on_and_one_that_falls_stands() {
        assert_eq!(per_second(u64::MAX, 9, 2.0), 5.0);
        assert_eq!(per_second(9, 8, 1.0), 0.0);
    }
}
