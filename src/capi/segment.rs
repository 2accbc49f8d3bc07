//! Group "segments".

use super::{fill, guard, text};
use crate::error::{Error, Result};
use crate::segment::handle::SegmentHandle;
use crate::segment::{Segment, SegmentOptions, SegmentStat};
use crate::sys::clock::Timespec;
use libc::{c_char, c_int, c_uint, c_void, timespec};

/// `flags` of a segment: create it if it does not exist.
pub const SHMEM_SEGMENT_CREATE: c_uint = 1;
/// `flags` of a segment, with `SHMEM_SEGMENT_CREATE`: refuse an existing one (`EEXIST`).
pub const SHMEM_SEGMENT_EXCLUSIVE: c_uint = 2;
/// `flags` of a segment: attach it for reading only. A write to it ends the process (SIGSEGV).
pub const SHMEM_SEGMENT_READ_ONLY: c_uint = 4;

/// `key` of a segment without a key (`IPC_PRIVATE`): each call creates one; others attach it by its
/// id.
pub const SHMEM_SEGMENT_PRIVATE: c_int = 0;

/// For `shmem_segment_set` and `shmem_ring_set`: leave this as it is.
pub const SHMEM_KEEP: c_uint = 0xffff_ffff;

/// Raw shared memory, attached to this process. `shmem_segment_open`, `_sysv` and `_attach` make
/// it; it is valid until `shmem_segment_close`.
///
/// The system chooses the address, which differs between processes: store offsets in a segment,
/// never addresses. The system's permissions decide who may attach it, also for segments of other
/// users.
#[allow(non_camel_case_types)]
pub struct shmem_segment {
    _private: (),
}

/// What the system knows about a segment, initialised by `SHMEM_SEGMENT_INFO_INIT`.
#[allow(non_camel_case_types)]
#[repr(C)]
#[derive(Clone, Copy)]
pub struct shmem_segment_info {
    /// The caller sets it: `sizeof(struct shmem_segment_info)`; 0: the fields of version 0.1.
    pub size: usize,
    /// Bytes of the segment now.
    pub bytes: u64,
    /// How often it is attached, in all processes. -1: unknown (POSIX).
    pub attached: i64,
    /// The System V id. -1: it is a POSIX object.
    pub id: c_int,
    /// The System V key. 0 (`IPC_PRIVATE`): none, or removed.
    pub key: c_int,
    /// Permission bits.
    pub permissions: c_uint,
    /// 1: its name or key is removed; its memory goes with the last process that has it.
    pub removed: c_uint,
    /// The owner.
    pub uid: c_uint,
    /// The owner's group.
    pub gid: c_uint,
    /// The creator. (unsigned)-1: unknown (POSIX).
    pub creator_uid: c_uint,
    /// The creator's group. (unsigned)-1: unknown (POSIX).
    pub creator_gid: c_uint,
    /// The process that created it. 0: unknown (POSIX, or another pid namespace).
    pub creator_pid: c_int,
    /// The process that attached or detached it last. 0: none, or unknown (POSIX, or another pid
    /// namespace).
    pub last_pid: c_int,
    /// The time of the last attach, in whole seconds. 0: never, or unknown (POSIX).
    pub attached_at: timespec,
    /// The time of the last detach, in whole seconds. 0: never, or unknown (POSIX).
    pub detached_at: timespec,
    /// The time of its creation, or of the last change of owner or permissions (POSIX: also of
    /// size or name).
    pub changed_at: timespec,
    /// The time of its creation. 0: unknown (System V; POSIX: a kernel that does not note it).
    pub created_at: timespec,
}

fn options(size: usize, flags: c_uint, permissions: c_uint) -> Result<SegmentOptions> {
    let known = SHMEM_SEGMENT_CREATE | SHMEM_SEGMENT_EXCLUSIVE | SHMEM_SEGMENT_READ_ONLY;
    if flags & !known != 0 {
        return Err(Error::invalid(format!("flags is {flags:#x}: unknown bits are set")));
    }
    let has = |flag| flags & flag != 0;
    let create = has(SHMEM_SEGMENT_CREATE);
    Ok(SegmentOptions {
        size,
        create,
        exclusive: has(SHMEM_SEGMENT_EXCLUSIVE),
        read_only: has(SHMEM_SEGMENT_READ_ONLY),
        // As with open(2), nobody looks at it unless something may be created.
        permissions: if create { permissions } else { 0 },
    })
}

/// Gives a segment to the caller.
fn give(segment: Segment) -> Result<*mut shmem_segment> {
    Ok(std::ptr::from_ref(SegmentHandle::new(segment)?).cast_mut().cast())
}

/// Looks at what a pointer leads to, which may be any pointer.
fn with<T>(segment: *const shmem_segment, look: impl FnOnce(&Segment) -> Result<T>) -> Result<T> {
    SegmentHandle::find(segment.cast())?.look(look)
}

