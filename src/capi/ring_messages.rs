//! Group "rings": messages; and the bodies of the functions that move them, for endpoints too.

use super::error::Call;
use super::ring::{handle, shmem_ring};
use super::{Found, Wrong, check_array, convert, error, limit, within};
use crate::error::{Error, Result};
use crate::ring::buffers::{ToFill, ToPush};
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
    // SAFETY: as the caller promises.
    let message = unsafe { ToPush::new(element.cast()) };
    match handle() {
        Ok(handle) if !element.is_null() && handle.push_fast(message) => 0,
        _ => otherwise(Call::Push, handle, element, move |handle| handle.push_slow(limit, message)),
    }
}

/// Takes a message, as [`push`] publishes one.
///
/// # Safety
/// `element` has room for an element of the ring.
#[inline(always)]
pub(super) unsafe fn pop(handle: impl Fn() -> Found<&'static RingHandle>, element: *mut c_void, limit: &Limit) -> c_int {
    // SAFETY: as the caller promises.
    let room = unsafe { ToFill::new(element.cast()) };
    match handle() {
        Ok(handle) if !element.is_null() && handle.pop_fast(!matches!(limit, Limit::Now), room) => 0,
        _ => otherwise(Call::Pop, handle, element, move |handle| handle.pop_slow(limit, room)),
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
    // SAFETY: as the caller promises.
    let done = handle.push_many(most, unsafe { ToPush::new(elements.cast()) })?;
    Ok(done.map(|count| count as c_int))
}

/// # Safety
/// `elements` has room for `count` elements.
#[inline(always)]
pub(super) unsafe fn pop_many(handle: &RingHandle, elements: *mut c_void, count: c_uint) -> Result<Outcome<c_int>> {
    let most = check_array(elements, count, "elements")?;
    // SAFETY: as the caller promises.
    let done = handle.pop_many(most, unsafe { ToFill::new(elements.cast()) })?;
    Ok(done.map(|count| count as c_int))
}

/// Publishes a message. Waits for room without limit. Consumers see the message when it is wholly
/// written. Makes no system call unless a consumer sleeps or the ring is full.
///
/// @param ring    a producer's end
/// @param element the message, `element_size` bytes, which are copied
/// @return 0. -1:
///         `EINTR` a signal handler ran, or `shmem_ring_interrupt`;
///         `EINVAL` `element` is `NULL`, a consumer's end, or a slot of an SPSC ring is reserved;
///         `EBADMSG` the ring is corrupt;
///         `ESTALE` another process took over this place: close, and open again;
///         a handle error (`EINVAL`, `EPIPE`)
///
/// # Safety
/// `ring` leads to a ring, `element` to as many bytes as an element has.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn shmem_ring_push(ring: *mut shmem_ring, element: *const c_void) -> c_int {
    // SAFETY: as the caller promises.
    unsafe { push(move || handle(ring), element, &Limit::Forever) }
}

/// Publishes a message if there is room; never waits.
///
/// @param ring    a producer's end
/// @param element the message, `element_size` bytes, which are copied
/// @return 0. -1: `EAGAIN` full; else as `shmem_ring_push`
///
/// # Safety
/// As for `shmem_ring_push`.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn shmem_ring_try_push(ring: *mut shmem_ring, element: *const c_void) -> c_int {
    // SAFETY: as the caller promises.
    unsafe { push(move || handle(ring), element, &Limit::Now) }
}

/// Publishes a message. Waits for room as long as the timeout says.
///
/// @param ring    a producer's end
/// @param element the message, `element_size` bytes, which are copied
/// @param timeout relative; `NULL`: no limit
/// @return 0. -1: `ETIMEDOUT`; `EINVAL` also for the timeout; else as `shmem_ring_push`
///
/// # Safety
/// As for `shmem_ring_push`; `timeout` is null or valid.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn shmem_ring_timed_push(ring: *mut shmem_ring, element: *const c_void, timeout: *const timespec) -> c_int {
    // SAFETY: as the caller promises.
    unsafe { within(timeout, |limit| push(move || handle(ring), element, limit)) }
}

