//! `membarrier(2)`: a full barrier on every processor that runs a registered process.
//!
//! Its manual promises that between the call's start and its return, all threads of the registered
//! processes pass through a state in which their accesses before and after it are in program order.
//! That is the heavy half of `atomics::heavy_fence`.

use super::trial::IS_FUZZED;
use core::sync::atomic::{AtomicBool, Ordering::Relaxed};

const GLOBAL_EXPEDITED: libc::c_int = 1 << 1;
const REGISTER_GLOBAL_EXPEDITED: libc::c_int = 1 << 2;

/// Whether this process is registered; never returns to `false`.
static ASYMMETRIC: AtomicBool = AtomicBool::new(false);

fn membarrier(command: libc::c_int) -> bool {
    // SAFETY: the call takes two plain integers and touches no memory of ours.
    unsafe { libc::syscall(libc::SYS_membarrier, command, 0, 0) == 0 }
}

/// Registers this process: before the first fast path on a region, and again after a fork. Cheap
/// once done.
pub(crate) fn register() {
    if membarrier(REGISTER_GLOBAL_EXPEDITED) {
        ASYMMETRIC.store(true, Relaxed);
    }
}

/// Whether a compiler fence suffices on the hot side. A thread that sees the change late makes an
/// unnecessary fence.
#[inline(always)]
pub(crate) fn is_asymmetric() -> bool {
    ASYMMETRIC.load(Relaxed)
}

/// A barrier on every processor that runs a registered process, this one included. `false`: the
/// kernel refused.
pub(crate) fn everywhere() -> bool {
    // Both ends of the fuzzer's regions are in one thread, which sees its own stores; the call
    // would disturb all processors.
    if IS_FUZZED && ASYMMETRIC.load(Relaxed) {
        return true;
    }
    membarrier(GLOBAL_EXPEDITED)
}
