//! The one door to atomics and fences.
//!
//! Under `cfg(loom)` the same names lead to loom's, so that the model checker runs the very functions that
//! the library runs. Words that live in shared memory are [`Shared32`] and [`Shared64`]: every store to them
//! passes [`step`], where a test build can stop the process.
//!
//! ## Asymmetric fences
//!
//! Three places of the library need "store mine, then load theirs" on both sides (Dekker's pattern): a writer
//! and a sleeper, the thread that a gate is biased to and a stranger, a caller and a closer. One side of each is
//! hot, the other rare and about to make a system call anyhow. So the hot side has [`light_fence`], which only
//! stops the compiler, and the rare side [`heavy_fence`], which has the kernel run a full barrier on every
//! processor that runs a registered process (`membarrier(2)`, `sys::barrier`). Where the kernel has no such call both are
//! full fences, and gates are biased to nobody, so that [`light_fence_here`] need not ask. Loom, which knows no `membarrier`, checks both as sequentially consistent fences: what it
//! cannot show is that a compiler fence with a `membarrier` at the other end equals that; this is what the call's
//! manual promises. A store-load fence on the hot side instead halves the stream at batch 1 (`docs/performance.md`).

#[cfg(not(loom))]
pub(crate) use core::sync::atomic::{AtomicU32, AtomicU64, AtomicUsize, Ordering, fence};
#[cfg(loom)]
pub(crate) use {
    crate::model::atomic::{AtomicU32, AtomicU64, AtomicUsize},
    loom::sync::atomic::{Ordering, fence},
};

use Ordering::{AcqRel, Acquire, Relaxed, Release, SeqCst};

/// Called before each store to shared memory.
#[inline(always)]
fn step() {
    #[cfg(feature = "crash-points")]
    crate::crash::step();
    #[cfg(loom)]
    crate::model::step();
}

