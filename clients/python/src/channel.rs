//! A channel that is open in this process, as Python has it.

use crate::batch::Batch;
use crate::count::{Count, count};
use crate::errors::{OrRaise, forked, raise, raise_errno, value_error};
use crate::sample::{self, Sample, generation};
use crate::signals::Signals;
use crate::time;
use crate::transfer::Read;
use crate::wait::{Deadline, Interruptions, wait};
use pyo3::exceptions::PyTypeError;
use pyo3::prelude::*;
use pyo3::sync::PyOnceLock;
use pyo3::types::{PyDict, PyTuple};
use std::os::fd::{AsRawFd, OwnedFd};
use std::sync::atomic::{AtomicBool, AtomicU32, AtomicU64, Ordering::Relaxed};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;
use villas_shm::{Direction, Sample as Held};

/// One end of a channel: it reads samples from its peer and writes samples to it. `open`, `create`
/// and `open_wire` make one. `with` closes it.
///
/// Waits: `timeout` is in seconds. None waits without limit, 0 does not wait. Ctrl-C ends a wait of
/// the main thread within 100 ms.
///
/// Threads may share a channel: their calls take turns, and give up the interpreter's lock while
/// they wait or copy a batch. In a child of `os.fork` all calls raise `ClosedError`.
///
/// Errors of every call: `ClosedError`, `StaleError` (the region was replaced: open again).
#[pyclass(frozen, module = "villas_shm")]
pub(crate) struct Channel {
    pub(crate) inner: villas_shm::Channel,
    name: String,
    side: &'static str,
    /// Tells channels of this process apart.
    number: u64,
    /// Of [`Direction::In`], of [`Direction::Out`].
    signals: [Arc<Signals>; 2],
    /// How many values of a sample of each direction can be written as they are.
    shared: [usize; 2],
    samplelen: usize,
    interruptions: Interruptions,
    /// To read, to write: open until this object is gone, so that an event loop sees the end.
    descriptors: Mutex<[Option<OwnedFd>; 2]>,
    has_closed: AtomicBool,
    /// Reads that did not wait and found nothing.
    attempts: AtomicU32,
    generation: u32,
}

/// The side of a channel of two regions.
pub(crate) const WIRE: &str = "VILLASnode's layout";

/// After so many reads that found nothing, one asks whether it ever can.
const ATTEMPTS: u32 = 64;

/// What a call waits for.
#[derive(Clone, Copy)]
pub(crate) enum Wait {
    Peer,
    Message,
    Block,
    Room,
}

impl Channel {
    pub(crate) fn new(py: Python<'_>, inner: villas_shm::Channel, name: String, side: &'static str) -> PyResult<Channel> {
        static NUMBERS: AtomicU64 = AtomicU64::new(0);
        sample::count_forks();
        let signals = |direction| Signals::new(py, inner.signals(direction), direction).map(Arc::new);
        let signals = [signals(Direction::In)?, signals(Direction::Out)?];
        Ok(Channel {
            number: NUMBERS.fetch_add(1, Relaxed),
            shared: [0, 1].map(|direction| signals[1].shared_with(&signals[direction])),
            signals,
            samplelen: inner.config().samplelen as usize,
            inner,
            name,
            side,
            interruptions: Interruptions::default(),
            descriptors: Mutex::default(),
            has_closed: AtomicBool::new(false),
            attempts: AtomicU32::new(1),
            generation: generation(),
        })
    }

    /// Closed in this process, or another's.
    pub(crate) fn is_closed(&self) -> bool {
        self.has_closed.load(Relaxed) || self.generation != generation()
    }

    pub(crate) fn number(&self) -> u64 {
        self.number
    }

    pub(crate) fn signals(&self, direction: Direction) -> &Arc<Signals> {
        &self.signals[direction as usize]
    }

    /// Values of a new sample or row, if the caller does not say.
    fn usual_length(&self, direction: Direction) -> usize {
        match self.signals(direction).len() {
            0 => self.samplelen,
            named => named,
        }
    }

    pub(crate) fn wait_for<T: Send>(
        &self,
        py: Python<'_>,
        deadline: Deadline,
        what: Wait,
        step: impl FnMut(Duration) -> villas_shm::Result<T> + Send,
    ) -> PyResult<T> {
        wait(py, &self.interruptions, deadline, || self.check(py, what), step)
    }

