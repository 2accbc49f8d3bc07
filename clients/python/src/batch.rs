//! Many samples at once, in numpy arrays that are used again and again.

use crate::errors::{raise_errno, value_error};
use crate::memory::{Memory, Zeroed, array};
use crate::signals::Signals;
use crate::time::{self, NAT};
use crate::value::{self, Kind};
use crate::values;
use numpy::{PyArray2, PyArrayMethods};
use pyo3::prelude::*;
use pyo3::sync::PyOnceLock;
use pyo3::types::{PySlice, PyTuple};
use std::sync::atomic::{AtomicUsize, Ordering::Relaxed};
use std::sync::{Arc, Mutex, MutexGuard, TryLockError};
use villas_shm::{Flags, Sample as Held};

/// Numpy arrays for some samples, one row each, used again by each `read_into`. `Channel.batch`
/// makes one. A new batch is ready to be filled: all values 0, the sequence from 0 on, no times.
///
/// `batch.values` are numbers of one type, if all signals have the same, or records: a field for
/// each signal. `batch["name"]` is the column of a signal, in its type (float64, int64, bool,
/// complex64): a view, so `batch["name"] *= 2` changes the batch. The arrays are ordinary memory of
/// this process: they stay as they are until the next `read_into`. Only one thread may use a batch at
/// a time; calls say so, the arrays do not.
#[pyclass(frozen, module = "villas_shm")]
pub(crate) struct Batch {
    /// Taken for as long as a call uses the batch.
    rows: Mutex<Rows>,
    capacity: usize,
    width: usize,
    count: AtomicUsize,
    pub(crate) signals: Arc<Signals>,
    /// Values, sequence, origin, received, length, flags.
    arrays: [Py<PyAny>; 6],
}

/// The memory of the arrays, and what a call needs beside it. Other threads of Python may use the
/// arrays at any time, as they may use each other's: addresses only.
pub(crate) struct Rows {
    #[allow(dead_code)] // keeps the memory
    memory: Arc<Zeroed>,
    width: usize,
    values: *mut u64,
    sequence: *mut u64,
    origin: *mut i64,
    received: *mut i64,
    length: *mut u32,
    flags: *mut i32,
    /// What stands in a row behind the values of a short sample.
    padding: Box<[u64]>,
    /// The places of booleans.
    booleans: Box<[usize]>,
    /// Samples on their way.
    pub(crate) samples: Vec<Held>,
}

// SAFETY: the addresses lead to memory that it keeps.
unsafe impl Send for Rows {}

impl Rows {
    /// Copies a sample into row `row`, which must be below the capacity.
    fn take(&mut self, row: usize, sample: &Held) {
        let (length, flags) = (sample.len(), sample.flags());
        let given = length.min(self.width);
        let given_time = |flag, at| if flags.contains(flag) { time::nanoseconds(at) } else { NAT };
        // SAFETY: each array has such a row; the sample has room for `length` values, the row and
        // the padding for `width`; they do not overlap.
        unsafe {
            let values = self.values.add(row * self.width);
            std::ptr::copy_nonoverlapping(sample.as_ptr(), values, given);
            if given < self.width {
                std::ptr::copy_nonoverlapping(self.padding.as_ptr().add(given), values.add(given), self.width - given);
            }
            self.sequence.add(row).write(sample.sequence());
            self.origin.add(row).write(given_time(Flags::HAS_TS_ORIGIN, sample.origin()));
            self.received.add(row).write(given_time(Flags::HAS_TS_RECEIVED, sample.received()));
            self.length.add(row).write(length as u32);
            self.flags.add(row).write(flags.bits());
        }
    }

    /// Copies all of [`Rows::samples`] into the first rows and gives them back; returns how many.
    pub(crate) fn take_all(&mut self) -> usize {
        let mut samples = std::mem::take(&mut self.samples);
        for (row, sample) in samples.iter().enumerate() {
            if let Some(later) = samples.get(row + AHEAD) {
                prefetch(later);
            }
            self.take(row, sample);
        }
        let count = samples.len();
        self.clean(0..count);
        Held::put_all(&mut samples);
        self.samples = samples;
        count
    }

