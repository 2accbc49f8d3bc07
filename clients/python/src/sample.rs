//! A sample that this process holds, and views of it.

use crate::count::Count;
use crate::errors::{OrRaise, forked, value_error};
use crate::memory::Memory;
use crate::signals::Signals;
use crate::{time, value, values};
use numpy::PyUntypedArray;
use pyo3::exceptions::PyBufferError;
use pyo3::prelude::*;
use pyo3::sync::PyOnceLock;
use pyo3::types::PyList;
use std::sync::atomic::{AtomicU32, Ordering::Relaxed};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use villas_shm::{Flags, Sample as Held};

/// The most values that are shown.
const SHOWN: usize = 6;

/// Forks by which this process came about: a child has none of its parent's samples.
static FORKS: AtomicU32 = AtomicU32::new(0);

extern "C" fn in_child() {
    FORKS.fetch_add(1, Relaxed);
}

/// The number of this process among its ancestors.
pub(crate) fn generation() -> u32 {
    FORKS.load(Relaxed)
}

/// Makes [`generation`] count.
pub(crate) fn count_forks() {
    static ONCE: std::sync::Once = std::sync::Once::new();
    // SAFETY: the handler is a function of a module that is never unloaded.
    ONCE.call_once(|| unsafe {
        libc::pthread_atfork(None, None, Some(in_child));
    });
}

/// A sample in shared memory that this process holds: values, sequence number, times. `read` and
/// `alloc` of a channel give one. It holds a block of the region until it is written, put, or no
/// longer referenced, also beyond the end of its channel.
///
/// `smp["name"]` and `smp[index]` read and set one value in the type of its signal: float, int,
/// bool or complex. What is read is a copy, since another process may write the memory.
///
/// ValueError: it was written or put. ClosedError: it belongs to the parent of this process.
#[pyclass(frozen, module = "villas_shm")]
pub(crate) struct Sample {
    state: Mutex<State>,
    pub(crate) signals: Arc<Signals>,
    /// Of the channel that it came from.
    pub(crate) channel: u64,
    generation: u32,
}

struct State {
    /// `None`: it was written or put.
    held: Option<Held>,
    /// Views that are open.
    views: usize,
}

impl Sample {
    pub(crate) fn new(held: Held, signals: &Arc<Signals>, channel: u64) -> Sample {
        Sample {
            state: Mutex::new(State { held: Some(held), views: 0 }),
            signals: signals.clone(),
            channel,
            generation: generation(),
        }
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Works on the sample, if it is held.
    fn with<R>(&self, py: Python<'_>, work: impl FnOnce(&mut Held) -> R) -> PyResult<R> {
        if self.generation != generation() {
            return Err(forked(py));
        }
        self.lock().held.as_mut().map(work).ok_or_else(gone)
    }

    /// Takes the sample out, for a write or a put.
    pub(crate) fn take(&self, py: Python<'_>) -> PyResult<Held> {
        if self.generation != generation() {
            return Err(forked(py));
        }
        let mut state = self.lock();
        if state.views > 0 {
            return Err(PyBufferError::new_err("a view of the sample is open: leave its with block first"));
        }
        state.held.take().ok_or_else(gone)
    }

    /// Puts back what [`Sample::take`] took out.
    pub(crate) fn give_back(&self, held: Held) {
        self.lock().held = Some(held);
    }
}

fn gone() -> PyErr {
    value_error("the sample was written or put: copy what is to be kept before")
}

/// Sets flag and time, or clears the flag.
pub(crate) fn set_origin(held: &mut Held, origin: Option<villas_shm::Timespec>) {
    held.set_origin(origin.unwrap_or_default());
    mark(held, Flags::HAS_TS_ORIGIN, origin.is_some());
}

pub(crate) fn set_sequence(held: &mut Held, sequence: u64) {
    held.set_sequence(sequence);
    mark(held, Flags::HAS_SEQUENCE, true);
}

fn mark(held: &mut Held, flag: Flags, set: bool) {
    let others = held.flags() & !flag;
    held.set_flags(if set { others | flag } else { others });
}

#[pymethods]
impl Sample {
    /// A copy of the values, of shape (length,): float64, or the type that all signals have; a
    /// record with a field for each signal, if they have different ones. It is read-only, because
    /// changing it would not change the sample: assign `smp["name"]`, or `smp.values` as a whole.
    ///
    /// Assigning a sequence, an array, a record or a dict sets values and length, each number in the
    /// type of its signal.
    #[getter]
    fn values<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyAny>> {
        let length = self.length(py)?;
        values::copy(py, &self.signals, length, |to| {
            // SAFETY: both have room for as many.
            self.with(py, |held| unsafe { std::ptr::copy_nonoverlapping(held.as_ptr(), to, length) })
        })
    }

