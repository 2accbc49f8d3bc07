//! `parking_lot`'s `Mutex` on the lock of [`futex_lock`](super::futex_lock). The models use loom's.

use crate::protocol::atomics::AtomicU32;
use crate::protocol::futex_lock::{self, FREE, LockFutex};

/// A word, and the kernel's futex calls.
pub(crate) struct FutexLock(AtomicU32);

pub(crate) type Mutex<T> = parking_lot::lock_api::Mutex<FutexLock, T>;
pub(crate) type MutexGuard<'l, T> = parking_lot::lock_api::MutexGuard<'l, FutexLock, T>;

impl LockFutex for FutexLock {
    fn word(&self) -> &AtomicU32 {
        &self.0
    }
    fn sleep(&self, seen: u32) {
        crate::sys::futex::wait_here(&self.0, seen);
    }
    fn wake_one(&self) {
        crate::sys::futex::wake_one_here(&self.0);
    }
}

// SAFETY: only the swap or exchange that finds FREE ends a `lock`, and only `unlock` stores FREE;
// so no other `lock` ends between a `lock` and its `unlock`.
unsafe impl parking_lot::lock_api::RawMutex for FutexLock {
    #[allow(clippy::declare_interior_mutable_const)]
    const INIT: FutexLock = FutexLock(AtomicU32::new(FREE));
    type GuardMarker = parking_lot::lock_api::GuardNoSend;

    fn lock(&self) {
        futex_lock::lock(self);
    }
    fn try_lock(&self) -> bool {
        futex_lock::try_lock(self)
    }
    unsafe fn unlock(&self) {
        futex_lock::unlock(self);
    }
}

pub(crate) fn lock(mutex: &Mutex<()>) -> MutexGuard<'_, ()> {
    mutex.lock()
}
