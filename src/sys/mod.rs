//! Every system call of the library, and its instructions to processor and compiler: safe
//! interfaces for objects, locks, mappings, futexes, processes and fences.

pub(crate) mod barrier;
pub(crate) mod clock;
pub(crate) mod condition;
mod descriptors;
pub(crate) mod environment;
pub(crate) mod fork;
pub(crate) mod futex;
pub(crate) mod limits;
pub(crate) mod mapping;
pub(crate) mod nap;
pub(crate) mod object;
pub(crate) mod own_fd;
pub(crate) mod process;
pub(crate) mod processor;
pub(crate) mod resident;
pub(crate) mod sealed;
pub(crate) mod semaphore;
mod slept;
pub(crate) mod sysv;
pub(crate) mod thread;
pub(crate) mod trial;

pub(crate) use slept::Slept;
