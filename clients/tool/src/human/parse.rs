//! A line of text as a sample.

use std::fmt;

use super::{Record, Time, value};
use crate::signals::Signals;

/// What is wrong with a line, for people.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Malformed(String);

impl fmt::Display for Malformed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// Parses one line, without its line feed, of a sample with at most `limit` values.
///
/// Gives `false`, with `record` unchanged, for a comment or an empty line. After an error `record`
/// holds a part of the line.
pub(crate) fn parse(line: &[u8], signals: &Signals, limit: usize, record: &mut Record) -> Result<bool, Malformed> {
    let rest = skip_blanks(line);
    if at_end(rest) {
        return Ok(false);
    }
    let rest = stamp(rest, record)?;
    values(rest, signals, limit, record)?;
    Ok(true)
}

fn is_blank(byte: u8) -> bool {
    matches!(byte, b' ' | b'\t' | b'\r')
}

fn skip_blanks(text: &[u8]) -> &[u8] {
    let blanks = text.iter().take_while(|&&byte| is_blank(byte)).count();
    &text[blanks..]
}

/// Nothing more follows, or only a comment.
fn at_end(text: &[u8]) -> bool {
    matches!(text.first(), None | Some(b'#'))
}

/// What stands before the values; gives the rest of the line.
fn stamp<'a>(text: &'a [u8], record: &mut Record) -> Result<&'a [u8], Malformed> {
    let negative = text.starts_with(b"-");
    let (seconds, mut rest) =
        number(&text[usize::from(negative)..]).filter(|&(seconds, _)| seconds <= 1 << 63).ok_or_else(|| bad("seconds", text))?;
    let seconds = match (negative, i64::try_from(seconds)) {
        (false, Ok(seconds)) => seconds,
        (true, _) => (seconds as i64).wrapping_neg(),
        (false, Err(_)) => return Err(bad("seconds", text)),
    };
    let mut nanos = 0;
    if let Some(after) = rest.strip_prefix(b".") {
        (nanos, rest) = number(after)
            .filter(|&(nanos, _)| nanos < 1_000_000_000)
            .ok_or_else(|| bad("nanoseconds, at most nine digits", after))?;
    }
    let origin = Time { sec: seconds, nsec: nanos as u32 };
    record.origin = Some(origin);
    record.received = None;
    if matches!(rest.first(), Some(b'+' | b'-')) {
        let end = rest.iter().position(|&byte| is_blank(byte) || byte == b'(' || byte == b'F').unwrap_or(rest.len());
        let (offset, after) = rest.split_at(end);
        record.received =
            Some(offset_nanos(offset).and_then(|nanos| origin.plus_nanos(nanos)).ok_or_else(|| bad("offset", offset))?);
        rest = after;
    }
    record.sequence = None;
    if let Some(after) = rest.strip_prefix(b"(") {
        let (sequence, after_number) = number(after).ok_or_else(|| bad("sequence number", after))?;
        record.sequence = Some(sequence);
        rest = after_number.strip_prefix(b")").ok_or_else(|| bad("sequence number", after))?;
    }
    record.new_frame = rest.starts_with(b"F");
    if record.new_frame {
        rest = &rest[1..];
    }
    match rest.first() {
        Some(&byte) if !is_blank(byte) => Err(bad("timestamp", text)),
        _ => Ok(rest),
    }
}

/// The time of a line, if it has fewer than nine digits of nanoseconds, which are not all zero.
pub(crate) fn has_few_nanoseconds(line: &[u8]) -> Option<std::borrow::Cow<'_, str>> {
    let text = skip_blanks(line);
    let digits = |text: &[u8]| text.iter().take_while(|byte| byte.is_ascii_digit()).count();
    let sign = usize::from(text.starts_with(b"-"));
    let point = sign + digits(&text[sign..]);
    let nanos = text[point..].strip_prefix(b".")?;
    let nanos = &nanos[..digits(nanos)];
    (nanos.len() < 9 && nanos.iter().any(|&digit| digit != b'0'))
        .then(|| String::from_utf8_lossy(&text[..point + 1 + nanos.len()]))
}

