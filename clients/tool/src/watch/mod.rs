//! `villas-shm watch`: samples and messages as they pass, as lines or into a file.
//!
//! A line of `villas.human` does not say who has sent it. So a file or a pipe gets one direction,
//! and stays readable; a terminal gets both, each line behind an arrow.

mod choice;
mod plot;
mod sink;
mod source;

use std::path::PathBuf;
use std::sync::mpsc;
use std::time::Duration;

use villas_shm::inspect::{Kind, Sender};

use crate::events;
use crate::formats::Format;
use crate::log::log;
use crate::signals::Signals;
use choice::Choice;
use sink::Sink;
use source::Source;

/// What of the samples is shown.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Every {
    /// The first of so many.
    Samples(u64),
    /// At most one in this time.
    Time(Duration),
}

/// Whose samples are shown.
#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum)]
pub(crate) enum Direction {
    /// Those that the program has sent.
    In,
    /// Those that the node has sent.
    Out,
    /// Both, each line behind an arrow; on a terminal, in villas.human only.
    Both,
}

impl Direction {
    fn has(self, from: Sender) -> bool {
        match from {
            Sender::Node => self != Self::In,
            Sender::Program => self != Self::Out,
            _ => true,
        }
    }
}

/// What the command line says.
#[derive(Clone)]
pub(crate) struct Options {
    pub(crate) name: std::ffi::OsString,
    /// The names of the signals that are shown; empty: all.
    pub(crate) signals: Vec<String>,
    pub(crate) types: Option<Signals>,
    pub(crate) limit: Option<u64>,
    pub(crate) every: Every,
    pub(crate) duration: Option<Duration>,
    pub(crate) direction: Option<Direction>,
    pub(crate) format: Option<Format>,
    pub(crate) output: PathBuf,
    /// Whether curves are drawn instead.
    pub(crate) plot: bool,
}

/// Runs the command; returns whether nothing was missed.
pub(crate) fn run(options: &Options) -> Result<bool, String> {
    let missed = if options.plot { plot::run(options)? } else { print(options)? };
    if missed > 0 {
        log!(
            Warning,
            "missed {missed} that passed unseen, in both directions together; a larger \"history\" of the region keeps more for a look"
        );
    }
    Ok(missed == 0)
}

/// Prints or records; returns how many were missed.
fn print(options: &Options) -> Result<u64, String> {
    let (events, signals) = mpsc::channel();
    events::catch_signals(events, |signal| signal)?;
    let mut source = Source::open(&options.name, options.duration, signals)?;
    let direction = if source.kind() == Kind::Ring { Direction::Both } else { Sink::direction(options)? };
    let mut choice = Choice::new(options, direction, source.tap())?;
    let mut sink = Sink::new(options, source.kind())?;
    let outcome = print_all(options, &mut source, direction, &mut choice, &mut sink);
    let losses = sink.finish();
    outcome?;
    for loss in losses? {
        log!(Warning, "{loss}");
    }
    Ok(source.missed())
}

fn print_all(
    options: &Options,
    source: &mut Source,
    direction: Direction,
    choice: &mut Choice<'_>,
    sink: &mut Sink,
) -> Result<(), String> {
    let (mut batch, mut shown) = (Vec::new(), 0);
    while source.next(&mut batch)? {
        for one in batch.drain(..).filter(|one| direction.has(one.from)) {
            let Some((record, signals)) = choice.of(source.tap(), one)? else { continue };
            sink.write(&record, signals)?;
            shown += 1;
            if options.limit.is_some_and(|limit| shown >= limit) {
                return Ok(());
            }
        }
        if !sink.flush_if_due()? {
            break;
        }
    }
    Ok(())
}
