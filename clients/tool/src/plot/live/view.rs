//! What of the history is shown, and how: by keys.

use std::collections::HashMap;
use std::time::{Duration, Instant};

use ratatui::crossterm::event::KeyCode;

use super::history::{Feed, History};

/// How far back curves may reach, in milliseconds.
const BASES: [i64; 18] = [
    10, 20, 50, 100, 200, 500, 1000, 2000, 5000, 10_000, 20_000, 30_000, 60_000, 120_000, 300_000, 600_000, 1_800_000, 3_600_000,
];
const USUAL: usize = 9;
/// So many curves are shown at the beginning.
const SHOWN: usize = 8;
/// Between two pictures.
const FRAME: Duration = Duration::from_millis(50);
/// Rates are of at least this time.
const RATED: Duration = Duration::from_secs(1);
/// Clocks that differ by more than this are not the same clock.
const SAME_CLOCK: i64 = 3_600_000_000_000;

/// The state that keys change.
pub(crate) struct View {
    /// What is looked at.
    pub(super) title: String,
    /// Place in [`BASES`].
    base: usize,
    /// The ends of the axes that are not automatic, by unit.
    pub(super) scales: HashMap<String, (f64, f64)>,
    /// The ends of the axes on the screen.
    pub(super) drawn: HashMap<String, (f64, f64)>,
    /// The newest times when the curves were stopped.
    paused: Option<Vec<Option<i64>>>,
    pub(super) marked: usize,
    /// Which curves are shown; those that have no place here yet are by default.
    shown: Vec<bool>,
    /// Samples of each stream, and when they were counted; and the rates since the count before.
    counted: (Vec<u64>, Instant),
    pub(super) rates: Vec<f64>,
}

impl View {
    pub(crate) fn new(title: String) -> View {
        View {
            title,
            base: USUAL,
            scales: HashMap::new(),
            drawn: HashMap::new(),
            paused: None,
            marked: 0,
            shown: Vec::new(),
            counted: (Vec::new(), Instant::now()),
            rates: Vec::new(),
        }
    }

    /// How far back curves reach, in nanoseconds.
    pub(super) fn back(&self) -> i64 {
        BASES[self.base] * 1_000_000
    }

    pub(super) fn is_paused(&self) -> bool {
        self.paused.is_some()
    }

    /// The times that are shown of a stream. All streams end at the same time, if they have the same
    /// clock.
    pub(super) fn span(&self, history: &History, stream: usize) -> (i64, i64) {
        let newest = self.paused.clone().unwrap_or_else(|| newest(history));
        let own = newest.get(stream).copied().flatten().unwrap_or_default();
        let last = newest.into_iter().flatten().filter(|other| other.abs_diff(own) < SAME_CLOCK as u64).max();
        let end = last.unwrap_or(own);
        (end.saturating_sub(self.back()), end)
    }

    pub(super) fn is_shown(&self, curve: usize) -> bool {
        self.shown.get(curve).copied().unwrap_or(curve < SHOWN)
    }

    /// Counts samples, now and then.
    pub(super) fn count(&mut self, history: &History) {
        let passed = self.counted.1.elapsed();
        if passed < RATED && !self.counted.0.is_empty() {
            return;
        }
        let counts: Vec<u64> = history.streams.iter().map(|stream| stream.samples).collect();
        let rate = |(now, before): (&u64, &u64)| (now - before) as f64 / passed.as_secs_f64();
        self.rates = counts.iter().zip(&self.counted.0).map(rate).collect();
        self.counted = (counts, Instant::now());
    }

    /// How long until the next picture.
    pub(super) fn wait(&self) -> Duration {
        FRAME
    }

    /// Reacts to a key; `false` ends the command.
    pub(super) fn key(&mut self, key: KeyCode, feed: &Feed) -> bool {
        let history = feed.lock();
        let count = history.curves.len();
        match key {
            KeyCode::Char('q') | KeyCode::Esc => return false,
            KeyCode::Left => self.base = self.base.saturating_sub(1),
            KeyCode::Right => self.base = (self.base + 1).min(BASES.len() - 1),
            KeyCode::Up | KeyCode::Char('k') => self.marked = self.marked.saturating_sub(1),
            KeyCode::Down | KeyCode::Char('j') => self.marked = (self.marked + 1).min(count.saturating_sub(1)),
            KeyCode::Home => self.marked = 0,
            KeyCode::End => self.marked = count.saturating_sub(1),
            KeyCode::Enter => self.show(count, |at, is_shown, marked| if at == marked { !is_shown } else { is_shown }),
            KeyCode::Char('o') => self.show(count, |at, _, marked| at == marked),
            KeyCode::Char('a') => self.show(count, |_, _, _| true),
            KeyCode::Char(' ') => {
                self.paused = if self.is_paused() { None } else { Some(newest(&history)) };
            }
            KeyCode::Char('+') => self.zoom(&history, 0.5),
            KeyCode::Char('-') => self.zoom(&history, 2.0),
            KeyCode::PageUp => self.lift(&history, 0.25),
            KeyCode::PageDown => self.lift(&history, -0.25),
            KeyCode::Char('0') => self.scales.clear(),
            _ => {}
        }
        true
    }

