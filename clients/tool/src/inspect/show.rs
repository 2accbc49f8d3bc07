//! One object in full.

use std::ffi::OsStr;
use std::fmt::Write as _;
use std::io::{self, Write as _};

use villas_shm::inspect::{self, Entry, Parameter, Queue, Waiting};
use villas_shm::{Flags, Timespec};

use super::words;
use crate::human;
use crate::record::{Record, Time, value};
use crate::signals::{Signal, Signals};
use crate::standard;

/// Bytes per line of `--hex`.
const LINE: usize = 16;
/// Bytes of an object that are read at once.
const CHUNK: usize = 64 << 10;

/// The text of `show`. Writing to a `String` cannot fail.
pub(super) fn show(entry: &Entry, types: Option<&Signals>) -> String {
    let mut text = format!("{} {}\n", words::kind(entry), words::name(entry));
    let mut line = |heading: &str, what: &str| {
        let _ = writeln!(text, "  {heading:<11} {what}");
    };
    let age = words::age(entry.created);
    line("size", &format!("{} bytes, mode {:04o}, owner {}, age {age}", entry.size, entry.mode, words::owner(entry.uid)));
    line("state", words::state(entry));
    if let Some(note) = &entry.note {
        line("", &words::plain(note));
    }
    if let Some(version) = entry.version {
        line("layout", &format!("version {version}"));
    }
    if !entry.parameters.is_empty() {
        let parameters: Vec<String> =
            entry.parameters.iter().map(|(name, value)| format!("{name} {}", parameter(value))).collect();
        line("parameters", &parameters.join(", "));
    }
    for peer in &entry.peers {
        let alive = if peer.state == inspect::PeerState::Alive { " alive" } else { "" };
        line("peer", &format!("{}{alive}, came {} ago", words::peer(peer), words::age(Some(peer.since))));
    }
    let attached = words::attached(entry);
    line("mapped by", &format!("{}{}{}", words::users(entry), if attached.is_empty() { "" } else { ": " }, attached.join(", ")));
    if let Some((free, total)) = entry.blocks {
        line("blocks", &format!("{free} of {total} free"));
    }
    // One line for each side of a channel.
    for (at, counters) in entry.counters.chunks(3).enumerate() {
        let counters: Vec<String> = counters.iter().map(|(name, count)| format!("{name} {count}")).collect();
        line(if at == 0 { "counters" } else { "" }, &counters.join(", "));
    }
    for queue in &entry.queues {
        let heading = if queue.direction.is_empty() { "messages" } else { queue.direction };
        let _ = writeln!(
            text,
            "  {heading}: {} of {} wait, {} written, {} read",
            queue.depth, queue.capacity, queue.written, queue.read
        );
        let named = || Signals::new(queue.signals.clone());
        let types = types.cloned().unwrap_or_else(named);
        text.push_str(&waiting(&queue.waiting, &types));
        if let Some(newest) = queue.newest.as_ref().filter(|_| queue.waiting.len() as u64 != queue.depth || queue.depth == 0) {
            let changed = if newest.may_have_changed { ", as its reader has left it" } else { "" };
            let _ = write!(text, "    the newest{changed}:\n{}", waiting(std::slice::from_ref(&newest.what), &types));
        }
    }
    for queue in entry.queues.iter().filter(|queue| !queue.direction.is_empty()) {
        let _ = match &*queue.signals {
            [] => writeln!(text, "  signals, {}: none named", queue.direction),
            named => writeln!(text, "  signals, {}:\n{}", queue.direction, signals(named, newest_values(queue))),
        };
    }
    text
}

/// A table: number, name, unit, type, newest value.
fn signals(named: &[Signal], newest: &[u64]) -> String {
    let cells = |(at, signal): (usize, &Signal)| {
        let value = newest.get(at).map_or(String::new(), |&bits| value::show(signal.kind(), bits));
        let kind = signal.kind().to_string();
        // Nothing behind the last word of a line.
        let kind = if value.is_empty() { kind } else { format!("{kind:<7}  {value}") };
        [at.to_string(), words::plain(signal.name()), words::plain(signal.unit()), kind]
    };
    let rows: Vec<_> = named.iter().enumerate().map(cells).collect();
    let [number, name, unit] = [0, 1, 2].map(|at| rows.iter().map(|row| row[at].chars().count()).max().unwrap_or(0));
    let line = |[at, called, of, kind]: &[String; 4]| format!("    {at:>number$}  {called:<name$}  {of:<unit$}  {kind}");
    rows.iter().map(line).collect::<Vec<_>>().join("\n")
}

