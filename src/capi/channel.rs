//! Group "channel, one region".

use super::sample::pool;
use super::transfer::{alloc, read, sample, write};
use super::{Found, check_size, fill, guard, guard_signal_safe, known, limit, not_a, text, within};
use crate::channel::backend::Backend;
use crate::channel::handle::ChannelHandle;
use crate::channel::native::{self, Native};
use crate::channel::{Config, Stats};
use crate::error::{Error, Result};
use crate::waiting::Limit;
use libc::{c_char, c_int, c_uint, c_void, timespec};
use std::os::fd::IntoRawFd;

/// `flags` of `struct shmem_conf`: accept an object of another user.
pub const SHMEM_CONF_ANY_OWNER: c_uint = 1;
/// `flags` of `struct shmem_conf`: `group` counts.
pub const SHMEM_CONF_GROUP: c_uint = 2;

/// An open channel. Made by `shmem_shared_create` and `shmem_shared_open`, valid until `shmem_shared_close`.
///
/// A signal handler ends a wait (`EINTR`) where it interrupts a sleep. One that runs while the call spins, as it always does in `polling` mode, or just before
/// it sleeps, is not seen: a handler that must end a wait calls `shmem_shared_interrupt`, which is
/// never lost. `shmem_shared_read` returns every 100 ms in any case.
///
/// Threads take turns in a channel. That is no lock with priority inheritance: a real-time thread waits for an ordinary one that lost its processor in its turn.
#[allow(non_camel_case_types)]
#[repr(C)]
pub struct shmem_shared {
    /// For `sample_alloc(&shm->pool, …)`.
    pub pool: pool,
    /// 1: the region is in polling mode. For reading only.
    pub polling: c_int,
}

/// The parameters of a region. A zeroed field means the default; `SHMEM_CONF_INIT` is an initialiser.
#[allow(non_camel_case_types)]
#[repr(C)]
#[derive(Clone, Copy)]
pub struct shmem_conf {
    /// 0: who waits spins a little, then sleeps (`pthread` mode). 1: who waits spins.
    pub polling: c_int,
    /// Samples that can be queued in each direction: 1 to 2^20; 0: 512.
    pub queuelen: c_int,
    /// Values that a sample can have: 1 to 65536; 0: 64.
    pub samplelen: c_int,
    /// `sizeof(struct shmem_conf)`; 0: the fields of version 0.1.
    pub size: usize,
    /// Samples that each side can have in hand besides those queued: 1 to 2^20; 0: 64.
    pub spare: c_int,
    /// Permission bits of the shared memory object, less the umask; 0: 0600.
    pub mode: c_uint,
    /// `SHMEM_CONF_*`, or'ed.
    pub flags: c_uint,
    /// With `SHMEM_CONF_GROUP`: the group of the shared memory object, a `gid_t`; who is not root must be a member of it (`EPERM`). Without: 0.
    pub group: c_uint,
}

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

/// What a C program sees of a handle.
pub(super) fn face<E: Backend>(handle: &'static ChannelHandle<E>) -> *mut shmem_shared {
    std::ptr::from_ref(handle).cast_mut().cast()
}

/// The channel behind a pointer.
///
/// # Safety
/// `shm` is null, or leads to readable memory as large as a pointer.
#[inline(always)]
unsafe fn handle(shm: *const shmem_shared) -> Found<&'static ChannelHandle<Native>> {
    // SAFETY: as the caller promises.
    unsafe { known(shm.cast(), |at| not_a("channel of one region", at), ChannelHandle::<Native>::at) }
}

