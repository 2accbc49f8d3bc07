//! Group "endpoints".

use super::error::Call;
use super::ring::{or_default, shmem_ring};
use super::ring_messages::{none_is_zero, outcome, pop, pop_many, push, push_many};
use super::{Found, Wrong, convert, guard, guard_signal_safe, known, not_a, text, within};
use crate::ring::Policy;
use crate::ring::api::endpoint::{EndpointSide, Pair, unlink};
use crate::ring::handle::RingHandle;
use crate::waiting::Limit;
use libc::{c_char, c_int, c_uint, c_void, size_t, timespec};

/// A side of an endpoint: sends by `NAME_AB`, receives by `NAME_BA`.
pub const SHMEM_SIDE_A: c_int = 1;
/// A side of an endpoint: sends by `NAME_BA`, receives by `NAME_AB`.
pub const SHMEM_SIDE_B: c_int = 2;

/// One side of a duplex connection: a producer's end of one ring, a consumer's end of another.
/// `shmem_endpoint_open` makes it; it is valid until `shmem_endpoint_close`.
#[allow(non_camel_case_types)]
pub struct shmem_endpoint {
    _private: (),
}

/// The pair of rings behind a `struct shmem_endpoint *`.
///
/// # Safety
/// `endpoint` is null, or leads to readable memory as large as a pointer.
#[inline(always)]
unsafe fn pair(endpoint: *const shmem_endpoint) -> Found<&'static Pair> {
    // SAFETY: as the caller promises.
    unsafe { known(endpoint.cast(), |at| not_a("endpoint", at), Pair::at) }
}

/// The ring by which an endpoint sends.
///
/// # Safety
/// As for [`pair`].
#[inline(always)]
pub(super) unsafe fn outgoing(endpoint: *const shmem_endpoint) -> Found<&'static RingHandle> {
    // SAFETY: the caller's promise is passed on.
    unsafe { pair(endpoint) }?.outgoing().ok_or(Wrong(endpoint.cast(), |_| Pair::closed()))
}

/// The ring by which it receives.
///
/// # Safety
/// As for [`pair`].
#[inline(always)]
pub(super) unsafe fn incoming(endpoint: *const shmem_endpoint) -> Found<&'static RingHandle> {
    // SAFETY: the caller's promise is passed on.
    unsafe { pair(endpoint) }?.incoming().ok_or(Wrong(endpoint.cast(), |_| Pair::closed()))
}

/// Opens a side of an endpoint: the rings `NAME_AB` and `NAME_BA`, which are created if they do not
/// exist. Either side may come first.
///
/// @param name         of the endpoint (Names, above)
/// @param policy       of both rings: `SHMEM_SPSC`, `SHMEM_MPSC` or `SHMEM_MPMC`
/// @param side         `SHMEM_SIDE_A` or `SHMEM_SIDE_B`
/// @param element_size bytes of a message: 1 to 2^20; 0: 1472
/// @param capacity     messages that fit into each ring: 1 to 2^20; 0: 144
/// @return the side, which the caller closes by `shmem_endpoint_close`. `NULL`, and neither ring is
///         created: `EINVAL` also for the side; else as `shmem_ring_open`
///
/// # Safety
/// `name` is a C string.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn shmem_endpoint_open(
    name: *const c_char,
    policy: c_int,
    side: c_int,
    element_size: size_t,
    capacity: size_t,
) -> *mut shmem_endpoint {
    guard(std::ptr::null_mut(), || {
        // SAFETY: as the caller promises.
        let name = unsafe { text(name) }?;
        let (side, policy) = (EndpointSide::from_number(side.into())?, Policy::from_number(policy.into())?);
        let (element_size, capacity) = or_default(element_size, capacity);
        let pair = Pair::open(name, policy, side, element_size, capacity)?;
        Ok(std::ptr::from_ref(pair).cast_mut().cast())
    })
}

/// Returns the ring by which this side sends, for all calls on a producer's end except close.
///
/// @param endpoint an open endpoint
/// @return the ring, valid until the endpoint is closed, which closes it. `NULL`: a handle error
///         (`EINVAL`, `EPIPE`)
///
/// # Safety
/// `endpoint` leads to an endpoint.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn shmem_endpoint_outgoing(endpoint: *mut shmem_endpoint) -> *mut shmem_ring {
    // SAFETY: as the caller promises.
    convert(std::ptr::null_mut(), || Ok(std::ptr::from_ref(unsafe { outgoing(endpoint) }?).cast_mut().cast()))
}

/// Returns the ring by which this side receives, for all calls on a consumer's end except close.
///
/// @param endpoint an open endpoint
/// @return the ring, valid until the endpoint is closed, which closes it. `NULL`: a handle error
///         (`EINVAL`, `EPIPE`)
///
/// # Safety
/// `endpoint` leads to an endpoint.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn shmem_endpoint_incoming(endpoint: *mut shmem_endpoint) -> *mut shmem_ring {
    // SAFETY: as the caller promises.
    convert(std::ptr::null_mut(), || Ok(std::ptr::from_ref(unsafe { incoming(endpoint) }?).cast_mut().cast()))
}

