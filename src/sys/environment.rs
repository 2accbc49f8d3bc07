//! What the user asks for by environment variables.

use std::ffi::CStr;

/// Whether the environment has `variable=1`; or `yes`, `true` or `on`, as a user may write from
/// memory. False in a program with more rights than its caller (set-user-ID, capabilities), because
/// there the caller controls the environment.
pub(crate) fn asks_for(variable: &CStr) -> bool {
    // SAFETY: a number for a number.
    let is_secure = unsafe { libc::getauxval(libc::AT_SECURE) } != 0;
    if is_secure {
        return false;
    }
    // Not by `std::env`: a fork during another thread's call would leave its lock taken in the
    // child.
    // SAFETY: two C strings; a program that changes its environment while it opens a channel breaks
    // the C library's rules.
    let value = unsafe { libc::getenv(variable.as_ptr()).as_ref().map(|value| CStr::from_ptr(value)) };
    value.is_some_and(|value| [&b"1"[..], b"yes", b"true", b"on"].iter().any(|yes| value.to_bytes().eq_ignore_ascii_case(yes)))
}
