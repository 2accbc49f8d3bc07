//! Group "rings".

use super::error::Call;
use super::segment::SHMEM_SEGMENT_KEEP;
use super::{Found, Wrong, check_array, convert, error, fill, guard, guard_signal_safe, known, limit, not_a, text, within};
use crate::error::{Error, Result};
use crate::layout::ring::{MAX_ELEMENT_SIZE, RingView};
use crate::protocol::atomics::store_bytes;
use crate::ring::api::ring::{self, DEFAULT_CAPACITY, DEFAULT_ELEMENT_SIZE};
use crate::ring::handle::{Outcome, RingHandle, RingStats};
use crate::ring::open::Wanted;
use crate::ring::{Policy, Role};
use crate::waiting::Limit;
use libc::{c_char, c_int, c_uint, c_void, size_t, timespec};

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

/// Counters and fill levels of a ring. Events count since the ring was made.
#[allow(non_camel_case_types)]
#[repr(C)]
#[derive(Clone, Copy)]
pub struct shmem_ring_counters {
    /// To be set before the call: `sizeof(struct shmem_ring_counters)`; 0: the fields of version 0.1.
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

impl shmem_ring_counters {
    /// Not one struct with [`RingStats`]: C has its size before, and what the ring is like behind.
    fn new(now: RingStats, view: &RingView, role: Role) -> shmem_ring_counters {
        shmem_ring_counters {
            size: size_of::<shmem_ring_counters>(),
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

/// The handle behind a `struct shmem_ring *`.
///
/// # Safety
/// `ring` is null, or leads to readable memory as large as a pointer.
#[inline(always)]
pub(super) unsafe fn handle(ring: *const shmem_ring) -> Found<&'static RingHandle> {
    // SAFETY: as the caller promises.
    unsafe { known(ring.cast(), |at| not_a("ring", at), RingHandle::at) }
}

#[cold]
fn remember_wrong(wrong: Wrong) {
    error::remember(&wrong.into());
}

/// Converts an outcome of the hot path: a wait that was in vain sets `errno` and no sentence.
#[inline(always)]
pub(super) fn outcome<T>(
    call: Call,
    failure: T,
    found: Found<&'static RingHandle>,
    body: impl FnOnce(&RingHandle) -> Result<Outcome<T>>,
) -> T {
    let handle = match found {
        Ok(handle) => handle,
        Err(wrong) => {
            remember_wrong(wrong);
            return failure;
        }
    };
    match convert(Err(0), || body(handle)) {
        Ok(value) => value,
        Err(0) => failure,
        Err(errno) => {
            error::note(call, errno);
            failure
        }
    }
}

/// Publishes a message. The shortest way first, which so needs few registers and no memory beyond that of the ring.
///
/// # Safety
/// `element` has as many bytes as an element of the ring.
#[inline(always)]
pub(super) unsafe fn push(handle: impl Fn() -> Found<&'static RingHandle>, element: *const c_void, limit: &Limit) -> c_int {
    // SAFETY: as the caller promises; the slot is this thread's.
    let write = move |to, length| unsafe { store_bytes(element.cast(), to, length) };
    match handle() {
        Ok(handle) if !element.is_null() && handle.push_fast(write) => 0,
        _ => otherwise(Call::Push, handle, element, move |handle| handle.push_slow(limit, write)),
    }
}

/// Takes a message, as [`push`] publishes one.
///
/// # Safety
/// `element` has room for an element of the ring.
#[inline(always)]
pub(super) unsafe fn pop(handle: impl Fn() -> Found<&'static RingHandle>, element: *mut c_void, limit: &Limit) -> c_int {
    // SAFETY: as the caller promises; the slot is this thread's.
    let read = move |from: *const u8, length| unsafe { std::ptr::copy_nonoverlapping(from, element.cast(), length) };
    match handle() {
        Ok(handle) if !element.is_null() && handle.pop_fast(!matches!(limit, Limit::Now), read) => 0,
        _ => otherwise(Call::Pop, handle, element, move |handle| handle.pop_slow(limit, read)),
    }
}

/// The shortest way was in vain: goes another, or finds out what is wrong.
#[inline(never)]
fn otherwise(
    call: Call,
    handle: impl Fn() -> Found<&'static RingHandle>,
    element: *const c_void,
    work: impl FnOnce(&RingHandle) -> Result<Outcome<()>>,
) -> c_int {
    outcome(call, -1, handle(), |handle| {
        if element.is_null() {
            return Err(Error::invalid("the element is a null pointer"));
        }
        Ok(work(handle)?.map(|()| 0))
    })
}

/// # Safety
/// `elements` has `count` elements.
#[inline(always)]
pub(super) unsafe fn push_many(handle: &RingHandle, elements: *const c_void, count: c_uint) -> Result<Outcome<c_int>> {
    let most = check_array(elements, count, "elements")?;
    let done = handle.push_many(most, move |at, to, length| {
        // SAFETY: as the caller promises; `at` is below the count.
        unsafe { store_bytes(elements.cast::<u8>().add(at * length), to, length) }
    })?;
    Ok(done.map(|count| count as c_int))
}

/// # Safety
/// `elements` has room for `count` elements.
#[inline(always)]
pub(super) unsafe fn pop_many(handle: &RingHandle, elements: *mut c_void, count: c_uint) -> Result<Outcome<c_int>> {
    let most = check_array(elements, count, "elements")?;
    let done = handle.pop_many(most, move |at, from, length| {
        // SAFETY: as the caller promises; `at` is below the count.
        unsafe { std::ptr::copy_nonoverlapping(from, elements.cast::<u8>().add(at * length), length) }
    })?;
    Ok(done.map(|count| count as c_int))
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

/// Publishes a message; waits for room without limit. A message is visible only when it is wholly written.
///
/// @param ring    a producer's end
/// @param element the message, `element_size` bytes, which are copied
/// @return 0. -1: `EINTR` a signal handler ran during the wait, or `shmem_ring_interrupt`; `EINVAL` a null pointer, a consumer's end, or an
///         SPSC ring one slot of which is reserved; `EPIPE` the end is closed; `EBADMSG` the ring is corrupt; `ESTALE` this process's place
///         was taken over: open again
///
/// Any thread. No system call unless a consumer sleeps or the ring is full.
///
/// # Safety
/// `ring` leads to a ring, `element` to as many bytes as an element has.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn shmem_ring_push(ring: *mut shmem_ring, element: *const c_void) -> c_int {
    // SAFETY: as the caller promises.
    unsafe { push(move || handle(ring), element, &Limit::Forever) }
}

/// The same as `shmem_ring_push`; does not wait.
///
/// @return as `shmem_ring_push`; -1 also with `EAGAIN`: full
///
/// # Safety
/// As for `shmem_ring_push`.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn shmem_ring_try_push(ring: *mut shmem_ring, element: *const c_void) -> c_int {
    // SAFETY: as the caller promises.
    unsafe { push(move || handle(ring), element, &Limit::Now) }
}

/// The same as `shmem_ring_push`; waits for so long.
///
/// @param timeout relative; `NULL`: without limit
/// @return as `shmem_ring_push`; -1 also with `ETIMEDOUT`
///
/// # Safety
/// As for `shmem_ring_push`; `timeout` is null or valid.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn shmem_ring_timed_push(ring: *mut shmem_ring, element: *const c_void, timeout: *const timespec) -> c_int {
    // SAFETY: as the caller promises.
    unsafe { within(timeout, |limit| push(move || handle(ring), element, limit)) }
}

/// Publishes as many messages as fit; does not wait. Of an SPSC ring all at once; else one by one, and other producers' may come in between.
///
/// @param elements the messages, one after the other
/// @param count    how many
/// @return how many were published, 1 to `count`; 0 with `EAGAIN`: full. -1 as `shmem_ring_push`
///
/// # Safety
/// `ring` leads to a ring, `elements` to `count` elements.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn shmem_ring_push_many(ring: *mut shmem_ring, elements: *const c_void, count: c_uint) -> c_int {
    // SAFETY: as the caller promises.
    unsafe { none_is_zero(outcome(Call::Push, -1, handle(ring), |ring| push_many(ring, elements, count))) }
}

