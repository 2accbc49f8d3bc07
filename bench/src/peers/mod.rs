//! Alternatives to this library.

pub(crate) mod boost;
#[cfg(feature = "iceoryx2")]
pub(crate) mod iceoryx;
pub(crate) mod kernel;
pub(crate) mod threads;
