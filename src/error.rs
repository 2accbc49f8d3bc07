//! One error type, one mapping to `errno`.

use std::borrow::Cow;
use std::fmt;

/// What went wrong: an `errno` for programs and a sentence for people.
///
/// The codes are those of the table in the README; [`strerror`] names each in a few words.
#[derive(Clone)]
pub struct Error {
    errno: i32,
    text: Cow<'static, str>,
}

/// The result of everything that can fail.
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

    /// The code as in `<errno.h>`.
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

/// Names an `errno` in the words of this library; the system's own words for those that it does not give a meaning to.
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