macro_rules! shared_word {
    ($(#[$doc:meta])* $name:ident, $atomic:ident, $int:ty) => {
        $(#[$doc])*
        #[repr(transparent)]
        #[derive(Debug)]
        pub(crate) struct $name($atomic);

        impl $name {
            #[cfg(loom)]
            pub(crate) fn new(value: $int) -> Self {
                Self($atomic::new(value))
            }
            /// A load that orders nothing.
            #[inline(always)]
            pub(crate) fn get(&self) -> $int {
                self.0.load(Relaxed)
            }
            /// A load that sees what was stored before the [`Self::publish`] that it reads from.
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
            /// A store after everything that this thread did before it.
            #[inline(always)]
            pub(crate) fn publish(&self, value: $int) {
                step();
                self.0.store(value, Release);
            }
            /// Adds `more`, wrapping; gives the value before.
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
    /// Replaces `seen` by `next` unless the word has changed: sees what was stored before the store that it replaces, and is a
    /// store after everything that this thread did before it.
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
    /// Sets `bits`; gives the value with them set.
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
    #[cfg(not(loom))]
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
    /// A word of a process's own.
    #[cfg(not(loom))]
    pub(crate) fn private(value: u32) -> Shared32 {
        Shared32(AtomicU32::new(value))
    }
    /// Sets `bits`; gives the value with them set.
    #[inline]
    pub(crate) fn raise(&self, bits: u32) -> u32 {
        step();
        self.0.fetch_or(bits, SeqCst) | bits
    }
    /// Replaces the value; gives the one before.
    #[cfg(not(loom))]
    #[inline]
    pub(crate) fn swap(&self, value: u32) -> u32 {
        step();
        self.0.swap(value, SeqCst)
    }
    /// The address that the kernel's futex calls want.
    #[cfg(not(loom))]
    pub(crate) fn as_ptr(&self) -> *mut u32 {
        self.0.as_ptr()
    }
}

/// Copies a message into shared memory. A test build can stop the process before it and half-way.
///
/// # Safety
/// `from` is readable and `to` writable for `length` bytes; they do not overlap.
#[cfg(not(loom))]
#[inline(always)]
pub(crate) unsafe fn store_bytes(from: *const u8, to: *mut u8, length: usize) {
    let half = if cfg!(feature = "crash-points") { length / 2 } else { 0 };
    if half > 0 {
        step();
        // SAFETY: as the caller promises.
        unsafe { core::ptr::copy_nonoverlapping(from, to, half) };
    }
    step();
    // SAFETY: as the caller promises.
    unsafe { core::ptr::copy_nonoverlapping(from.add(half), to.add(half), length - half) };
}

/// Fetches the cache line `OFFSET` bytes behind `address`, which may be any, so that a store to it soon finds it here and in nobody else's cache.
///
/// Without this a line that the other side has read, or fetched by a load before it, costs its store a trip of its own.
/// `prefetchw` is spelled out since compilers turn the intrinsic into a fetch for reading unless the target is known to have it;
/// processors that have not pass over it.
#[cfg(not(loom))]
#[inline(always)]
pub(crate) fn fetch_to_write<const OFFSET: usize>(address: *const u8) {
    #[cfg(target_arch = "x86_64")]
    // SAFETY: a prefetch of any address has no effect but on the cache.
    unsafe {
        core::arch::asm!("prefetchw [{} + {}]", in(reg) address, const OFFSET, options(nostack, preserves_flags, readonly));
    }
    #[cfg(target_arch = "aarch64")]
    // SAFETY: as above.
    unsafe {
        core::arch::asm!("prfm pstl1keep, [{}, {}]", in(reg) address, const OFFSET, options(nostack, preserves_flags, readonly));
    }
    #[cfg(not(any(target_arch = "x86_64", target_arch = "aarch64")))]
    let _ = address;
}

/// Fetches the cache line of `address`, which may be any, for loads.
#[cfg(not(loom))]
#[inline(always)]
pub(crate) fn fetch_to_read(address: *const u8) {
    #[cfg(target_arch = "x86_64")]
    // SAFETY: as above.
    unsafe {
        core::arch::x86_64::_mm_prefetch::<{ core::arch::x86_64::_MM_HINT_T0 }>(address.cast());
    }
    #[cfg(target_arch = "aarch64")]
    // SAFETY: as above.
    unsafe {
        core::arch::asm!("prfm pldl1keep, [{}]", in(reg) address, options(nostack, preserves_flags, readonly));
    }
    #[cfg(not(any(target_arch = "x86_64", target_arch = "aarch64")))]
    let _ = address;
}

/// The hot side of an asymmetric pair: a store before it and a load after it stay in this order towards whoever
/// runs [`heavy_fence`].
#[inline(always)]
pub(crate) fn light_fence() {
    #[cfg(loom)]
    fence(SeqCst);
    #[cfg(not(loom))]
    if crate::sys::barrier::is_asymmetric() {
        core::sync::atomic::compiler_fence(SeqCst);
    } else {
        fence(SeqCst);
    }
}

/// The same without a look whether the kernel knows the call: only where [`is_asymmetric`] was true, which it stays. A gate has an owner
/// only then (`protocol::gate`), and only owners come here from there; a view of a region keeps what it was.
#[inline(always)]
pub(crate) fn light_fence_here() {
    #[cfg(loom)]
    fence(SeqCst);
    #[cfg(not(loom))]
    core::sync::atomic::compiler_fence(SeqCst);
}

/// Whether a hot side may do without a full fence.
pub(crate) fn is_asymmetric() -> bool {
    #[cfg(loom)]
    return true;
    #[cfg(not(loom))]
    crate::sys::barrier::is_asymmetric()
}

/// The rare side: pairs with [`light_fence`] of any thread of any process that has a region open. `false`: one may have
/// missed it, wait in short slices.
#[inline]
pub(crate) fn heavy_fence() -> bool {
    fence(SeqCst);
    #[cfg(loom)]
    return true;
    #[cfg(not(loom))]
    crate::sys::barrier::everywhere()
}

/// The rare side: pairs with [`light_fence`] and [`light_fence_here`] of any thread of this process.
#[inline]
pub(crate) fn heavy_fence_here() {
    fence(SeqCst);
    #[cfg(not(loom))]
    if crate::sys::barrier::is_asymmetric() && !crate::sys::barrier::everywhere() {
        // The kernel has agreed to it before and refuses it now (a sandbox entered meanwhile): no store stays in a
        // buffer for so long.
        std::thread::sleep(std::time::Duration::from_millis(10));
    }
}

/// What a loop does that begins again because another was first: nothing, as there is something to do. The model checker must be told that
/// the others go on.
#[inline(always)]
pub(crate) fn begin_again() {
    #[cfg(loom)]
    loom::thread::yield_now();
}

/// What a loop does between two looks at a word.
#[inline(always)]
pub(crate) fn relax() {
    #[cfg(loom)]
    loom::thread::yield_now();
    #[cfg(not(loom))]
    core::hint::spin_loop();
}
