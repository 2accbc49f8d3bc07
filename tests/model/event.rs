//! Events under loom: every interleaving of these threads, with the library's own functions. A
//! sleep here ends only by a wake-up, so a missed signal is a deadlock, which loom reports.

use crate::protocol::atomics::Shared64;
use crate::protocol::event::{EventFutex, doze, signal, take};
use crate::sys::Slept;
use loom::cell::UnsafeCell;
use loom::sync::{Arc, Condvar, Mutex};
use loom::thread;
use std::time::Duration;

struct Board {
    word: Shared64,
    /// The kernel's lock of the futex, and its sleepers.
    futex: Mutex<()>,
    sleepers: Condvar,
    /// The value that the signal announces; loom reports an unordered access.
    value: UnsafeCell<u32>,
}

impl Board {
    fn new() -> Arc<Board> {
        Arc::new(Board { word: Shared64::new(0), futex: Mutex::new(()), sleepers: Condvar::new(), value: UnsafeCell::new(0) })
    }

    fn wait(&self, seen: &mut u64) -> u64 {
        loop {
            let fresh = take(self, seen);
            if fresh > 0 {
                return fresh;
            }
            doze(self, *seen, Duration::MAX);
        }
    }

    fn wait_for(&self, signals: u64) {
        let mut seen = 0;
        let mut sum = 0;
        while sum < signals {
            sum += self.wait(&mut seen);
        }
        assert_eq!((sum, seen), (signals, signals));
    }
}

impl EventFutex for Board {
    fn word(&self) -> &Shared64 {
        &self.word
    }
    fn sleep(&self, seen: u64, _slice: Duration) -> Slept {
        let kernel = self.futex.lock().unwrap();
        // The kernel compares half of the word.
        if self.word.get() as u32 == seen as u32 {
            drop(self.sleepers.wait(kernel));
        }
        Slept::Woken
    }
    fn wake(&self) {
        drop(self.futex.lock());
        self.sleepers.notify_all();
    }
}

fn explore(preemptions: Option<usize>, test: impl Fn() + Sync + Send + 'static) {
    let mut builder = loom::model::Builder::new();
    builder.preemption_bound = preemptions;
    builder.check(test);
}

#[test]
fn nobody_sleeps_through_a_signal_and_what_was_written_before_it_is_there() {
    explore(None, || {
        let ours = Board::new();
        let theirs = ours.clone();
        let waiter = thread::spawn(move || {
            theirs.wait(&mut 0);
            // SAFETY: loom reports the access if it is not ordered with the other.
            assert_eq!(theirs.value.with(|value| unsafe { *value }), 42);
        });
        // SAFETY: as above.
        ours.value.with_mut(|value| unsafe { *value = 42 });
        signal(&*ours);
        waiter.join().unwrap();
    });
}

#[test]
fn each_of_two_waiters_gets_each_signal_of_two_signallers() {
    explore(Some(2), || {
        let board = Board::new();
        let waiters = [board.clone(), board.clone()].map(|board| thread::spawn(move || board.wait_for(2)));
        let other = board.clone();
        let signaller = thread::spawn(move || signal(&*other));
        signal(&*board);
        signaller.join().unwrap();
        for waiter in waiters {
            waiter.join().unwrap();
        }
    });
}

#[test]
fn a_waiter_that_dies_before_it_sleeps_takes_no_signal_from_the_others() {
    explore(Some(2), || {
        let board = Board::new();
        let [dying, waiting] = [board.clone(), board.clone()];
        let dying = thread::spawn(move || {
            // The only store of a waiter.
            dying.word.raise(crate::protocol::event::ASLEEP);
        });
        let waiting = thread::spawn(move || waiting.wait_for(2));
        signal(&*board);
        signal(&*board);
        dying.join().unwrap();
        waiting.join().unwrap();
    });
}
