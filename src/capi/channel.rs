//! Group "channel, one region": what a channel is, and opening one.

use super::sample::pool;
use super::{Found, check_size, guard, known, limit, not_a, text};
use crate::channel::Config;
use crate::channel::backend::Backend;
use crate::channel::handle::ChannelHandle;
use crate::channel::native::{self, Native};
use crate::error::{Error, Result};
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
    pub permissions: c_uint,
    /// `SHMEM_CONF_*`, or'ed.
    pub flags: c_uint,
    /// With `SHMEM_CONF_GROUP`: the group of the shared memory object, a `gid_t`; who is not root must be a member of it (`EPERM`). Without: 0.
    pub group: c_uint,
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
pub(super) unsafe fn handle(shm: *const shmem_shared) -> Found<&'static ChannelHandle<Native>> {
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
        permissions: conf.permissions,
        group: has_group.then_some(conf.group),
        any_owner: conf.flags & SHMEM_CONF_ANY_OWNER != 0,
    }
    .with_zeros())
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
/// `conf.permissions` (without execute bits) and `conf.group` decide which users can open the region, even with the descriptor: 0600 is
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
/// @param conf the parameters, which must be those of the region; `NULL`: all defaults. `permissions` and `group` stay as they are
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
///         sealed, one that is no region, or a corrupt one; `EACCES` not open for reading and writing, the region's permissions forbid it, or
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
pub unsafe extern "C" fn shmem_shared_timed_open(
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
