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

/// Counters and fill levels of a ring, initialised by `SHMEM_RING_STATS_INIT`. `skipped`, `lost`,
/// `waits` and `wakeups` count since the ring was made.
#[allow(non_camel_case_types)]
#[repr(C)]
#[derive(Clone, Copy)]
pub struct shmem_ring_stats {
    /// The caller sets it: `sizeof(struct shmem_ring_stats)`; 0: the fields of version 0.1.
    pub size: usize,
    /// Messages that can be taken now.
    pub pending: u64,
    /// Messages that fit now.
    pub available: u64,
    /// Claims of producers that died before they published the message (MPSC, MPMC).
    pub skipped: u64,
    /// Messages that consumers had claimed when they died (MPSC, MPMC); nobody gets them.
    pub lost: u64,
    /// Sleeps of all participants.
    pub waits: u64,
    /// Wake-ups that all participants have sent.
    pub wakeups: u64,
    /// Live producers, as far as the system can tell. 0: none has come yet, or all are gone. Then pop
    /// until the ring is empty: nothing more comes, unless another producer opens the ring.
    pub producers: u64,
    /// Live consumers, as far as the system can tell.
    pub consumers: u64,
    /// Bytes of the shared memory object.
    pub region_size: u64,
    /// Bytes of a message.
    pub element_size: u64,
    /// Messages that fit into the ring.
    pub capacity: u64,
    /// `SHMEM_SPSC`, `SHMEM_MPSC` or `SHMEM_MPMC`.
    pub policy: c_int,
    /// The role of this end: `SHMEM_PRODUCER` or `SHMEM_CONSUMER`.
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

/// Counts the messages that fit now. Exact while no other call is at work. Slots that are reserved
/// or peeked at are no room.
///
/// @param ring an end of a ring
/// @return 0 to the capacity. -1: `EBADMSG` the ring is corrupt; a handle error (`EINVAL`, `EPIPE`)
///
/// # Safety
/// `ring` leads to a ring.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn shmem_ring_available(ring: *mut shmem_ring) -> c_int {
    // SAFETY: as the caller promises.
    convert(-1, || Ok(unsafe { handle(ring) }?.fill()?.1 as c_int))
}

/// Counts the messages that can be taken now. Exact while no other call is at work. An aborted slot
/// behind messages counts until they are taken; a dead producer's claim (MPSC, MPMC) counts until
/// another call has removed it.
///
/// @param ring an end of a ring
/// @return 0 to the capacity. -1: `EBADMSG` the ring is corrupt; a handle error (`EINVAL`, `EPIPE`)
///
/// # Safety
/// `ring` leads to a ring.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn shmem_ring_pending(ring: *mut shmem_ring) -> c_int {
    // SAFETY: as the caller promises.
    convert(-1, || Ok(unsafe { handle(ring) }?.fill()?.0 as c_int))
}

/// Tells whether no message fits now.
///
/// @param ring an end of a ring
/// @return 1: full. 0: not full. -1: as `shmem_ring_available`
///
/// # Safety
/// `ring` leads to a ring.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn shmem_ring_full(ring: *mut shmem_ring) -> c_int {
    // SAFETY: as the caller promises.
    convert(-1, || Ok(c_int::from(unsafe { handle(ring) }?.fill()?.1 == 0)))
}

/// Tells whether no message can be taken now.
///
/// @param ring an end of a ring
/// @return 1: empty. 0: not empty. -1: as `shmem_ring_pending`
///
/// # Safety
/// `ring` leads to a ring.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn shmem_ring_empty(ring: *mut shmem_ring) -> c_int {
    // SAFETY: as the caller promises.
    convert(-1, || Ok(c_int::from(unsafe { handle(ring) }?.fill()?.0 == 0)))
}

/// Returns the bytes of a message.
///
/// @param ring an end of a ring
/// @return bytes. -1: a handle error (`EINVAL`, `EPIPE`)
///
/// # Safety
/// `ring` leads to a ring.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn shmem_ring_element_size(ring: *mut shmem_ring) -> c_int {
    const { assert!(MAX_ELEMENT_SIZE < i32::MAX as u64) };
    // SAFETY: as the caller promises.
    convert(-1, || Ok(unsafe { handle(ring) }?.view()?.facts().element_size as c_int))
}

/// Returns how many messages fit into the ring.
///
/// @param ring an end of a ring
/// @return messages. -1: a handle error (`EINVAL`, `EPIPE`)
///
/// # Safety
/// `ring` leads to a ring.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn shmem_ring_capacity(ring: *mut shmem_ring) -> c_int {
    // SAFETY: as the caller promises.
    convert(-1, || Ok(unsafe { handle(ring) }?.view()?.facts().capacity as c_int))
}

