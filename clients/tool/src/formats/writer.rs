//! Samples to a file of any format.

use std::fs::File;
use std::io::{self, Write};
use std::path::Path;
use std::time::{Duration, Instant};

use super::losses::Losses;
use super::{Format, arrow, binary, columns, json};
use crate::human;
use crate::record::Record;
use crate::signals::Signals;
use crate::standard;

const STDOUT: &str = "standard output";

/// Bytes that are gathered before a write.
const CHUNK: usize = 64 << 10;

/// How long samples are gathered for a batch while no more are ready.
const BATCH_TIME: Duration = Duration::from_millis(100);

/// A stream to write to, and in which format.
pub(crate) struct Output {
    /// For messages.
    name: String,
    stream: Box<dyn Write + Send>,
    format: Format,
}

impl Output {
    /// Makes a file, or takes standard output for `-`, in `format`, else in that of the name.
    pub(crate) fn create(path: &Path, format: Option<Format>) -> Result<Self, String> {
        let format = format.unwrap_or_else(|| Format::of_path(path));
        if path.as_os_str() == "-" {
            return Ok(Self::new(STDOUT, standard::stdout()?, format));
        }
        let name = path.display().to_string();
        let file = File::create(path).map_err(|error| format!("cannot write {name}: {error}"))?;
        Ok(Self::new(name, file, format))
    }

    /// A stream that is open.
    pub(crate) fn new(name: impl Into<String>, stream: impl Write + Send + 'static, format: Format) -> Self {
        Self { name: name.into(), stream: Box::new(stream), format }
    }

    /// Whether it is standard output.
    pub(crate) fn is_stdout(&self) -> bool {
        self.name == STDOUT
    }

    pub(crate) fn format(&self) -> Format {
        self.format
    }

    /// Whether it still has a reader.
    fn write(&mut self, bytes: &[u8]) -> Result<bool, String> {
        match self.stream.write_all(bytes) {
            Ok(()) => Ok(true),
            Err(error) if error.kind() == io::ErrorKind::BrokenPipe => Ok(false),
            Err(error) => Err(format!("cannot write {}: {error}", self.name)),
        }
    }
}

/// Writes samples. They are gathered until [`Writer::flush`] or [`Writer::finish`], which somebody
/// must call when [`Writer::is_full`].
pub(crate) struct Writer {
    output: Output,
    encoder: Encoder,
    signals: Signals,
    /// What was encoded and not yet written.
    buffer: Vec<u8>,
    losses: Losses,
    /// The header names the offset even if the first sample has none.
    has_offset: bool,
    has_begun: bool,
    last_flush: Instant,
}

enum Encoder {
    Human,
    Columns(u8),
    Json,
    Binary,
    /// Begins with the first sample, whose values are the columns.
    Arrow(Option<Box<arrow::Columns>>),
}

impl Writer {
    /// Writes to an open stream. An error if the format cannot hold such signals.
    pub(crate) fn new(output: Output, signals: Signals) -> Result<Self, String> {
        let encoder = match output.format {
            Format::Human => Encoder::Human,
            Format::Csv => Encoder::Columns(b','),
            Format::Tsv => Encoder::Columns(b'\t'),
            Format::Json => Encoder::Json,
            Format::Binary => {
                binary::check(&signals)?;
                Encoder::Binary
            }
            Format::Arrow => Encoder::Arrow(None),
        };
        Ok(Self {
            output,
            encoder,
            signals,
            buffer: Vec::new(),
            losses: Losses::default(),
            has_offset: false,
            has_begun: false,
            last_flush: Instant::now(),
        })
    }

    /// Makes the header name the offset even if the first sample has none.
    pub(crate) fn with_offset(self) -> Self {
        Self { has_offset: true, ..self }
    }

    /// Takes a sample. An error if the format has no place for it.
    pub(crate) fn write(&mut self, record: &Record) -> Result<(), String> {
        if !self.has_begun {
            self.begin(record.values.len(), record.received.is_some())?;
        }
        let Self { signals, buffer, losses, .. } = self;
        match &mut self.encoder {
            Encoder::Human => human::print(record, signals, buffer),
            Encoder::Columns(separator) => columns::print(*separator, record, signals, losses, buffer),
            Encoder::Json => json::print(record, signals, losses, buffer),
            Encoder::Binary => binary::print(record, signals, losses, buffer)?,
            Encoder::Arrow(columns) => columns.iter_mut().for_each(|columns| columns.push(record, losses)),
        }
        Ok(())
    }

    /// Names the columns: of all signals, and of as many values as the first sample has.
    fn begin(&mut self, values: usize, has_offset: bool) -> Result<(), String> {
        self.has_begun = true;
        let Self { signals, buffer, .. } = self;
        let count = signals.len().max(values);
        match &mut self.encoder {
            Encoder::Human => human::header(signals, count, self.has_offset || has_offset, buffer),
            Encoder::Columns(separator) => columns::header(*separator, signals, count, buffer),
            Encoder::Json | Encoder::Binary => {}
            Encoder::Arrow(columns) => *columns = Some(Box::new(arrow::Columns::new(signals, count)?)),
        }
        Ok(())
    }

    /// Whether to flush when no more samples are ready. Each flush makes a batch of Arrow, of which
    /// few are better.
    pub(crate) fn is_due(&self) -> bool {
        !matches!(self.encoder, Encoder::Arrow(_)) || self.last_flush.elapsed() >= BATCH_TIME
    }

    /// Whether enough is gathered for a write.
    pub(crate) fn is_full(&self) -> bool {
        match &self.encoder {
            Encoder::Arrow(columns) => columns.as_ref().is_some_and(|columns| columns.is_full()),
            _ => self.buffer.len() >= CHUNK,
        }
    }

    /// Writes all that was gathered: a reader can read every sample up to here. Returns whether
    /// there still is a reader.
    pub(crate) fn flush(&mut self) -> Result<bool, String> {
        if let Encoder::Arrow(Some(columns)) = &mut self.encoder {
            columns.flush(&mut self.buffer)?;
        }
        let result = self.output.write(&self.buffer);
        self.buffer.clear();
        self.last_flush = Instant::now();
        result
    }

    /// Writes the rest and the end. Returns what the format could not hold, as sentences.
    pub(crate) fn finish(mut self) -> Result<Vec<String>, String> {
        if !self.has_begun {
            self.begin(0, false)?;
        }
        if let Encoder::Arrow(Some(columns)) = &mut self.encoder {
            columns.finish(&mut self.buffer)?;
        }
        self.flush()?;
        Ok(self.losses.sentences())
    }
}
