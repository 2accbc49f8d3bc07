//! Group "channel, wire layout".

use super::channel::{config, face, shmem_conf, shmem_shared};
use super::channel_control::{fill_stats, shmem_stats};
use super::transfer::{alloc, read, sample, write};
use super::{Found, Wrong, guard, guard_signal_safe, known, limit, not_a, text, within};
use crate::channel::Config;
use crate::channel::handle::ChannelHandle;
use crate::channel::wire::{self, Wire};
use crate::error::Error;
use crate::waiting::Limit;
use libc::{c_char, c_int, c_uint, c_void, timespec};

/// One direction of a channel in VILLASnode's layout. For reading only.
#[allow(non_camel_case_types)]
#[repr(C)]
pub struct shmem_dir {
    /// Where the region lies in this process.
    pub base: *mut c_void,
    /// Its length in bytes.
    pub len: usize,
    /// For `sample_alloc(&shm.write.shared->pool, …)`.
    pub shared: *mut shmem_shared,
}

/// A channel in VILLASnode's layout. The memory is the caller's; `shmem_int_open` fills it. May be copied, the copies are the same channel.
#[allow(non_camel_case_types)]
#[repr(C)]
pub struct shmem_int {
    /// The region that this process reads.
    pub read: shmem_dir,
    /// The region that this process writes.
    pub write: shmem_dir,
    /// The library's.
    pub channel: *mut c_void,
    /// The library's.
    pub check: usize,
    /// The library's.
    pub reserved: [usize; 8],
}

/// What `check` is, combined with `channel`: tells a struct that was opened from one that was not.
/// Regions begin at multiples of this.
const PAGE: usize = 4096;
const CHECK: usize = usize::from_le_bytes(*b"shmemint");

/// # Safety
/// `shm` is null or leads to a `struct shmem_int`.
#[inline(always)]
unsafe fn handle(shm: *const shmem_int) -> Found<&'static ChannelHandle<Wire>> {
    if shm.is_null() {
        return Err(Wrong(shm.cast(), |at| not_a("channel", at)));
    }
    let closed = Wrong(shm.cast(), |_| Error::invalid("the struct shmem_int is not an open channel"));
    if !shm.is_aligned() {
        return Err(closed);
    }
    // A handle of another kind is shorter than the struct, and so is an event. No other first word
    // is the address of a region. SAFETY: as the caller promises.
    let base = unsafe { (&raw const (*shm).read.base).read() };
    if base.is_null() || base as usize % PAGE != 0 {
        return Err(closed);
    }
    // SAFETY: as above.
    let (channel, check) = unsafe { ((*shm).channel, (*shm).check) };
    if channel as usize ^ CHECK != check {
        return Err(closed);
    }
    // SAFETY: the library has put the pointer there; handles live for ever.
    unsafe { known(channel, |at| not_a("channel of the wire layout", at), ChannelHandle::<Wire>::at) }
}

/// Opens a channel in the layout of VILLASnode 1.2's `shmem` node: makes the region `wname`, which this process writes, and opens
/// `rname`, which the other side makes. Waits for the other side without limit; which begins does not matter. With both
/// names the same, this process reads what it writes.
///
/// It waits for a region of the other side that is missing, not ready, or not one of this layout so
/// far. Any other failure ends the wait at once.
///
/// @param wname the node's `in.name`
/// @param rname the node's `out.name`
/// @param shm   filled
/// @param conf  the parameters of the region that is written; `NULL`: all defaults
/// @return 0. -1: `EINVAL` names or parameters; `EBUSY` `wname` is held by a live process; `EINTR`
///         a signal handler ran; `ESTALE` `wname` was removed while this waited, so that nobody can
///         come any more; `EBADMSG` `wname`, or the semaphore of a name, leads to something
///         else; `EACCES` another user's object, or no permission; `ENOSPC` no memory in `/dev/shm`;
///         `EFBIG`, `EMFILE`, `ENOMEM` a limit of this process; `ENOTSUP` not on x86-64 Linux with
///         glibc. `shmem_last_error()` says it in a sentence. Nothing is left behind then
///
/// Any thread.
///
/// # Safety
/// `wname` and `rname` are C strings, `shm` is valid, `conf` null or valid.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn shmem_int_open(
    wname: *const c_char,
    rname: *const c_char,
    shm: *mut shmem_int,
    conf: *const shmem_conf,
) -> c_int {
    // SAFETY: the caller's promise is passed on.
    unsafe { shmem_int_timed_open(wname, rname, shm, conf, std::ptr::null()) }
}

