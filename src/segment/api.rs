//! Segments: raw shared memory, of POSIX or System V, with no structure of ours.

use crate::error::{Error, Result};
use crate::event::Event;
use crate::layout::segment::SegmentView;
use crate::pod::Plain;
use crate::sys::clock::Timespec;
use crate::sys::mapping::Mapping;
use crate::sys::object::Object;
use crate::sys::sysv::{self, Attachment};
use std::time::SystemTime;

/// How to open a segment. The default: what is there, for reading and writing.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct SegmentOptions {
    /// Bytes that the segment must have at least, or is created with. 0: as it is.
    pub size: usize,
    /// Create it if there is none.
    pub create: bool,
    /// With `create`: refuse one that is there (`EEXIST`).
    pub exclusive: bool,
    /// Attach for reading only.
    pub read_only: bool,
    /// Permission bits of a segment that is created, less the umask. Default 0600.
    pub permissions: u32,
}

impl Default for SegmentOptions {
    fn default() -> Self {
        SegmentOptions { size: 0, create: false, exclusive: false, read_only: false, permissions: 0o600 }
    }
}

/// What the system knows about a segment. `None`: it does not know.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct SegmentStat {
    /// Its System V id. `None`: a POSIX object.
    pub id: Option<i32>,
    /// Its System V key; 0 (`IPC_PRIVATE`): none, or removed.
    pub key: Option<i32>,
    /// Bytes, now.
    pub size: u64,
    /// How often it is attached, in all processes. System V.
    pub attached: Option<u64>,
    /// Permission bits.
    pub permissions: u32,
    /// The owner.
    pub uid: u32,
    /// The owner's group.
    pub gid: u32,
    /// User and group of who created it. System V.
    pub creator: Option<(u32, u32)>,
    /// The process that created it. System V.
    pub creator_pid: Option<i32>,
    /// The process that attached or detached it last. System V.
    pub last_pid: Option<i32>,
    /// When it was attached last. System V.
    pub attached_at: Option<Timespec>,
    /// When it was detached last. System V.
    pub detached_at: Option<Timespec>,
    /// When it was created, or its owner, permissions or size (POSIX: also its name) changed.
    pub changed_at: Timespec,
    /// When it was created. POSIX, with a kernel that notes it.
    pub created_at: Option<Timespec>,
    /// Its name or key is gone; its memory goes with the last process that has it.
    pub removed: bool,
}

/// Raw shared memory, attached to this process. Dropping it detaches it; the name or the key stays.
///
/// Where it is attached differs from process to process, so what lies in it must not contain addresses, only offsets. Other processes
/// may write at any time: values are copied in and out, and there is no slice of the memory. Nothing tells when another has written but an
/// [`Event`]. A child of a fork inherits the memory.
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
    /// Bytes of the segment.
    pub fn size(&self) -> usize {
        self.view.size()
    }

    /// Where it is attached: [`Segment::size`] bytes, for as long as this value lives. Other processes may write there at any time; writing to
    /// what is attached for reading only ends this process.
    pub fn as_ptr(&self) -> *mut u8 {
        self.view.base()
    }

    /// The value at an offset.
    ///
    /// # Errors
    /// `EINVAL` it would end behind the segment, or is not aligned for its type.
    pub fn get<T: Plain>(&self, offset: usize) -> Result<T> {
        self.view.get(offset)
    }

    /// Stores a value at an offset.
    ///
    /// # Errors
    /// As [`Segment::get`]; `EACCES` attached for reading only.
    pub fn set<T: Plain>(&self, offset: usize, value: T) -> Result<()> {
        self.view.set(offset, value)
    }

    /// Copies bytes out. What another process writes meanwhile is copied half old, half new.
    ///
    /// # Errors
    /// `EINVAL` they would end behind the segment.
    pub fn read(&self, offset: usize, bytes: &mut [u8]) -> Result<()> {
        self.view.read(offset, bytes)
    }

    /// Copies bytes in.
    ///
    /// # Errors
    /// As [`Segment::read`]; `EACCES` attached for reading only.
    pub fn write(&self, offset: usize, bytes: &[u8]) -> Result<()> {
        self.view.write(offset, bytes)
    }

    /// The event whose 8 bytes are at this offset.
    ///
    /// # Errors
    /// `EINVAL` beyond the end, or not a multiple of 8; `EACCES` attached for reading only.
    pub fn event(&self, offset: usize) -> Result<Event<'_>> {
        self.view.event(offset).map(Event::new)
    }

    /// What the system knows about the segment now.
    ///
    /// # Errors
    /// As the system says: `EACCES` when this process may no longer read a System V segment.
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
                let at = |sec: libc::time_t| Timespec { sec, nsec: 0 };
                let perm = status.shm_perm;
                Ok(SegmentStat {
                    id: Some(*id),
                    key: Some(perm.__key),
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

    /// Changes permission bits and owner; `None`: as it is. The umask does not apply. Who has it open keeps the access that he has.
    ///
    /// # Errors
    /// `EINVAL` permissions; `EPERM` the system does not let this user do that: then nothing is changed.
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

/// The bit in the mode of a segment that goes when its last user detaches it.
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
