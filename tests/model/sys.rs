//! What the algorithms need of the system, as loom has it.

#[path = "../../src/sys/slept.rs"]
mod slept;
pub(crate) use slept::Slept;

pub(crate) mod thread {
    pub(crate) use crate::model::thread_id as id;

    /// Loom cancels no thread.
    pub(crate) struct Uncancelled;

    impl Uncancelled {
        pub(crate) fn new() -> Uncancelled {
            Uncancelled
        }
    }
}
