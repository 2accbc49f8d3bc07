//! Locks on the bytes of an object, and whether any other process has it open.

use super::Object;
use crate::error::{Error, Result};
use nix::errno::Errno;
use nix::fcntl::{self, FcntlArg};
use std::os::fd::AsRawFd;

/// The locks of others on an object.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum AnyLock {
    None,
    /// On all bytes: no process holds a place, and the object is about to be removed.
    OfAll,
    /// Of the holder of a place, as far as can be known.
    OfSome,
}

impl Object {
    /// Locks all bytes for a removal: no other process can take a place in the region, or judge it.
    /// Hold it for a few system calls only, because others wait for it. `false`: another process
    /// has a lock on a byte.
    pub(crate) fn lock_all(&self) -> Result<bool> {
        self.lock_range(0, 0)
    }

    /// Locks one byte, which may be beyond the end, for this open description; the kernel unlocks
    /// it when the description is closed. `false`: another has it.
    pub(crate) fn lock(&self, byte: u64) -> Result<bool> {
        self.lock_range(byte, 1)
    }

    fn lock_range(&self, byte: u64, length: u64) -> Result<bool> {
        match fcntl::fcntl(&*self.fd, FcntlArg::F_OFD_SETLK(&range(libc::F_WRLCK, byte, length))) {
            Ok(_) => Ok(true),
            Err(Errno::EAGAIN | Errno::EACCES) => Ok(false),
            Err(e) => Err(Error::system(e, "cannot lock the region (fcntl F_OFD_SETLK: does the system have it?)")),
        }
    }

    /// Unlocks a byte.
    pub(crate) fn unlock(&self, byte: u64) {
        let _ = fcntl::fcntl(&*self.fd, FcntlArg::F_OFD_SETLK(&range(libc::F_UNLCK, byte, 1)));
    }

    /// Whether another open description holds a lock on the byte. If that cannot be known, it
    /// counts as locked.
    ///
    /// A lock on all bytes does not count: its owner ([`Object::lock_all`]) has found that no
    /// process holds any of them.
    pub(crate) fn is_locked(&self, byte: u64) -> bool {
        self.ask_lock(byte).unwrap_or(true)
    }

    /// As [`Object::is_locked`], but an error if the system does not answer.
    pub(crate) fn ask_lock(&self, byte: u64) -> Result<bool> {
        match self.find_lock(byte, 1) {
            Ok(found) => Ok(found.is_none_or(|found| i32::from(found.l_type) != libc::F_UNLCK && !is_of_all(&found))),
            Err(e) => Err(Error::system(e, "cannot ask who holds the region (fcntl F_OFD_GETLK)")),
        }
    }

    /// The locks of other open descriptions. If they cannot be known, they count as held.
    pub(crate) fn any_lock(&self) -> AnyLock {
        match self.find_lock(0, 0).ok().flatten() {
            Some(found) if i32::from(found.l_type) == libc::F_UNLCK => AnyLock::None,
            Some(found) if is_of_all(&found) => AnyLock::OfAll,
            _ => AnyLock::OfSome,
        }
    }

    /// Whether another open description holds a lock on any byte.
    pub(crate) fn has_any_lock(&self) -> bool {
        self.any_lock() != AnyLock::None
    }

    /// Whether another process is about to remove the object ([`Object::lock_all`]).
    pub(crate) fn is_being_removed(&self) -> bool {
        self.any_lock() == AnyLock::OfAll
    }

    /// A lock of another open description on one of `length` bytes (0: up to the end); takes none.
    /// `None`: unknown, because the program has closed descriptors that are not its own and the
    /// number now leads to another file.
    fn find_lock(&self, byte: u64, length: u64) -> nix::Result<Option<libc::flock>> {
        let mut found = range(libc::F_WRLCK, byte, length);
        match fcntl::fcntl(&*self.fd, FcntlArg::F_OFD_GETLK(&mut found)) {
            Ok(_) => Ok((i32::from(found.l_type) != libc::F_UNLCK || self.is_ours()).then_some(found)),
            Err(_) if !self.is_ours() => Ok(None),
            Err(e) => Err(e),
        }
    }

    /// Whether the object is open or mapped anywhere except through this descriptor. `None`: the
    /// kernel does not say (it tells only the owner of the object).
    ///
    /// Only the sole open description can get a write lease. The lease is given back at once; a
    /// concurrent open waits for that moment.
    pub(crate) fn is_open_elsewhere(&self) -> Option<bool> {
        const F_SETSIG: libc::c_int = 10;
        let fd = self.fd.as_raw_fd();
        if !self.is_ours() {
            return None;
        }
        let ask = |command: libc::c_int, argument: libc::c_int| {
            // SAFETY: these commands take integers.
            Errno::result(unsafe { libc::fcntl(fd, command, argument) })
        };
        // The default signal for a broken lease kills the process; this one is ignored by default.
        ask(F_SETSIG, libc::SIGURG).ok()?;
        match ask(libc::F_SETLEASE, libc::F_WRLCK) {
            Ok(_) => {
                let _ = ask(libc::F_SETLEASE, libc::F_UNLCK);
                Some(false)
            }
            Err(Errno::EAGAIN) => Some(true),
            Err(_) => None,
        }
    }
}

fn is_of_all(lock: &libc::flock) -> bool {
    lock.l_start == 0 && lock.l_len == 0
}

pub(super) fn range(kind: libc::c_int, byte: u64, length: u64) -> libc::flock {
    libc::flock {
        l_type: kind as libc::c_short,
        l_whence: libc::SEEK_SET as libc::c_short,
        l_start: byte as libc::off_t,
        l_len: length as libc::off_t,
        l_pid: 0,
    }
}

#[cfg(test)]
#[path = "../../tests/unit/sys/object/byte_locks.rs"]
mod tests;
