//! POSIX shared memory objects: names, creation in one step, and byte locks.

mod byte_locks;
mod make;
mod name;
mod open;

use super::descriptors::{Registration, is_marked};
use crate::error::{Error, Result};
pub(crate) use byte_locks::AnyLock;
use make::Temporary;
pub(crate) use name::{NAME_MAX, Name, SEMAPHORE, directory, without_slashes};
use nix::errno::Errno;
use nix::fcntl::{self, FcntlArg};
use nix::sys::stat::{self, FileStat, Mode};
use nix::unistd::{Gid, Uid};
pub(crate) use open::Whose;
pub(super) use open::{Opened, beyond_standard};
use std::fmt;
use std::fs::File;
use std::mem::ManuallyDrop;
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, FromRawFd, OwnedFd, RawFd};
use std::time::SystemTime;

/// An open object: one descriptor, which carries this process's locks on the object.
pub(crate) struct Object {
    fd: ManuallyDrop<OwnedFd>,
    /// Dropped after the descriptor.
    registration: Registration,
    whose: Whose,
    identity: (u64, u64),
    owner: u32,
    size: u64,
    allocated: u64,
    temporary: Temporary,
}

impl Object {
    /// The object of a descriptor that carries no locks of others.
    pub(super) fn adopt(opened: Opened, what: impl fmt::Display) -> Result<Object> {
        let s = stat::fstat(&opened).map_err(|e| Error::system(e, what))?;
        let Opened { fd, registration, whose } = opened;
        registration.hold(fd.as_raw_fd(), whose == Whose::Inherited);
        Ok(Object {
            fd: ManuallyDrop::new(fd),
            registration,
            whose,
            identity: (s.st_dev, s.st_ino),
            owner: s.st_uid,
            size: s.st_size as u64,
            allocated: s.st_blocks as u64 * 512,
            temporary: Temporary::none(),
        })
    }

    pub(super) fn raw_fd(&self) -> RawFd {
        self.fd.as_raw_fd()
    }

    /// Device and inode, which identify the object.
    pub(crate) fn identity(&self) -> (u64, u64) {
        self.identity
    }

    pub(crate) fn size(&self) -> u64 {
        self.size
    }

    /// What the system knows of the object now.
    pub(crate) fn status(&self) -> Result<FileStat> {
        self.check_ours()?;
        stat::fstat(&*self.fd).map_err(|e| Error::system(e, "cannot look at a shared memory object (fstat)"))
    }

    fn check_ours(&self) -> Result<()> {
        if self.is_ours() {
            return Ok(());
        }
        Err(Error::new(libc::EBADF, "the program has closed the descriptor of this shared memory object: open it again"))
    }

    /// When the object was created, if the kernel says.
    pub(crate) fn created(&self) -> Option<SystemTime> {
        // Not by a copy of the descriptor, which a forked child could keep.
        // SAFETY: the descriptor is open, and not closed by this value.
        let file = ManuallyDrop::new(unsafe { File::from_raw_fd(self.fd.as_raw_fd()) });
        file.metadata().ok()?.created().ok()
    }

    /// Changes the owner, then the permission bits; `None`: unchanged.
    pub(crate) fn set(&self, mode: Option<u32>, uid: Option<u32>, gid: Option<u32>) -> Result<()> {
        self.check_ours()?;
        if uid.is_some() || gid.is_some() {
            nix::unistd::fchown(&*self.fd, uid.map(Uid::from_raw), gid.map(Gid::from_raw))
                .map_err(|e| Error::system(e, "cannot change the owner of the shared memory object (fchown)"))?;
        }
        let Some(mode) = mode else { return Ok(()) };
        stat::fchmod(&*self.fd, Mode::from_bits_truncate(mode))
            .map_err(|e| Error::system(e, "cannot change the permissions of the shared memory object (fchmod)"))
    }

    /// Whether the descriptor still belongs to this object. A program may have closed it, and its
    /// number may now lead to another open object of this process, even of the same name, or to the
    /// program's own file.
    pub(crate) fn is_ours(&self) -> bool {
        self.registration.is_held()
            && (self.whose == Whose::Inherited || is_marked(self.fd.as_raw_fd()) != Some(false))
            && stat::fstat(&*self.fd).is_ok_and(|s| (s.st_dev, s.st_ino) == self.identity)
    }

    /// Records that a mapping of the object, which no forked child may have, is about to be made in
    /// this range. Holds until [`Object::mapped`].
    pub(super) fn maps(&self, start: usize, length: usize) {
        self.registration.maps(start, length);
    }

    pub(super) fn mapped(&self) {
        self.registration.mapped();
    }

    /// Whether the object's first eight bytes are this number.
    pub(crate) fn begins_with(&self, magic: u64) -> bool {
        let mut first = [0; 8];
        self.read_at(0, &mut first) == Ok(8) && u64::from_le_bytes(first) == magic
    }

    /// Copies bytes out of the object; returns how many: fewer at its end. Unlike an access through
    /// a mapping, it never kills the process, and allocates no missing memory.
    pub(crate) fn read_at(&self, at: u64, to: &mut [u8]) -> nix::Result<usize> {
        let at = libc::off_t::try_from(at).map_err(|_| Errno::EINVAL)?;
        let mut done = 0;
        while done < to.len() {
            match nix::sys::uio::pread(&*self.fd, &mut to[done..], at + done as libc::off_t) {
                Ok(0) => break,
                Ok(count) => done += count,
                Err(Errno::EINTR) => {}
                Err(e) => return Err(e),
            }
        }
        Ok(done)
    }

    /// Whether memory is missing that an access would have to allocate, or die of.
    pub(crate) fn has_holes(&self) -> bool {
        self.allocated < self.size
    }

    /// Whether the name leads to this object.
    pub(crate) fn is_named(&self, name: &Name) -> Result<bool> {
        let target = name.target().map_err(|e| Error::system(e, format_args!("cannot look where the name \"{name}\" leads")))?;
        Ok(target == Some(self.identity))
    }

    /// Whether the name, which is to be removed, leads to this object; also `true` if that cannot
    /// be known. Async-signal-safe.
    pub(crate) fn may_be_named(&self, name: &Name) -> bool {
        name.target().map_or(true, |target| target == Some(self.identity))
    }

    /// Whether the object's name was removed. Asked by the descriptor, because this process may by
    /// now see another `/dev/shm` than the one that it has the object from.
    pub(crate) fn is_unlinked(&self) -> bool {
        self.status().is_ok_and(|status| status.st_nlink == 0)
    }

    /// Whether the name leads to another object.
    pub(crate) fn is_replaced(&self, name: &Name) -> bool {
        matches!(name.target(), Ok(Some(target)) if target != self.identity)
    }
}

impl Drop for Object {
    fn drop(&mut self) {
        // Not if the program has closed it without the library's knowledge: the number may lead to
        // its own file by now.
        if self.is_ours() {
            // Unlock explicitly: a child that is just being forked may hold the description, and
            // with it the locks, a moment longer.
            let _ = fcntl::fcntl(&*self.fd, FcntlArg::F_OFD_SETLK(&byte_locks::range(libc::F_UNLCK, 0, 0)));
            // SAFETY: dropped once, here.
            unsafe { ManuallyDrop::drop(&mut self.fd) };
        }
    }
}

impl AsFd for Object {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.fd.as_fd()
    }
}
