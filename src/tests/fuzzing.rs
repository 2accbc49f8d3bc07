//! A door for the fuzz targets (`fuzz/`), which are a crate of their own: what a program cannot see of the library and a fuzzer has to.
//! Never in a release.

use crate::channel::AnyHandle;
use crate::inspect::Entry;
use crate::inspect::look::look_among;
use crate::inspect::processes::Processes;
pub use crate::tests::forbidden;
use crate::{Channel, Result, Sample};

#[cfg(not(any(test, fuzzing, debug_assertions)))]
compile_error!("the feature \"_test_fuzzing\" is for test builds: its profile must have debug assertions");

/// Attaches to `bytes` as to a region in the wire layout, and does with it what can be done. Whether they were taken for one.
pub fn wire(bytes: &[u8]) -> bool {
    crate::channel::wire::tests::exercise::exercise(bytes).attached
}

/// Where the region of a channel of one region lies in this process: its address and its bytes.
pub fn span(channel: &Channel) -> (usize, usize) {
    match channel.handle {
        AnyHandle::Native(handle) => handle.spans()[0],
        AnyHandle::Wire(handle) => handle.spans()[0],
    }
}

/// What a C program knows the sample by.
pub fn address(sample: &Sample) -> usize {
    sample.address()
}

/// [`look`](crate::inspect::look) without the search through `/proc` for those who have the object mapped, which is nearly all that it
/// costs and does not depend on what is in the object.
///
/// # Errors
/// As `look`.
pub fn look(name: impl AsRef<std::ffi::OsStr>, waiting: usize) -> Result<Entry> {
    look_among(name, waiting, Processes::none)
}
