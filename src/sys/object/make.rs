//! Making an object in one step: it gets its size, memory and owner before its name.

use super::name::{DIRECTORY, DIRECTORY_PATH, FilePath, Name};
use super::{Object, Opened, Whose};
use crate::error::{Error, Result};
use crate::sys::limits;
use nix::errno::Errno;
use nix::fcntl::{self, AtFlags, OFlag};
use nix::sys::stat::{self, Mode};
use nix::unistd::Gid;
use std::ffi::CStr;
use std::os::fd::{AsFd, AsRawFd};
use std::sync::atomic::{AtomicU32, Ordering::Relaxed};

/// The temporary name of a new object, if the file system has no files without a name
/// (`O_TMPFILE`). Removed when the object gets its own name or is given up. No other process looks
/// for it.
pub(super) struct Temporary {
    /// 0: there is none, or it was removed.
    number: AtomicU32,
}

impl Temporary {
    pub(super) const fn none() -> Temporary {
        Temporary { number: AtomicU32::new(0) }
    }

    fn path(number: u32) -> FilePath {
        FilePath::of(format_args!("{DIRECTORY}/.villas-shm-{}-{number}", std::process::id()))
    }

    /// Makes a file with a temporary name.
    fn create(mode: Mode, whose: Whose) -> Result<nix::Result<(Opened, Temporary)>> {
        static LAST: AtomicU32 = AtomicU32::new(0);
        loop {
            // Relaxed: O_EXCL skips a number that is in use, by any process.
            let number = LAST.fetch_add(1, Relaxed).wrapping_add(1).max(1);
            let flags = OFlag::O_RDWR | OFlag::O_CREAT | OFlag::O_EXCL;
            match Opened::new(Temporary::path(number).as_c_str(), flags, mode, whose)? {
                Ok(fd) => return Ok(Ok((fd, Temporary { number: AtomicU32::new(number) }))),
                Err(Errno::EEXIST) => {}
                Err(e) => return Ok(Err(e)),
            }
        }
    }

    /// Removes the name. Relaxed: it guards nothing, and only one call gets the number.
    fn remove(&self) {
        match self.number.swap(0, Relaxed) {
            0 => {}
            number => _ = nix::unistd::unlink(Temporary::path(number).as_c_str()),
        }
    }
}

impl Drop for Temporary {
    fn drop(&mut self) {
        self.remove();
    }
}

/// Makes a file in [`DIRECTORY`] that no other process knows.
fn new_file(mode: Mode, whose: Whose) -> Result<nix::Result<(Opened, Temporary)>> {
    match Opened::new(DIRECTORY_PATH, OFlag::O_RDWR | OFlag::O_TMPFILE, mode, whose)? {
        Ok(fd) => Ok(Ok((fd, Temporary::none()))),
        // The errors of file systems and kernels without it.
        Err(Errno::EOPNOTSUPP | Errno::EISDIR | Errno::ENOENT | Errno::EINVAL) => Temporary::create(mode, whose),
        Err(e) => Ok(Err(e)),
    }
}

/// Bytes to allocate at once, and the least if signals interrupt that: some microseconds.
const ALLOCATION_STEP: u64 = 16 << 20;
const SMALLEST_STEP: u64 = 64 << 10;

impl Object {
    /// Makes an object of `size` bytes without a name, zeroed and with its memory allocated. It
    /// gets these permission bits, less the umask, and this group (`None`: the system's choice for
    /// new files). No other process looks for it until it is linked.
    pub(crate) fn unnamed(size: u64, mode: u32, group: Option<u32>) -> Result<Object> {
        Object::unnamed_as(size, mode, group, Whose::Private)
    }

    /// As [`Object::unnamed`]; `whose` says whether a forked child inherits the descriptor.
    pub(crate) fn unnamed_as(size: u64, mode: u32, group: Option<u32>, whose: Whose) -> Result<Object> {
        let failed = |e: Errno| Error::system(e, format_args!("cannot create a shared memory object in {DIRECTORY}"));
        let (fd, temporary) = new_file(Mode::from_bits_truncate(mode), whose)?.map_err(failed)?;
        if let Some(group) = group {
            set_group(&fd, group)?;
        }
        let free = free_bytes(&fd).map_err(failed)?;
        let no_space = |e: Errno| match e {
            Errno::ENOSPC => Error::system(
                e,
                format_args!(
                    "the region needs {size} bytes in {DIRECTORY}, which has {free} left: remove stale regions (villas-shm clean), or ask for less"
                ),
            ),
            e => Error::system(e, format_args!("cannot allocate the {size} bytes of the region in {DIRECTORY} (fallocate)")),
        };
        if size > free {
            return Err(no_space(Errno::ENOSPC));
        }
        Object::pay(&fd, size).map_err(no_space)?;
        let mut object = Object::adopt(fd, "cannot look at a shared memory object")?;
        object.temporary = temporary;
        Ok(object)
    }

