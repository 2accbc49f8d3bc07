//! Group "channel, one region": samples.

use super::channel::{handle, shmem_shared};
use super::transfer::{alloc, read, sample, write};
use super::within;
use crate::channel::native::Native;
use crate::waiting::Limit;
use libc::{c_int, c_uint, timespec};

/// Receives samples, as soon as there is one. Spins in polling mode, else spins a little and then sleeps.
///
/// @param shm  an open channel
/// @param smps filled with pointers to the samples; each has one reference, to be given back by `sample_put` or by writing the sample
/// @param count at most so many
/// @return 1 to `count`. 0: nothing yet, call again: `EAGAIN` 100 ms are over, `EINTR` a signal handler ran, or `shmem_shared_interrupt`.
///         -1: `EPIPE` the peer closed or died and all that it wrote has been read (calls go on when a new one
///         attaches), or the channel is closed;
///         `EBADMSG` the region is corrupt; `ESTALE` the name leads to another region, or this side was taken over:
///         open again; or nobody can come any more (below); `EINVAL`
///
/// A side that has been without a live peer for a second, in a region whose name was removed, waits
/// for nobody: all calls that would have to wait say `ESTALE`, once all is read. Create or open the
/// region again. If a peer comes all the same, calls go on. A region without a name
/// (`shmem_shared_create_fd`) is never lost, nor is one whose peer lives. Who removes names under
/// live processes: systemd-logind when a user's last session ends (`RemoveIPC=`), Python's
/// `multiprocessing.resource_tracker` when a program ends that has opened the name, and a container
/// that has the same `/dev/shm` when it cleans up.
///
/// Any thread; several may read at once.
///
/// # Safety
/// `shm` leads to a channel, `smps` has room for `count` pointers.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn shmem_shared_read(shm: *mut shmem_shared, smps: *mut *mut sample, count: c_uint) -> c_int {
    // SAFETY: the caller's promise is passed on.
    unsafe { read::<Native>(move || handle(shm), smps, count, None) }
}

/// The same as `shmem_shared_read`; does not wait.
///
/// @return as `shmem_shared_read`; 0 with `EAGAIN`
///
/// # Safety
/// As for `shmem_shared_read`.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn shmem_shared_try_read(shm: *mut shmem_shared, smps: *mut *mut sample, count: c_uint) -> c_int {
    // SAFETY: the caller's promise is passed on.
    unsafe { read::<Native>(move || handle(shm), smps, count, Some(&Limit::Now)) }
}

/// The same as `shmem_shared_read`; waits for so long.
///
/// @param timeout relative; `NULL`: without limit
/// @return as `shmem_shared_read`; 0 with `ETIMEDOUT` when the time is over
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

/// Sends samples. Never waits.
///
/// @param shm  an open channel
/// @param smps samples that this process holds, of this channel: allocated, or received
/// @param count how many
/// @return how many were taken, 0 to `count`, in order. They belong to the reader then, those not taken stay the caller's. Fewer than `count`: `EAGAIN` the queue is full,
///         `EINVAL` the next one cannot be sent, `EPIPE` and `ESTALE` as below. -1: `EINVAL` already the first cannot be sent (not live, of another
///         channel, longer than its capacity, or still out: the peer has not put it since it was written last); `EPIPE`
///         the peer is known to have closed or died, or the channel is closed; `ESTALE`
///
/// Any thread; what one thread writes arrives in its order. No system call unless the peer sleeps.
///
/// # Safety
/// `shm` leads to a channel, `smps` has `count` pointers.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn shmem_shared_write(shm: *mut shmem_shared, smps: *mut *mut sample, count: c_uint) -> c_int {
    // SAFETY: the caller's promise is passed on.
    unsafe { write::<Native>(move || handle(shm), smps, count, &Limit::Now) }
}

/// The same as `shmem_shared_write`; waits for room until all are taken.
///
/// @param timeout relative; `NULL`: without limit
/// @return as `shmem_shared_write`; fewer than `count` also with `ETIMEDOUT`, `EINTR` and `EPIPE`
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

/// The same as `sample_alloc`; waits until there are `count`.
///
/// @param shm     an open channel
/// @param timeout relative; `NULL`: without limit
/// @return as `sample_alloc`; fewer than `count` with `ETIMEDOUT`, `EINTR`, or `EPIPE` when the peer, which has the others, is gone (-1 when there is none)
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
