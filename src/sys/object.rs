//! POSIX shared memory objects: names, creation in one step, and locks on their bytes.

use super::descriptors::{MARK, Registration, is_marked};
use super::limits;
use crate::error::{Error, Result};
use nix::errno::Errno;
use nix::fcntl::{self, AtFlags, FcntlArg, OFlag};
use nix::sys::stat::{self, FileStat, Mode};
use nix::unistd::{Gid, Uid};
use std::ffi::{CStr, OsStr};
use std::fmt::{self, Write as _};
use std::fs::File;
use std::io::Write as _;
use std::mem::ManuallyDrop;
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, FromRawFd, OwnedFd, RawFd};
use std::os::unix::ffi::OsStrExt;
use std::path::Path;
use std::sync::atomic::{AtomicU32, Ordering::Relaxed};
use std::time::{Duration, Instant, SystemTime};

const DIRECTORY: &str = "/dev/shm";
/// The same for the system; a `str` would be copied to a kilobyte of stack.
const DIRECTORY_PATH: &CStr = c"/dev/shm";
pub(crate) const NAME_MAX: usize = 255;
/// What the C library puts before the names of semaphores.
pub(crate) const SEMAPHORE: &str = "sem.";
/// Bytes that are allocated at once, and the least where signals interrupt that: some microseconds.
const ALLOCATION_STEP: u64 = 16 << 20;
const SMALLEST_STEP: u64 = 64 << 10;
/// How long to wait for a lease on an object to be given back, which takes microseconds unless its holder is stopped.
const LEASE_PATIENCE: Duration = Duration::from_secs(1);
const LEASE_SLICE: Duration = Duration::from_micros(100);

/// The checked name of an object, without leading slashes: any bytes but `/` and zero. It owns no
/// heap memory, so that a signal handler may drop it.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) struct Name {
    bytes: [u8; NAME_MAX],
    length: u8,
}

/// A name as `shm_open(3)` takes it: all slashes in front are left out.
pub(crate) fn without_slashes(name: &OsStr) -> &OsStr {
    let bytes = name.as_bytes();
    OsStr::from_bytes(&bytes[bytes.iter().take_while(|&&c| c == b'/').count()..])
}

impl Name {
    pub(crate) fn new(name: impl AsRef<OsStr>) -> Result<Name> {
        Name::checked(name.as_ref())
    }

    fn checked(name: &OsStr) -> Result<Name> {
        let bare = without_slashes(name).as_bytes();
        if bare.is_empty() || bare == b"." || bare == b".." {
            return Err(Error::invalid(format!("{name:?} is no name for a region: give it letters or digits")));
        }
        if bare.len() > NAME_MAX {
            return Err(Error::invalid(format!("the name has {} bytes, at most {NAME_MAX} are possible", bare.len())));
        }
        if bare.iter().any(|c| matches!(c, b'/' | 0)) {
            return Err(Error::invalid(format!("{name:?} is no name for a region: it has a '/' or a zero byte inside")));
        }
        let mut bytes = [0; NAME_MAX];
        bytes[..bare.len()].copy_from_slice(bare);
        Ok(Name { bytes, length: bare.len() as u8 })
    }

    fn as_bytes(&self) -> &[u8] {
        &self.bytes[..usize::from(self.length)]
    }

    pub(crate) fn as_os_str(&self) -> &OsStr {
        OsStr::from_bytes(self.as_bytes())
    }

    /// The name of the file in which a semaphore of this name lives. `None`: too long.
    pub(crate) fn of_semaphore(&self) -> Option<Name> {
        let mut name = *self;
        let length = usize::from(self.length) + SEMAPHORE.len();
        name.bytes.get_mut(SEMAPHORE.len()..length)?.copy_from_slice(&self.bytes[..usize::from(self.length)]);
        name.bytes[..SEMAPHORE.len()].copy_from_slice(SEMAPHORE.as_bytes());
        name.length = length as u8;
        Some(name)
    }

    fn path(&self) -> FilePath {
        let mut path = FilePath([0; FilePath::SIZE]);
        let at = DIRECTORY.len() + 1;
        path.0[..at - 1].copy_from_slice(DIRECTORY.as_bytes());
        path.0[at - 1] = b'/';
        path.0[at..at + usize::from(self.length)].copy_from_slice(self.as_bytes());
        path
    }

