//! The caller's memory, as a call knows it: messages to push, and room for those that it pops.

use crate::protocol::atomics::{load_bytes, store_bytes};

/// Messages to push, one behind the other.
#[derive(Clone, Copy)]
pub(crate) struct ToPush(*const u8);

impl ToPush {
    /// # Safety
    /// As many messages of the ring as the call is told of are readable there until it returns.
    #[inline(always)]
    pub(crate) unsafe fn new(messages: *const u8) -> ToPush {
        ToPush(messages)
    }

    /// Writes message `at` to its slot.
    #[inline(always)]
    pub(super) fn write(self, at: usize, to: *mut u8, length: usize) {
        // SAFETY: as promised for `new`; a slot has room for a message, and is this thread's.
        unsafe { store_bytes(self.0.add(at * length), to, length) }
    }
}

/// Room for messages to pop, one behind the other.
#[derive(Clone, Copy)]
pub(crate) struct ToFill(*mut u8);

impl ToFill {
    /// # Safety
    /// As many messages of the ring as the call is told of can be written there until it returns.
    #[inline(always)]
    pub(crate) unsafe fn new(room: *mut u8) -> ToFill {
        ToFill(room)
    }

    /// Reads message `at` from its slot.
    #[inline(always)]
    pub(super) fn read(self, at: usize, from: *const u8, length: usize) {
        // SAFETY: as promised for `new`; a slot holds a message, and is this thread's.
        unsafe { load_bytes(from, self.0.add(at * length), length) }
    }
}

#[cfg(test)]
#[path = "../tests/unit/ring/buffers.rs"]
mod tests;
