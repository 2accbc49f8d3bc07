//! Group "rings": what a ring is, and opening one.

use super::{Found, guard, known, not_a, text};
use crate::ring::api::ring::{DEFAULT_CAPACITY, DEFAULT_ELEMENT_SIZE};
use crate::ring::handle::RingHandle;
use crate::ring::open::Wanted;
use crate::ring::{Policy, Role};
use libc::{c_char, c_int, size_t};

/// A policy: one producer, one consumer. The fastest.
pub const SHMEM_SPSC: c_int = 1;
/// A policy: many producers, one consumer.
pub const SHMEM_MPSC: c_int = 2;
/// A policy: many producers, many consumers.
pub const SHMEM_MPMC: c_int = 3;

/// A role: it writes messages.
pub const SHMEM_PRODUCER: c_int = 1;
/// A role: it reads messages.
pub const SHMEM_CONSUMER: c_int = 2;

/// One end of a ring, a producer's or a consumer's. Made by `shmem_ring_open`, valid until `shmem_ring_close`.
///
/// A ring is a bounded queue of messages of one size. Its object is `/dev/shm/NAME`; it exists until it is unlinked, with the messages in
/// it, also while nobody has it open. Threads that share an end take turns; threads that open the ring each for itself work side by side.
/// Signal handlers end waits as for `struct shmem_shared`.
#[allow(non_camel_case_types)]
pub struct shmem_ring {
    _private: (),
}

/// The handle behind a `struct shmem_ring *`.
///
/// # Safety
/// `ring` is null, or leads to readable memory as large as a pointer.
#[inline(always)]
pub(super) unsafe fn handle(ring: *const shmem_ring) -> Found<&'static RingHandle> {
    // SAFETY: as the caller promises.
    unsafe { known(ring.cast(), |at| not_a("ring", at), RingHandle::at) }
}

pub(super) fn or_default(element_size: size_t, capacity: size_t) -> (u64, u64) {
    let or = |value: size_t, default: u64| if value == 0 { default } else { value as u64 };
    (or(element_size, DEFAULT_ELEMENT_SIZE), or(capacity, DEFAULT_CAPACITY))
}

/// Opens an end of a ring; creates the ring if there is none of this name. Either role may come first.
///
/// @param name         of the shared memory object, `/dev/shm/NAME`: 1 to 255 bytes, any but `/` and
///                     zero. Slashes in front are left out, as by `shm_open(3)`
/// @param policy       `SHMEM_SPSC`, `SHMEM_MPSC` or `SHMEM_MPMC`
/// @param role         `SHMEM_PRODUCER` or `SHMEM_CONSUMER`
/// @param element_size bytes of a message: 1 to 2^20; 0: 1472
/// @param capacity     messages that the ring holds, exactly: 1 to 2^20; 0: 144
/// @return the end, to be closed by `shmem_ring_close`. `NULL`: `EINVAL` name, policy, role or sizes; `EPROTO` the ring has another policy,
///         element size or capacity (`shmem_last_error()` has both); `EBUSY` a live process (`shmem_last_error()` names it) has the role of
///         which there is one, or all 256 places are taken; `EBADMSG` the name leads to something else, or the ring is corrupt; `EAGAIN` not
///         ready yet; `EACCES` another user's ring (`SHMEM_ANY_OWNER=1` in the environment allows it), or no permission; `ENOSPC` no memory
///         in `/dev/shm`; `ENOMEM` as for `shmem_shared_create`
///
/// A process may open a ring several times. Any thread.
///
/// # Safety
/// `name` is a C string.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn shmem_ring_open(
    name: *const c_char,
    policy: c_int,
    role: c_int,
    element_size: size_t,
    capacity: size_t,
) -> *mut shmem_ring {
    guard(std::ptr::null_mut(), || {
        // SAFETY: as the caller promises.
        let name = unsafe { text(name) }?;
        let (policy, role) = (Policy::from_number(policy.into())?, Role::from_number(role.into())?);
        let (element_size, capacity) = or_default(element_size, capacity);
        let opened = Wanted::new(name, policy, role, element_size, capacity)?.open()?;
        Ok(std::ptr::from_ref(opened.handle).cast_mut().cast())
    })
}
