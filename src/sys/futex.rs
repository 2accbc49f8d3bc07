//! Futexes on words that processes share in a region, and on private words.

use super::nap::nap;
use super::slept::Slept;
use nix::errno::Errno;
use std::sync::atomic::AtomicU32;
use std::time::Duration;

/// A futex word and the value with which to sleep on it: `struct futex_waitv`.
#[repr(C)]
#[derive(Clone, Copy)]
pub(crate) struct Awaited {
    seen: u64,
    word: u64,
    flags: u32,
    _reserved: u32,
}

/// Of `linux/futex.h`: a word of 32 bits.
const SIZE_U32: u32 = 2;
/// The most words of [`wait_any`].
pub(crate) const MOST_AWAITED: usize = 128;

impl Awaited {
    /// The address may be any.
    pub(crate) fn new(word: *const u32, seen: u32) -> Awaited {
        Awaited { seen: seen.into(), word: word as usize as u64, flags: SIZE_U32, _reserved: 0 }
    }
    pub(crate) fn seen(&self) -> u32 {
        self.seen as u32
    }
}

/// A look at the words instead of a sleep, where the kernel refuses it.
const FORBIDDEN_NAP: Duration = Duration::from_millis(1);

/// How a sleep on several words ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Roused {
    /// The word of this index was woken.
    By(usize),
    /// A word had another value, or its memory is gone; or without a reason.
    Changed,
    /// The time is over.
    Late,
}

/// Whether the kernel has `futex_waitv` and allows it (Linux 5.16).
pub(crate) fn can_wait_for_any() -> bool {
    let (word, seen) = (1, 0);
    let awaited = [Awaited::new(&raw const word, seen)];
    let (words, never) = (awaited.as_ptr(), std::ptr::null::<libc::timespec>());
    // SAFETY: as in `wait_any`; it returns at once, because the word has another value.
    let result = unsafe { libc::syscall(libc::SYS_futex_waitv, words, 1, 0, never, libc::CLOCK_MONOTONIC) };
    result < 0 && Errno::last() == Errno::EAGAIN
}

/// Sleeps while each word has its value, at most for `limit`. At most [`MOST_AWAITED`] words.
pub(crate) fn wait_any(awaited: &[Awaited], limit: Duration) -> Roused {
    let mut now = libc::timespec { tv_sec: 0, tv_nsec: 0 };
    // SAFETY: the time is written to before the call returns.
    unsafe { libc::clock_gettime(libc::CLOCK_MONOTONIC, &raw mut now) };
    let end = Duration::new(now.tv_sec as u64, now.tv_nsec as u32) + limit;
    let end = libc::timespec { tv_sec: end.as_secs() as _, tv_nsec: end.subsec_nanos() as _ };
    let (words, count) = (awaited.as_ptr(), awaited.len());
    // SAFETY: the array and the time live across the call; the kernel checks the addresses in it.
    let result = unsafe { libc::syscall(libc::SYS_futex_waitv, words, count, 0, &raw const end, libc::CLOCK_MONOTONIC) };
    match usize::try_from(result) {
        Ok(index) => Roused::By(index),
        Err(_) => match Errno::last() {
            Errno::ETIMEDOUT => Roused::Late,
            Errno::EAGAIN | Errno::EFAULT | Errno::EINTR => Roused::Changed,
            _ => {
                // A sandbox that forbids it from now on, or no memory: it must not become a loop.
                let _ = nap(FORBIDDEN_NAP);
                Roused::Changed
            }
        },
    }
}

/// Sleeps while the word at an address is `seen`, at most for `slice`.
///
/// With a timeout the kernel ends the call with `EINTR` after any signal handler. Without one it
/// would restart the call after handlers that `signal(3)` set.
pub(crate) fn wait(word: *mut u32, seen: u32, slice: Duration) -> Slept {
    let timeout = libc::timespec { tv_sec: slice.as_secs() as _, tv_nsec: slice.subsec_nanos() as _ };
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