    /// The identity of the object that has the name now, if there is one. A symbolic link is an
    /// object of its own. Async-signal-safe.
    pub(crate) fn target(&self) -> nix::Result<Option<(u64, u64)>> {
        match stat::lstat(self.path().as_c_str()) {
            Ok(s) => Ok(Some((s.st_dev, s.st_ino))),
            Err(Errno::ENOENT) => Ok(None),
            Err(e) => Err(e),
        }
    }

    /// Whether the name leads anywhere.
    pub(crate) fn is_taken(&self) -> bool {
        stat::lstat(self.path().as_c_str()).is_ok()
    }

    /// Removes the name; who has the object open keeps it.
    pub(crate) fn unlink(&self) -> Result<()> {
        self.remove().map_err(|e| refused(e, self, "remove"))
    }

    /// The same without words for what fails. Async-signal-safe.
    pub(crate) fn remove(&self) -> nix::Result<()> {
        nix::unistd::unlink(self.path().as_c_str())
    }
}

/// A path, on the stack, so that a signal handler may use it.
struct FilePath([u8; FilePath::SIZE]);

impl FilePath {
    const SIZE: usize = DIRECTORY.len() + NAME_MAX + 2;

    /// Of so many bytes at most; what is longer is cut off.
    fn of(text: fmt::Arguments<'_>) -> FilePath {
        let mut path = FilePath([0; FilePath::SIZE]);
        let _ = (&mut path.0[..FilePath::SIZE - 1]).write_fmt(text);
        path
    }

    fn as_c_str(&self) -> &CStr {
        CStr::from_bytes_until_nul(&self.0).unwrap_or_default()
    }
}

/// For people, and fit for a terminal: what is no text is `\xNN`.
impl fmt::Display for Name {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for chunk in self.as_bytes().utf8_chunks() {
            for c in chunk.valid().chars() {
                if c.is_control() { write!(f, "{}", c.escape_debug())? } else { f.write_char(c)? }
            }
            chunk.invalid().iter().try_for_each(|byte| write!(f, "\\x{byte:02x}"))?;
        }
        Ok(())
    }
}

/// A call on a name that failed. Where permissions say no, the sentence says whose the object is:
/// that can be asked by its name.
#[cold]
fn refused(e: Errno, name: &Name, what: &str) -> Error {
    let owner = match e {
        Errno::EACCES | Errno::EPERM => stat::lstat(name.path().as_c_str()).ok(),
        _ => None,
    };
    let what = format!("cannot {what} the shared memory object \"{name}\"");
    let Some(owner) = owner else { return Error::system(e, what) };
    Error::new(
        e as i32,
        format!(
            "{what}: {}: it belongs to user {} and group {} (mode {:o}), this process runs as user {}: have its owner remove it or give access \
             (mode, group), or take another name",
            e.desc(),
            owner.st_uid,
            owner.st_gid,
            owner.st_mode & 0o777,
            nix::unistd::geteuid()
        ),
    )
}

/// The name that a new object has until it is ready, where the file system has no files without one
/// (`O_TMPFILE`): removed when the object has got its own, or is given up. Nobody asks for it.
struct Temporary {
    /// 0: there is none, or none any more.
    number: AtomicU32,
}

impl Temporary {
    const fn none() -> Temporary {
        Temporary { number: AtomicU32::new(0) }
    }

    fn path(number: u32) -> FilePath {
        FilePath::of(format_args!("{DIRECTORY}/.villas-shm-{}-{number}", std::process::id()))
    }

    /// Makes a file by such a name.
    fn create(mode: Mode, whose: Whose) -> Result<nix::Result<(Opened, Temporary)>> {
        static LAST: AtomicU32 = AtomicU32::new(0);
        loop {
            // Relaxed: a number that another process has is passed by, whosever it is (O_EXCL).
            let number = LAST.fetch_add(1, Relaxed).wrapping_add(1).max(1);
            let flags = OFlag::O_RDWR | OFlag::O_CREAT | OFlag::O_EXCL;
            match Opened::new(Temporary::path(number).as_c_str(), flags, mode, whose)? {
                Ok(fd) => return Ok(Ok((fd, Temporary { number: AtomicU32::new(number) }))),
                Err(Errno::EEXIST) => {}
                Err(e) => return Ok(Err(e)),
            }
        }
    }

