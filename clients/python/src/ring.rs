//! An end of a ring that is open in this process. An endpoint is two of them.

use crate::count::count;
use crate::errors::{OrRaise, raise, raise_errno, raise_of, value_error};
use crate::message::{Address, MessageType};
use crate::wait::{Deadline, Interruptions, wait};
use numpy::PyArrayDescr;
use pyo3::exceptions::{PyBrokenPipeError, PyTimeoutError};
use pyo3::prelude::*;
use pyo3::sync::PyOnceLock;
use pyo3::types::PyDict;
use std::os::fd::{AsRawFd, OwnedFd};
use std::sync::atomic::{AtomicBool, Ordering::Relaxed};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;
use villas_shm::{Endpoint, EndpointSide, ErrorKind, Policy, Result, Ring as Inner, Role};

/// What the library has open, and closes with its last user.
enum Open {
    Ring(Inner),
    /// Of which the role tells the ring.
    Endpoint(Arc<Endpoint>),
}

/// A producer's or a consumer's end of a ring.
///
/// `Ring(name, dtype=…, role="producer" | "consumer", capacity=144, policy="mpmc")` opens the ring,
/// or makes it if there is none. All who open it agree on the bytes of a message, on the capacity
/// and on the policy (`MismatchError`): "spsc", "mpsc" or "mpmc". Threads may share it: they take
/// turns.
#[pyclass(frozen, module = "villas_shm")]
pub(crate) struct Ring {
    /// `None`: closed. A call that is at work keeps it.
    open: Mutex<Option<Arc<Open>>>,
    name: String,
    role: Role,
    policy: Policy,
    capacity: usize,
    message: MessageType,
    interruptions: Interruptions,
    descriptor: Mutex<Option<OwnedFd>>,
    /// A message or a producer has been seen: if there is no producer any more, they are gone.
    had_producer: AtomicBool,
}

fn policy(name: &str) -> PyResult<Policy> {
    match name {
        "spsc" => Ok(Policy::Spsc),
        "mpsc" => Ok(Policy::Mpsc),
        "mpmc" => Ok(Policy::Mpmc),
        _ => Err(value_error(format!("the policy is {name:?}, but must be \"spsc\", \"mpsc\" or \"mpmc\""))),
    }
}

impl Open {
    fn end(&self, role: Role) -> &Inner {
        match (self, role) {
            (Open::Ring(ring), _) => ring,
            (Open::Endpoint(both), Role::Producer) => both.outgoing(),
            (Open::Endpoint(both), Role::Consumer) => both.incoming(),
        }
    }
}

impl Ring {
    fn new(open: Open, name: String, role: Role, policy: Policy, capacity: usize, message: MessageType) -> Ring {
        Ring {
            open: Mutex::new(Some(Arc::new(open))),
            name,
            role,
            policy,
            capacity,
            message,
            interruptions: Interruptions::default(),
            descriptor: Mutex::default(),
            had_producer: AtomicBool::new(false),
        }
    }

    fn is_closed(&self) -> bool {
        self.open.lock().unwrap_or_else(PoisonError::into_inner).is_none()
    }

    #[cold]
    fn closed_error(&self, py: Python<'_>) -> PyErr {
        raise_errno(py, libc::EPIPE, &format!("the ring \"{}\" is closed in this process: open it again", self.name))
    }

    fn open(&self, py: Python<'_>) -> PyResult<Arc<Open>> {
        self.open.lock().unwrap_or_else(PoisonError::into_inner).clone().ok_or_else(|| self.closed_error(py))
    }

    fn wait_for<T: Send>(
        &self,
        py: Python<'_>,
        deadline: Deadline,
        step: impl FnMut(Duration) -> Result<T> + Send,
    ) -> PyResult<T> {
        // A close interrupts the waits.
        wait(py, &self.interruptions, deadline, || Ok(()), step).map_err(|error| match () {
            () if self.is_closed() => self.closed_error(py),
            () if error.is_instance_of::<PyTimeoutError>(py) => self.alone(py).unwrap_or(error),
            () => error,
        })
    }

