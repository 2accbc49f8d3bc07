//! Opens, creates and removes channels.

use crate::channel::{Channel, WIRE};
use crate::count::count;
use crate::errors::{OrRaise, raise, raise_errno, raise_of, value_error};
use crate::signals::given;
use crate::wait::{Deadline, Interruptions, wait};
use pyo3::prelude::*;
use pyo3::types::PyString;
use std::sync::Mutex;
use villas_shm::{Channel as Inner, Config, ErrorKind};

/// A group's number, by number or name.
fn group_number(group: Option<&Bound<'_, PyAny>>) -> PyResult<Option<u32>> {
    let Some(group) = group else { return Ok(None) };
    if group.is_instance_of::<PyString>() {
        let found = group.py().import("grp")?.call_method1("getgrnam", (group,));
        let known = found.map_err(|_| value_error(format!("group: this system has no group {group:?}")))?;
        return known.getattr("gr_gid")?.extract().map(Some);
    }
    group.extract().map(Some)
}

/// Opens the region `name` as its program, and waits for the node to create it.
///
/// `timeout` in seconds: None waits without limit, 0 does not wait.
///
/// NotFoundError: there is none, and the timeout is 0. TimeoutError: none within the time.
/// BusyError: another process has the side. MismatchError: the node has another version, or it is a
/// ring. CorruptError: no region, or a damaged one. PermissionError.
#[pyfunction]
#[pyo3(signature = (name, timeout = None))]
pub(crate) fn open(py: Python<'_>, name: &str, timeout: Option<f64>) -> PyResult<Channel> {
    let deadline = Deadline::new(timeout)?;
    let step = |slice| Inner::timed_open(name, Some(slice));
    // A region that is about to be ready is given 50 ms.
    let opened = match py.detach(|| Inner::open(name)) {
        Ok(opened) => opened,
        Err(error) if Deadline::waits(timeout) && matches!(error.kind(), ErrorKind::NotFound | ErrorKind::WouldBlock) => {
            wait(py, &Interruptions::default(), deadline, || Ok(()), step)?
        }
        Err(error) if error.is_transient() => return Err(raise_errno(py, libc::ETIMEDOUT, error.message())),
        Err(error) => return Err(raise_of(py, &error, name)),
    };
    Channel::new(py, opened, name.to_owned(), "program")
}

/// Creates the region `name` as its node. Replaces or repairs what dead processes have left.
///
/// `queuelen`: samples that can be queued in each direction. `samplelen`: values that a sample can
/// have. `spare`: samples that each side can hold beyond those queued. `history`: how many other
/// places a side uses before it uses a place again, if so many are free, so that the tool's `watch`
/// can copy samples that have passed. `polling`: waits spin and never sleep. `group`: a name or number. `any_owner`: accept another user's region.
/// `read_signals`, `write_signals`: what the values are, each a name or a tuple of name, unit and
/// type ("float", "integer", "boolean", "complex").
///
/// BusyError: a live process is its node. MismatchError: a program is attached to a region with
/// other parameters. ValueError: a parameter is out of range. PermissionError.
#[pyfunction]
#[pyo3(signature = (name, *, queuelen = 512, samplelen = 64, spare = 64, history = 0, polling = false, permissions = 0o600,
                    group = None, any_owner = false, read_signals = None, write_signals = None))]
#[allow(clippy::too_many_arguments)]
pub(crate) fn create(
    py: Python<'_>,
    name: &str,
    #[pyo3(from_py_with = count)] queuelen: u32,
    #[pyo3(from_py_with = count)] samplelen: u32,
    #[pyo3(from_py_with = count)] spare: u32,
    #[pyo3(from_py_with = count)] history: u32,
    polling: bool,
    #[pyo3(from_py_with = count)] permissions: u32,
    group: Option<&Bound<'_, PyAny>>,
    any_owner: bool,
    read_signals: Option<&Bound<'_, PyAny>>,
    write_signals: Option<&Bound<'_, PyAny>>,
) -> PyResult<Channel> {
    let mut config = Config::new()
        .queuelen(queuelen)
        .samplelen(samplelen)
        .spare(spare)
        .history(history)
        .polling(polling)
        .permissions(permissions)
        .any_owner(any_owner)
        .in_signals(given(read_signals)?)
        .out_signals(given(write_signals)?);
    config.group = group_number(group)?;
    let made = py.detach(|| Inner::create(name, &config)).map_err(|error| raise_of(py, &error, name))?;
    Channel::new(py, made, name.to_owned(), "node")
}

/// Opens a channel in the layout of VILLASnode's `shmem` node: creates the region `out`, which is
/// written, and waits for the region `in_`, which is read. `read_signals` are those that are
/// expected of a peer that says what it writes. Else as `create` and `open`; closing removes `out`,
/// and after the end of a peer the channel must be opened anew.
#[pyfunction]
#[pyo3(signature = (out, in_, timeout = None, *, queuelen = 512, samplelen = 64, polling = false,
                    permissions = 0o600, group = None,
                    any_owner = false, read_signals = None, write_signals = None))]
#[allow(clippy::too_many_arguments)]
pub(crate) fn open_wire(
    py: Python<'_>,
    out: &str,
    in_: &str,
    timeout: Option<f64>,
    #[pyo3(from_py_with = count)] queuelen: u32,
    #[pyo3(from_py_with = count)] samplelen: u32,
    polling: bool,
    #[pyo3(from_py_with = count)] permissions: u32,
    group: Option<&Bound<'_, PyAny>>,
    any_owner: bool,
    read_signals: Option<&Bound<'_, PyAny>>,
    write_signals: Option<&Bound<'_, PyAny>>,
) -> PyResult<Channel> {
    let deadline = Deadline::new(timeout)?;
    let mut config = Config::new()
        .queuelen(queuelen)
        .samplelen(samplelen)
        .polling(polling)
        .permissions(permissions)
        .any_owner(any_owner)
        .in_signals(given(read_signals)?)
        .out_signals(given(write_signals)?);
    config.group = group_number(group)?;
    // In one call, not in slices: each call makes the region `out`, and removes it if none comes.
    let raised = Mutex::new(None);
    let is_cancelled = || {
        let signal = Python::attach(|py| py.check_signals().err());
        let has_raised = signal.is_some();
        if let (Some(error), Ok(mut raised)) = (signal, raised.lock()) {
            *raised = Some(error);
        }
        has_raised || deadline.is_over()
    };
    let opened = loop {
        match py.detach(|| Inner::open_wire_unless(out, in_, &config, is_cancelled)) {
            Ok(opened) => break opened,
            Err(error) => {
                py.check_signals()?;
                if let Ok(Some(error)) = raised.lock().map(|mut raised| raised.take()) {
                    return Err(error);
                }
                if error.errno() == libc::ECANCELED {
                    let sentence = format!("nobody has created {in_} within the time");
                    return Err(raise_errno(py, libc::ETIMEDOUT, &sentence));
                }
                if error.kind() != ErrorKind::Interrupted {
                    return Err(raise(py, &error));
                }
            }
        }
    };
    Channel::new(py, opened, format!("{out}, {in_}"), WIRE)
}

/// Removes the name of a region, also while it is in use: processes that have it open keep it, and
/// others can no longer find it. NotFoundError: there is none.
#[pyfunction]
pub(crate) fn unlink(py: Python<'_>, name: &str) -> PyResult<()> {
    Inner::unlink(name).or_raise(py)
}
