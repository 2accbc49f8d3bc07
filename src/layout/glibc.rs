//! The words of glibc, up to 2.40, that a VILLASnode shares: a condition variable and a mutex.

use crate::protocol::atomics::{Shared32, Shared64};
use std::mem::{offset_of, size_of};

/// Whether the words below are those of this machine's C library.
pub(crate) const IS_KNOWN: bool =
    cfg!(all(any(target_arch = "x86_64", target_arch = "aarch64"), target_os = "linux", target_env = "gnu"));

/// Bytes of a mutex. Its words are the same on both machines; aarch64 keeps more room behind them.
pub(super) const MUTEX: usize = if cfg!(target_arch = "aarch64") { 48 } else { 40 };

/// A plain, process-shared mutex.
pub(super) const MUTEX_KIND: u32 = 0x80;

/// glibc's process-shared condition variable.
#[repr(C)]
pub(crate) struct Condition {
    /// Counts waiters from bit 1; bit 0 is the group that new ones join.
    pub(crate) waiters: Shared64,
    /// From bit 1: the first waiter of the group that is being woken. The low half first.
    pub(crate) group_start: [Shared32; 2],
    /// Counts, from bit 1, threads that still use their group's words; one for each group.
    pub(crate) references: [Shared32; 2],
    /// Waiters that have not been signalled, of each group.
    pub(crate) sizes: [Shared32; 2],
    /// Its two lowest bits are the condition's inner lock; above, how many waiters the group that
    /// is being woken had.
    pub(crate) inner: Shared32,
    /// Counts threads that wait from bit 3.
    pub(crate) waiting: Shared32,
    /// The futex word of each group.
    pub(crate) signals: [Shared32; 2],
}

/// glibc's plain mutex.
#[repr(C)]
pub(crate) struct GlibcMutex {
    /// 0 free, 1 taken, 2 taken and others wait.
    pub(crate) lock: Shared32,
    pub(super) _count: Shared32,
    pub(super) _owner: Shared32,
    pub(super) _users: Shared32,
    pub(super) kind: Shared32,
    pub(super) _rest: [u32; MUTEX / 4 - 5],
}

const _: () = {
    assert!(size_of::<Condition>() == 48 && offset_of!(Condition, waiting) == 36 && offset_of!(Condition, signals) == 40);
    assert!(size_of::<GlibcMutex>() == MUTEX && offset_of!(GlibcMutex, kind) == 16);
    assert!(!IS_KNOWN || size_of::<libc::pthread_cond_t>() == 48 && size_of::<libc::pthread_mutex_t>() == MUTEX);
};