/// # Safety
/// `conf` is null or leads to a `struct shmem_conf` of the size that it says.
pub(super) unsafe fn config(conf: *const shmem_conf) -> Result<Config> {
    if conf.is_null() {
        return Ok(Config::default());
    }
    // SAFETY: every version of the struct begins with the fields up to `size`.
    let size = unsafe { (*conf).size };
    let known = size_of::<shmem_conf>();
    check_size::<shmem_conf>(size, "conf", "shmem_conf")?;
    if size > 4096 {
        return Err(Error::invalid(format!("conf.size is {size}: is the struct initialised? (SHMEM_CONF_INIT does it)")));
    }
    for at in known..size.max(known) {
        // SAFETY: the caller's struct has `size` bytes.
        if unsafe { conf.cast::<u8>().add(at).read() } != 0 {
            return Err(Error::invalid("conf has fields of a newer version that are not zero: update the library"));
        }
    }
    // SAFETY: the struct has at least the fields of this version.
    let conf = unsafe { conf.read() };
    let positive = |what: &str, value: c_int| {
        u32::try_from(value).map_err(|_| Error::invalid(format!("conf.{what} is {value}, but cannot be negative")))
    };
    if !(0..=1).contains(&conf.polling) {
        return Err(Error::invalid(format!("conf.polling is {}, but must be 0 or 1", conf.polling)));
    }
    if conf.flags & !(SHMEM_CONF_ANY_OWNER | SHMEM_CONF_GROUP) != 0 {
        return Err(Error::invalid(format!("conf.flags is {:#x}: unknown bits are set", conf.flags)));
    }
    let has_group = conf.flags & SHMEM_CONF_GROUP != 0;
    if !has_group && conf.group != 0 {
        return Err(Error::invalid(format!("conf.group is {}, but conf.flags is without SHMEM_CONF_GROUP", conf.group)));
    }
    if has_group && conf.group == c_uint::MAX {
        return Err(Error::invalid("conf.group is -1, which is no group"));
    }
    Ok(Config {
        polling: conf.polling == 1,
        queuelen: positive("queuelen", conf.queuelen)?,
        samplelen: positive("samplelen", conf.samplelen)?,
        spare: positive("spare", conf.spare)?,
        mode: conf.mode,
        group: has_group.then_some(conf.group),
        any_owner: conf.flags & SHMEM_CONF_ANY_OWNER != 0,
    })
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

/// Creates a region and takes its node side.
///
/// What a node that is gone has left under the name is repaired and taken over while a program is attached to it, and
/// replaced otherwise; it stays where a new region cannot be made,
/// but for want of memory to lock (`ENOMEM`).
///
/// @param name of the shared memory object, `/dev/shm/NAME`: 1 to 255 bytes, any but `/` and zero.
///             Slashes in front are left out, as by `shm_open(3)`
/// @param conf the parameters; `NULL`: all defaults
/// @return the channel, to be closed by `shmem_shared_close`. `NULL`: `EINVAL` name or parameters; `EBUSY` the node side is held by a live process;
///         `EPROTO` the region is in use, and its parameters are others; `EBADMSG` the name leads to
///         something that is no region;
///         `EACCES` another user's object, or no permission; `ENOSPC` no memory in `/dev/shm`;
///         `EFBIG`, `EMFILE`, `ENOMEM` a limit of this process (`RLIMIT_FSIZE`, `RLIMIT_NOFILE`,
///         `RLIMIT_AS`, `RLIMIT_MEMLOCK`; the latter with `mlockall`, or with `SHMEM_LOCK=1` in the
///         environment, which keeps regions in RAM). `shmem_last_error()` says it in a sentence
///
/// Any thread.
///
/// # Safety
/// `name` is a C string, `conf` null or valid.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn shmem_shared_create(name: *const c_char, conf: *const shmem_conf) -> *mut shmem_shared {
    guard(std::ptr::null_mut(), || {
        // SAFETY: as the caller promises.
        let (name, config) = unsafe { (text(name)?, config(conf)?) };
        Ok(face(native::create(name, &config)?))
    })
}

