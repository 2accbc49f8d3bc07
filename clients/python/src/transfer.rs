//! What the calls of a channel do that move samples.

use crate::batch::{Batch, Rows};
use crate::channel::{Channel, Wait};
use crate::errors::{OrRaise, raise, raise_errno, value_error};
use crate::sample::{self, Sample};
use crate::signals::Signals;
use crate::wait::Deadline;
use crate::{value, values};
use pyo3::exceptions::PyBrokenPipeError;
use pyo3::prelude::*;
use std::sync::Arc;
use std::time::Duration;
use villas_shm::{Direction, Error, ErrorKind, Flags, Result, Sample as Held, Timespec};

/// The most samples of a batch that are on their way to the queue at a time.
const CHUNK: usize = 512;

/// What a read gives.
pub(crate) enum Read {
    Sample(Held),
    /// The peer has closed, and everything that it wrote has been read.
    End(Error),
}

impl Channel {
    /// Receives a sample, or the end. Tries first without giving up the interpreter's lock, which
    /// costs more than a read.
    pub(crate) fn receive(&self, py: Python<'_>, timeout: Option<f64>) -> PyResult<Read> {
        let mut one = Vec::with_capacity(1);
        let mut end = None;
        let mut note = |error: Error| {
            if error.kind() == ErrorKind::Closed && !self.is_closed() && !self.inner.peer_died() {
                end = Some(error.clone());
            }
            error
        };
        let read = match self.inner.try_read(&mut one, 1) {
            Ok(_) => Ok(()),
            Err(error) if error.is_transient() => {
                let step = |slice| self.inner.timed_read(&mut one, 1, Some(slice)).map(drop).map_err(&mut note);
                self.wait_for(py, Deadline::new(timeout)?, Wait::Message, step)
            }
            Err(error) => Err(raise(py, &note(error))),
        };
        let read = read.map_err(|error| self.unread(py, error));
        match (read, end, one.pop()) {
            (Ok(()), _, Some(held)) => Ok(Read::Sample(held)),
            (_, Some(end), _) => Ok(Read::End(end)),
            (Err(error), ..) => Err(error),
            (Ok(()), None, None) => Err(value_error("a read gave nothing")),
        }
    }

    /// An empty sample. Waits for one, unless the timeout is 0.
    fn allocate(&self, py: Python<'_>, deadline: Deadline) -> PyResult<Held> {
        match self.inner.alloc() {
            Err(error) if error.is_transient() && !deadline.is_over() => {}
            done => return done.or_raise(py),
        }
        let mut one = Vec::with_capacity(1);
        self.wait_for(py, deadline, Wait::Block, |slice| self.inner.timed_alloc(&mut one, 1, Some(slice)))?;
        one.pop().ok_or_else(|| value_error("an allocation gave nothing"))
    }

    /// A sample of so many zeros.
    pub(crate) fn zeros(&self, py: Python<'_>, length: usize, deadline: Deadline) -> PyResult<Held> {
        let mut held = self.allocate(py, deadline)?;
        held.set_len(length).or_raise(py)?;
        (0..length).for_each(|at| held.set_bits(at, 0));
        held.set_flags(Flags::HAS_DATA);
        Ok(held)
    }

    /// Writes a sample. Waits for room, unless the timeout is 0. A sample that was not written
    /// comes back.
    fn send(&self, py: Python<'_>, held: Held, deadline: Deadline) -> std::result::Result<(), (Held, PyErr)> {
        let unsent = match self.inner.send(held) {
            Ok(()) => return Ok(()),
            Err(unsent) => unsent,
        };
        if !unsent.error.is_transient() || deadline.is_over() {
            let error = self.unwritten(py, raise(py, &unsent.error));
            return Err((unsent.sample, error));
        }
        let mut one = vec![unsent.sample];
        let done = self.wait_for(py, deadline, Wait::Room, |slice| self.inner.timed_write(&mut one, Some(slice)));
        match (done, one.pop()) {
            (Err(error), Some(held)) => Err((held, self.unwritten(py, error))),
            _ => Ok(()),
        }
    }

