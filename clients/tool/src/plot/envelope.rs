//! A curve of any length in bounded memory: the extremes of its values in short pieces of time.

use std::collections::VecDeque;

/// What an envelope of a whole file has at most: several for each pixel of a picture.
const MOST: usize = 8192;

/// The values in a piece of time.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) struct Bucket {
    /// When the first of them was, in nanoseconds.
    pub(crate) time: i64,
    /// When the last of them was.
    pub(crate) end: i64,
    pub(crate) first: f64,
    pub(crate) min: f64,
    pub(crate) max: f64,
    pub(crate) last: f64,
    /// Values are missing between the bucket before and this one.
    pub(crate) is_after_gap: bool,
    /// None of the values is less than the one before.
    rises: bool,
    /// None of the values is more than the one before.
    falls: bool,
}

impl Bucket {
    fn new(time: i64, value: f64, is_after_gap: bool) -> Bucket {
        Bucket { time, end: time, first: value, min: value, max: value, last: value, is_after_gap, rises: true, falls: true }
    }

    fn add(&mut self, time: i64, value: f64) {
        self.then(value);
        self.end = time;
        self.min = self.min.min(value);
        self.max = self.max.max(value);
        self.last = value;
    }

    fn then(&mut self, value: f64) {
        self.rises &= value >= self.last;
        self.falls &= value <= self.last;
    }

    /// The values go from the first to the last without a turn.
    pub(super) fn is_monotonic(&self) -> bool {
        self.rises || self.falls
    }

    /// Takes in what comes after it.
    pub(super) fn merge(&mut self, next: &Bucket) {
        self.then(next.first);
        self.rises &= next.rises;
        self.falls &= next.falls;
        self.min = self.min.min(next.min);
        self.max = self.max.max(next.max);
        (self.end, self.last) = (next.end, next.last);
    }
}

/// What happens when there is no more room.
#[derive(Clone, Copy, Debug)]
enum Full {
    /// The pieces of time become twice as long.
    Coarsen,
    /// The oldest bucket goes.
    Forget,
}

/// The buckets of a curve, in the order of time. A bucket has the times that are equal without
/// their lowest `shift` bits.
#[derive(Clone, Debug)]
pub(crate) struct Envelope {
    buckets: VecDeque<Bucket>,
    shift: u32,
    most: usize,
    full: Full,
    /// The next value comes after missing ones.
    is_broken: bool,
    /// Values that cannot be drawn because they are infinite.
    pub(crate) infinite: u64,
}

impl Envelope {
    /// For a file of any length: exact until more values come than the envelope has room for.
    pub(crate) fn whole() -> Envelope {
        Envelope::new(0, MOST, Full::Coarsen)
    }

    /// For the newest `most` pieces of time, each of two to the power of `shift` nanoseconds.
    pub(crate) fn newest(shift: u32, most: usize) -> Envelope {
        Envelope::new(shift, most, Full::Forget)
    }

    fn new(shift: u32, most: usize, full: Full) -> Envelope {
        Envelope { buckets: VecDeque::new(), shift, most, full, is_broken: false, infinite: 0 }
    }

    /// Takes in a value. NaN, and what is infinite, leaves a gap.
    pub(crate) fn push(&mut self, time: i64, value: f64) {
        if !value.is_finite() {
            self.is_broken = true;
            self.infinite += u64::from(!value.is_nan());
            return;
        }
        let is_after_gap = std::mem::take(&mut self.is_broken);
        let (shift, piece) = (self.shift, time >> self.shift);
        match self.buckets.back_mut() {
            Some(last) if last.time >> shift == piece => last.add(time, value),
            Some(last) if last.time > time => self.insert(time, value),
            _ => self.buckets.push_back(Bucket::new(time, value, is_after_gap)),
        }
        while self.buckets.len() > self.most {
            match self.full {
                Full::Coarsen => self.coarsen(),
                Full::Forget => _ = self.buckets.pop_front(),
            }
        }
    }

    /// For a value that comes later than those that it belongs before.
    fn insert(&mut self, time: i64, value: f64) {
        let (shift, piece) = (self.shift, time >> self.shift);
        match self.buckets.binary_search_by_key(&piece, |bucket| bucket.time >> shift) {
            Ok(at) => self.buckets[at].add(time, value),
            Err(at) => self.buckets.insert(at, Bucket::new(time, value, false)),
        }
    }

