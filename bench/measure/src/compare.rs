//! A yardstick and contenders in turns, and the results.

use crate::Times;
use crate::clock::now_ns;
use crate::no_times;
use crate::rig::{Rig, Took};

/// Two yardsticks agree if they differ by at most this fraction of the larger one.
pub const TOLERANCE: f64 = 0.25;

/// How long to measure.
#[derive(Clone, Copy, Debug)]
pub struct Plan {
    /// Slices of each contender.
    pub rounds: usize,
    /// After this many nanoseconds no slice begins, once each contender has had one.
    pub limit_ns: f64,
    /// Nanoseconds of a slice.
    pub slice_ns: f64,
}

/// Then all contenders are closed and opened again: the memory that an opening gets decides about
/// their times, as much as they do.
const ROUNDS_OF_A_START: usize = 2;

/// One slice of a contender.
#[derive(Clone, Copy, Debug)]
pub struct Slice {
    /// Its times.
    pub took: Took,
    /// The mean of the two adjacent yardsticks, in nanoseconds per item.
    pub yard_ns: f64,
    /// Whether the two yardsticks agree.
    pub counts: bool,
}

/// The results of one contender.
pub struct Outcome {
    /// Its number in the rig.
    pub index: usize,
    /// For people.
    pub name: String,
    /// All slices.
    pub slices: Vec<Slice>,
    /// The items of slices that were timed item by item, each slice with its yardstick; empty for
    /// streams.
    timed: Vec<(f64, Times)>,
    /// Items of all slices.
    pub items: u64,
    /// Bytes of shared memory.
    pub memory: u64,
    /// The smallest and the largest yardstick of the group's slices that count.
    range: (f64, f64),
}

/// Middle and spread of some figures.
#[derive(Clone, Copy, Debug)]
pub struct Spread {
    /// The median; for an even number, the mean of the two in the middle.
    pub median: f64,
    /// The tenth percentile.
    pub low: f64,
    /// The ninetieth percentile.
    pub high: f64,
    /// The number of figures.
    pub count: usize,
}

impl Spread {
    /// The spread of the figures; `None` if there are none.
    #[must_use]
    pub fn of(figures: impl IntoIterator<Item = f64>) -> Option<Spread> {
        let mut figures: Vec<f64> = figures.into_iter().collect();
        figures.sort_by(f64::total_cmp);
        let count = figures.len();
        let at = |part: f64| figures[(part * (count - 1) as f64).round() as usize];
        let median = || f64::midpoint(figures[(count - 1) / 2], figures[count / 2]);
        (count > 0).then(|| Spread { median: median(), low: at(0.1), high: at(0.9), count })
    }
}

/// The distance of the two processors.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Place {
    /// The yardstick was below the geometric mean of the smallest and the largest.
    Near,
    /// It was not.
    Far,
}

/// The percentiles to show, followed by the maximum.
pub const PERCENTILES: [f64; 5] = [50.0, 90.0, 99.0, 99.9, 99.99];

/// A percentile. `None` if less than one item is beyond it: it would be the maximum under another
/// name.
#[must_use]
pub fn percentile(times: &Times, percentile: f64) -> Option<u64> {
    let beyond = times.len() as f64 * (1.0 - percentile / 100.0);
    // Slightly less than 1, because of binary rounding: 1000 items have not exactly one beyond
    // 99.9.
    (beyond >= 1.0 - 1e-6).then(|| times.value_at_percentile(percentile))
}

impl Outcome {
    /// How many slices count, and how many there are.
    #[must_use]
    pub fn counted(&self) -> (usize, usize) {
        (self.slices.iter().filter(|slice| slice.counts).count(), self.slices.len())
    }

    /// The place that a yardstick indicates; `None` if near and far do not differ.
    fn place(&self, yard_ns: f64) -> Option<Place> {
        let (low, high) = self.range;
        (high > 2.0 * low).then_some(if yard_ns * yard_ns < low * high { Place::Near } else { Place::Far })
    }

    /// The spread over the slices that count, at `place` if one is given.
    fn spread(&self, place: Option<Place>, figure: impl Fn(&Slice) -> f64) -> Option<Spread> {
        let wanted = |slice: &&Slice| slice.counts && (place.is_none() || self.place(slice.yard_ns) == place);
        Spread::of(self.slices.iter().filter(wanted).map(figure))
    }

    /// The contender's time for an item, divided by the yardstick's.
    #[must_use]
    pub fn ratio(&self, place: Option<Place>) -> Option<Spread> {
        self.spread(place, |slice| slice.took.ns / slice.yard_ns)
    }