/// Opens the POSIX shared memory object `name`, or creates it. A new object appears whole: zeroed,
/// with its size, its memory allocated.
///
/// @param name        of the segment (Names, above)
/// @param size        bytes: at least so many of an existing object, exactly so many of a new one;
///                    0: an existing object as it is
/// @param flags       `SHMEM_SEGMENT_*`, or'ed
/// @param permissions bits as of `chmod(2)` of a new object, less the umask; without
///                    `SHMEM_SEGMENT_CREATE` not looked at
/// @return the segment, which the caller closes by `shmem_segment_close`. `NULL`:
///         `EINVAL` name, flags, permissions or size, or a new object needs a size;
///         `ENOENT` no such object; `EEXIST` it exists, with `SHMEM_SEGMENT_EXCLUSIVE`;
///         `EPROTO` it is smaller than `size`; `EAGAIN` it has no size yet;
///         `EBADMSG` the name leads to something other than a shared memory object;
///         `EACCES` its permissions forbid it;
///         `ENOSPC` `/dev/shm` is full; others as the system says
///
/// # Safety
/// `name` is null or a C string.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn shmem_segment_open(
    name: *const c_char,
    size: usize,
    flags: c_uint,
    permissions: c_uint,
) -> *mut shmem_segment {
    guard(std::ptr::null_mut(), || {
        // SAFETY: as the caller promises.
        let name = unsafe { text(name) }?;
        Segment::open(name, &options(size, flags, permissions)?).and_then(give)
    })
}

/// Attaches the System V segment of a key, or creates it. As with `shmem_segment_open`, and unlike
/// with `shmget(2)`, the umask applies, the memory is allocated at once (Linux 5.14 or newer), and
/// the creator may read and write it whatever `permissions` says.
///
/// @param key         of the segment, for instance by `shmem_segment_key`, or
///                    `SHMEM_SEGMENT_PRIVATE`
/// @param size        as for `shmem_segment_open`
/// @param flags       as for `shmem_segment_open`
/// @param permissions as for `shmem_segment_open`
/// @return the segment, which the caller closes by `shmem_segment_close`. `NULL`: `EINVAL`,
///         `ENOSPC`, `ENOMEM` also for a limit of the system; `ENOTSUP` a new one without
///         `/proc`; else as `shmem_segment_open`
#[unsafe(no_mangle)]
pub extern "C" fn shmem_segment_sysv(key: c_int, size: usize, flags: c_uint, permissions: c_uint) -> *mut shmem_segment {
    guard(std::ptr::null_mut(), || Segment::sysv(key, &options(size, flags, permissions)?).and_then(give))
}

/// Attaches the System V segment of an id, which `ipcs -m` and `shmem_segment_stat` show.
///
/// @param id    of the segment
/// @param flags 0 or `SHMEM_SEGMENT_READ_ONLY`
/// @return the segment, which the caller closes by `shmem_segment_close`. `NULL`: `EINVAL` flags;
///         `ENOENT` no such segment; `EACCES` its permissions forbid it; others as the system says
#[unsafe(no_mangle)]
pub extern "C" fn shmem_segment_attach(id: c_int, flags: c_uint) -> *mut shmem_segment {
    guard(std::ptr::null_mut(), || {
        let options = options(0, flags, 0)?;
        if options.create || options.exclusive {
            return Err(Error::invalid("an id cannot be created: flags must be 0 or SHMEM_SEGMENT_READ_ONLY"));
        }
        Segment::attach(id, options.read_only).and_then(give)
    })
}

/// Makes a System V key of a file and a number, as `ftok(3)` does. Two files may give the same key;
/// a replaced file gives another.
///
/// @param path    of an existing file, which stays
/// @param project a number whose lowest eight bits are not all 0; only these count
/// @return the key. -1: `EINVAL` `path` is `NULL`, the number, or the key would be -1; `ENOENT` no
///         such file; others as the system says
///
/// # Safety
/// `path` is null or a C string.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn shmem_segment_key(path: *const c_char, project: c_int) -> c_int {
    guard(-1, || {
        // SAFETY: as the caller promises.
        let path = unsafe { text(path) }?;
        match Segment::key(path.as_ref(), project)? {
            -1 => Err(Error::invalid(format!("the key of {path:?} and {project} would be -1: take another number"))),
            key => Ok(key),
        }
    })
}

/// Returns the address of a segment in this process.
///
/// @param segment an open segment
/// @return `shmem_segment_size` bytes, aligned to 4096, which the caller does not free; valid until
///         `shmem_segment_close`. `NULL`: `EINVAL` not an open segment
#[unsafe(no_mangle)]
pub extern "C" fn shmem_segment_data(segment: *const shmem_segment) -> *mut c_void {
    guard(std::ptr::null_mut(), || with(segment, |segment| Ok(segment.as_ptr().cast())))
}

/// Returns the bytes of a segment, as it was when it was opened.
///
/// @param segment an open segment
/// @return bytes, as many as were asked for, or more. 0: `EINVAL` not an open segment
#[unsafe(no_mangle)]
pub extern "C" fn shmem_segment_size(segment: *const shmem_segment) -> usize {
    guard(0, || with(segment, |segment| Ok(segment.size())))
}