    /// Makes the booleans of rows, which must be below the capacity, 0 or 1 in all of their bytes:
    /// a peer may write anything, and the arrays show the first byte.
    pub(crate) fn clean(&mut self, rows: std::ops::Range<usize>) {
        for &at in &self.booleans {
            for row in rows.clone() {
                // SAFETY: there is such a row, and it is wide enough.
                unsafe {
                    let value = self.values.add(row * self.width + at);
                    value.write(value::clean(value.read(), Kind::Boolean));
                }
            }
        }
    }

    /// The number of values of row `row`, which must be below the capacity.
    #[inline]
    pub(crate) fn length(&self, row: usize) -> usize {
        // SAFETY: there is such a row.
        self.width.min(unsafe { self.length.add(row).read() } as usize)
    }

    /// Copies row `row`, which must be below the capacity, into sample `at` of [`Rows::samples`].
    ///
    /// # Errors
    /// The row has more values than fit into the sample.
    pub(crate) fn fill(&mut self, at: usize, row: usize) -> villas_shm::Result<()> {
        // SAFETY: each array has such a row.
        let (flags, sequence, times) = unsafe {
            let times = [self.origin.add(row).read(), self.received.add(row).read()];
            (self.flags.add(row).read(), self.sequence.add(row).read(), times)
        };
        let length = self.length(row);
        let sample = &mut self.samples[at];
        sample.set_len(length)?;
        // SAFETY: both have room for `length` values and do not overlap.
        unsafe { std::ptr::copy_nonoverlapping(self.values.add(row * self.width), sample.as_ptr(), length) };
        let mut flags = Flags::from_bits(flags) & !(Flags::HAS_TS_ORIGIN | Flags::HAS_TS_RECEIVED);
        let mut given_time = |time, flag| {
            if time == NAT {
                return villas_shm::Timespec::default();
            }
            flags |= flag;
            time::timespec(time)
        };
        sample.set_origin(given_time(times[0], Flags::HAS_TS_ORIGIN));
        sample.set_received(given_time(times[1], Flags::HAS_TS_RECEIVED));
        sample.set_sequence(sequence);
        sample.set_flags(flags);
        Ok(())
    }
}

/// How many samples ahead the lines of one are fetched: the peer has written them, so each is a trip
/// to its processor.
const AHEAD: usize = 6;

/// Fetches the first three lines of a sample, its header and 13 values.
fn prefetch(sample: &Held) {
    for line in 0..3 {
        let address = sample.as_ptr().cast::<u8>().wrapping_add(64 * line).wrapping_sub(64);
        #[cfg(target_arch = "x86_64")]
        // SAFETY: a prefetch of any address has no effect but on the cache.
        unsafe {
            std::arch::x86_64::_mm_prefetch::<{ std::arch::x86_64::_MM_HINT_T0 }>(address.cast());
        }
        #[cfg(target_arch = "aarch64")]
        // SAFETY: as above.
        unsafe {
            std::arch::asm!("prfm pldl1keep, [{}]", in(reg) address, options(nostack, preserves_flags, readonly));
        }
        #[cfg(not(any(target_arch = "x86_64", target_arch = "aarch64")))]
        let _ = address;
    }
}

