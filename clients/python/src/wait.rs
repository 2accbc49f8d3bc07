//! How a call waits: without the interpreter's lock, in slices, between which Python's signal
//! handlers run and interruptions are seen.

use crate::errors::{raise, raise_errno, value_error};
use pyo3::prelude::*;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::time::{Duration, Instant};
use villas_shm::{ErrorKind, Result};

/// The longest time in which Ctrl-C does nothing.
const SLICE: Duration = Duration::from_millis(100);

/// When a call gives up.
#[derive(Clone, Copy)]
pub(crate) struct Deadline(Option<Instant>);

impl Deadline {
    /// `timeout` in seconds; `None`: without limit.
    pub(crate) fn new(timeout: Option<f64>) -> PyResult<Deadline> {
        let Some(seconds) = timeout else { return Ok(Deadline(None)) };
        if seconds.is_nan() || seconds < 0.0 {
            return Err(value_error(format!("timeout is {seconds}, but must be None or a number of seconds from 0")));
        }
        // A time beyond all clocks is no limit.
        let limit = Duration::try_from_secs_f64(seconds).ok();
        Ok(Deadline(limit.and_then(|limit| Instant::now().checked_add(limit))))
    }

    /// How long the next slice may take.
    pub(crate) fn slice(&self) -> Duration {
        self.0.map_or(SLICE, |end| SLICE.min(end.saturating_duration_since(Instant::now())))
    }

    /// Whether the call is to wait at all.
    pub(crate) fn waits(timeout: Option<f64>) -> bool {
        timeout != Some(0.0)
    }

    pub(crate) fn is_over(&self) -> bool {
        self.0.is_some_and(|end| Instant::now() >= end)
    }
}

/// Interruptions of the waits of one channel, which the library's own would miss between slices.
#[derive(Default)]
pub(crate) struct Interruptions {
    raised: AtomicU64,
    answered: AtomicU64,
}

impl Interruptions {
    /// Ends the waits that have begun, or else the next one. The caller wakes them.
    pub(crate) fn raise(&self) {
        self.raised.fetch_add(1, Relaxed);
    }
}

/// Repeats `step`, which waits for at most the time that it is given, until it succeeds, fails, the
/// time is over (the step's error), a signal handler raises, the wait is interrupted, or `check`,
/// which is asked then and after 1, 2, 4 … slices, says that it cannot succeed.
pub(crate) fn wait<T: Send>(
    py: Python<'_>,
    interruptions: &Interruptions,
    deadline: Deadline,
    check: impl Fn() -> PyResult<()>,
    mut step: impl FnMut(Duration) -> Result<T> + Send,
) -> PyResult<T> {
    let seen = interruptions.answered.load(Relaxed);
    let mut slices = 0u32;
    loop {
        let slice = deadline.slice();
        let error = match py.detach(|| step(slice)) {
            Ok(done) => return Ok(done),
            Err(error) if error.is_transient() => error,
            Err(error) => return Err(raise(py, &error)),
        };
        py.check_signals()?;
        let raised = interruptions.raised.load(Relaxed);
        if raised != seen {
            interruptions.answered.store(raised, Relaxed);
            return Err(raise_errno(py, libc::EINTR, "the wait was interrupted"));
        }
        // An interruption of the library's may be a signal's: wait for the rest of the time.
        if error.kind() != ErrorKind::Interrupted && deadline.is_over() {
            check()?;
            return Err(raise(py, &error));
        }
        slices = slices.wrapping_add(1);
        if slices.is_power_of_two() {
            check()?;
        }
    }
}
