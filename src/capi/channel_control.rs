//! Group "channel, one region": its peer, its counters, its end.

use super::channel::{handle, shmem_shared};
use super::{Found, fill, guard, guard_signal_safe, text};
use crate::channel::backend::Backend;
use crate::channel::handle::ChannelHandle;
use crate::channel::{Channel, Config, Stats};
use libc::{c_char, c_int, c_uint, c_void};

/// Counters and fill levels of a channel, initialised by `SHMEM_STATS_INIT`. Samples, sleeps and
/// wake-ups count since the region was made, over all holders of the side.
#[allow(non_camel_case_types)]
#[repr(C)]
#[derive(Clone, Copy)]
pub struct shmem_stats {
    /// The caller sets it: `sizeof(struct shmem_stats)`; 0: the fields of version 0.1.
    pub size: usize,
    /// Samples that this side has written.
    pub written: u64,
    /// Samples that this side has read.
    pub read: u64,
    /// Samples that this side can read now.
    pub queued_in: u64,
    /// Samples of this side that the peer has not read yet.
    pub queued_out: u64,
    /// Samples that this process received again after its predecessor died with them.
    pub redelivered: u64,
    /// Sleeps of this side.
    pub waits: u64,
    /// Wake-ups that this side has sent.
    pub wakeups: u64,
    /// Blocks of the pool, of both sides.
    pub blocks: u64,
    /// Free blocks whose home is this side.
    pub blocks_free: u64,
    /// Blocks to which this process holds references.
    pub held: u64,
    /// Bytes of the region.
    pub region_size: u64,
    /// As in `struct shmem_conf`.
    pub queuelen: c_uint,
    /// As in `struct shmem_conf`.
    pub samplelen: c_uint,
    /// As in `struct shmem_conf`.
    pub spare: c_uint,
    /// As in `struct shmem_conf`.
    pub polling: c_uint,
}

impl shmem_stats {
    /// Not one struct with [`Stats`]: C has its size before, and what the region is like behind.
    fn new(now: Stats, config: &Config) -> shmem_stats {
        shmem_stats {
            size: size_of::<shmem_stats>(),
            written: now.written,
            read: now.read,
            queued_in: now.queued_in,
            queued_out: now.queued_out,
            redelivered: now.redelivered,
            waits: now.waits,
            wakeups: now.wakeups,
            blocks: now.blocks,
            blocks_free: now.blocks_free,
            held: now.held,
            region_size: now.region_size,
            queuelen: config.queuelen,
            samplelen: config.samplelen,
            spare: config.spare,
            polling: c_uint::from(config.polling),
        }
    }
}

/// # Safety
/// `stats` is null or leads to a `struct shmem_stats` of the size that it says.
pub(super) unsafe fn fill_stats<E: Backend>(found: Found<&'static ChannelHandle<E>>, stats: *mut shmem_stats) -> c_int {
    guard(-1, || {
        let handle = found?;
        let now = || Ok(shmem_stats::new(handle.stats()?, &handle.config()));
        // SAFETY: the caller's promise is passed on.
        unsafe { fill(stats, "stats", "shmem_stats", now) }
    })
}

/// Ends all waits on this channel that have begun, with `EINTR`. If there is none, the next wait
/// ends so, and only that one: an interruption just before a wait is not lost. A call that need not
/// wait does not use an interruption up.
///
/// @param shm an open channel
/// @return 0. -1: a handle error (`EINVAL`, `EPIPE`)
///
/// Async-signal-safe.
///
/// # Safety
/// `shm` leads to a channel.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn shmem_shared_interrupt(shm: *mut shmem_shared) -> c_int {
    // SAFETY: as the caller promises.
    guard_signal_safe(|| unsafe { handle(shm) }?.interrupt())
}

/// Tells whether the peer's process is alive. If the system cannot tell, it counts as alive.
///
/// @param shm an open channel
/// @return 1: alive. 0: there was no peer yet, or it closed or died. -1: a handle error (`EINVAL`,
///         `EPIPE`)
///
/// # Safety
/// `shm` leads to a channel.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn shmem_shared_peer_alive(shm: *mut shmem_shared) -> c_int {
    // SAFETY: as the caller promises.
    guard(-1, || Ok(c_int::from(unsafe { handle(shm) }?.is_peer_alive()?)))
}

/// Fills in the counters and fill levels of a channel. Looks at every block of this side: not for a
/// hot loop.
///
/// @param shm   an open channel
/// @param stats filled; the caller owns it, and sets its `size` first (`SHMEM_STATS_INIT`)
/// @return 0. -1: `EINVAL` `stats` or its `size`; a handle error (`EINVAL`, `EPIPE`)
///
/// # Safety
/// `shm` leads to a channel, `stats` to a `struct shmem_stats` of the size that it says.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn shmem_shared_stats(shm: *mut shmem_shared, stats: *mut shmem_stats) -> c_int {
    // SAFETY: the caller's promise is passed on.
    unsafe { fill_stats(handle(shm), stats) }
}

/// Closes a channel in this process. The peer still reads what was written, then gets `EPIPE`. The
/// region and its name stay.
///
/// A call that waits in another thread returns -1 with `EPIPE`. Samples may be put afterwards; the
/// region is unmapped with the last one.
///
/// @param shm  an open channel; the pointer is invalid afterwards
/// @param base there for libvillas' signature. It is not looked at; `NULL` will do
/// @return 0. -1: `EINVAL` not an open channel
///
/// Async-signal-safe: it takes no lock.
///
/// # Safety
/// `shm` leads to a channel.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn shmem_shared_close(shm: *mut shmem_shared, base: *mut c_void) -> c_int {
    let _ = base;
    // SAFETY: as the caller promises.
    guard_signal_safe(|| unsafe { handle(shm) }?.close())
}

/// Removes the name of a region. A process that has the region open keeps it.
///
/// @param name of the region
/// @return 0. -1: `EINVAL` name; `ENOENT` no such object; `EACCES`, `EPERM` the system forbids it
///
/// # Safety
/// `name` is a C string.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn shmem_shared_unlink(name: *const c_char) -> c_int {
    guard(-1, || {
        // SAFETY: as the caller promises.
        Channel::unlink(unsafe { text(name) }?)?;
        Ok(0)
    })
}