    /// Writes numbers as a new sample.
    pub(crate) fn write_numbers(
        &self,
        numbers: &Bound<'_, PyAny>,
        origin: Option<Timespec>,
        sequence: Option<u64>,
        deadline: Deadline,
    ) -> PyResult<()> {
        let py = numbers.py();
        let mut held = self.allocate(py, deadline)?;
        held.set_flags(Flags::HAS_DATA);
        values::set(&mut held, numbers, self.signals(Direction::Out))?;
        self.check_count(held.len())?;
        stamp(&mut held, origin, sequence);
        self.send(py, held, deadline).map_err(|(_, error)| error)
    }

    /// Writes a sample of Python, which has it back if it was not written. Of another channel's
    /// sample a copy is written.
    pub(crate) fn write_sample(
        &self,
        py: Python<'_>,
        given: &Sample,
        origin: Option<Timespec>,
        sequence: Option<u64>,
        deadline: Deadline,
    ) -> PyResult<()> {
        let mut held = given.take(py)?;
        let length = held.len();
        if length > self.shared_with(&given.signals) {
            given.give_back(held);
            return Err(self.mismatch(py, &given.signals, length));
        }
        if given.channel == self.number() {
            stamp(&mut held, origin, sequence);
            self.clean(&mut held);
            return self.send(py, held, deadline).map_err(|(held, error)| {
                given.give_back(held);
                error
            });
        }
        let copy = self.allocate(py, deadline).and_then(|mut copy| {
            copy.copy_from(&held).or_raise(py)?;
            self.clean(&mut copy);
            stamp(&mut copy, origin, sequence);
            Ok(copy)
        });
        let sent = copy.and_then(|copy| self.send(py, copy, deadline).map_err(|(_, error)| error));
        if sent.is_err() {
            given.give_back(held);
        }
        sent
    }

    /// Reads into the rows of a batch; returns how many. 0: the time is over.
    pub(crate) fn read_rows(&self, py: Python<'_>, batch: &Batch, deadline: Deadline) -> PyResult<usize> {
        let mut rows = batch.use_rows(py)?;
        let rows = &mut *rows;
        let most = batch.capacity();
        self.check_readable(py, batch)?;
        let count = self.wait_for(py, deadline, Wait::Message, |slice| {
            match self.inner.timed_read(&mut rows.samples, most, Some(slice)) {
                Ok(_) => Ok(rows.take_all()),
                Err(error) if error.kind() == ErrorKind::TimedOut && deadline.is_over() => Ok(0),
                Err(error) => Err(error),
            }
        });
        let count = count.map_err(|error| self.unread(py, error))?;
        batch.set_count(count);
        Ok(count)
    }

    /// The columns of a batch have the types of what is read.
    fn check_readable(&self, py: Python<'_>, batch: &Batch) -> PyResult<()> {
        let (ours, its) = (self.signals(Direction::In), &batch.signals);
        if Arc::ptr_eq(ours, its) {
            return Ok(());
        }
        match (0..batch.width()).find(|at| ours.kind(*at) != its.kind(*at)) {
            None => Ok(()),
            Some(at) => Err(raise_errno(
                py,
                libc::EPROTO,
                &format!(
                    "{} of the batch is {} of the read_signals: read into a batch of this channel's own, ch.batch(n)",
                    its.describe(at),
                    ours.describe(at)
                ),
            )),
        }
    }

    /// Writes rows of a batch; returns how many. Fewer: the time is over, or the channel has ended
    /// after some, which the next call says.
    pub(crate) fn write_rows(
        &self,
        py: Python<'_>,
        batch: &Batch,
        rows: std::ops::Range<usize>,
        deadline: Deadline,
    ) -> PyResult<usize> {
        let mut used = batch.use_rows(py)?;
        let used = &mut *used;
        let shared = self.shared_with(&batch.signals);
        if batch.width() > shared {
            if let Some(length) = rows.clone().map(|row| used.length(row)).find(|length| *length > shared) {
                return Err(self.mismatch(py, &batch.signals, length));
            }
        }
        used.clean(rows.clone());
        let mut next = rows.start;
        // One chunk, and one wait: between waits signals are seen, and the time is looked at.
        let mut write = |slice| {
            let mut step = || -> Result<()> {
                let most = (rows.end - next).min(CHUNK);
                if used.samples.is_empty() && most > 0 && self.fill(used, next, most, slice)? {
                    return Ok(());
                }
                next += self.inner.timed_write(&mut used.samples, Some(slice))?;
                Ok(())
            };
            match step() {
                Err(error) if error.kind() == ErrorKind::TimedOut && deadline.is_over() => Ok(true),
                Err(error) => Err(error),
                Ok(()) => Ok(next == rows.end),
            }
        };
        let done = loop {
            match self.wait_for(py, deadline, Wait::Block, &mut write) {
                Ok(false) => py.check_signals()?,
                ended => break ended,
            }
        };
        // The next call copies anew what was not written.
        used.samples.clear();
        match done {
            Err(error) if next == rows.start || !error.is_instance_of::<PyBrokenPipeError>(py) => Err(self.unwritten(py, error)),
            _ => Ok(next - rows.start),
        }
    }

