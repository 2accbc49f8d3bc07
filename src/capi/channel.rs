//! Group "channel, one region": what a channel is, and opening one.

use super::sample::pool;
use super::signals::{named, shmem_signal};
use super::{Found, guard, known, limit, not_a, text};
use crate::channel::Config;
use crate::channel::backend::Backend;
use crate::channel::handle::ChannelHandle;
use crate::channel::native::{self, Native};
use crate::error::{Error, Result};
use libc::{c_char, c_int, c_uint, c_void, timespec};
use std::mem::{MaybeUninit, offset_of};
use std::os::fd::IntoRawFd;

/// `flags` of `struct shmem_conf`: accept an existing object of another user.
pub const SHMEM_CONF_ANY_OWNER: c_uint = 1;
/// `flags` of `struct shmem_conf`: `group` is valid.
pub const SHMEM_CONF_GROUP: c_uint = 2;

/// An open channel of one region. `shmem_shared_create`, `shmem_shared_open` and their sisters make
/// it; it is valid until `shmem_shared_close`.
///
/// In `pthread` mode a waiting call spins for up to 50 us, then sleeps; it skips the spin if recent
/// spins did not help. In `polling` mode it only spins.
#[allow(non_camel_case_types)]
#[repr(C)]
pub struct shmem_shared {
    /// For `sample_alloc(&shm->pool, ...)`.
    pub pool: pool,
    /// 1: the region is in `polling` mode. 0: in `pthread` mode. Read only.
    pub polling: c_int,
}

/// The parameters of a region, initialised by `SHMEM_CONF_INIT`. A field that is 0 means the
/// default.
#[allow(non_camel_case_types)]
#[repr(C)]
#[derive(Clone, Copy)]
pub struct shmem_conf {
    /// 0: `pthread` mode. 1: `polling` mode. See `struct shmem_shared`.
    pub polling: c_int,
    /// Samples that fit into the queue of each direction: 1 to 2^20; 0: 512.
    pub queuelen: c_int,
    /// Values that fit into a sample: 1 to 65536; 0: 64.
    pub samplelen: c_int,
    /// `sizeof(struct shmem_conf)`; 0: the fields up to `group`.
    pub size: usize,
    /// Samples that each side can hold besides the queued ones: 1 to 2^20; 0: 64.
    pub spare: c_int,
    /// Permission bits of the shared memory object, less the umask; 0: 0600.
    pub permissions: c_uint,
    /// `SHMEM_CONF_*`, or'ed.
    pub flags: c_uint,
    /// With `SHMEM_CONF_GROUP`: the object's group, a `gid_t`. A user other than root must be a
    /// member of it (`EPERM`). Without `SHMEM_CONF_GROUP`: 0.
    pub group: c_uint,
    /// What the values are that the caller reads; `NULL`: not said. In VILLASnode's layout: what it
    /// expects of a peer of this library (`shmem_int_open`). Lists are read during the call only, and
    /// not at all with `size` 0.
    pub in_signals: *const shmem_signal,
    /// How many signals `in_signals` has: 0 to `samplelen`.
    pub in_count: usize,
    /// What the values are that the caller writes; `NULL`: not said.
    pub out_signals: *const shmem_signal,
    /// How many signals `out_signals` has: 0 to `samplelen`.
    pub out_count: usize,
    /// How many other blocks a side uses before it uses a block again, if so many are free: 0 to
    /// 2^20. The more, the longer the tool's `watch` can still copy a sample after it has passed.
    /// Ignored in VILLASnode's layout.
    pub history: c_int,
}

