//! What live curves are drawn from: the newest samples, finely and for long.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError, TryLockError};

use super::super::choice::{Choice, Part};
use super::super::curves::{Shape, nanoseconds};
use super::super::envelope::Envelope;
use crate::record::Time;
use crate::record::value::show;
use crate::signals::{SignalType, Signals};
use villas_shm_picture::numbers;

/// Pieces of time that each level has.
const PIECES: usize = 2048;
/// The pieces of the finest level: 16 µs, 33 ms in all.
const FINEST: u32 = 14;
/// How much longer those of the next one are: four times.
const STEP: u32 = 2;
/// With these, an hour fits into the coarsest level.
const LEVELS: u32 = 10;
/// Further signals have no curves.
const MOST: usize = 40;
/// A time that is this much earlier than the one before, in nanoseconds, is that of another run.
const RESTART: i64 = 1_000_000_000;

/// One live curve.
pub(crate) struct Curve {
    pub(crate) name: String,
    pub(crate) unit: String,
    pub(crate) kind: SignalType,
    pub(crate) shape: Shape,
    /// Which of the streams it is from.
    pub(crate) stream: usize,
    /// The newest value, if there is one.
    newest: Option<u64>,
    levels: Vec<Envelope>,
    part: Part,
    /// Its value's place in a sample.
    index: usize,
    /// Its place among those that were asked for.
    rank: usize,
}

impl Curve {
    /// The finest envelope that reaches back for so long, in nanoseconds.
    pub(crate) fn envelope(&self, back: i64) -> &Envelope {
        let reaches = |level: &&Envelope| (PIECES as i64) << level.shift() >= back;
        self.levels.iter().find(reaches).unwrap_or(&self.levels[self.levels.len() - 1])
    }

    /// The newest value in few characters.
    pub(crate) fn value(&self) -> String {
        match (self.newest, self.part) {
            (None, _) => "–".into(),
            (Some(bits), Part::Integer | Part::Boolean) => show(self.kind, bits),
            (Some(bits), part) => numbers::short(part.of(bits)),
        }
    }
}

/// The samples of one direction, or of a file.
pub(crate) struct Stream {
    /// What stands before the names of its signals.
    pub(crate) mark: String,
    /// Samples that have come.
    pub(crate) samples: u64,
    /// The time of the newest one, in nanoseconds.
    pub(crate) newest: Option<i64>,
    /// Values that have been looked at.
    known: usize,
    /// Signals without a curve.
    pub(crate) left: usize,
}

/// Everything that has come.
pub(crate) struct History {
    pub(crate) streams: Vec<Stream>,
    pub(crate) curves: Vec<Curve>,
    /// Samples that were missed, of all streams.
    pub(crate) missed: u64,
    /// Whether what they come from is not there now.
    pub(crate) is_gone: bool,
    /// Why nothing more comes; else whether the curves stay on the screen.
    pub(crate) end: Option<Result<bool, String>>,
    choice: Choice,
}

impl History {
    /// Adds the next sample of a stream. A sample without a time has come now.
    pub(crate) fn add(&mut self, stream: usize, signals: &Signals, time: Option<Time>, values: &[u64]) {
        let time = time.and_then(nanoseconds).or_else(|| nanoseconds(Time::now())).unwrap_or_default();
        for index in self.streams[stream].known..values.len() {
            self.add_curves(stream, signals, index);
        }
        let state = &mut self.streams[stream];
        state.known = state.known.max(values.len());
        state.samples += 1;
        let is_restart = state.newest.is_some_and(|newest| time < newest.saturating_sub(RESTART));
        if is_restart || state.newest.is_none_or(|newest| newest < time) {
            state.newest = Some(time);
        }
        for curve in self.curves.iter_mut().filter(|curve| curve.stream == stream) {
            curve.newest = values.get(curve.index).copied();
            if is_restart {
                curve.levels = levels();
            }
            let value = curve.newest.map_or(f64::NAN, |bits| curve.part.of(bits));
            curve.levels.iter_mut().for_each(|level| level.push(time, value));
        }
    }

    /// Begins anew: other signals follow.
    pub(crate) fn forget(&mut self) {
        self.curves.clear();
        for stream in &mut self.streams {
            (stream.newest, stream.known, stream.left) = (None, 0, 0);
        }
    }