/// The same as `shmem_int_open`; waits for the other side for so long.
///
/// @param timeout relative; `NULL`: without limit
/// @return as `shmem_int_open`; also `ETIMEDOUT`
///
/// # Safety
/// As for `shmem_int_open`; `timeout` is null or valid.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn shmem_int_timed_open(
    wname: *const c_char,
    rname: *const c_char,
    shm: *mut shmem_int,
    conf: *const shmem_conf,
    timeout: *const timespec,
) -> c_int {
    guard(-1, || {
        if shm.is_null() {
            return Err(Error::invalid("the struct shmem_int is a null pointer"));
        }
        // SAFETY: as the caller promises.
        let (wname, rname, config, limit) = unsafe { (text(wname)?, text(rname)?, config(conf)?, limit(timeout)?) };
        let handle = wire::open(wname, rname, &config, &limit, &|| false)?;
        let [own, peer] = handle.spans();
        let dir = |(base, len): (usize, usize)| shmem_dir { base: base as *mut c_void, len, shared: face(handle) };
        let channel = face(handle).cast::<c_void>();
        let opened = shmem_int {
            read: dir(if peer.1 == 0 { own } else { peer }),
            write: dir(own),
            channel,
            check: channel as usize ^ CHECK,
            reserved: [0; 8],
        };
        // SAFETY: valid, as the caller promises.
        unsafe { shm.write(opened) };
        Ok(0)
    })
}

/// Receives samples, as soon as there is one. Spins in polling mode of the region that is read, else spins a little and then sleeps.
///
/// @param shm  an open channel
/// @param smps filled with pointers to the samples; each has one reference, to be given back by `sample_put` (`sample_decref`), or by writing
///             the sample, which sends a copy
/// @param count at most so many
/// @return 1 to `count`. 0: nothing yet, call again: `EAGAIN` 100 ms are over, `EINTR` a signal handler ran, or `shmem_int_interrupt`.
///         -1: `EPIPE` the other side closed or died and all that it wrote has been read (close, and open again), or the
///         channel is closed; `EBADMSG` the region is corrupt; `EINVAL`
///
/// Any thread; several may read at once.
///
/// # Safety
/// `shm` is null or valid, `smps` has room for `count` pointers.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn shmem_int_read(shm: *mut shmem_int, smps: *mut *mut sample, count: c_uint) -> c_int {
    // SAFETY: the caller's promise is passed on.
    unsafe { read::<Wire>(move || handle(shm), smps, count, None) }
}

/// The same as `shmem_int_read`; does not wait.
///
/// @return as `shmem_int_read`; 0 with `EAGAIN`
///
/// # Safety
/// As for `shmem_int_read`.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn shmem_int_try_read(shm: *mut shmem_int, smps: *mut *mut sample, count: c_uint) -> c_int {
    // SAFETY: the caller's promise is passed on.
    unsafe { read::<Wire>(move || handle(shm), smps, count, Some(&Limit::Now)) }
}

/// The same as `shmem_int_read`; waits for so long.
///
/// @param timeout relative; `NULL`: without limit
/// @return as `shmem_int_read`; 0 with `ETIMEDOUT` when the time is over
///
/// # Safety
/// As for `shmem_int_read`; `timeout` is null or valid.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn shmem_int_timed_read(
    shm: *mut shmem_int,
    smps: *mut *mut sample,
    count: c_uint,
    timeout: *const timespec,
) -> c_int {
    // SAFETY: the caller's promise is passed on.
    unsafe { within(timeout, |limit| read::<Wire>(move || handle(shm), smps, count, Some(limit))) }
}

/// Sends samples. Does not wait for room.
///
/// @param shm  an open channel
/// @param smps samples that this process holds: allocated from this channel, or received from it, which sends copies
/// @param count how many
/// @return how many were taken, 0 to `count`, in order. They belong to the reader then, those not taken stay the caller's. Fewer than `count`: `EAGAIN` the queue is full,
///         or no block is free for a copy; `EINVAL` the next one cannot be sent. -1: `EINVAL` already the first cannot be
///         sent (not live, of another channel, longer than its capacity or than the samples of this direction); `EPIPE` the
///         other side is known to have closed or died, or the channel is closed
///
/// Any thread. In pthread mode the reader is woken under its mutex: while it lives and has that in its hands, for up to a second.
///
/// # Safety
/// `shm` is null or valid, `smps` has `count` pointers.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn shmem_int_write(shm: *mut shmem_int, smps: *mut *mut sample, count: c_uint) -> c_int {
    // SAFETY: the caller's promise is passed on.
    unsafe { write::<Wire>(move || handle(shm), smps, count, &Limit::Now) }
}