    pub(crate) fn is_wire(&self) -> bool {
        self.side == WIRE
    }

    /// FullError: the wait cannot end, because this process holds every block that could end it.
    pub(crate) fn check(&self, py: Python<'_>, what: Wait) -> PyResult<()> {
        let stats = self.inner.stats();
        let of_peer = stats.held - stats.held_own;
        let sentence = match what {
            // None of either side's blocks is with the peer, or on the way.
            Wait::Message if of_peer > 0 && stats.held + stats.blocks_free == stats.blocks => format!(
                "this program holds all {of_peer} samples that the peer can send: release them by put(), with, or del; \
                 keep smp.values instead"
            ),
            // Both sides have as many. In VILLASnode's layout they may not.
            Wait::Block if !self.is_wire() && 2 * stats.held_own == stats.blocks => format!(
                "this program holds all {} samples that it can write: write them, or release them by put(), with, or del",
                stats.held_own
            ),
            _ => return Ok(()),
        };
        Err(raise_errno(py, libc::EAGAIN, &sentence))
    }

    /// For calls that do not wait, and have found nothing: now and then, as it costs more than they,
    /// they ask whether they ever can.
    pub(crate) fn found_nothing(&self, py: Python<'_>) -> PyResult<()> {
        match self.attempts.fetch_add(1, Relaxed) % ATTEMPTS {
            0 => self.check(py, Wait::Message),
            _ => Ok(()),
        }
    }

    /// How many values of a sample with these signals can be written as they are.
    pub(crate) fn shared_with(&self, signals: &Arc<Signals>) -> usize {
        match self.signals.iter().position(|ours| Arc::ptr_eq(ours, signals)) {
            Some(direction) => self.shared[direction],
            None => self.signals[1].shared_with(signals),
        }
    }

    fn sample(&self, held: Held, direction: Direction) -> Sample {
        Sample::new(held, self.signals(direction), self.number)
    }

