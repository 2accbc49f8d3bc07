//! Every system call of the library, and the unsafe code that needs no knowledge of samples: safe interfaces over
//! objects, locks, mappings, futexes, processes, and memory whose type is stable.

#[cfg(not(loom))]
pub(crate) mod barrier;
#[cfg(not(loom))]
pub(crate) mod clock;
#[cfg(not(loom))]
pub(crate) mod condition;
#[cfg(not(loom))]
mod descriptors;
pub(crate) mod environment;
#[cfg(not(loom))]
pub(crate) mod fork;
#[cfg(not(loom))]
pub(crate) mod futex;
pub(crate) mod limits;
#[cfg(not(loom))]
pub(crate) mod mapping;
#[cfg(not(loom))]
pub(crate) mod nap;
#[cfg(not(loom))]
pub(crate) mod object;
#[cfg(not(loom))]
pub(crate) mod process;
pub(crate) mod resident;
#[cfg(not(loom))]
pub(crate) mod sealed;
#[cfg(not(loom))]
pub(crate) mod semaphore;
#[cfg(not(loom))]
pub(crate) mod sysv;
pub(crate) mod thread;

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