    /// The contender's rate of items, divided by the yardstick's.
    #[must_use]
    pub fn rate_ratio(&self, place: Option<Place>) -> Option<Spread> {
        self.spread(place, |slice| slice.yard_ns / slice.took.ns)
    }

    /// The contender's time for an item, divided by that of another one of its group in the same
    /// round, and in how many rounds both count: the median of the ratios. The yardstick does not
    /// enter, which may be fast in one start and slow in the next.
    #[must_use]
    pub fn beside(&self, other: &Outcome) -> Option<(f64, usize)> {
        let rounds = self.slices.iter().zip(&other.slices).filter(|(own, other)| own.counts && other.counts);
        let ratio = Spread::of(rounds.map(|(own, other)| own.took.ns / other.took.ns))?;
        Some((ratio.median, ratio.count))
    }

    /// Nanoseconds per item.
    #[must_use]
    pub fn ns(&self, place: Option<Place>) -> Option<Spread> {
        self.spread(place, |slice| slice.took.ns)
    }

    /// Nanoseconds of processor time per item, of both processes; the same number is seconds per
    /// 10^9 items.
    #[must_use]
    pub fn cpu_ns(&self) -> Option<Spread> {
        self.spread(None, |slice| slice.took.cpu_ns)
    }

    /// All items that were timed one by one, including those of slices that do not count: they are
    /// the tail. `None` for a stream.
    #[must_use]
    pub fn times(&self, place: Option<Place>) -> Option<Times> {
        let mut all = no_times();
        for (yard_ns, times) in &self.timed {
            if place.is_none() || self.place(*yard_ns) == place {
                all.add(times).expect("histograms with the same bounds");
            }
        }
        (!all.is_empty()).then_some(all)
    }

    fn new(index: usize, name: String, memory: u64) -> Outcome {
        Outcome { index, name, slices: Vec::new(), timed: Vec::new(), items: 0, memory, range: (1.0, 1.0) }
    }
}

/// How many items a slice has: as many as take `slice_ns` on an undisturbed machine. The fastest
/// slice shows that, because other work on the machine makes slices longer, never shorter. If it
/// makes them much longer, they get fewer items, so that measuring ends.
struct Length {
    slice_ns: f64,
    fastest: f64,
    last: f64,
}

/// How many times longer than planned other work may make a slice.
const MOST_STRETCH: f64 = 8.0;

impl Length {
    /// Found by a few slices, each longer than the one before.
    fn find(rig: &mut Rig, index: usize, slice_ns: f64) -> Length {
        let mut length = Length { slice_ns, fastest: f64::MAX, last: 0.0 };
        let mut count = 1;
        loop {
            let from = now_ns();
            rig.run(index, count, None);
            let ns = (now_ns() - from) as f64;
            length.saw(ns / count as f64);
            if length.fastest * count as f64 >= slice_ns / 4.0 || ns >= slice_ns {
                return length;
            }
            count *= if ns < slice_ns / 64.0 { 8 } else { 2 };
        }
    }

    fn saw(&mut self, ns: f64) {
        self.last = ns;
        self.fastest = self.fastest.min(ns);
    }

    fn count(&self) -> u64 {
        1 + (self.slice_ns / self.fastest.max(self.last / MOST_STRETCH)) as u64
    }
}

/// Measures a group: one yardstick and contenders, in turns. The yardstick's own outcome comes
/// first.
///
/// With `Timed::Apart`, each round has an additional slice whose items are timed one by one. It
/// does not enter the ratio, because reading the clock takes time. Contenders that read the clock
/// anyway (asleep) use the same slice for both.
pub fn group(rig: &mut Rig, yard: usize, contenders: &[usize], plan: Plan, timed: Timed) -> Vec<Outcome> {
    let all: Vec<usize> = std::iter::once(yard).chain(contenders.iter().copied()).collect();
    let began = now_ns();
    let mut outcomes: Vec<Outcome> = Vec::new();
    let mut lengths = Vec::new();
    for &index in &all {
        let memory = rig.open(index);
        lengths.push(Length::find(rig, index, plan.slice_ns));
        outcomes.push(Outcome::new(index, rig.contender(index).name(), memory));
    }
    // The yardstick has another length for its turns between contenders.
    let mut between = Length { ..lengths[0] };
    let mut before = rig.run(yard, between.count(), None).ns;
    'rounds: for round in 0..plan.rounds {
        if round > 0 && round % ROUNDS_OF_A_START == 0 {
            for (outcome, length) in outcomes.iter().zip(&lengths) {
                rig.close(outcome.index);
                rig.open(outcome.index);
                rig.run(outcome.index, 1 + length.count() / 8, None); // touches its memory
            }
            before = rig.run(yard, between.count(), None).ns;
        }
        for (outcome, length) in outcomes.iter_mut().zip(&mut lengths) {
            if !outcome.slices.is_empty() && (now_ns() - began) as f64 >= plan.limit_ns {
                break 'rounds;
            }
            for pass in 0..=usize::from(timed == Timed::Apart) {
                let mut times = (timed == Timed::Same || pass == 1).then(no_times);
                let count = length.count();
                let took = rig.run(outcome.index, count, times.as_mut());
                outcome.items += count;
                length.saw(took.ns);
                let after = rig.run(yard, between.count(), None).ns;
                between.saw(after);
                let yard_ns = f64::midpoint(before, after);
                if pass == 0 {
                    let counts = (after - before).abs() <= TOLERANCE * after.max(before);
                    outcome.slices.push(Slice { took, yard_ns, counts });
                }
                outcome.timed.extend(times.map(|times| (yard_ns, times)));
                before = after;
            }
        }
    }
    let range = range(&outcomes);
    for outcome in &mut outcomes {
        outcome.range = range;
        rig.close(outcome.index);
    }
    outcomes
}

