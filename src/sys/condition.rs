//! The condition variables of the process's C library.

use once_cell::race::OnceBool;
use std::mem::MaybeUninit;

/// Number of 32-bit words of a condition variable.
pub(crate) const WORDS: usize = 12;
/// The word in which glibc up to 2.40 counts the waiters; its lowest bit means process-shared.
const WAITING: usize = 9;

/// A fresh, process-shared condition variable.
pub(crate) fn fresh() -> [u32; WORDS] {
    const { assert!(size_of::<libc::pthread_cond_t>() <= 8 * WORDS) };
    let mut space = [0u64; WORDS];
    let mut attributes = MaybeUninit::<libc::pthread_condattr_t>::uninit();
    // SAFETY: aligned memory for both objects, which hold nothing that must be destroyed.
    unsafe {
        libc::pthread_condattr_init(attributes.as_mut_ptr());
        libc::pthread_condattr_setpshared(attributes.as_mut_ptr(), libc::PTHREAD_PROCESS_SHARED);
        libc::pthread_cond_init(space.as_mut_ptr().cast(), attributes.as_ptr());
    }
    std::array::from_fn(|i| (space[i / 2] >> (32 * (i % 2))) as u32)
}

/// Whether the words have the meaning that they have in glibc up to 2.40. The place of the flag in
/// a fresh one tells, because it has moved since.
pub(crate) fn is_known() -> bool {
    static KNOWN: OnceBool = OnceBool::new();
    KNOWN.get_or_init(|| {
        let words = fresh();
        (0..WORDS).all(|i| words[i] == u32::from(i == WAITING))
    })
}

#[cfg(test)]
#[path = "../tests/unit/sys/condition.rs"]
mod tests;
