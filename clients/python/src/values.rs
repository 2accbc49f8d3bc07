//! The values of a sample, as numpy arrays and as Python gives them.
//!
//! Values of one type are an array of it. Others are a record, with a field for each signal.

use crate::batch::Batch;
use crate::errors::{OrRaise, value_error};
use crate::signals::Signals;
use crate::value;
use numpy::{PyArray1, PyArrayMethods, PyUntypedArray, PyUntypedArrayMethods, npyffi};
use pyo3::PyTypeInfo;
use pyo3::exceptions::{PyOverflowError, PyTypeError, PyValueError};
use pyo3::prelude::*;
use pyo3::sync::PyOnceLock;
use pyo3::types::{PyByteArray, PyBytes, PyDict, PyFrozenSet, PyList, PyMapping, PySet, PyString, PyTuple};
use villas_shm::Sample as Held;

/// An array over the memory of `rows` samples of `width` values each; of `None`, of one sample.
pub(crate) fn over<'py>(
    memory: &Bound<'py, PyAny>,
    signals: &Signals,
    rows: Option<usize>,
    width: usize,
) -> PyResult<Bound<'py, PyAny>> {
    static CLASS: PyOnceLock<Py<PyAny>> = PyOnceLock::new();
    let py = memory.py();
    let class = CLASS.import(py, "numpy", "ndarray")?;
    let Some(kind) = signals.common(width) else {
        let records = class.call1((PyTuple::new(py, rows)?, signals.dtype(py, width)?, memory))?;
        // Of one sample the record itself, as of one row.
        return if rows.is_some() { Ok(records) } else { records.get_item(PyTuple::empty(py)) };
    };
    // A boolean is the first byte of its value.
    let both = |row: Option<usize>, value| PyTuple::new(py, row.into_iter().chain([value]).collect::<Vec<_>>());
    let (shape, strides) = (both(rows, width)?, both(rows.map(|_| 8 * width), 8)?);
    class.call1((shape, value::dtype(kind), memory, 0, strides))
}

/// A copy of the values, which cannot be changed: who tries to has taken it for the sample.
pub(crate) fn copy<'py>(
    py: Python<'py>,
    signals: &Signals,
    length: usize,
    read: impl FnOnce(*mut u64) -> PyResult<()>,
) -> PyResult<Bound<'py, PyAny>> {
    if signals.are_floats() {
        // SAFETY: `read` writes all of its values before anyone sees it.
        let array = unsafe { PyArray1::<f64>::new(py, [length], false) };
        read(array.data().cast())?;
        // SAFETY: an array has the fields of one.
        unsafe { (*array.as_array_ptr()).fields.flags &= !npyffi::NPY_ARRAY_WRITEABLE };
        return Ok(array.into_any());
    }
    let mut bits = vec![0; length];
    read(bits.as_mut_ptr())?;
    let clean = |(at, bits)| value::clean(bits, signals.kind(at)).to_ne_bytes();
    let bytes: Vec<u8> = bits.into_iter().enumerate().flat_map(clean).collect();
    over(&PyBytes::new(py, &bytes), signals, None, length)
}

/// Sets the values of a sample, and their number.
pub(crate) fn set(held: &mut Held, values: &Bound<'_, PyAny>, signals: &Signals) -> PyResult<()> {
    let py = values.py();
    if signals.are_floats() {
        if let Ok(array) = values.cast::<PyArray1<f64>>() {
            if array.is_c_contiguous() && is_plain(array.as_untyped()) {
                held.set_len(array.len()).or_raise(py)?;
                // SAFETY: so many values lie there, one after another, and fit.
                unsafe { std::ptr::copy_nonoverlapping(array.data().cast(), held.as_ptr(), array.len()) };
                return Ok(());
            }
        }
    }
    let numbers = numbers(values, signals)?;
    let bits = numbers.iter().enumerate().map(|(at, number)| one(number, signals, at));
    let bits = bits.collect::<PyResult<Vec<u64>>>()?;
    held.set_len(bits.len()).or_raise(py)?;
    for (at, bits) in bits.into_iter().enumerate() {
        held.set_bits(at, bits);
    }
    Ok(())
}

/// The 8 bytes of a number for value `at`.
pub(crate) fn one(number: &Bound<'_, PyAny>, signals: &Signals, at: usize) -> PyResult<u64> {
    let py = number.py();
    value::from_python(number, signals.kind(at)).map_err(|error| {
        let sentence = format!("{}: {}", signals.describe(at), error.value(py));
        match () {
            () if error.get_type(py).is(py.get_type::<PyTypeError>()) => PyTypeError::new_err(sentence),
            () if error.get_type(py).is(py.get_type::<PyValueError>()) => PyValueError::new_err(sentence),
            () if error.get_type(py).is(py.get_type::<PyOverflowError>()) => PyOverflowError::new_err(sentence),
            // A number that runs Python code can raise anything.
            () => error,
        }
    })
}

/// Whether it is no subclass, such as masked arrays are.
pub(crate) fn is_plain(array: &Bound<'_, PyUntypedArray>) -> bool {
    array.get_type().is(PyUntypedArray::type_object(array.py()))
}

const WHAT: &str = "the values of a sample are a sequence or one-dimensional array of numbers, or a dict by name";

