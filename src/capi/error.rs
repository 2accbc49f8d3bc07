//! Group "version and errors".

use crate::error::Error;
use libc::{c_char, c_int, c_uint};
use parking_lot::Mutex;
use std::cell::RefCell;
use std::collections::BTreeMap;
use std::ffi::CString;

/// The major version of the interface that this header describes.
pub const SHMEM_VERSION_MAJOR: c_uint = 0;
/// The minor version.
pub const SHMEM_VERSION_MINOR: c_uint = 1;
/// The patch level.
pub const SHMEM_VERSION_PATCH: c_uint = 0;

thread_local! {
    static LAST: RefCell<CString> = RefCell::default();
}

pub(super) fn set_errno(errno: c_int) {
    nix::errno::Errno::from_raw(errno).set();
}

/// Keeps the sentence of `e` for [`shmem_last_error`] and sets `errno`.
#[cold]
pub(super) fn remember(e: &Error) {
    let text = CString::new(e.message().replace('\0', " ")).unwrap_or_default();
    // A thread that is about to end has none any more.
    let _ = LAST.try_with(|last| *last.borrow_mut() = text);
    set_errno(e.errno());
}

/// The version of the library that is loaded.
///
/// @return `major << 16 | minor << 8 | patch`; compare it with `SHMEM_VERSION_MAJOR`, `_MINOR`, `_PATCH` of the header.
#[unsafe(no_mangle)]
pub extern "C" fn shmem_version() -> c_uint {
    SHMEM_VERSION_MAJOR << 16 | SHMEM_VERSION_MINOR << 8 | SHMEM_VERSION_PATCH
}

/// Names an `errno` in the words of this library.
///
/// @param errnum any `errno`
/// @return a constant string, never `NULL`; not to be freed
#[unsafe(no_mangle)]
pub extern "C" fn shmem_strerror(errnum: c_int) -> *const c_char {
    static NAMES: Mutex<BTreeMap<&str, CString>> = Mutex::new(BTreeMap::new());
    let text = crate::error::strerror(errnum);
    // There are not many, and none is ever removed or changed.
    NAMES.lock().entry(text).or_insert_with(|| CString::new(text).unwrap_or_default()).as_ptr()
}

/// The sentence for people that belongs to the last call of this thread that failed: what was wrong, and what to do.
///
/// Calls that move samples or messages and find nothing, or no room, in time (`EAGAIN`, `ETIMEDOUT`, `EINTR`) set `errno` alone and leave the
/// sentence of an earlier call: so does what is async-signal-safe. `shmem_strerror` has words for those.
///
/// @return a string that stays until the next call of this thread that fails, empty when none has; never `NULL`; not to be freed
#[unsafe(no_mangle)]
pub extern "C" fn shmem_last_error() -> *const c_char {
    LAST.try_with(|last| last.borrow().as_ptr()).unwrap_or(c"".as_ptr())
}
