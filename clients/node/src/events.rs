//! The events of a main thread: signals, and the ends of the threads that it started.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::mpsc::Sender;
use std::thread;

use nix::sys::signal::{SigHandler, SigSet, Signal, signal};

/// Resets SIGCHLD and the signal mask to their defaults, for this process and those that it starts,
/// whatever the parent has left. If SIGCHLD is ignored, no process learns how a program ended, and
/// its pid may belong to another process when it is signalled. A blocked SIGTERM ends nothing.
///
/// SIGPIPE stays ignored here, as Rust's runtime sets it, so that a write without a reader is an
/// error and not an end without clean-up. `std::process` restores it for the programs that it
/// starts.
pub fn start_from_defaults() {
    // SAFETY: no handler is installed.
    #[allow(unsafe_code)]
    let _ = unsafe { signal(Signal::SIGCHLD, SigHandler::SigDfl) };
    let _ = SigSet::empty().thread_set_mask();
}

/// Turns SIGINT, SIGTERM and SIGHUP into events, from now on and for threads that are started
/// later.
///
/// Every thread blocks them, because it inherits the mask of its creator, and one thread takes them
/// one by one: no handler runs, and no call is interrupted.
pub fn catch_signals<E: Send + 'static>(events: Sender<E>, event: fn(Signal) -> E) -> Result<(), String> {
    catch_these_signals(&[], events, event)
}

/// As [`catch_signals`], with further signals.
pub fn catch_these_signals<E: Send + 'static>(more: &[Signal], events: Sender<E>, event: fn(Signal) -> E) -> Result<(), String> {
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

/// Starts a thread whose result becomes an event. A panic becomes an event too, because another
/// thread waits for the result.
pub fn spawn<E: Send + 'static, T: 'static>(
    events: Sender<E>,
    event: fn(Result<T, String>) -> E,
    work: impl FnOnce() -> Result<T, String> + Send + 'static,
) {
    thread::spawn(move || {
        let panicked = |_| Err("a thread has panicked: please report this".into());
        // If the tool ends without this thread, there is no receiver.
        let _ = events.send(event(catch_unwind(AssertUnwindSafe(work)).unwrap_or_else(panicked)));
    });
}

/// Whether the tool was started with this signal ignored, as `nohup` does. A blocked signal would
/// be received nevertheless.
pub fn is_ignored(signal: Signal) -> bool {
    let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    let mask = status.lines().find_map(|line| line.strip_prefix("SigIgn:"));
    let mask = mask.and_then(|mask| u64::from_str_radix(mask.trim(), 16).ok());
    mask.is_some_and(|mask| mask >> (signal as u32 - 1) & 1 == 1)
}
