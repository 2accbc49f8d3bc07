//! Shared memory without a name: memory files (memfd) of sealed size, handed from process to
//! process as descriptors.
//!
//! The seals fix the file's size forever. Otherwise any process that has it could truncate it, and
//! an access to a mapping beyond its end would kill the accessing process (SIGBUS).
//!
//! Locks belong to an open description, and `SCM_RIGHTS` or `fork` hands over the description
//! itself, with its locks. So a description that is handed over has no locks. Each participant
//! opens the file once more through `/proc`, and locks by its own description, which no other
//! process ever gets.

use super::object::{Object, Opened, Whose, beyond_standard};
use super::{limits, process};
use crate::error::{Error, Result};
use nix::errno::Errno;
use nix::fcntl::{self, OFlag, SealFlag};
use nix::sys::memfd::{MFdFlags, memfd_create};
use nix::sys::stat::Mode;
use nix::sys::statfs;
use std::os::fd::{AsRawFd, OwnedFd, RawFd};

/// The seals that a region's file must have.
const SEALS: SealFlag = SealFlag::F_SEAL_SHRINK.union(SealFlag::F_SEAL_GROW).union(SealFlag::F_SEAL_SEAL);
/// A file with one of these cannot be mapped for writing.
const READ_ONLY: SealFlag = SealFlag::F_SEAL_WRITE.union(SealFlag::F_SEAL_FUTURE_WRITE);
/// The name shown in `/proc/PID/maps`.
const LABEL: &str = "villas-shm";

impl Object {
    /// Makes a sealed object of `size` bytes, zeroed and with its memory allocated, and a
    /// descriptor to hand over.
    pub(crate) fn sealed(size: u64, mode: u32, group: Option<u32>) -> Result<(Object, OwnedFd)> {
        let failed = |what: &str, e: Errno| Error::system(e, format_args!("cannot {what} a memory file (memfd) of {size} bytes"));
        let no_memory = || {
            Error::new(
                libc::ENOMEM,
                format!("the region needs {size} bytes, which is more memory than the system has left: ask for less"),
            )
        };
        // Unlike `/dev/shm`, memory files have no limit, and exhausting the system's memory could
        // kill other processes.
        if process::available_memory().is_some_and(|available| size > available) {
            return Err(no_memory());
        }
        let flags = MFdFlags::MFD_CLOEXEC | MFdFlags::MFD_ALLOW_SEALING;
        // Not executable: some systems insist on it (`vm.memfd_noexec`), and kernels before 6.3 do
        // not know the flag.
        let file = match memfd_create(LABEL, flags | MFdFlags::from_bits_retain(libc::MFD_NOEXEC_SEAL)) {
            Err(Errno::EINVAL) => memfd_create(LABEL, flags),
            made => made,
        }
        .map_err(|e| failed("create", e))?;
        // No other process can get it before this function returns, whatever mode the kernel gives
        // it.
        Object::restrict(&file, mode & !process::umask().unwrap_or(0o077) & 0o666, group)?;
        let length = libc::off_t::try_from(size).map_err(|_| no_memory())?;
        limits::check_file_size(size).map_err(|e| failed("size", e))?;
        nix::unistd::ftruncate(&file, length).map_err(|e| failed("size", e))?;
        Object::pay(&file, size).map_err(|e| failed("allocate", e))?;
        fcntl::fcntl(&file, fcntl::FcntlArg::F_ADD_SEALS(SEALS)).map_err(|e| failed("seal", e))?;
        let file = beyond_standard(file).map_err(|e| failed("keep", e))?;
        Ok((reopen(file.as_raw_fd())?, file))
    }

    /// The object behind a descriptor that any program may have handed to this one, which keeps it.
    /// `EBADF` not open; `EACCES` not open for reading and writing, or forbidden by the file's
    /// mode; `EBADMSG` not a sealed memory file.
    pub(crate) fn of_descriptor(fd: RawFd) -> Result<Object> {
        // SAFETY: a command without an argument, on a number that may be anything.
        let flags = Errno::result(unsafe { libc::fcntl(fd, libc::F_GETFL) })
            .map_err(|e| Error::system(e, format_args!("descriptor {fd} is not open")))?;
        if flags & libc::O_PATH != 0 || flags & libc::O_ACCMODE != libc::O_RDWR {
            return Err(Error::new(libc::EACCES, format!("descriptor {fd} is not open for reading and writing")));
        }
        // Check before opening it again: opening a device or a pipe may wait, or do anything.
        check_seals(fd, fd)?;
        let object = reopen(fd)?;
        // Check again, because another thread may have put another file in the descriptor's place.
        check_seals(object.raw_fd(), fd)?;
        match statfs::fstatfs(&object).map(|fs| fs.filesystem_type()) {
            Ok(statfs::TMPFS_MAGIC) => Ok(object),
            // For example huge pages, whose holes cause SIGBUS when there are no more of them.
            _ => Err(Error::corrupt(format!("descriptor {fd} leads to memory of another kind (huge pages?), not to a region"))),
        }
    }
}

/// Checks that `fd` has the seals; `named` is the number for the message.
fn check_seals(fd: RawFd, named: RawFd) -> Result<()> {
    // SAFETY: a command without an argument, on a number that may be anything.
    let seals = Errno::result(unsafe { libc::fcntl(fd, libc::F_GET_SEALS) }).map_err(|e| match e {
        Errno::EINVAL => Error::corrupt(format!("descriptor {named} does not lead to a memory file (memfd), so to no region")),
        e => Error::system(e, format_args!("cannot look at the seals of descriptor {named} (fcntl)")),
    })?;
    let seals = SealFlag::from_bits_retain(seals);
    if seals.intersects(READ_ONLY) {
        return Err(Error::corrupt(format!("descriptor {named} leads to a memory file that is sealed against writing")));
    }
    if !seals.contains(SEALS) {
        return Err(Error::corrupt(format!(
            "descriptor {named} leads to a memory file whose size is not sealed (F_SEAL_SHRINK, F_SEAL_GROW, F_SEAL_SEAL): \
             who has it could end this process by cutting it short"
        )));
    }
    Ok(())
}

/// Opens the file again, by an open description of its own.
fn reopen(fd: RawFd) -> Result<Object> {
    // By this thread: if the main thread has ended (`pthread_exit`), /proc/self has no descriptors.
    let path = format!("/proc/thread-self/fd/{fd}");
    let own = Opened::new(path.as_str(), OFlag::O_RDWR, Mode::empty(), Whose::Private)?.map_err(|e| match e {
        Errno::ENOENT => Error::new(
            libc::ENOTSUP,
            "cannot open a region by its descriptor without /proc: mount it, or use a region with a name",
        ),
        e => Error::system(
            e,
            format_args!("cannot open the memory file behind descriptor {fd} once more (its owner and mode decide)"),
        ),
    })?;
    Object::adopt(own, "cannot look at a memory file")
}
