//! Group "rings": how full a ring is, of what size, and whose; its counters, its end.

use super::ring::{handle, shmem_ring};
use super::segment::SHMEM_KEEP;
use super::{convert, fill, guard, guard_signal_safe, text};
use crate::error::Error;
use crate::layout::ring::{MAX_ELEMENT_SIZE, RingView};
use crate::ring::RingStats;
use crate::ring::Role;
use crate::ring::api::ring::Ring;
use libc::{c_char, c_int, c_uint, c_void, size_t};

/// Counters and fill levels of a ring. Events count since the ring was made.
#[allow(non_camel_case_types)]
#[repr(C)]
#[derive(Clone, Copy)]
pub struct shmem_ring_stats {
    /// To be set before the call: `sizeof(struct shmem_ring_stats)`; 0: the fields of version 0.1.
    pub size: usize,
    /// Messages that can be taken.
    pub pending: u64,
    /// Messages that fit.
    pub available: u64,
    /// Places in the ring that producers had claimed when they died (MPSC, MPMC): no message came of them.
    pub skipped: u64,
    /// Messages that consumers had claimed when they died (MPSC, MPMC), and that nobody gets any more.
    pub lost: u64,
    /// Sleeps.
    pub waits: u64,
    /// Wake-ups.
    pub wakeups: u64,
    /// Producers that are alive, as far as can be known.
    pub producers: u64,
    /// Consumers that are alive.
    pub consumers: u64,
    /// Bytes of the shared memory object.
    pub region_size: u64,
    /// Bytes of a message.
    pub element_size: u64,
    /// Messages that the ring holds.
    pub capacity: u64,
    /// `SHMEM_SPSC`, `SHMEM_MPSC` or `SHMEM_MPMC`.
    pub policy: c_int,
    /// Of this end: `SHMEM_PRODUCER` or `SHMEM_CONSUMER`.
    pub role: c_int,
}

impl shmem_ring_stats {
    /// Not one struct with [`RingStats`]: C has its size before, and what the ring is like behind.
    fn new(now: RingStats, view: &RingView, role: Role) -> shmem_ring_stats {
        shmem_ring_stats {
            size: size_of::<shmem_ring_stats>(),
            pending: now.pending,
            available: now.available,
            skipped: now.skipped,
            lost: now.lost,
            waits: now.waits,
            wakeups: now.wakeups,
            producers: now.producers,
            consumers: now.consumers,
            region_size: now.region_size,
            element_size: view.facts().element_size.into(),
            capacity: view.facts().capacity.into(),
            policy: view.facts().policy as c_int,
            role: role as c_int,
        }
    }
}

/// How many messages fit: from the capacity down to 0. Exact while nobody else is at work.
///
/// @return so many. -1: `EINVAL`, `EPIPE`, `EBADMSG`
///
/// A slot that is reserved or peeked at is no room.
///
/// # Safety
/// `ring` leads to a ring.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn shmem_ring_available(ring: *mut shmem_ring) -> c_int {
    // SAFETY: as the caller promises.
    convert(-1, || Ok(unsafe { handle(ring) }?.fill()?.1 as c_int))
}

/// How many messages can be taken. Exact while nobody else is at work.
///
/// @return so many. -1: `EINVAL`, `EPIPE`, `EBADMSG`
///
/// A slot that was given up (`shmem_ring_abort`) behind messages counts until they are taken, and one that a dead producer had claimed (MPSC, MPMC) until a call of another has settled that.
///
/// # Safety
/// `ring` leads to a ring.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn shmem_ring_pending(ring: *mut shmem_ring) -> c_int {
    // SAFETY: as the caller promises.
    convert(-1, || Ok(unsafe { handle(ring) }?.fill()?.0 as c_int))
}

/// Whether no message fits.
///
/// @return 1 full, 0 not. -1: `EINVAL`, `EPIPE`, `EBADMSG`
///
/// # Safety
/// `ring` leads to a ring.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn shmem_ring_full(ring: *mut shmem_ring) -> c_int {
    // SAFETY: as the caller promises.
    convert(-1, || Ok(c_int::from(unsafe { handle(ring) }?.fill()?.1 == 0)))
}

/// Whether no message can be taken.
///
/// @return 1 empty, 0 not. -1: `EINVAL`, `EPIPE`, `EBADMSG`
///
/// # Safety
/// `ring` leads to a ring.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn shmem_ring_empty(ring: *mut shmem_ring) -> c_int {
    // SAFETY: as the caller promises.
    convert(-1, || Ok(c_int::from(unsafe { handle(ring) }?.fill()?.0 == 0)))
}

/// Bytes of a message.
///
/// @return so many. -1: `EINVAL`, `EPIPE`
///
/// # Safety
/// `ring` leads to a ring.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn shmem_ring_element_size(ring: *mut shmem_ring) -> c_int {
    const { assert!(MAX_ELEMENT_SIZE < i32::MAX as u64) };
    // SAFETY: as the caller promises.
    convert(-1, || Ok(unsafe { handle(ring) }?.view()?.facts().element_size as c_int))
}

/// How many messages the ring holds.
///
/// @return so many. -1: `EINVAL`, `EPIPE`
///
/// # Safety
/// `ring` leads to a ring.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn shmem_ring_capacity(ring: *mut shmem_ring) -> c_int {
    // SAFETY: as the caller promises.
    convert(-1, || Ok(unsafe { handle(ring) }?.view()?.facts().capacity as c_int))
}

