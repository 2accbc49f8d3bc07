//! Atomics, fences and prefetches of the processor. A model (`tests/model`) has its own.
//!
//! ## Asymmetric fences
//!
//! Three places of the library need "store mine, then load theirs" on both sides (Dekker's
//! pattern): a writer and a sleeper, a gate's owner and a stranger, a caller and a closer. One side
//! of each is hot; the other is rare and about to make a system call anyway. The hot side uses
//! [`light_fence`], which only stops the compiler. The rare side uses [`heavy_fence`], which makes
//! the kernel run a full barrier on every processor that runs a registered process
//! (`membarrier(2)`, `sys::barrier`). If the kernel lacks that call, both are full fences and gates
//! have no owner, so [`light_fence_here`] need not check.
//!
//! Loom does not know `membarrier` and checks both as sequentially consistent fences. It cannot
//! show that a compiler fence is equivalent if the other side uses `membarrier`; the call's manual
//! promises it. A store-load fence on the hot side would halve the stream at batch 1
//! (`docs/performance.md`).
//!
//! ## Memory that others may write
//!
//! Any process may change any byte of a region at any time, so Rust's references and plain copies are
//! no way to its memory: the compiler may read a byte twice and expect the same. Single words are
//! atomics (`protocol::atomics`). Whole messages and rows of values go through [`copy`], whose
//! instructions the compiler does not see: it may assume no more of them than of any store and load
//! of the bytes, in any order. So a copy during which another process writes holds some mixture of
//! old and new bytes, and is nothing worse.

use super::barrier;
use super::trial::IS_FUZZED;
use Ordering::SeqCst;
pub(crate) use core::sync::atomic::{AtomicU32, AtomicU64, AtomicUsize, Ordering, fence};

/// Memory that one thread at a time may use; loom checks each access to its own version.
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

/// Prefetches the cache line `OFFSET` bytes after `address`, which may be any, for a store: the
/// store then finds the line in this cache and in no other.
///
/// Otherwise the store to a line that the other side has read, or that a load has fetched, needs a
/// second cache-line transfer. `prefetchw` is spelled out because compilers turn the intrinsic into
/// a prefetch for reading, unless the target is known to have it; processors without it ignore it.
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

/// Prefetches the cache line of `address`, which may be any, for loads.
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

/// From this length on, the C library's `memcpy` is faster than a loop of these steps.
const LONG: usize = 512;

/// Copies bytes of which one end lies in memory that another process may write meanwhile.
///
/// # Safety
/// `from` is readable and `to` writable for `length` bytes; they do not overlap.
#[inline(always)]
pub(crate) unsafe fn copy(from: *const u8, to: *mut u8, length: usize) {
    if IS_FUZZED {
        // The sanitizer does not see into assembler.
        // SAFETY: as the caller promises; only this process has the fuzzer's regions.
        return unsafe { core::ptr::copy_nonoverlapping(from, to, length) };
    }
    // SAFETY: as the caller promises; each step lies within the length.
    unsafe {
        if cfg!(target_arch = "x86_64") && length <= LONG {
            short_copy(from, to, length);
        } else {
            long_copy(from, to, length);
        }
    }
}

/// By the C library, through a pointer that is loaded each time: the compiler does not know which
/// function it is, nor what it does.
///
/// # Safety
/// As for [`copy`].
#[inline(never)]
unsafe fn long_copy(from: *const u8, to: *mut u8, length: usize) {
    static MEMCPY: unsafe extern "C" fn(*mut libc::c_void, *const libc::c_void, usize) -> *mut libc::c_void = libc::memcpy;
    // SAFETY: a valid pointer to read; then as the caller promises.
    unsafe { core::ptr::read_volatile(&raw const MEMCPY)(to.cast(), from.cast(), length) };
}

/// In steps of 32, 16, 8 bytes or 1; the last one ends with the last byte, and so may overlap the
/// one before. Nothing is unrolled: that would need registers that the callers then have to save.
///
/// # Safety
/// As for [`copy`].
#[inline(always)]
unsafe fn short_copy(from: *const u8, to: *mut u8, length: usize) {
    // SAFETY: each step begins at most its own length before the end.
    unsafe {
        if length >= 32 {
            copy_by_32(from, to, length);
        } else if length >= 16 {
            copy_16(from, to);
            copy_16(from.add(length - 16), to.add(length - 16));
        } else if length >= 8 {
            copy_8(from, to);
            copy_8(from.add(length - 8), to.add(length - 8));
        } else {
            for at in 0..length {
                copy_1(from.add(at), to.add(at));
            }
        }
    }
}