    /// What a wait says that is over, if nobody has the other end open.
    #[cold]
    fn alone(&self, py: Python<'_>) -> Option<PyErr> {
        let stats = self.open(py).ok()?.end(self.role).stats();
        let sentence = match self.role {
            Role::Producer if stats.consumers == 0 => {
                "the ring was still full when the time was over, and has no consumer: the message was not given"
            }
            Role::Consumer if stats.producers == 0 => "no message has come within the time, and the ring has no producer",
            _ => return None,
        };
        Some(raise_errno(py, libc::ETIMEDOUT, sentence))
    }

    /// Publishes one message, whose bytes lie in an array of the caller's. `false`: there is no
    /// room, and no time.
    fn put(&self, value: &Bound<'_, PyAny>, waits: bool, timeout: Option<f64>) -> PyResult<bool> {
        let py = value.py();
        let open = self.open(py)?;
        let ring = open.end(self.role);
        if self.role == Role::Consumer {
            let sentence = "this end of the ring is a consumer's: a push needs one with role=\"producer\"";
            return Err(raise_errno(py, libc::EINVAL, sentence));
        }
        let message = self.message.message(value)?;
        let at = message.address();
        // SAFETY: there is a message.
        let error = match unsafe { ring.push_many_from(at.of(0, 0), 1) } {
            Ok(_) => return Ok(true),
            Err(error) => error,
        };
        if !error.is_transient() {
            return Err(raise(py, &error));
        }
        if !waits {
            return Ok(false);
        }
        let deadline = Deadline::new(timeout)?;
        if deadline.is_over() {
            return Err(raise(py, &error));
        }
        // SAFETY: there is a message, which is kept for the whole call.
        self.wait_for(py, deadline, |slice| unsafe { ring.timed_push_from(at.of(0, 0), Some(slice)) })?;
        Ok(true)
    }

    /// Takes one message by `wait` if there is none yet. `None`: it gave none.
    fn get<'py>(
        &self,
        py: Python<'py>,
        wait: impl FnOnce(&Inner, Address) -> PyResult<bool>,
    ) -> PyResult<Option<Bound<'py, PyAny>>> {
        let open = self.open(py)?;
        let ring = open.end(self.role);
        let message = self.message.empty(py)?;
        let to = message.address();
        // SAFETY: there is room for a message.
        match unsafe { ring.pop_many_into(to.of(0, 0), 1) } {
            Ok(_) => {}
            Err(error) if error.is_transient() => {
                if !wait(ring, to)? {
                    return Ok(None);
                }
            }
            Err(error) => return Err(raise(py, &error)),
        }
        self.had_producer.store(true, Relaxed);
        self.message.value(message).map(Some)
    }

    /// Whether all producers are gone, of which there was one.
    fn is_over(&self, ring: &Inner) -> bool {
        let producers = ring.stats().producers;
        if producers > 0 {
            self.had_producer.store(true, Relaxed);
        }
        producers == 0 && self.had_producer.load(Relaxed)
    }
}

#[pymethods]
impl Ring {
    #[new]
    #[pyo3(signature = (name, *, dtype, role, capacity = 144, policy = "mpmc"))]
    fn open_ring(
        py: Python<'_>,
        name: &str,
        dtype: &Bound<'_, PyAny>,
        role: &str,
        #[pyo3(from_py_with = count)] capacity: usize,
        policy: &str,
    ) -> PyResult<Ring> {
        let role = match role {
            "producer" => Role::Producer,
            "consumer" => Role::Consumer,
            _ => return Err(value_error(format!("the role is {role:?}, but must be \"producer\" or \"consumer\""))),
        };
        let (message, policy) = (MessageType::new(dtype)?, self::policy(policy)?);
        let size = message.size();
        let ring = py.detach(|| Inner::open_bytes(name, policy, role, size, capacity));
        let ring = ring.map_err(|error| raise_of(py, &error, name))?;
        Ok(Ring::new(Open::Ring(ring), name.to_owned(), role, policy, capacity, message))
    }

