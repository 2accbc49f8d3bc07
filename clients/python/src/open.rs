//! Opens, creates and removes channels.

use crate::channel::Channel;
use crate::errors::{OrRaise, raise, raise_errno};
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
        return group.py().import("grp")?.call_method1("getgrnam", (group,))?.getattr("gr_gid")?.extract().map(Some);
    }
    group.extract().map(Some)
}

#[pyfunction]
#[pyo3(signature = (name, timeout = None))]
pub(crate) fn open(py: Python<'_>, name: &str, timeout: Option<f64>) -> PyResult<Channel> {
    let deadline = Deadline::new(timeout)?;
    let opened = match Inner::open(name) {
        // Without a timeout the first answer counts; else the region may come.
        Err(error) if deadline.is_over() => return Err(raise(py, &error)),
        Err(error) if !matches!(error.kind(), ErrorKind::NotFound | ErrorKind::WouldBlock | ErrorKind::Busy) => {
            return Err(raise(py, &error));
        }
        Err(_) => wait(py, &Interruptions::default(), deadline, |slice| Inner::timed_open(name, Some(slice)))?,
        Ok(opened) => opened,
    };
    Channel::new(py, opened, name.to_owned(), "program")
}

#[pyfunction]
#[pyo3(signature = (name, *, queuelen = 512, samplelen = 64, spare = 64, polling = false, permissions = 0o600, group = None,
                    any_owner = false, read_signals = None, write_signals = None))]
#[allow(clippy::too_many_arguments)]
pub(crate) fn create(
    py: Python<'_>,
    name: &str,
    queuelen: u32,
    samplelen: u32,
    spare: u32,
    polling: bool,
    permissions: u32,
    group: Option<&Bound<'_, PyAny>>,
    any_owner: bool,
    read_signals: Option<&Bound<'_, PyAny>>,
    write_signals: Option<&Bound<'_, PyAny>>,
) -> PyResult<Channel> {
    let mut config = Config::new()
        .queuelen(queuelen)
        .samplelen(samplelen)
        .spare(spare)
        .polling(polling)
        .permissions(permissions)
        .any_owner(any_owner)
        .in_signals(given(read_signals)?)
        .out_signals(given(write_signals)?);
    config.group = group_number(group)?;
    let made = py.detach(|| Inner::create(name, &config)).or_raise(py)?;
    Channel::new(py, made, name.to_owned(), "node")
}

#[pyfunction]
#[pyo3(signature = (out, in_, timeout = None, *, queuelen = 512, samplelen = 64, polling = false, permissions = 0o600, group = None,
                    any_owner = false, read_signals = None, write_signals = None))]
#[allow(clippy::too_many_arguments)]
pub(crate) fn open_wire(
    py: Python<'_>,
    out: &str,
    in_: &str,
    timeout: Option<f64>,
    queuelen: u32,
    samplelen: u32,
    polling: bool,
    permissions: u32,
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
    Channel::new(py, opened, format!("{out}, {in_}"), "VILLASnode's layout")
}

#[pyfunction]
pub(crate) fn unlink(py: Python<'_>, name: &str) -> PyResult<()> {
    Inner::unlink(name).or_raise(py)
}
