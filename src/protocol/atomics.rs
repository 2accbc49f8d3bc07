//! The one door to atomics and fences.
//!
//! Under `cfg(loom)` the same names are loom's, so the model checker runs the library's own
//! functions. Words in shared memory are [`Shared32`] and [`Shared64`]: each store to them calls
//! [`step`], where a test build can stop the process.

pub(crate) use crate::sys::processor::{
    AtomicU32, AtomicU64, AtomicUsize, Ordering, copy, fence, heavy_fence, heavy_fence_here, is_asymmetric, light_fence,
    light_fence_here, light_store_fence, relax,
};
use crate::sys::trial::{SPLITS_COPIES, step};

use Ordering::{AcqRel, Acquire, Relaxed, Release, SeqCst};

macro_rules! shared_word {
    ($(#[$doc:meta])* $name:ident, $atomic:ident, $int:ty) => {
        $(#[$doc])*
        #[repr(transparent)]
        #[derive(Debug)]
        pub(crate) struct $name($atomic);

        impl $name {
            /// A word in private memory, or in a model.
            #[allow(dead_code)]
            pub(crate) fn new(value: $int) -> Self {
                Self($atomic::new(value))
            }
            /// A load that orders nothing.
            #[inline(always)]
            pub(crate) fn get(&self) -> $int {
                self.0.load(Relaxed)
            }
            /// A load that sees everything stored before the [`Self::publish`] whose value it
            /// returns.
            #[inline(always)]
            pub(crate) fn observe(&self) -> $int {
                self.0.load(Acquire)
            }
            /// A store that orders nothing.
            #[inline(always)]
            pub(crate) fn set(&self, value: $int) {
                step();
                self.0.store(value, Relaxed);
            }
            /// A store that follows everything this thread did before it.
            #[inline(always)]
            pub(crate) fn publish(&self, value: $int) {
                step();
                self.0.store(value, Release);
            }
            /// Adds `more`, wrapping; returns the previous value.
            #[inline]
            pub(crate) fn add(&self, more: $int) -> $int {
                step();
                self.0.fetch_add(more, SeqCst)
            }
        }
    };
}

shared_word!(
    /// A 32-bit word in shared memory.
    Shared32, AtomicU32, u32
);
shared_word!(
    /// A 64-bit word in shared memory.
    Shared64, AtomicU64, u64
);

impl Shared64 {
    /// Replaces `seen` by `next` unless the word has changed. Acquires what the store that it
    /// replaces published, and publishes what this thread did before.
    #[inline(always)]
    pub(crate) fn exchange(&self, seen: u64, next: u64) -> bool {
        step();
        self.0.compare_exchange(seen, next, AcqRel, Relaxed).is_ok()
    }
    /// Counts one event; for counters, which order nothing.
    #[inline]
    pub(crate) fn count(&self) {
        step();
        self.0.fetch_add(1, Relaxed);
    }
    /// Sets `bits`; returns the value with them set.
    #[inline]
    pub(crate) fn raise(&self, bits: u64) -> u64 {
        step();
        self.0.fetch_or(bits, SeqCst) | bits
    }
    /// Clears `bits`.
    #[inline]
    pub(crate) fn lower(&self, bits: u64) {
        step();
        self.0.fetch_and(!bits, SeqCst);
    }
    /// The address of the lower 32 bits, for the kernel's futex calls.
    pub(crate) fn low_half(&self) -> *mut u32 {
        self.0.as_ptr().cast::<u32>().wrapping_add(usize::from(cfg!(target_endian = "big")))
    }
}

impl Shared32 {
    /// Replaces `seen` by `next` unless the word has changed.
    #[inline]
    pub(crate) fn exchange(&self, seen: u32, next: u32) -> Result<u32, u32> {
        step();
        self.0.compare_exchange(seen, next, SeqCst, Relaxed)
    }
    /// Sets `bits`; returns the value with them set.
    #[inline]
    pub(crate) fn raise(&self, bits: u32) -> u32 {
        step();
        self.0.fetch_or(bits, SeqCst) | bits
    }
    /// Subtracts `less`, wrapping; returns the value after it.
    #[inline]
    pub(crate) fn lessen(&self, less: u32) -> u32 {
        step();
        self.0.fetch_sub(less, SeqCst).wrapping_sub(less)
    }
    /// Replaces the value; returns the previous one.
    #[inline]
    pub(crate) fn swap(&self, value: u32) -> u32 {
        step();
        self.0.swap(value, SeqCst)
    }
    /// The word's address, for the kernel's futex calls.
    pub(crate) fn as_ptr(&self) -> *mut u32 {
        self.0.as_ptr()
    }
}

/// Copies into shared memory, which another process may write meanwhile (`sys::processor`). A test
/// build can stop the process before the copy and halfway through it.
///
/// # Safety
/// `from` is readable and `to` writable for `length` bytes; they do not overlap.
#[inline(always)]
pub(crate) unsafe fn store_bytes(from: *const u8, to: *mut u8, length: usize) {
    let half = if SPLITS_COPIES { length / 2 } else { 0 };
    if half > 0 {
        step();
        // SAFETY: as the caller promises.
        unsafe { copy(from, to, half) };
    }
    step();
    // SAFETY: as the caller promises.
    unsafe { copy(from.add(half), to.add(half), length - half) };
}

/// Copies out of shared memory, which another process may write meanwhile.
///
/// # Safety
/// `from` is readable and `to` writable for `length` bytes; they do not overlap.
#[inline(always)]
pub(crate) unsafe fn load_bytes(from: *const u8, to: *mut u8, length: usize) {
    // SAFETY: as the caller promises.
    unsafe { copy(from, to, length) };
}
