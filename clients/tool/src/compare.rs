//! `villas-shm compare`: whether files hold the same samples.

use std::fs::File;
use std::path::{Path, PathBuf};

use crate::human::parse;
use crate::lines::{Lines, Next};
use crate::record::value::{show, split};
use crate::record::{Record, Remarks, Time};
use crate::signals::{MAX_SIGNALS, SignalType, Signals};

/// What the command line says.
#[derive(Clone)]
pub(crate) struct Options {
    /// The types of the values.
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

/// Compares all files with the first; describes the first difference.
pub(crate) fn run(paths: &[PathBuf], options: &Options) -> Result<Option<(Difference, String)>, String> {
    let mut sides = paths.iter().map(|path| Side::open(path)).collect::<Result<Vec<_>, _>>()?;
    let Some((first, others)) = sides.split_first_mut() else { return Ok(None) };
    loop {
        let more = first.advance(&options.types)?;
        for other in &mut *others {
            if other.advance(&options.types)? != more {
                let (long, short) = if more { (&*first, &*other) } else { (&*other, &*first) };
                let message = format!("{} has a sample more, where {} ends", long.place(), short.name);
                return Ok(Some((Difference::Length, message)));
            }
            if let Some((difference, what)) = options.difference(&first.record, &other.record).filter(|_| more) {
                return Ok(Some((difference, format!("{} and {}: {what}", first.place(), other.place()))));
            }
        }
        if !more {
            return Ok(None);
        }
    }
}

/// One of the files.
struct Side {
    name: String,
    lines: Lines<File>,
    record: Record,
    remarks: Remarks,
}

impl Side {
    fn open(path: &Path) -> Result<Self, String> {
        let name = path.display().to_string();
        let file = File::open(path).map_err(|error| format!("{name}: {error}"))?;
        Ok(Self { name, lines: Lines::new(file), record: Record::default(), remarks: Remarks::default() })
    }

    fn place(&self) -> String {
        format!("{}:{}", self.name, self.lines.number())
    }

    /// Moves to the next sample; `false` at the end.
    fn advance(&mut self, types: &Signals) -> Result<bool, String> {
        loop {
            let result = match self.lines.next().map_err(|error| format!("{}: {error}", self.name))? {
                Next::End => return Ok(false),
                Next::TooLong => Err("this line is too long to be a sample".to_owned()),
                Next::Line(line) => parse(line, types, MAX_SIGNALS, &mut self.record).map_err(|malformed| malformed.to_string()),
            };
            match result {
                Ok(true) => {
                    self.remarks.say(format_args!("{}:{}", self.name, self.lines.number()), &self.record);
                    return Ok(true);
                }
                Ok(false) => {}
                // Without types, a complex value fails because its type was not given.
                Err(message) if types.len() == 0 && message.starts_with("value ") => {
                    return Err(format!("{}: {message} (-t TYPES says what the values are, as in -t 2f1c)", self.place()));
                }
                Err(message) => return Err(format!("{}: {message}", self.place())),
            }
        }
    }
}

impl Options {
    fn difference(&self, a: &Record, b: &Record) -> Option<(Difference, String)> {
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
        if !self.values {
            return None;
        }
        if a.values.len() != b.values.len() {
            return Some((Difference::Count, format!("{} values and {}", a.values.len(), b.values.len())));
        }
        let mut pairs = a.values.iter().zip(&b.values).enumerate();
        let index = pairs.position(|(index, (&a, &b))| !self.same_value(self.types.kind(index), a, b))?;
        let show = |record: &Record| show(self.types.kind(index), record.values[index]);
        Some((Difference::Data, format!("value {index} is {} and {}", show(a), show(b))))
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
    use super::*;

    fn compared(options: &Options, a: &str, b: &str) -> Option<Difference> {
        let record = |line: &str| {
            let mut record = Record::default();
            parse(line.as_bytes(), &options.types, 64, &mut record).unwrap();
            record
        };
        options.difference(&record(a), &record(b)).map(|(difference, _)| difference)
    }

    fn exact() -> Options {
        Options { types: Signals::default(), epsilon: 0.0, values: true, timestamps: true, sequence: true }
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
