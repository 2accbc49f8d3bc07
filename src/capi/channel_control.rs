//! Group "channel, one region": its peer, its counters, its end.

use super::channel::{handle, shmem_shared};
use super::{Found, fill, guard, guard_signal_safe, text};
use crate::channel::backend::Backend;
use crate::channel::handle::ChannelHandle;
use crate::channel::{Channel, Config, Stats};
use libc::{c_char, c_int, c_uint, c_void};

/// Counters and fill levels. Samples and sleeps count since the region was made, whoever held the side.
#[allow(non_camel_case_types)]
#[repr(C)]
#[derive(Clone, Copy)]
pub struct shmem_stats {
    /// To be set before the call: `sizeof(struct shmem_stats)`; 0: the fields of version 0.1.
    pub size: usize,
    /// Samples that this side has written.
    pub written: u64,
    /// Samples that this side has taken.
    pub read: u64,
    /// Samples that wait to be taken by this side.
    pub queued_in: u64,
    /// Samples of this side that wait to be taken by the peer.
    pub queued_out: u64,
    /// Samples that this process was given a second time, after a predecessor that died.
    pub redelivered: u64,
    /// Sleeps of this side.
    pub waits: u64,
    /// Wake-ups that this side has sent.
    pub wakeups: u64,
    /// Blocks of the pool, of both sides.
    pub blocks: u64,
    /// Blocks at home on this side that are free.
    pub blocks_free: u64,
    /// Blocks that this process holds references to.
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

/// Ends the waits of this side that have begun: they return 0, or -1 where 0 means success, with
/// `EINTR`. If there is none, the next wait ends so, and only that one: an interruption just before
/// a wait is not lost. Calls that need not wait, or do not wait, neither end by it nor use it up.
///
/// @return 0. -1: `EINVAL`; `EPIPE` the channel is closed
///
/// Any thread; async-signal-safe.
///
/// # Safety
/// `shm` leads to a channel.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn shmem_shared_interrupt(shm: *mut shmem_shared) -> c_int {
    // SAFETY: as the caller promises.
    guard_signal_safe(|| unsafe { handle(shm) }?.interrupt())
}

/// Whether the process at the other end is alive, as far as can be known; what cannot be known counts as alive.
///
/// @return 1 alive, 0 none, or it has closed or died. -1: `EINVAL`; `EPIPE` the channel is closed
///
/// # Safety
/// `shm` leads to a channel.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn shmem_shared_peer_alive(shm: *mut shmem_shared) -> c_int {
    // SAFETY: as the caller promises.
    guard(-1, || Ok(c_int::from(unsafe { handle(shm) }?.is_peer_alive()?)))
}

/// Counters and fill levels.
///
/// @param shm   an open channel
/// @param stats filled; its `size` must be set
/// @return 0. -1: `EINVAL`; `EPIPE` the channel is closed
///
/// Looks at every block of this side: not for a hot loop.
///
/// # Safety
/// `shm` leads to a channel, `stats` to a `struct shmem_stats` of the size that it says.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn shmem_shared_stats(shm: *mut shmem_shared, stats: *mut shmem_stats) -> c_int {
    // SAFETY: the caller's promise is passed on.
    unsafe { fill_stats(handle(shm), stats) }
}

/// Closes a channel in this process. What was written and not yet read stays for the peer, which reads it, then gets
/// `EPIPE`. The name stays.
///
/// Marks and wakes, takes no lock: a call that waits in another thread ends with -1 and `EPIPE`. Samples may be put
/// after it; the region is unmapped with the last of them.
///
/// @param shm  the channel; not to be used afterwards
/// @param base what `shmem_shared_open` gave, or `NULL`; not looked at
/// @return 0. -1: `EINVAL` not an open channel
///
/// Any thread; async-signal-safe.
///
/// # Safety
/// `shm` leads to a channel.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn shmem_shared_close(shm: *mut shmem_shared, base: *mut c_void) -> c_int {
    let _ = base;
    // SAFETY: as the caller promises.
    guard_signal_safe(|| unsafe { handle(shm) }?.close())
}

/// Removes the name of a region. Who has it open keeps it.
///
/// @param name of the shared memory object
/// @return 0. -1: `EINVAL` name; `ENOENT` no such object; `EACCES`
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
