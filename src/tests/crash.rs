//! A test build stops the process before its n-th store to shared memory.

use std::sync::atomic::{AtomicU64, Ordering::Relaxed};

const _: () =
    assert!(option_env!("CARGO_PRIMARY_PACKAGE").is_some(), "the feature \"_test_crash_points\" is for this package's own tests");

/// Stores left before the kill; `u64::MAX`: never.
static LEFT: AtomicU64 = AtomicU64::new(u64::MAX);

/// From here on, the process is killed (SIGKILL) before its store number `n`, counted from 0.
pub fn arm(n: u64) {
    LEFT.store(n, Relaxed);
}

/// Called before each store.
#[inline]
pub(crate) fn step() {
    if LEFT.load(Relaxed) != u64::MAX && LEFT.fetch_sub(1, Relaxed) == 0 {
        // SAFETY: plain integers; the signal cannot be caught, so nothing is stored after it.
        unsafe { libc::kill(libc::getpid(), libc::SIGKILL) };
        loop {
            std::hint::spin_loop();
        }
    }
}
