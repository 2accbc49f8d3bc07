//! An interface for the fuzz targets (`fuzz/`), which are a crate of their own, to parts of the
//! library that programs cannot see. Never in a release.

use crate::channel::AnyHandle;
use crate::inspect::Entry;
use crate::inspect::look::look_among;
use crate::inspect::processes::Processes;
pub use crate::tests::forbidden;
use crate::{Channel, Result, Sample};

#[cfg(not(any(test, fuzzing, debug_assertions)))]
compile_error!("the feature \"_test_fuzzing\" is for test builds: its profile must have debug assertions");

/// Attaches to `bytes` as to a region in the wire layout, and does everything possible with it.
/// Returns whether they were accepted as a region.
pub fn wire(bytes: &[u8]) -> bool {
    crate::channel::wire::tests::exercise::exercise(bytes).attached
}

/// Address and length in bytes of a channel's region in this process.
pub fn span(channel: &Channel) -> (usize, usize) {
    match channel.handle {
        AnyHandle::Native(handle) => handle.spans()[0],
        AnyHandle::Wire(handle) => handle.spans()[0],
    }
}

/// The address by which a C program knows the sample.
pub fn address(sample: &Sample) -> usize {
    sample.address()
}

/// As [`look`](crate::inspect::look), without the search through `/proc` for processes that have
/// mapped the object. That search is nearly the whole cost and does not depend on the object's
/// contents.
///
/// # Errors
/// As `look`.
pub fn look(name: impl AsRef<std::ffi::OsStr>, waiting: usize) -> Result<Entry> {
    look_among(name, waiting, Processes::none)
}