/// The same as `shmem_int_write`; waits for room until all are taken.
///
/// @param timeout relative; `NULL`: without limit
/// @return as `shmem_int_write`; fewer than `count` also with `ETIMEDOUT`, `EINTR` and `EPIPE`
///
/// VILLASnode does not say when it has taken something: who waits looks every half a millisecond.
///
/// # Safety
/// As for `shmem_int_write`; `timeout` is null or valid.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn shmem_int_timed_write(
    shm: *mut shmem_int,
    smps: *mut *mut sample,
    count: c_uint,
    timeout: *const timespec,
) -> c_int {
    // SAFETY: the caller's promise is passed on.
    unsafe { within(timeout, |limit| write::<Wire>(move || handle(shm), smps, count, limit)) }
}

/// Allocates empty samples to be written, as `sample_alloc` does.
///
/// @param shm  an open channel
/// @param smps filled with pointers
/// @param count how many are wanted
/// @return how many there are, from 0 to `count`; fewer than `count` with `EAGAIN` when all `queuelen` blocks are in use. -1: `EINVAL`; `EPIPE` the channel is closed, or none is
///         free and the other side, which had them, is known to have closed or died
///
/// # Safety
/// `shm` is null or valid, `smps` has room for `count` pointers.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn shmem_int_alloc(shm: *mut shmem_int, smps: *mut *mut sample, count: c_uint) -> c_int {
    // SAFETY: the caller's promise is passed on.
    unsafe { alloc::<Wire>(move || handle(shm), smps, count, &Limit::Now) }
}

/// Ends the waits that have begun: they return 0 with `EINTR`, within 50 ms. If there is none, the
/// next wait ends so at once, and only that one, as with `shmem_shared_interrupt`.
///
/// @return 0. -1: `EINVAL`; `EPIPE` the channel is closed
///
/// Any thread; async-signal-safe.
///
/// # Safety
/// `shm` is null or valid.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn shmem_int_interrupt(shm: *mut shmem_int) -> c_int {
    // SAFETY: as the caller promises.
    guard_signal_safe(|| unsafe { handle(shm) }?.interrupt())
}

/// Whether the process at the other end is alive, as far as can be known; what cannot be known counts as alive.
///
/// @return 1 alive, 0 it has closed or died. -1: `EINVAL`; `EPIPE` the channel is closed
///
/// # Safety
/// `shm` is null or valid.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn shmem_int_peer_alive(shm: *mut shmem_int) -> c_int {
    // SAFETY: as the caller promises.
    guard(-1, || Ok(c_int::from(unsafe { handle(shm) }?.is_peer_alive()?)))
}

/// Counters and fill levels, as `shmem_shared_stats` gives them; samples and sleeps count since the channel was opened.
///
/// @param shm   an open channel
/// @param stats filled; its `size` must be set
/// @return 0. -1: `EINVAL`; `EPIPE` the channel is closed
///
/// # Safety
/// `shm` is null or valid, `stats` leads to a `struct shmem_stats` of the size that it says.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn shmem_int_stats(shm: *mut shmem_int, stats: *mut shmem_stats) -> c_int {
    // SAFETY: the caller's promise is passed on.
    unsafe { fill_stats(handle(shm), stats) }
}

/// Closes a channel. Waits up to a second, while the other side lives, until that has taken what is queued: a VILLASnode forgets what it has
/// not read when its peer closes. Then the names are removed.
///
/// A call that waits in another thread ends with -1 and `EPIPE`. Samples may be put after it; the regions are unmapped
/// with the last of them.
///
/// @return 0. -1: `EINVAL` not an open channel
///
/// Any thread; async-signal-safe.
///
/// # Safety
/// `shm` is null or valid.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn shmem_int_close(shm: *mut shmem_int) -> c_int {
    // SAFETY: as the caller promises.
    guard_signal_safe(|| unsafe { handle(shm) }?.close())
}

/// Bytes of a region that `shmem_int_open` makes.
///
/// @param queuelen  as in `struct shmem_conf`
/// @param samplelen as in `struct shmem_conf`
/// @return bytes; 0 with `EINVAL`: out of range
#[unsafe(no_mangle)]
pub extern "C" fn shmem_total_size(queuelen: c_int, samplelen: c_int) -> usize {
    guard(0, || {
        let positive = |value| u32::try_from(value).map_err(|_| Error::invalid("queuelen and samplelen cannot be negative"));
        let config = Config::new().queuelen(positive(queuelen)?).samplelen(positive(samplelen)?).with_zeros();
        Ok(wire::total_size(&config)? as usize)
    })
}
