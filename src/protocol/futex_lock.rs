//! A process-private lock on a futex word, for `parking_lot`'s `Mutex` ([`mutex`](super::mutex)).
//!
//! `parking_lot`'s own lock keeps sleeping threads in one table for the whole process. The child of
//! a fork inherits that table, with threads that do not exist in the child and locks that nobody
//! releases: a thread of the child could sleep forever at one of the child's own locks. This lock
//! keeps its whole state in its own word.
//!
//! | edge | stores | loads | what it carries |
//! |---|---|---|---|
//! | L1 | unlock: what was done under the lock, then the word, release | lock: the word, acquire | turns come one after the other |
//!
//! A thread that does not get the lock stores CONTENDED before it sleeps, and the kernel lets it
//! sleep only while the word has that value. So an unlock that replaces TAKEN need not wake
//! anybody: a thread that comes later finds the word FREE.

use crate::protocol::atomics::{AtomicU32, relax};
use crate::sys::trial::looks;
use std::sync::atomic::Ordering::{Acquire, Relaxed, Release};

pub(crate) const FREE: u32 = 0;
const TAKEN: u32 = 1;
/// Taken, and threads may be asleep.
const CONTENDED: u32 = 2;

/// Looks at a taken lock before a thread sleeps: about the length of a short turn.
const LOOKS: u32 = looks(100, 100);

/// A lock's word, with its sleep and wake-up.
pub(crate) trait LockFutex {
    fn word(&self) -> &AtomicU32;
    /// Sleeps while the word is `seen`; may return early without a reason.
    fn sleep(&self, seen: u32);
    /// Wakes one sleeper.
    fn wake_one(&self);
}

pub(super) fn try_lock(futex: &impl LockFutex) -> bool {
    futex.word().compare_exchange(FREE, TAKEN, Acquire, Relaxed).is_ok() // L1
}

pub(crate) fn lock(futex: &impl LockFutex) {
    if !try_lock(futex) {
        lock_slowly(futex);
    }
}

#[cold]
fn lock_slowly(futex: &impl LockFutex) {
    // While all waiters only look, an unlock makes no system call.
    for _ in 0..LOOKS {
        match futex.word().load(Relaxed) {
            FREE if try_lock(futex) => return,
            CONTENDED => break,
            _ => relax(),
        }
    }
    // The thread cannot know whether others sleep, so it keeps CONTENDED even once it has the lock.
    // L1
    while futex.word().swap(CONTENDED, Acquire) != FREE {
        futex.sleep(CONTENDED);
    }
}

pub(crate) fn unlock(futex: &impl LockFutex) {
    // L1
    if futex.word().swap(FREE, Release) == CONTENDED {
        futex.wake_one();
    }
}
