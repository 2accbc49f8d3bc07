//! `villas-shm compare`: whether files hold the same samples.

mod distances;

use std::path::{Path, PathBuf};

use crate::formats::{Format, ReadError, Reader};
use crate::progress::Progress;
use crate::record::value::{show, split};
use crate::record::{Record, Time};
use crate::signals::{SignalType, Signals};
use distances::{Distances, distance};

/// What the command line says.
#[derive(Clone)]
pub(crate) struct Options {
    /// Else the formats of the names.
    pub(crate) format: Option<Format>,
    /// The types of the values, where the files do not say them.
    pub(crate) types: Signals,
    /// Values and times are equal if they differ by at most this; 0 requires the same bits.
    pub(crate) epsilon: f64,
    /// Compare the values.
    pub(crate) values: bool,
    /// Compare the timestamps.
    pub(crate) timestamps: bool,
    /// Compare the sequence numbers.
    pub(crate) sequence: bool,
}

/// How files differ; the number is the exit status.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Difference {
    /// One has more samples.
    Length = 1,
    /// A sequence number.
    Sequence = 2,
    /// A timestamp.
    Timestamp = 3,
    /// The number of values of a sample.
    Count = 4,
    /// A value.
    Data = 5,
}

/// The exit status for bad usage, and for files that cannot be read.
pub(crate) const TROUBLE: u8 = 7;

/// Compares all files with the first. Describes the first difference, and in the lines after it how
/// far values are apart.
pub(crate) fn run(paths: &[PathBuf], options: &Options) -> Result<Option<(Difference, String)>, String> {
    let Some((first, others)) = paths.split_first() else { return Ok(None) };
    let mut first = Side::open(first, options, &options.types)?;
    first.advance()?;
    // What the first file says of its values counts for files that say nothing.
    let signals = first.reader.signals().clone();
    let mut others = others.iter().map(|path| Side::open(path, options, &signals)).collect::<Result<Vec<_>, _>>()?;
    let mut found = None;
    let mut progress = Progress::new(false);
    loop {
        for other in &mut others {
            other.advance()?;
            let difference = options.difference(&signals, &first, other)?;
            // Only where all else is the same, the next samples can be compared.
            let goes_on = difference.as_ref().is_none_or(|(kind, _)| *kind == Difference::Data);
            found = found.or(difference);
            if !goes_on {
                return Ok(found.map(|(kind, message)| (kind, message + &report(&signals, &others))));
            }
        }
        if !first.has_sample {
            return Ok(found.map(|(kind, message)| (kind, message + &report(&signals, &others))));
        }
        progress.step(false, || first.reader.progress());
        first.advance()?;
    }
}

/// How far the values of each file are from those of the first one, in lines after the message.
fn report(signals: &Signals, others: &[Side]) -> String {
    let several = others.len() > 1;
    let tables = others.iter().map(|side| side.distances.table(signals, several.then_some(side.reader.name())));
    tables.collect()
}

/// One of the files.
struct Side {
    reader: Reader,
    record: Record,
    /// Whether `record` is a sample; `false` at the end.
    has_sample: bool,
    is_new: bool,
    has_types: bool,
    /// From the first file.
    distances: Distances,
}

impl Side {
    fn open(path: &Path, options: &Options, types: &Signals) -> Result<Self, String> {
        Ok(Self::new(Reader::open(path, options.format, types)?, !options.types.is_empty()))
    }

    fn new(reader: Reader, has_types: bool) -> Self {
        let (record, distances) = (Record::default(), Distances::default());
        Self { reader, record, has_sample: false, is_new: true, has_types, distances }
    }

    /// Moves to the next sample.
    fn advance(&mut self) -> Result<(), String> {
        let place = |reader: &Reader, what: &str| format!("{}: {what}", reader.place());
        self.has_sample = self.reader.read(&mut self.record).map_err(|error| match error {
            // Without types, a complex value fails because its type was not given.
            ReadError::Malformed(what) if !self.has_types && what.starts_with("value ") => {
                place(&self.reader, &format!("{what} (-t TYPES says what the values are, as in -t 2f1c)"))
            }
            ReadError::Malformed(what) => place(&self.reader, &what),
            ReadError::Fatal(what) => format!("{}: {what}", self.reader.name()),
        })?;
        Ok(())
    }
}