/// Publishes as many messages as fit; never waits. The consumer of an SPSC ring sees all at once.
/// In other rings they are a run of single messages; those of other producers may come in between.
///
/// @param ring     a producer's end
/// @param elements the messages, one behind the other, which are copied
/// @param count    how many messages `elements` has
/// @return how many messages were published. 0: `EAGAIN` full. -1: as `shmem_ring_push`, without
///         `EINTR`
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

/// Takes the oldest message. Waits for one without limit, also if there is no producer: another may
/// come. A consumer that must learn that all producers are gone uses `shmem_ring_timed_pop`, and
/// asks `shmem_ring_stats` for `producers`. Makes no system call unless a producer sleeps or the
/// ring is empty.
///
/// @param ring    a consumer's end
/// @param element filled with the message, `element_size` bytes
/// @return 0. -1:
///         `EINTR` a signal handler ran, or `shmem_ring_interrupt`;
///         `EINVAL` `element` is `NULL`, a producer's end, or an SPSC message is peeked at;
///         `EBADMSG` the ring is corrupt;
///         `ESTALE` another process took over this place: close, and open again;
///         a handle error (`EINVAL`, `EPIPE`)
///
/// # Safety
/// `ring` leads to a ring, `element` to room for an element.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn shmem_ring_pop(ring: *mut shmem_ring, element: *mut c_void) -> c_int {
    // SAFETY: as the caller promises.
    unsafe { pop(move || handle(ring), element, &Limit::Forever) }
}

/// Takes the oldest message if there is one; never waits.
///
/// @param ring    a consumer's end
/// @param element filled with the message, `element_size` bytes
/// @return 0. -1: `EAGAIN` empty, or the oldest message is not yet wholly written; else as
///         `shmem_ring_pop`
///
/// # Safety
/// As for `shmem_ring_pop`.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn shmem_ring_try_pop(ring: *mut shmem_ring, element: *mut c_void) -> c_int {
    // SAFETY: as the caller promises.
    unsafe { pop(move || handle(ring), element, &Limit::Now) }
}

/// Takes the oldest message. Waits for one as long as the timeout says.
///
/// @param ring    a consumer's end
/// @param element filled with the message, `element_size` bytes
/// @param timeout relative; `NULL`: no limit
/// @return 0. -1: `ETIMEDOUT`; `EINVAL` also for the timeout; else as `shmem_ring_pop`
///
/// # Safety
/// As for `shmem_ring_pop`; `timeout` is null or valid.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn shmem_ring_timed_pop(ring: *mut shmem_ring, element: *mut c_void, timeout: *const timespec) -> c_int {
    // SAFETY: as the caller promises.
    unsafe { within(timeout, |limit| pop(move || handle(ring), element, limit)) }
}

/// Takes as many messages as there are, the oldest first; never waits.
///
/// @param ring     a consumer's end
/// @param elements filled with the messages, one behind the other
/// @param count    how many messages fit into `elements`
/// @return how many messages were taken. 0: `EAGAIN` empty. -1: as `shmem_ring_pop`, without
///         `EINTR`
///
/// # Safety
/// `ring` leads to a ring, `elements` to room for `count` elements.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn shmem_ring_pop_many(ring: *mut shmem_ring, elements: *mut c_void, count: c_uint) -> c_int {
    // SAFETY: as the caller promises.
    unsafe { none_is_zero(outcome(Call::Pop, -1, handle(ring), |ring| pop_many(ring, elements, count))) }
}

