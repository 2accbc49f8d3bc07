//! Opening an object by its name, and the descriptors of objects.

use super::Object;
use super::name::{DIRECTORY, Name, refused};
use crate::error::{Error, Result};
use crate::sys::descriptors::{MARK, Registration};
use crate::sys::environment;
use nix::errno::Errno;
use nix::fcntl::{self, FcntlArg, OFlag};
use nix::sys::stat::{self, Mode};
use std::fmt;
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, FromRawFd, OwnedFd};
use std::time::{Duration, Instant};

/// Which processes have a descriptor.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Whose {
    /// This process alone: the child of a fork closes it.
    Private,
    /// A child inherits it.
    Inherited,
}

impl Whose {
    /// The flags to open the object with.
    fn flags(self) -> OFlag {
        match self {
            Whose::Private => OFlag::O_CLOEXEC | OFlag::from_bits_retain(MARK),
            // Non-blocking, in case a name leads to a pipe.
            Whose::Inherited => OFlag::O_CLOEXEC | OFlag::O_NONBLOCK,
        }
    }
}

/// A descriptor that was just opened, and its entry in the list, which is dropped after it.
pub(in crate::sys) struct Opened {
    pub(super) fd: OwnedFd,
    pub(super) registration: Registration,
    pub(super) whose: Whose,
}

impl Opened {
    /// Opens a file so that every forked child knows of the descriptor.
    pub(in crate::sys) fn new(
        path: &(impl nix::NixPath + ?Sized),
        flags: OFlag,
        mode: Mode,
        whose: Whose,
    ) -> Result<nix::Result<Opened>> {
        let registration = Registration::new()?;
        let fd = match fcntl::open(path, flags | whose.flags(), mode) {
            Ok(fd) => fd,
            Err(e) => return Ok(Err(e)),
        };
        if fd.as_raw_fd() > libc::STDERR_FILENO {
            return Ok(Ok(Opened { fd, registration, whose }));
        }
        // Each of the two numbers needs an entry: a child may have inherited both.
        let second = Registration::new()?;
        Ok(beyond_standard(fd).map(|fd| Opened { fd, registration: second, whose }))
    }
}

impl AsFd for Opened {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.fd.as_fd()
    }
}

/// Moves the descriptor beyond the three standard ones: a process that was started without those
/// would print into the file.
pub(in crate::sys) fn beyond_standard(fd: OwnedFd) -> std::result::Result<OwnedFd, Errno> {
    if fd.as_raw_fd() > libc::STDERR_FILENO {
        return Ok(fd);
    }
    let number = fcntl::fcntl(&fd, FcntlArg::F_DUPFD_CLOEXEC(libc::STDERR_FILENO + 1))?;
    // SAFETY: a new descriptor, which nothing else owns.
    Ok(unsafe { OwnedFd::from_raw_fd(number) })
}

/// How long to wait for the return of a lease on an object, which takes microseconds unless its
/// holder is stopped.
const LEASE_PATIENCE: Duration = Duration::from_secs(1);
const LEASE_SLICE: Duration = Duration::from_micros(100);

impl Object {
    fn open_file(name: &Name, access: OFlag, whose: Whose) -> Result<nix::Result<Opened>> {
        let end = Instant::now() + LEASE_PATIENCE;
        loop {
            match Opened::new(name.path().as_c_str(), access | OFlag::O_NOFOLLOW, Mode::empty(), whose)? {
                // A process probes the object at this moment (`is_open_elsewhere`).
                Err(Errno::EAGAIN) if Instant::now() < end => std::thread::sleep(LEASE_SLICE),
                opened => return Ok(opened),
            }
        }
    }

    /// As [`Object::open`], without an error message or use of the heap.
    pub(crate) fn find(name: &Name) -> Option<Object> {
        Object::adopt(Object::open_file(name, OFlag::O_RDWR, Whose::Private).ok()?.ok()?, "").ok()
    }

    /// The same object, by a descriptor of its own.
    #[cfg(test)]
    pub(crate) fn again(&self) -> Object {
        let path = format!("/proc/self/fd/{}", self.fd.as_raw_fd());
        let opened = Opened::new(path.as_str(), OFlag::O_RDONLY, Mode::empty(), Whose::Private).expect("memory");
        Object::adopt(opened.expect("/proc is mounted"), "").expect("open")
    }

    /// Opens the object of a name.
    pub(crate) fn open(name: &Name) -> Result<Object> {
        let missing = format!("there is no region \"{name}\": is the node running, and does it use this name?");
        Object::open_as(name, OFlag::O_RDWR, Whose::Private, missing)
    }

    /// As [`Object::open`], for reading or for both, with the caller's message for a missing
    /// object.
    pub(crate) fn open_as(name: &Name, access: OFlag, whose: Whose, missing: String) -> Result<Object> {
        let fd = Object::open_file(name, access, whose)?.map_err(|e| match e {
            Errno::ENOENT => Error::new(libc::ENOENT, missing),
            Errno::ELOOP | Errno::EISDIR | Errno::ENXIO => {
                Error::corrupt(format!("{DIRECTORY}/{name} is not a shared memory object"))
            }
            e => refused(e, name, "open"),
        })?;
        let object = Object::adopt(fd, format_args!("cannot look at the shared memory object \"{name}\""))?;
        let mode = stat::fstat(&*object.fd).map_err(|e| refused(e, name, "look at"))?.st_mode;
        if mode & libc::S_IFMT != libc::S_IFREG {
            return Err(Error::corrupt(format!("{DIRECTORY}/{name} is not a shared memory object")));
        }
        Ok(object)
    }

    /// `EACCES` unless the object is this user's, or `any_owner` or `SHMEM_ANY_OWNER=1` in the
    /// environment allows another user's.
    pub(crate) fn check_owner(&self, what: impl fmt::Display, any_owner: bool) -> Result<()> {
        let me = nix::unistd::geteuid().as_raw();
        if self.owner == me || any_owner || environment::asks_for(c"SHMEM_ANY_OWNER") {
            return Ok(());
        }
        Err(Error::new(
            libc::EACCES,
            format!(
                "{what} belongs to user {}, this process runs as user {me}: set SHMEM_ANY_OWNER=1 if that is meant",
                self.owner
            ),
        ))
    }
}

#[cfg(test)]
#[path = "../../tests/unit/sys/object/open.rs"]
mod tests;
