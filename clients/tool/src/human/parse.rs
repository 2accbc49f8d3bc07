//! A line of text as a sample.

use std::fmt;

use crate::encoding;
use crate::record::{Oddity, Record, Time, time, value};
use crate::signals::{Signal, SignalType, Signals, of_title};

/// The error in a line, for people.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Malformed(String);

impl fmt::Display for Malformed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// An error, and the rest of the line from its place on.
struct Wrong<'a> {
    at: &'a [u8],
    what: String,
}

/// The column of `rest` in its line; the first byte is in column 1.
fn column(line: &[u8], rest: &[u8]) -> usize {
    line.len() - rest.len() + 1
}

/// Parses one line, without its line feed, into a sample with at most `limit` values.
///
/// Returns `false` and leaves `record` unchanged for a comment or an empty line. After an error
/// `record` has a part of the line. `record.oddities` lists what was not taken literally.
pub(crate) fn parse(line: &[u8], signals: &Signals, limit: usize, record: &mut Record) -> Result<bool, Malformed> {
    let mut line = encoding::without_mark(line);
    // Only here a carriage return belongs to the line's end.
    while let [head @ .., b'\r'] = line {
        line = head;
    }
    sample(line, signals, limit, record).map_err(|wrong| Malformed(format!("{} (column {})", wrong.what, column(line, wrong.at))))
}

fn sample<'a>(line: &'a [u8], signals: &Signals, limit: usize, record: &mut Record) -> Result<bool, Wrong<'a>> {
    let rest = skip_blanks(line);
    if is_end(rest)? {
        return Ok(false);
    }
    record.oddities.clear();
    let rest = stamp(line, rest, record)?;
    values(line, rest, signals, limit, record)?;
    Ok(true)
}

fn is_blank(byte: u8) -> bool {
    matches!(byte, b' ' | b'\t')
}

fn count_blanks(text: &[u8]) -> usize {
    text.iter().take_while(|&&byte| is_blank(byte)).count()
}

fn skip_blanks(text: &[u8]) -> &[u8] {
    &text[count_blanks(text)..]
}

/// Whether the text ends here, or only a comment follows.
fn is_end(text: &[u8]) -> Result<bool, Wrong<'_>> {
    match text.first() {
        None => Ok(true),
        Some(b'#') => match memchr::memchr(b'\r', text) {
            None => Ok(true),
            // If each line ended like this, the whole text would be one comment.
            Some(at) => Err(Wrong {
                at: &text[at..],
                what: "a carriage return stands in a comment: lines must end with a line feed, or with both".into(),
            }),
        },
        Some(_) => Ok(false),
    }
}

/// Parses what precedes the values; returns the rest of the line.
fn stamp<'a>(line: &'a [u8], text: &'a [u8], record: &mut Record) -> Result<&'a [u8], Wrong<'a>> {
    let negative = text.starts_with(b"-");
    let sign = usize::from(negative || text.starts_with(b"+"));
    let (seconds, mut rest) = time::number(&text[sign..]).ok_or_else(|| bad("seconds", text))?;
    let mut nanos = 0;
    if let Some(after) = rest.strip_prefix(b".") {
        (nanos, rest) = time::number(after).ok_or_else(|| bad("nanoseconds", after))?;
        if nanos >= 1_000_000_000 {
            record.oddities.push(Oddity::Carried { nanos, column: column(line, after) });
        }
    }
    let origin = Time::from_parts(negative, seconds, nanos).ok_or_else(|| bad("seconds", text))?;
    record.origin = Some(origin);
    record.received = None;
    if matches!(rest.first(), Some(b'+' | b'-')) {
        let end = rest.iter().position(|&byte| is_blank(byte) || byte == b'(' || byte == b'F').unwrap_or(rest.len());
        let (offset, after) = rest.split_at(end);
        record.received =
            Some(time::parse_nanos(offset).and_then(|nanos| origin.plus_nanos(nanos)).ok_or_else(|| bad("offset", rest))?);
        rest = after;
    }
    record.sequence = None;
    if let Some(after) = rest.strip_prefix(b"(") {
        let (sequence, after_number) = time::number(after).ok_or_else(|| bad("sequence number", after))?;
        record.sequence = Some(sequence);
        rest = after_number.strip_prefix(b")").ok_or_else(|| bad("sequence number", after))?;
    }
    record.new_frame = rest.starts_with(b"F");
    if record.new_frame {
        rest = &rest[1..];
    }
    match rest.first() {
        Some(&byte) if !is_blank(byte) => Err(Wrong { at: rest, ..bad("timestamp", text) }),
        _ => Ok(rest),
    }
}

