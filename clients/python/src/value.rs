//! One value of a sample: its 8 bytes, and what they are in Python.

use crate::errors::value_error;
use pyo3::exceptions::PyTypeError;
use pyo3::prelude::*;
use pyo3::types::{PyBool, PyComplex, PyComplexMethods, PyFloat, PyInt};
pub(crate) use villas_shm::SignalType as Kind;

/// The value as Python has it.
pub(crate) fn to_python(py: Python<'_>, bits: u64, kind: Kind) -> Bound<'_, PyAny> {
    match kind {
        Kind::Float => PyFloat::new(py, f64::from_bits(bits)).into_any(),
        Kind::Integer => PyInt::new(py, bits as i64).into_any(),
        Kind::Boolean => PyBool::new(py, bits as u8 != 0).to_owned().into_any(),
        Kind::Complex => {
            let [real, imaginary] = [bits as u32, (bits >> 32) as u32].map(|bits| f64::from(f32::from_bits(bits)));
            PyComplex::from_doubles(py, real, imaginary).into_any()
        }
    }
}

/// The 8 bytes of a value that Python gives.
pub(crate) fn from_python(value: &Bound<'_, PyAny>, kind: Kind) -> PyResult<u64> {
    Ok(match kind {
        Kind::Float => value.extract::<f64>()?.to_bits(),
        Kind::Integer => integer(value)? as u64,
        Kind::Boolean => u64::from(value.is_truthy()?),
        Kind::Complex => {
            let number = value.py().get_type::<PyComplex>().call1((value,))?.cast_into::<PyComplex>()?;
            let [real, imaginary] = [number.real(), number.imag()].map(|part| u64::from((part as f32).to_bits()));
            real | imaginary << 32
        }
    })
}

/// A whole number, also as a float without a fraction: lists of numbers and arrays mix them.
fn integer(value: &Bound<'_, PyAny>) -> PyResult<i64> {
    let failure = match value.extract::<i64>() {
        Ok(number) => return Ok(number),
        Err(failure) => failure,
    };
    // An integer that is too large is no less wrong as a float.
    if !failure.is_instance_of::<PyTypeError>(value.py()) {
        return Err(failure);
    }
    let number = value.extract::<f64>().map_err(|_| failure)?;
    if number.fract() != 0.0 || !(-9.2e18..9.2e18).contains(&number) {
        return Err(value_error(format!("{number} is not an integer, as its signal is")));
    }
    Ok(number as i64)
}