    /// Gives the object a name. `false`: the name is taken.
    pub(crate) fn link(&self, name: &Name) -> Result<bool> {
        let path = name.path();
        let linked = match self.temporary.number.load(Relaxed) {
            0 => self.link_unnamed(path.as_c_str()),
            number => nix::unistd::linkat(
                fcntl::AT_FDCWD,
                Temporary::path(number).as_c_str(),
                fcntl::AT_FDCWD,
                path.as_c_str(),
                AtFlags::empty(),
            ),
        };
        match linked {
            Ok(()) => {
                self.temporary.remove();
                Ok(true)
            }
            Err(Errno::EEXIST) => Ok(false),
            // Not `ENOENT`, which callers take for "no such region".
            Err(Errno::ENOENT) => Err(Error::new(
                libc::ENOTSUP,
                format!("cannot give the region its name \"{name}\" without /proc on this system: mount it (linkat)"),
            )),
            Err(e) => Err(Error::system(e, format_args!("cannot give the region its name \"{name}\" (linkat)"))),
        }
    }

    /// Through `/proc`; without it by the descriptor, which Linux allows to root, and from 6.10 on to
    /// the file's opener.
    fn link_unnamed(&self, path: &CStr) -> nix::Result<()> {
        // By this thread: if the main thread has ended (`pthread_exit`), the process's entry has no
        // descriptors.
        let own = FilePath::of(format_args!("/proc/thread-self/fd/{}", self.fd.as_raw_fd()));
        match nix::unistd::linkat(fcntl::AT_FDCWD, own.as_c_str(), fcntl::AT_FDCWD, path, AtFlags::AT_SYMLINK_FOLLOW) {
            Err(Errno::ENOENT) => nix::unistd::linkat(&*self.fd, c"", fcntl::AT_FDCWD, path, AtFlags::AT_EMPTY_PATH),
            linked => linked,
        }
    }

    /// Allocates the first `length` bytes of an object that another program has made.
    pub(crate) fn allocate(&self, length: u64) -> Result<()> {
        let no_space = |e| Error::system(e, format_args!("there is no memory in {DIRECTORY} for {length} bytes of the region"));
        if length.saturating_sub(self.allocated) > free_bytes(&*self.fd).map_err(no_space)? {
            return Err(no_space(Errno::ENOSPC));
        }
        Object::pay(&*self.fd, length).map_err(no_space)
    }

    /// Whether [`DIRECTORY`] would have room for `size` bytes without this object.
    pub(crate) fn leaves_room_for(&self, size: u64) -> bool {
        free_bytes(&*self.fd).is_ok_and(|free| free.saturating_add(self.allocated) >= size)
    }

    /// Has the system allocate a whole file, in steps: a signal makes the kernel undo the current
    /// step, so steps shrink while signals come.
    pub(in crate::sys) fn pay(fd: impl AsFd, size: u64) -> std::result::Result<(), Errno> {
        if (stat::fstat(&fd)?.st_size as u64) < size {
            limits::check_file_size(size)?;
        }
        in_steps(size, |start, length| fcntl::posix_fallocate(&fd, start as i64, length as i64))
    }

    /// Gives a file that no other process has yet its group, if one is asked for, then its
    /// permission bits.
    pub(in crate::sys) fn restrict(fd: impl AsFd, mode: u32, group: Option<u32>) -> Result<()> {
        if let Some(group) = group {
            set_group(&fd, group)?;
        }
        stat::fchmod(fd, Mode::from_bits_truncate(mode))
            .map_err(|e| Error::system(e, format_args!("cannot give a shared memory object the mode {mode:o} (fchmod)")))
    }
}

/// See [`Object::pay`]. Calls `allocate` with the start and the length of each step.
fn in_steps(size: u64, mut allocate: impl FnMut(u64, u64) -> nix::Result<()>) -> nix::Result<()> {
    let (mut start, mut step) = (0, ALLOCATION_STEP);
    while start < size {
        let length = step.min(size - start);
        match allocate(start, length) {
            Ok(()) => start += length,
            Err(Errno::EINTR) => step = (step / 2).max(SMALLEST_STEP),
            Err(e) => return Err(e),
        }
    }
    Ok(())
}

fn set_group(fd: impl AsFd, group: u32) -> Result<()> {
    nix::unistd::fchown(fd, None, Some(Gid::from_raw(group))).map_err(|e| {
        Error::system(
            e,
            format_args!("cannot give a shared memory object to group {group}: is this user a member of it? (fchown)"),
        )
    })
}

/// Free bytes of a file's file system. Checked before an allocation, which on a host with a large
/// limit would take most of the memory before it failed.
fn free_bytes(fd: impl AsFd) -> std::result::Result<u64, Errno> {
    let fs = nix::sys::statvfs::fstatvfs(fd)?;
    Ok(if fs.blocks() == 0 { u64::MAX } else { fs.blocks_available() * fs.fragment_size() })
}

#[cfg(test)]
#[path = "../../tests/unit/sys/object/make.rs"]
mod tests;
