//! Interruptions under loom: every interleaving of these threads, with the library's own functions.

use crate::protocol::interrupts::Interrupts;
use loom::cell::UnsafeCell;
use loom::sync::Arc;
use loom::thread;

struct Board {
    interrupts: Interrupts,
    /// Stored before the interruption; loom reports an unordered access.
    flag: UnsafeCell<bool>,
}

// SAFETY: loom watches the cell.
unsafe impl Sync for Board {}
// SAFETY: as above.
unsafe impl Send for Board {}

impl Board {
    /// A wait that looks once.
    fn wait(&self) -> bool {
        let is_due = self.interrupts.is_due(self.interrupts.seen());
        if is_due {
            self.interrupts.answer();
            // SAFETY: no thread stores after the interruption.
            assert!(self.flag.with(|flag| unsafe { *flag }));
        }
        is_due
    }
}

/// An interruption that a concurrent wait misses ends the next wait; one that ends a wait does not
/// end the next wait too.
#[test]
fn an_interruption_is_neither_lost_nor_told_twice() {
    loom::model(|| {
        let board = Arc::new(Board { interrupts: Interrupts::new(), flag: UnsafeCell::new(false) });
        let waiters = [(); 2].map(|()| {
            let board = board.clone();
            thread::spawn(move || board.wait())
        });
        // SAFETY: no thread looks before the interruption.
        board.flag.with_mut(|flag| unsafe { *flag = true });
        board.interrupts.raise();
        let ended = waiters.map(|waiter| waiter.join().unwrap());
        assert_ne!(ended.contains(&true), board.wait());
        assert!(!board.wait());
    });
}
