//! Counts and sizes that Python gives.

use crate::errors::value_error;
use pyo3::exceptions::PyOverflowError;
use pyo3::prelude::*;

/// A whole number of a type that has no negative ones: others are a ValueError.
pub(crate) struct Count<T>(pub(crate) T);

impl<'py, T: TryFrom<u64>> FromPyObject<'_, 'py> for Count<T> {
    type Error = PyErr;

    fn extract(given: Borrowed<'_, 'py, PyAny>) -> PyResult<Self> {
        let wrong = || value_error(format!("{:?} is {}", *given, if is_negative(&given) { "negative" } else { "too large" }));
        match given.extract::<u64>() {
            Ok(number) => T::try_from(number).map(Count).map_err(|_| wrong()),
            Err(error) if error.is_instance_of::<PyOverflowError>(given.py()) => Err(wrong()),
            Err(error) => Err(error),
        }
    }
}

fn is_negative(given: &Bound<'_, PyAny>) -> bool {
    given.lt(0).unwrap_or(false)
}

/// For arguments with a default, which is then stated in their signature.
pub(crate) fn count<T: TryFrom<u64>>(given: &Bound<'_, PyAny>) -> PyResult<T> {
    given.extract().map(|Count(number)| number)
}
