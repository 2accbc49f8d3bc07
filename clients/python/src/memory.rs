//! Memory that numpy arrays lie over, handed out by the buffer protocol. Such an array cannot be
//! resized, and keeps the memory for as long as it lives.

use pyo3::exceptions::PyBufferError;
use pyo3::prelude::*;
use pyo3::types::PyTuple;
use std::ffi::{c_int, c_void};
use std::sync::Arc;

/// Zeroed bytes, 8-aligned, whose address never changes.
pub(crate) struct Zeroed {
    words: *mut u64,
    length: usize,
}

// SAFETY: it owns its memory and gives out its address only.
unsafe impl Send for Zeroed {}
// SAFETY: as above.
unsafe impl Sync for Zeroed {}

impl Zeroed {
    /// `None`: there is no such amount of memory.
    pub(crate) fn new(words: usize) -> Option<Zeroed> {
        let mut all = Vec::<u64>::new();
        all.try_reserve_exact(words).ok()?;
        all.resize(words, 0);
        Some(Zeroed { words: Box::into_raw(all.into_boxed_slice()).cast(), length: words })
    }

    pub(crate) fn address(&self) -> *mut u64 {
        self.words
    }
}

impl Drop for Zeroed {
    fn drop(&mut self) {
        // SAFETY: as `new` has taken it apart; the last owner is gone.
        drop(unsafe { Box::from_raw(std::ptr::slice_from_raw_parts_mut(self.words, self.length)) });
    }
}

/// What an array lies over.
pub(crate) enum Ground {
    /// A part of private memory.
    Private(#[allow(dead_code)] Arc<Zeroed>),
    /// The values of a sample, and a reference to it.
    Shared(#[allow(dead_code)] villas_shm::Sample),
}

/// Exports memory to numpy.
#[pyclass(frozen)]
pub(crate) struct Memory {
    #[allow(dead_code)] // keeps the memory
    ground: Ground,
    start: *mut u8,
    bytes: usize,
}

// SAFETY: it gives out an address and does nothing with it.
unsafe impl Send for Memory {}
// SAFETY: as above.
unsafe impl Sync for Memory {}

impl Memory {
    pub(crate) fn private(all: Arc<Zeroed>) -> Memory {
        Memory { start: all.address().cast(), bytes: 8 * all.length, ground: Ground::Private(all) }
    }

    /// The values of a sample.
    pub(crate) fn shared(sample: villas_shm::Sample) -> Memory {
        Memory { start: sample.as_ptr().cast(), bytes: 8 * sample.len(), ground: Ground::Shared(sample) }
    }
}

#[pymethods]
impl Memory {
    /// # Safety
    /// As Python calls it.
    unsafe fn __getbuffer__(slf: Bound<'_, Self>, view: *mut pyo3::ffi::Py_buffer, flags: c_int) -> PyResult<()> {
        if view.is_null() {
            return Err(PyBufferError::new_err("no buffer to fill in"));
        }
        let memory = slf.get();
        let bytes = memory.bytes as pyo3::ffi::Py_ssize_t;
        // SAFETY: `view` is one to fill in; the memory lives as long as this object, to which the
        // call takes a reference.
        let filled = unsafe { pyo3::ffi::PyBuffer_FillInfo(view, slf.as_ptr(), memory.start.cast::<c_void>(), bytes, 0, flags) };
        if filled == 0 { Ok(()) } else { Err(PyErr::fetch(slf.py())) }
    }
}

/// The one array constructor that is used: `numpy.ndarray(shape, dtype, memory, offset)`.
pub(crate) fn array<'py>(
    memory: &Bound<'py, Memory>,
    shape: &[usize],
    dtype: &str,
    offset: usize,
) -> PyResult<Bound<'py, PyAny>> {
    static CLASS: pyo3::sync::PyOnceLock<Py<PyAny>> = pyo3::sync::PyOnceLock::new();
    let py = memory.py();
    CLASS.import(py, "numpy", "ndarray")?.call1((PyTuple::new(py, shape)?, dtype, memory, offset))
}
