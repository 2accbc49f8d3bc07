//! What only tests need.

#[cfg(test)]
pub(crate) mod prng;
