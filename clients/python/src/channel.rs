//! A channel that is open in this process.

use crate::batch::Batch;
use crate::errors::{OrRaise, forked, raise, value_error};
use crate::sample::{self, Sample, generation};
use crate::signals::Signals;
use crate::time;
use crate::wait::{Deadline, Interruptions, wait};
use pyo3::prelude::*;
use pyo3::sync::PyOnceLock;
use pyo3::types::{PyDict, PyTuple};
use std::os::fd::{AsRawFd, OwnedFd};
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering::Relaxed};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;
use villas_shm::{Direction, ErrorKind, Flags, Sample as Held};

/// The most samples of a batch that are on their way to the queue at a time.
const CHUNK: usize = 512;

/// One end of a channel.
#[pyclass(frozen, module = "villas_shm")]
pub(crate) struct Channel {
    inner: villas_shm::Channel,
    name: String,
    side: &'static str,
    /// Tells channels of this process apart.
    number: u64,
    /// Of [`Direction::In`], of [`Direction::Out`].
    signals: [Arc<Signals>; 2],
    samplelen: usize,
    interruptions: Interruptions,
    /// To read, to write: open until this object is gone, so that an event loop sees the end.
    descriptors: Mutex<[Option<OwnedFd>; 2]>,
    is_closed: AtomicBool,
    generation: u32,
}

impl Channel {
    pub(crate) fn new(py: Python<'_>, inner: villas_shm::Channel, name: String, side: &'static str) -> PyResult<Channel> {
        static NUMBERS: AtomicU64 = AtomicU64::new(0);
        sample::count_forks();
        let signals = |direction| Signals::new(py, inner.signals(direction)).map(Arc::new);
        Ok(Channel {
            number: NUMBERS.fetch_add(1, Relaxed),
            signals: [signals(Direction::In)?, signals(Direction::Out)?],
            samplelen: inner.config().samplelen as usize,
            inner,
            name,
            side,
            interruptions: Interruptions::default(),
            descriptors: Mutex::default(),
            is_closed: AtomicBool::new(false),
            generation: generation(),
        })
    }

    fn is_ours(&self) -> bool {
        self.generation == generation()
    }

    fn wait_for<T: Send>(
        &self,
        py: Python<'_>,
        deadline: Deadline,
        step: impl FnMut(Duration) -> villas_shm::Result<T> + Send,
    ) -> PyResult<T> {
        wait(py, &self.interruptions, deadline, step)
    }

    fn signals(&self, direction: Direction) -> &Arc<Signals> {
        &self.signals[direction as usize]
    }

    fn held_by_python(&self, held: Held, direction: Direction) -> Sample {
        Sample::new(held, self.signals(direction), self.number)
    }

    /// An empty sample. Waits for one, unless the timeout is 0.
    fn allocate(&self, py: Python<'_>, deadline: Deadline) -> PyResult<Held> {
        match self.inner.alloc() {
            Err(error) if error.is_transient() && !deadline.is_over() => {}
            done => return done.or_raise(py),
        }
        let mut one = Vec::with_capacity(1);
        self.wait_for(py, deadline, |slice| self.inner.timed_alloc(&mut one, 1, Some(slice)))?;
        one.pop().ok_or_else(|| value_error("no sample"))
    }

    /// Writes a sample. Waits for room, unless the timeout is 0. A sample that was not written comes
    /// back.
    fn send(&self, py: Python<'_>, held: Held, deadline: Deadline) -> Result<(), (Held, PyErr)> {
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

    /// A copy of another channel's sample, as a sample of this one.
    fn copy(&self, py: Python<'_>, held: &Held, deadline: Deadline) -> PyResult<Held> {
        let mut copy = self.allocate(py, deadline)?;
        copy.copy_from(held).or_raise(py)?;
        Ok(copy)
    }

    fn descriptor(&self, py: Python<'_>, which: Direction) -> PyResult<i32> {
        if !self.is_ours() {
            return Err(forked(py));
        }
        let mut descriptors = self.descriptors.lock().unwrap_or_else(PoisonError::into_inner);
        let kept = &mut descriptors[which as usize];
        if let Some(descriptor) = kept {
            return Ok(descriptor.as_raw_fd());
        }
        let made = match which {
            Direction::In => self.inner.read_fd(),
            Direction::Out => self.inner.write_fd(),
        };
        Ok(kept.insert(made.or_raise(py)?).as_raw_fd())
    }
}

#[pymethods]
impl Channel {
    #[getter]
    fn name(&self) -> &str {
        &self.name
    }

    #[getter]
    fn closed(&self) -> bool {
        self.is_closed.load(Relaxed) || !self.is_ours()
    }

    #[getter]
    fn samplelen(&self) -> usize {
        self.samplelen
    }

