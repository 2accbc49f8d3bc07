//! Futexes on words that processes share in a region, and on private words.

use super::slept::Slept;
use nix::errno::Errno;
use std::sync::atomic::AtomicU32;
use std::time::Duration;

/// Sleeps while the word at an address is `seen`, at most for `slice`.
///
/// With a timeout the kernel ends the call with `EINTR` after any signal handler. Without one it
/// would restart the call after handlers that `signal(3)` set.
pub(crate) fn wait(word: *mut u32, seen: u32, slice: Duration) -> Slept {
    let timeout = libc::timespec { tv_sec: slice.as_secs() as libc::time_t, tv_nsec: slice.subsec_nanos() as _ };
    // SAFETY: the kernel checks the address; the timeout lives across the call.
    let result = unsafe { libc::syscall(libc::SYS_futex, word, libc::FUTEX_WAIT, seen, &raw const timeout, 0, 0) };
    if result == 0 {
        return Slept::Woken;
    }
    match Errno::last() {
        Errno::ETIMEDOUT => Slept::Slice,
        Errno::EINTR => Slept::Signal,
        _ => Slept::Woken,
    }
}

/// Sleeps while a private word is `seen`; may return early without a reason.
pub(crate) fn wait_here(word: &AtomicU32, seen: u32) {
    let futex = libc::FUTEX_WAIT | libc::FUTEX_PRIVATE_FLAG;
    // SAFETY: the word lives across the call; no time limit.
    unsafe { libc::syscall(libc::SYS_futex, word.as_ptr(), futex, seen, std::ptr::null::<libc::timespec>()) };
}

/// Wakes one thread of this process that sleeps on `word`.
pub(crate) fn wake_one_here(word: &AtomicU32) {
    // SAFETY: the kernel only looks up the address.
    unsafe { libc::syscall(libc::SYS_futex, word.as_ptr(), libc::FUTEX_WAKE | libc::FUTEX_PRIVATE_FLAG, 1) };
}

/// Wakes all sleepers on the word at an address.
pub(crate) fn wake(word: *mut u32) {
    // SAFETY: the kernel only looks up the address.
    unsafe { libc::syscall(libc::SYS_futex, word, libc::FUTEX_WAKE, i32::MAX, 0, 0, 0) };
}
