//! Samples from a file of any format.

use std::io;
use std::path::Path;

use super::arrow::Batches;
use super::binary::Messages;
use super::input::STDIN;
use super::{Format, Input, Source, columns, json};
use crate::human;
use crate::lines::{Lines, Next};
use crate::log::log;
use crate::record::{Record, Remarks};
use crate::signals::{MAX_SIGNALS, Signal, Signals};

/// How many lines are checked for times in another notation.
const LOOKS: u32 = 1000;

const CUT_OFF: &str = "the last line has no end: its recorder may have been stopped within it, and a number be cut short";

/// Why a sample was not read.
#[derive(Debug)]
pub(crate) enum ReadError {
    /// What stands at [`Reader::place`] is no sample; the next call goes on behind it.
    Malformed(String),
    /// Nothing more can be read.
    Fatal(String),
}

impl From<io::Error> for ReadError {
    fn from(error: io::Error) -> Self {
        Self::Fatal(error.to_string())
    }
}

/// Reads the samples of a file, one after the other.
pub(crate) struct Reader {
    decoder: Decoder,
    /// Names, units and types: as the caller says, else as the file does.
    signals: Signals,
    /// What the caller has said of the types, by which text is read.
    types: Signals,
    /// The most values of a sample.
    limit: usize,
    remarks: Remarks,
    has_begun: bool,
    /// Whether a line has named the columns.
    has_header: bool,
    /// Lines whose time is still looked at.
    looks: u32,
}

enum Decoder {
    Lines { format: Format, lines: Lines<Input> },
    Messages(Messages),
    Batches(Box<Batches>),
}

impl Reader {
    /// Opens a file, or standard input for `-`, in `format`, else in that of its name. `types` says
    /// what the values are where the file does not.
    pub(crate) fn open(path: &Path, format: Option<Format>, types: &Signals) -> Result<Self, String> {
        let file = Source::open(path, format)?;
        let format = file.format();
        Ok(Self::new(file.bytes(), format, types))
    }

    /// Reads an open stream. Nothing is read yet.
    pub(crate) fn new(input: Input, format: Format, types: &Signals) -> Self {
        Self {
            decoder: match format {
                Format::Binary => Decoder::Messages(Messages::new(input)),
                Format::Arrow => Decoder::Batches(Box::new(Batches::new(input))),
                _ => Decoder::Lines { format, lines: Lines::new(input) },
            },
            signals: types.clone(),
            types: types.clone(),
            limit: MAX_SIGNALS,
            remarks: Remarks::default(),
            has_begun: false,
            has_header: false,
            looks: 0,
        }
    }

    /// The same with at most this many values in a sample.
    pub(crate) fn with_limit(self, limit: usize) -> Self {
        Self { limit, ..self }
    }

    /// The same with a warning if the nanoseconds of a time look like a decimal fraction.
    pub(crate) fn looking_at_times(self) -> Self {
        Self { looks: LOOKS, ..self }
    }

    /// Names, units and types. What the file says is here once the first sample was read.
    pub(crate) fn signals(&self) -> &Signals {
        &self.signals
    }

    /// The file, or the standard input, for messages.
    pub(crate) fn name(&self) -> &str {
        self.input().name()
    }

    fn input(&self) -> &Input {
        match &self.decoder {
            Decoder::Lines { lines, .. } => lines.input(),
            Decoder::Messages(messages) => messages.input(),
            Decoder::Batches(batches) => batches.input(),
        }
    }

    /// Where the last sample or error stands, for messages.
    pub(crate) fn place(&self) -> String {
        match &self.decoder {
            Decoder::Lines { lines, .. } if self.name() == STDIN => format!("{STDIN}, line {}", lines.number()),
            Decoder::Lines { lines, .. } => format!("{}:{}", self.name(), lines.number()),
            Decoder::Messages(messages) => format!("{}, sample {}", self.name(), messages.samples),
            Decoder::Batches(batches) => format!("{}, sample {}", self.name(), batches.samples),
        }
    }

    /// How many bytes of a regular file were read, and of how many.
    pub(crate) fn progress(&self) -> Option<(u64, u64)> {
        self.input().progress()
    }

    /// Whether the next sample can be read without a wait.
    pub(crate) fn is_ready(&mut self) -> bool {
        match &mut self.decoder {
            Decoder::Lines { lines, .. } => lines.is_ready(),
            Decoder::Messages(messages) => messages.is_ready(),
            Decoder::Batches(batches) => batches.is_ready(),
        }
    }

    /// Reads the next sample; `false` at the end. After an error `record` may have a part of it.
    pub(crate) fn read(&mut self, record: &mut Record) -> Result<bool, ReadError> {
        let (signals, limit) = (&mut self.signals, self.limit);
        match &mut self.decoder {
            Decoder::Messages(messages) => messages.read(signals, limit, record),
            Decoder::Batches(batches) => batches.read(signals, limit, record),
            Decoder::Lines { .. } => self.read_line(record),
        }
    }

    fn read_line(&mut self, record: &mut Record) -> Result<bool, ReadError> {
        let Self { decoder: Decoder::Lines { format, lines }, signals, types, limit, .. } = self else { return Ok(false) };
        loop {
            let parsed = match lines.next()? {
                Next::End => return Ok(false),
                Next::TooLong => Err("this line is too long to be a sample".into()),
                Next::Line(line) if !self.has_begun && signals.take_titles(titles(*format, line)) => {
                    self.has_header = true;
                    continue;
                }
                Next::Line(line) => match *format {
                    Format::Csv => columns::parse(b',', line, types, *limit, record),
                    Format::Tsv => columns::parse(b'\t', line, types, *limit, record),
                    Format::Json => json::parse(line, types, !self.has_begun, *limit, record),
                    _ => {
                        look_at_time(line, &mut self.looks);
                        human::parse(line, types, *limit, record).map_err(|error| error.to_string())
                    }
                },
            };
            match parsed {
                // A comment, or an empty line.
                Ok(false) => {}
                Ok(true) => break,
                Err(what) if lines.is_open() => return Err(ReadError::Malformed(format!("{what}; {CUT_OFF}"))),
                Err(what) => return Err(ReadError::Malformed(what)),
            }
        }
        let is_open = lines.is_open();
        if !std::mem::replace(&mut self.has_begun, true) && *format == Format::Json {
            signals.clone_from(types);
        }
        if !record.oddities.is_empty() {
            let place = self.place();
            self.remarks.say(format_args!("{place}"), record);
        }
        // Programs, which write a header, end each line; people may leave out the last line feed. A
        // JSON object is whole, or no object.
        if is_open && self.has_header {
            log!(Warning, "{}: {CUT_OFF}; it is taken as it stands", self.place());
        }
        Ok(true)
    }
}

/// Checks the first lines, and warns once.
fn look_at_time(line: &[u8], looks: &mut u32) {
    if *looks > 0 {
        *looks -= 1;
        if let Some(time) = human::has_few_nanoseconds(line) {
            log!(
                Warning,
                "a time is \"{time}\": the digits behind the point count nanoseconds (1.5 is 1 s and 5 ns); write all nine for a fraction of a second"
            );
            *looks = 0;
        }
    }
}

/// The names and units of the values, if the line is a header.
fn titles(format: Format, line: &[u8]) -> Option<Vec<Signal>> {
    match format {
        Format::Human => human::parse_header(line),
        Format::Csv => columns::parse_header(b',', line),
        Format::Tsv => columns::parse_header(b'\t', line),
        _ => None,
    }
}
