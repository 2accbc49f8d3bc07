//! The format `json`: one object a line, as VILLASnode writes it.
//!
//! ```text
//! {"ts": {"origin": [SECONDS, NANOSECONDS], "received": [...]}, "sequence": N, "data": [VALUE, ...]}
//! ```
//!
//! A float has a point or an exponent, by which VILLASnode tells it from an integer. JSON has
//! neither NaN nor infinity: both become `null`, which is read as NaN.

use serde::Deserialize;
use serde_json::value::RawValue;

use super::losses::{Loss, Losses};
use crate::encoding;
use crate::record::value::{self, join, split};
use crate::record::{Record, Time};
use crate::signals::{Signal, SignalType, Signals};

/// Appends one sample and a line feed.
pub fn print(record: &Record, signals: &Signals, losses: &mut Losses, out: &mut Vec<u8>) {
    // Room for the longest times and for usual doubles: the buffer grows at most once.
    out.reserve(160 + 26 * record.values.len());
    out.extend_from_slice(b"{\"ts\": {");
    if let Some(origin) = record.origin {
        out.extend_from_slice(b"\"origin\": ");
        print_time(origin, out);
    }
    if let Some(received) = record.received {
        let comma: &[u8] = if record.origin.is_some() { b", " } else { b"" };
        out.extend_from_slice(comma);
        out.extend_from_slice(b"\"received\": ");
        print_time(received, out);
    }
    out.push(b'}');
    if let Some(sequence) = record.sequence {
        out.extend_from_slice(b", \"sequence\": ");
        out.extend_from_slice(itoa::Buffer::new().format(sequence).as_bytes());
    }
    losses.add(Loss::Frame, u64::from(record.new_frame));
    out.extend_from_slice(b", \"data\": [");
    for (index, &bits) in record.values.iter().enumerate() {
        if index > 0 {
            out.extend_from_slice(b", ");
        }
        print_value(signals.kind(index), bits, losses, out);
    }
    out.extend_from_slice(b"]}\n");
}

fn print_time(time: Time, out: &mut Vec<u8>) {
    out.push(b'[');
    out.extend_from_slice(itoa::Buffer::new().format(time.sec).as_bytes());
    out.extend_from_slice(b", ");
    out.extend_from_slice(itoa::Buffer::new().format(time.nsec).as_bytes());
    out.push(b']');
}

fn print_value(kind: SignalType, bits: u64, losses: &mut Losses, out: &mut Vec<u8>) {
    match kind {
        SignalType::Float if !f64::from_bits(bits).is_finite() => null(bits == f64::NAN.to_bits(), losses, out),
        SignalType::Float | SignalType::Integer => value::print(kind, bits, out),
        SignalType::Boolean => out.extend_from_slice(if value::is_true(bits) { b"true" } else { b"false" }),
        SignalType::Complex => {
            let (real, imaginary) = split(bits);
            for (name, part) in [("{\"real\": ", real), (", \"imag\": ", imaginary)] {
                out.extend_from_slice(name.as_bytes());
                match part.is_finite() {
                    true => value::print_single(part, out),
                    false => null(part.to_bits() == f32::NAN.to_bits(), losses, out),
                }
            }
            out.push(b'}');
        }
    }
}

#[cold]
fn null(is_usual: bool, losses: &mut Losses, out: &mut Vec<u8>) {
    losses.add(Loss::NotFinite, u64::from(!is_usual));
    out.extend_from_slice(b"null");
}

/// A line; other members are ignored, as VILLASnode does.
#[derive(Deserialize)]
struct Line<'a> {
    #[serde(default)]
    ts: Times,
    sequence: Option<u64>,
    #[serde(borrow)]
    data: Vec<&'a RawValue>,
}

#[derive(Default, Deserialize)]
struct Times {
    origin: Option<(i64, u32)>,
    received: Option<(i64, u32)>,
}

#[derive(Deserialize)]
struct Complex<'a> {
    #[serde(borrow)]
    real: &'a RawValue,
    #[serde(borrow)]
    imag: &'a RawValue,
}

