//! What differs in test builds: those for the fuzzer, and those that are killed at crash points.
//!
//! Only this file asks for their features. In the library all of this is constant, or nothing.

use std::num::NonZeroUsize;
use std::ptr::NonNull;

/// Whether this build is for the fuzzer. The fuzzer makes many short calls in one thread, which has
/// both ends of each region, and its regions are garbage.
pub(crate) const IS_FUZZED: bool = cfg!(feature = "_test_fuzzing");

/// Whether a copy is made in two parts, so that a test can kill the process between them.
pub(crate) const SPLITS_COPIES: bool = cfg!(feature = "_test_crash_points");

/// A bound that differs for the fuzzer.
pub(crate) const fn usual_or(usual: u32, fuzzed: u32) -> u32 {
    if IS_FUZZED { fuzzed } else { usual }
}

/// How often a thread looks before it sleeps; once in a model.
pub(crate) const fn looks(usual: u32, fuzzed: u32) -> u32 {
    usual_or(usual, fuzzed)
}

/// Called before each store to shared memory.
#[inline(always)]
pub(crate) fn step() {
    #[cfg(feature = "_test_crash_points")]
    crate::crash::step();
}

/// Forbids or allows the rest of the page after the end of a mapping: the address sanitizer reports
/// any access to it while it is forbidden.
pub(crate) fn forbid(_start: *const u8, _length: usize, _is_forbidden: bool) {
    #[cfg(feature = "_test_fuzzing")]
    if _is_forbidden {
        crate::tests::forbidden::close(_start, _length);
    } else {
        crate::tests::forbidden::open(_start, _length);
    }
}

/// Zeroed memory from the heap, so that the sanitizer sees its ends. `None`: not in this build.
pub(crate) fn heap(_bytes: NonZeroUsize) -> Option<nix::Result<NonNull<u8>>> {
    #[cfg(feature = "_test_fuzzing")]
    return Some(crate::tests::heap::zeroed(_bytes));
    #[cfg(not(feature = "_test_fuzzing"))]
    None
}

/// Frees memory from [`heap`].
///
/// # Safety
/// `start` comes from [`heap`] with as many bytes, and is no longer used.
pub(crate) unsafe fn free_heap(_start: NonNull<u8>, _bytes: usize) {
    #[cfg(feature = "_test_fuzzing")]
    // SAFETY: as the caller promises.
    unsafe {
        crate::tests::heap::free(_start, _bytes);
    }
}