    fn show(&mut self, count: usize, is_shown: impl Fn(usize, bool, usize) -> bool) {
        self.shown = (0..count).map(|at| is_shown(at, self.is_shown(at), self.marked)).collect();
    }

    /// Changes the scale of the marked curve.
    fn zoom(&mut self, history: &History, factor: f64) {
        self.scale(history, |low, high| {
            let (middle, half) = (f64::midpoint(low, high), factor * (high - low) / 2.0);
            (middle - half, middle + half)
        });
    }

    /// Moves the part of the axis that is shown up or down.
    fn lift(&mut self, history: &History, by: f64) {
        self.scale(history, |low, high| (low + by * (high - low), high + by * (high - low)));
    }

    fn scale(&mut self, history: &History, change: impl Fn(f64, f64) -> (f64, f64)) {
        let Some(curve) = history.curves.get(self.marked) else { return };
        let Some(&(low, high)) = self.drawn.get(&curve.unit) else { return };
        let (low, high) = change(low, high);
        // A scale has room for a mark, and doubles for its length.
        if (high - low).is_finite() && high - low > 1e-12 * low.abs().max(high.abs()).max(1e-290) {
            self.scales.insert(curve.unit.clone(), (low, high));
            self.drawn.insert(curve.unit.clone(), (low, high));
        }
    }
}

fn newest(history: &History) -> Vec<Option<i64>> {
    history.streams.iter().map(|stream| stream.newest).collect()
}

#[cfg(test)]
mod tests {
    use super::super::super::choice::Choice;
    use super::*;
    use crate::record::Time;
    use crate::signals::Signals;

    fn at(sec: i64) -> Option<Time> {
        Some(Time { sec, nsec: 0 })
    }

    #[test]
    fn streams_of_one_clock_end_together_and_others_by_themselves() {
        let feed = Feed::new(&["a", "b", "c"], Choice::default());
        for (stream, sec) in [(0, 1_700_000_100), (1, 1_700_000_090), (2, 50)] {
            feed.add(stream, &Signals::default(), [(at(sec), &[0][..])]);
        }
        let view = View::new(String::new());
        let ends = |view: &View| [0, 1, 2].map(|stream| view.span(&feed.lock(), stream).1 / 1_000_000_000);
        assert_eq!(ends(&view), [1_700_000_100, 1_700_000_100, 50]);
    }

    #[test]
    fn a_pause_holds_the_time_and_keys_choose() {
        let feed = Feed::new(&[""], Choice::default());
        feed.add(0, &Signals::default(), [(at(10), &[0, 0, 0][..])]);
        let mut view = View::new(String::new());
        assert!(view.key(KeyCode::Char(' '), &feed));
        feed.add(0, &Signals::default(), [(at(99), &[0, 0, 0][..])]);
        assert_eq!(view.span(&feed.lock(), 0).1, 10_000_000_000);
        assert!(view.key(KeyCode::Char(' '), &feed));
        assert_eq!(view.span(&feed.lock(), 0).1, 99_000_000_000);
        let shown = |view: &View| [0, 1, 2].map(|at| view.is_shown(at));
        for (key, wanted) in [
            (KeyCode::Down, [true, true, true]),
            (KeyCode::Enter, [true, false, true]),
            (KeyCode::Char('o'), [false, true, false]),
            (KeyCode::Char('a'), [true, true, true]),
        ] {
            assert!(view.key(key, &feed));
            assert_eq!(shown(&view), wanted, "{key:?}");
        }
        let back = view.back();
        view.key(KeyCode::Right, &feed);
        assert!(view.back() > back);
        (0..50).for_each(|_| _ = view.key(KeyCode::Left, &feed));
        assert_eq!(view.back(), 10_000_000);
        assert!(!view.key(KeyCode::Char('q'), &feed));
    }
}
