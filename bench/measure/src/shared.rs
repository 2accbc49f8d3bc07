//! Memory that the two processes share without the library.

use nix::sys::mman::{MapFlags, MmapAdvise, ProtFlags, madvise, mmap_anonymous};
use std::ffi::c_void;
use std::marker::PhantomData;
use std::num::NonZeroUsize;
use std::ops::Deref;
use std::ptr::NonNull;

/// Types for which zeroed memory is a value, and which other processes may change behind a `&`.
///
/// # Safety
/// Only atomics, and cells of integers.
pub unsafe trait Zeroable {}

/// A value on its own cache lines: the processor fetches lines in pairs, so 128 bytes.
#[repr(C, align(128))]
pub struct Line<T>(pub T);

/// Zeroed memory that a forked child shares, with all its pages touched. Never unmapped: it lives
/// as long as the process.
fn mapped(bytes: usize) -> NonNull<c_void> {
    let size = NonZeroUsize::new(bytes).expect("a size");
    let flags = MapFlags::MAP_SHARED | MapFlags::MAP_POPULATE;
    // SAFETY: new memory, at an address of the kernel's choice.
    let at = unsafe { mmap_anonymous(None, size, ProtFlags::PROT_READ | ProtFlags::PROT_WRITE, flags) };
    at.expect("shared memory")
}

/// Gives the pages back, so that the next use takes others: which ones the kernel gives is a draw
/// that a measurement must not make once only.
fn renew(at: NonNull<c_void>, bytes: usize) {
    // Where the kernel cannot do that, the pages stay.
    // SAFETY: whole pages of such a mapping, which no process uses now.
    let _ = unsafe { madvise(at, bytes.next_multiple_of(4096), MmapAdvise::MADV_REMOVE) };
    // SAFETY: as above.
    unsafe { at.cast::<u8>().write_bytes(0, bytes) };
}

/// Words whose number is known only at run time, at the beginning of a page.
pub struct SharedWords(NonNull<u64>);

impl SharedWords {
    /// Maps the words.
    ///
    /// # Panics
    /// If there is no memory.
    #[must_use]
    pub fn zeroed(count: usize) -> SharedWords {
        SharedWords(mapped(8 * count).cast())
    }

    /// Takes other pages for the words, which are zero then. To be called while no process uses
    /// them.
    pub fn renew(&self, count: usize) {
        renew(self.0.cast(), 8 * count);
    }

    /// The first word.
    #[must_use]
    pub fn at(&self) -> *mut u64 {
        self.0.as_ptr()
    }
}

/// A zeroed `T` that a forked child shares. Never unmapped: it lives as long as the process.
pub struct Shared<T> {
    at: NonNull<T>,
    marker: PhantomData<T>,
}

impl<T: Zeroable> Shared<T> {
    /// Maps it and touches all its pages.
    ///
    /// # Panics
    /// If there is no memory.
    #[must_use]
    pub fn zeroed() -> Shared<T> {
        Shared { at: mapped(size_of::<T>()).cast(), marker: PhantomData }
    }

    /// Takes other pages for it, which are zero then. To be called while no process uses it.
    pub fn renew(&self) {
        renew(self.at.cast(), size_of::<T>());
    }
}

impl<T: Zeroable> Deref for Shared<T> {
    type Target = T;

    fn deref(&self) -> &T {
        // SAFETY: never unmapped, aligned to a page, and zero is a value of the type.
        unsafe { self.at.as_ref() }
    }
}
