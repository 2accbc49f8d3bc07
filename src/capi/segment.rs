//! Group "segments".

use super::{fill, guard, text};
use crate::error::{Error, Result};
use crate::segment::handle::SegmentHandle;
use crate::segment::{Segment, SegmentOptions, SegmentStat};
use crate::sys::clock::Timespec;
use libc::{c_char, c_int, c_uint, c_void, timespec};

/// `flags`: create the segment if there is none.
pub const SHMEM_SEGMENT_CREATE: c_uint = 1;
/// `flags`, with `SHMEM_SEGMENT_CREATE`: refuse one that is there (`EEXIST`).
pub const SHMEM_SEGMENT_EXCLUSIVE: c_uint = 2;
/// `flags`: attach for reading only. To write there ends the process (SIGSEGV).
pub const SHMEM_SEGMENT_READ_ONLY: c_uint = 4;

/// `key`: a segment without a key; each call creates a new one, which others attach by its id. `IPC_PRIVATE`.
pub const SHMEM_SEGMENT_PRIVATE: c_int = 0;

/// For `shmem_segment_set`: leave as it is.
pub const SHMEM_KEEP: c_uint = 0xffff_ffff;

/// Raw shared memory, attached to this process, with no structure of the library's. Made by `shmem_segment_open`, `_sysv` and `_attach`,
/// valid until `shmem_segment_close`.
///
/// The system decides where it is attached: an address of the caller's choice could be in use, now or in another process. So what lies in it must
/// not contain addresses, only offsets. Nothing tells when another process has written but an event (`struct shmem_event`) in it.
/// The system's permissions decide who may attach it, whosever it is. A child of a fork inherits it, and detaches its own by `shmem_segment_close`.
#[allow(non_camel_case_types)]
pub struct shmem_segment {
    _private: (),
}

/// What the system knows about a segment.
#[allow(non_camel_case_types)]
#[repr(C)]
#[derive(Clone, Copy)]
pub struct shmem_segment_stat {
    /// To be set before the call: `sizeof(struct shmem_segment_stat)`; 0: the fields of version 0.1.
    pub size: usize,
    /// Bytes of the segment, now.
    pub bytes: u64,
    /// How often it is attached, in all processes. -1 unknown (POSIX).
    pub attached: i64,
    /// System V id; -1: it is a POSIX object.
    pub id: c_int,
    /// System V key; 0 (`IPC_PRIVATE`): none, or removed.
    pub key: c_int,
    /// Permission bits.
    pub permissions: c_uint,
    /// 1: its name or key is gone; its memory goes with the last process that has it.
    pub removed: c_uint,
    /// The owner.
    pub uid: c_uint,
    /// The owner's group.
    pub gid: c_uint,
    /// Who created it. (unsigned)-1 unknown (POSIX).
    pub creator_uid: c_uint,
    /// The creator's group. (unsigned)-1 unknown (POSIX).
    pub creator_gid: c_uint,
    /// The process that created it. 0 unknown (POSIX, or of another pid namespace).
    pub creator_pid: c_int,
    /// The process that attached or detached it last. 0: none, or unknown (POSIX, or of another pid namespace).
    pub last_pid: c_int,
    /// When it was attached last. 0 never, or unknown (POSIX). System V notes whole seconds.
    pub attached_at: timespec,
    /// When it was detached last. 0 never, or unknown (POSIX).
    pub detached_at: timespec,
    /// When it was created, or its owner or permissions (POSIX: also its size or name) changed.
    pub changed_at: timespec,
    /// When it was created. 0 unknown (System V; POSIX: a kernel that does not note it).
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

/// Opens the POSIX shared memory object `/name`, or creates it: with its size and zeroed, before its name appears, and with its memory allocated.
///
/// @param name  1 to 255 bytes, any but `/` and zero. Slashes in front are left out, as by
///              `shm_open(3)`
/// @param size  bytes that it must have at least, or is created with; 0: as it is
/// @param flags `SHMEM_SEGMENT_*`, or'ed
/// @param permissions bits as of `chmod(2)` of a new object, less the umask; not looked at without `SHMEM_SEGMENT_CREATE`
/// @return the segment, to be closed. `NULL`: `EINVAL` name, flags, permissions or size, or nothing is there and `size` is 0; `ENOENT` no such object; `EEXIST` it is there, with `SHMEM_SEGMENT_EXCLUSIVE`;
///         `EPROTO` it is smaller than `size`; `EAGAIN` it has no size yet; `EBADMSG` not a shared memory object; `EACCES` its permissions
///         say no; `ENOSPC` no room in `/dev/shm`
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

/// Attaches the System V segment of a key, or creates it. Unlike with `shmget(2)` the umask applies, the memory is allocated at once (Linux 5.14 or
/// newer), and the creator may read and write whatever `permissions` says: as with `shmem_segment_open`.
///
/// @param key   of the segment, see `shmem_segment_key`; `SHMEM_SEGMENT_PRIVATE`: always a new one, without a key
/// @param size  as for `shmem_segment_open`
/// @param flags as for `shmem_segment_open`
/// @param permissions as for `shmem_segment_open`
/// @return as `shmem_segment_open`; `EINVAL`, `ENOSPC`, `ENOMEM` also where a limit of the system's would be exceeded
#[unsafe(no_mangle)]
pub extern "C" fn shmem_segment_sysv(key: c_int, size: usize, flags: c_uint, permissions: c_uint) -> *mut shmem_segment {
    guard(std::ptr::null_mut(), || Segment::sysv(key, &options(size, flags, permissions)?).and_then(give))
}

/// Attaches the System V segment of an id, as `ipcs -m` and `shmem_segment_stat` show it.
///
/// @param id    of the segment
/// @param flags 0 or `SHMEM_SEGMENT_READ_ONLY`
/// @return the segment, to be closed. `NULL`: `EINVAL` flags; `ENOENT` no such segment; `EACCES` its permissions say no
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

/// The key that `ftok(3)` makes of a file and a number. Two files may have the same; a file that is replaced gets another.
///
/// @param path    of a file that is there, and stays
/// @param project a number whose lowest eight bits, which count, are not all 0
/// @return the key. -1: `EINVAL` a null pointer, the number, or a file of which -1 would be the key; `ENOENT` and others when the file cannot be looked at
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

/// Where the segment is attached in this process.
///
/// @return `shmem_segment_size` bytes, at a multiple of 4096, valid until `shmem_segment_close`; not to be freed. `NULL`: `EINVAL`
#[unsafe(no_mangle)]
pub extern "C" fn shmem_segment_data(segment: *const shmem_segment) -> *mut c_void {
    guard(std::ptr::null_mut(), || with(segment, |segment| Ok(segment.as_ptr().cast())))
}

/// The bytes of the segment, as it was when it was opened; as many as were asked for, or more.
///
/// @return bytes. 0: `EINVAL`
#[unsafe(no_mangle)]
pub extern "C" fn shmem_segment_size(segment: *const shmem_segment) -> usize {
    guard(0, || with(segment, |segment| Ok(segment.size())))
}

/// What the system knows about the segment now.
///
/// @param segment an open segment
/// @param stat    filled; its `size` must be set
/// @return 0. -1: `EINVAL`; `EACCES` a System V segment that this process may no longer read
///
/// # Safety
/// `stat` is null or leads to a `struct shmem_segment_stat` of the size that it says.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn shmem_segment_stat(segment: *const shmem_segment, stat: *mut shmem_segment_stat) -> c_int {
    // SAFETY: the caller's promise is passed on.
    guard(-1, || unsafe { fill(stat, "stat", "shmem_segment_stat", || Ok(converted(&with(segment, Segment::stat)?))) })
}

