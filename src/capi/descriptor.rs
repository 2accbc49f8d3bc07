//! Group "descriptors to poll".

use super::channel::{handle as shared, shmem_shared};
use super::endpoint::{incoming, outgoing, shmem_endpoint};
use super::guard;
use super::ring::{handle as ring_handle, shmem_ring};
use super::wire::{handle as wire, shmem_int};
use crate::error::{Error, Result};
use crate::readiness::Wish;
use libc::c_int;

/// A descriptor that is readable while a read or receive would not wait.
pub const SHMEM_FD_READ: c_int = 1;
/// A descriptor that is readable while a write, an allocation or a send would not wait.
pub const SHMEM_FD_WRITE: c_int = 2;

fn wish(which: c_int) -> Result<Wish> {
    match which {
        SHMEM_FD_READ => Ok(Wish::Read),
        SHMEM_FD_WRITE => Ok(Wish::Write),
        _ => Err(Error::invalid(format!("which is {which}, but must be 1 (SHMEM_FD_READ) or 2 (SHMEM_FD_WRITE)"))),
    }
}

/// Returns a descriptor of a channel of one region, for an event loop.
///
/// @param shm   an open channel
/// @param which `SHMEM_FD_READ` or `SHMEM_FD_WRITE`
/// @return the descriptor, which the library owns. -1: `EINVAL` `which`;
///         `ESTALE` this process was taken for dead and its side was taken over;
///         `EMFILE`, `ENFILE`, `ENOMEM`, `EAGAIN` a limit of descriptors, memory or threads;
///         a handle error (`EINVAL`, `EPIPE`)
///
/// # Safety
/// `shm` is null or valid.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn shmem_shared_fd(shm: *mut shmem_shared, which: c_int) -> c_int {
    // SAFETY: as the caller promises.
    guard(-1, || unsafe { shared(shm) }?.fd(wish(which)?, Ok))
}

/// Returns a descriptor of a channel in VILLASnode's layout, for an event loop.
///
/// @param shm   an open channel
/// @param which `SHMEM_FD_READ` or `SHMEM_FD_WRITE`
/// @return the descriptor, which the library owns. -1: `ENOTSUP` the region that this process reads
///         is in `polling` mode, in which writers wake nobody; else as `shmem_shared_fd`
///
/// # Safety
/// `shm` is null or valid.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn shmem_int_fd(shm: *mut shmem_int, which: c_int) -> c_int {
    // SAFETY: as the caller promises.
    guard(-1, || unsafe { wire(shm) }?.fd(wish(which)?, Ok))
}

/// Returns the descriptor of an end of a ring, for an event loop: of a consumer's end readable while
/// a pop or peek would not wait, of a producer's while a push or reserve would not.
///
/// @param ring an end of a ring
/// @return the descriptor, which the library owns. -1: as `shmem_shared_fd`
///
/// # Safety
/// `ring` leads to a ring.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn shmem_ring_fd(ring: *mut shmem_ring) -> c_int {
    // SAFETY: as the caller promises.
    guard(-1, || unsafe { ring_handle(ring) }?.fd(Ok))
}

/// Returns a descriptor of an endpoint, for an event loop: that of `shmem_endpoint_incoming` or of
/// `shmem_endpoint_outgoing`.
///
/// @param endpoint an open endpoint
/// @param which    `SHMEM_FD_READ` or `SHMEM_FD_WRITE`
/// @return the descriptor, which the library owns. -1: as `shmem_shared_fd`
///
/// # Safety
/// `endpoint` leads to an endpoint.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn shmem_endpoint_fd(endpoint: *mut shmem_endpoint, which: c_int) -> c_int {
    guard(-1, || {
        // SAFETY: as the caller promises.
        let ring = unsafe {
            match wish(which)? {
                Wish::Read => incoming(endpoint),
                Wish::Write => outgoing(endpoint),
            }
        };
        ring?.fd(Ok)
    })
}
