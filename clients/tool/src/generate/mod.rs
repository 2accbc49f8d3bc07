//! `villas-shm signal`: a signal generator.
//!
//! Steps are counted from 0. Step `k` is due `k / rate` seconds after the start and has that moment
//! as its timestamp, even if it is printed later. So neither the times nor the values drift.

mod wave;

use std::path::Path;
use std::sync::mpsc::{Receiver, RecvTimeoutError, TryRecvError, channel};
use std::time::{Duration, Instant};

use nix::sys::signal::Signal;

use crate::events;
use crate::formats::{Format, Output, Writer};
use crate::log::log;
use crate::record::value::join;
use crate::record::{Record, Time};
use crate::signals::{Signal as Column, SignalType, Signals};
use wave::Wave;
pub(crate) use wave::{Kind, Shape};

/// A step that cannot be printed within this time is skipped. Smaller delays are caught up, so that
/// rates far above that of the system's sleeps are kept.
const LATEST: Duration = Duration::from_millis(100);

/// How long a stopped generator may stay in a write that has no reader.
const STOP_TIME: Duration = Duration::from_secs(1);

/// What the command line says.
#[derive(Clone, Debug)]
pub(crate) struct Options {
    pub(crate) kind: Kind,
    pub(crate) shape: Shape,
    /// Values of each sample.
    pub(crate) values: usize,
    /// The format of the output.
    pub(crate) format: Option<Format>,
    /// Their types, and their names if they have any.
    pub(crate) types: Signals,
    /// How many samples to print.
    pub(crate) limit: Option<u64>,
    /// Wait for the time of each step.
    pub(crate) is_paced: bool,
}

enum Event {
    Signal(Signal),
    Done(Result<(), String>),
}

/// Runs the command until all is printed, a signal comes, or the reader has left.
pub(crate) fn run(options: Options) -> Result<(), String> {
    let (events, inbox) = channel();
    events::catch_signals(events.clone(), Event::Signal)?;
    let (running, stop) = channel();
    let generator = Generator::new(options, stop)?;
    events::spawn(events, Event::Done, || generator.run());
    let mut event = inbox.recv().ok();
    if let Some(Event::Signal(signal)) = event {
        log!(Debug, "{signal}: ending");
        drop(running);
        event = inbox.recv_timeout(STOP_TIME).ok();
    }
    match event {
        Some(Event::Done(result)) => result,
        // Told twice, or stuck in a write: unwritten text is not wanted.
        _ => Ok(()),
    }
}

struct Generator {
    options: Options,
    waves: Vec<Wave>,
    /// Disconnected when the command must end.
    stop: Receiver<()>,
    /// What the values are.
    signals: Signals,
    writer: Writer,
    missed: u64,
}

impl Generator {
    fn new(options: Options, stop: Receiver<()>) -> Result<Self, String> {
        let waves = (0..options.values).map(|index| Wave::new(options.kind.of_value(index), options.shape)).collect();
        let signals = signals(&options);
        let writer = Writer::new(Output::create(Path::new("-"), options.format)?, signals.clone())?;
        Ok(Self { options, waves, stop, signals, writer, missed: 0 })
    }

    fn run(mut self) -> Result<(), String> {
        let result = self.print_all();
        if self.missed > 0 {
            log!(Warning, "missed {} steps in all", self.missed);
        }
        result?;
        for loss in self.writer.finish()? {
            log!(Warning, "{loss}");
        }
        Ok(())
    }

    /// Ends early if told to, or if nobody reads any more.
    fn print_all(&mut self) -> Result<(), String> {
        let (start, origin) = (Instant::now(), Time::now());
        let mut record = Record::default();
        let mut step = 0;
        for _ in 0..self.options.limit.unwrap_or(u64::MAX) {
            if self.options.is_paced {
                match self.wait_for(step, start)? {
                    Some(next) => step = next,
                    None => return Ok(()),
                }
            }
            if self.writer.is_full() && (!self.writer.flush()? || self.stop.try_recv() == Err(TryRecvError::Disconnected)) {
                return Ok(());
            }
            record.sequence = Some(step);
            record.origin = origin.plus_nanos(self.due(step).as_nanos() as i128);
            record.values.clear();
            let values = self.waves.iter_mut().enumerate();
            record.values.extend(values.map(|(index, wave)| bits(self.signals.kind(index), wave.value(step))));
            self.writer.write(&record)?;
            step += 1;
        }
        Ok(())
    }

    /// The time from the start to a step.
    fn due(&self, step: u64) -> Duration {
        let rate = self.options.shape.rate;
        let whole = (step as f64 / rate).floor();
        // The rest is exact, so that nanoseconds are not lost even after years.
        let rest = (-whole).mul_add(rate, step as f64) / rate;
        Duration::from_secs(whole as u64) + Duration::from_nanos((rest * 1e9).round() as u64)
    }

    /// Waits until `step` is due. Returns the step that is due, which is later if steps were
    /// skipped, or `None` when the command must end.
    fn wait_for(&mut self, step: u64, start: Instant) -> Result<Option<u64>, String> {
        let (due, now) = (self.due(step), start.elapsed());
        if now < due {
            if self.writer.is_due() && !self.writer.flush()? {
                return Ok(None);
            }
            let wait = due.saturating_sub(start.elapsed());
            return Ok((self.stop.recv_timeout(wait) == Err(RecvTimeoutError::Timeout)).then_some(step));
        }
        let late = now - due;
        let missed = if late > LATEST { (late.as_secs_f64() * self.options.shape.rate) as u64 } else { 0 };
        if missed > 0 && self.missed == 0 {
            log!(Warning, "missed {missed} steps from number {step} on: the reader or the machine is too slow");
        }
        self.missed += missed;
        Ok(Some(step + missed))
    }
}

/// Columns without names are named after the signals that they show.
fn signals(options: &Options) -> Signals {
    let column = |index| {
        let given = options.types.get(index);
        let name = given.map(Column::name).filter(|name| !name.is_empty());
        let name = name.unwrap_or(options.kind.of_value(index).name());
        Column::new(name, given.map_or("", Column::unit), options.types.kind(index))
    };
    Signals::new((0..options.values).map(column).collect())
}

/// A value of this type.
fn bits(kind: SignalType, value: f64) -> u64 {
    match kind {
        SignalType::Float => value.to_bits(),
        // A value that is too large becomes the largest integer.
        SignalType::Integer => value.round() as i64 as u64,
        SignalType::Boolean => u64::from_ne_bytes([u8::from(value > 0.0), 0, 0, 0, 0, 0, 0, 0]),
        SignalType::Complex => join(value as f32, 0.0),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn steps_are_due_to_the_nanosecond_also_after_a_year() {
        let shape = Shape { rate: 3.0, frequency: 1.0, amplitude: 1.0, offset: 0.0, deviation: 0.0, phase: 0.0 };
        let options =
            Options { kind: Kind::Sine, shape, values: 1, types: Signals::default(), limit: None, is_paced: false, format: None };
        let generator = Generator::new(options, channel().1).unwrap();
        let year = 31_536_000;
        assert_eq!(generator.due(0), Duration::ZERO);
        assert_eq!(generator.due(1), Duration::from_nanos(333_333_333));
        assert_eq!(generator.due(3 * year + 2), Duration::new(year, 666_666_667));
    }
}
