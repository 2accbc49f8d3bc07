//! Of `sys/condition`.

use super::*;

/// The images of the wire layout show the place of glibc 2.36; the other is where newer versions
/// have it.
#[test]
fn the_condition_of_this_c_library_is_known_or_the_newer_one() {
    let words = fresh();
    let flags: Vec<usize> = (0..WORDS).filter(|&i| words[i] != 0).collect();
    assert!(flags == [9] && is_known() || flags == [7] && !is_known(), "{words:?}");
}