/// Reserves a slot, in which the caller makes a message in place; never waits. In an SPSC ring one
/// slot can be reserved at a time, and nothing is pushed meanwhile. In other rings several can be;
/// messages behind a reserved slot wait for it while this process lives.
///
/// @param ring a producer's end
/// @return the slot: `element_size` bytes, aligned to 32, or to 16 if `element_size` is at most 8.
///         It is the caller's until `shmem_ring_commit` or `shmem_ring_abort`. `NULL`: `EAGAIN`
///         full; else as `shmem_ring_push`, without `EINTR`
///
/// # Safety
/// `ring` leads to a ring.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn shmem_ring_reserve(ring: *mut shmem_ring) -> *mut c_void {
    // SAFETY: as the caller promises.
    outcome(Call::Push, std::ptr::null_mut(), unsafe { handle(ring) }, |ring| Ok(ring.reserve(&Limit::Now)?.map(<*mut u8>::cast)))
}

/// Reserves a slot as `shmem_ring_reserve` does. Waits for room as long as the timeout says.
///
/// @param ring    a producer's end
/// @param timeout relative; `NULL`: no limit
/// @return the slot, as by `shmem_ring_reserve`. `NULL`: `ETIMEDOUT`; `EINVAL` also for the
///         timeout; else as `shmem_ring_push`
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

/// Publishes the message in a reserved slot. Also allowed after `shmem_ring_close`, and in another
/// thread than the one that reserved it.
///
/// @param ring the producer's end
/// @param slot what `shmem_ring_reserve` returned
/// @return 0. -1: `EINVAL` this end has not reserved the slot; `EPIPE` the end is closed, and
///         nothing is reserved; `ESTALE` as for `shmem_ring_push`
///
/// # Safety
/// `ring` leads to a ring.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn shmem_ring_commit(ring: *mut shmem_ring, slot: *mut c_void) -> c_int {
    // SAFETY: as the caller promises.
    convert(-1, || unsafe { handle(ring) }?.commit(slot as usize).map(|()| 0))
}

/// Gives up a reserved slot without a message. Also allowed after `shmem_ring_close`, and in
/// another thread than the one that reserved it.
///
/// @param ring the producer's end
/// @param slot what `shmem_ring_reserve` returned
/// @return 0. -1: as `shmem_ring_commit`
///
/// # Safety
/// `ring` leads to a ring.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn shmem_ring_abort(ring: *mut shmem_ring, slot: *mut c_void) -> c_int {
    // SAFETY: as the caller promises.
    convert(-1, || unsafe { handle(ring) }?.abort(slot as usize).map(|()| 0))
}

/// Gives access to the oldest message in place; never waits. In an SPSC ring the message is taken
/// when it is released: one message can be peeked at a time, nothing is popped meanwhile, and the
/// next consumer gets the message if this one dies. In other rings several can be peeked at; each
/// is taken at once, and is lost if this process dies.
///
/// @param ring a consumer's end
/// @return the message, `element_size` bytes, valid until `shmem_ring_release`. `NULL`: `EAGAIN` as
///         for `shmem_ring_try_pop`; else as `shmem_ring_pop`, without `EINTR`
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

/// Gives access to the oldest message as `shmem_ring_peek` does. Waits for one as long as the
/// timeout says.
///
/// @param ring    a consumer's end
/// @param timeout relative; `NULL`: no limit
/// @return the message, as by `shmem_ring_peek`. `NULL`: `ETIMEDOUT`; `EINVAL` also for the
///         timeout; else as `shmem_ring_pop`
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

/// Gives back the slot of a message that was peeked at. Also allowed after `shmem_ring_close`, and
/// in another thread than the one that peeked at it.
///
/// @param ring    the consumer's end
/// @param message what `shmem_ring_peek` returned
/// @return 0. -1: `EINVAL` this end does not peek at the message; `EPIPE` the end is closed, and
///         nothing is peeked at; `ESTALE` as for `shmem_ring_pop`
///
/// # Safety
/// `ring` leads to a ring.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn shmem_ring_release(ring: *mut shmem_ring, message: *const c_void) -> c_int {
    // SAFETY: as the caller promises.
    convert(-1, || unsafe { handle(ring) }?.release(message as usize).map(|()| 0))
}