/// Parses one line, without its line feed, into a sample with at most `limit` values; `false` for
/// an empty line. With `learns`, values beyond the list of `signals` say themselves whether they
/// are booleans or complex, and are added to it; other numbers are floats.
pub fn parse(line: &[u8], signals: &mut Signals, learns: bool, limit: usize, record: &mut Record) -> Result<bool, String> {
    let line = encoding::without_mark(line);
    if line.trim_ascii().is_empty() {
        return Ok(false);
    }
    let parsed: Line<'_> = serde_json::from_slice(line).map_err(|error| explain(&error, line))?;
    if parsed.data.len() > limit {
        return Err(format!("{} values, but a sample has room for {limit}", parsed.data.len()));
    }
    if learns {
        let more = parsed.data.iter().skip(signals.len()).map(|raw| Signal::new("", "", kind_of(raw.get())));
        signals.extend(more.collect());
    }
    record.oddities.clear();
    record.origin = parsed.ts.origin.map(|stamp| time("origin", stamp)).transpose()?;
    record.received = parsed.ts.received.map(|stamp| time("received", stamp)).transpose()?;
    record.sequence = parsed.sequence;
    record.new_frame = false;
    record.values.clear();
    for (index, raw) in parsed.data.iter().enumerate() {
        let bits = parse_value(signals.kind(index), raw.get()).map_err(|why| {
            let column = raw.get().as_ptr() as usize - line.as_ptr() as usize + 1;
            format!("value {index}: {} {why} (column {column})", shown(raw.get()))
        })?;
        record.values.push(bits);
    }
    Ok(true)
}

/// What a value says of its type.
fn kind_of(text: &str) -> SignalType {
    match text.as_bytes() {
        [b't' | b'f', ..] => SignalType::Boolean,
        [b'{', ..] => SignalType::Complex,
        _ => SignalType::Float,
    }
}

fn time(name: &str, (sec, nsec): (i64, u32)) -> Result<Time, String> {
    if nsec < 1_000_000_000 { Ok(Time { sec, nsec }) } else { Err(format!("{name}: {nsec} nanoseconds are a second or more")) }
}

fn parse_value(kind: SignalType, text: &str) -> Result<u64, String> {
    if text == "null" {
        return value::missing(kind).ok_or_else(|| format!("is no value: {}", value::no_missing(kind)));
    }
    if kind == SignalType::Complex {
        let Ok(Complex { real, imag }) = serde_json::from_str(text) else { return Err(value::no_value(kind).into()) };
        return Ok(join(part(real.get())?, part(imag.get())?));
    }
    match value::parse(kind, text.as_bytes()) {
        Ok((bits, len)) if len == text.len() => match kind {
            SignalType::Float if !is_exact(f64::from_bits(bits), text) => {
                Err("is an integer that no double holds: state the types (-t) with i for it".into())
            }
            _ => Ok(bits),
        },
        Ok(_) => Err(value::no_value(kind).into()),
        Err(why) => Err(why.into()),
    }
}

fn part(text: &str) -> Result<f32, String> {
    if text == "null" {
        return Ok(f32::NAN);
    }
    let (value, len) = value::parse_single(text.as_bytes())?;
    if len == text.len() { Ok(value) } else { Err(value::no_value(SignalType::Complex).into()) }
}

/// Whether a text that has the form of an integer is this value: the type of such a number is not
/// sure, and its digits must not be lost.
fn is_exact(value: f64, text: &str) -> bool {
    // Each shorter integer is a double.
    text.len() < 16 || text.parse::<i64>().map_or(true, |integer| value as i128 == i128::from(integer))
}

/// The parser's message, with the column as in other messages.
#[cold]
fn explain(error: &serde_json::Error, line: &[u8]) -> String {
    let text = error.to_string();
    let what = text.split(" at line ").next().unwrap_or_default();
    let has_name = |name: &[u8]| line.windows(name.len()).any(|word| word == name);
    let hint = if has_name(b"NaN") || has_name(b"Infinity") { "; JSON has no NaN and no infinity: write null" } else { "" };
    format!("no sample in JSON: {what}{hint} (column {})", error.column())
}

fn shown(text: &str) -> String {
    const SHOWN: usize = 40;
    let dots = if text.chars().count() > SHOWN { "..." } else { "" };
    format!("{}{dots}", text.chars().take(SHOWN).collect::<String>())
}
