//! How a pointer to a handle is told from any other pointer, and one kind of handle from another.
//!
//! A handle begins with its own address plus the tag of its kind. The C interface loads only that
//! word before it accepts a pointer as a handle. Handles lie in type-stable memory (`slab`), so the
//! word of a closed handle stays.

use std::sync::atomic::{AtomicUsize, Ordering::Relaxed};

/// A kind of handle. Its number is below 8, which handles are aligned to.
#[derive(Clone, Copy)]
pub(crate) enum HandleKind {
    /// A channel in one region. 0, so that the word of the busiest kind is its address.
    Native,
    /// A channel in the wire layout.
    Wire,
    Ring,
    Endpoint,
    Segment,
}

/// The first field of a handle. Relaxed: every user of the pointer has it from a call that came
/// after the store.
#[repr(transparent)]
#[derive(Default)]
pub(crate) struct Tag(AtomicUsize);

impl Tag {
    fn address(&self) -> usize {
        std::ptr::from_ref(self) as usize
    }

    /// Marks the handle that begins here.
    pub(crate) fn mark(&self, kind: HandleKind) {
        self.0.store(self.address() + kind as usize, Relaxed);
    }

    /// Whether a handle of this kind begins here.
    #[inline(always)]
    pub(crate) fn is(&self, kind: HandleKind) -> bool {
        self.0.load(Relaxed) == self.address() + kind as usize
    }

    /// Whether a handle of any kind begins here.
    pub(crate) fn is_any(&self) -> bool {
        self.0.load(Relaxed).wrapping_sub(self.address()) < 8
    }
}
