//! Segments by the buffer protocol, and events in them.

use crate::count::count;
use crate::errors::{OrRaise, other_kind, raise_errno, value_error};
use crate::time;
use crate::wait::{Deadline, Interruptions, wait};
use pyo3::exceptions::PyBufferError;
use pyo3::prelude::*;
use pyo3::sync::PyOnceLock;
use pyo3::types::PyDict;
use std::ffi::{c_int, c_void};
use std::path::PathBuf;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use villas_shm::{Segment as Inner, SegmentOptions};

/// Raw shared memory: a POSIX object by its name, or a System V segment by `key` or `id`.
///
/// `Segment(name, size, create=True)` opens it, or makes it: zeroed, with its memory allocated.
/// Size 0 takes it as it is. With `create`, a channel or a ring of this name is a `MismatchError`. It exports its memory: `memoryview(seg)`, `numpy.frombuffer(seg,
/// dtype)`; these keep it attached, and `close` raises `BufferError` while there is one. Other
/// processes may write the memory at any time; an event in it tells when one has.
#[pyclass(frozen, module = "villas_shm")]
pub(crate) struct Segment {
    state: Mutex<State>,
    name: Option<String>,
    key: Option<i32>,
    size: usize,
    read_only: bool,
}

struct State {
    /// `None`: closed. A wait for an event in it keeps it.
    open: Option<Arc<Inner>>,
    exports: usize,
}

impl Segment {
    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn open(&self, py: Python<'_>) -> PyResult<Arc<Inner>> {
        self.lock().open.clone().ok_or_else(|| raise_errno(py, libc::EPIPE, "the segment is closed: open it again"))
    }
}

#[pymethods]
impl Segment {
    #[new]
    #[pyo3(signature = (name = None, size = 0, *, key = None, id = None, create = false, exclusive = false, read_only = false,
                        permissions = 0o600))]
    #[allow(clippy::too_many_arguments)]
    fn open_segment(
        py: Python<'_>,
        name: Option<String>,
        #[pyo3(from_py_with = count)] size: usize,
        key: Option<i32>,
        id: Option<i32>,
        create: bool,
        exclusive: bool,
        read_only: bool,
        #[pyo3(from_py_with = count)] permissions: u32,
    ) -> PyResult<Segment> {
        // What a channel or a ring has in it would be written over.
        let mistaken = name.as_deref().filter(|_| create && !exclusive).and_then(|name| other_kind(py, name));
        if let Some(error) = mistaken {
            return Err(error);
        }
        let options = SegmentOptions { size, create, exclusive, read_only, permissions };
        let opened = py.detach(|| match (&name, key, id) {
            (Some(name), None, None) => Some(Inner::open(name, &options)),
            (None, Some(key), None) => Some(Inner::sysv(key, &options)),
            (None, None, Some(id)) => Some(Inner::attach(id, read_only)),
            _ => None,
        });
        let opened = opened.ok_or_else(|| value_error("a segment has one of a name, a key and an id"))?.or_raise(py)?;
        let size = opened.size();
        Ok(Segment { state: Mutex::new(State { open: Some(Arc::new(opened)), exports: 0 }), name, key, size, read_only })
    }

    /// A key for System V segments, of a file that all users of the segment can reach and a number:
    /// `ftok(3)`.
    #[staticmethod]
    fn key_of(py: Python<'_>, path: PathBuf, project: i32) -> PyResult<i32> {
        Inner::key(&path, project).or_raise(py)
    }

    #[getter]
    fn name(&self) -> Option<&str> {
        self.name.as_deref()
    }

    /// Bytes.
    #[getter]
    fn size(&self) -> usize {
        self.size
    }

    fn __len__(&self) -> usize {
        self.size
    }

    #[getter]
    fn read_only(&self) -> bool {
        self.read_only
    }

    #[getter]
    fn closed(&self) -> bool {
        self.lock().open.is_none()
    }

    /// What the system knows of it now. `None`: it does not say.
    fn stat<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyAny>> {
        static CLASS: PyOnceLock<Py<PyAny>> = PyOnceLock::new();
        let stat = self.open(py)?.stat().or_raise(py)?;
        let named = PyDict::new(py);
        named.set_item("size", stat.size)?;
        named.set_item("permissions", stat.permissions)?;
        named.set_item("uid", stat.uid)?;
        named.set_item("gid", stat.gid)?;
        named.set_item("removed", stat.removed)?;
        named.set_item("changed_at", time::to_python(py, time::nanoseconds(stat.changed_at))?)?;
        named.set_item("id", stat.id)?;
        named.set_item("key", stat.key)?;
        named.set_item("attached", stat.attached)?;
        named.set_item("creator_pid", stat.creator_pid)?;
        named.set_item("last_pid", stat.last_pid)?;
        CLASS.import(py, "villas_shm._segment", "SegmentStat")?.call((), Some(&named))
    }

    /// Changes permission bits and owner; `None`: unchanged.
    #[pyo3(signature = (permissions = None, uid = None, gid = None))]
    fn set_permissions(&self, py: Python<'_>, permissions: Option<u32>, uid: Option<u32>, gid: Option<u32>) -> PyResult<()> {
        self.open(py)?.set_permissions(permissions, uid, gid).or_raise(py)
    }

    /// The event in the 8 bytes at an offset, which is a multiple of 8.
    #[pyo3(signature = (offset = 0))]
    fn event(slf: Bound<'_, Self>, #[pyo3(from_py_with = count)] offset: usize) -> PyResult<Event> {
        let py = slf.py();
        slf.get().open(py)?.event(offset).or_raise(py)?;
        Ok(Event { segment: slf.unbind(), offset, seen: AtomicU64::new(0) })
    }

    /// Removes the name, or the key and number. Who has it open keeps it.
    fn unlink(&self, py: Python<'_>) -> PyResult<()> {
        match &self.name {
            Some(name) => Inner::unlink(name).or_raise(py),
            None => {
                let id = self.open(py)?.stat().or_raise(py)?.id;
                Inner::unlink_id(id.ok_or_else(|| value_error("the segment has no number"))?).or_raise(py)
            }
        }
    }

    /// Detaches the memory. `BufferError` while something exports it.
    fn close(&self) -> PyResult<()> {
        let mut state = self.lock();
        match state.exports {
            0 => state.open = None,
            some => {
                return Err(PyBufferError::new_err(format!(
                    "{some} views of the segment exist, such as memoryviews and numpy arrays: delete them first"
                )));
            }
        }
        Ok(())
    }

    /// # Safety
    /// As Python calls it.
    unsafe fn __getbuffer__(slf: Bound<'_, Self>, view: *mut pyo3::ffi::Py_buffer, flags: c_int) -> PyResult<()> {
        let segment = slf.get();
        let start = segment.open(slf.py())?.as_ptr();
        let (size, read_only) = (segment.size as pyo3::ffi::Py_ssize_t, c_int::from(segment.read_only));
        if view.is_null() {
            return Err(PyBufferError::new_err("no buffer to fill in"));
        }
        // SAFETY: `view` is one to fill in; the memory stays attached while exports are counted.
        let filled = unsafe { pyo3::ffi::PyBuffer_FillInfo(view, slf.as_ptr(), start.cast::<c_void>(), size, read_only, flags) };
        if filled != 0 {
            return Err(PyErr::fetch(slf.py()));
        }
        segment.lock().exports += 1;
        Ok(())
    }

    /// # Safety
    /// As Python calls it.
    unsafe fn __releasebuffer__(&self, _view: *mut pyo3::ffi::Py_buffer) {
        self.lock().exports -= 1;
    }

    fn __enter__(slf: Py<Self>) -> Py<Self> {
        slf
    }

    #[pyo3(signature = (*_exception))]
    fn __exit__(&self, _exception: &Bound<'_, PyAny>) -> PyResult<()> {
        self.close()
    }

    fn __repr__(&self) -> String {
        let what = match (&self.name, self.key) {
            (Some(name), _) => format!("{name:?}"),
            (None, Some(key)) => format!("System V, key {key:#010x}"),
            (None, None) => "System V".into(),
        };
        let state = if self.closed() { ", closed" } else { "" };
        format!("<villas_shm.Segment {what}: {} bytes{state}>", self.size)
    }
}