    fn add_curves(&mut self, stream: usize, signals: &Signals, index: usize) {
        let kind = signals.kind(index);
        for (rank, part, name) in self.choice.parts(&signals.name(index), kind) {
            if self.curves.len() == MOST {
                self.streams[stream].left += 1;
                break;
            }
            let unit = signals.get(index).map_or("", |signal| signal.unit()).into();
            let levels = levels();
            self.curves.push(Curve { name, unit, kind, shape: kind.into(), stream, newest: None, levels, part, index, rank });
        }
        self.curves.sort_by_key(|curve| (curve.stream, curve.rank));
    }
}

fn levels() -> Vec<Envelope> {
    (0..LEVELS).map(|level| Envelope::newest(FINEST + STEP * level, PIECES)).collect()
}

/// Takes samples in, from any thread.
#[derive(Clone)]
pub(crate) struct Feed(Arc<Mutex<History>>);

impl Feed {
    /// For streams with these marks; only the chosen signals are kept.
    pub(crate) fn new(marks: &[&str], choice: Choice) -> Feed {
        let stream = |mark: &&str| Stream { mark: (*mark).into(), samples: 0, newest: None, known: 0, left: 0 };
        let history = History {
            streams: marks.iter().map(stream).collect(),
            curves: Vec::new(),
            missed: 0,
            is_gone: false,
            end: None,
            choice,
        };
        Feed(Arc::new(Mutex::new(history)))
    }

    /// Adds samples of a stream, the oldest first.
    pub(crate) fn add<'a>(&self, stream: usize, signals: &Signals, samples: impl IntoIterator<Item = (Option<Time>, &'a [u64])>) {
        let mut history = self.lock();
        for (time, values) in samples {
            history.add(stream, signals, time, values);
        }
    }

    /// Nothing more comes.
    pub(crate) fn end(&self, outcome: Result<bool, String>) {
        self.lock().end = Some(outcome);
    }

    pub(crate) fn lock(&self) -> MutexGuard<'_, History> {
        // Nothing is left half done by a thread that panics here.
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The history, unless it is being drawn.
    pub(crate) fn try_lock(&self) -> Option<MutexGuard<'_, History>> {
        match self.0.try_lock() {
            Ok(history) => Some(history),
            Err(TryLockError::Poisoned(history)) => Some(history.into_inner()),
            Err(TryLockError::WouldBlock) => None,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn feed(samples: impl Iterator<Item = (i64, f64)>) -> Feed {
        let feed = Feed::new(&["→"], Choice::default());
        for (time, value) in samples {
            let time = Time { sec: time.div_euclid(1_000_000_000), nsec: time.rem_euclid(1_000_000_000) as u32 };
            feed.add(0, &Signals::default(), [(Some(time), &[value.to_bits()][..])]);
        }
        feed
    }

    #[test]
    fn short_times_are_fine_and_long_ones_have_every_peak() {
        // 20 000 samples a second for a minute, with one peak at its beginning.
        let feed = feed((0..1_200_000).map(|at| (at * 50_000, if at == 7 { 9.0 } else { 0.0 })));
        let history = feed.lock();
        let newest = history.streams[0].newest.unwrap();
        let fine: Vec<_> = history.curves[0].envelope(10_000_000).between(newest - 10_000_000, newest).collect();
        assert!(fine.len() > 190, "each sample of ten milliseconds: {}", fine.len());
        let minute = history.curves[0].envelope(60_000_000_000).between(0, newest);
        assert_eq!(minute.filter(|bucket| bucket.max == 9.0).count(), 1);
        assert_eq!(history.curves[0].envelope(i64::MAX).shift(), FINEST + STEP * (LEVELS - 1));
        assert!((PIECES as i64) << (FINEST + STEP * (LEVELS - 1)) > 3_600_000_000_000);
    }

    #[test]
    fn a_run_that_begins_anew_is_drawn_from_its_beginning() {
        let feed = feed([(5_000_000_000, 1.0), (6_000_000_000, 2.0), (0, 3.0), (1000, 4.0)].into_iter());
        let history = feed.lock();
        assert_eq!(history.streams[0].newest, Some(1000));
        assert_eq!(history.curves[0].envelope(1).span(), Some((0, 1000)));
        assert_eq!(history.curves[0].value(), "4");
    }

    #[test]
    fn values_are_said_by_their_types() {
        let feed = Feed::new(&[""], Choice::default());
        let signals: Signals = "fib".parse().unwrap();
        feed.add(0, &signals, [(None, &[0.25_f64.to_bits(), 9_007_199_254_740_993, 1][..])]);
        let values: Vec<String> = feed.lock().curves.iter().map(Curve::value).collect();
        assert_eq!(values, ["0.25", "9007199254740993", "1"]);
    }
}