/// Only slices that count: a slice during which other work ran, and whose yardstick took many times
/// as long, would make all others near.
fn range(outcomes: &[Outcome]) -> (f64, f64) {
    let yards = outcomes.iter().flat_map(|outcome| &outcome.slices).filter(|slice| slice.counts).map(|slice| slice.yard_ns);
    yards.fold((f64::MAX, 0.0), |(low, high), yard| (low.min(yard), high.max(yard)))
}

/// Whether items are timed one by one.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Timed {
    /// No.
    Not,
    /// In slices of their own.
    Apart,
    /// In the slices that enter the ratio.
    Same,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_median_of_an_even_number_is_between_the_two_in_the_middle() {
        let median = |figures: &[f64]| Spread::of(figures.iter().copied()).map(|spread| spread.median);
        assert_eq!(median(&[]), None);
        assert_eq!(median(&[3.0]), Some(3.0));
        assert_eq!(median(&[3.0, 1.0]), Some(2.0));
        assert_eq!(median(&[9.0, 1.0, 2.0]), Some(2.0));
        assert_eq!(median(&[9.0, 1.0, 2.0, 4.0]), Some(3.0));
    }

    #[test]
    fn a_percentile_beyond_which_there_is_nothing_is_left_out() {
        let mut times = no_times();
        for ns in 1..=1000 {
            times.record(ns).unwrap();
        }
        assert_eq!(PERCENTILES.map(|at| percentile(&times, at).is_some()), [true, true, true, true, false]);
        assert_eq!(percentile(&no_times(), 50.0), None);
    }

    #[test]
    fn a_slice_that_does_not_count_does_not_move_near_and_far() {
        let slice = |yard_ns, counts| Slice { took: Took { ns: 2.0 * yard_ns, cpu_ns: 0.0 }, yard_ns, counts };
        let mut outcome = Outcome::new(0, String::new(), 0);
        outcome.slices = [(100.0, true), (110.0, true), (300.0, true), (40_000.0, false)].map(|(ns, is)| slice(ns, is)).into();
        outcome.range = range(std::slice::from_ref(&outcome));
        let count = |place| outcome.ratio(Some(place)).map(|spread| spread.count);
        assert_eq!((count(Place::Near), count(Place::Far)), (Some(2), Some(1)));
    }

    #[test]
    fn contenders_are_compared_round_by_round_where_both_count() {
        let outcome = |slices: [(f64, bool); 4]| {
            let mut outcome = Outcome::new(0, String::new(), 0);
            outcome.slices = slices.map(|(ns, counts)| Slice { took: Took { ns, cpu_ns: 0.0 }, yard_ns: 1.0, counts }).into();
            outcome
        };
        let own = outcome([(30.0, true), (99.0, true), (60.0, true), (24.0, false)]);
        let other = outcome([(10.0, true), (1.0, false), (30.0, true), (1.0, true)]);
        assert_eq!(own.beside(&other), Some((2.5, 2)));
        assert_eq!(own.beside(&outcome([(1.0, false); 4])), None);
    }

    #[test]
    fn where_nothing_counts_there_is_no_near_and_far() {
        let mut outcome = Outcome::new(0, String::new(), 0);
        outcome.range = range(std::slice::from_ref(&outcome));
        assert_eq!(outcome.place(7.0), None);
    }
}
