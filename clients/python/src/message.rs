//! Messages of a ring as numpy arrays: which arrays fit a dtype, and where their bytes are.

use crate::errors::value_error;
use numpy::{PyArrayDescr, PyArrayDescrMethods, PyUntypedArray, PyUntypedArrayMethods, npyffi};
use pyo3::PyTypeInfo;
use pyo3::exceptions::PyTypeError;
use pyo3::prelude::*;
use pyo3::sync::PyOnceLock;
use pyo3::types::{PyFloat, PyTuple};

/// What a message is.
pub(crate) struct MessageType {
    /// As it was given.
    given: Py<PyArrayDescr>,
    /// Of an array's elements: numpy makes a sub-array's dimensions those of the array.
    base: Py<PyArrayDescr>,
    shape: Vec<usize>,
    size: usize,
    /// A float of Python is such a message.
    is_float: bool,
}

/// Where messages are, for a closure that runs without the interpreter's lock.
#[derive(Clone, Copy)]
pub(crate) struct Address(*mut u8);

// SAFETY: an address only; who follows it promises that something is there.
unsafe impl Send for Address {}
// SAFETY: as above.
unsafe impl Sync for Address {}

impl Address {
    /// The address of message `at`.
    pub(crate) fn of(self, at: usize, size: usize) -> *mut u8 {
        self.0.wrapping_add(at * size)
    }
}

/// A contiguous array of messages. The reference keeps numpy from moving its memory.
pub(crate) struct Messages<'py> {
    pub(crate) array: Bound<'py, PyUntypedArray>,
    pub(crate) count: usize,
}

impl Messages<'_> {
    pub(crate) fn address(&self) -> Address {
        // SAFETY: an array has the fields of one.
        Address(unsafe { (*self.array.as_array_ptr()).fields.data.cast() })
    }
}

impl MessageType {
    pub(crate) fn new(dtype: &Bound<'_, PyAny>) -> PyResult<MessageType> {
        let given = PyArrayDescr::new(dtype.py(), dtype)?;
        if given.has_object() {
            return Err(PyTypeError::new_err(format!("{given} has Python objects, which mean nothing in another process")));
        }
        if given.itemsize() == 0 {
            return Err(value_error(format!("{given} has no bytes")));
        }
        let (base, shape, size) = (given.base().unbind(), given.shape(), given.itemsize());
        let is_float = given.is_equiv_to(&numpy::dtype::<f64>(dtype.py()));
        Ok(MessageType { given: given.unbind(), base, shape, size, is_float })
    }

    /// Bytes of a message.
    pub(crate) fn size(&self) -> usize {
        self.size
    }

    pub(crate) fn dtype<'py>(&self, py: Python<'py>) -> Bound<'py, PyArrayDescr> {
        self.given.bind(py).clone()
    }

    /// A new array for one message, zeroed: padding must not carry this process's memory to others.
    pub(crate) fn empty<'py>(&self, py: Python<'py>) -> PyResult<Messages<'py>> {
        static ZEROS: PyOnceLock<Py<PyAny>> = PyOnceLock::new();
        let array =
            ZEROS.import(py, "numpy", "zeros")?.call1((PyTuple::empty(py), &self.given))?.cast_into::<PyUntypedArray>()?;
        Ok(Messages { array, count: 1 })
    }

    /// The message in an array of [`MessageType::empty`]: a scalar, a record, or an array.
    pub(crate) fn value<'py>(&self, message: Messages<'py>) -> PyResult<Bound<'py, PyAny>> {
        message.array.get_item(PyTuple::empty(message.array.py()))
    }

    /// A message that a program gives: an array of its very type, or what numpy can make one of.
    pub(crate) fn message<'py>(&self, value: &Bound<'py, PyAny>) -> PyResult<Messages<'py>> {
        let py = value.py();
        if let Ok(array) = value.cast::<PyUntypedArray>() {
            let is_plain = array.get_type().is(PyUntypedArray::type_object(py));
            if is_plain && array.shape() == self.shape && self.is_of(array) && array.is_c_contiguous() {
                return Ok(Messages { array: array.clone(), count: 1 });
            }
        }
        static FILL: PyOnceLock<Py<PyAny>> = PyOnceLock::new();
        let message = self.empty(py)?;
        if self.is_float && value.is_exact_instance_of::<PyFloat>() {
            message.array.set_item(py.Ellipsis(), value)?;
            return Ok(message);
        }
        FILL.import(py, "villas_shm._numbers", "fill")?.call1((&message.array, value))?;
        Ok(message)
    }

    /// An array of messages, as it is: the caller's memory is what is filled or read.
    pub(crate) fn messages<'py>(&self, value: &Bound<'py, PyAny>, is_filled: bool) -> PyResult<Messages<'py>> {
        let wrong = |what: String| PyTypeError::new_err(format!("messages are a C-contiguous array of {}: {what}", self.given));
        let array = value.cast::<PyUntypedArray>().map_err(|_| wrong(format!("this is {}", value.get_type())))?;
        if array.hasattr("mask")? {
            return Err(wrong("this one is masked".into()));
        }
        if !self.is_of(array) {
            return Err(wrong(format!("this one's dtype is {}", array.dtype())));
        }
        let shape = array.shape();
        let Some((&count, rest)) = shape.split_first() else { return Err(wrong("this one has no dimension".into())) };
        if rest != self.shape {
            return Err(wrong(format!("this one's shape is {shape:?}")));
        }
        // SAFETY: an array has the fields of one.
        let is_writable = unsafe { (*array.as_array_ptr()).fields.flags } & npyffi::NPY_ARRAY_WRITEABLE != 0;
        if !array.is_c_contiguous() || (is_filled && !is_writable) {
            return Err(wrong("this one is not contiguous, or read-only".into()));
        }
        if count == 0 {
            return Err(value_error("the array has room for no message"));
        }
        Ok(Messages { array: array.clone(), count })
    }

    fn is_of(&self, array: &Bound<'_, PyUntypedArray>) -> bool {
        array.dtype().is_equiv_to(self.base.bind(array.py()))
    }
}
