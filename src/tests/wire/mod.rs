//! The wire layout under test: images of VILLASnode's memory on x86-64, and garbage
//! regions.

pub(crate) mod exercise;
pub(in crate::channel::wire) mod heap;
#[cfg(all(test, target_arch = "x86_64"))]
mod images;
#[cfg(test)]
mod mutants;
