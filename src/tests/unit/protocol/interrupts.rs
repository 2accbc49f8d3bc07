//! Of `protocol/interrupts`.

use super::*;

/// A wait that finds nothing; returns whether an interruption ends it.
fn wait(interrupts: &Interrupts) -> bool {
    let is_due = interrupts.is_due(interrupts.seen());
    if is_due {
        interrupts.answer();
    }
    is_due
}

#[test]
fn an_interruption_ends_the_next_wait_and_only_that() {
    let interrupts = Interrupts::new();
    assert!(!wait(&interrupts));
    interrupts.raise();
    interrupts.raise();
    assert_eq!([(); 3].map(|()| wait(&interrupts)), [true, false, false]);
}

#[test]
fn an_interruption_ends_all_waits_that_have_begun_and_none_after_them() {
    let interrupts = Interrupts::new();
    let (one, other) = (interrupts.seen(), interrupts.seen());
    interrupts.raise();
    assert!(interrupts.is_due(one));
    interrupts.answer();
    assert!(interrupts.is_due(other) && !wait(&interrupts));
    interrupts.answer();
    assert!(!wait(&interrupts));
}
