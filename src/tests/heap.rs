//! Private memory from the heap: the sanitizer sees the first byte on either side, and it costs no
//! system calls.

use nix::errno::Errno;
use std::alloc::{Layout, alloc_zeroed, dealloc};
use std::num::NonZeroUsize;
use std::ptr::NonNull;

/// Larger requests are refused: the sanitizer ends a process that asks for more memory than there
/// is.
const MOST: usize = 1 << 26;
const PAGE: usize = 4096;

fn layout(bytes: usize) -> Option<Layout> {
    // The head of a region lies at a multiple of 128. For less than a page, a page's alignment
    // would cost the sanitizer two pages.
    Layout::from_size_align(bytes, if bytes < PAGE { 128 } else { PAGE }).ok()
}

/// Aligned to a page if it is at least a page, else to 128 bytes.
pub(crate) fn zeroed(bytes: NonZeroUsize) -> nix::Result<NonNull<u8>> {
    let layout = layout(bytes.get()).filter(|layout| layout.size() <= MOST).ok_or(Errno::ENOMEM)?;
    // SAFETY: the size is not zero.
    NonNull::new(unsafe { alloc_zeroed(layout) }).ok_or(Errno::ENOMEM)
}

/// # Safety
/// `start` comes from [`zeroed`] with as many bytes, and is no longer used.
pub(crate) unsafe fn free(start: NonNull<u8>, bytes: usize) {
    let Some(layout) = layout(bytes) else { return };
    // SAFETY: this was the layout, as the caller promises.
    unsafe { dealloc(start.as_ptr(), layout) };
}
