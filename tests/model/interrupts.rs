//! Interruptions under loom: every interleaving of these threads, with the functions that the library runs.

use crate::protocol::interrupts::Interrupts;
use loom::cell::UnsafeCell;
use loom::sync::Arc;
use loom::thread;

struct Board {
    interrupts: Interrupts,
    /// What is stored before the interruption; loom reports a look that is not ordered.
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
            // SAFETY: nobody stores after the interruption.
            assert!(self.flag.with(|flag| unsafe { *flag }));
        }
        is_due
    }
}

/// One that a wait beside it misses ends the next wait; one that ends a wait does not end the
/// next one, too.
#[test]
fn an_interruption_is_neither_lost_nor_told_twice() {
    loom::model(|| {
        let board = Arc::new(Board { interrupts: Interrupts::new(), flag: UnsafeCell::new(false) });
        let waiters = [(); 2].map(|()| {
            let board = board.clone();
            thread::spawn(move || board.wait())
        });
        // SAFETY: nobody looks before the interruption.
        board.flag.with_mut(|flag| unsafe { *flag = true });
        board.interrupts.raise();
        let ended = waiters.map(|waiter| waiter.join().unwrap());
        assert_ne!(ended.contains(&true), board.wait());
        assert!(!board.wait());
    });
}
