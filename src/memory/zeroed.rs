//! A zeroed array in private memory of its own. The system allocates each page at its first use,
//! and freeing needs no heap, so even a signal handler may drop the array.

use crate::error::{Error, Result};
use crate::sys::resident;
use crate::sys::trial::{self, IS_FUZZED};
use nix::errno::Errno;
use nix::sys::mman::{MapFlags, ProtFlags, mmap_anonymous, munmap};
use std::num::NonZeroUsize;
use std::ops::{Deref, DerefMut};
use std::ptr::NonNull;

/// Plain data for which all bytes zero is a valid value.
///
/// # Safety
/// Implementors promise that.
pub(crate) unsafe trait Zeroable: Copy {}
// SAFETY: an integer.
unsafe impl Zeroable for u32 {}
// SAFETY: an integer.
unsafe impl Zeroable for u64 {}
// SAFETY: an integer.
unsafe impl Zeroable for u8 {}

/// See the module's description. An empty one has no memory.
pub(crate) struct Table<T: Zeroable> {
    start: NonNull<T>,
    length: usize,
}

// SAFETY: it owns its memory, as a `Vec` does.
unsafe impl<T: Zeroable + Send> Send for Table<T> {}

impl<T: Zeroable> Table<T> {
    /// `ENOMEM`: there is no memory for `what`.
    pub(crate) fn new(length: usize, what: &str) -> Result<Self> {
        let missing = |e| Error::memory(e, format_args!("no memory for {what}"));
        let bytes = length.checked_mul(size_of::<T>()).ok_or_else(|| missing(Errno::ENOMEM))?;
        let Some(bytes) = NonZeroUsize::new(bytes) else { return Ok(Table { start: NonNull::dangling(), length }) };
        let start = trial::heap(bytes).unwrap_or_else(|| {
            // SAFETY: a fresh private mapping at an address of the kernel's choice.
            let start = unsafe {
                mmap_anonymous(
                    None,
                    bytes,
                    ProtFlags::PROT_READ | ProtFlags::PROT_WRITE,
                    MapFlags::MAP_PRIVATE | MapFlags::MAP_NORESERVE,
                )
            };
            start.map(NonNull::cast)
        });
        Ok(Table { start: start.map_err(missing)?.cast(), length })
    }

    /// As [`Table::new`], for data of the hot path: locked in RAM if the user asks for that.
    pub(crate) fn resident(length: usize, what: &str) -> Result<Self> {
        let table = Self::new(length, what)?;
        if table.is_empty() {
            return Ok(table);
        }
        // SAFETY: the mapping has that many bytes.
        unsafe { resident::lock_if_asked(table.start.cast(), length * size_of::<T>()) }?;
        Ok(table)
    }
}

impl<T: Zeroable> Deref for Table<T> {
    type Target = [T];
    #[inline(always)]
    fn deref(&self) -> &[T] {
        // SAFETY: the mapping is page-aligned, has this length, and is ours alone; zero is a valid
        // `T`.
        unsafe { std::slice::from_raw_parts(self.start.as_ptr(), self.length) }
    }
}

impl<T: Zeroable> DerefMut for Table<T> {
    #[inline(always)]
    fn deref_mut(&mut self) -> &mut [T] {
        // SAFETY: as above.
        unsafe { std::slice::from_raw_parts_mut(self.start.as_ptr(), self.length) }
    }
}

impl<T: Zeroable> Drop for Table<T> {
    fn drop(&mut self) {
        let bytes = self.length * size_of::<T>();
        if bytes == 0 {
            return;
        }
        if IS_FUZZED {
            // SAFETY: it was made there, of this size; it is ours, and nothing borrows from it.
            return unsafe { trial::free_heap(self.start.cast(), bytes) };
        }
        // SAFETY: the mapping is ours and nothing borrows from it.
        let _ = unsafe { munmap(self.start.cast(), bytes) };
    }
}
