//! The one error type, and its mapping to `errno`.

use std::borrow::Cow;
use std::fmt;

/// An error: a kind and an `errno` for programs, and a sentence for people.
///
/// `docs/errors.md` gives the cause and the remedy of each code; [`strerror`] names it in a few
/// words. It converts into [`std::io::Error`], which keeps it as its source.
///
/// ```
/// use villas_shm::{Channel, ErrorKind};
/// match Channel::open("nobody-makes-this") {
///     Err(e) if e.kind() == ErrorKind::NotFound => println!("no node yet: {e}"),
///     other => drop(other?),
/// }
/// # Ok::<(), std::io::Error>(())
/// ```
#[derive(Clone)]
pub struct Error {
    errno: i32,
    text: Cow<'static, str>,
}

/// The kind of an [`Error`]: what a program can do about it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum ErrorKind {
    /// A bad argument; nothing was changed. `EINVAL`.
    InvalidInput,
    /// Full, empty, or not ready yet: try again, or use the call that waits. `EAGAIN`.
    WouldBlock,
    /// The time is over. `ETIMEDOUT`.
    TimedOut,
    /// A signal handler ran, or the wait was interrupted. `EINTR`.
    Interrupted,
    /// A live process holds the place or the name. `EBUSY`.
    Busy,
    /// There is no such object. `ENOENT`.
    NotFound,
    /// The object exists, or is open, already. `EEXIST`, `EALREADY`.
    AlreadyExists,
    /// Another layout version, or other parameters. `EPROTO`.
    Mismatch,
    /// Not a region of this library, or its contents contradict each other. `EBADMSG`.
    Corrupt,
    /// Closed here, or the peer is gone and everything it wrote has been read. `EPIPE`.
    Closed,
    /// Replaced or taken over: open again. `ESTALE`.
    Stale,
    /// Not allowed. `EACCES`, `EPERM`.
    PermissionDenied,
    /// No room in shared memory. `ENOSPC`.
    StorageFull,
    /// No memory, or none that may be locked. `ENOMEM`.
    OutOfMemory,
    /// This system does not support it. `ENOTSUP`.
    Unsupported,
    /// Any other error of the system.
    Other,
}

/// The result of all calls that can fail.
pub type Result<T> = std::result::Result<T, Error>;

impl Error {
    pub(crate) fn new(errno: i32, text: impl Into<Cow<'static, str>>) -> Self {
        Self { errno, text: text.into() }
    }

    pub(crate) fn invalid(text: impl Into<Cow<'static, str>>) -> Self {
        Self::new(libc::EINVAL, text)
    }

    pub(crate) fn corrupt(text: impl Into<Cow<'static, str>>) -> Self {
        Self::new(libc::EBADMSG, text)
    }

    /// The kind of the error, by its `errno`.
    pub fn kind(&self) -> ErrorKind {
        match self.errno {
            libc::EINVAL => ErrorKind::InvalidInput,
            libc::EAGAIN => ErrorKind::WouldBlock,
            libc::ETIMEDOUT => ErrorKind::TimedOut,
            libc::EINTR => ErrorKind::Interrupted,
            libc::EBUSY => ErrorKind::Busy,
            libc::ENOENT => ErrorKind::NotFound,
            libc::EEXIST | libc::EALREADY => ErrorKind::AlreadyExists,
            libc::EPROTO => ErrorKind::Mismatch,
            libc::EBADMSG => ErrorKind::Corrupt,
            libc::EPIPE => ErrorKind::Closed,
            libc::ESTALE => ErrorKind::Stale,
            libc::EACCES | libc::EPERM => ErrorKind::PermissionDenied,
            libc::ENOSPC => ErrorKind::StorageFull,
            libc::ENOMEM => ErrorKind::OutOfMemory,
            libc::ENOTSUP => ErrorKind::Unsupported,
            _ => ErrorKind::Other,
        }
    }

    /// Whether calling again may help: nothing was there, or there was no room, in time
    /// (`WouldBlock`, `TimedOut`, `Interrupted`).
    pub fn is_transient(&self) -> bool {
        matches!(self.kind(), ErrorKind::WouldBlock | ErrorKind::TimedOut | ErrorKind::Interrupted)
    }

    /// The code, as in `<errno.h>`.
    pub fn errno(&self) -> i32 {
        self.errno
    }

    /// The sentence for people: what was wrong, and what to do.
    pub fn message(&self) -> &str {
        &self.text
    }
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.text)
    }
}

impl fmt::Debug for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} (errno {}: {})", self.text, self.errno, strerror(self.errno))
    }
}

impl std::error::Error for Error {}

impl From<Error> for std::io::Error {
    fn from(error: Error) -> Self {
        let kind = std::io::Error::from_raw_os_error(error.errno).kind();
        std::io::Error::new(kind, error)
    }
}

/// Describes an `errno` in the words of this library, or in the system's if it has no meaning here.
pub fn strerror(errno: i32) -> &'static str {
    match errno {
        0 => "success",
        libc::EINVAL => "invalid argument: a null pointer, a bad name or size, or not a live sample",
        libc::EAGAIN => "full, empty, or not ready yet: try again",
        libc::ETIMEDOUT => "the time is over",
        libc::EBUSY => "held by a live process",
        libc::EALREADY => "open already",
        libc::ENOENT => "no such region",
        libc::EPROTO => "the region has another layout version or other parameters",
        libc::EBADMSG => "not a region of this library, or its contents are inconsistent",
        libc::EINTR => "a signal handler ran, or the wait was interrupted",
        libc::ENOTSUP => "not supported on this system",
        libc::EPIPE => "closed in this process, or the peer has closed or died and nothing is left to read",
        libc::ESTALE => "this region was replaced or has lost its name, or this side was taken over: open again",
        _ => nix::errno::Errno::from_raw(errno).desc(),
    }
}