/// The names and units of the values, if the line is a header.
pub(crate) fn parse_header(line: &[u8]) -> Option<Vec<Signal>> {
    let text = std::str::from_utf8(encoding::without_mark(line)).ok()?.trim_end_matches('\r');
    let mut cells = text.strip_prefix("# seconds.nanoseconds")?.split('\t');
    cells.next();
    Some(cells.map(of_title).collect())
}

/// The time of a line, if it has fewer than nine digits of nanoseconds, which are not all zero.
pub(crate) fn has_few_nanoseconds(line: &[u8]) -> Option<std::borrow::Cow<'_, str>> {
    let text = skip_blanks(line);
    let digits = |text: &[u8]| text.iter().take_while(|byte| byte.is_ascii_digit()).count();
    let sign = usize::from(matches!(text.first(), Some(b'+' | b'-')));
    let point = sign + digits(&text[sign..]);
    let nanos = text[point..].strip_prefix(b".")?;
    let nanos = &nanos[..digits(nanos)];
    (nanos.len() < 9 && nanos.iter().any(|&digit| digit != b'0'))
        .then(|| String::from_utf8_lossy(&text[..point + 1 + nanos.len()]))
}

/// Parses the values. It expects as many as the last good line had, or as have a name.
fn values<'a>(line: &'a [u8], rest: &'a [u8], signals: &Signals, limit: usize, record: &mut Record) -> Result<(), Wrong<'a>> {
    let last = record.values.len();
    record.values.clear();
    let result = cells(line, rest, last.max(signals.len()), signals, limit, record);
    if result.is_err() {
        record.values.resize(last, 0);
    }
    result
}

/// This loop takes most of the time for a line, so rare cases are outside it.
fn cells<'a>(
    line: &'a [u8],
    mut rest: &'a [u8],
    expected: usize,
    signals: &Signals,
    limit: usize,
    record: &mut Record,
) -> Result<(), Wrong<'a>> {
    loop {
        let blanks = count_blanks(rest);
        let after = &rest[blanks..];
        if blanks > 1 || blanks == 1 && after.is_empty() {
            empty_cells(line, rest, blanks, expected, signals, limit, record)?;
        }
        if matches!(after.first(), None | Some(b'#')) {
            return is_end(after).map(drop);
        }
        rest = after;
        let index = record.values.len();
        if index >= limit {
            return Err(no_room(limit, rest));
        }
        let kind = signals.kind(index);
        let (bits, len) = match value::parse(kind, rest) {
            Ok((bits, len)) if is_word_end(rest, len) => (bits, len),
            other => odd_value(kind, index, rest, other.err())?,
        };
        record.values.push(bits);
        rest = &rest[len..];
    }
}

#[inline]
fn is_word_end(text: &[u8], at: usize) -> bool {
    text.get(at).is_none_or(|&byte| is_blank(byte))
}

/// A value in a rare form, or the error in it.
#[cold]
fn odd_value<'a>(kind: SignalType, index: usize, text: &'a [u8], why: Option<&'static str>) -> Result<(u64, usize), Wrong<'a>> {
    let hexadecimal = if kind == SignalType::Float { value::parse_hexadecimal(text) } else { None };
    hexadecimal.filter(|&(_, len)| is_word_end(text, len)).ok_or_else(|| {
        let why = why.unwrap_or(value::no_value(kind));
        Wrong { at: text, what: format!("value {index}: {} {why}", quoted(text)) }
    })
}