    /// Copies rows from `row` on into new samples: up to `most`, at least one. Whether it has waited.
    fn fill(&self, rows: &mut Rows, row: usize, most: usize, slice: Duration) -> Result<bool> {
        let has_waited = match self.inner.alloc_many(&mut rows.samples, most) {
            Err(error) if error.is_transient() => self.inner.timed_alloc(&mut rows.samples, 1, Some(slice)).map(|_| true)?,
            done => done.map(|_| false)?,
        };
        let filled = (0..rows.samples.len()).try_for_each(|at| rows.fill(at, row + at));
        if filled.is_err() {
            rows.samples.clear();
        }
        filled.map(|()| has_waited)
    }

    /// So many values fit the signals.
    fn check_count(&self, length: usize) -> PyResult<()> {
        let signals = self.signals(Direction::Out);
        match signals.len() {
            named if named == 0 || length <= named => Ok(()),
            named => Err(value_error(format!("{length} values for {named} write_signals: {}", signals.names(named).join(", ")))),
        }
    }

    /// Why `length` values of a sample with the signals `given` cannot be written as they are.
    #[cold]
    fn mismatch(&self, py: Python<'_>, given: &Arc<Signals>, length: usize) -> PyErr {
        let (ours, at) = (self.signals(Direction::Out), self.shared_with(given));
        let why = match ours.len() {
            named if at == named && named > 0 => format!("a sample of {length} values, but there are {named} write_signals"),
            _ => format!("{} of the sample is {} of the write_signals", given.describe(at), ours.describe(at)),
        };
        let how = match ours.names(ours.len()).first() {
            Some(name) => format!("write by name, as in ch.write({{{name:?}: …}}), or from ch.batch(n, write=True)"),
            None => "write the values, or from ch.batch(n, write=True)".into(),
        };
        raise_errno(py, libc::EPROTO, &format!("{why}: {how}"))
    }

    /// Makes the booleans of a sample 0 or 1 in all of their bytes: a view shows the first one.
    fn clean(&self, held: &mut Held) {
        for at in self.signals(Direction::Out).booleans(held.len()) {
            held.set_bits(at, value::clean(held.get_bits(at), value::Kind::Boolean));
        }
    }

    /// The exception of a read that failed: the library does not say which end the peer took.
    #[cold]
    pub(crate) fn unread(&self, py: Python<'_>, error: PyErr) -> PyErr {
        if self.is_closed() || !self.inner.peer_died() || !error.is_instance_of::<PyBrokenPipeError>(py) {
            return error;
        }
        let then = if self.is_wire() { "open the channel again" } else { "ch.wait() waits for the next peer" };
        raise_errno(py, libc::EPIPE, &format!("the peer has died, and everything that it wrote has been read: {then}"))
    }

    /// The exception of a write that failed: what is left to read does not matter to it.
    #[cold]
    fn unwritten(&self, py: Python<'_>, error: PyErr) -> PyErr {
        if self.is_closed() || !error.is_instance_of::<PyBrokenPipeError>(py) {
            return error;
        }
        let has = if self.inner.peer_died() { "died" } else { "closed" };
        let then = if self.is_wire() { "open the channel again" } else { "ch.wait() waits for the next peer" };
        raise_errno(py, libc::EPIPE, &format!("the peer has {has}, so nobody would read what is written: {then}"))
    }
}

fn stamp(held: &mut Held, origin: Option<Timespec>, sequence: Option<u64>) {
    if origin.is_some() {
        sample::set_origin(held, origin);
    }
    if let Some(sequence) = sequence {
        sample::set_sequence(held, sequence);
    }
}
