//! Creating, finding and removing segments of both kinds.

use super::api::{Memory, Segment, SegmentOptions, change, check_permissions, status};
use crate::error::{Error, Result};
use crate::layout::segment::SegmentView;
use crate::sys::mapping::Mapping;
use crate::sys::object::{Name, Object, Whose};
use crate::sys::process;
use crate::sys::sysv::{self, Attachment};
use nix::errno::Errno;
use nix::fcntl::OFlag;
use std::ffi::OsStr;

impl SegmentOptions {
    fn check(&self) -> Result<()> {
        if self.exclusive && !self.create {
            return Err(Error::invalid("exclusive says that the segment is to be new: create belongs to it"));
        }
        if self.size > isize::MAX as usize {
            return Err(Error::invalid(format!("a segment cannot have {} bytes", self.size)));
        }
        check_permissions(self.permissions)
    }

    /// The size of a new segment.
    fn new_size(&self, what: impl std::fmt::Display) -> Result<usize> {
        match self.size {
            0 => Err(Error::invalid(format!("there is no {what} yet, and to create it a size is needed"))),
            size => Ok(size),
        }
    }

    /// Checks whether an existing segment is large enough.
    fn check_size(&self, size: u64, what: impl std::fmt::Display) -> Result<usize> {
        if size == 0 {
            return Err(Error::new(
                libc::EAGAIN,
                format!(
                    "the {what} has no size yet: whoever creates it is about to give it one, or has died. Try again, or remove it"
                ),
            ));
        }
        if size < self.size as u64 {
            return Err(Error::new(
                libc::EPROTO,
                format!("the {what} has {size} bytes, {} were asked for: open it as it is (size 0), or remove it", self.size),
            ));
        }
        usize::try_from(size).map_err(|_| Error::new(libc::ENOMEM, format!("the {what} has {size} bytes: too many to attach")))
    }
}

fn exists(what: impl std::fmt::Display) -> Error {
    Error::new(libc::EEXIST, format!("there is a {what} already, and a new one was asked for: choose another, or remove it"))
}

fn key_name(key: i32) -> String {
    match key {
        Segment::PRIVATE => "private System V segment".to_owned(),
        key => format!("System V segment with key {key:#010x}"),
    }
}

/// Attaches a segment by its id. `ENOENT` only if it is gone: then a caller may look for another.
fn attach(id: i32, what: &str, writable: bool) -> Result<Attachment> {
    Attachment::new(id, writable).map_err(|e| match (e, sysv::status(id)) {
        (Errno::EINVAL | Errno::EIDRM, Err(why)) => failed("shmat", what, why),
        (e, _) => Error::system(e, format_args!("shmat failed for the {what}")),
    })
}

/// A failed System V call on a segment.
fn failed(call: &str, what: impl std::fmt::Display, errno: Errno) -> Error {
    match errno {
        // The segment of this id is gone.
        Errno::EIDRM | Errno::EINVAL => Error::new(libc::ENOENT, format!("there is no {what} ({call})")),
        e => Error::system(e, format_args!("{call} failed for the {what}")),
    }
}

impl Segment {
    /// The key of segments without a key: [`Segment::sysv`] creates a new one each time.
    pub const PRIVATE: i32 = libc::IPC_PRIVATE;

