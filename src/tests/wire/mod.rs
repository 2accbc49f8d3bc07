//! The wire layout under test: images of VILLASnode's memory, and garbage regions.

pub(crate) mod exercise;
pub(in crate::channel::wire) mod heap;
#[cfg(test)]
mod images;
#[cfg(test)]
mod mutants;
