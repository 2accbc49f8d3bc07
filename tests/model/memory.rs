//! The private memory of the algorithms, from the heap.

pub(crate) mod zeroed {
    use crate::error::Result;

    /// # Safety
    /// All bytes zero is a valid value.
    pub(crate) unsafe trait Zeroable: Copy {}
    // SAFETY: an integer.
    unsafe impl Zeroable for u32 {}

    pub(crate) struct Table<T: Zeroable>(Vec<T>);

    impl<T: Zeroable> Table<T> {
        pub(crate) fn resident(length: usize, _what: &str) -> Result<Table<T>> {
            // SAFETY: as the trait promises.
            Ok(Table(vec![unsafe { std::mem::zeroed() }; length]))
        }
    }

    impl<T: Zeroable> std::ops::Deref for Table<T> {
        type Target = [T];
        fn deref(&self) -> &[T] {
            &self.0
        }
    }

    impl<T: Zeroable> std::ops::DerefMut for Table<T> {
        fn deref_mut(&mut self) -> &mut [T] {
            &mut self.0
        }
    }
}