    /// Relaxed: it guards nothing, and one call takes the number.
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

/// Makes a file in [`DIRECTORY`] that nobody else knows.
fn new_file(mode: Mode, whose: Whose) -> Result<nix::Result<(Opened, Temporary)>> {
    match Opened::new(DIRECTORY_PATH, OFlag::O_RDWR | OFlag::O_TMPFILE, mode, whose)? {
        Ok(fd) => Ok(Ok((fd, Temporary::none()))),
        // What file systems and kernels say that do not have it.
        Err(Errno::EOPNOTSUPP | Errno::EISDIR | Errno::ENOENT | Errno::EINVAL) => Temporary::create(mode, whose),
        Err(e) => Ok(Err(e)),
    }
}

/// Who has a descriptor.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Whose {
    /// This process alone: the child of a fork closes it.
    Private,
    /// A child inherits it.
    Inherited,
}

impl Whose {
    /// The flags with which its object is opened.
    fn flags(self) -> OFlag {
        match self {
            Whose::Private => OFlag::O_CLOEXEC | OFlag::from_bits_retain(MARK),
            // Not to wait where a name leads to a pipe.
            Whose::Inherited => OFlag::O_CLOEXEC | OFlag::O_NONBLOCK,
        }
    }
}

/// A descriptor that was just opened, and its entry in the list, which goes after it.
pub(super) struct Opened {
    fd: OwnedFd,
    registration: Registration,
    whose: Whose,
}

impl Opened {
    /// Opens a file, of which no child of a fork ever has a descriptor that it does not know.
    pub(super) fn new(
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
        // Each of the two numbers needs an entry of its own: a child may have been given both.
        let second = Registration::new()?;
        Ok(beyond_standard(fd).map(|fd| Opened { fd, registration: second, whose }))
    }
}

impl AsFd for Opened {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.fd.as_fd()
    }
}

/// What locks others hold on an object.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum AnyLock {
    None,
    /// On all bytes: nobody holds a place, and the object is about to be removed.
    OfAll,
    /// Of somebody who holds a place, as far as can be known.
    OfSome,
}

/// An open object: one descriptor, which carries this process's locks on it.
pub(crate) struct Object {
    fd: ManuallyDrop<OwnedFd>,
    /// Goes after the descriptor.
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

    /// Makes an object without a name, of `size` bytes, zeroed, with its memory paid for; with these permission bits, less the umask, and
    /// this group (`None`: as the system has it for new files). Nobody else looks for it until it
    /// is linked.
    pub(crate) fn unnamed(size: u64, mode: u32, group: Option<u32>) -> Result<Object> {
        Object::unnamed_as(size, mode, group, Whose::Private)
    }