/// Decimal digits at the start of `text` that fit 64 bits, and what follows them.
fn number(text: &[u8]) -> Option<(u64, &[u8])> {
    let mut value = 0_u64;
    let mut digits = 0;
    for &byte in text {
        if !byte.is_ascii_digit() {
            break;
        }
        value = value.checked_mul(10)?.checked_add(u64::from(byte - b'0'))?;
        digits += 1;
    }
    (digits > 0).then_some((value, &text[digits..]))
}

/// An offset in seconds as nanoseconds: exact where it has no more than nine decimals.
fn offset_nanos(text: &[u8]) -> Option<i128> {
    let negative = text.starts_with(b"-");
    let (seconds, rest) = number(text.get(1..)?)?;
    let fraction = rest.strip_prefix(b".").unwrap_or(rest);
    if fraction.len() > 9 || !fraction.iter().all(u8::is_ascii_digit) {
        let seconds: f64 = fast_float2::parse(text).ok()?;
        // 1e20 s is far beyond all that a time can hold; a cast would hide that.
        return (seconds.abs() < 1e20).then(|| (seconds * 1e9).round() as i128);
    }
    let padded = fraction.iter().map(|byte| byte - b'0').chain(std::iter::repeat(0)).take(9);
    let nanos = padded.fold(0, |sum, digit| sum * 10 + i128::from(digit));
    let all = i128::from(seconds) * 1_000_000_000 + nanos;
    Some(if negative { -all } else { all })
}

fn values(mut rest: &[u8], signals: &Signals, limit: usize, record: &mut Record) -> Result<(), Malformed> {
    record.values.clear();
    loop {
        rest = skip_blanks(rest);
        if at_end(rest) {
            return Ok(());
        }
        let index = record.values.len();
        if index == limit {
            let all = limit + count_tokens(rest);
            return Err(Malformed(format!("{all} values, but a sample has room for {limit} (samplelen)")));
        }
        let (bits, len) = value::parse(signals.kind(index), rest)
            .and_then(|(bits, len)| match rest.get(len) {
                Some(&byte) if !is_blank(byte) => Err("is not a number"),
                _ => Ok((bits, len)),
            })
            .map_err(|why| Malformed(format!("value {index}: {} {why}", quoted(rest))))?;
        record.values.push(bits);
        rest = &rest[len..];
    }
}

fn count_tokens(text: &[u8]) -> usize {
    text.split(|&byte| is_blank(byte)).filter(|token| !token.is_empty()).count()
}

#[cold]
fn bad(part: &str, text: &[u8]) -> Malformed {
    Malformed(format!("{part}: {} is not valid", quoted(text)))
}

