//! Group "version and errors".

use crate::error::Error;
pub(super) use crate::nothing::Call;
use libc::{c_char, c_int, c_uint};
use std::cell::{Cell, RefCell};
use std::ffi::{CStr, CString};
use std::sync::atomic::{
    AtomicPtr,
    Ordering::{AcqRel, Acquire},
};

/// The major version of the interface in this header.
pub const SHMEM_VERSION_MAJOR: c_uint = 0;
/// The minor version of the interface in this header.
pub const SHMEM_VERSION_MINOR: c_uint = 2;
/// The patch level of the interface in this header.
pub const SHMEM_VERSION_PATCH: c_uint = 0;

thread_local! {
    static LAST: RefCell<CString> = RefCell::default();
    /// What came after [`LAST`], of a call that has no sentence made: its kind, then its errno.
    /// [`NONE`]: nothing did.
    static LATER: Cell<(Call, c_int)> = const { Cell::new(NONE) };
}

const NONE: (Call, c_int) = (Call::Read, 0);

pub(super) fn set_errno(errno: c_int) {
    nix::errno::Errno::from_raw(errno).set();
}

/// Sets `errno`; [`shmem_last_error`] has a constant sentence for it, which costs one store here.
pub(super) fn note(call: Call, errno: c_int) {
    // A thread that is about to end has none any more.
    let _ = LATER.try_with(|later| later.set((call, errno)));
    set_errno(errno);
}

/// Keeps the sentence of `e` for [`shmem_last_error`] and sets `errno`.
#[cold]
pub(super) fn remember(e: &Error) {
    let text = CString::new(e.message().replace('\0', " ")).unwrap_or_default();
    // A thread that is about to end has none any more.
    let _ = LAST.try_with(|last| *last.borrow_mut() = text);
    let _ = LATER.try_with(|later| later.set(NONE));
    set_errno(e.errno());
}

/// Returns the version of the loaded library.
///
/// @return `major << 16 | minor << 8 | patch`, to be compared with `SHMEM_VERSION_*` of this header.
///         It does not fail.
#[unsafe(no_mangle)]
pub extern "C" fn shmem_version() -> c_uint {
    SHMEM_VERSION_MAJOR << 16 | SHMEM_VERSION_MINOR << 8 | SHMEM_VERSION_PATCH
}

/// Names an errno in the words of this library.
///
/// @param errnum any errno
/// @return a constant string, never `NULL`, which the caller does not free
#[unsafe(no_mangle)]
pub extern "C" fn shmem_strerror(errnum: c_int) -> *const c_char {
    // One for each number that the system has, made when it is asked for, and one for all others. No lock: a child of a fork could find it taken for ever.
    static NAMES: [AtomicPtr<c_char>; 135] = [const { AtomicPtr::new(std::ptr::null_mut()) }; 135];
    let name = &NAMES[usize::try_from(errnum).unwrap_or(usize::MAX).min(NAMES.len() - 1)];
    let made = name.load(Acquire);
    if !made.is_null() {
        return made;
    }
    let text = CString::new(crate::error::strerror(errnum)).unwrap_or_default().into_raw();
    match name.compare_exchange(std::ptr::null_mut(), text, AcqRel, Acquire) {
        Ok(_) => text,
        Err(theirs) => {
            // SAFETY: made just above, and nobody else's.
            drop(unsafe { CString::from_raw(text) });
            theirs
        }
    }
}

/// Describes the calling thread's last failure in a sentence for people: what was wrong, with both
/// values, and what to do. A call that moved less than was asked for counts as a failure here.
///
/// The functions that a signal handler may call (Signal handlers, above) set errno only; the
/// sentence of an earlier call stays. `shmem_event_signal` does set the sentence when it fails.
///
/// @return a string, never `NULL`; empty if nothing has failed. The library owns it: it is valid
///         until the next call of this thread that fails
#[unsafe(no_mangle)]
pub extern "C" fn shmem_last_error() -> *const c_char {
    let (call, errno) = LATER.try_with(Cell::get).unwrap_or(NONE);
    if errno != 0 {
        return call.sentence(errno).map_or_else(|| shmem_strerror(errno), CStr::as_ptr);
    }
    LAST.try_with(|last| last.borrow().as_ptr()).unwrap_or(c"".as_ptr())
}