/// Sends a message. Waits for room without limit.
///
/// @param endpoint an open endpoint
/// @param element  the message, `element_size` bytes, which are copied
/// @return 0. -1: as `shmem_ring_push`, with `EINTR` also by `shmem_endpoint_interrupt`
///
/// # Safety
/// `endpoint` leads to an endpoint, `element` to as many bytes as an element has.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn shmem_endpoint_send(endpoint: *mut shmem_endpoint, element: *const c_void) -> c_int {
    // SAFETY: as the caller promises.
    unsafe { push(move || outgoing(endpoint), element, &Limit::Forever) }
}

/// Sends a message if there is room; never waits.
///
/// @param endpoint an open endpoint
/// @param element  the message, `element_size` bytes, which are copied
/// @return 0. -1: as `shmem_ring_try_push`
///
/// # Safety
/// As for `shmem_endpoint_send`.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn shmem_endpoint_try_send(endpoint: *mut shmem_endpoint, element: *const c_void) -> c_int {
    // SAFETY: as the caller promises.
    unsafe { push(move || outgoing(endpoint), element, &Limit::Now) }
}

/// Sends a message. Waits for room as long as the timeout says.
///
/// @param endpoint an open endpoint
/// @param element  the message, `element_size` bytes, which are copied
/// @param timeout  relative; `NULL`: no limit
/// @return 0. -1: as `shmem_ring_timed_push`, with `EINTR` also by `shmem_endpoint_interrupt`
///
/// # Safety
/// As for `shmem_endpoint_send`; `timeout` is null or valid.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn shmem_endpoint_timed_send(
    endpoint: *mut shmem_endpoint,
    element: *const c_void,
    timeout: *const timespec,
) -> c_int {
    // SAFETY: as the caller promises.
    unsafe { within(timeout, |limit| push(move || outgoing(endpoint), element, limit)) }
}

/// Sends as many messages as fit; never waits.
///
/// @param endpoint an open endpoint
/// @param elements the messages, one behind the other, which are copied
/// @param count    how many messages `elements` has
/// @return how many messages were sent; 0 or -1: as `shmem_ring_push_many`
///
/// # Safety
/// `endpoint` leads to an endpoint, `elements` to `count` elements.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn shmem_endpoint_send_many(
    endpoint: *mut shmem_endpoint,
    elements: *const c_void,
    count: c_uint,
) -> c_int {
    // SAFETY: as the caller promises.
    unsafe { none_is_zero(outcome(Call::Push, -1, outgoing(endpoint), |ring| push_many(ring, elements, count))) }
}

/// Receives the oldest message. Waits for one without limit, also if there is no other side.
///
/// @param endpoint an open endpoint
/// @param element  filled with the message, `element_size` bytes
/// @return 0. -1: as `shmem_ring_pop`, with `EINTR` also by `shmem_endpoint_interrupt`
///
/// # Safety
/// `endpoint` leads to an endpoint, `element` to room for an element.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn shmem_endpoint_receive(endpoint: *mut shmem_endpoint, element: *mut c_void) -> c_int {
    // SAFETY: as the caller promises.
    unsafe { pop(move || incoming(endpoint), element, &Limit::Forever) }
}

/// Receives the oldest message if there is one; never waits.
///
/// @param endpoint an open endpoint
/// @param element  filled with the message, `element_size` bytes
/// @return 0. -1: as `shmem_ring_try_pop`
///
/// # Safety
/// As for `shmem_endpoint_receive`.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn shmem_endpoint_try_receive(endpoint: *mut shmem_endpoint, element: *mut c_void) -> c_int {
    // SAFETY: as the caller promises.
    unsafe { pop(move || incoming(endpoint), element, &Limit::Now) }
}

/// Receives the oldest message. Waits for one as long as the timeout says.
///
/// @param endpoint an open endpoint
/// @param element  filled with the message, `element_size` bytes
/// @param timeout  relative; `NULL`: no limit
/// @return 0. -1: as `shmem_ring_timed_pop`, with `EINTR` also by `shmem_endpoint_interrupt`
///
/// # Safety
/// As for `shmem_endpoint_receive`; `timeout` is null or valid.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn shmem_endpoint_timed_receive(
    endpoint: *mut shmem_endpoint,
    element: *mut c_void,
    timeout: *const timespec,
) -> c_int {
    // SAFETY: as the caller promises.
    unsafe { within(timeout, |limit| pop(move || incoming(endpoint), element, limit)) }
}

