//! Types that may lie in shared memory.

/// Types that may lie in shared memory: plain data for which every bit pattern is a valid value.
///
/// # Safety
/// Implementors promise that each sequence of `size_of::<Self>()` bytes is a valid `Self`, that all bytes of a value are initialised
/// (no padding).
pub unsafe trait Plain: Copy + Send + 'static {}

macro_rules! plain {
    ($($t:ty)*) => { $(
        // SAFETY: every bit pattern is a number.
        unsafe impl Plain for $t {}
    )* };
}
plain!(u8 u16 u32 u64 u128 usize i8 i16 i32 i64 i128 isize f32 f64);
// SAFETY: as its elements, without padding between them.
unsafe impl<T: Plain, const N: usize> Plain for [T; N] {}
