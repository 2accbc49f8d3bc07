//! The wire layout under test: images of VILLASnode's memory, and garbage regions made of them. The
//! images, and the places of the words in them, are those of x86-64.

pub(crate) mod exercise;
pub(in crate::channel::wire) mod heap;
#[cfg(all(test, target_arch = "x86_64"))]
mod images;
#[cfg(all(test, target_arch = "x86_64"))]
mod mutants;
