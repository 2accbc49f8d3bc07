//! Segments: raw POSIX or System V shared memory, without any structure of this library.

use crate::error::{Error, Result};
use crate::event::Event;
use crate::layout::segment::SegmentView;
use crate::pod::Plain;
use crate::sys::clock::Timespec;
use crate::sys::mapping::Mapping;
use crate::sys::object::Object;
use crate::sys::sysv::{self, Attachment};
use std::time::SystemTime;

/// How to open a segment. By default: an existing one, for reading and writing.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct SegmentOptions {
    /// The segment's least size in bytes, or the size to create it with. 0: any.
    pub size: usize,
    /// Create the segment if there is none.
    pub create: bool,
    /// With `create`: refuse an existing segment (`AlreadyExists`).
    pub exclusive: bool,
    /// Attach for reading only.
    pub read_only: bool,
    /// Permission bits of a new segment, less the umask. Default 0600.
    pub permissions: u32,
}

impl Default for SegmentOptions {
    fn default() -> Self {
        SegmentOptions { size: 0, create: false, exclusive: false, read_only: false, permissions: 0o600 }
    }
}

/// What the system knows of a segment. `None`: it does not say.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct SegmentStat {
    /// System V id. `None`: a POSIX object.
    pub id: Option<i32>,
    /// System V key; 0 (`IPC_PRIVATE`): none, or removed.
    pub key: Option<i32>,
    /// Present size in bytes.
    pub size: u64,
    /// Number of attachments in all processes. System V.
    pub attached: Option<u64>,
    /// Permission bits.
    pub permissions: u32,
    /// User id of the owner.
    pub uid: u32,
    /// Group id of the owner.
    pub gid: u32,
    /// User and group id of the creator. System V.
    pub creator: Option<(u32, u32)>,
    /// Pid of the creator. System V.
    pub creator_pid: Option<i32>,
    /// Pid of the process that last attached or detached it. System V.
    pub last_pid: Option<i32>,
    /// When it was last attached. System V.
    pub attached_at: Option<Timespec>,
    /// When it was last detached. System V.
    pub detached_at: Option<Timespec>,
    /// When it was created, or last changed its owner, permissions or size (POSIX: also its name).
    pub changed_at: Timespec,
    /// When it was created. POSIX, if the kernel records it.
    pub created_at: Option<Timespec>,
    /// Its name or key is removed; its memory is freed with its last user.
    pub removed: bool,
}

/// Raw shared memory, attached to this process. Dropping it detaches it and keeps the name or key.
///
/// Its address differs between processes, so its contents must be offsets, never addresses. Other
/// processes may write at any time, so values are copied in and out, and there is no slice of the
/// memory. Only an [`Event`] tells when another process has written. The child of a fork inherits
/// the memory.
///
/// ```
/// use villas_shm::{Segment, SegmentOptions};
/// # let name = format!("villas-doc-segment-{}", std::process::id());
/// let ours = Segment::open(&name, &SegmentOptions { size: 1024, create: true, exclusive: true, ..Default::default() })?;
/// ours.set(0, 3.14286)?;
/// ours.write(8, b"goodbye")?;
///
/// let theirs = Segment::open(&name, &SegmentOptions { read_only: true, ..Default::default() })?;
/// let mut text = [0; 7];
/// theirs.read(8, &mut text)?;
/// assert_eq!((theirs.get::<f64>(0)?, &text), (3.14286, b"goodbye"));
/// assert_eq!(theirs.set(0, 1u8).unwrap_err().errno(), 13); // EACCES
/// assert_eq!(theirs.get::<u64>(1017).unwrap_err().errno(), 22); // EINVAL: it would end behind the segment
/// Segment::unlink(&name)?;
/// # Ok::<(), villas_shm::Error>(())
/// ```
///
/// A segment of System V, here without a key:
///
/// ```
/// # use villas_shm::{Segment, SegmentOptions};
/// let segment = Segment::sysv(Segment::PRIVATE, &SegmentOptions { size: 1024, create: true, ..Default::default() })?;
/// let stat = segment.stat()?;
/// Segment::unlink_id(stat.id.unwrap_or_default())?; // it goes with its last user
/// assert_eq!((stat.size, stat.attached, segment.stat()?.removed), (1024, Some(1), true));
/// # Ok::<(), villas_shm::Error>(())
/// ```
#[derive(Debug)]
pub struct Segment {
    pub(super) view: SegmentView,
    pub(super) memory: Memory,
}

pub(super) enum Memory {
    Posix { object: Object, _mapping: Mapping },
    SystemV { id: i32, _attachment: Attachment },
}

impl std::fmt::Debug for Memory {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Memory::Posix { .. } => write!(f, "POSIX"),
            Memory::SystemV { id, .. } => write!(f, "System V, id {id}"),
        }
    }
}

impl Segment {
    /// Size of the segment in bytes.
    pub fn size(&self) -> usize {
        self.view.size()
    }

    /// The segment's address: [`Segment::size`] bytes, valid while this value lives. Other
    /// processes may write there at any time. Writing to a segment attached for reading only kills
    /// this process.
    pub fn as_ptr(&self) -> *mut u8 {
        self.view.base()
    }