impl Batch {
    pub(crate) fn new(py: Python<'_>, capacity: usize, width: usize, signals: Arc<Signals>) -> PyResult<Batch> {
        if capacity == 0 || width == 0 {
            return Err(value_error(format!("a batch of {capacity} samples of {width} values: both must be at least 1")));
        }
        // Words: values, sequence, origin, received; half words: length, flags.
        let words = width.checked_add(4).and_then(|row| row.checked_mul(capacity));
        let no_memory = || pyo3::exceptions::PyMemoryError::new_err(format!("{capacity} samples of {width} values"));
        let memory = Arc::new(words.and_then(Zeroed::new).ok_or_else(no_memory)?);
        let exported = Bound::new(py, Memory::private(memory.clone()))?;
        let at = |words: usize, half: usize| 8 * capacity * words + 4 * capacity * half;
        let column = |dtype, offset| array(&exported, &[capacity], dtype, offset).map(Bound::unbind);
        let arrays = [
            values::over(exported.as_any(), &signals, Some(capacity), width)?.unbind(),
            column("u8", at(width, 0))?,
            column("M8[ns]", at(width + 1, 0))?,
            column("M8[ns]", at(width + 2, 0))?,
            column("u4", at(width + 3, 0))?,
            column("i4", at(width + 3, 1))?,
        ];
        let start = memory.address();
        let padding = |at| if signals.kind(at) == Kind::Float { f64::NAN.to_bits() } else { 0 };
        // SAFETY: all within the memory, at the places of the arrays.
        let rows = unsafe {
            Rows {
                values: start,
                sequence: start.add(capacity * width),
                origin: start.add(capacity * (width + 1)).cast(),
                received: start.add(capacity * (width + 2)).cast(),
                length: start.add(capacity * (width + 3)).cast(),
                flags: start.add(capacity * (width + 3)).cast::<i32>().add(capacity),
                padding: (0..width).map(padding).collect(),
                booleans: signals.booleans(width).collect(),
                samples: Vec::new(),
                width,
                memory,
            }
        };
        for row in 0..capacity {
            // SAFETY: each array has such a row, which nobody else knows yet.
            unsafe {
                rows.sequence.add(row).write(row as u64);
                rows.origin.add(row).write(NAT);
                rows.received.add(row).write(NAT);
                rows.length.add(row).write(width as u32);
                rows.flags.add(row).write((Flags::HAS_DATA | Flags::HAS_SEQUENCE).bits());
            }
        }
        Ok(Batch { rows: Mutex::new(rows), capacity, width, count: AtomicUsize::new(capacity), signals, arrays })
    }

    pub(crate) fn capacity(&self) -> usize {
        self.capacity
    }

    pub(crate) fn width(&self) -> usize {
        self.width
    }

    pub(crate) fn count(&self) -> usize {
        self.count.load(Relaxed)
    }

    pub(crate) fn set_count(&self, count: usize) {
        self.count.store(count, Relaxed);
    }

    /// Takes the batch for a call.
    pub(crate) fn use_rows(&self, py: Python<'_>) -> PyResult<MutexGuard<'_, Rows>> {
        match self.rows.try_lock() {
            Ok(rows) => Ok(rows),
            Err(TryLockError::Poisoned(poisoned)) => Ok(poisoned.into_inner()),
            Err(TryLockError::WouldBlock) => {
                Err(raise_errno(py, libc::EBUSY, "the batch is in use by another thread: each thread needs its own"))
            }
        }
    }

    fn array<'py>(&self, py: Python<'py>, which: usize) -> Bound<'py, PyAny> {
        self.arrays[which].bind(py).clone()
    }

    /// For `batch.origin += step`, which assigns the array to itself, and `batch.origin = times`.
    fn assign(&self, which: usize, values: &Bound<'_, PyAny>) -> PyResult<()> {
        let array = self.arrays[which].bind(values.py());
        if values.is(array) {
            return Ok(());
        }
        copy_to(array, values, ["", "sequence", "origin", "received", "length", "flags"][which])
    }
}

/// Assigns to elements of an array what they can hold: `name` says whose they are.
fn copy_to(array: &Bound<'_, PyAny>, values: &Bound<'_, PyAny>, name: &str) -> PyResult<()> {
    static COPY: PyOnceLock<Py<PyAny>> = PyOnceLock::new();
    COPY.import(values.py(), "villas_shm._numbers", "assign")?.call1((array, values, name)).map(drop)
}

