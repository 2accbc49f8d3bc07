//! The formats `csv` and `tsv`: a header line, and one line for each sample.
//!
//! ```text
//! # secs,nsecs,offset,sequence,NAME[UNIT],...
//! SECONDS,NANOSECONDS,OFFSET,SEQUENCE,VALUE,...
//! ```
//!
//! `nan` stands for a time, an offset or a sequence number that a sample does not have. NANOSECONDS
//! count forward also before 1970, as in C's `timespec`. Values are those of `villas.human`.

use std::io::Write;

use super::losses::{Loss, Losses};
use crate::encoding;
use crate::record::{Oddity, Record, Time, time, value};
use crate::signals::{Signal, SignalType, Signals, of_title};

/// The columns before the values.
const NAMES: [&str; 4] = ["secs", "nsecs", "offset", "sequence"];

/// Appends the header line, which names the columns of `count` values.
pub(super) fn header(separator: u8, signals: &Signals, count: usize, out: &mut Vec<u8>) {
    out.extend_from_slice(b"# ");
    out.extend_from_slice(NAMES.join(char::from(separator).encode_utf8(&mut [0; 4])).as_bytes());
    for index in 0..count {
        out.push(separator);
        let title = signals.title(index);
        let needs_quotes = title.bytes().any(|byte| byte == separator || matches!(byte, b'"' | b'\n' | b'\r'));
        // Writing to a Vec cannot fail.
        let _ = match needs_quotes {
            true => write!(out, "\"{}\"", title.replace('"', "\"\"").replace(['\n', '\r'], " ")),
            false => out.write_all(title.as_bytes()),
        };
    }
    out.push(b'\n');
}

/// Appends one sample and a line feed.
pub(super) fn print(separator: u8, record: &Record, signals: &Signals, losses: &mut Losses, out: &mut Vec<u8>) {
    // Room for the longest times and for usual doubles: the buffer grows at most once.
    out.reserve(96 + 26 * record.values.len());
    match record.origin {
        Some(Time { sec, nsec }) => {
            out.extend_from_slice(itoa::Buffer::new().format(sec).as_bytes());
            out.push(separator);
            time::print_nanos(nsec, out);
        }
        None => out.extend_from_slice(&[b'n', b'a', b'n', separator, b'n', b'a', b'n']),
    }
    out.push(separator);
    match (record.origin, record.received) {
        (Some(origin), Some(received)) => {
            let (negative, seconds, nanos) = received.since(origin);
            if negative {
                out.push(b'-');
            }
            time::print_parts(seconds, nanos, out);
        }
        (_, received) => {
            losses.add(Loss::Received, u64::from(received.is_some()));
            out.extend_from_slice(b"nan");
        }
    }
    out.push(separator);
    match record.sequence {
        Some(sequence) => out.extend_from_slice(itoa::Buffer::new().format(sequence).as_bytes()),
        None => out.extend_from_slice(b"nan"),
    }
    losses.add(Loss::Frame, u64::from(record.new_frame));
    for (index, &bits) in record.values.iter().enumerate() {
        out.push(separator);
        value::print(signals.kind(index), bits, out);
    }
    out.push(b'\n');
}

/// The names and units of the values, if the line is a header.
pub(super) fn parse_header(separator: u8, line: &[u8]) -> Option<Vec<Signal>> {
    let line = line.strip_suffix(b"\r").unwrap_or(line);
    let text = std::str::from_utf8(encoding::without_mark(line)).ok()?;
    let mut titles = titles(char::from(separator), text.strip_prefix('#').unwrap_or(text).trim_start_matches(' '));
    let is_header = titles.len() >= NAMES.len() && titles.iter().zip(NAMES).all(|(title, name)| title == name);
    is_header.then(|| titles.drain(NAMES.len()..).map(|title| of_title(&title)).collect())
}

/// The cells of a header line, of which some may be quoted.
fn titles(separator: char, text: &str) -> Vec<String> {
    let (mut titles, mut title, mut is_quoted) = (Vec::new(), String::new(), false);
    let mut chars = text.chars().peekable();
    while let Some(char) = chars.next() {
        match char {
            '"' if is_quoted && chars.next_if_eq(&'"').is_some() => title.push('"'),
            '"' if is_quoted || title.is_empty() => is_quoted = !is_quoted,
            _ if char == separator && !is_quoted => titles.push(std::mem::take(&mut title)),
            _ => title.push(char),
        }
    }
    titles.push(title);
    titles
}

