//! When to send each sample of a recording: at the pace of its timestamps.
//!
//! The moments are counted from the first sample, so that lateness does not add up.

use std::time::{Duration, Instant};

use hdrhistogram::Histogram;

use crate::record::Time;

/// The moments at which samples are due, and how late they were sent.
pub(super) struct Schedule {
    /// How many times as fast as recorded.
    speed: f64,
    /// The first time of the recording, and when its sample was due.
    start: Option<(Time, Instant)>,
    /// The last moment that was due: a time before it, or none, is due at once.
    last: Option<Instant>,
    /// When samples were due that are not sent yet.
    waiting: Vec<Instant>,
    /// In microseconds.
    late: Histogram<u64>,
}

/// Longer delays count as this one, an hour in microseconds.
const LONGEST: u64 = 3_600_000_000;

/// The digits of the figures: to a hundredth.
const DIGITS: u8 = 2;

impl Schedule {
    pub(super) fn new(speed: f64) -> Result<Self, String> {
        let late = Histogram::new_with_max(LONGEST, DIGITS).map_err(|error| format!("cannot count delays: {error}"))?;
        Ok(Self { speed, start: None, last: None, waiting: Vec::new(), late })
    }

    /// Whether no sample was due yet.
    pub(super) fn is_new(&self) -> bool {
        self.start.is_none()
    }

    /// When a sample of this time is due, if it is ready `now`.
    pub(super) fn due(&mut self, origin: Option<Time>, now: Instant) -> Instant {
        let last = *self.last.get_or_insert(now);
        let due = origin.and_then(|origin| {
            let (first, start) = *self.start.get_or_insert((origin, last));
            let (is_before, seconds, nanos) = origin.since(first);
            let after = Duration::try_from_secs_f64((seconds as f64 + f64::from(nanos) * 1e-9) / self.speed).ok();
            // A time beyond the clock's range never comes.
            let far = Duration::from_secs(u64::from(u32::MAX));
            start.checked_add(if is_before { Duration::ZERO } else { after.unwrap_or(far).min(far) })
        });
        let due = due.unwrap_or(last).max(last);
        self.last = Some(due);
        due
    }

    /// Notes that a sample waits to be sent.
    pub(super) fn note(&mut self, due: Instant) {
        self.waiting.push(due);
    }

    /// Notes that the first `count` of those that wait were sent `now`.
    pub(super) fn sent(&mut self, count: usize, now: Instant) {
        for due in self.waiting.drain(..count.min(self.waiting.len())) {
            self.late.saturating_record(now.saturating_duration_since(due).as_micros() as u64);
        }
    }

    /// How late samples were sent, in one line; nothing if none was.
    pub(super) fn summary(&self) -> Option<String> {
        let at = |quantile| show(self.late.value_at_quantile(quantile));
        (!self.late.is_empty()).then(|| {
            let speed = if self.speed == 1.0 { String::new() } else { format!(", {} times as fast", self.speed) };
            format!("sent at the recorded pace{speed}; late by p50 {}, p99 {}, max {}", at(0.5), at(0.99), show(self.late.max()))
        })
    }
}

/// Microseconds, with a unit that fits.
fn show(micros: u64) -> String {
    match micros {
        0..1000 => format!("{micros} µs"),
        1000..1_000_000 => format!("{:.1} ms", micros as f64 / 1e3),
        _ => format!("{:.1} s", micros as f64 / 1e6),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn time(millis: i64) -> Option<Time> {
        Time::default().plus_nanos(i128::from(millis) * 1_000_000)
    }

    #[test]
    fn moments_are_counted_from_the_first_sample() {
        let (now, step) = (Instant::now(), Duration::from_millis(100));
        let mut schedule = Schedule::new(2.0).unwrap();
        assert!(schedule.is_new());
        assert_eq!(schedule.due(time(-5000), now), now);
        // However late the samples before were.
        assert_eq!(schedule.due(time(-4800), now + 7 * step), now + step);
        assert_eq!(schedule.due(time(-4000), now + 9 * step), now + 5 * step);
    }

    #[test]
    fn a_time_that_goes_back_or_is_missing_is_due_with_the_one_before() {
        let now = Instant::now();
        let mut schedule = Schedule::new(1.0).unwrap();
        assert_eq!(schedule.due(None, now), now);
        schedule.due(time(1000), now);
        let last = schedule.due(time(1500), now);
        assert_eq!(last, now + Duration::from_millis(500));
        assert_eq!(schedule.due(time(0), now), last);
        assert_eq!(schedule.due(None, now), last);
        // Not a panic: such a sample never comes.
        assert!(schedule.due(Some(Time { sec: i64::MAX, nsec: 0 }), now) > last);
    }

    #[test]
    fn lateness_is_that_of_the_samples_that_were_sent() {
        let now = Instant::now();
        let mut schedule = Schedule::new(1.0).unwrap();
        assert_eq!(schedule.summary(), None);
        for micros in [0, 100, 5000] {
            schedule.note(now + Duration::from_micros(5000 - micros));
        }
        schedule.sent(2, now + Duration::from_micros(5000));
        schedule.sent(1, now + Duration::from_micros(5000));
        let text = schedule.summary().unwrap();
        assert!(text.contains("p50 100 µs") && text.contains("max 5.0 ms"), "{text}");
    }
}
