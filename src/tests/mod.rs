//! Code that only tests need.

#[cfg(test)]
pub(crate) mod edges;
#[cfg(feature = "_test_fuzzing")]
pub mod forbidden;
#[cfg(feature = "_test_fuzzing")]
pub(crate) mod heap;
#[cfg(test)]
pub(crate) mod prng;
