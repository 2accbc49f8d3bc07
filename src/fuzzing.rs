//! A door for the fuzzer (`fuzz/`), which is a crate of its own. Never in a release.

/// Attaches to `bytes` as to a region in the wire layout, and does with it what can be done.
pub fn wire(bytes: &[u8]) {
    crate::channel::wire::exercise::exercise(bytes);
}
