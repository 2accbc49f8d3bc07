//! The result of a sleep.

/// How a sleep ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Slept {
    /// Woken, or the value had changed, or without a reason.
    Woken,
    /// The slice is over.
    Slice,
    /// A signal handler ran.
    Signal,
}
