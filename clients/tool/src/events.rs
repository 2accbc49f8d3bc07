//! What a main thread waits for: signals, and the ends of the threads that it started.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::mpsc::Sender;
use std::thread;

use nix::sys::signal::{SigHandler, SigSet, Signal, signal};

/// Starts from SIGCHLD and a mask as they are by default, whatever the parent has left, for this
/// process and those that it starts. Where SIGCHLD is ignored, nobody learns how a program has
/// ended, and its number may be another's by the time that it is signalled; a blocked SIGTERM ends
/// nothing.
///
/// SIGPIPE stays ignored here, as Rust's runtime has it, so that a write to nobody is an error and
/// no end without a clean-up; `std::process` gives it back to those that are started.
pub(crate) fn start_from_defaults() {
    // SAFETY: no handler is installed.
    #[allow(unsafe_code)]
    let _ = unsafe { signal(Signal::SIGCHLD, SigHandler::SigDfl) };
    let _ = SigSet::empty().thread_set_mask();
}

/// Turns SIGINT, SIGTERM and SIGHUP into events, from now on and for the threads that are started from here.
///
/// They are blocked in every thread, which begins with those of the one that starts it, and taken one
/// by one: no handler runs, nothing is interrupted.
pub(crate) fn catch_signals<E: Send + 'static>(events: Sender<E>, event: fn(Signal) -> E) -> Result<(), String> {
    catch_these_signals(&[], events, event)
}

/// The same with some besides.
pub(crate) fn catch_these_signals<E: Send + 'static>(
    more: &[Signal],
    events: Sender<E>,
    event: fn(Signal) -> E,
) -> Result<(), String> {
    let mut signals = SigSet::from_iter([Signal::SIGINT, Signal::SIGTERM].iter().chain(more).copied());
    if !is_ignored(Signal::SIGHUP) {
        signals.add(Signal::SIGHUP);
    }
    signals.thread_block().map_err(|errno| format!("cannot block signals: {errno}"))?;
    thread::spawn(move || {
        while let Ok(signal) = signals.wait() {
            if events.send(event(signal)).is_err() {
                break;
            }
        }
    });
    Ok(())
}

/// Starts a thread whose result becomes an event. One that panics is heard of as well: somebody waits
/// for what it has to say.
pub(crate) fn spawn<E: Send + 'static, T: 'static>(
    events: Sender<E>,
    event: fn(Result<T, String>) -> E,
    work: impl FnOnce() -> Result<T, String> + Send + 'static,
) {
    thread::spawn(move || {
        let panicked = |_| Err("a thread has panicked: please report this".into());
        // Nobody listens any more when the tool ends without this thread.
        let _ = events.send(event(catch_unwind(AssertUnwindSafe(work)).unwrap_or_else(panicked)));
    });
}

/// Whether the tool was started with this signal ignored, as `nohup` does. A blocked signal would
/// come through nevertheless.
fn is_ignored(signal: Signal) -> bool {
    let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    let mask = status.lines().find_map(|line| line.strip_prefix("SigIgn:"));
    let mask = mask.and_then(|mask| u64::from_str_radix(mask.trim(), 16).ok());
    mask.is_some_and(|mask| mask >> (signal as u32 - 1) & 1 == 1)
}
