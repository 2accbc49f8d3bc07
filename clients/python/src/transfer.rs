//! What the calls of a channel do that move samples.

use crate::batch::{Batch, Rows};
use crate::channel::Channel;
use crate::errors::{OrRaise, raise, value_error};
use crate::sample::{self, Sample};
use crate::wait::Deadline;
use pyo3::exceptions::PyBrokenPipeError;
use pyo3::prelude::*;
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
                self.wait_for(py, Deadline::new(timeout)?, step)
            }
            Err(error) => Err(raise(py, &note(error))),
        };
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
        self.wait_for(py, deadline, |slice| self.inner.timed_alloc(&mut one, 1, Some(slice)))?;
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
            let error = raise(py, &unsent.error);
            return Err((unsent.sample, error));
        }
        let mut one = vec![unsent.sample];
        let done = self.wait_for(py, deadline, |slice| self.inner.timed_write(&mut one, Some(slice)));
        match (done, one.pop()) {
            (Err(error), Some(held)) => Err((held, error)),
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
        sample::set_values(&mut held, numbers, self.signals(Direction::Out))?;
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
        if given.channel == self.number() {
            stamp(&mut held, origin, sequence);
            return self.send(py, held, deadline).map_err(|(held, error)| {
                given.give_back(held);
                error
            });
        }
        let copy = self.allocate(py, deadline).and_then(|mut copy| {
            copy.copy_from(&held).or_raise(py)?;
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
        let count = self.wait_for(py, deadline, |slice| match self.inner.timed_read(&mut rows.samples, most, Some(slice)) {
            Ok(_) => Ok(rows.take_all()),
            Err(error) if error.kind() == ErrorKind::TimedOut && deadline.is_over() => Ok(0),
            Err(error) => Err(error),
        })?;
        batch.set_count(count);
        Ok(count)
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
        let mut next = rows.start;
        let done = self.wait_for(py, deadline, |slice| {
            while next < rows.end {
                let moved = match used.samples.is_empty() {
                    true => self.fill(used, next, (rows.end - next).min(CHUNK), slice),
                    false => self.inner.timed_write(&mut used.samples, Some(slice)).map(|count| next += count),
                };
                match moved {
                    Err(error) if error.kind() == ErrorKind::TimedOut && deadline.is_over() => return Ok(()),
                    moved => moved?,
                }
            }
            Ok(())
        });
        // The next call copies anew what was not written.
        used.samples.clear();
        match done {
            Err(error) if next == rows.start || !error.is_instance_of::<PyBrokenPipeError>(py) => Err(error),
            _ => Ok(next - rows.start),
        }
    }

    /// Copies rows from `row` on into new samples: up to `most`, at least one.
    fn fill(&self, rows: &mut Rows, row: usize, most: usize, slice: Duration) -> Result<()> {
        match self.inner.alloc_many(&mut rows.samples, most) {
            Err(error) if error.is_transient() => self.inner.timed_alloc(&mut rows.samples, 1, Some(slice))?,
            done => done?,
        };
        let filled = (0..rows.samples.len()).try_for_each(|at| rows.fill(at, row + at));
        if filled.is_err() {
            rows.samples.clear();
        }
        filled
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
