//! Messages in their slots: one that is to be written, and one that is read.

use super::ring::{Bytes, Ring};
use crate::error::Result;
use crate::pod::Plain;
use crate::protocol::atomics::{load_bytes, store_bytes};
use std::mem::MaybeUninit;

/// A slot of a ring that waits for its message. Dropping it gives the slot up.
pub struct Reservation<'r, T = Bytes> {
    pub(super) ring: &'r Ring<T>,
    pub(super) message: *mut u8,
}

impl<T> Reservation<'_, T> {
    /// Where the message goes: `element_size` bytes, aligned to 16 (8 bytes or fewer) or 32.
    pub fn as_mut_ptr(&self) -> *mut u8 {
        self.message
    }

    /// Writes bytes of the message, from `offset` on.
    ///
    /// # Panics
    /// When they do not lie within the message.
    pub fn write_bytes(&mut self, offset: usize, bytes: &[u8]) {
        assert!(offset.checked_add(bytes.len()).is_some_and(|end| end <= self.ring.element_size), "beyond the message");
        // SAFETY: within the slot, which is reserved for this value.
        unsafe { store_bytes(bytes.as_ptr(), self.message.add(offset), bytes.len()) };
    }

    /// Publishes the message.
    ///
    /// # Errors
    /// `EBADMSG`, `ESTALE`: it was not published.
    pub fn commit(self) -> Result<()> {
        let committed = self.ring.handle.commit(self.message as usize);
        std::mem::forget(self);
        committed
    }
}

impl<T: Plain> Reservation<'_, T> {
    /// Writes the message.
    pub fn write(&mut self, message: &T) {
        // SAFETY: as above.
        unsafe { store_bytes(std::ptr::from_ref(message).cast(), self.message, size_of::<T>()) };
    }
}

impl<T> Drop for Reservation<'_, T> {
    fn drop(&mut self) {
        let _ = self.ring.handle.abort(self.message as usize);
    }
}

/// The oldest message of a ring, in its slot. Dropping it frees the slot.
///
/// A process that may write the ring's memory can change the message while it is held: copy what
/// must not change after it was checked.
pub struct Message<'r, T = Bytes> {
    pub(super) ring: &'r Ring<T>,
    pub(super) message: *const u8,
}

impl<T> Message<'_, T> {
    /// Where the message is: `element_size` bytes.
    pub fn as_ptr(&self) -> *const u8 {
        self.message
    }

    /// Copies bytes of the message, from `offset` on.
    ///
    /// # Panics
    /// When they do not lie within the message.
    pub fn read_bytes(&self, offset: usize, bytes: &mut [u8]) {
        assert!(offset.checked_add(bytes.len()).is_some_and(|end| end <= self.ring.element_size), "beyond the message");
        // SAFETY: within the slot, which is not written to while this value holds it.
        unsafe { load_bytes(self.message.add(offset), bytes.as_mut_ptr(), bytes.len()) };
    }
}

impl<T: Plain> Message<'_, T> {
    /// A copy of the message.
    pub fn get(&self) -> T {
        let mut message = MaybeUninit::<T>::uninit();
        // SAFETY: the slot holds as many bytes as a `T` has, and any bytes are a valid `T`.
        unsafe {
            load_bytes(self.message, message.as_mut_ptr().cast(), size_of::<T>());
            message.assume_init()
        }
    }
}

impl<T> Drop for Message<'_, T> {
    fn drop(&mut self) {
        let _ = self.ring.handle.release(self.message as usize);
    }
}