/// Takes the empty cells between the tabs of a separator of `blanks` bytes; a tab separates two
/// cells. After the last tab of a line, which many programs write, there is a cell only if a value
/// is expected.
#[cold]
fn empty_cells<'a>(
    line: &'a [u8],
    text: &'a [u8],
    blanks: usize,
    expected: usize,
    signals: &Signals,
    limit: usize,
    record: &mut Record,
) -> Result<(), Wrong<'a>> {
    let is_last = blanks == text.len();
    let ends = memchr::memchr_iter(b'\t', &text[..blanks]).chain(is_last.then_some(blanks));
    for end in ends.skip(1) {
        let at = &text[end..];
        let (index, column) = (record.values.len(), column(line, at));
        if is_last && index >= expected {
            if expected == 0 {
                record.oddities.push(Oddity::OpenEnd { column });
            }
            break;
        }
        if index >= limit {
            return Err(no_room(limit, at));
        }
        let kind = signals.kind(index);
        let Some(bits) = value::missing(kind) else {
            let what = format!("value {index} is empty, and {}", value::no_missing(kind));
            return Err(Wrong { at, what });
        };
        record.values.push(bits);
        record.oddities.push(Oddity::Empty { index, column });
    }
    Ok(())
}

#[cold]
fn no_room(limit: usize, rest: &[u8]) -> Wrong<'_> {
    let all = limit + count_tokens(rest).max(1);
    Wrong { at: rest, what: format!("{all} values, but a sample has room for {limit} (samplelen)") }
}

fn count_tokens(text: &[u8]) -> usize {
    text.split(|&byte| is_blank(byte)).filter(|token| !token.is_empty()).count()
}

#[cold]
fn bad<'a>(part: &str, text: &'a [u8]) -> Wrong<'a> {
    Wrong { at: text, what: format!("{part}: {} is not valid", quoted(text)) }
}