    #[getter]
    fn name(&self) -> &str {
        &self.name
    }

    #[getter]
    fn closed(&self) -> bool {
        self.is_closed()
    }

    /// "producer" or "consumer".
    #[getter]
    fn role(&self) -> &'static str {
        if self.role == Role::Producer { "producer" } else { "consumer" }
    }

    /// "spsc", "mpsc" or "mpmc".
    #[getter]
    fn policy(&self) -> &'static str {
        match self.policy {
            Policy::Spsc => "spsc",
            Policy::Mpsc => "mpsc",
            Policy::Mpmc => "mpmc",
        }
    }

    /// How many messages it holds.
    #[getter]
    fn capacity(&self) -> usize {
        self.capacity
    }

    /// What a message is.
    #[getter]
    fn dtype<'py>(&self, py: Python<'py>) -> Bound<'py, PyArrayDescr> {
        self.message.dtype(py)
    }

    /// Messages that can be taken now. Exact while nobody else is at work.
    #[getter]
    fn pending(&self, py: Python<'_>) -> PyResult<usize> {
        Ok(self.open(py)?.end(self.role).pending())
    }

    /// Messages that fit now. Exact while nobody else is at work.
    #[getter]
    fn available(&self, py: Python<'_>) -> PyResult<usize> {
        Ok(self.open(py)?.end(self.role).available())
    }

    /// Publishes a message: an array or scalar of the dtype, or what numpy can make one of, such as
    /// a tuple of a structured dtype's fields, or a dict by their names. TypeError, ValueError,
    /// OverflowError: a value would change on the way. Waits for room, also while there is no
    /// consumer. `TimeoutError`; `FullError` at once
    /// for a timeout of 0.
    #[pyo3(signature = (message, timeout = None))]
    fn push(&self, message: &Bound<'_, PyAny>, timeout: Option<f64>) -> PyResult<()> {
        self.put(message, true, timeout).map(drop)
    }

    /// Publishes a message if there is room; whether there was.
    fn try_push(&self, message: &Bound<'_, PyAny>) -> PyResult<bool> {
        self.put(message, false, None)
    }

    /// Takes the oldest message, a copy: a scalar, a record of a structured dtype, or an array of a
    /// sub-array's. Waits for one, also while there is no producer. `TimeoutError`.
    #[pyo3(signature = (timeout = None))]
    fn pop<'py>(&self, py: Python<'py>, timeout: Option<f64>) -> PyResult<Bound<'py, PyAny>> {
        let taken = self.get(py, |ring, to| {
            // SAFETY: there is room for a message, in an array that is kept for the whole call.
            let step = |slice| unsafe { ring.timed_pop_into(to.of(0, 0), Some(slice)) };
            self.wait_for(py, Deadline::new(timeout)?, step).map(|()| true)
        });
        taken?.ok_or_else(|| value_error("a pop gave nothing"))
    }

    /// Takes the oldest message. `None`: there is none.
    fn try_pop<'py>(&self, py: Python<'py>) -> PyResult<Option<Bound<'py, PyAny>>> {
        self.get(py, |_, _| Ok(false))
    }

    /// Publishes the messages of an array, which must be of the dtype and contiguous, in order.
    /// Waits for room until all are out. Returns how many were published: fewer only when the time
    /// was over or the ring was closed.
    #[pyo3(signature = (messages, timeout = None))]
    fn push_many(&self, messages: &Bound<'_, PyAny>, timeout: Option<f64>) -> PyResult<usize> {
        let py = messages.py();
        let deadline = Deadline::new(timeout)?;
        let open = self.open(py)?;
        let (ring, size) = (open.end(self.role), self.message.size());
        let messages = self.message.messages(messages, false)?;
        let (from, count) = (messages.address(), messages.count);
        let mut done = 0;
        // Until a wait for room has ended: signals are seen between waits.
        let mut push = |slice| {
            while done < count {
                // SAFETY: the array is kept for the whole call, and has so many messages behind
                // `done`.
                match unsafe { ring.push_many_from(from.of(done, size), count - done) } {
                    Ok(some) => done += some,
                    Err(error) if !error.is_transient() => return Err(error),
                    // SAFETY: as above.
                    Err(_) => match unsafe { ring.timed_push_from(from.of(done, size), Some(slice)) } {
                        Err(error) if error.kind() == ErrorKind::TimedOut && deadline.is_over() => return Ok(true),
                        Err(error) => return Err(error),
                        Ok(()) => {
                            done += 1;
                            return Ok(done == count);
                        }
                    },
                }
            }
            Ok(true)
        };
        let pushed = loop {
            match self.wait_for(py, deadline, &mut push) {
                Ok(false) => py.check_signals()?,
                ended => break ended,
            }
        };
        match pushed {
            Err(error) if done == 0 || !error.is_instance_of::<PyBrokenPipeError>(py) => Err(error),
            _ => Ok(done),
        }
    }

    /// Takes messages into an array of the caller's, of the dtype and contiguous: waits for the
    /// first one, takes what is there, and returns how many that was. 0 only when the timeout was
    /// over.
    #[pyo3(signature = (messages, timeout = None))]
    fn pop_many(&self, messages: &Bound<'_, PyAny>, timeout: Option<f64>) -> PyResult<usize> {
        let py = messages.py();
        let deadline = Deadline::new(timeout)?;
        let open = self.open(py)?;
        let (ring, size) = (open.end(self.role), self.message.size());
        let messages = self.message.messages(messages, true)?;
        let (to, count) = (messages.address(), messages.count);
        let popped = self.wait_for(py, deadline, |slice| {
            // SAFETY: the array is kept for the whole call, and has room for so many.
            match unsafe { ring.pop_many_into(to.of(0, size), count) } {
                Err(error) if error.is_transient() => {}
                done => return done,
            }
            // SAFETY: as above.
            match unsafe { ring.timed_pop_into(to.of(0, size), Some(slice)) } {
                Err(error) if error.kind() == ErrorKind::TimedOut && deadline.is_over() => return Ok(0),
                first => first?,
            }
            // SAFETY: as above, behind the first. What fails now fails again in the next call.
            let more = unsafe { ring.pop_many_into(to.of(1, size), count - 1) };
            Ok(1 + more.unwrap_or(0))
        })?;
        if popped > 0 {
            self.had_producer.store(true, Relaxed);
        }
        Ok(popped)
    }

    fn __iter__(slf: Py<Self>) -> Py<Self> {
        slf
    }

    /// Ends when the ring is empty and all producers, of which there was one, have closed or died.
    fn __next__<'py>(&self, py: Python<'py>) -> PyResult<Option<Bound<'py, PyAny>>> {
        self.get(py, |ring, to| {
            self.wait_for(py, Deadline::new(None)?, |slice| {
                // SAFETY: there is room for a message, in an array that is kept for the whole call.
                match unsafe { ring.timed_pop_into(to.of(0, 0), Some(slice)) } {
                    Err(error) if error.kind() == ErrorKind::TimedOut && self.is_over(ring) => {}
                    done => return done.map(|()| true),
                }
                // The last producer may have pushed before it went.
                // SAFETY: as above.
                match unsafe { ring.pop_many_into(to.of(0, 0), 1) } {
                    Err(error) if error.is_transient() => Ok(false),
                    done => done.map(|_| true),
                }
            })
        })
    }

    /// Counters, fill levels, and how many producers and consumers are alive. Asks the kernel for
    /// each of them: not for a hot loop.
    fn stats<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyAny>> {
        static CLASS: PyOnceLock<Py<PyAny>> = PyOnceLock::new();
        let stats = self.open(py)?.end(self.role).stats();
        let named = PyDict::new(py);
        for (name, value) in [
            ("pending", stats.pending),
            ("available", stats.available),
            ("skipped", stats.skipped),
            ("lost", stats.lost),
            ("waits", stats.waits),
            ("wakeups", stats.wakeups),
            ("producers", stats.producers),
            ("consumers", stats.consumers),
            ("region_size", stats.region_size),
        ] {
            named.set_item(name, value)?;
        }
        CLASS.import(py, "villas_shm._ring", "RingStats")?.call((), Some(&named))
    }

    /// A descriptor for an event loop: of a consumer readable while a `try_pop` would give a
    /// message, of a producer *readable* while a `try_push` would find room. It stays open until
    /// this object is gone.
    fn fileno(&self, py: Python<'_>) -> PyResult<i32> {
        let open = self.open(py)?;
        let mut kept = self.descriptor.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(descriptor) = &*kept {
            return Ok(descriptor.as_raw_fd());
        }
        let made = open.end(self.role).fd().or_raise(py)?;
        Ok(kept.insert(made).as_raw_fd())
    }

    /// Changes permission bits and owner of the ring, which is made with 0o600; `None`: unchanged.
    #[pyo3(signature = (permissions = None, uid = None, gid = None))]
    fn set_permissions(&self, py: Python<'_>, permissions: Option<u32>, uid: Option<u32>, gid: Option<u32>) -> PyResult<()> {
        self.open(py)?.end(self.role).set_permissions(permissions, uid, gid).or_raise(py)
    }

    /// Ends the waits on this end with `InterruptedError`; if there is none, the next one.
    fn interrupt(&self) {
        self.interruptions.raise();
        if let Some(open) = &*self.open.lock().unwrap_or_else(PoisonError::into_inner) {
            open.end(self.role).interrupt();
        }
    }

    /// Closes this end. Calls of other threads end with `ClosedError`. The ring stays, with its
    /// messages, until `unlink(name)`.
    fn close(&self, py: Python<'_>) {
        let closed = self.open.lock().unwrap_or_else(PoisonError::into_inner).take();
        if let Some(open) = closed {
            self.interruptions.raise();
            open.end(self.role).interrupt();
            // The last user closes it, which may take a moment.
            py.detach(|| drop(open));
        }
    }

    fn __enter__(slf: Py<Self>) -> Py<Self> {
        slf
    }

    #[pyo3(signature = (*_exception))]
    fn __exit__(&self, py: Python<'_>, _exception: &Bound<'_, PyAny>) {
        self.close(py);
    }

    fn __repr__(&self) -> String {
        let open = self.open.lock().unwrap_or_else(PoisonError::into_inner).clone();
        let state = open.map_or("closed".into(), |open| format!("{} pending", open.end(self.role).pending()));
        let (role, policy) = (self.role(), self.policy());
        format!(
            "<villas_shm.Ring {:?} ({role}, {policy}): {} messages of {} bytes, {state}>",
            self.name,
            self.capacity,
            self.message.size()
        )
    }
}

/// Opens both rings of an endpoint, or neither: outgoing, incoming.
#[pyfunction]
pub(crate) fn open_endpoint(
    py: Python<'_>,
    name: &str,
    side: &str,
    dtype: &Bound<'_, PyAny>,
    #[pyo3(from_py_with = count)] capacity: usize,
    policy: &str,
) -> PyResult<(Ring, Ring)> {
    let (side, endings) = match side {
        "a" => (EndpointSide::A, ["_AB", "_BA"]),
        "b" => (EndpointSide::B, ["_BA", "_AB"]),
        _ => return Err(value_error(format!("the side is {side:?}, but must be \"a\" or \"b\""))),
    };
    let (size, policy) = (MessageType::new(dtype)?.size(), self::policy(policy)?);
    let both = Arc::new(py.detach(|| Endpoint::open_bytes(name, policy, side, size, capacity)).or_raise(py)?);
    let ring = |role, ending| -> PyResult<Ring> {
        let message = MessageType::new(dtype)?;
        Ok(Ring::new(Open::Endpoint(both.clone()), format!("{name}{ending}"), role, policy, capacity, message))
    };
    Ok((ring(Role::Producer, endings[0])?, ring(Role::Consumer, endings[1])?))
}