#[pymethods]
impl Batch {
    /// The values, of shape (capacity, width): float64, or the type that all signals have. If they
    /// have different ones, records of shape (capacity,): a field for each signal, and "signal8" and
    /// so on for values without one. Behind the end of a shorter sample: NaN, or 0 of other types.
    #[getter]
    fn values<'py>(&self, py: Python<'py>) -> Bound<'py, PyAny> {
        self.array(py, 0)
    }

    #[setter]
    fn set_values(&self, values: &Bound<'_, PyAny>) -> PyResult<()> {
        static ASSIGN: PyOnceLock<Py<PyAny>> = PyOnceLock::new();
        let (py, array) = (values.py(), &self.arrays[0]);
        // `batch.values *= 2` assigns the array to itself.
        if values.is(array) {
            return Ok(());
        }
        // Without names to go by, and one type for all.
        let is_plain = values.cast::<PyArray2<f64>>().is_ok_and(|given| values::is_plain(given.as_untyped()));
        if is_plain && self.signals.common(self.width).is_some() {
            return copy_to(array.bind(py), values, "values");
        }
        let described: Vec<String> = (0..self.width).map(|at| self.signals.describe(at)).collect();
        let assign = ASSIGN.import(py, "villas_shm._numbers", "assign_all")?;
        assign.call1((array, values, self.signals.names(self.width), described)).map(drop)
    }

    /// Sequence numbers, uint64 of shape (capacity,).
    #[getter]
    fn sequence<'py>(&self, py: Python<'py>) -> Bound<'py, PyAny> {
        self.array(py, 1)
    }

    #[setter]
    fn set_sequence(&self, values: &Bound<'_, PyAny>) -> PyResult<()> {
        self.assign(1, values)
    }

    /// When the samples were made, datetime64[ns] in UTC, of shape (capacity,); NaT: not given.
    #[getter]
    fn origin<'py>(&self, py: Python<'py>) -> Bound<'py, PyAny> {
        self.array(py, 2)
    }

    #[setter]
    fn set_origin(&self, values: &Bound<'_, PyAny>) -> PyResult<()> {
        self.assign(2, values)
    }

    /// When the samples were received, as `origin`.
    #[getter]
    fn received<'py>(&self, py: Python<'py>) -> Bound<'py, PyAny> {
        self.array(py, 3)
    }

    #[setter]
    fn set_received(&self, values: &Bound<'_, PyAny>) -> PyResult<()> {
        self.assign(3, values)
    }

    /// The number of values of each sample, uint32 of shape (capacity,). More than the width: the
    /// others were left out, and a write sends as many as the width.
    #[getter]
    fn length<'py>(&self, py: Python<'py>) -> Bound<'py, PyAny> {
        self.array(py, 4)
    }

    #[setter]
    fn set_length(&self, values: &Bound<'_, PyAny>) -> PyResult<()> {
        self.assign(4, values)
    }

    /// The flags of each sample, int32 of shape (capacity,): `vs.Flags(int(batch.flags[0]))`. Those
    /// of the two times follow `origin` and `received` when the batch is written.
    #[getter]
    fn flags<'py>(&self, py: Python<'py>) -> Bound<'py, PyAny> {
        self.array(py, 5)
    }

    #[setter]
    fn set_flags(&self, values: &Bound<'_, PyAny>) -> PyResult<()> {
        self.assign(5, values)
    }

    /// What the columns are: a tuple of `Signal`.
    #[getter]
    fn signals<'py>(&self, py: Python<'py>) -> Bound<'py, PyTuple> {
        self.signals.tuple(py)
    }

    /// Rows that the last `read_into` has filled; of a new batch all.
    #[getter(count)]
    fn filled(&self) -> usize {
        self.count()
    }

    fn __len__(&self) -> usize {
        self.capacity
    }

    /// The column of a signal: a view, in the signal's type.
    fn __getitem__<'py>(&self, key: &Bound<'py, PyAny>) -> PyResult<Bound<'py, PyAny>> {
        let at = self.signals.place(key, self.width)?;
        let py = key.py();
        match self.signals.common(self.width) {
            Some(_) => self.array(py, 0).get_item((PySlice::full(py), at)),
            None => self.array(py, 0).get_item(self.signals.name(at)),
        }
    }

    fn __setitem__(&self, key: &Bound<'_, PyAny>, values: &Bound<'_, PyAny>) -> PyResult<()> {
        let at = self.signals.place(key, self.width)?;
        copy_to(&self.__getitem__(key)?, values, &self.signals.describe(at))
    }

    fn __repr__(&self) -> String {
        format!("<villas_shm.Batch of {} samples of {} values, {} in use>", self.capacity, self.width, self.count())
    }
}
