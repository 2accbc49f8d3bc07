//! Loom's atomics, made so that loom tries both orders of any two accesses to one of them.
//!
//! When loom looks for orders to try, it remembers only the last access to each object, and treats
//! two loads as independent. So a thread that loads a word and then changes it hides an earlier
//! load by another thread: of "A loads x; B loads x, then stores x" loom tries one order only. Here
//! a relaxed read-modify-write of a private companion word precedes each access. Loom treats that
//! as dependent on every other access to the companion, so remembering the last one suffices. The
//! companion orders nothing: relaxed, it makes no other store visible; and its value is never read,
//! so it adds no state.

use loom::sync::atomic::{self, Ordering};

macro_rules! atomic {
    ($name:ident, $int:ty) => {
        #[derive(Debug)]
        pub(crate) struct $name {
            word: atomic::$name,
            companion: atomic::AtomicUsize,
        }

        impl $name {
            pub(crate) fn new(value: $int) -> Self {
                Self { word: atomic::$name::new(value), companion: atomic::AtomicUsize::new(0) }
            }
            fn access(&self) -> &atomic::$name {
                self.companion.fetch_add(1, Ordering::Relaxed);
                &self.word
            }
            pub(crate) fn load(&self, order: Ordering) -> $int {
                self.access().load(order)
            }
            pub(crate) fn store(&self, value: $int, order: Ordering) {
                self.access().store(value, order);
            }
            pub(crate) fn swap(&self, value: $int, order: Ordering) -> $int {
                self.access().swap(value, order)
            }
            pub(crate) fn compare_exchange(&self, seen: $int, next: $int, done: Ordering, not: Ordering) -> Result<$int, $int> {
                self.access().compare_exchange(seen, next, done, not)
            }
            pub(crate) fn fetch_add(&self, more: $int, order: Ordering) -> $int {
                self.access().fetch_add(more, order)
            }
            /// No kernel sleeps on a word here: the models have their own futexes.
            pub(crate) fn as_ptr(&self) -> *mut $int {
                unreachable!("a model hands no word to the kernel")
            }
            pub(crate) fn fetch_max(&self, least: $int, order: Ordering) -> $int {
                self.access().fetch_max(least, order)
            }
            pub(crate) fn fetch_sub(&self, less: $int, order: Ordering) -> $int {
                self.access().fetch_sub(less, order)
            }
            pub(crate) fn fetch_or(&self, bits: $int, order: Ordering) -> $int {
                self.access().fetch_or(bits, order)
            }
            pub(crate) fn fetch_and(&self, bits: $int, order: Ordering) -> $int {
                self.access().fetch_and(bits, order)
            }
        }
    };
}

atomic!(AtomicU32, u32);
atomic!(AtomicU64, u64);
atomic!(AtomicUsize, usize);
