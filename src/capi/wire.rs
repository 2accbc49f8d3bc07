//! Group "channel, wire layout".

use super::channel::{config, face, shmem_conf, shmem_shared};
use super::channel_control::{fill_stats, shmem_stats};
use super::signals::{self, shmem_signal};
use super::transfer::{alloc, read, sample, write};
use super::{Found, Wrong, guard, guard_signal_safe, known, limit, not_a, text, within};
use crate::channel::Config;
use crate::channel::handle::ChannelHandle;
use crate::channel::wire::{self, Wire};
use crate::error::Error;
use crate::waiting::Limit;
use libc::{c_char, c_int, c_uint, c_void, timespec};

/// One direction of a channel in VILLASnode's layout. Read only.
#[allow(non_camel_case_types)]
#[repr(C)]
pub struct shmem_dir {
    /// The address of the region in this process.
    pub base: *mut c_void,
    /// The region's length in bytes.
    pub len: usize,
    /// For `sample_alloc(&shm.write.shared->pool, ...)`; not for functions `shmem_shared_*`.
    pub shared: *mut shmem_shared,
}

/// An open channel in VILLASnode's layout. The caller owns the struct; `shmem_int_open` fills it
/// in, so it has no initialiser. Copies are the same channel. It is valid until `shmem_int_close`.
#[allow(non_camel_case_types)]
#[repr(C)]
pub struct shmem_int {
    /// The region that this process reads.
    pub read: shmem_dir,
    /// The region that this process writes.
    pub write: shmem_dir,
    /// Reserved for the library.
    pub channel: *mut c_void,
    /// Reserved for the library.
    pub check: usize,
    /// Reserved for the library.
    pub reserved: [usize; 8],
}

/// What `check` is, combined with `channel`: tells a struct that was opened from one that was not.
/// Regions begin at multiples of this.
const PAGE: usize = 4096;
const CHECK: usize = usize::from_le_bytes(*b"shmemint");

/// # Safety
/// `shm` is null or leads to a `struct shmem_int`.
#[inline(always)]
pub(super) unsafe fn handle(shm: *const shmem_int) -> Found<&'static ChannelHandle<Wire>> {
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

/// Opens a channel in the layout of VILLASnode 1.2's `shmem` node: makes the region `wname`, which
/// this process writes, and opens `rname`, which the other side makes. Either side may come first.
/// Waits without limit while the region of the other side is missing, not ready, or not of this
/// layout; any other failure ends the wait at once. With both names equal, this process reads what
/// it writes.
///
/// A VILLASnode names no signals. A peer of this library may: then they must be `conf->in_signals`,
/// unless the caller gives none.
///
/// @param wname the node's `in.name`
/// @param rname the node's `out.name`
/// @param shm   filled; the caller owns it, and closes the channel by `shmem_int_close`
/// @param conf  the parameters of the region `wname`; `NULL`: all defaults
/// @return 0. -1, and nothing is left behind:
///         `EINVAL` names or parameters; `ENAMETOOLONG` a name is too long for its semaphore;
///         `EBUSY` a live process holds `wname`, or it is a region of the other layout;
///         `EINTR` a signal handler ran;
///         `ESTALE` `wname` was removed during the wait, so nobody can attach any more: open again;
///         `EBADMSG` `wname`, or the semaphore of a name, leads to something else, or the peer's
///         table of signals is corrupt;
///         `EPROTO` the peer writes other signals than `conf->in_signals`;
///         `EACCES` another user's object, or its permissions forbid it; `EPERM` `conf->group`;
///         `ENOSPC` `/dev/shm` is full;
///         `EFBIG`, `EMFILE`, `ENOMEM` a limit of this process, as for `shmem_shared_create`;
///         `ENOTSUP` this is not x86-64 or aarch64 Linux with glibc
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

/// Opens a channel in VILLASnode's layout as `shmem_int_open` does. Waits for the other side as
/// long as the timeout says.
///
/// @param wname   the node's `in.name`
/// @param rname   the node's `out.name`
/// @param shm     filled; the caller owns it, and closes the channel by `shmem_int_close`
/// @param conf    the parameters of the region `wname`; `NULL`: all defaults
/// @param timeout relative; `NULL`: no limit
/// @return 0. -1: `ETIMEDOUT`; `EINVAL` also for the timeout; else as `shmem_int_open`
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

/// Receives samples. Waits up to 100 ms for the first one: it spins if the region that it reads is
/// in `polling` mode, else as `struct shmem_shared` says.
///
/// @param shm   an open channel
/// @param smps  filled with pointers to samples. The caller owns one reference to each, and gives
///              it up by `sample_put`, or by writing the sample, which sends a copy
/// @param count how many samples fit into `smps`
/// @return 1 to `count`. 0, call again: `EAGAIN` no sample came in time; `EINTR` a signal handler
///         ran, or `shmem_int_interrupt`. -1:
///         `EPIPE` the other side closed or died, and all that it wrote has been read: close, and
///         open again;
///         `EBADMSG` the region is corrupt;
///         a handle error (`EINVAL`, `EPIPE`)
///
/// # Safety
/// `shm` is null or valid, `smps` has room for `count` pointers.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn shmem_int_read(shm: *mut shmem_int, smps: *mut *mut sample, count: c_uint) -> c_int {
    // SAFETY: the caller's promise is passed on.
    unsafe { read::<Wire>(move || handle(shm), smps, count, None) }
}