    #[getter]
    fn read_signals<'py>(&self, py: Python<'py>) -> Bound<'py, PyTuple> {
        self.signals(Direction::In).tuple(py)
    }

    #[getter]
    fn write_signals<'py>(&self, py: Python<'py>) -> Bound<'py, PyTuple> {
        self.signals(Direction::Out).tuple(py)
    }

    #[getter]
    fn peer_alive(&self) -> bool {
        self.inner.peer_alive()
    }

    #[getter]
    fn peer_died(&self) -> bool {
        self.inner.peer_died()
    }

    fn stats<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyAny>> {
        static CLASS: PyOnceLock<Py<PyAny>> = PyOnceLock::new();
        let stats = self.inner.stats();
        let named = PyDict::new(py);
        for (name, value) in [
            ("written", stats.written),
            ("read", stats.read),
            ("queued_in", stats.queued_in),
            ("queued_out", stats.queued_out),
            ("redelivered", stats.redelivered),
            ("waits", stats.waits),
            ("wakeups", stats.wakeups),
            ("blocks", stats.blocks),
            ("blocks_free", stats.blocks_free),
            ("held", stats.held),
            ("region_size", stats.region_size),
        ] {
            named.set_item(name, value)?;
        }
        CLASS.import(py, "villas_shm._types", "Stats")?.call((), Some(&named))
    }

    #[pyo3(name = "wait", signature = (timeout = None))]
    fn wait_for_peer(&self, py: Python<'_>, timeout: Option<f64>) -> PyResult<()> {
        self.wait_for(py, Deadline::new(timeout)?, |slice| self.inner.wait(Some(slice)))
    }

    #[pyo3(signature = (timeout = None))]
    fn read(&self, py: Python<'_>, timeout: Option<f64>) -> PyResult<Sample> {
        let mut one = Vec::with_capacity(1);
        if let Err(error) = self.inner.try_read(&mut one, 1) {
            if !error.is_transient() {
                return Err(raise(py, &error));
            }
            let deadline = Deadline::new(timeout)?;
            self.wait_for(py, deadline, |slice| self.inner.timed_read(&mut one, 1, Some(slice)))?;
        }
        let held = one.pop().ok_or_else(|| value_error("no sample"))?;
        Ok(self.held_by_python(held, Direction::In))
    }

    /// `None`: there is none.
    fn try_read(&self, py: Python<'_>) -> PyResult<Option<Sample>> {
        let mut one = Vec::with_capacity(1);
        match self.inner.try_read(&mut one, 1) {
            Err(error) if error.is_transient() => Ok(None),
            Err(error) => Err(raise(py, &error)),
            Ok(_) => Ok(one.pop().map(|held| self.held_by_python(held, Direction::In))),
        }
    }

    fn __iter__(slf: Py<Self>) -> Py<Self> {
        slf
    }

    /// Ends when the peer has closed.
    fn __next__(&self, py: Python<'_>) -> PyResult<Option<Sample>> {
        let mut one = Vec::with_capacity(1);
        let mut has_ended = false;
        let is_end = |error: &villas_shm::Error| error.kind() == ErrorKind::Closed && !self.closed() && !self.inner.peer_died();
        let read = match self.inner.try_read(&mut one, 1) {
            Err(error) if error.is_transient() => self.wait_for(py, Deadline::new(None)?, |slice| {
                self.inner.timed_read(&mut one, 1, Some(slice)).inspect_err(|error| has_ended = is_end(error))
            }),
            Err(error) => {
                has_ended = is_end(&error);
                Err(raise(py, &error))
            }
            Ok(count) => Ok(count),
        };
        match read {
            Err(_) if has_ended => Ok(None),
            Err(error) => Err(error),
            Ok(_) => Ok(one.pop().map(|held| self.held_by_python(held, Direction::In))),
        }
    }

    #[pyo3(signature = (values, *, origin = None, sequence = None, timeout = None))]
    fn write(
        &self,
        values: &Bound<'_, PyAny>,
        origin: Option<&Bound<'_, PyAny>>,
        sequence: Option<u64>,
        timeout: Option<f64>,
    ) -> PyResult<()> {
        let py = values.py();
        let deadline = Deadline::new(timeout)?;
        let origin = time::from_python(origin)?;
        let given = values.cast::<Sample>().ok();
        let mut held = match given {
            Some(given) => given.get().take(py)?,
            None => {
                let mut held = self.allocate(py, deadline)?;
                sample::set_values(&mut held, values, self.signals(Direction::Out))?;
                held.set_flags(Flags::HAS_DATA);
                held
            }
        };
        if origin.is_some() {
            sample::set_origin(&mut held, origin);
        }
        if let Some(sequence) = sequence {
            sample::set_sequence(&mut held, sequence);
        }
        let Some(given) = given else { return self.send(py, held, deadline).map_err(|(_, error)| error) };
        if given.get().channel == self.number {
            return self.send(py, held, deadline).map_err(|(held, error)| {
                given.get().give_back(held);
                error
            });
        }
        let sent = self.copy(py, &held, deadline).and_then(|copy| self.send(py, copy, deadline).map_err(|(_, error)| error));
        if sent.is_err() {
            given.get().give_back(held);
        }
        sent
    }

    #[pyo3(signature = (length = None, *, timeout = None))]
    fn alloc(&self, py: Python<'_>, length: Option<usize>, timeout: Option<f64>) -> PyResult<Sample> {
        let mut held = self.allocate(py, Deadline::new(timeout)?)?;
        let signals = self.signals(Direction::Out);
        let named = if signals.len() > 0 { signals.len() } else { self.samplelen };
        let length = length.unwrap_or(named);
        held.set_len(length).or_raise(py)?;
        (0..length).for_each(|at| held.set_bits(at, 0));
        held.set_flags(Flags::HAS_DATA);
        Ok(self.held_by_python(held, Direction::Out))
    }

    #[pyo3(signature = (capacity, *, write = false, width = None))]
    fn batch(&self, py: Python<'_>, capacity: usize, write: bool, width: Option<usize>) -> PyResult<Batch> {
        let signals = self.signals(if write { Direction::Out } else { Direction::In });
        let named = if signals.len() > 0 { signals.len() } else { self.samplelen };
        Batch::new(py, capacity, width.unwrap_or(named), signals.clone())
    }

    #[pyo3(signature = (batch, timeout = None))]
    fn read_into(&self, py: Python<'_>, batch: &Bound<'_, Batch>, timeout: Option<f64>) -> PyResult<usize> {
        let deadline = Deadline::new(timeout)?;
        let most = batch.get().capacity();
        let mut rows = batch.get().use_rows(py)?;
        let rows = &mut *rows;
        self.wait_for(py, deadline, |slice| match self.inner.timed_read(&mut rows.samples, most, Some(slice)) {
            Ok(_) => Ok(rows.take_all()),
            Err(error) if error.kind() == ErrorKind::TimedOut && deadline.is_over() => Ok(0),
            Err(error) => Err(error),
        })
    }

    #[pyo3(signature = (batch, n = None, *, timeout = None))]
    fn write_from(&self, py: Python<'_>, batch: &Bound<'_, Batch>, n: Option<usize>, timeout: Option<f64>) -> PyResult<usize> {
        let deadline = Deadline::new(timeout)?;
        let all = n.unwrap_or(batch.get().capacity());
        if all > batch.get().capacity() {
            return Err(value_error(format!("{all} samples of a batch of {}", batch.get().capacity())));
        }
        let mut rows = batch.get().use_rows(py)?;
        let rows = &mut *rows;
        let mut written = 0;
        let done = self.wait_for(py, deadline, |slice| {
            while written < all {
                if rows.samples.is_empty() {
                    self.fill(rows, written, (all - written).min(CHUNK), slice)?;
                }
                match self.inner.timed_write(&mut rows.samples, Some(slice)) {
                    Ok(count) => written += count,
                    Err(error) if error.kind() == ErrorKind::TimedOut && deadline.is_over() => return Ok(()),
                    Err(error) => return Err(error),
                }
            }
            Ok(())
        });
        // Those that were not written are copied anew by the next call.
        rows.samples.clear();
        match done {
            Err(error) if written == 0 => Err(error),
            Err(error) if !error.is_instance_of::<pyo3::exceptions::PyBrokenPipeError>(py) => Err(error),
            _ => Ok(written),
        }
    }

    fn fileno(&self, py: Python<'_>) -> PyResult<i32> {
        self.descriptor(py, Direction::In)
    }

    fn write_fileno(&self, py: Python<'_>) -> PyResult<i32> {
        self.descriptor(py, Direction::Out)
    }

    fn interrupt(&self) {
        self.interruptions.raise();
        self.inner.interrupt();
    }

    fn close(&self, py: Python<'_>) {
        self.is_closed.store(true, Relaxed);
        py.detach(|| self.inner.close());
    }

    fn __enter__(slf: Py<Self>) -> Py<Self> {
        slf
    }

    #[pyo3(signature = (*_exception))]
    fn __exit__(&self, py: Python<'_>, _exception: &Bound<'_, PyAny>) {
        self.close(py);
    }

    fn __repr__(&self) -> String {
        let [read, written] = &self.signals;
        let peer = match () {
            () if self.closed() => "closed",
            () if self.inner.peer_alive() => "peer alive",
            () => "no peer",
        };
        format!(
            "<villas_shm.Channel {:?} ({}): reads {} signals, writes {}, {peer}>",
            self.name,
            self.side,
            read.len(),
            written.len()
        )
    }
}

impl Channel {
    /// Copies rows from `row` on into new samples: up to `most`, at least one.
    fn fill(&self, rows: &mut crate::batch::Rows, row: usize, most: usize, slice: Duration) -> villas_shm::Result<()> {
        match self.inner.alloc_many(&mut rows.samples, most) {
            Err(error) if error.is_transient() => self.inner.timed_alloc(&mut rows.samples, 1, Some(slice))?,
            done => done?,
        };
        for at in 0..rows.samples.len() {
            if let Err(error) = rows.fill(at, row + at) {
                rows.samples.clear();
                return Err(error);
            }
        }
        Ok(())
    }
}