/// Copies 32 bytes or more.
///
/// # Safety
/// As for [`copy`].
#[inline(always)]
unsafe fn copy_by_32(_from: *const u8, _to: *mut u8, _length: usize) {
    #[cfg(target_arch = "x86_64")]
    // SAFETY: as the caller promises: steps that begin more than 32 bytes before the end, then the last
    // 32 bytes.
    unsafe {
        core::arch::asm!(
            "2:",
            "movups {low}, [{from} + {at}]",
            "movups {high}, [{from} + {at} + 16]",
            "movups [{to} + {at}], {low}",
            "movups [{to} + {at} + 16], {high}",
            "add {at}, 32",
            "cmp {at}, {last}",
            "jb 2b",
            "movups {low}, [{from} + {last}]",
            "movups {high}, [{from} + {last} + 16]",
            "movups [{to} + {last}], {low}",
            "movups [{to} + {last} + 16], {high}",
            from = in(reg) _from,
            to = in(reg) _to,
            last = in(reg) _length - 32,
            at = inout(reg) 0usize => _,
            low = out(xmm_reg) _,
            high = out(xmm_reg) _,
            options(nostack),
        );
    }
}

/// A step of [`short_copy`]: a load, then a store.
macro_rules! step {
    ($name:ident, $class:ident, $move:literal) => {
        /// # Safety
        /// As for [`copy`], for as many bytes as the name says.
        #[inline(always)]
        unsafe fn $name(_from: *const u8, _to: *mut u8) {
            #[cfg(target_arch = "x86_64")]
            // SAFETY: as the caller promises.
            unsafe {
                core::arch::asm!(
                    concat!($move, " {held}, [{from}]"), concat!($move, " [{to}], {held}"),
                    from = in(reg) _from, to = in(reg) _to, held = out($class) _, options(nostack, preserves_flags),
                );
            }
        }
    };
}
step!(copy_16, xmm_reg, "movups");
step!(copy_8, reg, "mov");
step!(copy_1, reg_byte, "mov");

/// The hot side of an asymmetric pair: any thread that runs [`heavy_fence`] sees a store before it
/// and a load after it in this order.
#[inline(always)]
pub(crate) fn light_fence() {
    if barrier::is_asymmetric() {
        core::sync::atomic::compiler_fence(SeqCst);
    } else {
        fence(SeqCst);
    }
}

/// As [`light_fence`], without checking the kernel: only where [`is_asymmetric`] was true, which it
/// stays. A gate has an owner only then (`protocol::gate`), and in a gate only owners call this; a
/// view of a region remembers the answer.
#[inline(always)]
pub(crate) fn light_fence_here() {
    core::sync::atomic::compiler_fence(SeqCst);
}

/// As [`light_fence_here`], where only stores must be seen in order, by a thread that runs
/// [`heavy_fence`] and trusts nothing if that fails.
#[inline(always)]
pub(crate) fn light_store_fence() {
    core::sync::atomic::compiler_fence(SeqCst);
}

/// Whether a hot side needs no full fence.
pub(crate) fn is_asymmetric() -> bool {
    barrier::is_asymmetric()
}

/// The rare side: pairs with [`light_fence`] of any thread of any process that has a region open.
/// `false`: one may have missed it, so wait in short slices.
#[inline]
pub(crate) fn heavy_fence() -> bool {
    fence(SeqCst);
    barrier::everywhere()
}

/// The rare side: pairs with [`light_fence`] and [`light_fence_here`] of any thread of this
/// process.
#[inline]
pub(crate) fn heavy_fence_here() {
    fence(SeqCst);
    if barrier::is_asymmetric() && !barrier::everywhere() {
        // The kernel has accepted the call before and refuses it now (a sandbox entered meanwhile).
        // No store stays in a buffer for 10 ms.
        std::thread::sleep(std::time::Duration::from_millis(10));
    }
}

/// Called by a loop that retries because another thread was first: nothing to do here, but the
/// model checker must be told that the others run.
#[inline(always)]
pub(crate) fn begin_again() {}

/// Called by a loop between two looks at a word.
#[inline(always)]
pub(crate) fn relax() {
    core::hint::spin_loop();
}
