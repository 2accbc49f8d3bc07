//! Types that may lie in shared memory.

/// Types that may lie in shared memory: plain data for which every bit pattern is a valid value.
///
/// Numbers and arrays of them are. For structs, switch on the feature `bytemuck` and derive its
/// `AnyBitPattern` and `NoUninit` (or `Pod`): no `unsafe` is needed then.
///
/// ```
/// # #[cfg(feature = "bytemuck")] {
/// use bytemuck::{Pod, Zeroable};
/// use villas_shm::{Policy, Ring, Role};
///
/// #[derive(Clone, Copy, Pod, Zeroable)]
/// #[repr(C)]
/// struct Phasor { time: i64, magnitude: f64, angle: f64 }
///
/// # let name = format!("villas-doc-phasor-{}", std::process::id());
/// let ring = Ring::<Phasor>::open(&name, Policy::Spsc, Role::Producer, 16)?;
/// ring.try_push(&Phasor { time: 0, magnitude: 230.0, angle: 0.1 })?;
/// # Ring::unlink(&name)?;
/// # }
/// # Ok::<(), villas_shm::Error>(())
/// ```
///
/// # Safety
/// Implementors promise that each sequence of `size_of::<Self>()` bytes is a valid `Self`, and that
/// all bytes of a value are initialised (no padding).
pub unsafe trait Plain: Copy + Send + 'static {}

#[cfg(feature = "bytemuck")]
// SAFETY: what the two traits promise.
unsafe impl<T: bytemuck::AnyBitPattern + bytemuck::NoUninit + Send> Plain for T {}

#[cfg(not(feature = "bytemuck"))]
mod without_bytemuck {
    use super::Plain;

    macro_rules! plain {
        ($($t:ty)*) => { $(
            // SAFETY: every bit pattern is a number.
            unsafe impl Plain for $t {}
        )* };
    }
    plain!(u8 u16 u32 u64 u128 usize i8 i16 i32 i64 i128 isize f32 f64);
    // SAFETY: as its elements, without padding between them.
    unsafe impl<T: Plain, const N: usize> Plain for [T; N] {}
}