impl Options {
    /// The first difference between two samples, with their places; counts all that values have.
    fn difference(&self, signals: &Signals, first: &Side, other: &mut Side) -> Result<Option<(Difference, String)>, String> {
        if first.has_sample != other.has_sample {
            let (long, short) = if first.has_sample { (first, &*other) } else { (&*other, first) };
            let message = format!("{} has a sample more, where {} ends", long.reader.place(), short.reader.name());
            return Ok(Some((Difference::Length, message)));
        }
        if !first.has_sample {
            return Ok(None);
        }
        if std::mem::take(&mut other.is_new) {
            signals.expect(other.reader.signals(), other.reader.name())?;
        }
        let (a, b) = (&first.record, &other.record);
        let difference = self.difference_beside_values(a, b).or_else(|| {
            let indices = 0..if self.values { a.values.len() } else { 0 };
            let differs = |&index: &usize| !self.same_value(signals.kind(index), a.values[index], b.values[index]);
            other.distances.count(indices.len());
            let mut first_index = None;
            for index in indices.filter(differs) {
                let (kind, [a, b]) = (signals.kind(index), [a, b].map(|record| record.values[index]));
                other.distances.add(index, distance(kind, a, b), || first.reader.place());
                first_index.get_or_insert_with(|| format!("value {index} is {} and {}", show(kind, a), show(kind, b)));
            }
            first_index.map(|what| (Difference::Data, what))
        });
        Ok(difference.map(|(kind, what)| (kind, format!("{} and {}: {what}", first.reader.place(), other.reader.place()))))
    }

    fn difference_beside_values(&self, a: &Record, b: &Record) -> Option<(Difference, String)> {
        if self.sequence && a.sequence != b.sequence {
            let show = |sequence: Option<u64>| sequence.map_or("none".into(), |number| number.to_string());
            let what = format!("sequence number {} and {}", show(a.sequence), show(b.sequence));
            return Some((Difference::Sequence, what));
        }
        if self.timestamps && !self.same_time(a.origin, b.origin) {
            let show = |time: Option<Time>| time.map_or("none".into(), |time| time.to_string());
            let what = format!("timestamp {} and {}", show(a.origin), show(b.origin));
            return Some((Difference::Timestamp, what));
        }
        (self.values && a.values.len() != b.values.len())
            .then(|| (Difference::Count, format!("{} values and {}", a.values.len(), b.values.len())))
    }

    fn same_time(&self, a: Option<Time>, b: Option<Time>) -> bool {
        match (a, b) {
            (Some(a), Some(b)) => a == b || a.distance(b) <= self.epsilon,
            _ => a == b,
        }
    }

    fn same_value(&self, kind: SignalType, a: u64, b: u64) -> bool {
        match kind {
            SignalType::Float => self.same_float(f64::from_bits(a), f64::from_bits(b)),
            SignalType::Integer => (a as i64).abs_diff(b as i64) as f64 <= self.epsilon,
            SignalType::Boolean => a == b,
            SignalType::Complex => {
                let ((a_real, a_imaginary), (b_real, b_imaginary)) = (split(a), split(b));
                self.same_float(a_real.into(), b_real.into()) && self.same_float(a_imaginary.into(), b_imaginary.into())
            }
        }
    }

    fn same_float(&self, a: f64, b: f64) -> bool {
        if a.to_bits() == b.to_bits() || a.is_nan() && b.is_nan() {
            return true;
        }
        // Equal infinities are equal bits; two zeros, at distance 0, differ if the bits are
        // compared.
        self.epsilon > 0.0 && (a - b).abs() <= self.epsilon
    }
}

#[cfg(test)]
mod tests {
    use std::io;

    use super::*;
    use crate::formats::Input;

    fn compared(options: &Options, a: &str, b: &str) -> Option<Difference> {
        let side = |line: &str| {
            let reader = Reader::new(Input::new("", io::Cursor::new(line.to_owned())), Format::Human, &options.types);
            let mut side = Side::new(reader, true);
            side.advance().unwrap();
            side
        };
        let (a, mut b) = (side(a), side(b));
        options.difference(&options.types, &a, &mut b).unwrap().map(|(difference, _)| difference)
    }

    fn exact() -> Options {
        Options { format: None, types: Signals::default(), epsilon: 0.0, values: true, timestamps: true, sequence: true }
    }

    fn usual() -> Options {
        Options { epsilon: 1e-6, ..exact() }
    }

