//! Errors of the library as exceptions of `villas_shm._errors`.

use pyo3::exceptions::PyValueError;
use pyo3::prelude::*;
use pyo3::sync::PyOnceLock;
use villas_shm::Error;

/// The exception for an error: its class by `errno`, the library's sentence.
#[cold]
pub(crate) fn raise(py: Python<'_>, error: &Error) -> PyErr {
    raise_errno(py, error.errno(), error.message())
}

/// The exception for an `errno`, with this sentence.
#[cold]
pub(crate) fn raise_errno(py: Python<'_>, errno: i32, sentence: &str) -> PyErr {
    static MAKE: PyOnceLock<Py<PyAny>> = PyOnceLock::new();
    let made = MAKE.import(py, "villas_shm._errors", "of_errno").and_then(|make| make.call1((errno, sentence)));
    made.map_or_else(|failure| failure, PyErr::from_value)
}

/// For `?` in functions that give a `PyResult`.
pub(crate) trait OrRaise<T> {
    fn or_raise(self, py: Python<'_>) -> PyResult<T>;
}

impl<T> OrRaise<T> for villas_shm::Result<T> {
    fn or_raise(self, py: Python<'_>) -> PyResult<T> {
        self.map_err(|error| raise(py, &error))
    }
}

/// What every call on a channel of the parent says in a forked child.
pub(crate) fn forked(py: Python<'_>) -> PyErr {
    raise_errno(py, libc::EPIPE, "this channel belongs to the parent that forked this process: open one here")
}

pub(crate) fn value_error(sentence: impl Into<String>) -> PyErr {
    PyValueError::new_err(sentence.into())
}
