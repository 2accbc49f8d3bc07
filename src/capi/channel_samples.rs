//! Group "channel, one region": samples.

use super::channel::{handle, shmem_shared};
use super::transfer::{alloc, read, sample, write};
use super::within;
use crate::channel::native::Native;
use crate::waiting::Limit;
use libc::{c_int, c_uint, timespec};

/// Receives samples. Waits up to 100 ms for the first one, in both modes. Before a first peer
/// attaches, it waits too.
///
/// @param shm   an open channel
/// @param smps  filled with pointers to samples. The caller owns one reference to each, and gives
///              it up by `sample_put` or by writing the sample
/// @param count how many samples fit into `smps`
/// @return 1 to `count`. 0, call again: `EAGAIN` no sample came in time; `EINTR` a signal handler
///         ran, or `shmem_shared_interrupt`. -1:
///         `EPIPE` the peer closed or died, and all that it wrote has been read;
///         `ESTALE` the name leads to another region, another process took over this side, or the
///         name was removed and no peer was alive for a second: nobody can attach any more. See
///         After EPIPE and ESTALE, above;
///         `EBADMSG` the region is corrupt;
///         a handle error (`EINVAL`, `EPIPE`)
///
/// # Safety
/// `shm` leads to a channel, `smps` has room for `count` pointers.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn shmem_shared_read(shm: *mut shmem_shared, smps: *mut *mut sample, count: c_uint) -> c_int {
    // SAFETY: the caller's promise is passed on.
    unsafe { read::<Native>(move || handle(shm), smps, count, None) }
}

/// Receives samples that are there already; never waits.
///
/// @param shm   an open channel
/// @param smps  filled as by `shmem_shared_read`
/// @param count how many samples fit into `smps`
/// @return 1 to `count`. 0: `EAGAIN` there is none. -1: as `shmem_shared_read`
///
/// # Safety
/// As for `shmem_shared_read`.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn shmem_shared_try_read(shm: *mut shmem_shared, smps: *mut *mut sample, count: c_uint) -> c_int {
    // SAFETY: the caller's promise is passed on.
    unsafe { read::<Native>(move || handle(shm), smps, count, Some(&Limit::Now)) }
}

/// Receives samples. Waits for the first one, as long as the timeout says.
///
/// @param shm     an open channel
/// @param smps    filled as by `shmem_shared_read`
/// @param count   how many samples fit into `smps`
/// @param timeout relative; `NULL`: no limit
/// @return 1 to `count`. 0: `ETIMEDOUT`, or `EINTR` as for `shmem_shared_read`. -1: `EINVAL` also
///         for the timeout; else as `shmem_shared_read`
///
/// # Safety
/// As for `shmem_shared_read`; `timeout` is null or valid.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn shmem_shared_timed_read(
    shm: *mut shmem_shared,
    smps: *mut *mut sample,
    count: c_uint,
    timeout: *const timespec,
) -> c_int {
    // SAFETY: the caller's promise is passed on.
    unsafe { within(timeout, |limit| read::<Native>(move || handle(shm), smps, count, Some(limit))) }
}

/// Sends samples, in order; never waits. Before a first peer attaches, samples queue up. Makes no
/// system call unless the peer sleeps. The samples of one thread arrive in the order of its writes.
///
/// @param shm   an open channel
/// @param smps  samples of this channel that this process holds: allocated, or received
/// @param count how many samples `smps` has
/// @return how many samples were sent: 0 to `count`. They belong to the reader, who puts them; the
///         others stay the caller's. Fewer than `count`: `EAGAIN` the queue is full; or an errno
///         below. -1: no sample was sent:
///         `EINVAL` the first one cannot be sent: this process does not hold it, it is of another
///         channel, its length exceeds its capacity, or it is still out: the peer has not put it
///         since it was written last;
///         `EPIPE` the peer has closed or died; `ESTALE` as for `shmem_shared_read`;
///         a handle error (`EINVAL`, `EPIPE`)
///
/// # Safety
/// `shm` leads to a channel, `smps` has `count` pointers.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn shmem_shared_write(shm: *mut shmem_shared, smps: *mut *mut sample, count: c_uint) -> c_int {
    // SAFETY: the caller's promise is passed on.
    unsafe { write::<Native>(move || handle(shm), smps, count, &Limit::Now) }
}

/// Sends samples, in order. Waits for room until all are sent, as long as the timeout says.
///
/// @param shm     an open channel
/// @param smps    samples, as for `shmem_shared_write`
/// @param count   how many samples `smps` has
/// @param timeout relative; `NULL`: no limit
/// @return how many samples were sent, as by `shmem_shared_write`. Fewer than `count`: `ETIMEDOUT`,
///         `EINTR` a signal handler ran, or `shmem_shared_interrupt`; or an errno of
///         `shmem_shared_write`. -1: `EINVAL` also for the timeout; else as `shmem_shared_write`
///
/// # Safety
/// As for `shmem_shared_write`; `timeout` is null or valid.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn shmem_shared_timed_write(
    shm: *mut shmem_shared,
    smps: *mut *mut sample,
    count: c_uint,
    timeout: *const timespec,
) -> c_int {
    // SAFETY: the caller's promise is passed on.
    unsafe { within(timeout, |limit| write::<Native>(move || handle(shm), smps, count, limit)) }
}

/// Allocates empty samples as `sample_alloc` does. Waits until there are `count`, as long as the
/// timeout says.
///
/// @param shm     an open channel
/// @param smps    filled as by `sample_alloc`
/// @param count   how many samples are wanted
/// @param timeout relative; `NULL`: no limit
/// @return how many samples were allocated. Fewer than `count`: `ETIMEDOUT`; `EINTR` a signal
///         handler ran, or `shmem_shared_interrupt`; `EPIPE` the peer, which has the other blocks,
///         closed or died; `ESTALE` as for `shmem_shared_read`. -1: `EPIPE` or `ESTALE` with no
///         sample allocated;
///         `EINVAL` the timeout; a handle error (`EINVAL`, `EPIPE`)
///
/// # Safety
/// `shm` leads to a channel, `smps` has room for `count` pointers, `timeout` is null or valid.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn shmem_shared_timed_alloc(
    shm: *mut shmem_shared,
    smps: *mut *mut sample,
    count: c_uint,
    timeout: *const timespec,
) -> c_int {
    // SAFETY: the caller's promise is passed on.
    unsafe { within(timeout, |limit| alloc::<Native>(move || handle(shm), smps, count, limit)) }
}