/// Where a byte of the messages lies, as if they stood one behind the other from the ring's first slot on: for a look at the memory, with no
/// regard to what is in it. Bytes of different messages are not contiguous.
///
/// @param offset below `element_size` times `capacity`
/// @return its address, valid until the end is closed. `NULL`: `EINVAL` beyond the end; `EPIPE`
///
/// # Safety
/// `ring` leads to a ring.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn shmem_ring_at(ring: *mut shmem_ring, offset: size_t) -> *mut c_void {
    convert(std::ptr::null_mut(), || {
        // SAFETY: as the caller promises.
        let view: RingView = unsafe { handle(ring) }?.view()?;
        let (index, at) = (offset / view.length(), offset % view.length());
        if index >= view.facts().capacity as usize {
            return Err(Error::invalid(format!(
                "offset {offset} is beyond the {} messages of {} bytes",
                view.facts().capacity,
                view.length()
            )));
        }
        Ok(view.message(index as u32).wrapping_add(at).cast())
    })
}

/// Changes permission bits and owner of the ring's shared memory object, which is made with permissions 0600 whatever the umask allows more: so no other user
/// has it before this call says so. The umask does not apply. Who has it open keeps the access that he has. (Who opens another user's ring
/// must say so: `SHMEM_ANY_OWNER=1` in the environment.) For both rings of an endpoint: `shmem_endpoint_outgoing`, `shmem_endpoint_incoming`.
///
/// @param ring an end of a ring
/// @param permissions bits as of `chmod(2)`, or `SHMEM_KEEP`
/// @param uid  the owner, or `SHMEM_KEEP`
/// @param gid  the owner's group, or `SHMEM_KEEP`
/// @return 0. -1: `EINVAL` ring or permissions; `EPERM` the system does not let this user do that, and nothing is changed; `EPIPE` the end is closed
///
/// # Safety
/// `ring` leads to a ring.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn shmem_ring_set(ring: *mut shmem_ring, permissions: c_uint, uid: c_uint, gid: c_uint) -> c_int {
    let changed = |value| (value != SHMEM_KEEP).then_some(value);
    // SAFETY: as the caller promises.
    guard(-1, || unsafe { handle(ring) }?.set_permissions(changed(permissions), changed(uid), changed(gid)).map(|()| 0))
}

/// Ends the waits of this end that have begun: they return -1 (or `NULL`) with `EINTR`. If there is
/// none, the next wait ends so, and only that one. Calls that need not wait, or do not wait,
/// neither end by it nor use it up.
///
/// @return 0. -1: `EINVAL`; `EPIPE` the end is closed
///
/// Any thread; async-signal-safe.
///
/// # Safety
/// `ring` leads to a ring.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn shmem_ring_interrupt(ring: *mut shmem_ring) -> c_int {
    // SAFETY: as the caller promises.
    guard_signal_safe(|| unsafe { handle(ring) }?.interrupt())
}

/// Counters and fill levels.
///
/// @param stats filled; its `size` must be set
/// @return 0. -1: `EINVAL`; `EPIPE` the end is closed; `EBADMSG`
///
/// Asks the kernel for each participant: not for a hot loop.
///
/// # Safety
/// `ring` leads to a ring, `stats` to a `struct shmem_ring_stats` of the size that it says.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn shmem_ring_stats(ring: *mut shmem_ring, stats: *mut shmem_ring_stats) -> c_int {
    guard(-1, || {
        // SAFETY: as the caller promises.
        let handle = unsafe { handle(ring) }?;
        let now = || Ok(shmem_ring_stats::new(handle.stats()?, &handle.view()?, handle.role()?));
        // SAFETY: the caller's promise is passed on.
        unsafe { fill(stats, "stats", "shmem_ring_stats", now) }
    })
}

/// Closes an end in this process. The ring stays, with the messages in it, until it is unlinked.
///
/// Marks and wakes, takes no lock: a call that waits in another thread ends with -1 and `EPIPE`. What is reserved or peeked at may be given
/// back after it; the memory is unmapped, and the place free for another, when that is done.
///
/// @param ring the end; not to be used afterwards
/// @return 0. -1: `EINVAL` not an open end, or an endpoint's ring, which is closed with the endpoint
///
/// Any thread; async-signal-safe.
///
/// # Safety
/// `ring` leads to a ring.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn shmem_ring_close(ring: *mut shmem_ring) -> c_int {
    // SAFETY: as the caller promises.
    guard_signal_safe(|| unsafe { handle(ring) }?.close_alone())
}

/// Closes an end as `shmem_ring_close`, and gives back all that it has reserved or peeked at: for
/// callers that keep no list of that, such as destructors. Pointers to those slots are not valid
/// afterwards, so no other thread may be at one.
///
/// No message comes of a slot that is reserved. A message that is peeked at stays for the next
/// consumer of an SPSC ring; of another ring it is gone, as if released.
///
/// @param ring the end; not to be used afterwards
/// @return as `shmem_ring_close`
///
/// Any thread. Not async-signal-safe: it waits for its turn on this end.
///
/// # Safety
/// `ring` leads to a ring.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn shmem_ring_abandon(ring: *mut shmem_ring) -> c_int {
    // SAFETY: as the caller promises.
    guard(-1, || unsafe { handle(ring) }?.abandon_alone().map(|()| 0))
}

/// Removes the name of a ring. Who has it open keeps it.
///
/// @param name of the shared memory object
/// @return 0. -1: `EINVAL` name; `ENOENT` no such object; `EACCES`
///
/// # Safety
/// `name` is a C string.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn shmem_ring_unlink(name: *const c_char) -> c_int {
    guard(-1, || {
        // SAFETY: as the caller promises.
        Ring::unlink(unsafe { text(name) }?)?;
        Ok(0)
    })
}
