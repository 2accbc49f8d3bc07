//! Points in time: `datetime64[ns]` in Python, seconds and nanoseconds in a sample.

use crate::errors::value_error;
use pyo3::prelude::*;
use pyo3::sync::PyOnceLock;
use villas_shm::Timespec;

/// "Not a time", as numpy has it.
pub(crate) const NAT: i64 = i64::MIN;

/// Nanoseconds since 1970; [`NAT`] beyond what `datetime64[ns]` can have (about 1678 to 2262).
pub(crate) fn nanoseconds(at: Timespec) -> i64 {
    at.sec.checked_mul(1_000_000_000).and_then(|all| all.checked_add(at.nsec)).unwrap_or(NAT)
}

pub(crate) fn timespec(nanoseconds: i64) -> Timespec {
    Timespec { sec: nanoseconds.div_euclid(1_000_000_000), nsec: nanoseconds.rem_euclid(1_000_000_000) }
}

/// A `numpy.datetime64`.
pub(crate) fn to_python(py: Python<'_>, nanoseconds: i64) -> PyResult<Bound<'_, PyAny>> {
    static CLASS: PyOnceLock<Py<PyAny>> = PyOnceLock::new();
    CLASS.import(py, "numpy", "datetime64")?.call1((nanoseconds, "ns"))
}

/// What Python gives for a time: an integer of nanoseconds since 1970, a `datetime64`, a
/// `datetime` (without a zone: UTC). `None`: no time.
pub(crate) fn from_python(time: Option<&Bound<'_, PyAny>>) -> PyResult<Option<Timespec>> {
    static CONVERT: PyOnceLock<Py<PyAny>> = PyOnceLock::new();
    let Some(time) = time else { return Ok(None) };
    let all = match time.extract::<i64>() {
        Ok(all) => all,
        // An integer that gets there has more than 64 bits.
        Err(_) => CONVERT.import(time.py(), "villas_shm._types", "nanoseconds")?.call1((time,))?.extract()?,
    };
    if all == NAT && time.is_instance_of::<pyo3::types::PyInt>() {
        return Err(value_error("the least integer is no time"));
    }
    Ok((all != NAT).then(|| timespec(all)))
}