/// The word at the start of `text`, so that it can be shown whatever it consists of.
fn quoted(text: &[u8]) -> String {
    const SHOWN: usize = 40;
    let word = text.split(|&byte| is_blank(byte)).next().unwrap_or_default();
    let dots = if word.len() > SHOWN { "..." } else { "" };
    format!("\"{}{dots}\"", word[..word.len().min(SHOWN)].escape_ascii())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parsed(line: &str) -> Result<Record, String> {
        let mut record = Record::default();
        match parse(line.as_bytes(), &Signals::default(), 4, &mut record) {
            Ok(true) => Ok(record),
            Ok(false) => Err("nothing".into()),
            Err(malformed) => Err(malformed.to_string()),
        }
    }

    fn floats(record: &Record) -> Vec<f64> {
        record.values.iter().map(|&bits| f64::from_bits(bits)).collect()
    }

    #[test]
    fn all_parts_of_a_line_are_read() {
        let record = parsed("12.000000034+0.5(7)F\t1\t-2.5e3").unwrap();
        assert_eq!(record.origin, Some(Time { sec: 12, nsec: 34 }));
        assert_eq!(record.received, Some(Time { sec: 12, nsec: 500_000_034 }));
        assert_eq!((record.sequence, record.new_frame), (Some(7), true));
        assert_eq!(floats(&record), [1.0, -2500.0]);
    }

    #[test]
    fn all_but_the_seconds_is_optional() {
        assert_eq!(parsed("3").unwrap(), Record { origin: Some(Time { sec: 3, nsec: 0 }), ..Record::default() });
        let record = parsed("3F 1").unwrap();
        assert!(record.new_frame);
        assert_eq!(parsed("3.1").unwrap().origin, Some(Time { sec: 3, nsec: 1 }));
        assert_eq!(parsed("-3.1").unwrap().origin, Some(Time { sec: -3, nsec: 1 }));
        assert_eq!(parsed("3-1e-3(2)").unwrap().received, Some(Time { sec: 2, nsec: 999_000_000 }));
        assert_eq!(parsed("5+1.234567e+00(2)").unwrap().received, Some(Time { sec: 6, nsec: 234_567_000 }));
    }

    #[test]
    fn a_time_with_few_nanoseconds_is_told_from_others() {
        let few = |line: &str| has_few_nanoseconds(line.as_bytes()).map(std::borrow::Cow::into_owned);
        assert_eq!(few("  -1.5(3)\t7"), Some("-1.5".into()));
        assert_eq!(few("0.25"), Some("0.25".into()));
        for line in ["", "# 1.5", "1", "1.", "1.0(0)", "1.00 5", "1.000000005(2)", "1(2)\t0.5", "1F 0.5"] {
            assert_eq!(few(line), None, "{line}");
        }
    }

    #[test]
    fn blanks_line_ends_and_comments_do_not_matter() {
        let record = parsed("  1.0(1)  \t 5 \t6\t\r").unwrap();
        assert_eq!(floats(&record), [5.0, 6.0]);
        assert_eq!(floats(&parsed("1.0(1) 5 # five").unwrap()), [5.0]);
        for line in ["", " ", "\r", "# 1.0(1) 5", "  #"] {
            assert_eq!(parsed(line), Err("nothing".into()), "{line:?}");
        }
    }

    #[test]
    fn too_many_values_name_both_numbers() {
        let message = parsed("1.0(1) 1 2 3 4 5 6 x").unwrap_err();
        assert!(message.contains('7') && message.contains('4'), "{message}");
        assert!(parsed("1.0(1) 1 2 3 4 # 5").is_ok());
    }

    #[test]
    fn malformed_lines_say_what_is_wrong() {
        for (line, what) in [
            ("x", "seconds"),
            (".5 1", "seconds"),
            ("9223372036854775808.0 1", "seconds"),
            ("99999999999999999999.0 1", "seconds"),
            ("1.x 1", "nanoseconds"),
            ("1.1000000000 1", "nanoseconds"),
            ("1.0+x(1) 1", "offset"),
            ("1.0+1e300(1) 1", "offset"),
            ("1.0(x) 1", "sequence"),
            ("1.0(1 1", "sequence"),
            ("1.0(18446744073709551616) 1", "sequence"),
            ("1.0(-1) 1", "sequence"),
            ("1.0(1)x 1", "timestamp"),
            ("1.0,2 1", "timestamp"),
            ("1.0(1) abc", "value 0: \"abc\""),
            ("1.0(1) 1 2,3", "value 1: \"2,3\""),
            ("1.0(1) 1e999", "out of range"),
            ("1.0(1) 0x10", "value 0"),
            ("1.0(1) 1\x002", "value 0: \"1\\x002\""),
        ] {
            let message = parsed(line).unwrap_err();
            assert!(message.contains(what), "{line:?}: {message}");
        }
        let long = format!("1.0(1) {}", "y".repeat(1_000_000));
        assert!(parsed(&long).unwrap_err().len() < 100);
    }

    #[test]
    fn the_ends_of_the_range_are_read() {
        let record = parsed("9223372036854775807.999999999(18446744073709551615)").unwrap();
        assert_eq!(record.origin, Some(Time { sec: i64::MAX, nsec: 999_999_999 }));
        assert_eq!(record.sequence, Some(u64::MAX));
        assert_eq!(parsed("-9223372036854775808.0").unwrap().origin, Some(Time { sec: i64::MIN, nsec: 0 }));
    }
}