/// Nothing moved, for now: 0 with the `errno` that is set.
#[inline(always)]
pub(super) fn none_is_zero(count: c_int) -> c_int {
    if count < 0 && nix::errno::Errno::last() == nix::errno::Errno::EAGAIN { 0 } else { count }
}

/// Takes the oldest message; waits for one without limit, also when there is no producer.
///
/// @param ring    a consumer's end
/// @param element filled with the message, `element_size` bytes
/// @return 0. -1: `EINTR` a signal handler ran during the wait, or `shmem_ring_interrupt`; `EINVAL` a null pointer, a producer's end, or an
///         SPSC ring one message of which is peeked at; `EPIPE` the end is closed; `EBADMSG` the ring is corrupt; `ESTALE` this process's
///         place was taken over: open again
///
/// Any thread. No system call unless a producer sleeps or the ring is empty.
///
/// # Safety
/// `ring` leads to a ring, `element` to room for an element.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn shmem_ring_pop(ring: *mut shmem_ring, element: *mut c_void) -> c_int {
    // SAFETY: as the caller promises.
    unsafe { pop(move || handle(ring), element, &Limit::Forever) }
}

/// The same as `shmem_ring_pop`; does not wait.
///
/// @return as `shmem_ring_pop`; -1 also with `EAGAIN`: empty, or the oldest message is still being written
///
/// # Safety
/// As for `shmem_ring_pop`.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn shmem_ring_try_pop(ring: *mut shmem_ring, element: *mut c_void) -> c_int {
    // SAFETY: as the caller promises.
    unsafe { pop(move || handle(ring), element, &Limit::Now) }
}