/// Opens a region that a node has created, and takes its program side.
///
/// @param name of the region, as the node has it
/// @param base filled with the address of the region, for `shmem_shared_close`; may be `NULL`
/// @return the channel, to be closed by `shmem_shared_close`. `NULL`: `EINVAL` name; `ENOENT` no such region, or its node is gone and nothing is left to read;
///         `EAGAIN` not ready yet, or a process is about to take the side or replace the region; `EBUSY` the program side is held by a live process; `EPROTO` another layout version;
///         `EBADMSG` not a region, or corrupt; `EACCES` another user's region (`SHMEM_ANY_OWNER=1` in the environment
///         allows it, but not to a set-user-ID program), or no permission; `ENOMEM` as for `shmem_shared_create`
///
/// Any thread.
///
/// # Safety
/// `name` is a C string, `base` null or valid.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn shmem_shared_open(name: *const c_char, base: *mut *mut c_void) -> *mut shmem_shared {
    guard(std::ptr::null_mut(), || {
        // SAFETY: as the caller promises.
        let channel = native::open(unsafe { text(name) }?)?;
        // SAFETY: as the caller promises.
        Ok(unsafe { opened(channel, base) })
    })
}

/// # Safety
/// `base` is null or valid.
unsafe fn opened(channel: &'static ChannelHandle<Native>, base: *mut *mut c_void) -> *mut shmem_shared {
    if !base.is_null() {
        // SAFETY: valid, as the caller promises.
        unsafe { base.write(channel.spans()[0].0 as *mut c_void) };
    }
    face(channel)
}

/// Creates a region without a name, and takes its node side: one that a hostile peer cannot cut short.
///
/// The region is a memory file (`memfd_create`) whose size is sealed for ever (`F_SEAL_SHRINK`, `F_SEAL_GROW`, `F_SEAL_SEAL`). An object with a
/// name can be truncated by whoever may write it, and a process that looks at what was cut off is ended by SIGBUS; this one
/// cannot. Tools that list shared memory (`villas-shm ls`, `ls /dev/shm`) do not see it, and nothing is left of it when the last process
/// that has it ends.
///
/// The program gets the region as a descriptor: over a Unix socket (`SCM_RIGHTS`), or as a child that inherits it. `*fd` is the caller's, who
/// closes it; that may be at once or at any later time, as the channel does not need it, and it carries none of the channel's
/// locks. Who keeps it (or has got it) can hand it to the next program, or to the next node, for `shmem_shared_recreate_fd`. It is
/// close-on-exec: a child that is to inherit it clears that by `fcntl(fd, F_SETFD, 0)` between `fork` and `exec`.
///
/// `conf.mode` (without execute bits) and `conf.group` decide which users can open the region, even with the descriptor: 0600 is
/// this user only.
///
/// @param conf the parameters; `NULL`: all defaults
/// @param fd   filled with a descriptor to hand over
/// @return the channel, to be closed by `shmem_shared_close`. `NULL`, and `*fd` as it was: `EINVAL` parameters, or `fd` is null; `ENOMEM` not so much
///         memory is left; `EPERM` the group; `ENOTSUP` `/proc` is not mounted; `EMFILE` and others as the system says
///
/// Any thread.
///
/// # Safety
/// `conf` and `fd` are null or valid.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn shmem_shared_create_fd(conf: *const shmem_conf, fd: *mut c_int) -> *mut shmem_shared {
    guard(std::ptr::null_mut(), || {
        if fd.is_null() {
            return Err(Error::invalid("fd is a null pointer"));
        }
        // SAFETY: as the caller promises.
        let (channel, descriptor) = native::create_fd(&unsafe { config(conf) }?)?;
        // SAFETY: not null, so valid.
        unsafe { fd.write(descriptor.into_raw_fd()) };
        Ok(face(channel))
    })
}

/// Takes the node side of a region without a name whose node is gone: what `shmem_shared_create` does for a region with a name when a node is
/// started again. What the dead one has left is repaired; what it had written and the program has not yet read stays to be read. A program that is
/// attached goes on; if there is none, the next one may come.
///
/// @param fd   a descriptor of the region, which stays the caller's and may be closed afterwards
/// @param conf the parameters, which must be those of the region; `NULL`: all defaults. `mode` and `group` stay as they are
/// @return the channel, to be closed by `shmem_shared_close`. `NULL`: `EINVAL` parameters; `EBUSY` the node side is held by a live process;
///         `EPROTO` the region has other parameters; else as `shmem_shared_open_fd`
///
/// Any thread.
///
/// # Safety
/// `conf` is null or valid.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn shmem_shared_recreate_fd(fd: c_int, conf: *const shmem_conf) -> *mut shmem_shared {
    // SAFETY: as the caller promises.
    guard(std::ptr::null_mut(), || Ok(face(native::recreate_fd(fd, &unsafe { config(conf) }?)?)))
}