/// The values of one sample, in their order: of a sequence or an array by position, of what has
/// names by name.
fn numbers<'py>(values: &Bound<'py, PyAny>, signals: &Signals) -> PyResult<Vec<Bound<'py, PyAny>>> {
    if values.is_exact_instance_of::<PyList>() || values.is_exact_instance_of::<PyTuple>() {
        return values.try_iter()?.collect();
    }
    if let Ok(named) = values.cast_exact::<PyDict>() {
        return of_mapping(named, signals);
    }
    let py = values.py();
    if values.is_instance_of::<Batch>() {
        return Err(PyTypeError::new_err(format!("{WHAT}, not a batch: ch.write_from(batch) writes one")));
    }
    if let Ok(array) = values.cast::<PyUntypedArray>() {
        if !is_plain(array) && array.hasattr("mask")? {
            return Err(PyTypeError::new_err("a masked array has values that are none: give a.filled(…)"));
        }
    }
    let dimensions = values.getattr("ndim").and_then(|ndim| ndim.extract::<usize>()).ok();
    if let Some(names) = field_names(values)? {
        return match dimensions {
            Some(0) => of_record(&values.get_item(PyTuple::empty(py))?, names, signals),
            _ => Err(PyTypeError::new_err(format!(
                "{WHAT}, not an array of {} records: write them one by one, or use a batch",
                values.len()?
            ))),
        };
    }
    match dimensions {
        Some(0) => return Err(PyTypeError::new_err(format!("{WHAT}, not one number: one value is [value]"))),
        Some(2..) => {
            let kind = values.get_type().name()?.to_string();
            return Err(PyTypeError::new_err(format!(
                "{WHAT}, not {} of shape {}: one sample has one dimension; for many use a batch",
                if kind == "ndarray" { "an array".into() } else { format!("a {kind}") },
                values.getattr("shape")?
            )));
        }
        _ => {}
    }
    if let Ok(fields) = values.getattr("_fields") {
        // A named tuple.
        let named = PyDict::new(py);
        for (name, value) in fields.try_iter()?.zip(values.try_iter()?) {
            named.set_item(name?, value?)?;
        }
        return of_mapping(&named, signals);
    }
    if let Some(names) = keys(values)? {
        let named = PyDict::new(py);
        for name in names {
            named.set_item(&name, values.get_item(&name)?)?;
        }
        return of_mapping(&named, signals);
    }
    if values.is_instance_of::<PySet>() || values.is_instance_of::<PyFrozenSet>() {
        return Err(PyTypeError::new_err(format!("{WHAT}, not a {}, which has no order", values.get_type().name()?)));
    }
    let is_text =
        values.is_instance_of::<PyString>() || values.is_instance_of::<PyBytes>() || values.is_instance_of::<PyByteArray>();
    if is_text || !values.hasattr("__iter__")? && !values.hasattr("__getitem__")? {
        let kind = values.get_type();
        return Err(PyTypeError::new_err(format!("{WHAT}, not {values:?}, a {}: one value is [value]", kind.name()?)));
    }
    values.try_iter()?.collect()
}

/// The names of a mapping, or of what has such: a Series. `None`: it has none.
fn keys<'py>(values: &Bound<'py, PyAny>) -> PyResult<Option<Vec<Bound<'py, PyAny>>>> {
    if !values.hasattr("keys")? {
        return Ok(None);
    }
    let names = values.call_method0("keys")?.try_iter()?.collect::<PyResult<Vec<_>>>()?;
    // A Series without names counts its values.
    let has_names = values.is_instance_of::<PyDict>() || names.iter().any(|name| name.is_instance_of::<PyString>());
    Ok((has_names || values.cast::<PyMapping>().is_ok()).then_some(names))
}

/// The names of a record's fields. `None`: it is none.
fn field_names(values: &Bound<'_, PyAny>) -> PyResult<Option<Vec<String>>> {
    static RECORD: PyOnceLock<Py<PyAny>> = PyOnceLock::new();
    let is_record = values.is_instance(RECORD.import(values.py(), "numpy", "void")?)?;
    if !is_record && values.cast::<PyUntypedArray>().is_err() {
        return Ok(None);
    }
    values.getattr("dtype")?.getattr("names")?.extract()
}

/// By name, as the fields say: those of as many first signals.
fn of_record<'py>(record: &Bound<'py, PyAny>, names: Vec<String>, signals: &Signals) -> PyResult<Vec<Bound<'py, PyAny>>> {
    let expected = signals.names(names.len());
    if expected.iter().any(|name| !names.contains(name)) {
        return Err(value_error(format!(
            "the record has the fields {}, but the {} are {}: give a dict by name, or record.tolist() by position",
            names.join(", "),
            signals.direction(),
            signals.names(signals.len()).join(", "),
        )));
    }
    expected.iter().map(|name| record.get_item(name)).collect()
}

fn of_mapping<'py>(named: &Bound<'py, PyDict>, signals: &Signals) -> PyResult<Vec<Bound<'py, PyAny>>> {
    let all = signals.names(signals.len());
    if all.is_empty() {
        return Err(value_error(format!("the region names no {}: give a sequence of numbers", signals.direction())));
    }
    let mut wrong = Vec::new();
    for name in named.keys() {
        if !name.cast::<PyString>().is_ok_and(|name| name.to_str().is_ok_and(|name| signals.has(name))) {
            wrong.push(format!("there is no {}", name.repr()?));
        }
    }
    for name in &all {
        if !named.contains(name)? {
            wrong.push(format!("{name:?} is missing"));
        }
    }
    if !wrong.is_empty() {
        return Err(value_error(format!("the {} are {}: {}", signals.direction(), all.join(", "), wrong.join(", "))));
    }
    all.iter().map(|name| named.as_any().get_item(name)).collect()
}
