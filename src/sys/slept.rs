//! What becomes of a thread that sleeps.

/// How a sleep ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Slept {
    /// Woken, or the value was another already, or for no reason.
    Woken,
    /// The slice is over.
    Slice,
    /// A signal handler ran.
    Signal,
}