/// Opens a region that a node has created by `shmem_shared_create_fd`, and takes its program side.
///
/// @param fd   a descriptor of the region, received or inherited. It stays the caller's and may be closed afterwards: the channel has one of its own
/// @param base filled with the address of the region, for `shmem_shared_close`; may be `NULL`
/// @return the channel, to be closed by `shmem_shared_close`. `NULL`: `EBADF` not open; `EBADMSG` no memory file, one whose size is not
///         sealed, one that is no region, or a corrupt one; `EACCES` not open for reading and writing, the region's mode forbids it, or
///         another user's (`SHMEM_ANY_OWNER=1` in the environment allows it); `ENOTSUP` `/proc` is not mounted; `ENOENT` its node is gone and
///         nothing is left to read; `EBUSY` the program side is held by a live process; `EAGAIN` a process is about to take it; `EPROTO` another
///         layout version
///
/// Any thread.
///
/// # Safety
/// `base` is null or valid.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn shmem_shared_open_fd(fd: c_int, base: *mut *mut c_void) -> *mut shmem_shared {
    guard(std::ptr::null_mut(), || {
        let channel = native::open_fd(fd)?;
        // SAFETY: as the caller promises.
        Ok(unsafe { opened(channel, base) })
    })
}

/// The same as `shmem_shared_open`; waits for the region to appear.
///
/// It waits for what can pass by itself: no such region (`ENOENT`), one that is not ready, a
/// process that is about to take the side (`EAGAIN`). Any other failure ends the wait at once.
///
/// @param timeout relative; `NULL`: without limit
/// @return as `shmem_shared_open`; also `ETIMEDOUT`, and `EINTR` when a signal handler ran
///
/// # Safety
/// `name` is a C string, `base` and `timeout` null or valid.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn shmem_shared_timedopen(
    name: *const c_char,
    base: *mut *mut c_void,
    timeout: *const timespec,
) -> *mut shmem_shared {
    guard(std::ptr::null_mut(), || {
        // SAFETY: as the caller promises.
        let (name, limit) = unsafe { (text(name)?, limit(timeout)?) };
        let channel = native::timed_open(name, limit)?;
        // SAFETY: as the caller promises.
        Ok(unsafe { opened(channel, base) })
    })
}

/// Waits until a live peer is attached.
///
/// @param shm     an open channel
/// @param timeout relative; `NULL`: without limit
/// @return 0. -1: `ETIMEDOUT`; `EINTR` a signal handler ran, or `shmem_shared_interrupt`; `EPIPE`
///         the channel was closed; `ESTALE` as for `shmem_shared_read`; `EINVAL`
///
/// # Safety
/// `shm` leads to a channel, `timeout` is null or valid.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn shmem_shared_wait(shm: *mut shmem_shared, timeout: *const timespec) -> c_int {
    guard(-1, || {
        // SAFETY: as the caller promises.
        let (handle, limit) = unsafe { (handle(shm)?, limit(timeout)?) };
        handle.wait(&limit)?;
        Ok(0)
    })
}

/// Receives samples, as soon as there is one. Spins in polling mode, else spins a little and then sleeps.
///
/// @param shm  an open channel
/// @param smps filled with pointers to the samples; each has one reference, to be given back by `sample_put` or by writing the sample
/// @param cnt  at most so many
/// @return 1 to `cnt`. 0: nothing yet, call again: `EAGAIN` 100 ms are over, `EINTR` a signal handler ran, or `shmem_shared_interrupt`.
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
/// `shm` leads to a channel, `smps` has room for `cnt` pointers.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn shmem_shared_read(shm: *mut shmem_shared, smps: *mut *mut sample, cnt: c_uint) -> c_int {
    // SAFETY: the caller's promise is passed on.
    unsafe { read::<Native>(move || handle(shm), smps, cnt, None) }
}