/// Receives samples that are there already; never waits.
///
/// @param shm   an open channel
/// @param smps  filled as by `shmem_int_read`
/// @param count how many samples fit into `smps`
/// @return 1 to `count`. 0: `EAGAIN` there is none. -1: as `shmem_int_read`
///
/// # Safety
/// As for `shmem_int_read`.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn shmem_int_try_read(shm: *mut shmem_int, smps: *mut *mut sample, count: c_uint) -> c_int {
    // SAFETY: the caller's promise is passed on.
    unsafe { read::<Wire>(move || handle(shm), smps, count, Some(&Limit::Now)) }
}

/// Receives samples. Waits for the first one, as long as the timeout says.
///
/// @param shm     an open channel
/// @param smps    filled as by `shmem_int_read`
/// @param count   how many samples fit into `smps`
/// @param timeout relative; `NULL`: no limit
/// @return 1 to `count`. 0: `ETIMEDOUT`, or `EINTR` as for `shmem_int_read`. -1: `EINVAL` also for
///         the timeout; else as `shmem_int_read`
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

/// Sends samples, in order; never waits for room. In `pthread` mode it wakes the reader under the
/// reader's mutex: a live reader that is stopped with the mutex delays the call by up to a second.
///
/// @param shm   an open channel
/// @param smps  samples that this process holds: allocated from this channel, or received from it,
///              which sends a copy
/// @param count how many samples `smps` has
/// @return how many samples were sent: 0 to `count`. They are no longer the caller's; the others
///         are. Fewer than `count`: `EAGAIN` the queue is full, or no block is free for a copy; or
///         an errno below. -1: no sample was sent:
///         `EINVAL` the first one cannot be sent: this process does not hold it, it is of another
///         channel, or its length exceeds its capacity or that of this direction;
///         `EPIPE` the other side has closed or died: close, and open again;
///         a handle error (`EINVAL`, `EPIPE`)
///
/// # Safety
/// `shm` is null or valid, `smps` has `count` pointers.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn shmem_int_write(shm: *mut shmem_int, smps: *mut *mut sample, count: c_uint) -> c_int {
    // SAFETY: the caller's promise is passed on.
    unsafe { write::<Wire>(move || handle(shm), smps, count, &Limit::Now) }
}

/// Sends samples, in order. Waits for room until all are sent, as long as the timeout says. It
/// looks every 0.5 ms, because VILLASnode does not tell when it has read something.
///
/// @param shm     an open channel
/// @param smps    samples, as for `shmem_int_write`
/// @param count   how many samples `smps` has
/// @param timeout relative; `NULL`: no limit
/// @return how many samples were sent, as by `shmem_int_write`. Fewer than `count`: `ETIMEDOUT`,
///         `EINTR` a signal handler ran, or `shmem_int_interrupt`; or an errno of
///         `shmem_int_write`. -1: `EINVAL` also for the timeout; else as `shmem_int_write`
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

/// Allocates empty samples to be written, as `sample_alloc` does; never waits.
///
/// @param shm   an open channel
/// @param smps  filled as by `sample_alloc`
/// @param count how many samples are wanted
/// @return how many samples were allocated: fewer than `count` with `EAGAIN` if all `queuelen`
///         blocks are in use, or with `EPIPE` if the other side, which has them, closed or died.
///         -1: `EPIPE` with no sample allocated; a handle error (`EINVAL`, `EPIPE`)
///
/// # Safety
/// `shm` is null or valid, `smps` has room for `count` pointers.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn shmem_int_alloc(shm: *mut shmem_int, smps: *mut *mut sample, count: c_uint) -> c_int {
    // SAFETY: the caller's promise is passed on.
    unsafe { alloc::<Wire>(move || handle(shm), smps, count, &Limit::Now) }
}

/// Ends all waits on this channel that have begun, with `EINTR`, within 50 ms. If there is none,
/// the next wait ends so, and only that one, as with `shmem_shared_interrupt`.
///
/// @param shm an open channel
/// @return 0. -1: a handle error (`EINVAL`, `EPIPE`)
///
/// Async-signal-safe.
///
/// # Safety
/// `shm` is null or valid.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn shmem_int_interrupt(shm: *mut shmem_int) -> c_int {
    // SAFETY: as the caller promises.
    guard_signal_safe(|| unsafe { handle(shm) }?.interrupt())
}

