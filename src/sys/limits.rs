//! Which limit of this process made a system call fail, for the error message.

use crate::error::Error;
use nix::errno::Errno;
use nix::sys::resource::{RLIM_INFINITY, Resource, getrlimit};
use std::fmt;

/// The limit behind a failure, in words to follow the system's reason. Empty if there is none.
struct Behind(Errno);

impl fmt::Display for Behind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (resource, what, todo) = match self.0 {
            Errno::EMFILE => (Resource::RLIMIT_NOFILE, "open descriptors (RLIMIT_NOFILE)", "close some, or raise it (ulimit -n)"),
            Errno::ENOMEM => (Resource::RLIMIT_AS, "bytes of address space (RLIMIT_AS)", "raise it (ulimit -v)"),
            Errno::EFBIG => (Resource::RLIMIT_FSIZE, "bytes in a file (RLIMIT_FSIZE)", "raise it (ulimit -f), or ask for less"),
            // The error of `mmap` and `mlock` if too much memory is locked.
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
    /// The error for a failed system call: `what` was tried, followed by the system's reason and
    /// the limit behind it.
    #[cold]
    #[inline(never)]
    pub(crate) fn system(errno: Errno, what: impl fmt::Display) -> Self {
        Error::new(errno as i32, format!("{what}: {}{}", errno.desc(), Behind(errno)))
    }

    /// The error for a failed mapping, or for memory that could not be locked. The system's
    /// `EAGAIN` (too much is locked) becomes `ENOMEM`: it does not pass by itself, so no caller
    /// should retry.
    #[cold]
    #[inline(never)]
    pub(crate) fn memory(errno: Errno, what: impl fmt::Display) -> Self {
        match errno {
            Errno::EAGAIN => Error::new(libc::ENOMEM, format!("{what}: too much memory is locked{}", Behind(errno))),
            errno => Error::system(errno, what),
        }
    }
}

/// `EFBIG` if this process may not make a file of this many bytes. Checked first, because the
/// system would kill the process by a signal (`SIGXFSZ`).
pub(crate) fn check_file_size(size: u64) -> nix::Result<()> {
    match getrlimit(Resource::RLIMIT_FSIZE)? {
        (most, _) if most != RLIM_INFINITY && most < size => Err(Errno::EFBIG),
        _ => Ok(()),
    }
}
