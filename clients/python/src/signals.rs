//! Signals of a direction: their tuples for Python, and types and places for the code here.

use crate::errors::value_error;
use crate::value::{self, Kind};
use pyo3::exceptions::{PyIndexError, PyKeyError, PyTypeError};
use pyo3::prelude::*;
use pyo3::sync::PyOnceLock;
use pyo3::types::{PyDict, PyString, PyTuple};
use std::collections::HashMap;
use std::sync::{Mutex, PoisonError};
use villas_shm::{Direction, Signal, SignalType};

/// The signals of one direction.
pub(crate) struct Signals {
    /// What Python calls them.
    direction: &'static str,
    kinds: Box<[Kind]>,
    /// The type of all, if they have the same. Without signals: floats.
    common: Option<Kind>,
    /// The places of those that are booleans.
    booleans: Box<[usize]>,
    names: Box<[Box<str>]>,
    places: HashMap<Box<str>, usize>,
    tuple: Py<PyTuple>,
    /// Dtypes of records, by the number of their values.
    dtypes: Mutex<HashMap<usize, Py<PyAny>>>,
}

impl Signals {
    pub(crate) fn new(py: Python<'_>, signals: &[Signal], direction: Direction) -> PyResult<Signals> {
        static CLASS: PyOnceLock<Py<PyAny>> = PyOnceLock::new();
        let class = CLASS.import(py, "villas_shm._types", "Signal")?;
        let tuples = signals.iter().map(|signal| class.call1((signal.name(), signal.unit(), signal.kind().to_string())));
        let kinds: Box<[Kind]> = signals.iter().map(Signal::kind).collect();
        let first = kinds.first().copied().unwrap_or(Kind::Float);
        Ok(Signals {
            direction: if direction == Direction::In { "read_signals" } else { "write_signals" },
            common: kinds.iter().all(|kind| *kind == first).then_some(first),
            booleans: (0..kinds.len()).filter(|at| kinds[*at] == Kind::Boolean).collect(),
            kinds,
            names: signals.iter().map(|signal| signal.name().into()).collect(),
            places: signals.iter().enumerate().map(|(at, signal)| (signal.name().into(), at)).collect(),
            tuple: PyTuple::new(py, tuples.collect::<PyResult<Vec<_>>>()?)?.unbind(),
            dtypes: Mutex::default(),
        })
    }

    /// "read_signals" or "write_signals".
    pub(crate) fn direction(&self) -> &'static str {
        self.direction
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

    /// Whether all values are floats, however many.
    pub(crate) fn are_floats(&self) -> bool {
        self.common == Some(Kind::Float)
    }

    /// The type of so many values, if it is one. Behind the named ones there are floats.
    pub(crate) fn common(&self, width: usize) -> Option<Kind> {
        self.common.filter(|kind| *kind == Kind::Float || width <= self.kinds.len())
    }

    /// The places of booleans among so many values.
    pub(crate) fn booleans(&self, width: usize) -> impl Iterator<Item = usize> {
        self.booleans.iter().copied().take_while(move |at| *at < width)
    }

    /// A name for value `at`.
    pub(crate) fn name(&self, at: usize) -> String {
        if let Some(name) = self.names.get(at) {
            return name.to_string();
        }
        let mut made = format!("signal{at}");
        while self.has(&made) {
            made.push('_');
        }
        made
    }

    /// A name for each of so many values.
    pub(crate) fn names(&self, width: usize) -> Vec<String> {
        (0..width).map(|at| self.name(at)).collect()
    }

    /// Whether there is a signal of this name.
    pub(crate) fn has(&self, name: &str) -> bool {
        self.places.contains_key(name)
    }

    /// A value, for people: its place, its name and its type.
    pub(crate) fn describe(&self, at: usize) -> String {
        match self.names.get(at) {
            Some(name) => format!("value {at}, {name:?} ({})", self.kind(at)),
            None => format!("value {at} ({})", self.kind(at)),
        }
    }

    /// The dtype of a record of so many values.
    pub(crate) fn dtype<'py>(&self, py: Python<'py>, width: usize) -> PyResult<Bound<'py, PyAny>> {
        static CLASS: PyOnceLock<Py<PyAny>> = PyOnceLock::new();
        let dtypes = || self.dtypes.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(known) = dtypes().get(&width) {
            return Ok(known.bind(py).clone());
        }
        let formats: Vec<_> = (0..width).map(|at| value::dtype(self.kind(at))).collect();
        let names = self.names(width);
        let fields = if self.booleans.is_empty() {
            names.into_iter().zip(formats).collect::<Vec<_>>().into_pyobject(py)?.into_any()
        } else {
            // The byte of a boolean is the first one of eight.
            let fields = PyDict::new(py);
            fields.set_item("names", names)?;
            fields.set_item("formats", formats)?;
            fields.set_item("offsets", (0..width).map(|at| 8 * at).collect::<Vec<_>>())?;
            fields.set_item("itemsize", 8 * width)?;
            fields.into_any()
        };
        let made = CLASS.import(py, "numpy", "dtype")?.call1((fields,))?;
        dtypes().insert(width, made.clone().unbind());
        Ok(made)
    }

    /// How many values of a sample with the signals `other` mean the same here.
    pub(crate) fn shared_with(&self, other: &Signals) -> usize {
        let most = if self.kinds.is_empty() { usize::MAX } else { self.kinds.len() };
        (0..self.kinds.len().max(other.kinds.len())).find(|at| self.kind(*at) != other.kind(*at)).map_or(most, |at| at.min(most))
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
        PyKeyError::new_err(format!("no signal {name:?}: there are {}", self.names.join(", ")))
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
    let parts: Vec<Option<String>> = signal
        .extract()
        .map_err(|_| PyTypeError::new_err("a signal is a name, or a tuple of name, unit and type: \"v_a\", (\"v_a\", \"V\")"))?;
    let [Some(name), rest @ ..] = &parts[..] else { return Err(value_error("a signal needs a name")) };
    let stated = |at: usize| rest.get(at).and_then(Option::as_deref);
    let (unit, kind) = match rest.len() {
        0..=2 => (stated(0).unwrap_or(""), stated(1).unwrap_or("float")),
        _ => return Err(value_error(format!("signal {name:?} has {} parts, but name, unit and type are all", parts.len()))),
    };
    let all = [SignalType::Float, SignalType::Integer, SignalType::Boolean, SignalType::Complex];
    let kind = all.into_iter().find(|one| one.to_string() == kind).ok_or_else(|| {
        value_error(format!("signal {name:?} is of type {kind:?}, but types are float, integer, boolean and complex"))
    })?;
    Ok(Signal::new(name.as_str(), unit, kind))
}
