//! Where lines go: the terminal, a pipe, a file.

use std::fs::File;
use std::io::{self, IsTerminal, Write};
use std::time::{Duration, Instant};

use villas_shm::inspect::{Kind, Sender};

use super::choice::Shown;
use super::{Direction, Options};
use crate::formats::{Format, Output, Writer};
use crate::human;
use crate::log::log;
use crate::signals::Signals;
use crate::standard;

/// A file gets what has passed in this time by one write.
const BATCH_TIME: Duration = Duration::from_millis(100);

/// See the module's description.
pub(super) struct Sink {
    way: Way,
    /// Whether lines are gathered, because nobody waits for them.
    is_file: bool,
    flushed: Instant,
}

enum Way {
    /// Lines of both directions, or bytes, which no format has: each batch by one write.
    Plain(File, Vec<u8>),
    /// Until the first sample, whose signals begin the file.
    New(Option<Output>),
    Format(Box<Writer>),
}

impl Sink {
    /// Whose samples are shown.
    pub(super) fn direction(options: &Options) -> Result<Direction, String> {
        let is_terminal = options.output.as_os_str() == "-" && io::stdout().is_terminal();
        let is_plain = is_terminal && options.format.is_none_or(|format| format == Format::Human);
        match options.direction {
            Some(Direction::Both) if !is_plain => {
                Err("lines of both directions are for a terminal, in villas.human: no format says who has sent a sample. Choose \
                 --direction out or in, or record each by a watch of its own"
                    .into())
            }
            Some(direction) => Ok(direction),
            None if is_plain => Ok(Direction::Both),
            None => {
                log!(Info, "recording what the node sends; --direction in is what the program sends");
                Ok(Direction::Out)
            }
        }
    }

    pub(super) fn new(options: &Options, kind: Kind) -> Result<Self, String> {
        let is_file = options.output.as_os_str() != "-";
        let is_bytes = kind == Kind::Ring && options.types.is_none();
        let is_both = kind != Kind::Ring && Self::is_both(options);
        let way = if is_bytes && (options.format.is_some_and(|format| format != Format::Human) || is_file) {
            return Err("the messages of a ring are bytes, which no format has: -t says what they hold, such as -t 2f".into());
        } else if is_bytes || is_both {
            Way::Plain(standard::stdout()?, Vec::new())
        } else {
            Way::New(Some(Output::create(&options.output, options.format)?))
        };
        Ok(Self { way, is_file, flushed: Instant::now() })
    }

    fn is_both(options: &Options) -> bool {
        let is_plain = options.format.is_none_or(|format| format == Format::Human);
        let is_wanted = options.direction.is_none_or(|direction| direction == Direction::Both);
        is_wanted && is_plain && options.output.as_os_str() == "-" && io::stdout().is_terminal()
    }

    pub(super) fn write(&mut self, shown: &Shown, signals: &Signals) -> Result<(), String> {
        if let Way::New(output) = &mut self.way {
            if let Some(output) = output.take() {
                self.way = Way::Format(Box::new(Writer::new(output, signals.clone())?));
            }
        }
        match (&mut self.way, shown) {
            (Way::Plain(_, lines), Shown::Record(from, record)) => {
                lines.extend(if *from == Sender::Program { "← " } else { "→ " }.bytes());
                human::print(record, signals, lines);
            }
            (Way::Plain(_, lines), Shown::Bytes(position, bytes)) => {
                lines.extend(format!("{position}\t").bytes());
                bytes.iter().for_each(|byte| lines.extend(format!("{byte:02x}").bytes()));
                lines.push(b'\n');
            }
            (Way::Format(writer), Shown::Record(_, record)) => {
                writer.write(record)?;
                if writer.is_full() {
                    writer.flush()?;
                }
            }
            _ => {}
        }
        Ok(())
    }

    /// Writes what is gathered, in whole lines or batches; whether it still has a reader.
    pub(super) fn flush_if_due(&mut self) -> Result<bool, String> {
        if self.is_file && self.flushed.elapsed() < BATCH_TIME {
            return Ok(true);
        }
        self.flushed = Instant::now();
        self.flush()
    }

    fn flush(&mut self) -> Result<bool, String> {
        match &mut self.way {
            Way::Plain(_, lines) if lines.is_empty() => Ok(true),
            Way::Plain(out, lines) => {
                let written = standard::has_reader(out.write_all(lines));
                lines.clear();
                written
            }
            Way::Format(writer) if writer.is_due() => writer.flush(),
            _ => Ok(true),
        }
    }

    /// Writes the rest; returns what the format could not hold.
    pub(super) fn finish(mut self) -> Result<Vec<String>, String> {
        self.flush()?;
        match self.way {
            Way::Format(writer) => writer.finish(),
            Way::New(Some(output)) => Writer::new(output, Signals::default())?.finish(),
            _ => Ok(Vec::new()),
        }
    }
}
