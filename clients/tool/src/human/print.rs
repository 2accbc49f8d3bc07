//! A sample as a line of text.

use std::io::Write;

use crate::record::{Record, time, value};
use crate::signals::Signals;

/// Appends the header line, which names the columns of `count` values.
pub(crate) fn header(signals: &Signals, count: usize, offset: bool, out: &mut Vec<u8>) {
    out.extend_from_slice(b"# seconds.nanoseconds");
    if offset {
        out.extend_from_slice(b"+offset");
    }
    out.extend_from_slice(b"(sequence)");
    for index in 0..count {
        // Writing to a Vec cannot fail.
        let _ = write!(out, "\t{}", signals.title(index));
    }
    out.push(b'\n');
}

/// Appends one sample and a line feed.
pub(crate) fn print(record: &Record, signals: &Signals, out: &mut Vec<u8>) {
    // Room for the longest times and for usual doubles: the buffer grows at most once.
    out.reserve(96 + 26 * record.values.len());
    match record.origin {
        Some(origin) => {
            let (negative, seconds, nanos) = origin.parts();
            if negative {
                out.push(b'-');
            }
            time::print_parts(seconds, nanos, out);
            if let Some(received) = record.received {
                let (negative, seconds, nanos) = received.since(origin);
                out.push(if negative { b'-' } else { b'+' });
                time::print_parts(seconds, nanos, out);
            }
        }
        None => out.extend_from_slice(b"0.0"),
    }
    if let Some(sequence) = record.sequence {
        out.push(b'(');
        out.extend_from_slice(itoa::Buffer::new().format(sequence).as_bytes());
        out.push(b')');
    }
    if record.new_frame {
        out.push(b'F');
    }
    for (index, &bits) in record.values.iter().enumerate() {
        out.push(b'\t');
        value::print(signals.kind(index), bits, out);
    }
    out.push(b'\n');
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::record::Time;

    fn printed(record: &Record) -> String {
        let mut out = Vec::new();
        print(record, &Signals::default(), &mut out);
        String::from_utf8(out).unwrap()
    }

    #[test]
    fn a_sample_is_one_line() {
        let mut record = Record {
            origin: Some(Time { sec: 1451606400, nsec: 5 }),
            received: None,
            sequence: Some(7),
            new_frame: false,
            values: vec![0.5_f64.to_bits(), (-2.0_f64).to_bits()],
            ..Record::default()
        };
        assert_eq!(printed(&record), "1451606400.000000005(7)\t0.5\t-2.0\n");
        record.received = Some(Time { sec: 1451606402, nsec: 0 });
        record.new_frame = true;
        assert_eq!(printed(&record), "1451606400.000000005+1.999999995(7)F\t0.5\t-2.0\n");
        record.received = Some(Time { sec: 1451606400, nsec: 0 });
        record.sequence = None;
        record.new_frame = false;
        record.values.clear();
        assert_eq!(printed(&record), "1451606400.000000005-0.000000005\n");
    }

    #[test]
    fn a_sample_without_a_time_has_a_zero_there() {
        let record = Record { sequence: Some(0), received: Some(Time::now()), ..Record::default() };
        assert_eq!(printed(&record), "0.0(0)\n");
    }

    #[test]
    fn the_header_names_the_columns() {
        let mut out = Vec::new();
        header(&Signals::default(), 2, true, &mut out);
        assert_eq!(out, b"# seconds.nanoseconds+offset(sequence)\tsignal0\tsignal1\n");
    }
}