/// Tells whether the process at the other end is alive. If the system cannot tell, it counts as
/// alive.
///
/// @param shm an open channel
/// @return 1: alive. 0: it closed or died. -1: a handle error (`EINVAL`, `EPIPE`)
///
/// # Safety
/// `shm` is null or valid.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn shmem_int_peer_alive(shm: *mut shmem_int) -> c_int {
    // SAFETY: as the caller promises.
    guard(-1, || Ok(c_int::from(unsafe { handle(shm) }?.is_peer_alive()?)))
}

/// Fills in counters and fill levels. Samples, sleeps and wake-ups count since the channel was
/// opened.
///
/// @param shm   an open channel
/// @param stats filled; the caller owns it, and sets its `size` first (`SHMEM_STATS_INIT`)
/// @return 0. -1: `EINVAL` `stats` or its `size`; a handle error (`EINVAL`, `EPIPE`)
///
/// # Safety
/// `shm` is null or valid, `stats` leads to a `struct shmem_stats` of the size that it says.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn shmem_int_stats(shm: *mut shmem_int, stats: *mut shmem_stats) -> c_int {
    // SAFETY: the caller's promise is passed on.
    unsafe { fill_stats(handle(shm), stats) }
}

/// Gives the signals of a direction: what the values of its samples are. Each side names what it
/// writes, in its own region.
///
/// @param shm       an open channel
/// @param direction `SHMEM_IN` or `SHMEM_OUT`
/// @param count     filled with their number; 0: the writer named none, or it is a VILLASnode
/// @return the first of them, as `shmem_shared_signals` gives them. `NULL`: `EINVAL` the direction,
///         or `count` is `NULL`; a handle error (`EINVAL`, `EPIPE`)
///
/// # Safety
/// `shm` and `count` are null or valid.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn shmem_int_signals(shm: *mut shmem_int, direction: c_int, count: *mut usize) -> *const shmem_signal {
    // SAFETY: the caller's promise is passed on.
    unsafe { signals::signals(handle(shm), direction, count) }
}

/// Finds a signal by its name, as `shmem_shared_signal_index` does.
///
/// @param shm       an open channel
/// @param direction `SHMEM_IN` or `SHMEM_OUT`
/// @param name      of the signal
/// @return its place among the values of a sample, from 0. -1: `ENOENT` no signal has the name;
///         `EINVAL` the direction, or the name is not UTF-8; a handle error (`EINVAL`, `EPIPE`)
///
/// # Safety
/// `shm` is null or valid, `name` null or a C string.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn shmem_int_signal_index(shm: *mut shmem_int, direction: c_int, name: *const c_char) -> c_int {
    // SAFETY: the caller's promise is passed on.
    unsafe { signals::index(handle(shm), direction, name) }
}

/// Compares the signals of a direction with those that the caller expects.
///
/// @param shm       an open channel
/// @param direction `SHMEM_IN` or `SHMEM_OUT`
/// @param expected  signals, as for `shmem_shared_expect_signals`
/// @param count     how many they are
/// @return 0: they are as expected. -1: `EPROTO` they are not, or the writer named none; `EINVAL`
///         the direction or the list; a handle error (`EINVAL`, `EPIPE`)
///
/// # Safety
/// `shm` is null or valid, `expected` leads to `count` signals.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn shmem_int_expect_signals(
    shm: *mut shmem_int,
    direction: c_int,
    expected: *const shmem_signal,
    count: usize,
) -> c_int {
    // SAFETY: the caller's promise is passed on.
    unsafe { signals::expect(handle(shm), direction, expected, count) }
}

/// Closes a channel, and removes the names of its regions. Waits up to a second for a live other
/// side to read what is queued, because a VILLASnode drops what it has not read when its peer
/// closes.
///
/// A call that waits in another thread returns -1 with `EPIPE`. Samples may be put afterwards; the
/// regions are unmapped with the last one.
///
/// @param shm an open channel; the struct is the caller's again
/// @return 0. -1: `EINVAL` not an open channel
///
/// Async-signal-safe, but it waits.
///
/// # Safety
/// `shm` is null or valid.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn shmem_int_close(shm: *mut shmem_int) -> c_int {
    // SAFETY: as the caller promises.
    guard_signal_safe(|| unsafe { handle(shm) }?.close())
}

/// Computes the bytes of a region that `shmem_int_open` makes.
///
/// @param queuelen  as in `struct shmem_conf`
/// @param samplelen as in `struct shmem_conf`
/// @return bytes. 0: `EINVAL` out of range
#[unsafe(no_mangle)]
pub extern "C" fn shmem_total_size(queuelen: c_int, samplelen: c_int) -> usize {
    guard(0, || {
        let positive = |value| u32::try_from(value).map_err(|_| Error::invalid("queuelen and samplelen cannot be negative"));
        let config = Config::new().queuelen(positive(queuelen)?).samplelen(positive(samplelen)?).with_zeros();
        Ok(wire::total_size(&config)? as usize)
    })
}
