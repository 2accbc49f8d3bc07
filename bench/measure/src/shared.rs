//! Memory that the two processes share without the library.

use nix::sys::mman::{MapFlags, ProtFlags, mmap_anonymous};
use std::marker::PhantomData;
use std::num::NonZeroUsize;
use std::ops::Deref;
use std::ptr::NonNull;

/// Types for which zeroed memory is a value, and which other processes may change under a `&`.
///
/// # Safety
/// Only atomics, and cells of integers.
pub unsafe trait Zeroable {}

/// A value on lines of its own: lines are fetched in pairs, so 128 bytes.
#[repr(C, align(128))]
pub struct Line<T>(pub T);

/// A zeroed `T` that a forked child shares. Never unmapped: it lives as long as the process.
pub struct Shared<T> {
    at: NonNull<T>,
    marker: PhantomData<T>,
}

impl<T: Zeroable> Shared<T> {
    /// Maps it, and touches all of its pages.
    ///
    /// # Panics
    /// Where there is no memory.
    #[must_use]
    pub fn zeroed() -> Shared<T> {
        let size = NonZeroUsize::new(size_of::<T>()).expect("a type with a size");
        let flags = MapFlags::MAP_SHARED | MapFlags::MAP_POPULATE;
        // SAFETY: new memory, at an address of the kernel's choice.
        let at = unsafe { mmap_anonymous(None, size, ProtFlags::PROT_READ | ProtFlags::PROT_WRITE, flags) };
        Shared { at: at.expect("shared memory").cast(), marker: PhantomData }
    }
}

impl<T: Zeroable> Deref for Shared<T> {
    type Target = T;

    fn deref(&self) -> &T {
        // SAFETY: mapped for good, aligned to a page, and zero is a value of the type.
        unsafe { self.at.as_ref() }
    }
}