    fn descriptor(&self, py: Python<'_>, which: Direction) -> PyResult<i32> {
        if self.generation != generation() {
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

fn a_batch<'b>(given: &'b Bound<'_, PyAny>) -> PyResult<&'b Batch> {
    let wrong = |_| match given.get_type().name() {
        Ok(name) => PyTypeError::new_err(format!(
            "samples move in a batch, buf = ch.batch(256), not in a {name}: its buf.values are an array"
        )),
        Err(error) => error,
    };
    given.cast::<Batch>().map(Bound::get).map_err(wrong)
}

#[pymethods]
impl Channel {
    /// The name of the region.
    #[getter]
    fn name(&self) -> &str {
        &self.name
    }

    /// Whether the channel is closed in this process.
    #[getter]
    fn closed(&self) -> bool {
        self.is_closed()
    }

    /// The most values that a sample can have.
    #[getter]
    fn samplelen(&self) -> usize {
        self.samplelen
    }

    /// What the values are that are read: a tuple of `Signal`, value 0 first. Empty: the region
    /// does not say.
    #[getter]
    fn read_signals<'py>(&self, py: Python<'py>) -> Bound<'py, PyTuple> {
        self.signals(Direction::In).tuple(py)
    }

    /// What the values are that are written, as `read_signals`.
    #[getter]
    fn write_signals<'py>(&self, py: Python<'py>) -> Bound<'py, PyTuple> {
        self.signals(Direction::Out).tuple(py)
    }

    /// Whether the peer's process is alive, as far as can be known.
    #[getter]
    fn peer_alive(&self) -> bool {
        self.inner.peer_alive()
    }

    /// Whether the peer is known to have died: it is gone, and has not closed.
    #[getter]
    fn peer_died(&self) -> bool {
        self.inner.peer_died()
    }

    /// Counters and fill levels, a `Stats`.
    fn stats<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyAny>> {
        if self.is_closed() {
            return Err(raise_errno(py, libc::EPIPE, "this channel is closed in this process"));
        }
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

    /// Waits until a live peer is attached. TimeoutError: none within the time.
    #[pyo3(name = "wait", signature = (timeout = None))]
    fn wait_for_peer(&self, py: Python<'_>, timeout: Option<f64>) -> PyResult<()> {
        self.wait_for(py, Deadline::new(timeout)?, Wait::Peer, |slice| self.inner.wait(Some(slice)))
    }

    /// Reads one sample. TimeoutError: none within the time. ClosedError: the peer has closed or
    /// died, and everything that it wrote has been read. FullError, after 100 ms or the timeout: this
    /// process holds all samples that the peer can send.
    #[pyo3(signature = (timeout = None))]
    fn read(&self, py: Python<'_>, timeout: Option<f64>) -> PyResult<Sample> {
        match self.receive(py, timeout)? {
            Read::Sample(held) => Ok(self.sample(held, Direction::In)),
            Read::End(error) => Err(raise(py, &error)),
        }
    }

    /// Reads one sample if there is one; None if there is none. Errors as `read`, FullError after 64
    /// calls that found nothing. Makes `fileno()`
    /// not readable if there is none.
    fn try_read(&self, py: Python<'_>) -> PyResult<Option<Sample>> {
        let mut one = Vec::with_capacity(1);
        match self.inner.try_read(&mut one, 1) {
            Err(error) if error.is_transient() => self.found_nothing(py).map(|()| None),
            Err(error) => Err(self.unread(py, raise(py, &error))),
            Ok(_) => Ok(one.pop().map(|held| self.sample(held, Direction::In))),
        }
    }

    fn __iter__(slf: Py<Self>) -> Py<Self> {
        slf
    }

    /// The next sample, without a time limit. Ends when the peer has closed; ClosedError when it
    /// has died.
    fn __next__(&self, py: Python<'_>) -> PyResult<Option<Sample>> {
        match self.receive(py, None)? {
            Read::Sample(held) => Ok(Some(self.sample(held, Direction::In))),
            Read::End(_) => Ok(None),
        }
    }

    /// Writes one sample, and waits for room in the queue.
    ///
    /// `values` is a `Sample`, which is given away (of another channel's sample, a copy is written);
    /// a sequence of numbers or a one-dimensional array, each number in the type of its signal
    /// (without signals: floats); or a dict or a record by name, of all `write_signals`. `origin` is a `datetime64`, a `datetime` or an integer
    /// of nanoseconds since 1970; `origin` and `sequence` are only marked as given if they are.
    ///
    /// TimeoutError, with a timeout of 0 FullError: no room, and the sample is still the caller's.
    /// FullError also if this process holds all blocks that a write could take. BufferError: a view
    /// of the sample is open. ValueError: it was written already, is too long, a number does not fit
    /// its type, or a name is missing. MismatchError: it was read, and has a value of another type
    /// than the signal at its place of `write_signals`, or more values.
    #[pyo3(signature = (values, *, origin = None, sequence = None, timeout = None))]
    fn write(
        &self,
        values: &Bound<'_, PyAny>,
        origin: Option<&Bound<'_, PyAny>>,
        sequence: Option<Count<u64>>,
        timeout: Option<f64>,
    ) -> PyResult<()> {
        let (deadline, sequence) = (Deadline::new(timeout)?, sequence.map(|Count(number)| number));
        let origin = time::from_python(origin)?;
        match values.cast::<Sample>() {
            Ok(given) => self.write_sample(values.py(), given.get(), origin, sequence, deadline),
            Err(_) => self.write_numbers(values, origin, sequence, deadline),
        }
    }

    /// A new sample of `length` zeros, to be filled and written; by default as many as there are
    /// `write_signals`, without any `samplelen`. Waits for a free block: TimeoutError, with a
    /// timeout of 0 FullError.
    #[pyo3(signature = (length = None, *, timeout = None))]
    fn alloc(&self, py: Python<'_>, length: Option<Count<usize>>, timeout: Option<f64>) -> PyResult<Sample> {
        let length = length.map_or_else(|| self.usual_length(Direction::Out), |Count(length)| length);
        let held = self.zeros(py, length, Deadline::new(timeout)?)?;
        Ok(self.sample(held, Direction::Out))
    }

    /// A `Batch`: numpy arrays for `capacity` samples of `width` values, for `read_into` and
    /// `write_from`. Its columns have the names and types of `read_signals`, or with `write=True`
    /// of `write_signals`; `width` is their number, without any `samplelen`.
    #[pyo3(signature = (capacity, *, write = false, width = None))]
    fn batch(
        &self,
        py: Python<'_>,
        #[pyo3(from_py_with = count)] capacity: usize,
        write: bool,
        width: Option<Count<usize>>,
    ) -> PyResult<Batch> {
        let direction = if write { Direction::Out } else { Direction::In };
        let width = width.map_or_else(|| self.usual_length(direction), |Count(width)| width);
        Batch::new(py, capacity, width, self.signals(direction).clone())
    }

    /// Reads samples into the first rows of a batch: waits for the first one and takes what is
    /// there. Returns how many: never 0 without a timeout; 0 if the time is over. Errors as `read`;
    /// BusyError: another thread uses the batch. MismatchError, and nothing is read: a column has
    /// another type than the value at its place of `read_signals`.
    #[pyo3(signature = (batch, timeout = None))]
    fn read_into(&self, py: Python<'_>, batch: &Bound<'_, PyAny>, timeout: Option<f64>) -> PyResult<usize> {
        let count = self.read_rows(py, a_batch(batch)?, Deadline::new(timeout)?)?;
        match count {
            0 if Deadline::waits(timeout) => self.check(py, Wait::Message)?,
            0 => self.found_nothing(py)?,
            _ => {}
        }
        Ok(count)
    }

    /// Writes rows `start` to `n` - 1 of a batch, and waits for room; by default those that the
    /// last `read_into` has filled, of a new batch all. Returns how many: fewer if the time is
    /// over, or if the channel has ended after some, which the next call raises.
    ///
    /// ClosedError: the peer is gone. BusyError: another thread uses the batch. ValueError: a row
    /// has more values than a sample can have. MismatchError, and nothing is written: as of `write`.
    #[pyo3(signature = (batch, n = None, *, start = 0, timeout = None))]
    fn write_from(
        &self,
        py: Python<'_>,
        batch: &Bound<'_, PyAny>,
        n: Option<Count<usize>>,
        #[pyo3(from_py_with = count)] start: usize,
        timeout: Option<f64>,
    ) -> PyResult<usize> {
        let batch = a_batch(batch)?;
        let end = n.map_or_else(|| batch.count(), |Count(n)| n);
        if end > batch.capacity() || start > end {
            return Err(value_error(format!("rows {start} to {end} of a batch of {}", batch.capacity())));
        }
        self.write_rows(py, batch, start..end, Deadline::new(timeout)?)
    }

    /// For asyncio, which waits by descriptors: FullError if a wait to read, or to write, cannot end.
    fn _check_held(&self, py: Python<'_>, writes: bool) -> PyResult<()> {
        self.check(py, if writes { Wait::Block } else { Wait::Message })
    }

    /// A descriptor that is readable while a read would not wait: samples are there, or the end is.
    /// For `select`, `asyncio` and other loops; read by `try_read` or with a timeout of 0. It is
    /// the channel's: do not close it. It stays readable once the channel is closed, and is closed
    /// with the last reference to this object.
    fn fileno(&self, py: Python<'_>) -> PyResult<i32> {
        self.descriptor(py, Direction::In)
    }

    /// A descriptor that is readable while a write would not wait; else as `fileno`.
    fn write_fileno(&self, py: Python<'_>) -> PyResult<i32> {
        self.descriptor(py, Direction::Out)
    }

    /// Ends the waits that have begun with InterruptedError; if there is none, the next one. For
    /// another thread or a signal handler.
    fn interrupt(&self) {
        self.interruptions.raise();
        self.inner.interrupt();
    }

    /// Closes the channel: the peer sees the end, and waits of other threads end with ClosedError.
    /// Samples that are held stay valid. Closing twice does nothing.
    fn close(&self, py: Python<'_>) {
        self.has_closed.store(true, Relaxed);
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
        let peer = match () {
            () if self.is_closed() => "closed",
            () if self.inner.peer_alive() => "peer alive",
            () => "no peer",
        };
        let [read, written] = [Direction::In, Direction::Out].map(|direction| self.signals(direction).len());
        format!("<villas_shm.Channel {:?} ({}): {read} read signals, {written} write signals, {peer}>", self.name, self.side)
    }
}
