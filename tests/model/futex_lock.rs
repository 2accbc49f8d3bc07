//! The lock of a process under loom: interleavings of two or three threads. A sleep here ends only
//! by a wake-up, so a missed unlock is a deadlock, which loom reports.

use crate::protocol::atomics::AtomicU32;
use crate::protocol::futex_lock::{FREE, LockFutex, lock, unlock};
use loom::cell::UnsafeCell;
use loom::sync::{Arc, Condvar, Mutex};
use loom::thread;
use std::sync::atomic::Ordering::Relaxed;

struct Counter {
    word: AtomicU32,
    /// The kernel's lock of the futex, and its sleepers.
    kernel: Mutex<()>,
    sleepers: Condvar,
    /// Loom reports two turns at once.
    turns: UnsafeCell<u32>,
}

impl LockFutex for Counter {
    fn word(&self) -> &AtomicU32 {
        &self.word
    }
    fn sleep(&self, seen: u32) {
        let kernel = self.kernel.lock().unwrap();
        if self.word.load(Relaxed) == seen {
            drop(self.sleepers.wait(kernel));
        }
    }
    fn wake_one(&self) {
        drop(self.kernel.lock());
        self.sleepers.notify_one();
    }
}

fn take_turns(threads: u32, turns: u32, preemptions: Option<usize>) {
    let mut builder = loom::model::Builder::new();
    builder.preemption_bound = preemptions;
    builder.check(move || {
        let counter = Arc::new(Counter {
            word: AtomicU32::new(FREE),
            kernel: Mutex::new(()),
            sleepers: Condvar::new(),
            turns: UnsafeCell::new(0),
        });
        let work = move |counter: Arc<Counter>| {
            for _ in 0..turns {
                lock(&*counter);
                // SAFETY: loom reports an access that is not ordered with others.
                counter.turns.with_mut(|sum| unsafe { *sum += 1 });
                unlock(&*counter);
            }
        };
        let others: Vec<_> = (1..threads)
            .map(|_| {
                let counter = counter.clone();
                thread::spawn(move || work(counter))
            })
            .collect();
        work(counter.clone());
        for other in others {
            other.join().unwrap();
        }
        // SAFETY: as above.
        counter.turns.with(|sum| assert_eq!(unsafe { *sum }, threads * turns));
    });
}

#[test]
fn two_threads_take_turns_and_none_sleeps_for_ever() {
    take_turns(2, 2, Some(3));
}

#[test]
fn three_threads_take_turns_and_none_sleeps_for_ever() {
    take_turns(3, 1, Some(3));
}