/// Parses one line, without its line feed, into a sample with at most `limit` values; `false` for a
/// comment or an empty line.
pub(super) fn parse(separator: u8, line: &[u8], signals: &Signals, limit: usize, record: &mut Record) -> Result<bool, String> {
    let line = encoding::without_mark(line);
    let line = line.strip_suffix(b"\r").unwrap_or(line);
    if line.is_empty() || line[0] == b'#' {
        return Ok(false);
    }
    record.oddities.clear();
    let mut cells = Cells { line, separator, at: Some(0) };
    let mut next = |name: &str| {
        cells.next().ok_or_else(|| format!("the line ends before {name}: a sample has at least {}", NAMES.join(", ")))
    };
    let (secs, nsecs, offset, sequence) = (next("secs")?, next("nsecs")?, next("offset")?, next("sequence")?);
    record.origin = stamp(secs, nsecs)?;
    record.received = match offset.text {
        b"nan" | b"" => None,
        text => {
            let nanos = time::parse_nanos(text).ok_or_else(|| offset.wrong("offset"))?;
            let origin = record.origin.ok_or_else(|| offset.wrong("there is no time for the offset:"))?;
            Some(origin.plus_nanos(nanos).ok_or_else(|| offset.wrong("offset"))?)
        }
    };
    record.sequence = match sequence.text {
        b"nan" | b"" => None,
        text => Some(whole(text).ok_or_else(|| sequence.wrong("sequence"))?),
    };
    record.new_frame = false;
    record.values.clear();
    for (index, cell) in cells.enumerate() {
        if index >= limit {
            return Err(format!("more than {limit} values, for which a sample has room (column {})", cell.column));
        }
        let bits = parse_value(index, signals.kind(index), cell, &mut record.oddities)?;
        record.values.push(bits);
    }
    Ok(true)
}

fn parse_value(index: usize, kind: SignalType, cell: Cell<'_>, oddities: &mut Vec<Oddity>) -> Result<u64, String> {
    let Cell { text, column } = cell;
    if text.is_empty() {
        let what = || format!("value {index} is empty, and {} (column {column})", value::no_missing(kind));
        oddities.push(Oddity::Empty { index, column });
        return value::missing(kind).ok_or_else(what);
    }
    let why = match value::parse(kind, text) {
        Ok((bits, len)) if len == text.len() => return Ok(bits),
        Ok(_) => value::no_value(kind),
        Err(why) => why,
    };
    Err(format!("value {index}: {} {why} (column {column})", quoted(text)))
}

fn stamp(secs: Cell<'_>, nsecs: Cell<'_>) -> Result<Option<Time>, String> {
    if secs.text == b"nan" && nsecs.text == b"nan" {
        return Ok(None);
    }
    let sec = std::str::from_utf8(secs.text).ok().and_then(|text| text.parse().ok()).ok_or_else(|| secs.wrong("secs"))?;
    let nsec = whole(nsecs.text).filter(|&nsec| nsec < 1_000_000_000).ok_or_else(|| nsecs.wrong("nsecs"))?;
    Ok(Some(Time { sec, nsec: nsec as u32 }))
}

/// A text that is a number and nothing else.
fn whole(text: &[u8]) -> Option<u64> {
    time::number(text).filter(|(_, rest)| rest.is_empty()).map(|(number, _)| number)
}

/// One cell; the column counts bytes, from 1.
#[derive(Clone, Copy)]
struct Cell<'a> {
    text: &'a [u8],
    column: usize,
}

impl Cell<'_> {
    fn wrong(&self, what: &str) -> String {
        format!("{what} {} is not valid (column {})", quoted(self.text), self.column)
    }
}

/// The cells of a line, without blanks and quotes around them.
struct Cells<'a> {
    line: &'a [u8],
    separator: u8,
    /// Where the next cell begins.
    at: Option<usize>,
}

impl<'a> Iterator for Cells<'a> {
    type Item = Cell<'a>;

    #[inline]
    fn next(&mut self) -> Option<Cell<'a>> {
        let start = self.at?;
        let rest = &self.line[start..];
        let end = memchr::memchr(self.separator, rest);
        self.at = end.map(|end| start + end + 1);
        let text = rest[..end.unwrap_or(rest.len())].trim_ascii();
        let inner = text.strip_prefix(b"\"").and_then(|text| text.strip_suffix(b"\""));
        Some(Cell { text: inner.unwrap_or(text), column: start + 1 })
    }
}

/// A cell, escaped and cut short so that it can be shown.
fn quoted(text: &[u8]) -> String {
    const SHOWN: usize = 40;
    let dots = if text.len() > SHOWN { "..." } else { "" };
    format!("\"{}{dots}\"", text[..text.len().min(SHOWN)].escape_ascii())
}
