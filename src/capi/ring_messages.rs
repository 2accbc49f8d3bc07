//! Group "rings": messages; and the bodies of the functions that move them, for endpoints too.

use super::error::Call;
use super::ring::{handle, shmem_ring};
use super::{Found, Wrong, check_array, convert, error, limit, within};
use crate::error::{Error, Result};
use crate::protocol::atomics::store_bytes;
use crate::ring::handle::{Outcome, RingHandle};
use crate::waiting::Limit;
use libc::{c_int, c_uint, c_void, timespec};

#[cold]
fn remember_wrong(wrong: Wrong) {
    error::remember(&wrong.into());
}

/// Converts an outcome of the hot path: a wait that ended without one sets `errno` and no sentence.
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

/// Publishes a message. The fast path comes first, which so needs few registers and no memory beyond
/// that of the ring.
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

/// The fast path did nothing: takes the slow path, or finds out what is wrong.
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
