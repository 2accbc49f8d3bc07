//! Descriptors of the library's own that lead to no region: eventfds, which programs poll, and
//! pidfds.
//!
//! The library keeps their numbers, and a program may close any number (`closefrom(3)`). So each use
//! asks whether the number still leads to a descriptor with [`OWN_MARK`]: eight bytes must not be
//! written into whatever file has the number next. The child of a fork closes them (`descriptors`).
//! A fork between the call that makes one and the call that marks it leaves the child a descriptor
//! that nobody uses.

use super::descriptors::{OWN_MARK, Registration, is_own};
use crate::error::{Error, Result};
use nix::errno::Errno;
use std::os::fd::RawFd;

/// Closed when dropped, if the number still leads to it. Async-signal-safe, except for its making.
struct OwnFd {
    fd: RawFd,
    registration: Registration,
}

impl OwnFd {
    /// `make` makes the descriptor; a negative number is its failure.
    fn new(make: impl FnOnce() -> libc::c_long, what: &str) -> Result<OwnFd> {
        let registration = Registration::new()?;
        let Ok(fd) = u32::try_from(make()) else { return Err(Error::system(Errno::last(), what)) };
        let fd = fd as RawFd;
        // SAFETY: the flags of this thread's own descriptor.
        unsafe { libc::fcntl(fd, libc::F_SETFL, OWN_MARK) };
        registration.hold(fd, false);
        Ok(OwnFd { fd, registration })
    }

    fn is_ours(&self) -> bool {
        self.registration.is_held() && is_own(self.fd)
    }
}

impl Drop for OwnFd {
    fn drop(&mut self) {
        if self.is_ours() {
            // SAFETY: closed once, here.
            unsafe { libc::close(self.fd) };
        }
    }
}

/// A descriptor that is readable while it is raised.
pub(crate) struct EventFd(OwnFd);

impl EventFd {
    /// Not raised. `EMFILE`, `ENFILE`, `ENOMEM`: as `eventfd(2)`.
    pub(crate) fn new() -> Result<EventFd> {
        // SAFETY: two plain integers.
        let make = || unsafe { libc::eventfd(0, libc::EFD_CLOEXEC | libc::EFD_NONBLOCK) }.into();
        Ok(EventFd(OwnFd::new(make, "cannot make a descriptor to poll (eventfd)")?))
    }

    pub(crate) fn number(&self) -> RawFd {
        self.0.fd
    }

    /// Whether the program has not closed it.
    pub(crate) fn is_ours(&self) -> bool {
        self.0.is_ours()
    }

    /// Makes it readable. By `syscall`, because the C library's `write` is a cancellation point.
    pub(crate) fn raise(&self) {
        let one = 1u64;
        if self.is_ours() {
            // A counter at its end refuses, and is readable.
            // SAFETY: eight bytes that live across the call.
            unsafe { libc::syscall(libc::SYS_write, self.0.fd, &raw const one, size_of_val(&one)) };
        }
    }

    /// Makes it not readable.
    pub(crate) fn lower(&self) {
        if self.is_ours() {
            let mut count = 0u64;
            // SAFETY: as above; the descriptor does not block.
            unsafe { libc::syscall(libc::SYS_read, self.0.fd, &raw mut count, size_of_val(&count)) };
        }
    }
}

/// A descriptor that is readable once a process has ended.
pub(crate) struct PidFd(OwnFd);

impl PidFd {
    pub(crate) fn open(pid: u32) -> Result<PidFd> {
        // SAFETY: two plain integers.
        let make = || unsafe { libc::syscall(libc::SYS_pidfd_open, pid as libc::pid_t, 0) };
        Ok(PidFd(OwnFd::new(make, "cannot watch a process (pidfd_open)")?))
    }

    pub(crate) fn number(&self) -> RawFd {
        self.0.fd
    }
}

/// Waits until one of these numbers is readable, or its descriptor is closed, at most for `limit`;
/// gives those that are to `ready`.
pub(crate) fn poll(numbers: &[RawFd], limit: std::time::Duration, mut ready: impl FnMut(RawFd)) {
    let polled = |&fd| libc::pollfd { fd, events: libc::POLLIN, revents: 0 };
    let mut polled: Vec<libc::pollfd> = numbers.iter().map(polled).collect();
    // Rounded up: a limit of less than a millisecond must not become a loop.
    let limit = limit.as_micros().div_ceil(1000).min(i32::MAX as u128) as libc::c_int;
    // SAFETY: the array lives across the call.
    let count = unsafe { libc::poll(polled.as_mut_ptr(), polled.len() as libc::nfds_t, limit) };
    if count > 0 {
        polled.iter().filter(|one| one.revents != 0).for_each(|one| ready(one.fd));
    }
}