/// The size of `struct shmem_conf` before it had signals.
const WITHOUT_SIGNALS: usize = offset_of!(shmem_conf, in_signals);
/// The size of `struct shmem_conf` before it had `history`.
const WITHOUT_HISTORY: usize = offset_of!(shmem_conf, history);

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
/// `conf` is null or leads to a `struct shmem_conf` of the size that it says, and it to lists as
/// long as it says.
pub(super) unsafe fn config(conf: *const shmem_conf) -> Result<Config> {
    if conf.is_null() {
        return Ok(Config::default());
    }
    // SAFETY: every version of the struct begins with the fields up to `size`.
    let size = match unsafe { (&raw const (*conf).size).read() } {
        0 => WITHOUT_SIGNALS,
        size => size,
    };
    let known = size_of::<shmem_conf>();
    if size < known && size != WITHOUT_SIGNALS && size != WITHOUT_HISTORY {
        return Err(Error::invalid(format!("conf.size is {size}, but must be sizeof(struct shmem_conf), {known}, or 0")));
    }
    if size > 4096 {
        return Err(Error::invalid(format!("conf.size is {size}: is the struct initialised? (SHMEM_CONF_INIT does it)")));
    }
    for at in known..size.max(known) {
        // SAFETY: the caller's struct has `size` bytes.
        if unsafe { conf.cast::<u8>().add(at).read() } != 0 {
            return Err(Error::invalid("conf has fields of a newer version that are not zero: update the library"));
        }
    }
    let mut whole = MaybeUninit::<shmem_conf>::zeroed();
    // SAFETY: the struct has so many of the fields of this version, and 0 is a value of the others.
    let conf = unsafe {
        whole.as_mut_ptr().cast::<u8>().copy_from_nonoverlapping(conf.cast(), size.min(known));
        whole.assume_init()
    };
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
        history: positive("history", conf.history)?,
        permissions: conf.permissions,
        group: has_group.then_some(conf.group),
        any_owner: conf.flags & SHMEM_CONF_ANY_OWNER != 0,
        // SAFETY: the lists are as the struct says.
        in_signals: unsafe { named(conf.in_signals, conf.in_count, "conf.in_signals") }?,
        // SAFETY: as above.
        out_signals: unsafe { named(conf.out_signals, conf.out_count, "conf.out_signals") }?,
    }
    .with_zeros())
}

/// Creates the region `name` and takes its node side. If a node that is gone left a region there,
/// and a program is attached to it, this call repairs the region and takes it over; with no program
/// attached, it replaces the region. If the new region cannot be created, the old one is kept.
/// Exception: if there is memory for one region only, the old one goes first.
///
/// @param name of the region (Names, above)
/// @param conf the parameters; `NULL`: all defaults
/// @return the channel, which the caller closes by `shmem_shared_close`. `NULL`:
///         `EINVAL` name or parameters;
///         `EBUSY` a live process holds the node side;
///         `EPROTO` the region is in use with other parameters, or other signals;
///         `EBADMSG` the name leads to something other than a region;
///         `EACCES` another user's object, or its permissions forbid it; `EPERM` `conf->group`;
///         `ENOSPC` `/dev/shm` is full;
///         `EFBIG`, `EMFILE`, `ENOMEM` a limit of this process: `RLIMIT_FSIZE`, `RLIMIT_NOFILE`,
///         `RLIMIT_AS`, or `RLIMIT_MEMLOCK`. The last one applies after `mlockall`, and with
///         `SHMEM_LOCK=1` in the environment, which locks regions in RAM
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

/// Opens the region `name`, which a node has created, and takes its program side. Does not wait for
/// a region that is missing.
///
/// @param name of the region, as the node has it
/// @param base there for libvillas' signature. `NULL` will do; else filled with the region's
///             address
/// @return the channel, which the caller closes by `shmem_shared_close`. `NULL`:
///         `EINVAL` name;
///         `ENOENT` no such region, or its node is gone and nothing is left to read;
///         `EAGAIN` the region is not ready yet, or another process is about to take the side;
///         `EBUSY` a live process holds the program side;
///         `EPROTO` the region has another layout version;
///         `EBADMSG` not a region, or a corrupt one;
///         `EACCES` its permissions forbid it, or it is another user's: `SHMEM_ANY_OWNER=1` in the
///         environment allows that, but not to a set-user-ID program;
///         `EMFILE`, `ENOMEM` as for `shmem_shared_create`
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