/// The same as `shmem_shared_read`; does not wait.
///
/// @return as `shmem_shared_read`; 0 with `EAGAIN`
///
/// # Safety
/// As for `shmem_shared_read`.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn shmem_shared_tryread(shm: *mut shmem_shared, smps: *mut *mut sample, cnt: c_uint) -> c_int {
    // SAFETY: the caller's promise is passed on.
    unsafe { read::<Native>(move || handle(shm), smps, cnt, Some(&Limit::Now)) }
}

/// The same as `shmem_shared_read`; waits for so long.
///
/// @param timeout relative; `NULL`: without limit
/// @return as `shmem_shared_read`; 0 with `ETIMEDOUT` when the time is over
///
/// # Safety
/// As for `shmem_shared_read`; `timeout` is null or valid.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn shmem_shared_timedread(
    shm: *mut shmem_shared,
    smps: *mut *mut sample,
    cnt: c_uint,
    timeout: *const timespec,
) -> c_int {
    // SAFETY: the caller's promise is passed on.
    unsafe { within(timeout, |limit| read::<Native>(move || handle(shm), smps, cnt, Some(limit))) }
}

/// Sends samples. Never waits.
///
/// @param shm  an open channel
/// @param smps samples that this process holds, of this channel: allocated, or received
/// @param cnt  how many
/// @return how many were taken, 0 to `cnt`, in order. They belong to the reader then, those not taken stay the caller's. Fewer than `cnt`: `EAGAIN` the queue is full,
///         `EINVAL` the next one cannot be sent, `EPIPE` and `ESTALE` as below. -1: `EINVAL` already the first cannot be sent (not live, of another
///         channel, longer than its capacity, or still out: the peer has not put it since it was written last); `EPIPE`
///         the peer is known to have closed or died, or the channel is closed; `ESTALE`
///
/// Any thread; what one thread writes arrives in its order. No system call unless the peer sleeps.
///
/// # Safety
/// `shm` leads to a channel, `smps` has `cnt` pointers.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn shmem_shared_write(shm: *mut shmem_shared, smps: *mut *mut sample, cnt: c_uint) -> c_int {
    // SAFETY: the caller's promise is passed on.
    unsafe { write::<Native>(move || handle(shm), smps, cnt, &Limit::Now) }
}

/// The same as `shmem_shared_write`; waits for room until all are taken.
///
/// @param timeout relative; `NULL`: without limit
/// @return as `shmem_shared_write`; fewer than `cnt` also with `ETIMEDOUT`, `EINTR` and `EPIPE`
///
/// # Safety
/// As for `shmem_shared_write`; `timeout` is null or valid.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn shmem_shared_timedwrite(
    shm: *mut shmem_shared,
    smps: *mut *mut sample,
    cnt: c_uint,
    timeout: *const timespec,
) -> c_int {
    // SAFETY: the caller's promise is passed on.
    unsafe { within(timeout, |limit| write::<Native>(move || handle(shm), smps, cnt, limit)) }
}

/// The same as `sample_alloc`; waits until there are `cnt`.
///
/// @param shm     an open channel
/// @param timeout relative; `NULL`: without limit
/// @return as `sample_alloc`; fewer than `cnt` with `ETIMEDOUT`, `EINTR`, or `EPIPE` when the peer, which has the others, is gone (-1 when there is none)
///
/// # Safety
/// `shm` leads to a channel, `smps` has room for `cnt` pointers, `timeout` is null or valid.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn shmem_shared_timedalloc(
    shm: *mut shmem_shared,
    smps: *mut *mut sample,
    cnt: c_uint,
    timeout: *const timespec,
) -> c_int {
    // SAFETY: the caller's promise is passed on.
    unsafe { within(timeout, |limit| alloc::<Native>(move || handle(shm), smps, cnt, limit)) }
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
        native::unlink(unsafe { text(name) }?)?;
        Ok(0)
    })
}