/// The word at the start of `text`, escaped so that it can be shown.
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
        assert_eq!(parsed("-3.1").unwrap().origin, Some(Time { sec: -4, nsec: 999_999_999 }));
        assert_eq!(parsed("-0.500000000").unwrap().origin, Some(Time { sec: -1, nsec: 500_000_000 }));
        assert_eq!(parsed("+3.1").unwrap().origin, Some(Time { sec: 3, nsec: 1 }));
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

    /// Checks a line of these types after another line: its values or its error, and its oddities.
    #[track_caller]
    fn taken(types: &str, before: &str, line: &str, expected: Result<&str, &str>, odd: &[Oddity]) {
        let signals: Signals = types.parse().unwrap();
        let mut record = Record::default();
        let _ = parse(before.as_bytes(), &signals, 4, &mut record);
        let result = parse(line.as_bytes(), &signals, 4, &mut record).map(|_| {
            let values = record.values.iter().enumerate();
            values.map(|(index, &bits)| value::show(signals.kind(index), bits)).collect::<Vec<_>>().join(" ")
        });
        match expected {
            Ok(values) => assert_eq!((result.as_deref(), &record.oddities[..]), (Ok(values), odd), "{line:?}"),
            Err(what) => assert!(result.as_ref().unwrap_err().to_string().contains(what), "{line:?}: {result:?}"),
        }
    }

    #[test]
    fn an_empty_cell_is_nan_and_moves_no_other() {
        let empty = |index, column| Oddity::Empty { index, column };
        taken("", "", "1.0(0)\t1.0\t\t3.0", Ok("1.0 nan 3.0"), &[empty(1, 12)]);
        taken("", "", "1.0(0)\t\t2.0", Ok("nan 2.0"), &[empty(0, 8)]);
        taken("", "", "1.0(0)\t1.0 \t \t \t 4.0", Ok("1.0 nan nan 4.0"), &[empty(1, 14), empty(2, 16)]);
        taken("2f1c", "", "1.0\t1\t\t1+2i", Ok("1.0 nan 1.0+2.0i"), &[empty(1, 7)]);
        taken("1c", "", "1.0\t\t2", Ok("nan+nani 2.0"), &[empty(0, 5)]);
        taken("1i", "", "1.0\t\t2", Err("value 0 is empty, and an integer cannot say that: there is no NaN (column 5)"), &[]);
        taken("1b", "", "1.0\t\t2", Err("value 0 is empty, and a boolean is 0 or 1 (column 5)"), &[]);
        taken("", "", "1.0\t1\t\t\t\t5", Err("5 values, but a sample has room for 4 (samplelen)"), &[]);
        taken("", "", "1.0  1   2 \t 3", Ok("1.0 2.0 3.0"), &[]);
    }

    #[test]
    fn an_empty_last_cell_counts_where_a_value_is_expected() {
        let (empty, open) = (|index, column| Oddity::Empty { index, column }, |column| Oddity::OpenEnd { column });
        taken("", "1.0\t1\t2", "1.0\t1\t", Ok("1.0 nan"), &[empty(1, 7)]);
        taken("", "1.0\t1\t2\t3", "1.0\t1\t\t", Ok("1.0 nan nan"), &[empty(1, 7), empty(2, 8)]);
        taken("2f", "", "1.0\t1\t\r", Ok("1.0 nan"), &[empty(1, 7)]);
        taken("1f1i", "", "1.0\t1\t", Err("value 1 is empty"), &[]);
        taken("", "1.0\t1\t", "1.0\t1\t", Ok("1.0"), &[]);
        taken("", "", "1.0\t1\t", Ok("1.0"), &[open(7)]);
        taken("", "", "1.0\t1 \t \t", Ok("1.0"), &[open(9)]);
        taken("", "", "1.0\t1\t# with a comment", Ok("1.0"), &[]);
        taken("", "", "1.0(1)", Ok(""), &[]);
    }

    #[test]
    fn a_malformed_line_leaves_the_number_of_expected_values() {
        let mut record = parsed("1.0\t1\t2\t3").unwrap();
        assert!(parse(b"1.0\tx", &Signals::default(), 4, &mut record).is_err());
        assert!(parse(b"1.0\t1\t2\t", &Signals::default(), 4, &mut record).unwrap());
        assert_eq!((record.values.len(), &record.oddities[..]), (3, &[Oddity::Empty { index: 2, column: 9 }][..]));
    }

    #[test]
    fn nanoseconds_of_a_second_or_more_are_carried() {
        let record = parsed("0.1000000000(1000) 5").unwrap();
        assert_eq!(record.origin, Some(Time { sec: 1, nsec: 0 }));
        assert_eq!(record.oddities, [Oddity::Carried { nanos: 1_000_000_000, column: 3 }]);
    }

    #[test]
    fn a_byte_order_mark_before_a_line_says_nothing() {
        assert_eq!(parsed("\u{feff}# seconds.nanoseconds"), Err("nothing".into()));
        assert_eq!(floats(&parsed("\u{feff}1.0(1)\t5").unwrap()), [5.0]);
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
            ("1.-1 1", "nanoseconds"),
            ("1. 1", "nanoseconds"),
            ("1.18446744073709551616 1", "nanoseconds"),
            ("9223372036854775807.1000000000 1", "seconds"),
            ("-9223372036854775808.1 1", "seconds"),
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
            ("1.0(1) 0x1g", "value 0: \"0x1g\" is not a number"),
            ("1.0(1) 0x1p1024", "value 0: \"0x1p1024\" is not a number"),
            ("1.0(1) 1\x002", "value 0: \"1\\x002\""),
            ("1.0(1) 1 1.0+", "value 1: \"1.0+\" is not a number (column 10)"),
            ("1.0(1)\t1;2", "value 0: \"1;2\" is not a number (column 8)"),
            ("  x", "seconds: \"x\" is not valid (column 3)"),
            ("1.0(1)x 1", "(column 7)"),
            ("1.0(1) 1 2 3 4 5", "(column 16)"),
            ("1.0\t1\r2.0\t2\r", "value 0: \"1\\r2.0\" is not a number (column 5)"),
            ("# a\r1.0\t1\r", "carriage return stands in a comment"),
            ("1.0\t1\t# a\rb", "carriage return stands in a comment"),
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