    /// Leaves at most half of the room taken, so that this is rare.
    fn coarsen(&mut self) {
        while self.buckets.len() > self.most / 2 {
            self.shift += 1;
            let shift = self.shift;
            let mut kept: VecDeque<Bucket> = VecDeque::with_capacity(self.most + 1);
            for bucket in &self.buckets {
                match kept.back_mut() {
                    Some(last) if last.time >> shift == bucket.time >> shift => last.merge(bucket),
                    _ => kept.push_back(*bucket),
                }
            }
            self.buckets = kept;
        }
    }

    /// The first and the last time.
    pub(crate) fn span(&self) -> Option<(i64, i64)> {
        Some((self.buckets.front()?.time, self.buckets.back()?.end))
    }

    /// How long the pieces of time are: two to the power of this in nanoseconds.
    pub(crate) fn shift(&self) -> u32 {
        self.shift
    }

    /// The buckets from `from` to `to`, and one more at each end, to which a line leads.
    pub(crate) fn between(&self, from: i64, to: i64) -> impl Iterator<Item = &Bucket> {
        let first = self.buckets.partition_point(|bucket| bucket.time < from).saturating_sub(1);
        let end = (self.buckets.partition_point(|bucket| bucket.time <= to) + 1).min(self.buckets.len());
        self.buckets.range(first.min(end)..end)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_single_peak_among_millions_keeps_its_height_and_place() {
        let mut envelope = Envelope::whole();
        let (count, peak) = (3_000_000_i64, 1_234_567);
        for at in 0..count {
            envelope.push(at * 1000, if at == peak { 99.0 } else { (at % 7) as f64 });
        }
        assert!((MOST / 2..=MOST).contains(&envelope.buckets.len()), "{}", envelope.buckets.len());
        let found: Vec<&Bucket> = envelope.between(0, count * 1000).filter(|bucket| bucket.max == 99.0).collect();
        assert_eq!(found.len(), 1);
        let piece = 1 << envelope.shift();
        assert!((found[0].time..found[0].time + piece).contains(&(peak * 1000)), "{:?}", found[0]);
        assert_eq!((found[0].min, envelope.span().unwrap().0), (0.0, 0));
    }

    #[test]
    fn few_values_stay_exact_however_far_apart() {
        let mut envelope = Envelope::whole();
        let times = [i64::MIN, -5, 0, 1, 1_000_000_007, i64::MAX];
        for (value, time) in times.into_iter().enumerate() {
            envelope.push(time, value as f64);
        }
        let found: Vec<_> = envelope.between(i64::MIN, i64::MAX).map(|bucket| (bucket.time, bucket.first)).collect();
        assert_eq!(found, times.into_iter().zip([0.0, 1.0, 2.0, 3.0, 4.0, 5.0]).collect::<Vec<_>>());
    }

    #[test]
    fn a_burst_and_then_a_long_pause_keep_the_shape_of_the_burst() {
        let mut envelope = Envelope::whole();
        for at in 0..1_000_000 {
            envelope.push(at, at as f64);
        }
        envelope.push(i64::MAX, 0.0);
        assert!(envelope.between(0, 1_000_000).count() > MOST / 4);
    }

    #[test]
    fn missing_values_leave_a_gap_and_infinite_ones_are_counted() {
        let mut envelope = Envelope::whole();
        for (time, value) in [1.0, f64::NAN, 2.0, f64::INFINITY, f64::NEG_INFINITY, 3.0, 4.0].into_iter().enumerate() {
            envelope.push(time as i64, value);
        }
        let gaps: Vec<bool> = envelope.between(0, 9).map(|bucket| bucket.is_after_gap).collect();
        assert_eq!((gaps, envelope.infinite), (vec![false, true, true, false], 2));
    }

    #[test]
    fn values_in_any_order_are_kept_in_the_order_of_time() {
        let mut envelope = Envelope::whole();
        for at in 0..40_000_i64 {
            envelope.push(at * 7919 % 40_000, 1.0);
        }
        let times: Vec<i64> = envelope.between(0, 40_000).map(|bucket| bucket.time >> envelope.shift()).collect();
        assert!(times.is_sorted_by(|a, b| a < b) && times.len() > MOST / 4);
    }

    #[test]
    fn the_newest_pieces_are_kept() {
        let mut envelope = Envelope::newest(4, 100);
        for time in 0..16_000 {
            envelope.push(time, time as f64);
        }
        assert_eq!((envelope.buckets.len(), envelope.span()), (100, Some((14_400, 15_999))));
    }
}