    /// The value at an offset in bytes.
    ///
    /// # Errors
    /// `InvalidInput` it would end beyond the segment, or is not aligned for its type.
    pub fn get<T: Plain>(&self, offset: usize) -> Result<T> {
        self.view.get(offset)
    }

    /// Stores a value at an offset in bytes.
    ///
    /// # Errors
    /// As [`Segment::get`]; `PermissionDenied` attached for reading only.
    pub fn set<T: Plain>(&self, offset: usize, value: T) -> Result<()> {
        self.view.set(offset, value)
    }

    /// Copies bytes out. If another process writes meanwhile, the copy may be half old, half new.
    ///
    /// # Errors
    /// `InvalidInput` they would end beyond the segment.
    pub fn read(&self, offset: usize, bytes: &mut [u8]) -> Result<()> {
        self.view.read(offset, bytes)
    }

    /// Copies bytes in.
    ///
    /// # Errors
    /// As [`Segment::read`]; `PermissionDenied` attached for reading only.
    pub fn write(&self, offset: usize, bytes: &[u8]) -> Result<()> {
        self.view.write(offset, bytes)
    }

    /// The event in the 8 bytes at this offset.
    ///
    /// # Errors
    /// `InvalidInput` beyond the end, or not a multiple of 8; `PermissionDenied` attached for
    /// reading only.
    pub fn event(&self, offset: usize) -> Result<Event<'_>> {
        self.view.event(offset).map(Event::new)
    }

    /// What the system knows of the segment now.
    ///
    /// # Errors
    /// From the system: `PermissionDenied` if this process may no longer read a System V segment.
    pub fn stat(&self) -> Result<SegmentStat> {
        match &self.memory {
            Memory::Posix { object, .. } => {
                let file = object.status()?;
                Ok(SegmentStat {
                    size: file.st_size as u64,
                    permissions: file.st_mode & 0o777,
                    uid: file.st_uid,
                    gid: file.st_gid,
                    changed_at: Timespec { sec: file.st_ctime, nsec: file.st_ctime_nsec },
                    created_at: object.created().and_then(since_1970),
                    removed: file.st_nlink == 0,
                    ..SegmentStat::default()
                })
            }
            Memory::SystemV { id, .. } => {
                let status = status(*id)?;
                let at = |sec| Timespec { sec, nsec: 0 };
                let perm = status.shm_perm;
                Ok(SegmentStat {
                    id: Some(*id),
                    key: Some(sysv::key_of(&perm)),
                    size: status.shm_segsz as u64,
                    attached: Some(status.shm_nattch),
                    permissions: u32::from(perm.mode) & 0o777,
                    uid: perm.uid,
                    gid: perm.gid,
                    creator: Some((perm.cuid, perm.cgid)),
                    creator_pid: Some(status.shm_cpid),
                    last_pid: Some(status.shm_lpid).filter(|&pid| pid != 0),
                    attached_at: Some(at(status.shm_atime)).filter(|at| at.sec != 0),
                    detached_at: Some(at(status.shm_dtime)).filter(|at| at.sec != 0),
                    changed_at: at(status.shm_ctime),
                    created_at: None,
                    removed: u32::from(perm.mode) & SHM_DEST != 0,
                })
            }
        }
    }

    /// Changes permission bits and owner; `None`: unchanged. The umask does not apply. Processes
    /// that have the segment open keep their access.
    ///
    /// # Errors
    /// `InvalidInput` permissions; `PermissionDenied` the system does not allow it: then nothing is
    /// changed.
    pub fn set_permissions(&self, permissions: Option<u32>, uid: Option<u32>, gid: Option<u32>) -> Result<()> {
        check_permissions(permissions.unwrap_or(0))?;
        match &self.memory {
            Memory::Posix { object, .. } => object.set(permissions, uid, gid),
            Memory::SystemV { id, .. } => change(*id, permissions, uid, gid),
        }
    }
}

pub(crate) fn check_permissions(permissions: u32) -> Result<()> {
    match permissions & !0o777 {
        0 => Ok(()),
        _ => Err(Error::invalid(format!("permissions are {permissions:#o}: more than nine bits"))),
    }
}

/// The bit in a segment's mode that means: freed when the last user detaches it.
const SHM_DEST: u32 = 0o1000;

pub(super) fn status(id: i32) -> Result<libc::shmid_ds> {
    sysv::status(id).map_err(|e| Error::system(e, format_args!("shmctl(IPC_STAT) failed for the System V segment with id {id}")))
}

pub(super) fn change(id: i32, mode: Option<u32>, uid: Option<u32>, gid: Option<u32>) -> Result<()> {
    let mut status = status(id)?;
    let perm = &mut status.shm_perm;
    perm.mode = mode.map_or(perm.mode, |mode| mode as _);
    perm.uid = uid.unwrap_or(perm.uid);
    perm.gid = gid.unwrap_or(perm.gid);
    sysv::set(id, status)
        .map_err(|e| Error::system(e, format_args!("shmctl(IPC_SET) failed for the System V segment with id {id}")))
}

fn since_1970(time: SystemTime) -> Option<Timespec> {
    let time = time.duration_since(SystemTime::UNIX_EPOCH).ok()?;
    Some(Timespec { sec: i64::try_from(time.as_secs()).ok()?, nsec: i64::from(time.subsec_nanos()) })
}