/// A counter of signals in a segment, on which processes wait.
///
/// Each object keeps its own number of signals that it has seen, so every waiter gets every signal.
/// What was written before a signal is seen after it. It cannot tell whether any signaller is left:
/// wait with a limit.
#[pyclass(frozen, module = "villas_shm")]
pub(crate) struct Event {
    segment: Py<Segment>,
    offset: usize,
    seen: AtomicU64,
}

#[pymethods]
impl Event {
    /// Adds a signal and wakes all waiters.
    fn signal(&self, py: Python<'_>) -> PyResult<()> {
        let segment = self.segment.get().open(py)?;
        segment.event(self.offset).or_raise(py)?.signal();
        Ok(())
    }

    /// Signals since the memory was zeroed.
    #[getter]
    fn count(&self, py: Python<'_>) -> PyResult<u64> {
        let segment = self.segment.get().open(py)?;
        Ok(segment.event(self.offset).or_raise(py)?.count())
    }

    /// Waits for signals that this object has not seen yet. Returns how many came. `TimeoutError`.
    #[pyo3(signature = (timeout = None))]
    fn wait(&self, py: Python<'_>, timeout: Option<f64>) -> PyResult<u64> {
        let segment = self.segment.get().open(py)?;
        let event = segment.event(self.offset).or_raise(py)?;
        let mut seen = self.seen.load(Relaxed);
        let fresh = wait(
            py,
            &Interruptions::default(),
            Deadline::new(timeout)?,
            || Ok(()),
            |slice| event.timed_wait(&mut seen, Some(slice)),
        )?;
        self.seen.fetch_max(seen, Relaxed);
        Ok(fresh)
    }
}
