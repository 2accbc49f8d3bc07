//! What the user asks for in the environment.

/// Whether the environment has `variable=1`; or `yes`, `true` or `on`, as somebody may write who does not look it up. Not asked in a
/// program that has more rights than its caller (set-user-ID, capabilities): there the environment is the caller's.
pub(crate) fn asks_for(variable: &str) -> bool {
    // SAFETY: a number for a number.
    let is_secure = unsafe { libc::getauxval(libc::AT_SECURE) } != 0;
    let is_set = |value: std::ffi::OsString| ["1", "yes", "true", "on"].iter().any(|yes| value.eq_ignore_ascii_case(yes));
    !is_secure && std::env::var_os(variable).is_some_and(is_set)
}
