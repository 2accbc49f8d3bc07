//! The format `villas.human`: one sample per line, readable by people and by every VILLASnode tool.
//!
//! ```text
//! SECONDS.NANOSECONDS[+OFFSET][(SEQUENCE)][F]<TAB>VALUE<TAB>VALUE...
//! ```
//!
//! NANOSECONDS is an integer, not a decimal fraction: `1.5` is one second and five nanoseconds. A
//! sign applies to the whole time: `-0.500000000` is half a second before zero. OFFSET is the time
//! from the sample's origin to its reception, in seconds. `F` marks the first sample of a frame.
//! Lines that start with `#` are comments. An empty cell between two tabs is a missing value: NaN
//! for a float, an error for other types. Printing and parsing are inverse to each other, bit for
//! bit, for everything that a sample can hold.

mod parse;
mod print;

pub(crate) use parse::{has_few_nanoseconds, parse, parse_header};
pub(crate) use print::{header, print};

#[cfg(test)]
mod tests {
    use super::*;
    use crate::record::{Record, Time};
    use crate::signals::Signals;

    fn there_and_back(record: &Record, signals: &Signals) -> Record {
        let mut line = Vec::new();
        print(record, signals, &mut line);
        assert_eq!(line.pop(), Some(b'\n'));
        let mut back = Record::default();
        assert!(parse(&line, signals, 64, &mut back).unwrap(), "{:?}", line.escape_ascii());
        back
    }

    /// A generator of all bit patterns alike (an xorshift; quality does not matter here).
    fn noise() -> impl Iterator<Item = u64> {
        let mut state = 0x9e37_79b9_7f4a_7c15_u64;
        std::iter::repeat_with(move || {
            state ^= state << 13;
            state ^= state >> 7;
            state ^= state << 17;
            state
        })
    }

    #[test]
    fn doubles_of_every_kind_come_back_bit_for_bit() {
        let special = [
            0.0,
            -0.0,
            1.0,
            -1.0,
            0.1,
            1e23,
            5e-324,
            f64::MIN_POSITIVE,
            f64::MAX,
            f64::MIN,
            f64::INFINITY,
            f64::NEG_INFINITY,
            f64::NAN,
            -f64::NAN,
            9007199254740993.0,
        ]
        .map(f64::to_bits);
        let odd_nans = [0x7ff8_0000_0000_0001, 0xfff0_0000_0000_0001, 0x7ff0_dead_beef_0001, !0];
        let values: Vec<u64> = special.into_iter().chain(odd_nans).chain(noise().take(200_000)).collect();
        for values in values.chunks(8) {
            let record = Record { origin: Some(Time::default()), values: values.to_vec(), ..Record::default() };
            assert_eq!(there_and_back(&record, &Signals::default()), record);
        }
    }

    #[test]
    fn integers_booleans_and_complex_values_come_back_bit_for_bit() {
        let signals: Signals = "4i2b2c".parse().unwrap();
        let mut random = noise();
        for _ in 0..20_000 {
            let mut values: Vec<u64> = random.by_ref().take(8).collect();
            values[0] = i64::MIN as u64;
            values[1] = i64::MAX as u64;
            values[4] = u64::from_le(values[4] & 1);
            values[5] = u64::from_le(values[5] & 1);
            let record = Record { origin: Some(Time::default()), values, ..Record::default() };
            assert_eq!(there_and_back(&record, &signals), record);
        }
    }

    #[test]
    fn times_and_numbers_come_back_exactly() {
        let mut random = noise();
        for i in 0..20_000_u64 {
            let mut time = || {
                let sec = random.next().unwrap() as i64 >> (i % 62);
                Time { sec, nsec: (random.next().unwrap() % 1_000_000_000) as u32 }
            };
            let record = Record {
                origin: Some(time()),
                received: (i % 3 > 0).then(&mut time),
                sequence: (i % 5 > 0).then_some(i.wrapping_neg()),
                new_frame: i % 7 == 0,
                ..Record::default()
            };
            assert_eq!(there_and_back(&record, &Signals::default()), record);
        }
    }
}
