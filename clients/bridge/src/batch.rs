//! The samples of one message that has arrived, before they go into the channel.

use std::fmt;

use villas_shm_node::record::Record;
use villas_shm_node::signals::SignalType;

/// A message may have no more samples.
const MOST_SAMPLES: usize = 1 << 16;

/// Why a sample is not forwarded.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Fault {
    /// It has more values than a sample of the channel has room for.
    TooMany { values: usize, limit: usize },
    /// A value is of another type than the signal of the channel, or of none.
    Type { index: usize, wanted: SignalType },
    /// It is the start or the stop of a simulation, or something unknown.
    NoData { kind: Option<u64> },
    /// A line is no sample in JSON.
    Line(String),
}

impl Fault {
    /// Its key in the statistics.
    pub(crate) fn key(&self) -> &'static str {
        match self {
            Self::TooMany { .. } => "values",
            Self::Type { .. } => "type",
            Self::NoData { .. } => "no_data",
            Self::Line(_) => "json",
        }
    }
}

impl fmt::Display for Fault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::TooMany { values, limit } => {
                write!(f, "it has {values} values, but a sample of the channel has room for {limit} (\"samplelen\")")
            }
            Self::Type { index, wanted } => {
                write!(f, "value {index} is not of the type {wanted}, which the channel's signal has")
            }
            Self::NoData { kind: Some(kind) } => write!(f, "it is of type {kind}, and not 1, which is data"),
            Self::NoData { kind: None } => write!(f, "it does not say that it is data"),
            Self::Line(what) => write!(f, "{what}"),
        }
    }
}

/// The samples, in buffers that are used again for the next message.
#[derive(Default)]
pub(crate) struct Batch {
    records: Vec<Record>,
    count: usize,
    faults: Vec<(usize, Fault)>,
    limit: usize,
}

impl Batch {
    /// Begins a message for a channel whose samples have room for `limit` values.
    pub(crate) fn begin(&mut self, limit: usize) {
        (self.count, self.limit) = (0, limit);
        self.faults.clear();
    }

    /// Adds a sample, which `read` reads. An error is one of the whole message.
    #[inline]
    pub(crate) fn add(&mut self, read: impl FnOnce(&mut Record, usize) -> Result<Option<Fault>, String>) -> Result<(), String> {
        if self.count == MOST_SAMPLES {
            return Err(format!("it has more than {MOST_SAMPLES} samples"));
        }
        if self.count == self.records.len() {
            self.records.push(Record::default());
        }
        let record = &mut self.records[self.count];
        record.values.clear();
        (record.origin, record.received, record.sequence, record.new_frame) = (None, None, None, false);
        if let Some(fault) = read(record, self.limit)? {
            self.faults.push((self.count, fault));
        }
        self.count += 1;
        Ok(())
    }

    /// How many samples there are.
    pub(crate) fn len(&self) -> usize {
        self.count
    }

    /// The samples from the one at `first` on, each with its place, or why it is none for the
    /// channel.
    pub(crate) fn from(&self, first: usize) -> impl Iterator<Item = (usize, Result<&Record, &Fault>)> {
        let mut faults = self.faults.iter().skip_while(move |(index, _)| *index < first).peekable();
        self.records[..self.count].iter().enumerate().skip(first).map(move |(index, record)| {
            match faults.next_if(|(at, _)| *at == index) {
                Some((_, fault)) => (index, Err(fault)),
                None => (index, Ok(record)),
            }
        })
    }
}
