//! Memory that nothing may touch. The address sanitizer reports any access to it; without the
//! sanitizer these functions do nothing.

#[cfg(asan)]
unsafe extern "C" {
    fn __asan_poison_memory_region(start: *const u8, length: usize);
    fn __asan_unpoison_memory_region(start: *const u8, length: usize);
}

/// Forbids a range: between the end of a region and the end of its last page, or an unused mapping.
pub fn close(_start: *const u8, _length: usize) {
    #[cfg(asan)]
    // SAFETY: marks only the sanitizer's own shadow of the range.
    unsafe {
        __asan_poison_memory_region(_start, _length);
    }
}

/// Allows it again for the next user of these addresses.
pub fn open(_start: *const u8, _length: usize) {
    #[cfg(asan)]
    // SAFETY: as above.
    unsafe {
        __asan_unpoison_memory_region(_start, _length);
    }
}
