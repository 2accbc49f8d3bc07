//! Signals of a direction: their tuples for Python, and types and places for the code here.

use crate::errors::value_error;
use crate::value::Kind;
use pyo3::exceptions::{PyIndexError, PyKeyError, PyTypeError};
use pyo3::prelude::*;
use pyo3::sync::PyOnceLock;
use pyo3::types::{PyString, PyTuple};
use std::collections::HashMap;
use villas_shm::{Signal, SignalType};

/// The signals of one direction.
pub(crate) struct Signals {
    kinds: Box<[Kind]>,
    places: HashMap<Box<str>, usize>,
    tuple: Py<PyTuple>,
}

impl Signals {
    pub(crate) fn new(py: Python<'_>, signals: &[Signal]) -> PyResult<Signals> {
        static CLASS: PyOnceLock<Py<PyAny>> = PyOnceLock::new();
        let class = CLASS.import(py, "villas_shm._types", "Signal")?;
        let tuples = signals.iter().map(|signal| class.call1((signal.name(), signal.unit(), signal.kind().to_string())));
        Ok(Signals {
            kinds: signals.iter().map(Signal::kind).collect(),
            places: signals.iter().enumerate().map(|(at, signal)| (signal.name().into(), at)).collect(),
            tuple: PyTuple::new(py, tuples.collect::<PyResult<Vec<_>>>()?)?.unbind(),
        })
    }

    /// For `read_signals`: a tuple of `Signal`.
    pub(crate) fn tuple<'py>(&self, py: Python<'py>) -> Bound<'py, PyTuple> {
        self.tuple.bind(py).clone()
    }

    pub(crate) fn len(&self) -> usize {
        self.kinds.len()
    }

    /// The type of value `at`; of one without a signal: a float.
    pub(crate) fn kind(&self, at: usize) -> Kind {
        self.kinds.get(at).copied().unwrap_or(Kind::Float)
    }

    /// Whether all values are floats.
    pub(crate) fn are_floats(&self) -> bool {
        self.kinds.iter().all(|kind| *kind == Kind::Float)
    }

    /// The place of a value, by the name of its signal or by an index, of `length` values.
    pub(crate) fn place(&self, key: &Bound<'_, PyAny>, length: usize) -> PyResult<usize> {
        if let Ok(name) = key.cast::<PyString>() {
            let name = name.to_str()?;
            let at = *self.places.get(name).ok_or_else(|| self.no_such(name))?;
            if at >= length {
                return Err(PyIndexError::new_err(format!("signal {name:?} is value {at}, but there are only {length} values")));
            }
            return Ok(at);
        }
        let index: isize = key.extract().map_err(|_| PyTypeError::new_err("a value is named by a signal's name or an index"))?;
        let at = if index < 0 { index + length as isize } else { index };
        if at < 0 || at >= length as isize {
            return Err(PyIndexError::new_err(format!("value {index} of {length}")));
        }
        Ok(at as usize)
    }

    fn no_such(&self, name: &str) -> PyErr {
        if self.places.is_empty() {
            return PyKeyError::new_err(format!("no signal {name:?}: the region names none in this direction"));
        }
        let mut names: Vec<&str> = self.places.keys().map(|name| &**name).collect();
        names.sort_unstable_by_key(|name| self.places[*name]);
        PyKeyError::new_err(format!("no signal {name:?}: there are {}", names.join(", ")))
    }
}

/// Signals as a program gives them: each a name, or a tuple of name, unit and type.
pub(crate) fn given(signals: Option<&Bound<'_, PyAny>>) -> PyResult<Vec<Signal>> {
    let Some(signals) = signals else { return Ok(Vec::new()) };
    if signals.is_instance_of::<PyString>() {
        return Err(PyTypeError::new_err("signals are a sequence, as in [\"v_a\", (\"i_a\", \"A\")], not one string"));
    }
    signals.try_iter()?.map(|signal| one(&signal?)).collect()
}

fn one(signal: &Bound<'_, PyAny>) -> PyResult<Signal> {
    if let Ok(name) = signal.extract::<String>() {
        return Ok(Signal::new(name, "", SignalType::Float));
    }
    let parts: Vec<String> = signal
        .extract()
        .map_err(|_| PyTypeError::new_err("a signal is a name, or a tuple of name, unit and type: \"v_a\", (\"v_a\", \"V\")"))?;
    let [name, rest @ ..] = &parts[..] else { return Err(value_error("a signal needs a name")) };
    let (unit, kind) = match rest {
        [] => ("", "float"),
        [unit] => (unit.as_str(), "float"),
        [unit, kind] => (unit.as_str(), kind.as_str()),
        _ => return Err(value_error(format!("signal {name:?} has {} parts, but name, unit and type are all", parts.len()))),
    };
    let all = [SignalType::Float, SignalType::Integer, SignalType::Boolean, SignalType::Complex];
    let kind = all.into_iter().find(|one| one.to_string() == kind).ok_or_else(|| {
        value_error(format!("signal {name:?} is of type {kind:?}, but types are float, integer, boolean and complex"))
    })?;
    Ok(Signal::new(name.as_str(), unit, kind))
}
