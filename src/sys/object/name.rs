//! Names of POSIX shared memory objects.

use crate::error::{Error, Result};
use nix::errno::Errno;
use nix::sys::stat;
use std::ffi::{CStr, OsStr};
use std::fmt::{self, Write as _};
use std::io::Write as _;
use std::os::unix::ffi::OsStrExt;
use std::path::Path;

pub(super) const DIRECTORY: &str = "/dev/shm";
/// [`DIRECTORY`] for system calls; a `str` would be copied to a kilobyte of stack.
pub(super) const DIRECTORY_PATH: &CStr = c"/dev/shm";
pub(crate) const NAME_MAX: usize = 255;
/// The C library's prefix of semaphore names.
pub(crate) const SEMAPHORE: &str = "sem.";

/// The checked name of an object, without leading slashes: any bytes except `/` and zero. It owns
/// no heap memory, so a signal handler may drop it.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) struct Name {
    bytes: [u8; NAME_MAX],
    length: u8,
}

/// A name as `shm_open(3)` takes it: without leading slashes.
pub(crate) fn without_slashes(name: &OsStr) -> &OsStr {
    let bytes = name.as_bytes();
    OsStr::from_bytes(&bytes[bytes.iter().take_while(|&&c| c == b'/').count()..])
}

impl Name {
    pub(crate) fn new(name: impl AsRef<OsStr>) -> Result<Name> {
        Name::checked(name.as_ref())
    }

    fn checked(name: &OsStr) -> Result<Name> {
        let bare = without_slashes(name).as_bytes();
        if bare.is_empty() || bare == b"." || bare == b".." {
            return Err(Error::invalid(format!("{name:?} is no name for a region: give it letters or digits")));
        }
        if bare.len() > NAME_MAX {
            return Err(Error::invalid(format!("the name has {} bytes, at most {NAME_MAX} are possible", bare.len())));
        }
        if bare.iter().any(|c| matches!(c, b'/' | 0)) {
            return Err(Error::invalid(format!("{name:?} is no name for a region: it has a '/' or a zero byte inside")));
        }
        let mut bytes = [0; NAME_MAX];
        bytes[..bare.len()].copy_from_slice(bare);
        Ok(Name { bytes, length: bare.len() as u8 })
    }

    fn as_bytes(&self) -> &[u8] {
        &self.bytes[..usize::from(self.length)]
    }

    pub(crate) fn as_os_str(&self) -> &OsStr {
        OsStr::from_bytes(self.as_bytes())
    }

    /// The name of the file of this name's semaphore. `None`: too long.
    pub(crate) fn of_semaphore(&self) -> Option<Name> {
        let mut name = *self;
        let length = usize::from(self.length) + SEMAPHORE.len();
        name.bytes.get_mut(SEMAPHORE.len()..length)?.copy_from_slice(&self.bytes[..usize::from(self.length)]);
        name.bytes[..SEMAPHORE.len()].copy_from_slice(SEMAPHORE.as_bytes());
        name.length = length as u8;
        Some(name)
    }

    pub(super) fn path(&self) -> FilePath {
        let mut path = FilePath([0; FilePath::SIZE]);
        let at = DIRECTORY.len() + 1;
        path.0[..at - 1].copy_from_slice(DIRECTORY.as_bytes());
        path.0[at - 1] = b'/';
        path.0[at..at + usize::from(self.length)].copy_from_slice(self.as_bytes());
        path
    }

    /// The identity of the object that has the name now, if any. A symbolic link counts as an
    /// object. Async-signal-safe.
    pub(crate) fn target(&self) -> nix::Result<Option<(u64, u64)>> {
        match stat::lstat(self.path().as_c_str()) {
            Ok(s) => Ok(Some((s.st_dev, s.st_ino))),
            Err(Errno::ENOENT) => Ok(None),
            Err(e) => Err(e),
        }
    }

    /// Whether the name leads anywhere.
    pub(crate) fn is_taken(&self) -> bool {
        stat::lstat(self.path().as_c_str()).is_ok()
    }

    /// Removes the name; processes that have the object open keep it.
    pub(crate) fn unlink(&self) -> Result<()> {
        self.remove().map_err(|e| refused(e, self, "remove"))
    }

    /// As [`Name::unlink`], without an error message. Async-signal-safe.
    pub(crate) fn remove(&self) -> nix::Result<()> {
        nix::unistd::unlink(self.path().as_c_str())
    }
}

/// For people, and safe for a terminal: bytes that are no text become `\xNN`.
impl fmt::Display for Name {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for chunk in self.as_bytes().utf8_chunks() {
            for c in chunk.valid().chars() {
                if c.is_control() { write!(f, "{}", c.escape_debug())? } else { f.write_char(c)? }
            }
            chunk.invalid().iter().try_for_each(|byte| write!(f, "\\x{byte:02x}"))?;
        }
        Ok(())
    }
}

/// A path, on the stack, so that a signal handler may use it.
pub(super) struct FilePath([u8; FilePath::SIZE]);

impl FilePath {
    const SIZE: usize = DIRECTORY.len() + NAME_MAX + 2;

    /// The path `text`, truncated to the buffer.
    pub(super) fn of(text: fmt::Arguments<'_>) -> FilePath {
        let mut path = FilePath([0; FilePath::SIZE]);
        let _ = (&mut path.0[..FilePath::SIZE - 1]).write_fmt(text);
        path
    }

    pub(super) fn as_c_str(&self) -> &CStr {
        CStr::from_bytes_until_nul(&self.0).unwrap_or_default()
    }
}

/// The error for a failed call on a name. If permissions forbid the call, the message names the
/// object's owner, which the name is enough to find out.
#[cold]
pub(super) fn refused(e: Errno, name: &Name, what: &str) -> Error {
    let owner = match e {
        Errno::EACCES | Errno::EPERM => stat::lstat(name.path().as_c_str()).ok(),
        _ => None,
    };
    let what = format!("cannot {what} the shared memory object \"{name}\"");
    let Some(owner) = owner else { return Error::system(e, what) };
    Error::new(
        e as i32,
        format!(
            "{what}: {}: it belongs to user {} and group {} (mode {:o}), this process runs as user {}: have its owner remove it or give access \
             (mode, group), or take another name",
            e.desc(),
            owner.st_uid,
            owner.st_gid,
            owner.st_mode & 0o777,
            nix::unistd::geteuid()
        ),
    )
}

/// The directory of the objects' names.
pub(crate) fn directory() -> &'static Path {
    Path::new(DIRECTORY)
}
