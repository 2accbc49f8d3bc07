//! Memory locked in RAM, for programs that must never wait for a page: `SHMEM_LOCK=1` in the
//! environment.

use crate::error::{Error, Result};
use nix::errno::Errno;
use nix::sys::mman;
use nix::sys::resource::{Resource, getrlimit};
use std::ptr::NonNull;

/// Loads `length` bytes from `start` into memory and locks them there until they are unmapped, if
/// the user asks for it.
///
/// # Safety
/// The range is mapped.
pub(crate) unsafe fn lock_if_asked(start: NonNull<u8>, length: usize) -> Result<()> {
    if !super::environment::asks_for(c"SHMEM_LOCK") {
        return Ok(());
    }
    // SAFETY: the caller's promise.
    unsafe { mman::mlock(start.cast(), length) }.map_err(|e| refused(e, length))
}

#[cold]
fn refused(e: Errno, length: usize) -> Error {
    let limit = getrlimit(Resource::RLIMIT_MEMLOCK).map_or(0, |(soft, _)| soft);
    let text = format!(
        "SHMEM_LOCK=1: cannot keep {length} bytes in memory (mlock: {}); this process may lock {limit} bytes in all (RLIMIT_MEMLOCK): raise it (ulimit -l)",
        e.desc()
    );
    // The system returns `EAGAIN` if part of it could not be locked. That does not pass by itself.
    Error::new(if e == Errno::EAGAIN { libc::ENOMEM } else { e as i32 }, text)
}
