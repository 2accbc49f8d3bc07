//! A progress bar on standard error, for work that has an end and takes longer than a second.
//!
//! Only on a terminal. Messages go above it ([`aside`]).

use std::io::{IsTerminal, stderr, stdout};
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};

/// Work that ends sooner has no bar.
const SILENCE: Duration = Duration::from_secs(1);

/// The clock is looked at once in so many steps.
const STEPS: u64 = 256;

/// The bar that is shown.
static SHOWN: Mutex<Option<ProgressBar>> = Mutex::new(None);

/// The progress of some work. On drop the bar is cleared.
pub(crate) struct Progress {
    is_wanted: bool,
    started: Instant,
    steps: u64,
}

impl Progress {
    /// Work that begins now. `to_stdout`: it prints there, which a bar must not be mixed with.
    pub(crate) fn new(to_stdout: bool) -> Self {
        let is_wanted = stderr().is_terminal() && !(to_stdout && stdout().is_terminal());
        Self { is_wanted, started: Instant::now(), steps: 0 }
    }

    /// One more sample was handled; `progress` is how much is done, of how much, in bytes.
    /// `waits`: there may be long waits between samples.
    #[inline]
    pub(crate) fn step(&mut self, waits: bool, progress: impl FnOnce() -> Option<(u64, u64)>) {
        self.steps += 1;
        if self.is_wanted && (waits || self.steps % STEPS == 0) {
            self.show(progress());
        }
    }

    #[cold]
    fn show(&mut self, progress: Option<(u64, u64)>) {
        let elapsed = self.started.elapsed();
        let Some((done, all)) = progress.filter(|_| elapsed >= SILENCE) else { return };
        let mut shown = SHOWN.lock().unwrap_or_else(PoisonError::into_inner);
        let bar = shown.get_or_insert_with(|| bar(all, elapsed));
        // A file may grow while it is read.
        bar.set_length(all.max(done));
        bar.set_position(done);
        bar.set_message(format!("{:.0} samples/s", self.steps as f64 / elapsed.as_secs_f64()));
    }
}

fn bar(all: u64, elapsed: Duration) -> ProgressBar {
    let style = ProgressStyle::with_template("{bar:30} {percent:>3} %  {msg}  {eta} left");
    // At most ten times a second.
    let bar = ProgressBar::with_draw_target(Some(all), ProgressDrawTarget::stderr_with_hz(10));
    bar.with_style(style.unwrap_or_else(|_| ProgressStyle::default_bar())).with_elapsed(elapsed)
}

impl Drop for Progress {
    fn drop(&mut self) {
        if let Some(bar) = SHOWN.lock().unwrap_or_else(PoisonError::into_inner).take() {
            bar.finish_and_clear();
        }
    }
}

/// Writes something to standard error, above the bar if there is one.
pub(crate) fn aside(write: impl FnOnce()) {
    match &*SHOWN.lock().unwrap_or_else(PoisonError::into_inner) {
        Some(bar) => bar.suspend(write),
        None => write(),
    }
}