/// Receives as many messages as there are, the oldest first; never waits.
///
/// @param endpoint an open endpoint
/// @param elements filled with the messages, one behind the other
/// @param count    how many messages fit into `elements`
/// @return how many messages were received; 0 or -1: as `shmem_ring_pop_many`
///
/// # Safety
/// `endpoint` leads to an endpoint, `elements` to room for `count` elements.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn shmem_endpoint_receive_many(
    endpoint: *mut shmem_endpoint,
    elements: *mut c_void,
    count: c_uint,
) -> c_int {
    // SAFETY: as the caller promises.
    unsafe { none_is_zero(outcome(Call::Pop, -1, incoming(endpoint), |ring| pop_many(ring, elements, count))) }
}

/// Counts the messages that can be sent without waiting.
///
/// @param endpoint an open endpoint
/// @return 0 to the capacity. -1: as `shmem_ring_available`
///
/// # Safety
/// `endpoint` leads to an endpoint.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn shmem_endpoint_available(endpoint: *mut shmem_endpoint) -> c_int {
    // SAFETY: as the caller promises.
    convert(-1, || Ok(unsafe { outgoing(endpoint) }?.fill()?.1 as c_int))
}

/// Counts the messages that can be received without waiting.
///
/// @param endpoint an open endpoint
/// @return 0 to the capacity. -1: as `shmem_ring_pending`
///
/// # Safety
/// `endpoint` leads to an endpoint.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn shmem_endpoint_pending(endpoint: *mut shmem_endpoint) -> c_int {
    // SAFETY: as the caller promises.
    convert(-1, || Ok(unsafe { incoming(endpoint) }?.fill()?.0 as c_int))
}

/// Tells whether no message can be sent without waiting.
///
/// @param endpoint an open endpoint
/// @return 1: full. 0: not full. -1: as `shmem_ring_available`
///
/// # Safety
/// `endpoint` leads to an endpoint.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn shmem_endpoint_full(endpoint: *mut shmem_endpoint) -> c_int {
    // SAFETY: as the caller promises.
    convert(-1, || Ok(c_int::from(unsafe { outgoing(endpoint) }?.fill()?.1 == 0)))
}

/// Tells whether no message can be received without waiting.
///
/// @param endpoint an open endpoint
/// @return 1: empty. 0: not empty. -1: as `shmem_ring_pending`
///
/// # Safety
/// `endpoint` leads to an endpoint.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn shmem_endpoint_empty(endpoint: *mut shmem_endpoint) -> c_int {
    // SAFETY: as the caller promises.
    convert(-1, || Ok(c_int::from(unsafe { incoming(endpoint) }?.fill()?.0 == 0)))
}

/// Ends the waits on this side that have begun, as `shmem_ring_interrupt` does for each of both
/// rings: in a direction without a wait, the next one ends.
///
/// @param endpoint an open endpoint
/// @return 0. -1: a handle error (`EINVAL`, `EPIPE`)
///
/// Async-signal-safe.
///
/// # Safety
/// `endpoint` leads to an endpoint.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn shmem_endpoint_interrupt(endpoint: *mut shmem_endpoint) -> c_int {
    guard_signal_safe(|| {
        // SAFETY: as the caller promises.
        let (outgoing, incoming) = unsafe { (outgoing(endpoint)?, incoming(endpoint)?) };
        outgoing.interrupt()?;
        incoming.interrupt()
    })
}

/// Closes a side in this process, both rings as by `shmem_ring_close`. The rings stay, with their
/// messages, until they are unlinked.
///
/// @param endpoint an open endpoint; the pointer is invalid afterwards
/// @return 0. -1: `EINVAL` not an open endpoint
///
/// Async-signal-safe: it takes no lock.
///
/// # Safety
/// `endpoint` leads to an endpoint.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn shmem_endpoint_close(endpoint: *mut shmem_endpoint) -> c_int {
    // SAFETY: as the caller promises.
    guard_signal_safe(|| unsafe { pair(endpoint) }?.close())
}

/// Closes a side, and gives back all that it has reserved or peeked at, as `shmem_ring_abandon`
/// does for each of both rings.
///
/// @param endpoint an open endpoint; the pointer, and those to messages in its rings, are invalid
///                 afterwards
/// @return 0. -1: `EINVAL` not an open endpoint
///
/// Not async-signal-safe.
///
/// # Safety
/// `endpoint` leads to an endpoint.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn shmem_endpoint_abandon(endpoint: *mut shmem_endpoint) -> c_int {
    // SAFETY: as the caller promises.
    guard(-1, || unsafe { pair(endpoint) }?.abandon().map(|()| 0))
}

/// Removes the names of both rings. A process that has them open keeps them. `shmem_ring_unlink`
/// removes one of them.
///
/// @param name of the endpoint
/// @return 0, also if only one of them existed. -1: `EINVAL` name; `ENOENT` there is neither;
///         `EACCES`, `EPERM` the system forbids it
///
/// # Safety
/// `name` is a C string.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn shmem_endpoint_unlink(name: *const c_char) -> c_int {
    guard(-1, || {
        // SAFETY: as the caller promises.
        unlink(unsafe { text(name) }?)?;
        Ok(0)
    })
}