/// Finds a byte of the ring's messages, counted as if they stood one behind the other from the
/// first slot on: for a look at the memory, whatever is in it. Different messages are not
/// contiguous.
///
/// @param ring   an end of a ring
/// @param offset below `element_size` times `capacity`
/// @return the byte's address, valid until the end is closed. `NULL`: `EINVAL` offset; a handle
///         error (`EINVAL`, `EPIPE`)
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

/// Changes permission bits and owner of a ring's shared memory object; the umask does not apply. A
/// new ring has 0600, so no other user has it before this call. A process that has it open keeps
/// its access. Another user who opens the ring needs `SHMEM_ANY_OWNER=1` in the environment. For an
/// endpoint, call it for both rings: `shmem_endpoint_outgoing`, `shmem_endpoint_incoming`.
///
/// @param ring        an end of a ring
/// @param permissions bits as of `chmod(2)`, or `SHMEM_KEEP`
/// @param uid         the owner, or `SHMEM_KEEP`
/// @param gid         the owner's group, or `SHMEM_KEEP`
/// @return 0. -1, and nothing is changed: `EINVAL` permissions; `EPERM` this user may not do that;
///         a handle error (`EINVAL`, `EPIPE`)
///
/// # Safety
/// `ring` leads to a ring.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn shmem_ring_set(ring: *mut shmem_ring, permissions: c_uint, uid: c_uint, gid: c_uint) -> c_int {
    let changed = |value| (value != SHMEM_KEEP).then_some(value);
    // SAFETY: as the caller promises.
    guard(-1, || unsafe { handle(ring) }?.set_permissions(changed(permissions), changed(uid), changed(gid)).map(|()| 0))
}

/// Ends all waits on this end that have begun, with `EINTR`. If there is none, the next wait ends
/// so, and only that one. A call that need not wait does not use an interruption up.
///
/// @param ring an end of a ring
/// @return 0. -1: a handle error (`EINVAL`, `EPIPE`)
///
/// Async-signal-safe.
///
/// # Safety
/// `ring` leads to a ring.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn shmem_ring_interrupt(ring: *mut shmem_ring) -> c_int {
    // SAFETY: as the caller promises.
    guard_signal_safe(|| unsafe { handle(ring) }?.interrupt())
}

/// Fills in the counters and fill levels of a ring. `producers` is the only way to learn that all
/// producers are gone. Asks the kernel for each participant: not for a hot loop.
///
/// @param ring  an end of a ring
/// @param stats filled; the caller owns it, and sets its `size` first (`SHMEM_RING_STATS_INIT`)
/// @return 0. -1: `EINVAL` `stats` or its `size`; `EBADMSG` the ring is corrupt; a handle error
///         (`EINVAL`, `EPIPE`)
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

/// Closes an end in this process. The ring stays, with its messages, until it is unlinked.
///
/// A call that waits in another thread returns -1 with `EPIPE`. Reserved slots and peeked messages
/// may be given back afterwards; with the last one, the memory is unmapped and the place is free.
///
/// @param ring an end of a ring, but not of an endpoint's; the pointer is invalid for other calls
/// @return 0. -1: `EINVAL` not an open end, or an endpoint's ring
///
/// Async-signal-safe: it takes no lock.
///
/// # Safety
/// `ring` leads to a ring.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn shmem_ring_close(ring: *mut shmem_ring) -> c_int {
    // SAFETY: as the caller promises.
    guard_signal_safe(|| unsafe { handle(ring) }?.close_alone())
}

/// Closes an end as `shmem_ring_close` does, and gives back all its slots, for callers that keep no
/// list of them, such as destructors. A reserved slot becomes no message. A peeked message of an
/// SPSC ring stays for the next consumer; of other rings it counts as released.
///
/// @param ring an end of a ring, but not of an endpoint's; the pointer and those to its slots are
///             invalid afterwards, so no other thread may use them meanwhile
/// @return 0. -1: as `shmem_ring_close`
///
/// Not async-signal-safe.
///
/// # Safety
/// `ring` leads to a ring.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn shmem_ring_abandon(ring: *mut shmem_ring) -> c_int {
    // SAFETY: as the caller promises.
    guard(-1, || unsafe { handle(ring) }?.abandon_alone().map(|()| 0))
}

/// Removes the name of a ring. A process that has the ring open keeps it. No other call does this:
/// the programs agree on which one does, and when.
///
/// @param name of the ring
/// @return 0. -1: `EINVAL` name; `ENOENT` no such object; `EACCES`, `EPERM` the system forbids it
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
