//! What only tests need.

#[cfg(test)]
pub(crate) mod edges;
#[cfg(feature = "fuzzing")]
pub mod forbidden;
#[cfg(feature = "fuzzing")]
pub(crate) mod heap;
#[cfg(test)]
pub(crate) mod prng;
