//! Memory that nothing may touch. Under the address sanitizer a step into it is reported; without it these do nothing.

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
