//! A door for the fuzz targets (`fuzz/`), which are a crate of their own: what a program cannot see of the library and a fuzzer has to.
//! Never in a release.

use crate::channel::AnyHandle;
use crate::inspect::{Entry, Processes};
use crate::{Channel, Result, Sample};

#[cfg(not(any(test, fuzzing, debug_assertions)))]
compile_error!("the feature \"fuzzing\" is for test builds: its profile must have debug assertions");

/// Attaches to `bytes` as to a region in the wire layout, and does with it what can be done. Whether they were taken for one.
pub fn wire(bytes: &[u8]) -> bool {
    crate::channel::wire::exercise::exercise(bytes).attached
}

/// Where the region of a channel of one region lies in this process: its address and its bytes.
pub fn span(channel: &Channel) -> (usize, usize) {
    match channel.handle() {
        AnyHandle::Native(handle) => handle.spans()[0],
        AnyHandle::Wire(handle) => handle.spans()[0],
    }
}

/// What a C program knows the sample by.
pub fn address(sample: &Sample) -> usize {
    sample.address()
}

/// [`look`](crate::inspect::look) without the search through `/proc` for those who have the object mapped, which is nearly all that it
/// costs and does not depend on what is in the object.
///
/// # Errors
/// As `look`.
pub fn look(name: impl AsRef<std::ffi::OsStr>, waiting: usize) -> Result<Entry> {
    crate::inspect::look_among(name, waiting, Processes::none)
}

/// Memory that nothing may touch. Under the address sanitizer a step into it is reported; without it these do nothing.
pub mod forbidden {
    #[cfg(asan)]
    unsafe extern "C" {
        fn __asan_poison_memory_region(start: *const u8, length: usize);
        fn __asan_unpoison_memory_region(start: *const u8, length: usize);
    }

    /// Forbids a range: what lies between the end of a region and the end of its last page, or a mapping that nobody has.
    pub fn close(_start: *const u8, _length: usize) {
        #[cfg(asan)]
        // SAFETY: marks only the sanitizer's own shadow of the range.
        unsafe {
            __asan_poison_memory_region(_start, _length);
        }
    }

    /// Allows it again, for whoever gets these addresses next.
    pub fn open(_start: *const u8, _length: usize) {
        #[cfg(asan)]
        // SAFETY: as above.
        unsafe {
            __asan_unpoison_memory_region(_start, _length);
        }
    }
}

/// Private memory from the heap, where the sanitizer sees the first byte on either side, and where it costs no system calls.
pub(crate) mod heap {
    use nix::errno::Errno;
    use std::alloc::{Layout, alloc_zeroed, dealloc};
    use std::num::NonZeroUsize;
    use std::ptr::NonNull;

    /// More is refused: the sanitizer ends a process that asks for more than there is.
    const MOST: usize = 1 << 26;
    const PAGE: usize = 4096;

    fn layout(bytes: usize) -> Option<Layout> {
        // The head of a region lies at a multiple of 128. For less than a page at a page's begin the sanitizer would take two.
        Layout::from_size_align(bytes, if bytes < PAGE { 128 } else { PAGE }).ok()
    }

    /// Page-aligned where it is a page or more, at a multiple of 128 where it is less.
    pub(crate) fn zeroed(bytes: NonZeroUsize) -> nix::Result<NonNull<u8>> {
        let layout = layout(bytes.get()).filter(|layout| layout.size() <= MOST).ok_or(Errno::ENOMEM)?;
        // SAFETY: the size is not zero.
        NonNull::new(unsafe { alloc_zeroed(layout) }).ok_or(Errno::ENOMEM)
    }

    /// # Safety
    /// `start` comes from [`zeroed`] with as many bytes, and is not used any more.
    pub(crate) unsafe fn free(start: NonNull<u8>, bytes: usize) {
        let Some(layout) = layout(bytes) else { return };
        // SAFETY: this was the layout, as the caller promises.
        unsafe { dealloc(start.as_ptr(), layout) };
    }
}
