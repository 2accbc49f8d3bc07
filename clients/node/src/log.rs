//! Messages for people, on standard error, filtered by `-d LEVEL`.
//!
//! Each message is written by one call, so that it does not mix with the lines of the started
//! program, which shares the tool's standard error.

use std::fmt;
use std::io::Write;
use std::sync::OnceLock;
use std::sync::atomic::{AtomicU8, Ordering};

/// How important a message is; the names are those that VILLASnode's tools take.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, clap::ValueEnum)]
pub enum Level {
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

/// In whose name messages are, and what writes a line to standard error.
struct Program {
    name: &'static str,
    write: fn(&str),
}

static PROGRAM: OnceLock<Program> = OnceLock::new();

/// Says in whose name messages are, and what writes them: [`to_stderr`], or something that knows
/// what else is on the terminal.
pub fn begin(name: &'static str, write: fn(&str)) {
    let _ = PROGRAM.set(Program { name, write });
}

/// Writes a line to standard error.
pub fn to_stderr(line: &str) {
    // If standard error is gone, there is no way to report it.
    let _ = std::io::stderr().write_all(line.as_bytes());
}

static LEVEL: AtomicU8 = AtomicU8::new(Level::Info as u8);

/// Sets the least important level that is still shown.
pub fn set_level(level: Level) {
    // Relaxed: nothing else depends on it.
    LEVEL.store(level as u8, Ordering::Relaxed);
}

/// Does something without messages, which would be written over a screen.
pub fn without<T>(work: impl FnOnce() -> T) -> T {
    // Relaxed: as above.
    let level = LEVEL.swap(Level::Off as u8, Ordering::Relaxed);
    let result = work();
    LEVEL.store(level, Ordering::Relaxed);
    result
}

/// Writes one message, if its level is shown.
pub fn write(level: Level, text: fmt::Arguments<'_>) {
    if (level as u8) < LEVEL.load(Ordering::Relaxed) {
        return;
    }
    let mark = match level {
        Level::Trace | Level::Debug | Level::Info => "",
        Level::Warning => "warning: ",
        Level::Error | Level::Off => "error: ",
    };
    let Program { name, write } = PROGRAM.get_or_init(|| Program { name: "villas-shm", write: to_stderr });
    write(&format!("{name}: {mark}{text}\n"));
}

#[doc(hidden)]
#[macro_export]
macro_rules! __log {
    ($level:ident, $($text:tt)+) => {
        $crate::log::write($crate::log::Level::$level, format_args!($($text)+))
    };
}
/// Formats and writes a message of the level `Debug`, `Info`, `Warning` or `Error`.
pub use __log as log;