    /// Opens the POSIX shared memory object `name`, ignoring leading slashes; creates it if asked
    /// to.
    ///
    /// A new object appears complete: zeroed, with its size, and with its memory allocated.
    ///
    /// # Errors
    /// `InvalidInput` name or options; `NotFound` no such object; `AlreadyExists` it exists, with
    /// `exclusive`; `Mismatch` it is smaller than the size asked for; `WouldBlock` it has no size
    /// yet; `Corrupt` the name leads to a directory or the like; `PermissionDenied` its
    /// permissions; `StorageFull` no room in `/dev/shm`; others from the system.
    pub fn open(name: impl AsRef<OsStr>, options: &SegmentOptions) -> Result<Segment> {
        options.check()?;
        let name = Name::new(name)?;
        let what = format!("POSIX segment \"{name}\"");
        let access = if options.read_only { OFlag::O_RDONLY } else { OFlag::O_RDWR };
        loop {
            if options.exclusive && name.is_taken() {
                return Err(exists(what));
            }
            if !options.exclusive {
                match Object::open_as(
                    &name,
                    access,
                    Whose::Inherited,
                    format!("there is no {what}: has its creator been started?"),
                ) {
                    Ok(object) => {
                        let size = options.check_size(object.size(), what)?;
                        return Segment::map(object, size, options);
                    }
                    Err(e) if e.errno() == libc::ENOENT && options.create => {}
                    Err(e) => return Err(e),
                }
            }
            let size = options.new_size(&what)?;
            let object = Object::unnamed_as(size as u64, options.permissions, None, Whose::Inherited)?;
            let segment = Segment::map(object, size, options)?;
            if let Memory::Posix { object, .. } = &segment.memory {
                if object.link(&name)? {
                    return Ok(segment);
                }
            }
            // Another process was faster: use its object.
            if options.exclusive {
                return Err(exists(what));
            }
        }
    }

    fn map(object: Object, size: usize, options: &SegmentOptions) -> Result<Segment> {
        let mapping = Mapping::plain(&object, size, !options.read_only)?;
        // SAFETY: the view is dropped before the mapping; this module gives out copies and events
        // only.
        let view = unsafe { SegmentView::new(mapping.base().cast_mut(), size, !options.read_only) };
        Ok(Segment { view, memory: Memory::Posix { object, _mapping: mapping } })
    }

    /// Attaches the System V segment of `key`, [`Segment::PRIVATE`] or one from [`Segment::key`];
    /// creates it if asked to.
    ///
    /// Unlike `shmget(2)`, this applies the umask, allocates the memory of a new segment at once
    /// (Linux 5.14 or newer), and lets the creator read and write whatever the permissions say, as
    /// for POSIX objects.
    ///
    /// # Errors
    /// As [`Segment::open`]; `InvalidInput`, `StorageFull`, `OutOfMemory` also if the size or the
    /// number of segments exceeds the system's limits.
    pub fn sysv(key: i32, options: &SegmentOptions) -> Result<Segment> {
        options.check()?;
        let what = key_name(key);
        if key == Segment::PRIVATE && !options.create {
            return Err(Error::invalid("a private segment has no key to be found by: create one, or attach one by its id"));
        }
        loop {
            let found = if key == Segment::PRIVATE { Err(Errno::ENOENT) } else { sysv::get(key, 0, 0) };
            match found {
                Ok(_) if options.exclusive => return Err(exists(what)),
                Ok(id) => match Segment::attach_with(id, &what, options) {
                    // Removed since the lookup.
                    Err(e) if e.errno() == libc::ENOENT && options.create => {}
                    result => return result,
                },
                Err(Errno::ENOENT) if options.create => match Segment::create_sysv(key, &what, options) {
                    // Another process was faster, or removed it before this one could attach it.
                    Err(e) if matches!(e.errno(), libc::EEXIST | libc::ENOENT) => {}
                    result => return result,
                },
                Err(Errno::ENOENT) => {
                    return Err(Error::new(libc::ENOENT, format!("there is no {what}: has its creator been started?")));
                }
                Err(e) => return Err(failed("shmget", what, e)),
            }
        }
    }

    fn create_sysv(key: i32, what: &str, options: &SegmentOptions) -> Result<Segment> {
        let size = options.new_size(what)?;
        // `ENOENT` would mean that the segment is gone, and the caller would look again for ever.
        let umask = process::umask().map_err(|e| match e {
            Errno::ENOENT => Error::new(
                libc::ENOTSUP,
                "cannot create a System V segment without /proc, which says what the umask is: mount it, or use a POSIX segment",
            ),
            e => Error::system(e, "cannot find out the umask, which a new segment must obey (/proc/thread-self/status)"),
        })?;
        let mode = options.permissions & !umask;
        let flags = (mode | 0o600) as i32 | libc::IPC_CREAT | libc::IPC_EXCL;
        let id = sysv::get(key, size, flags).map_err(|e| {
            let hint = match e {
                Errno::EINVAL => ": kernel.shmmax is less",
                Errno::ENOSPC => ": kernel.shmmni or kernel.shmall would be exceeded",
                _ => "",
            };
            Error::system(e, format_args!("shmget cannot create the {what} of {size} bytes{hint}"))
        })?;
        let finish = || {
            let attachment = attach(id, what, true)?;
            attachment
                .populate(size)
                .map_err(|e| Error::system(e, format_args!("there is no memory for the {size} bytes of the {what} (madvise)")))?;
            if mode & 0o600 != 0o600 {
                change(id, Some(mode), None, None)?;
            }
            match options.read_only {
                false => Ok(attachment),
                true => attach(id, what, false),
            }
        };
        match finish() {
            Ok(attachment) => Ok(Segment::attached(id, attachment, size, !options.read_only)),
            Err(e) => {
                let _ = sysv::remove(id);
                Err(e)
            }
        }
    }