    #[setter]
    fn set_values(&self, given: &Bound<'_, PyAny>) -> PyResult<()> {
        // Numbers of Python can run Python code, which may use this sample: take it out meanwhile.
        let mut held = self.take(given.py())?;
        let done = values::set(&mut held, given, &self.signals);
        self.give_back(held);
        done
    }

    /// For `numpy.asarray(smp)`: as `values`, writable if it is to be a copy.
    #[pyo3(signature = (dtype = None, copy = None))]
    fn __array__<'py>(
        &self,
        py: Python<'py>,
        dtype: Option<&Bound<'py, PyAny>>,
        copy: Option<bool>,
    ) -> PyResult<Bound<'py, PyAny>> {
        if copy == Some(false) {
            return Err(value_error("the values of a sample are copied: for an array without a copy use smp.view()"));
        }
        py.import("numpy")?.call_method1("array", (self.values(py)?, dtype))
    }

    /// The values as numbers of Python, each in the type of its signal.
    fn tolist<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyList>> {
        let bits = self.with(py, |held| (0..held.len()).map(|at| held.get_bits(at)).collect::<Vec<_>>())?;
        PyList::new(py, bits.into_iter().enumerate().map(|(at, bits)| value::to_python(py, bits, self.signals.kind(at))))
    }

    /// The sequence number. Assigning also sets `Flags.HAS_SEQUENCE`.
    #[getter]
    fn sequence(&self, py: Python<'_>) -> PyResult<u64> {
        self.with(py, |held| held.sequence())
    }

    #[setter]
    fn set_sequence(&self, py: Python<'_>, sequence: Count<u64>) -> PyResult<()> {
        self.with(py, |held| set_sequence(held, sequence.0))
    }

    /// When the sample was made, datetime64[ns] in UTC; NaT: not given. Takes a `datetime64`, a
    /// `datetime`, an integer of nanoseconds since 1970, or None; sets the flag accordingly.
    #[getter]
    fn origin<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyAny>> {
        let at = self.with(py, |held| held.flags().contains(Flags::HAS_TS_ORIGIN).then(|| held.origin()))?;
        time::to_python(py, at.map_or(time::NAT, time::nanoseconds))
    }

    #[setter]
    fn set_origin(&self, py: Python<'_>, origin: Option<&Bound<'_, PyAny>>) -> PyResult<()> {
        let origin = time::from_python(origin)?;
        self.with(py, |held| set_origin(held, origin))
    }

    /// When the sample was received, as `origin`.
    #[getter]
    fn received<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyAny>> {
        let at = self.with(py, |held| held.flags().contains(Flags::HAS_TS_RECEIVED).then(|| held.received()))?;
        time::to_python(py, at.map_or(time::NAT, time::nanoseconds))
    }

    #[setter]
    fn set_received(&self, py: Python<'_>, received: Option<&Bound<'_, PyAny>>) -> PyResult<()> {
        let received = time::from_python(received)?;
        self.with(py, |held| {
            held.set_received(received.unwrap_or_default());
            mark(held, Flags::HAS_TS_RECEIVED, received.is_some());
        })
    }

    /// What the header says, a `Flags`.
    #[getter]
    fn flags<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyAny>> {
        static CLASS: PyOnceLock<Py<PyAny>> = PyOnceLock::new();
        let bits = self.with(py, |held| held.flags().bits())?;
        CLASS.import(py, "villas_shm._types", "Flags")?.call1((bits,))
    }

    #[setter]
    fn set_flags(&self, py: Python<'_>, flags: i32) -> PyResult<()> {
        self.with(py, |held| held.set_flags(Flags::from_bits(flags)))
    }

    /// The number of values. Assigning more adds zeros.
    #[getter]
    fn length(&self, py: Python<'_>) -> PyResult<usize> {
        self.with(py, |held| held.len())
    }

    #[setter]
    fn set_length(&self, py: Python<'_>, length: Count<usize>) -> PyResult<()> {
        let length = length.0;
        self.with(py, |held| {
            let before = held.len();
            held.set_len(length).map(|()| (before..length).for_each(|at| held.set_bits(at, 0)))
        })?
        .or_raise(py)
    }

    /// The most values that fit.
    #[getter]
    fn capacity(&self, py: Python<'_>) -> PyResult<usize> {
        self.with(py, |held| held.capacity())
    }

    fn __len__(&self, py: Python<'_>) -> PyResult<usize> {
        self.length(py)
    }

    fn __getitem__<'py>(&self, key: &Bound<'py, PyAny>) -> PyResult<Bound<'py, PyAny>> {
        let py = key.py();
        let at = self.signals.place(key, self.length(py)?)?;
        let bits = self.with(py, |held| held.get_bits(at))?;
        Ok(value::to_python(py, bits, self.signals.kind(at)))
    }

    fn __setitem__(&self, key: &Bound<'_, PyAny>, value: &Bound<'_, PyAny>) -> PyResult<()> {
        let py = key.py();
        let at = self.signals.place(key, self.length(py)?)?;
        let bits = values::one(value, &self.signals, at)?;
        self.with(py, |held| held.set_bits(at, bits))
    }

    /// For `with smp.view() as a:`, what `values` gives, but in shared memory, without a copy.
    /// While the block runs, writing or putting the sample raises BufferError. For trusted peers
    /// only: what the array shows may change at any time. Touching it in a child of `os.fork` ends
    /// the child by SIGSEGV.
    ///
    /// Do not use the array behind the block. It keeps its memory from being used again, shows what
    /// the peer does to it, and cannot be written; a record and other arrays made of it still can,
    /// and then change the peer's sample.
    fn view(slf: Bound<'_, Self>) -> PyResult<View> {
        slf.get().with(slf.py(), |_| ())?;
        Ok(View { sample: slf.unbind(), open: Mutex::default() })
    }

    /// Gives the sample back unwritten. BufferError: a view is open.
    fn put(&self, py: Python<'_>) -> PyResult<()> {
        self.take(py).map(drop)
    }

    fn __enter__(slf: Py<Self>) -> Py<Self> {
        slf
    }

    /// Gives the sample back, if it is still held.
    #[pyo3(signature = (*_exception))]
    fn __exit__(&self, py: Python<'_>, _exception: &Bound<'_, PyAny>) -> PyResult<()> {
        let is_held = self.lock().held.is_some();
        if is_held { self.put(py) } else { Ok(()) }
    }

    fn __repr__(&self, py: Python<'_>) -> String {
        let Ok((sequence, bits, length)) = self.with(py, |held| {
            (held.sequence(), (0..held.len().min(SHOWN)).map(|at| held.get_bits(at)).collect::<Vec<_>>(), held.len())
        }) else {
            return "<villas_shm.Sample, written or put>".into();
        };
        let mut shown: Vec<String> = bits
            .iter()
            .zip(self.signals.names(bits.len()))
            .enumerate()
            .map(|(at, (bits, name))| {
                let value = value::to_python(py, *bits, self.signals.kind(at));
                if at < self.signals.len() { format!("{name}={value}") } else { format!("{value}") }
            })
            .collect();
        if length > shown.len() {
            shown.push(format!("… {length} values"));
        }
        format!("<villas_shm.Sample {sequence}: {}>", if length == 0 { "no values".into() } else { shown.join(", ") })
    }
}

