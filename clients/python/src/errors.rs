//! Errors of the library as exceptions of `villas_shm._errors`.

use pyo3::exceptions::PyValueError;
use pyo3::prelude::*;
use pyo3::sync::PyOnceLock;
use villas_shm::inspect::{self, Kind};
use villas_shm::{Error, ErrorKind};

/// The exception for an error: its class by `errno`, the library's sentence.
#[cold]
pub(crate) fn raise(py: Python<'_>, error: &Error) -> PyErr {
    // The arguments have other names in Python.
    let sentence = error.message().replace("in_signals", "read_signals").replace("out_signals", "write_signals");
    raise_errno(py, error.errno(), &sentence)
}

/// The exception for an error of a call that opens the object `name` as a channel or as a ring: if
/// it is of another kind, which, and how to open it.
#[cold]
pub(crate) fn raise_of(py: Python<'_>, error: &Error, name: &str) -> PyErr {
    if error.kind() != ErrorKind::Corrupt {
        return raise(py, error);
    }
    match inspect::look(name, 0).map(|found| (found.kind, found.size)) {
        Ok((Kind::Channel | Kind::Wire | Kind::Ring, _)) => other_kind(py, name).unwrap_or_else(|| raise(py, error)),
        Ok((Kind::Posix, size)) => {
            let sentence = format!(
                "{}. vs.Segment({name:?}) opens it as the {size} bytes that it is; vs.unlink({name:?}) removes it",
                error.message()
            );
            raise_errno(py, error.errno(), &sentence)
        }
        _ => raise(py, error),
    }
}

/// What to say if the object `name` is a channel or a ring, and was taken for something else.
pub(crate) fn other_kind(py: Python<'_>, name: &str) -> Option<PyErr> {
    let (kind, open) = match inspect::look(name, 0).ok()?.kind {
        Kind::Channel => ("a channel", format!("vs.open({name:?})")),
        Kind::Wire => ("one of two regions of a channel in VILLASnode's layout", "vs.open_wire(out, in_)".into()),
        Kind::Ring => ("a ring", format!("vs.Ring({name:?}, dtype=…, role=…)")),
        _ => return None,
    };
    Some(raise_errno(py, libc::EPROTO, &format!("\"{name}\" is {kind}: open it by {open}, or take another name")))
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