/// The same as `shmem_ring_pop`; waits for so long.
///
/// @param timeout relative; `NULL`: without limit
/// @return as `shmem_ring_pop`; -1 also with `ETIMEDOUT`
///
/// # Safety
/// As for `shmem_ring_pop`; `timeout` is null or valid.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn shmem_ring_timed_pop(ring: *mut shmem_ring, element: *mut c_void, timeout: *const timespec) -> c_int {
    // SAFETY: as the caller promises.
    unsafe { within(timeout, |limit| pop(move || handle(ring), element, limit)) }
}

/// Takes as many messages as there are; does not wait.
///
/// @param elements filled with the messages, one after the other
/// @param count    at most so many
/// @return how many were taken, 1 to `count`; 0 with `EAGAIN`: empty. -1 as `shmem_ring_pop`
///
/// # Safety
/// `ring` leads to a ring, `elements` to room for `count` elements.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn shmem_ring_pop_many(ring: *mut shmem_ring, elements: *mut c_void, count: c_uint) -> c_int {
    // SAFETY: as the caller promises.
    unsafe { none_is_zero(outcome(Call::Pop, -1, handle(ring), |ring| pop_many(ring, elements, count))) }
}

/// Reserves a slot of the ring for a message that is made in place; does not wait.
///
/// @param ring a producer's end
/// @return where the message goes: `element_size` bytes, aligned to 32 (up to 8 bytes: to 16), until `shmem_ring_commit` or
///         `shmem_ring_abort`, which any thread may call, also after `shmem_ring_close`. `NULL`: `EAGAIN` full; else as `shmem_ring_push`
///
/// Of an SPSC ring one slot at a time, and no push meanwhile. Else several; the messages behind a reserved slot wait for it, as long as
/// this process lives.
///
/// # Safety
/// `ring` leads to a ring.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn shmem_ring_reserve(ring: *mut shmem_ring) -> *mut c_void {
    // SAFETY: as the caller promises.
    outcome(Call::Push, std::ptr::null_mut(), unsafe { handle(ring) }, |ring| Ok(ring.reserve(&Limit::Now)?.map(<*mut u8>::cast)))
}

/// The same as `shmem_ring_reserve`; waits for room.
///
/// @param timeout relative; `NULL`: without limit
/// @return as `shmem_ring_reserve`; `NULL` also with `ETIMEDOUT`, and `EINTR`
///
/// # Safety
/// `ring` leads to a ring, `timeout` is null or valid.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn shmem_ring_timed_reserve(ring: *mut shmem_ring, timeout: *const timespec) -> *mut c_void {
    // SAFETY: as the caller promises.
    unsafe {
        outcome(Call::Push, std::ptr::null_mut(), handle(ring), |ring| Ok(ring.reserve(&limit(timeout)?)?.map(<*mut u8>::cast)))
    }
}

/// Publishes the message in a reserved slot.
///
/// @param slot what `shmem_ring_reserve` gave
/// @return 0. -1: `EINVAL` not a slot that is reserved by this end; `EPIPE` closed, and nothing is reserved; `ESTALE`
///
/// Any thread.
///
/// # Safety
/// `ring` leads to a ring.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn shmem_ring_commit(ring: *mut shmem_ring, slot: *mut c_void) -> c_int {
    // SAFETY: as the caller promises.
    convert(-1, || unsafe { handle(ring) }?.commit(slot as usize).map(|()| 0))
}