    /// As [`Object::unnamed`], by a descriptor that a forked child has too, or has not.
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
        let (own, flags) = match self.temporary.number.load(Relaxed) {
            // Not of the process: after the end of its first thread (`pthread_exit` in main) that
            // has none.
            0 => (FilePath::of(format_args!("/proc/thread-self/fd/{}", self.fd.as_raw_fd())), AtFlags::AT_SYMLINK_FOLLOW),
            number => (Temporary::path(number), AtFlags::empty()),
        };
        match nix::unistd::linkat(fcntl::AT_FDCWD, own.as_c_str(), fcntl::AT_FDCWD, name.path().as_c_str(), flags) {
            Ok(()) => {
                self.temporary.remove();
                Ok(true)
            }
            Err(Errno::EEXIST) => Ok(false),
            Err(e) => Err(Error::system(e, format_args!("cannot give the region its name \"{name}\" (is /proc mounted?)"))),
        }
    }

    fn open_file(name: &Name, access: OFlag, whose: Whose) -> Result<nix::Result<Opened>> {
        let end = Instant::now() + LEASE_PATIENCE;
        loop {
            match Opened::new(name.path().as_c_str(), access | OFlag::O_NOFOLLOW, Mode::empty(), whose)? {
                // Somebody probes it at this moment (`is_open_elsewhere`).
                Err(Errno::EAGAIN) if Instant::now() < end => std::thread::sleep(LEASE_SLICE),
                opened => return Ok(opened),
            }
        }
    }

    /// The same as [`Object::open`] without words for what fails, nor the heap.
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

    /// Opens what the name leads to.
    pub(crate) fn open(name: &Name) -> Result<Object> {
        let missing = format!("there is no region \"{name}\": is the node running, and does it use this name?");
        Object::open_as(name, OFlag::O_RDWR, Whose::Private, missing)
    }

    /// The same for reading or for both, with a sentence of its own for a missing object.
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

    /// `EACCES` unless the object is this user's, or `any_owner` or `SHMEM_ANY_OWNER=1` in the environment allows another's.
    pub(crate) fn check_owner(&self, what: impl fmt::Display, any_owner: bool) -> Result<()> {
        let me = nix::unistd::geteuid().as_raw();
        if self.owner == me || any_owner || super::environment::asks_for(c"SHMEM_ANY_OWNER") {
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

    pub(super) fn raw_fd(&self) -> RawFd {
        self.fd.as_raw_fd()
    }

    /// Tells the object from others.
    pub(crate) fn identity(&self) -> (u64, u64) {
        self.identity
    }

    pub(crate) fn size(&self) -> u64 {
        self.size
    }

    /// What the system knows about it now.
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

    /// When it was made, where the kernel says.
    pub(crate) fn created(&self) -> Option<SystemTime> {
        // Not by a copy of the descriptor, which a forked child could keep.
        // SAFETY: the descriptor is open, and not closed by this value.
        let file = ManuallyDrop::new(unsafe { File::from_raw_fd(self.fd.as_raw_fd()) });
        file.metadata().ok()?.created().ok()
    }

    /// Changes its owner, then its permission bits; `None`: as they are.
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

    /// Whether the descriptor is still this object's. A program may have closed it, and its number may be anything since: another open
    /// object of this process, of the same name even, or a file of the program's own.
    pub(crate) fn is_ours(&self) -> bool {
        self.registration.is_held()
            && (self.whose == Whose::Inherited || is_marked(self.fd.as_raw_fd()) != Some(false))
            && stat::fstat(&*self.fd).is_ok_and(|s| (s.st_dev, s.st_ino) == self.identity)
    }

    /// A mapping of the object is about to be made in this range, which no child of a fork may have, until [`Object::mapped`].
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

    /// Copies bytes out of the object; how many: fewer at its end. Unlike a look through a mapping, it never ends the process, and
    /// allocates no memory where the object has none.
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

    /// Whether memory is missing that a look at the object would have to allocate, or die of.
    pub(crate) fn has_holes(&self) -> bool {
        self.allocated < self.size
    }

    /// Locks all bytes, for a removal: nobody else can take a place in the region, nor judge it. To
    /// be held for a few system calls only, as others wait for it. `false`: another has a lock on
    /// one of them.
    pub(crate) fn lock_all(&self) -> Result<bool> {
        self.lock_range(0, 0)
    }

    /// Whether the name leads to this object.
    pub(crate) fn is_named(&self, name: &Name) -> Result<bool> {
        let target = name.target().map_err(|e| Error::system(e, format_args!("cannot look where the name \"{name}\" leads")))?;
        Ok(target == Some(self.identity))
    }

    /// The same for an object that is to lose its name: also where that cannot be known.
    /// Async-signal-safe.
    pub(crate) fn may_be_named(&self, name: &Name) -> bool {
        name.target().map_or(true, |target| target == Some(self.identity))
    }

    /// Whether its name was removed. Asked by the descriptor: this process may see another
    /// `/dev/shm` by now than the one that it has the object from.
    pub(crate) fn is_unlinked(&self) -> bool {
        self.status().is_ok_and(|status| status.st_nlink == 0)
    }

    /// Whether the name leads to some other object.
    pub(crate) fn is_replaced(&self, name: &Name) -> bool {
        matches!(name.target(), Ok(Some(target)) if target != self.identity)
    }

    /// Locks one byte (beyond the end is as good) for this open description; the kernel lets go of it when the description goes.
    /// `false`: another has it.
    pub(crate) fn lock(&self, byte: u64) -> Result<bool> {
        self.lock_range(byte, 1)
    }

    fn lock_range(&self, byte: u64, length: u64) -> Result<bool> {
        match fcntl::fcntl(&*self.fd, FcntlArg::F_OFD_SETLK(&range(libc::F_WRLCK, byte, length))) {
            Ok(_) => Ok(true),
            Err(Errno::EAGAIN | Errno::EACCES) => Ok(false),
            Err(e) => Err(Error::system(e, "cannot lock the region")),
        }
    }

    /// Gives a locked byte back.
    pub(crate) fn unlock(&self, byte: u64) {
        let _ = fcntl::fcntl(&*self.fd, FcntlArg::F_OFD_SETLK(&range(libc::F_UNLCK, byte, 1)));
    }

    /// Whether another open description holds a lock on the byte. What cannot be known counts as
    /// held.
    ///
    /// A lock on all bytes does not count: whoever has it ([`Object::lock_all`]) has found that
    /// nobody holds any of them.
    pub(crate) fn is_locked(&self, byte: u64) -> bool {
        self.ask_lock(byte).unwrap_or(true)
    }

    /// As [`Object::is_locked`], where a question that the system does not answer is an error.
    pub(crate) fn ask_lock(&self, byte: u64) -> Result<bool> {
        match self.find_lock(byte, 1) {
            Ok(found) => Ok(found.is_none_or(|found| i32::from(found.l_type) != libc::F_UNLCK && !is_of_all(&found))),
            Err(e) => Err(Error::system(e, "cannot ask who holds the region (fcntl F_OFD_GETLK)")),
        }
    }

    /// What locks other open descriptions hold. What cannot be known counts as held.
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

    /// Whether another is about to remove the object ([`Object::lock_all`]).
    pub(crate) fn is_being_removed(&self) -> bool {
        self.any_lock() == AnyLock::OfAll
    }

    /// A lock of another open description on one of `length` bytes, 0: up to the end; takes none.
    /// `None`: cannot be known, as the number is another file's by now: the program has closed
    /// descriptors that are not its own.
    fn find_lock(&self, byte: u64, length: u64) -> nix::Result<Option<libc::flock>> {
        let mut found = range(libc::F_WRLCK, byte, length);
        match fcntl::fcntl(&*self.fd, FcntlArg::F_OFD_GETLK(&mut found)) {
            Ok(_) => Ok((i32::from(found.l_type) != libc::F_UNLCK || self.is_ours()).then_some(found)),
            Err(_) if !self.is_ours() => Ok(None),
            Err(e) => Err(e),
        }
    }
}

impl Object {
    /// Whether the object is open or mapped anywhere but through this descriptor. `None`: the kernel does not say (it does to
    /// the owner of the object only).
    ///
    /// A write lease can be had only by who has the only open description. It is given back at once; who opens the object in
    /// between waits for that moment.
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
        // The signal that a lease is wanted back by default ends a process; this one is ignored by default.
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

    /// Pays for the first `length` bytes of an object that another program has made.
    pub(crate) fn allocate(&self, length: u64) -> Result<()> {
        let no_space = |e| Error::system(e, format_args!("there is no memory in {DIRECTORY} for {length} bytes of the region"));
        if length.saturating_sub(self.allocated) > free_bytes(&*self.fd).map_err(no_space)? {
            return Err(no_space(Errno::ENOSPC));
        }
        Object::pay(&*self.fd, length).map_err(no_space)
    }

    /// Whether there would be `size` bytes in [`DIRECTORY`] if this object were gone.
    pub(crate) fn leaves_room_for(&self, size: u64) -> bool {
        free_bytes(&*self.fd).is_ok_and(|free| free.saturating_add(self.allocated) >= size)
    }

    /// Has the system allocate all of a file: in steps, because a signal makes the kernel undo the one that it is at, and in ever smaller
    /// ones while signals come.
    pub(super) fn pay(fd: impl AsFd, size: u64) -> std::result::Result<(), Errno> {
        if (stat::fstat(&fd)?.st_size as u64) < size {
            limits::check_file_size(size)?;
        }
        in_steps(size, |start, length| fcntl::posix_fallocate(&fd, start as i64, length as i64))
    }

    /// Gives a file that nobody else has yet its group, where one is asked for, then its permission bits.
    pub(super) fn restrict(fd: impl AsFd, mode: u32, group: Option<u32>) -> Result<()> {
        if let Some(group) = group {
            set_group(&fd, group)?;
        }
        stat::fchmod(fd, Mode::from_bits_truncate(mode))
            .map_err(|e| Error::system(e, format_args!("cannot give a shared memory object the mode {mode:o} (fchmod)")))
    }
}

/// See [`Object::pay`]. `allocate` is given where a step begins, and its length.
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

/// The same file by a descriptor that is none of the three standard ones: a process that was started without those would print into it.
pub(super) fn beyond_standard(fd: OwnedFd) -> std::result::Result<OwnedFd, Errno> {
    if fd.as_raw_fd() > libc::STDERR_FILENO {
        return Ok(fd);
    }
    let number = fcntl::fcntl(&fd, FcntlArg::F_DUPFD_CLOEXEC(libc::STDERR_FILENO + 1))?;
    // SAFETY: a descriptor that was just made, and is nobody else's.
    Ok(unsafe { OwnedFd::from_raw_fd(number) })
}

fn set_group(fd: impl AsFd, group: u32) -> Result<()> {
    nix::unistd::fchown(fd, None, Some(Gid::from_raw(group))).map_err(|e| {
        Error::system(
            e,
            format_args!("cannot give a shared memory object to group {group}: is this user a member of it? (fchown)"),
        )
    })
}

/// What a file's file system has left. Asked before an allocation: on a host with a large limit that would take most of the
/// memory before it failed.
fn free_bytes(fd: impl AsFd) -> std::result::Result<u64, Errno> {
    let fs = nix::sys::statvfs::fstatvfs(fd)?;
    Ok(if fs.blocks() == 0 { u64::MAX } else { fs.blocks_available() * fs.fragment_size() })
}

impl Drop for Object {
    fn drop(&mut self) {
        // Not if the program has closed it behind our back: the number may be a file of its own by now.
        if self.is_ours() {
            // Said explicitly: a child that is just being forked may hold the description, and with it the locks, for a
            // moment longer.
            let _ = fcntl::fcntl(&*self.fd, FcntlArg::F_OFD_SETLK(&range(libc::F_UNLCK, 0, 0)));
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

/// Where the objects have their names.
pub(crate) fn directory() -> &'static Path {
    Path::new(DIRECTORY)
}

fn is_of_all(lock: &libc::flock) -> bool {
    lock.l_start == 0 && lock.l_len == 0
}

fn range(kind: libc::c_int, byte: u64, length: u64) -> libc::flock {
    libc::flock {
        l_type: kind as libc::c_short,
        l_whence: libc::SEEK_SET as libc::c_short,
        l_start: byte as libc::off_t,
        l_len: length as libc::off_t,
        l_pid: 0,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// As where a signal comes in the time that a megabyte takes.
    #[test]
    fn all_is_allocated_once_also_where_signals_interrupt_all_but_short_steps() {
        let (size, mut end) = (40 << 20 | 5, 0);
        let allocated = in_steps(size, |start, length| {
            if length >= 1 << 20 {
                return Err(Errno::EINTR);
            }
            assert_eq!(start, end);
            end += length;
            Ok(())
        });
        assert_eq!((allocated, end), (Ok(()), size));
    }

    #[test]
    fn a_lock_on_all_bytes_says_that_nobody_holds_any() {
        let name = Name::new(format!("villas-locks-{}", std::process::id())).unwrap();
        let made = Object::unnamed(4096, 0o600, None).unwrap();
        assert!(made.link(&name).unwrap());
        let (one, other) = (Object::open(&name).unwrap(), Object::open(&name).unwrap());
        name.unlink().unwrap();
        let seen = || (made.is_locked(7), made.has_any_lock(), made.is_being_removed());
        assert_eq!(seen(), (false, false, false));
        assert!(one.lock(7).unwrap() && !other.lock_all().unwrap());
        assert_eq!(seen(), (true, true, false));
        assert!(!made.is_locked(8));
        one.unlock(7);
        assert!(other.lock_all().unwrap() && !one.lock(7).unwrap());
        assert_eq!(seen(), (false, true, true));
    }

    /// The probe takes a lease for a moment, and an open that does not wait fails in it.
    #[test]
    fn an_object_can_be_opened_at_any_moment_of_a_probe() {
        let name = Name::new(format!("villas-probe-{}", std::process::id())).unwrap();
        let object = Object::unnamed(4096, 0o600, None).unwrap();
        assert!(object.link(&name).unwrap());
        // SAFETY: the child makes system calls only, until it is killed.
        let child = unsafe { libc::fork() };
        if child == 0 {
            loop {
                object.is_open_elsewhere();
            }
        }
        assert!(child > 0);
        let opened: Vec<Result<()>> = (0..100_000).map(|_| Object::open(&name).map(drop)).collect();
        // SAFETY: this process's child.
        unsafe {
            libc::kill(child, libc::SIGKILL);
            libc::waitpid(child, std::ptr::null_mut(), 0);
        }
        name.unlink().unwrap();
        let failed: Vec<_> = opened.into_iter().filter_map(std::result::Result::err).collect();
        assert!(failed.is_empty(), "{} failed: {}", failed.len(), failed[0]);
    }
}
