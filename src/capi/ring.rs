//! Group "rings": what a ring is, and opening one.

use super::{Found, guard, known, not_a, text};
use crate::ring::api::ring::{DEFAULT_CAPACITY, DEFAULT_ELEMENT_SIZE};
use crate::ring::handle::RingHandle;
use crate::ring::open::Wanted;
use crate::ring::{Policy, Role};
use libc::{c_char, c_int, size_t};

/// A policy of a ring: one producer, one consumer. The fastest.
pub const SHMEM_SPSC: c_int = 1;
/// A policy of a ring: up to 256 producers, one consumer.
pub const SHMEM_MPSC: c_int = 2;
/// A policy of a ring: producers and consumers, up to 256 together.
pub const SHMEM_MPMC: c_int = 3;

/// A role in a ring: writes messages.
pub const SHMEM_PRODUCER: c_int = 1;
/// A role in a ring: reads messages.
pub const SHMEM_CONSUMER: c_int = 2;

/// One end of a ring, a producer's or a consumer's. `shmem_ring_open` makes it; it is valid until
/// `shmem_ring_close`. Threads that share an end take turns; threads that open the ring each for
/// itself work side by side.
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

/// Opens an end of a ring, and creates the ring if there is none of this name: either role may come
/// first. A process may open a ring several times.
///
/// @param name         of the ring (Names, above)
/// @param policy       `SHMEM_SPSC`, `SHMEM_MPSC` or `SHMEM_MPMC`
/// @param role         `SHMEM_PRODUCER` or `SHMEM_CONSUMER`
/// @param element_size bytes of a message: 1 to 2^20; 0: 1472
/// @param capacity     messages that fit into the ring, exactly: 1 to 2^20; 0: 144
/// @return the end, which the caller closes by `shmem_ring_close`. `NULL`:
///         `EINVAL` name, policy, role or sizes;
///         `EPROTO` the ring has another layout version, policy, element size or capacity;
///         `EBUSY` a live process has the role of which there is one, or all 256 places are taken;
///         `EBADMSG` the name leads to something other than a ring, or the ring is corrupt;
///         `EAGAIN` the ring is not ready yet;
///         `EACCES` its permissions forbid it, or it is another user's: `SHMEM_ANY_OWNER=1` in the
///         environment allows that;
///         `ENOSPC` `/dev/shm` is full;
///         `EFBIG`, `EMFILE`, `ENOMEM` as for `shmem_shared_create`
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