/// Creates a region without a name, and takes its node side. A hostile peer cannot cut this region
/// short: it is a memory file (`memfd_create`) of a sealed size (`F_SEAL_SHRINK`, `F_SEAL_GROW`,
/// `F_SEAL_SEAL`). A process that may write an object with a name can truncate it, which ends its
/// readers by SIGBUS. Tools that list `/dev/shm` do not see this region. It vanishes with the last
/// process that has it.
///
/// The program gets the descriptor over a Unix socket (`SCM_RIGHTS`), or inherits it and calls
/// `shmem_shared_open_fd`. The descriptor is close-on-exec: a child clears that by
/// `fcntl(fd, F_SETFD, 0)` between `fork` and `exec`. A process that keeps the descriptor can hand
/// it to the next program, or to the next node for `shmem_shared_recreate_fd`.
///
/// `conf->permissions` (without execute bits) and `conf->group` decide which users can open the
/// region, even with the descriptor.
///
/// @param conf the parameters; `NULL`: all defaults
/// @param fd   filled with a descriptor to hand over. The caller owns it and may close it at any
///             time: the channel does not need it, and it carries none of the channel's locks
/// @return the channel, which the caller closes by `shmem_shared_close`. `NULL`, and `*fd`
///         unchanged:
///         `EINVAL` parameters, or `fd` is `NULL`;
///         `ENOMEM` not enough memory; `EPERM` `conf->group`;
///         `ENOTSUP` `/proc` is not mounted; `EMFILE` and others as the system says
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

/// Takes the node side of a region without a name whose node is gone, and repairs it. Samples that
/// the old node wrote and the program has not read stay in the queue. An attached program goes on;
/// if there is none, the next one can attach.
///
/// @param fd   a descriptor of the region; it stays the caller's, who may close it afterwards
/// @param conf the parameters, equal to those of the region; `NULL`: all defaults. `permissions`
///             and `group` have no effect
/// @return the channel, which the caller closes by `shmem_shared_close`. `NULL`:
///         `EINVAL` parameters;
///         `EBUSY` a live process holds the node side; `EPROTO` the region has other parameters or
///         signals;
///         else as `shmem_shared_open_fd`
///
/// # Safety
/// `conf` is null or valid.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn shmem_shared_recreate_fd(fd: c_int, conf: *const shmem_conf) -> *mut shmem_shared {
    // SAFETY: as the caller promises.
    guard(std::ptr::null_mut(), || Ok(face(native::recreate_fd(fd, &unsafe { config(conf) }?)?)))
}

/// Opens a region that `shmem_shared_create_fd` created, and takes its program side.
///
/// @param fd   a descriptor of the region, received or inherited; it stays the caller's, who may
///             close it afterwards
/// @param base there for libvillas' signature. `NULL` will do; else filled with the region's
///             address
/// @return the channel, which the caller closes by `shmem_shared_close`. `NULL`:
///         `EBADF` not an open descriptor;
///         `EBADMSG` not a memory file of a sealed size, not a region, or a corrupt one;
///         `EACCES` not open for reading and writing, or as for `shmem_shared_open`;
///         `ENOTSUP` `/proc` is not mounted;
///         `ENOENT`, `EBUSY`, `EAGAIN`, `EPROTO` as for `shmem_shared_open`
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

/// Opens the region `name` as `shmem_shared_open` does. Waits while that fails with `ENOENT` or
/// `EAGAIN`, which can pass by themselves; any other failure ends the wait at once. No channel is
/// there yet to be interrupted: a program that must stop waits in slices and looks at its flag.
///
/// @param name    of the region, as the node has it
/// @param base    there for libvillas' signature. `NULL` will do; else filled with the region's
///                address
/// @param timeout relative; `NULL`: no limit
/// @return the channel, which the caller closes by `shmem_shared_close`. `NULL`: `ETIMEDOUT`;
///         `EINTR` a signal handler ran; `EINVAL` also for the timeout; else as `shmem_shared_open`
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

/// Waits until a live peer is attached: the first one, or the next one after `EPIPE`.
///
/// @param shm     an open channel
/// @param timeout relative; `NULL`: no limit
/// @return 0. -1: `ETIMEDOUT`; `EINTR` a signal handler ran, or `shmem_shared_interrupt`; `ESTALE`
///         see After EPIPE and ESTALE, above; `EINVAL` the timeout; a handle error (`EINVAL`,
///         `EPIPE`)
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
