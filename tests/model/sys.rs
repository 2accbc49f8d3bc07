//! Loom's version of what the algorithms need from the system and the processor.

#[path = "../../src/sys/slept.rs"]
mod slept;
pub(crate) use slept::Slept;

pub(crate) mod thread {
    pub(crate) use crate::harness::thread_id as id;

    /// Loom cancels no thread.
    pub(crate) struct Uncancelled;

    impl Uncancelled {
        pub(crate) fn new() -> Uncancelled {
            Uncancelled
        }
    }

    /// A thread gives way by a yield: loom then runs another.
    pub(crate) struct Standing;

    impl Standing {
        pub(crate) fn new() -> Standing {
            Standing
        }
        pub(crate) fn give_way(&mut self) {
            loom::thread::yield_now();
        }
    }
}

/// Both halves of an asymmetric pair are full fences here (`src/sys/processor.rs`).
pub(crate) mod processor {
    pub(crate) use crate::harness::atomic::{AtomicU32, AtomicU64, AtomicUsize};
    use Ordering::SeqCst;
    pub(crate) use loom::sync::atomic::{Ordering, fence};
    pub(crate) use loom::thread::yield_now as relax;
    pub(crate) use loom::thread::yield_now as begin_again;

    /// Loom watches every access.
    pub(crate) struct SharedCell<T>(loom::cell::UnsafeCell<T>);

    impl<T> SharedCell<T> {
        pub(crate) fn new(value: T) -> Self {
            SharedCell(loom::cell::UnsafeCell::new(value))
        }
        pub(crate) fn get(&self) -> *const T {
            self.0.with(|value| value)
        }
        pub(crate) fn get_mut(&self) -> *mut T {
            self.0.with_mut(|value| value)
        }
    }

    pub(crate) fn light_fence() {
        fence(SeqCst);
    }
    pub(crate) fn light_fence_here() {
        fence(SeqCst);
    }
    pub(crate) fn light_store_fence() {
        fence(Ordering::Release);
    }
    pub(crate) fn heavy_fence() -> bool {
        fence(SeqCst);
        true
    }
    pub(crate) fn heavy_fence_here() {
        fence(SeqCst);
    }
    pub(crate) fn is_asymmetric() -> bool {
        true
    }

    pub(crate) const SHORT: usize = 512;
    /// No model copies a message.
    pub(crate) unsafe fn copy_short(_from: *const u8, _to: *mut u8, _length: usize) {
        unreachable!("a message in memory")
    }
}

pub(crate) mod trial {
    pub(crate) use crate::harness::step;

    pub(crate) const SPLITS_COPIES: bool = false;

    pub(crate) const fn usual_or(usual: u32, _fuzzed: u32) -> u32 {
        usual
    }
    /// Each look adds a state.
    pub(crate) const fn looks(_usual: u32, _fuzzed: u32) -> u32 {
        1
    }
}
