//! One value of a sample: its 8 bytes, and what they are in Python.

use crate::errors::value_error;
use numpy::PyUntypedArray;
use pyo3::exceptions::{PyOverflowError, PyTypeError};
use pyo3::prelude::*;
use pyo3::types::{PyBool, PyComplex, PyComplexMethods, PyFloat, PyInt, PyString};
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

/// The numpy type of a value.
pub(crate) fn dtype(kind: Kind) -> &'static str {
    match kind {
        Kind::Float => "f8",
        Kind::Integer => "i8",
        Kind::Boolean => "?",
        Kind::Complex => "c8",
    }
}

/// The value without what its type does not say: a boolean is 0 or 1 in all of its 8 bytes.
pub(crate) fn clean(bits: u64, kind: Kind) -> u64 {
    if kind == Kind::Boolean { u64::from(bits as u8 != 0) } else { bits }
}

/// The 8 bytes of a value that Python gives.
pub(crate) fn from_python(value: &Bound<'_, PyAny>, kind: Kind) -> PyResult<u64> {
    Ok(match kind {
        Kind::Float => float(value)?.to_bits(),
        Kind::Integer => integer(value)? as u64,
        Kind::Boolean => match value.extract::<bool>() {
            Ok(truth) => u64::from(truth),
            Err(_) => match float(value)? {
                0.0 => 0,
                1.0 => 1,
                other => return Err(value_error(format!("must be True, False, 0 or 1, not {other}"))),
            },
        },
        Kind::Complex => {
            if value.is_instance_of::<PyString>() {
                return Err(PyTypeError::new_err("must be a number, not str"));
            }
            refuse_masked(value)?;
            let number = value.py().get_type::<PyComplex>().call1((value,))?.cast_into::<PyComplex>()?;
            let parts = [number.real(), number.imag()];
            if parts.iter().any(|part| part.is_finite() && (*part as f32).is_infinite()) {
                return Err(PyOverflowError::new_err(format!("{value} does not fit two floats of 32 bits")));
            }
            let [real, imaginary] = parts.map(|part| u64::from((part as f32).to_bits()));
            real | imaginary << 32
        }
    })
}

/// A real number. Complex ones of numpy give up their imaginary part with a warning only.
fn float(value: &Bound<'_, PyAny>) -> PyResult<f64> {
    if !value.is_instance_of::<PyFloat>() && !value.is_instance_of::<PyInt>() {
        refuse_masked(value)?;
        let kind = value.getattr("dtype").and_then(|dtype| dtype.getattr("kind")?.extract::<char>());
        if value.is_instance_of::<PyComplex>() || kind.is_ok_and(|kind| kind == 'c') {
            return Err(PyTypeError::new_err("must be a real number, not a complex one"));
        }
    }
    value.extract()
}

/// What numpy has for a value that is none: as a number it would be NaN, or what lies below it.
fn refuse_masked(value: &Bound<'_, PyAny>) -> PyResult<()> {
    match value.cast::<PyUntypedArray>() {
        Ok(array) if !array.is_exact_instance_of::<PyUntypedArray>() && array.hasattr("mask")? => {
            Err(PyTypeError::new_err("is masked, which no sample can say"))
        }
        _ => Ok(()),
    }
}

const TWO_TO_63: f64 = 9_223_372_036_854_775_808.0;

/// A whole number, also as a float without a fraction: lists of numbers and arrays mix them.
fn integer(value: &Bound<'_, PyAny>) -> PyResult<i64> {
    let failure = match value.extract::<i64>() {
        Ok(number) => return Ok(number),
        Err(failure) => failure,
    };
    if !failure.is_instance_of::<PyTypeError>(value.py()) {
        return Err(PyOverflowError::new_err(format!("{value} does not fit 64 bits")));
    }
    let number = float(value)?;
    if number.is_finite() && !(-TWO_TO_63..TWO_TO_63).contains(&number) {
        return Err(PyOverflowError::new_err(format!("{number} does not fit 64 bits")));
    }
    if number.fract() != 0.0 {
        return Err(value_error(format!("{number} is not an integer")));
    }
    Ok(number as i64)
}