/// Gives up a reserved slot: no message comes of it.
///
/// @param slot what `shmem_ring_reserve` gave
/// @return as `shmem_ring_commit`
///
/// Any thread.
///
/// # Safety
/// `ring` leads to a ring.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn shmem_ring_abort(ring: *mut shmem_ring, slot: *mut c_void) -> c_int {
    // SAFETY: as the caller promises.
    convert(-1, || unsafe { handle(ring) }?.abort(slot as usize).map(|()| 0))
}

/// Takes the oldest message where it lies; does not wait.
///
/// @param ring a consumer's end
/// @return the message, `element_size` bytes, until `shmem_ring_release`, which any thread may call, also after `shmem_ring_close`. `NULL`:
///         `EAGAIN` empty; else as `shmem_ring_pop`
///
/// Of an SPSC ring one message at a time, and no pop meanwhile; it counts as taken when it is released, so the successor of a consumer that
/// dies gets it. Else several; each is taken at once, and lost with a consumer that dies.
///
/// # Safety
/// `ring` leads to a ring.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn shmem_ring_peek(ring: *mut shmem_ring) -> *const c_void {
    // SAFETY: as the caller promises.
    outcome(Call::Pop, std::ptr::null(), unsafe { handle(ring) }, |ring| {
        Ok(ring.peek(&Limit::Now)?.map(|at| at.cast_const().cast()))
    })
}

/// The same as `shmem_ring_peek`; waits for a message.
///
/// @param timeout relative; `NULL`: without limit
/// @return as `shmem_ring_peek`; `NULL` also with `ETIMEDOUT`, and `EINTR`
///
/// # Safety
/// `ring` leads to a ring, `timeout` is null or valid.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn shmem_ring_timed_peek(ring: *mut shmem_ring, timeout: *const timespec) -> *const c_void {
    // SAFETY: as the caller promises.
    unsafe {
        outcome(Call::Pop, std::ptr::null(), handle(ring), |ring| {
            Ok(ring.peek(&limit(timeout)?)?.map(|at| at.cast_const().cast()))
        })
    }
}

/// Gives back the slot of a message that was peeked at.
///
/// @param message what `shmem_ring_peek` gave
/// @return 0. -1: `EINVAL` not a message that this end peeks at; `EPIPE` closed, and nothing is peeked at; `ESTALE`
///
/// Any thread.
///
/// # Safety
/// `ring` leads to a ring.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn shmem_ring_release(ring: *mut shmem_ring, message: *const c_void) -> c_int {
    // SAFETY: as the caller promises.
    convert(-1, || unsafe { handle(ring) }?.release(message as usize).map(|()| 0))
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

/// Changes permission bits and owner of the ring's shared memory object, which is made with mode 0600 whatever the umask allows more: so no other user
/// has it before this call says so. The umask does not apply. Who has it open keeps the access that he has. (Who opens another user's ring
/// must say so: `SHMEM_ANY_OWNER=1` in the environment.) For both rings of an endpoint: `shmem_endpoint_outgoing`, `shmem_endpoint_incoming`.
///
/// @param ring an end of a ring
/// @param mode permission bits, or `SHMEM_SEGMENT_KEEP`
/// @param uid  the owner, or `SHMEM_SEGMENT_KEEP`
/// @param gid  the owner's group, or `SHMEM_SEGMENT_KEEP`
/// @return 0. -1: `EINVAL` ring or mode; `EPERM` the system does not let this user do that, and nothing is changed; `EPIPE` the end is closed
///
/// # Safety
/// `ring` leads to a ring.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn shmem_ring_set(ring: *mut shmem_ring, mode: c_uint, uid: c_uint, gid: c_uint) -> c_int {
    let changed = |value| (value != SHMEM_SEGMENT_KEEP).then_some(value);
    // SAFETY: as the caller promises.
    guard(-1, || unsafe { handle(ring) }?.set_permissions(changed(mode), changed(uid), changed(gid)).map(|()| 0))
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
/// `ring` leads to a ring, `stats` to a `struct shmem_ring_counters` of the size that it says.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn shmem_ring_stats(ring: *mut shmem_ring, stats: *mut shmem_ring_counters) -> c_int {
    guard(-1, || {
        // SAFETY: as the caller promises.
        let handle = unsafe { handle(ring) }?;
        let now = || Ok(shmem_ring_counters::new(handle.stats()?, &handle.view()?, handle.role()?));
        // SAFETY: the caller's promise is passed on.
        unsafe { fill(stats, "stats", "shmem_ring_counters", now) }
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
        ring::Ring::unlink(unsafe { text(name) }?)?;
        Ok(0)
    })
}