    #[test]
    fn the_tolerance_is_absolute() {
        assert_eq!(compared(&usual(), "1.0(1) 1000000.0", "1.0(1) 1000000.0000005"), None);
        assert_eq!(compared(&usual(), "1.0(1) 1000000.0", "1.0(1) 1000000.00001"), Some(Difference::Data));
        assert_eq!(compared(&usual(), "1.0(1) 0.0", "1.0(1) -0.0"), None);
        assert_eq!(compared(&usual(), "1.0(1) 1e-9", "1.0(1) 2e-9"), None);
        assert_eq!(compared(&usual(), "1.0(1) 1", "1.500(1) 1"), None);
        assert_eq!(compared(&usual(), "1.0(1) 1", "1.5000(1) 1"), Some(Difference::Timestamp));
    }

    #[test]
    fn a_tolerance_of_zero_asks_for_the_same_bits() {
        assert_eq!(compared(&exact(), "1.0(1) 0.1 -inf", "1.0(1) 0.10000000000000001 -inf"), None);
        assert_eq!(compared(&exact(), "1.0(1) 0.1", "1.0(1) 0.10000000000000002"), Some(Difference::Data));
        assert_eq!(compared(&exact(), "1.0(1) 0.0", "1.0(1) -0.0"), Some(Difference::Data));
        assert_eq!(compared(&exact(), "1.0(1) 1", "1.1(1) 1"), Some(Difference::Timestamp));
    }

    #[test]
    fn nan_equals_nan_and_infinities_equal_themselves() {
        for options in [&exact(), &usual()] {
            assert_eq!(compared(options, "1.0(1) nan inf", "1.0(1) -nan(0x5) inf"), None);
            assert_eq!(compared(options, "1.0(1) nan", "1.0(1) 1"), Some(Difference::Data));
            assert_eq!(compared(options, "1.0(1) inf", "1.0(1) -inf"), Some(Difference::Data));
            assert_eq!(compared(options, "1.0(1) inf", "1.0(1) 1"), Some(Difference::Data));
        }
    }

    #[test]
    fn values_are_compared_as_what_they_are() {
        let compared = |types: &str, epsilon: f64, a: &str, b: &str| {
            let options = Options { types: types.parse().unwrap(), epsilon, ..exact() };
            compared(&options, &format!("1.0(1) {a}"), &format!("1.0(1) {b}"))
        };
        let differs = Some(Difference::Data);
        assert_eq!(compared("c", 0.0, "5.0+0.0i", "5+0i"), None);
        assert_eq!(compared("c", 1e-6, "5+0i", "5+1i"), differs);
        assert_eq!(compared("c", 1e-6, "5+1i", "6+1i"), differs);
        // Compared part by part: the distance of the points exceeds that of either part.
        assert_eq!(compared("c", 1.0, "0+0i", "1-1i"), None);
        assert_eq!(compared("c", 0.0, "0+0i", "0-0i"), differs);
        assert_eq!(compared("c", 0.0, "nan+nani", "-nan+nani"), None);
        // As doubles these two are the same number.
        assert_eq!(compared("i", 0.0, "9007199254740993", "9007199254740992"), differs);
        assert_eq!(compared("i", 1.0, "9007199254740993", "9007199254740992"), None);
        assert_eq!(compared("i", 1.0, "9223372036854775807", "-9223372036854775808"), differs);
        assert_eq!(compared("b", 5.0, "0", "1"), differs);
        assert_eq!(compared("b", 0.0, "true", "1"), None);
        // Values after the list are floats.
        assert_eq!(compared("1c1b", 1e-6, "1+2i 1 0.5", "1+2i 1 0.5000001"), None);
    }

    #[test]
    fn each_part_can_be_left_out() {
        let (a, b) = ("1.0(1) 1 2", "2.0(2) 1");
        assert_eq!(compared(&usual(), a, b), Some(Difference::Sequence));
        let no_sequence = Options { sequence: false, ..usual() };
        assert_eq!(compared(&no_sequence, a, b), Some(Difference::Timestamp));
        let no_time = Options { timestamps: false, ..no_sequence.clone() };
        assert_eq!(compared(&no_time, a, b), Some(Difference::Count));
        let nothing = Options { values: false, ..no_time.clone() };
        assert_eq!(compared(&nothing, a, b), None);
        assert_eq!(compared(&usual(), "1.0(1) 1", "1.0 1"), Some(Difference::Sequence));
    }
}
