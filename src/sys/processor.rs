//! Atomics, fences and prefetches, as the processor has them. A model (`tests/model`) has its own.
//!
//! ## Asymmetric fences
//!
//! Three places of the library need "store mine, then load theirs" on both sides (Dekker's pattern): a
//! writer and a sleeper, the thread that a gate is biased to and a stranger, a caller and a closer. One
//! side of each is hot, the other rare and about to make a system call anyhow. So the hot side has
//! [`light_fence`], which only stops the compiler, and the rare side [`heavy_fence`], which has the
//! kernel run a full barrier on every processor that runs a registered process (`membarrier(2)`,
//! `sys::barrier`). Where the kernel has no such call both are full fences, and gates are biased to
//! nobody, so that [`light_fence_here`] need not ask. Loom, which knows no `membarrier`, checks both as
//! sequentially consistent fences. It cannot show that a compiler fence with a `membarrier` at the other
//! end equals that; the call's manual promises it. A store-load fence on the hot side instead halves the
//! stream at batch 1 (`docs/performance.md`).

use super::barrier;
use Ordering::SeqCst;
pub(crate) use core::sync::atomic::{AtomicU32, AtomicU64, AtomicUsize, Ordering, fence};

/// Memory that one thread at a time may use; loom watches every access to its own.
pub(crate) struct SharedCell<T>(core::cell::UnsafeCell<T>);

impl<T> SharedCell<T> {
    pub(crate) fn new(value: T) -> Self {
        SharedCell(core::cell::UnsafeCell::new(value))
    }
    #[inline(always)]
    pub(crate) fn get(&self) -> *const T {
        self.0.get()
    }
    #[inline(always)]
    pub(crate) fn get_mut(&self) -> *mut T {
        self.0.get()
    }
}

/// Fetches the cache line `OFFSET` bytes behind `address`, which may be any, so that a store to it soon
/// finds it here and in nobody else's cache.
///
/// Otherwise the store to a line that the other side has read, or that a load has fetched, needs a
/// second cache-line transfer. `prefetchw` is spelled out since compilers turn the intrinsic into a
/// fetch for reading unless the target is known to have it; processors that have not pass over it.
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
    if barrier::is_asymmetric() {
        core::sync::atomic::compiler_fence(SeqCst);
    } else {
        fence(SeqCst);
    }
}

/// The same without a look whether the kernel knows the call: only where [`is_asymmetric`] was true, which it stays. A gate has an owner
/// only then (`protocol::gate`), and only owners come here from there; a view of a region keeps what it was.
#[inline(always)]
pub(crate) fn light_fence_here() {
    core::sync::atomic::compiler_fence(SeqCst);
}

/// Whether a hot side may do without a full fence.
pub(crate) fn is_asymmetric() -> bool {
    barrier::is_asymmetric()
}

/// The rare side: pairs with [`light_fence`] of any thread of any process that has a region open. `false`: one may have
/// missed it, wait in short slices.
#[inline]
pub(crate) fn heavy_fence() -> bool {
    fence(SeqCst);
    barrier::everywhere()
}

/// The rare side: pairs with [`light_fence`] and [`light_fence_here`] of any thread of this process.
#[inline]
pub(crate) fn heavy_fence_here() {
    fence(SeqCst);
    if barrier::is_asymmetric() && !barrier::everywhere() {
        // The kernel has agreed to it before and refuses it now (a sandbox entered meanwhile): no store stays in a
        // buffer for so long.
        std::thread::sleep(std::time::Duration::from_millis(10));
    }
}

/// What a loop does that begins again because another was first: nothing, as there is something to do. The model checker must be told that
/// the others go on.
#[inline(always)]
pub(crate) fn begin_again() {}

/// What a loop does between two looks at a word.
#[inline(always)]
pub(crate) fn relax() {
    core::hint::spin_loop();
}