/// A view of a sample's values, by `with`. While it is open, the sample cannot be written or put.
#[pyclass(frozen, module = "villas_shm")]
pub(crate) struct View {
    sample: Py<Sample>,
    /// The array that was handed out, while it is open.
    open: Mutex<Option<Py<PyAny>>>,
}

impl View {
    fn close(&self) -> Option<Py<PyAny>> {
        let array = self.open.lock().unwrap_or_else(PoisonError::into_inner).take();
        if array.is_some() {
            self.sample.get().lock().views -= 1;
        }
        array
    }
}

impl Drop for View {
    fn drop(&mut self) {
        drop(self.close());
    }
}

#[pymethods]
impl View {
    fn __enter__<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyAny>> {
        let sample = self.sample.get();
        // An array that outlives the block keeps the memory by this reference.
        let memory = Memory::shared(sample.with(py, |held| held.clone())?);
        let length = sample.length(py)?;
        let array = values::over(Bound::new(py, memory)?.as_any(), &sample.signals, None, length)?;
        let mut open = self.open.lock().unwrap_or_else(PoisonError::into_inner);
        if open.is_some() {
            return Err(PyBufferError::new_err("the view is open already: each with block needs a view of its own"));
        }
        *open = Some(array.clone().unbind());
        sample.lock().views += 1;
        Ok(array)
    }

    /// The array can be read on, but not written: the sample may be another's by then.
    #[pyo3(signature = (*_exception))]
    fn __exit__(&self, py: Python<'_>, _exception: &Bound<'_, PyAny>) -> PyResult<()> {
        match self.close() {
            // A record has flags that cannot be set.
            Some(array) if array.bind(py).cast::<PyUntypedArray>().is_ok() => {
                array.bind(py).getattr("flags")?.setattr("writeable", false)
            }
            _ => Ok(()),
        }
    }
}
