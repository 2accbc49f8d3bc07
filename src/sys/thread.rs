//! The running thread: its number, which costs one instruction, and how it gives way.

use super::nap::nap;
use crate::error::{Error, Result};
use std::time::Duration;

/// Unique among living threads, never 0, 1 or 2. A later thread may get the number of one that
/// ended.
#[inline(always)]
pub(crate) fn id() -> usize {
    #[cfg(all(target_arch = "x86_64", target_os = "linux"))]
    {
        let id: usize;
        // SAFETY: the x86-64 psABI for thread-local storage: the word at %fs:0 is the thread
        // pointer itself, and never changes.
        unsafe { core::arch::asm!("mov {}, fs:0", out(reg) id, options(pure, nomem, nostack, preserves_flags)) };
        id
    }
    #[cfg(all(target_arch = "aarch64", target_os = "linux"))]
    {
        let id: usize;
        // SAFETY: tpidr_el0 holds the thread pointer.
        unsafe { core::arch::asm!("mrs {}, tpidr_el0", out(reg) id, options(pure, nomem, nostack, preserves_flags)) };
        id
    }
    #[cfg(not(all(target_os = "linux", any(target_arch = "x86_64", target_arch = "aarch64"))))]
    {
        thread_local!(static HERE: u8 = const { 0 });
        HERE.with(|here| core::ptr::from_ref(here) as usize)
    }
}

/// Whether this thread may run on one processor only: by its affinity mask, its cpuset, or because
/// the machine has no other.
pub(crate) fn is_confined() -> bool {
    // SAFETY: an empty set is all zeros; the set is written to before the call returns. On a machine
    // with more processors than it has bits, the call fails.
    unsafe {
        let mut set: libc::cpu_set_t = std::mem::zeroed();
        libc::sched_getaffinity(0, size_of_val(&set), &raw mut set) == 0 && libc::CPU_COUNT(&set) == 1
    }
}

/// While this value lives, the thread cannot be cancelled (`pthread_cancel`): the request stays
/// pending. The C library ends a cancelled thread inside any waiting call (`read`, `poll`,
/// `close`), by unwinding, which cannot pass through Rust functions: it would end the process, or
/// leave a turn that is never given back.
pub(crate) struct Uncancelled(libc::c_int);

impl Uncancelled {
    /// Async-signal-safe; costs a store or two.
    pub(crate) fn new() -> Uncancelled {
        let mut before = DISABLED;
        // SAFETY: the number is written to before the call returns.
        unsafe {
            pthread_setcancelstate(DISABLED, &raw mut before);
        }
        Uncancelled(before)
    }
}

impl Drop for Uncancelled {
    fn drop(&mut self) {
        if self.0 != DISABLED {
            // SAFETY: as above; where the state before is to be written may be null.
            unsafe { pthread_setcancelstate(self.0, std::ptr::null_mut()) };
        }
    }
}

/// `PTHREAD_CANCEL_DISABLE`.
const DISABLED: libc::c_int = 1;

unsafe extern "C" {
    fn pthread_setcancelstate(state: libc::c_int, before: *mut libc::c_int) -> libc::c_int;
}

/// The patience of a thread with another that is in its way and about to go on.
pub(crate) struct Standing(u32);

impl Standing {
    /// This many times it only yields.
    const YIELDS: u32 = 32;

    pub(crate) fn new() -> Standing {
        Standing(0)
    }

    /// Lets the other thread run. If this thread has a real-time priority and the interrupted other
    /// has none, a yield does not help: this thread must sleep, or the other would never get the
    /// processor.
    pub(crate) fn give_way(&mut self) {
        if self.0 < Standing::YIELDS {
            self.0 += 1;
            std::thread::yield_now();
        } else {
            // Not a cancellation point. If a signal handler ends the sleep, the thread looks again.
            let _whole = Uncancelled::new();
            let _ = nap(Duration::from_micros(50));
        }
    }
}

/// The stack of a helper thread: its calls are shallow, and a process may have all its memory locked.
const HELPER_STACK: usize = 256 << 10;

/// Starts a thread of the library, which never ends. It blocks all signals, so that the program's
/// handlers run in the program's threads, and inherits the priority of this one.
pub(crate) fn start_helper(name: &str, run: impl FnOnce() + Send + 'static) -> Result<()> {
    let thread = std::thread::Builder::new().name(name.into()).stack_size(HELPER_STACK);
    // SAFETY: both sets are written to before they are read; the mask is this thread's own.
    let started = unsafe {
        let (mut all, mut before) = (std::mem::zeroed(), std::mem::zeroed());
        libc::sigfillset(&raw mut all);
        libc::pthread_sigmask(libc::SIG_SETMASK, &raw const all, &raw mut before);
        let started = thread.spawn(run);
        libc::pthread_sigmask(libc::SIG_SETMASK, &raw const before, std::ptr::null_mut());
        started
    };
    started.map(drop).map_err(|e| {
        let errno = e.raw_os_error().unwrap_or(libc::EAGAIN);
        Error::new(errno, format!("cannot start the thread \"{name}\", which watches for this process's descriptors: {e}"))
    })
}
