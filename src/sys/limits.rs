//! Which limit of this process made a system call fail, for the sentence about it.

use crate::error::Error;
use nix::errno::Errno;
use nix::sys::resource::{RLIM_INFINITY, Resource, getrlimit};
use std::fmt;

/// The limit behind a failure, in words that follow the system's reason. Empty if there is none.
struct Behind(Errno);

impl fmt::Display for Behind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (resource, what, todo) = match self.0 {
            Errno::EMFILE => (Resource::RLIMIT_NOFILE, "open descriptors (RLIMIT_NOFILE)", "close some, or raise it (ulimit -n)"),
            Errno::ENOMEM => (Resource::RLIMIT_AS, "bytes of address space (RLIMIT_AS)", "raise it (ulimit -v)"),
            Errno::EFBIG => (Resource::RLIMIT_FSIZE, "bytes in a file (RLIMIT_FSIZE)", "raise it (ulimit -f), or ask for less"),
            // What `mmap` and `mlock` say where too much is locked.
            Errno::EAGAIN => (Resource::RLIMIT_MEMLOCK, "bytes of locked memory (RLIMIT_MEMLOCK)", "raise it (ulimit -l)"),
            Errno::ENFILE => return f.write_str("; the whole system has as many files open as it may (fs.file-max)"),
            _ => return Ok(()),
        };
        match getrlimit(resource) {
            Ok((most, _)) if most != RLIM_INFINITY => write!(f, "; this process may have {most} {what}: {todo}"),
            _ => Ok(()),
        }
    }
}

impl Error {
    /// A failed system call: `what` was tried; the system's reason is added, and the limit behind
    /// it.
    #[cold]
    #[inline(never)]
    pub(crate) fn system(errno: Errno, what: impl fmt::Display) -> Self {
        Error::new(errno as i32, format!("{what}: {}{}", errno.desc(), Behind(errno)))
    }

    /// A mapping that failed, or memory that could not be locked. The system's `EAGAIN`, too much
    /// is locked, is `ENOMEM` here: it does not pass by itself, and nobody is to wait for that.
    #[cold]
    #[inline(never)]
    pub(crate) fn memory(errno: Errno, what: impl fmt::Display) -> Self {
        match errno {
            Errno::EAGAIN => Error::new(libc::ENOMEM, format!("{what}: too much memory is locked{}", Behind(errno))),
            errno => Error::system(errno, what),
        }
    }
}

/// `EFBIG` where this process may not make a file of so many bytes. Asked first, as the system
/// would end the process by a signal (`SIGXFSZ`).
pub(crate) fn check_file_size(size: u64) -> nix::Result<()> {
    match getrlimit(Resource::RLIMIT_FSIZE)? {
        (most, _) if most != RLIM_INFINITY && most < size => Err(Errno::EFBIG),
        _ => Ok(()),
    }
}