    /// Attaches the System V segment of an id, which `ipcs -m` and [`Segment::stat`] show.
    ///
    /// # Errors
    /// `NotFound` no such segment; `PermissionDenied` its permissions; others from the system.
    pub fn attach(id: i32, read_only: bool) -> Result<Segment> {
        Segment::attach_with(id, &format!("System V segment with id {id}"), &SegmentOptions { read_only, ..Default::default() })
    }

    fn attach_with(id: i32, what: &str, options: &SegmentOptions) -> Result<Segment> {
        let attachment = attach(id, what, !options.read_only)?;
        let size = options.check_size(status(id)?.shm_segsz as u64, what)?;
        Ok(Segment::attached(id, attachment, size, !options.read_only))
    }

    fn attached(id: i32, attachment: Attachment, size: usize, writable: bool) -> Segment {
        // SAFETY: the view is dropped before the attachment; this module gives out copies and
        // events only.
        let view = unsafe { SegmentView::new(attachment.base(), size, writable) };
        Segment { view, memory: Memory::SystemV { id, _attachment: attachment } }
    }

    /// The key that `ftok(3)` makes of a file that all users can reach, and of a number whose
    /// lowest eight bits are not all 0.
    ///
    /// It consists of parts of the file's inode and device numbers: two files may have the same
    /// key, and a replaced file gets another.
    ///
    /// # Errors
    /// `InvalidInput` the number; `NotFound` and others if the file cannot be examined.
    pub fn key(path: &std::path::Path, project: i32) -> Result<i32> {
        if project & 0xff == 0 {
            return Err(Error::invalid(format!("the project number is {project}, but its lowest eight bits must not all be 0")));
        }
        let file = nix::sys::stat::stat(path)
            .map_err(|e| Error::system(e, format_args!("cannot make a key of {} (stat)", path.display())))?;
        Ok(project << 24 | ((file.st_dev & 0xff) << 16) as i32 | (file.st_ino & 0xffff) as i32)
    }

    /// Removes the name of a POSIX object. Processes that have it open keep it.
    ///
    /// # Errors
    /// `InvalidInput` name; `NotFound` no such object; `PermissionDenied` another user's.
    pub fn unlink(name: impl AsRef<OsStr>) -> Result<()> {
        Name::new(name)?.unlink()
    }

    /// Removes the System V segment of a key. Processes that have it attached keep it.
    ///
    /// # Errors
    /// `InvalidInput` [`Segment::PRIVATE`]; `NotFound` no such segment; `PermissionDenied` another
    /// user's.
    pub fn unlink_key(key: i32) -> Result<()> {
        if key == Segment::PRIVATE {
            return Err(Error::invalid("private segments have no key: remove one by its id"));
        }
        let what = key_name(key);
        let id = sysv::get(key, 0, 0).map_err(|e| match e {
            Errno::ENOENT => Error::new(libc::ENOENT, format!("there is no {what} (shmget)")),
            e => failed("shmget", &what, e),
        })?;
        sysv::remove(id).map_err(|e| failed("shmctl(IPC_RMID)", what, e))
    }

    /// Removes the System V segment of an id. Processes that have it attached keep it.
    ///
    /// # Errors
    /// `NotFound` no such segment; `PermissionDenied` another user's.
    pub fn unlink_id(id: i32) -> Result<()> {
        sysv::remove(id).map_err(|e| failed("shmctl(IPC_RMID)", format_args!("System V segment with id {id}"), e))
    }
}
