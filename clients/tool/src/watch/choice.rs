//! Which samples, and which of their values, are shown.

use std::borrow::Cow;
use std::collections::HashMap;
use std::time::Instant;

use villas_shm::inspect::{Passed, Sender, Tap, Waiting};

use super::{Direction, Every, Options};
use crate::inspect::record;
use crate::record::Record;
use crate::signals::Signals;

/// See the module's description.
pub(super) struct Choice<'o> {
    options: &'o Options,
    /// Of each sender: what is chosen of its samples. `None`: nothing.
    columns: HashMap<Sender, Option<Columns>>,
}

struct Columns {
    /// Empty: all values.
    indices: Vec<usize>,
    signals: Signals,
    passed: u64,
    last: Option<Instant>,
}

impl Columns {
    /// Whether the next one is shown.
    fn is_next(&mut self, every: Every) -> bool {
        self.passed += 1;
        match every {
            Every::Samples(count) => (self.passed - 1) % count == 0,
            Every::Time(time) => {
                let is_due = self.last.is_none_or(|last| last.elapsed() >= time);
                if is_due {
                    self.last = Some(Instant::now());
                }
                is_due
            }
        }
    }
}

impl<'o> Choice<'o> {
    /// An error if a name is not that of a signal.
    pub(super) fn new(options: &'o Options, direction: Direction, tap: &Tap) -> Result<Self, String> {
        check(options, direction, tap)?;
        Ok(Self { options, columns: HashMap::new() })
    }

    /// What is shown of it.
    pub(super) fn of(&mut self, tap: &Tap, one: Passed) -> Result<Option<(Shown, &Signals)>, String> {
        let Self { options, columns } = self;
        let columns = columns.entry(one.from).or_insert_with(|| columns_of(options, tap, one.from));
        let Some(columns) = columns else { return Ok(None) };
        if !columns.is_next(options.every) {
            return Ok(None);
        }
        let shown = match (&one.what, &options.types) {
            (Waiting::Message(bytes), None) => Shown::Bytes(one.position, bytes.clone()),
            (Waiting::Message(bytes), Some(types)) => Shown::Record(one.from, numbers(bytes, one.position, types)?),
            (sample, _) => {
                let Some(mut record) = record(sample) else { return Ok(None) };
                if !columns.indices.is_empty() {
                    record.values = columns.indices.iter().filter_map(|&at| record.values.get(at).copied()).collect();
                }
                Shown::Record(one.from, record)
            }
        };
        Ok(Some((shown, &columns.signals)))
    }
}

/// Something to print.
pub(super) enum Shown {
    Record(Sender, Record),
    /// A message, and its position.
    Bytes(u64, Vec<u8>),
}

/// The types of `-t`, else what the region says.
pub(super) fn signals_of(options: &Options, tap: &Tap, from: Sender) -> Signals {
    options.types.clone().unwrap_or_else(|| Signals::new(tap.signals(from).to_vec()))
}

/// The index of a signal: by its name, or, where names are not stated, as `signalN`.
fn index(signals: &Signals, name: &str) -> Option<usize> {
    let stated = (0..signals.len()).find(|&at| signals.name(at) == name);
    let number = || name.strip_prefix("signal")?.parse().ok().filter(|&at: &usize| signals.name(at) == name);
    stated.or_else(number)
}

fn columns_of(options: &Options, tap: &Tap, from: Sender) -> Option<Columns> {
    let signals = signals_of(options, tap, from);
    let indices: Vec<usize> = options.signals.iter().filter_map(|name| index(&signals, name)).collect();
    if indices.len() < options.signals.len() {
        return None;
    }
    let signals = match &indices[..] {
        [] => signals,
        chosen => Signals::new(chosen.iter().map(|&at| signal(&signals, at)).collect()),
    };
    Some(Columns { indices, signals, passed: 0, last: None })
}

fn signal(signals: &Signals, at: usize) -> villas_shm::Signal {
    let found = signals.get(at);
    let unit = found.map_or(Cow::Borrowed(""), |signal| signal.unit().into());
    villas_shm::Signal::new(signals.name(at), unit, signals.kind(at))
}

/// Whether one of the directions has all signals that were named.
fn check(options: &Options, direction: Direction, tap: &Tap) -> Result<(), String> {
    let senders: Vec<Sender> = [Sender::Node, Sender::Program].into_iter().filter(|&from| direction.has(from)).collect();
    let has_all = |&from: &Sender| columns_of(options, tap, from).is_some();
    if options.signals.is_empty() || senders.iter().any(has_all) {
        return Ok(());
    }
    let named = |&from: &Sender| {
        let signals = signals_of(options, tap, from);
        (0..signals.len()).map(|at| signals.name(at).into_owned()).collect::<Vec<_>>()
    };
    let all: Vec<String> = senders.iter().flat_map(named).collect();
    let there = if all.is_empty() {
        "the region names none, so they are signal0, signal1, …".into()
    } else {
        format!("there are {}", all.join(", "))
    };
    Err(format!("no direction has all of the signals {}: {there}", options.signals.join(", ")))
}

/// The numbers of a message: 8 bytes each, of these types.
fn numbers(bytes: &[u8], position: u64, types: &Signals) -> Result<Record, String> {
    if bytes.len() < 8 * types.len() || bytes.len() % 8 != 0 {
        return Err(format!(
            "a message has {} bytes, but -t names {} values of 8 bytes each; without -t the bytes are shown",
            bytes.len(),
            types.len()
        ));
    }
    let values =
        bytes.chunks_exact(8).map(|value| value.iter().rev().fold(0, |bits, &byte| bits << 8 | u64::from(byte))).collect();
    Ok(Record { sequence: Some(position), values, ..Record::default() })
}
