//! Messages for people, on standard error, filtered by `-d LEVEL`.
//!
//! Each message is written by one call, so that it does not mix with the lines of the started
//! program, which shares the tool's standard error.

use std::fmt;
use std::io::Write;
use std::sync::atomic::{AtomicU8, Ordering};

use crate::progress;

/// How important a message is; the names are those that VILLASnode's tools take.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, clap::ValueEnum)]
pub(crate) enum Level {
    /// Same as debug; there is nothing finer.
    Trace,
    /// What the tool does, step by step.
    Debug,
    /// What happened, in one line at the end.
    Info,
    /// Something is odd, and the tool goes on.
    #[value(name = "warn", alias = "warning")]
    Warning,
    /// What makes the exit status 1.
    #[value(alias = "critical")]
    Error,
    /// Nothing at all.
    Off,
}

static LEVEL: AtomicU8 = AtomicU8::new(Level::Info as u8);

/// Sets the least important level that is still shown.
pub(crate) fn set_level(level: Level) {
    // Relaxed: set once before the other threads start; nothing else depends on it.
    LEVEL.store(level as u8, Ordering::Relaxed);
}

/// Writes one message, if its level is shown.
pub(crate) fn write(level: Level, text: fmt::Arguments<'_>) {
    if (level as u8) < LEVEL.load(Ordering::Relaxed) {
        return;
    }
    let mark = match level {
        Level::Trace | Level::Debug | Level::Info => "",
        Level::Warning => "warning: ",
        Level::Error | Level::Off => "error: ",
    };
    let line = format!("villas-shm: {mark}{text}\n");
    // If standard error is gone, there is no way to report it.
    progress::aside(|| drop(std::io::stderr().write_all(line.as_bytes())));
}

/// Formats and writes a message of the level `Debug`, `Info`, `Warning` or `Error`.
macro_rules! log {
    ($level:ident, $($text:tt)+) => {
        $crate::log::write($crate::log::Level::$level, format_args!($($text)+))
    };
}
pub(crate) use log;