/// Fills in what the system knows about a segment now.
///
/// @param segment an open segment
/// @param stat    filled; the caller owns it, and sets its `size` first (`SHMEM_SEGMENT_INFO_INIT`)
/// @return 0. -1: `EINVAL` not an open segment, `stat` or its `size`; `EACCES` a System V segment
///         that this process may no longer read
///
/// # Safety
/// `stat` is null or leads to a `struct shmem_segment_info` of the size that it says.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn shmem_segment_stat(segment: *const shmem_segment, stat: *mut shmem_segment_info) -> c_int {
    // SAFETY: the caller's promise is passed on.
    guard(-1, || unsafe { fill(stat, "stat", "shmem_segment_info", || Ok(converted(&with(segment, Segment::stat)?))) })
}

/// Not one struct with [`SegmentStat`]: C has its size before, and numbers for what is unknown.
fn converted(now: &SegmentStat) -> shmem_segment_info {
    let time = |at: Option<Timespec>| {
        let at = at.unwrap_or_default();
        timespec { tv_sec: at.sec, tv_nsec: at.nsec }
    };
    let creator = now.creator.unwrap_or((c_uint::MAX, c_uint::MAX));
    shmem_segment_info {
        size: size_of::<shmem_segment_info>(),
        bytes: now.size,
        attached: now.attached.map_or(-1, |n| n as i64),
        id: now.id.unwrap_or(-1),
        key: now.key.unwrap_or(0),
        permissions: now.permissions,
        removed: c_uint::from(now.removed),
        uid: now.uid,
        gid: now.gid,
        creator_uid: creator.0,
        creator_gid: creator.1,
        creator_pid: now.creator_pid.unwrap_or(0),
        last_pid: now.last_pid.unwrap_or(0),
        attached_at: time(now.attached_at),
        detached_at: time(now.detached_at),
        changed_at: time(Some(now.changed_at)),
        created_at: time(now.created_at),
    }
}

/// Changes permission bits and owner of a segment, by `IPC_SET`, or `fchmod` and `fchown`; the
/// umask does not apply. A process that has it open keeps its access.
///
/// @param segment     an open segment
/// @param permissions bits as of `chmod(2)`, or `SHMEM_KEEP`
/// @param uid         the owner, or `SHMEM_KEEP`
/// @param gid         the owner's group, or `SHMEM_KEEP`
/// @return 0. -1, and nothing is changed: `EINVAL` not an open segment, or permissions; `EPERM`
///         this user may not do that
#[unsafe(no_mangle)]
pub extern "C" fn shmem_segment_set(segment: *mut shmem_segment, permissions: c_uint, uid: c_uint, gid: c_uint) -> c_int {
    let changed = |value| (value != SHMEM_KEEP).then_some(value);
    guard(-1, || {
        with(segment, |segment| segment.set_permissions(changed(permissions), changed(uid), changed(gid)))?;
        Ok(0)
    })
}

/// Detaches a segment from this process. Its name or key, and its contents, stay.
///
/// @param segment an open segment; the pointer and the segment's memory are invalid afterwards
/// @return 0. -1: `EINVAL` not an open segment
///
/// Not async-signal-safe.
#[unsafe(no_mangle)]
pub extern "C" fn shmem_segment_close(segment: *mut shmem_segment) -> c_int {
    guard(-1, || SegmentHandle::find(segment.cast())?.close().map(|()| 0))
}

/// Removes the name of a POSIX segment. A process that has it open keeps it; it goes with the last
/// one.
///
/// @param name of the segment
/// @return 0. -1: `EINVAL` name; `ENOENT` no such object; `EACCES`, `EPERM` the system forbids it
///
/// # Safety
/// `name` is null or a C string.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn shmem_segment_unlink(name: *const c_char) -> c_int {
    guard(-1, || {
        // SAFETY: as the caller promises.
        Segment::unlink(unsafe { text(name) }?)?;
        Ok(0)
    })
}

/// Removes the System V segment of a key, as `ipcrm -M` does. A process that has it attached keeps
/// it; it goes with the last one.
///
/// @param key of the segment
/// @return 0. -1: `EINVAL` `SHMEM_SEGMENT_PRIVATE`; `ENOENT` no such segment; `EPERM` another
///         user's
#[unsafe(no_mangle)]
pub extern "C" fn shmem_segment_unlink_key(key: c_int) -> c_int {
    guard(-1, || {
        Segment::unlink_key(key)?;
        Ok(0)
    })
}

/// Removes the System V segment of an id, as `ipcrm -m` does. A process that has it attached keeps
/// it; it goes with the last one.
///
/// @param id of the segment
/// @return 0. -1: `ENOENT` no such segment; `EPERM` another user's
#[unsafe(no_mangle)]
pub extern "C" fn shmem_segment_unlink_id(id: c_int) -> c_int {
    guard(-1, || {
        Segment::unlink_id(id)?;
        Ok(0)
    })
}