/// Not one struct with [`SegmentStat`]: C has its size before, and numbers for what is unknown.
fn converted(now: &SegmentStat) -> shmem_segment_stat {
    let time = |at: Option<Timespec>| {
        let at = at.unwrap_or_default();
        timespec { tv_sec: at.sec, tv_nsec: at.nsec }
    };
    let creator = now.creator.unwrap_or((c_uint::MAX, c_uint::MAX));
    shmem_segment_stat {
        size: size_of::<shmem_segment_stat>(),
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

/// Changes permission bits and owner of the segment: `IPC_SET`, or `fchmod` and `fchown`. The umask does not apply. Who has it open keeps the access that he
/// has.
///
/// @param segment an open segment
/// @param permissions bits as of `chmod(2)`, or `SHMEM_KEEP`
/// @param uid     the owner, or `SHMEM_KEEP`
/// @param gid     the owner's group, or `SHMEM_KEEP`
/// @return 0. -1: `EINVAL` segment or permissions; `EPERM` the system does not let this user do that. Nothing is changed then
#[unsafe(no_mangle)]
pub extern "C" fn shmem_segment_set(segment: *mut shmem_segment, permissions: c_uint, uid: c_uint, gid: c_uint) -> c_int {
    let changed = |value| (value != SHMEM_KEEP).then_some(value);
    guard(-1, || {
        with(segment, |segment| segment.set_permissions(changed(permissions), changed(uid), changed(gid)))?;
        Ok(0)
    })
}

/// Detaches the segment from this process. Its name or key, and its contents, stay.
///
/// @param segment an open segment; neither it nor its memory is to be used afterwards
/// @return 0. -1: `EINVAL` not an open segment
///
/// Any thread, but not a signal handler.
#[unsafe(no_mangle)]
pub extern "C" fn shmem_segment_close(segment: *mut shmem_segment) -> c_int {
    guard(-1, || SegmentHandle::find(segment.cast())?.close().map(|()| 0))
}

/// Removes the name of a POSIX segment. Who has it open keeps it; it goes with the last of them.
///
/// @param name as for `shmem_segment_open`
/// @return 0. -1: `EINVAL` name; `ENOENT` no such object; `EACCES` or `EPERM` another user's
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

/// Removes the System V segment of a key, as `ipcrm -M` does. Who has it attached keeps it; it goes with the last of them.
///
/// @return 0. -1: `EINVAL` `SHMEM_SEGMENT_PRIVATE`; `ENOENT` no such segment; `EPERM` another user's
#[unsafe(no_mangle)]
pub extern "C" fn shmem_segment_unlink_key(key: c_int) -> c_int {
    guard(-1, || {
        Segment::unlink_key(key)?;
        Ok(0)
    })
}

/// The same by its id, as `ipcrm -m` does.
///
/// @return 0. -1: `ENOENT` no such segment; `EPERM` another user's
#[unsafe(no_mangle)]
pub extern "C" fn shmem_segment_unlink_id(id: c_int) -> c_int {
    guard(-1, || {
        Segment::unlink_id(id)?;
        Ok(0)
    })
}