pub(super) fn parameter(value: &Parameter) -> String {
    match value {
        Parameter::Number(number) => number.to_string(),
        Parameter::Word(word) => (*word).into(),
    }
}

/// The samples, in `villas.human` format, or the messages.
fn waiting(samples: &[Waiting], types: &Signals) -> String {
    let mut lines = Vec::new();
    for waiting in samples {
        lines.extend_from_slice(b"    ");
        match waiting {
            Waiting::Sample { .. } => {
                if let Some(record) = record(waiting) {
                    human::print(&record, types, &mut lines);
                }
            }
            Waiting::Message(bytes) => {
                lines.extend(hex_line(0, &bytes[..bytes.len().min(LINE)])[10..].bytes());
                if bytes.len() > LINE {
                    lines.pop();
                    lines.extend(format!(" … {} bytes\n", bytes.len()).bytes());
                }
            }
            _ => lines.push(b'\n'),
        }
    }
    String::from_utf8_lossy(&lines).into_owned()
}

/// A sample, as files have it.
pub(crate) fn record(sample: &Waiting) -> Option<Record> {
    let Waiting::Sample { flags, sequence, origin, received, values, .. } = sample else { return None };
    // In this library's own layout, the whole header of a sample without flags is valid.
    let has = |flag| *flags == Flags::NONE || flags.contains(flag);
    Some(Record {
        origin: has(Flags::HAS_TS_ORIGIN).then(|| time(origin)),
        received: flags.contains(Flags::HAS_TS_RECEIVED).then(|| time(received)),
        sequence: has(Flags::HAS_SEQUENCE).then_some(*sequence),
        new_frame: flags.contains(Flags::NEW_FRAME),
        values: values.clone(),
        ..Record::default()
    })
}

/// The values of the newest sample.
pub(super) fn newest_values(queue: &Queue) -> &[u64] {
    match queue.newest.as_ref().map(|newest| &newest.what) {
        Some(Waiting::Sample { values, .. }) => values,
        _ => &[],
    }
}

/// The nanoseconds in the region may be anything.
fn time(at: &Timespec) -> Time {
    Time { sec: at.sec, nsec: at.nsec.clamp(0, 999_999_999) as u32 }
}

/// Offset, bytes in hexadecimal, and as text.
fn hex_line(offset: u64, bytes: &[u8]) -> String {
    let mut line = format!("{offset:08x}  ");
    for at in 0..LINE {
        let _ = match bytes.get(at) {
            Some(byte) => write!(line, "{byte:02x} "),
            None => write!(line, "   "),
        };
    }
    let printable = |&byte: &u8| if byte.is_ascii_graphic() || byte == b' ' { char::from(byte) } else { '.' };
    let _ = writeln!(line, " |{}|", bytes.iter().map(printable).collect::<String>());
    line
}

/// Prints all bytes of an object; `*` stands for lines equal to the one before.
pub(super) fn hex(name: &OsStr) -> Result<(), String> {
    let mut out = io::BufWriter::new(standard::stdout()?);
    let (mut offset, mut last, mut chunk) = (0u64, Vec::new(), vec![0; CHUNK]);
    let mut is_repeating = false;
    loop {
        let count = inspect::read_bytes(name, offset, &mut chunk).map_err(|error| error.to_string())?;
        for line in chunk[..count].chunks(LINE) {
            let printed = if line != last {
                is_repeating = false;
                last = line.to_vec();
                out.write_all(hex_line(offset, line).as_bytes())
            } else if !is_repeating {
                is_repeating = true;
                out.write_all(b"*\n")
            } else {
                Ok(())
            };
            if !standard::has_reader(printed)? {
                return Ok(());
            }
            offset += line.len() as u64;
        }
        if count < CHUNK {
            return standard::has_reader(writeln!(out, "{offset:08x}").and_then(|()| out.flush())).map(drop);
        }
    }
}
