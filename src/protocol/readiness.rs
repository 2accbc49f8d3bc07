//! A flag that says whether a call would go through without waiting, for event loops to poll.
//!
//! The flag is level-triggered: it stays raised until an attempt finds nothing. It may be raised
//! without a reason, and must not stay down while there is one. An attempt that has found nothing
//! takes it down, arms the doorbell, and looks once more ([`rest`]). A helper thread, which never
//! arms, listens to the doorbell: each time it has rung, the helper raises the flag ([`Listener`]).
//!
//! | edge | notifier | helper, then whoever sees the flag |
//! |---|---|---|
//! | N1 | what it publishes, then the bell's word (`doorbell::notify`), release | the word, acquire, then raises the flag; then a look, which finds what was published |
//!
//! No event is lost. Let something be published after the last look of [`rest`]. By an edge of
//! `doorbell` the notifier finds the bell armed, and changes its word. The helper sees that when it
//! next hears the word; the kernel, which compares the word before the helper sleeps, makes it look.
//! It raises the flag after the change, so after the flag was taken down. If it hears a change late,
//! of something that was published before, it raises the flag without a reason.

use crate::protocol::atomics::Shared32;

/// What event loops poll.
pub(crate) trait Flag {
    fn raise(&self);
    fn take_down(&self);
}

/// Takes the flag down after an attempt that found nothing, unless another one, `look`, finds something
/// or fails. `arm` arms the doorbell.
pub(crate) fn rest<A, T>(flag: &impl Flag, arm: impl FnOnce() -> A, look: impl FnOnce() -> Option<T>) -> Result<T, A> {
    flag.take_down();
    let armed = arm(); // W1, W2, W3
    match look() {
        Some(found) => {
            flag.raise();
            Ok(found)
        }
        None => Err(armed),
    }
}

/// A helper's memory of a doorbell's word.
pub(crate) struct Listener {
    heard: u32,
}

impl Listener {
    /// Made before the first [`rest`] that relies on it.
    pub(crate) fn new(word: &Shared32) -> Listener {
        Listener { heard: word.observe() } // N1
    }

    /// Raises the flag if the bell has rung since, which changes bits of `counts`, or if the kernel
    /// `woke` this thread. Returns the value with which to sleep on the word, and whether it rang.
    pub(crate) fn hear(&mut self, word: &Shared32, counts: u32, woke: bool, flag: &impl Flag) -> (u32, bool) {
        let now = word.observe(); // N1
        // A bell that was armed, or of which a promise was taken back, has not rung.
        let rang = woke || (now ^ self.heard) & counts != 0;
        self.heard = now;
        if rang {
            flag.raise();
        }
        (now, rang)
    }
}
