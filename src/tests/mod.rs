//! What only tests need.

#[cfg(loom)]
pub(crate) mod model;
#[cfg(all(test, not(loom)))]
pub(crate) mod prng;
