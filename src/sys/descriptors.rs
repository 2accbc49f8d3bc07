//! The descriptors of this process's objects: which object has each number, and what a forked child
//! closes.
//!
//! A descriptor of a region carries locks that mean "alive". A child that inherited it would keep
//! them after its parent's death, so the child closes it before `fork` returns (`fork`). Therefore
//! each object gets an entry in a list *before* it gets its descriptor, and keeps the entry until
//! the descriptor is closed.
//!
//! The kernel copies the table of descriptors first and the memory later, while other threads of
//! the parent run. So an entry that the child finds may be newer than the table. The whole state of
//! an entry is in one word, and the child allows for everything that a state may mean:
//!
//! | state | descriptor in the child | the child |
//! |---|---|---|
//! | free | none: it was closed before the fork began (F1) | does nothing |
//! | reserved | perhaps one, of an unknown number: an open is under way, or was | looks at all descriptors |
//! | lingering | perhaps one: it was closed while a fork was under way | looks at all descriptors |
//! | held | that number, or nothing, or what was there before | closes the number |
//! | lost | perhaps one, of a number that a younger object has | looks at all descriptors |
//!
//! | edge | stores | loads | what it carries |
//! |---|---|---|---|
//! | D1 | the entry's owner: its range and its page's zeros, then `state`, `start` or `next`, release | others: that word, acquire | a whole entry |
//!
//! The child recognises a region's descriptor by [`MARK`], flags with which no other program opens
//! a shared memory object, and the library's own eventfds and pidfds (`own_fd`) by [`OWN_MARK`], but
//! the latter only by their number: the program may have a duplicate, which has the same mark. One
//! whose number is not known stays open in the child, where nothing uses it.
//!
//!//! Segments have no mark: the child inherits them.
//!
//! The list also tells whether a number still leads to its object. A program may have closed
//! descriptors that are not its own, and the next object gets the same number. Then the older entry
//! is *lost*. Device and inode alone would not tell: the older object would take the younger one's
//! descriptor for its own.

use super::fork;
use crate::error::{Error, Result};
use std::os::fd::RawFd;
use std::ptr;
use std::sync::atomic::Ordering::{AcqRel, Acquire, Relaxed, Release};
use std::sync::atomic::{AtomicPtr, AtomicU32, AtomicUsize};

/// Flags of a region's open description, by which a forked child recognises it. `O_SYNC` changes
/// nothing in memory without a disk behind it.
pub(crate) const MARK: libc::c_int = libc::O_SYNC | libc::O_NONBLOCK;

/// Flags of the library's own eventfds and pidfds. Nothing can be appended to one, so no other
/// program sets `O_APPEND` on it.
pub(super) const OWN_MARK: libc::c_int = libc::O_APPEND | libc::O_NONBLOCK;

/// Of the file systems in which eventfds and pidfds are (`linux/magic.h`; before Linux 6.9 the first
/// has both).
const OWN_FILE_SYSTEMS: [libc::c_long; 2] = [0x0904_1934, 0x5049_4446];

// The states of an entry: the lowest three bits are the kind, the others the number if it is known.
const FREE: u32 = 0;
const RESERVED: u32 = 1;
const LINGERING: u32 = 2;
/// Held, and to be closed in a child.
const HELD: u32 = 3;
/// Held, and inherited by a child.
const KEPT: u32 = 4;
/// The program has closed it: a younger object has its number.
const LOST: u32 = 5;
const KIND_BITS: u32 = 3;

const fn kind(state: u32) -> u32 {
    state & ((1 << KIND_BITS) - 1)
}

const fn number(state: u32) -> RawFd {
    (state >> KIND_BITS) as RawFd
}

const fn is_held(state: u32) -> bool {
    matches!(kind(state), HELD | KEPT)
}

/// An entry lies on one page, because the kernel copies page by page.
#[repr(C, align(32))]
struct Listed {
    state: AtomicU32,
    /// Start of a mapping of the object that a forked child would still inherit. 0: none.
    start: AtomicUsize,
    /// Its length.
    length: AtomicUsize,
}

const PER_PAGE: usize = 127;

#[repr(C, align(4096))]
struct Page {
    next: AtomicPtr<Page>,
    entries: [Listed; PER_PAGE],
}

const _: () = assert!(size_of::<Page>() == 4096);

/// The first page of the list. Pages are added at the end and are never freed.
static FIRST: Page = Page {
    next: AtomicPtr::new(ptr::null_mut()),
    entries: [const { Listed { state: AtomicU32::new(FREE), start: AtomicUsize::new(0), length: AtomicUsize::new(0) } };
        PER_PAGE],
};

fn pages() -> impl Iterator<Item = &'static Page> {
    std::iter::successors(Some(&FIRST), |page| {
        // SAFETY: pages are never freed.
        unsafe { page.next.load(Acquire).as_ref() } // D1
    })
}

fn entries() -> impl Iterator<Item = &'static Listed> {
    pages().flat_map(|page| &page.entries)
}

/// Adds a page to the end of the list. `ENOMEM`: no memory.
fn grow() -> Result<()> {
    use nix::sys::mman::{MapFlags, ProtFlags, mmap_anonymous, munmap};
    let size = const { std::num::NonZeroUsize::new(size_of::<Page>()).expect("a page has a size") };
    // SAFETY: a fresh mapping at an address of the kernel's choice.
    let made = unsafe { mmap_anonymous(None, size, ProtFlags::PROT_READ | ProtFlags::PROT_WRITE, MapFlags::MAP_PRIVATE) }
        .map_err(|e| Error::new(libc::ENOMEM, format!("no memory for the list of descriptors (mmap: {})", e.desc())))?;
    let last = pages().last().unwrap_or(&FIRST);
    // All bytes zero is a page of free entries.
    // D1
    if last.next.compare_exchange(ptr::null_mut(), made.as_ptr().cast(), Release, Relaxed).is_err() {
        // Another thread was faster, and one page is enough.
        // SAFETY: no other thread knows the page.
        let _ = unsafe { munmap(made, size.get()) };
    }
    Ok(())
}

/// An object's entry. Must be made before the object's descriptor, and dropped after that is
/// closed.
pub(super) struct Registration(&'static Listed);

impl Registration {
    /// Lock-free and async-signal-safe, except for the error.
    pub(super) fn new() -> Result<Registration> {
        fork::on_child(in_child)?;
        loop {
            for entry in entries() {
                let state = entry.state.load(Acquire); // D1
                // A lingering entry is free once the forks that were under way when it was left are
                // over: their children have copies of it.
                let is_free = state == FREE || (state == LINGERING && fork::is_quiet());
                // The system call that opens the descriptor comes after this store. D1
                if is_free && entry.state.compare_exchange(state, RESERVED, AcqRel, Relaxed).is_ok() {
                    return Ok(Registration(entry));
                }
            }
            grow()?;
        }
    }

    /// Records that the object has descriptor `fd`. `inherited`: a forked child keeps it.
    pub(super) fn hold(&self, fd: RawFd, inherited: bool) {
        // The kernel gives a number to one descriptor at a time: an older entry with this number
        // has lost it.
        for other in entries() {
            let state = other.state.load(Acquire); // D1
            if is_held(state) && number(state) == fd {
                // D1; fails if its owner gives it up at this moment.
                let _ = other.state.compare_exchange(state, LOST, AcqRel, Relaxed);
            }
        }
        let kind = if inherited { KEPT } else { HELD };
        self.0.state.store((fd as u32) << KIND_BITS | kind, Release); // D1
    }

    /// Whether no younger object has the number.
    pub(super) fn is_held(&self) -> bool {
        is_held(self.0.state.load(Acquire)) // D1
    }

    /// Records that a mapping, which a child must not have, is about to be made in this range.
    /// Holds until [`Registration::mapped`].
    pub(super) fn maps(&self, start: usize, length: usize) {
        self.0.length.store(length, Relaxed);
        // The system call that maps comes after both stores.
        self.0.start.store(start, Release); // D1
    }

    /// A child does not get the mapping any more.
    pub(super) fn mapped(&self) {
        self.0.start.store(0, Release); // D1
    }
}

impl Drop for Registration {
    fn drop(&mut self) {
        let state = if fork::is_quiet() { FREE } else { LINGERING };
        self.0.state.store(state, Release); // D1
    }
}

/// Runs in the child of a fork: closes the parent's descriptors, and unmaps what the parent was
/// mapping. Async-signal-safe.
fn in_child() {
    let mut is_open_unknown = false;
    for entry in entries() {
        let state = entry.state.load(Relaxed);
        match kind(state) {
            FREE | KEPT => continue,
            // Another object has its number now, but it may have had the number when the table was
            // copied.
            LOST => {
                is_open_unknown = true;
                continue;
            }
            HELD => close_held(number(state)),
            _ => is_open_unknown = true,
        }
        let start = entry.start.swap(0, Relaxed);
        if start != 0 {
            unmap_shared(start, entry.length.load(Relaxed));
        }
        // Its owner was a thread of the parent.
        entry.state.store(FREE, Relaxed);
    }
    if is_open_unknown {
        for_each_descriptor(close_region);
    }
}

/// The flags of an open description. `None`: the system does not say.
fn flags(fd: RawFd) -> Option<libc::c_int> {
    // SAFETY: a command without an argument, on a number that may be anything.
    let flags = unsafe { libc::fcntl(fd, libc::F_GETFL) };
    (flags >= 0).then_some(flags)
}

/// Whether an open description has a region's flags. `None`: the system does not say.
pub(super) fn is_marked(fd: RawFd) -> Option<bool> {
    flags(fd).map(|flags| flags & MARK == MARK)
}

/// Whether a number leads to an eventfd or pidfd of the library.
pub(super) fn is_own(fd: RawFd) -> bool {
    // Without `O_NONBLOCK`, which programs set and take off.
    let mark = libc::O_APPEND | libc::O_RDWR;
    flags(fd).is_some_and(|flags| flags & (libc::O_APPEND | libc::O_ACCMODE) == mark) && is_in(fd, &OWN_FILE_SYSTEMS)
}

/// Whether a number leads to a file in a file system of one of these kinds.
fn is_in(fd: RawFd, kinds: &[libc::c_long]) -> bool {
    // SAFETY: the struct is written to before the call returns; zero is valid for its integers.
    unsafe {
        let mut fs: libc::statfs = std::mem::zeroed();
        libc::fstatfs(fd, &raw mut fs) == 0 && kinds.contains(&(fs.f_type as libc::c_long))
    }
}

/// Sets `O_NONBLOCK` again, should the program have taken it off one of the library's own.
pub(super) fn keep_non_blocking(fd: RawFd) {
    if flags(fd).is_some_and(|flags| flags & libc::O_NONBLOCK == 0) {
        // SAFETY: the flags of the library's own descriptor.
        unsafe { libc::fcntl(fd, libc::F_SETFL, OWN_MARK) };
    }
}

/// Closes a descriptor if it leads to a region.
fn close_region(fd: RawFd) {
    if is_marked(fd) == Some(true) && is_in(fd, &[libc::TMPFS_MAGIC as libc::c_long]) {
        // SAFETY: nothing in the child uses the number.
        unsafe { libc::close(fd) };
    }
}

/// As [`close_region`], of a number that the library held: also if it is one of its own.
fn close_held(fd: RawFd) {
    if is_own(fd) {
        // SAFETY: as above.
        unsafe { libc::close(fd) };
    } else {
        close_region(fd);
    }
}

/// Unmaps a range in which the parent may have mapped a region.
fn unmap_shared(start: usize, length: usize) {
    let at = start as *mut libc::c_void;
    // If the child did not inherit the mapping, an earlier handler may have mapped memory of its
    // own here. That memory is private, and the kernel makes a second mapping (old size 0) of
    // shared memory only.
    // SAFETY: adds a mapping of one page, or changes nothing.
    let second = unsafe { libc::mremap(at, 0, 4096, libc::MREMAP_MAYMOVE) };
    if second != libc::MAP_FAILED {
        // SAFETY: the first is the mapping just made. The range was the parent's; no thread of the
        // child knows it.
        unsafe {
            libc::munmap(second, 4096);
            libc::munmap(at, length);
        }
    }
}

/// Calls `each` with the number of each open descriptor. Async-signal-safe, and needs little stack.
fn for_each_descriptor(each: impl Fn(RawFd)) {
    // SAFETY: a constant path.
    let directory = unsafe { libc::open(c"/proc/thread-self/fd".as_ptr(), libc::O_RDONLY | libc::O_DIRECTORY | libc::O_CLOEXEC) };
    if directory < 0 {
        let limit = nix::sys::resource::getrlimit(nix::sys::resource::Resource::RLIMIT_NOFILE).map_or(1024, |(soft, _)| soft);
        return (0..limit.min(1 << 16) as RawFd).for_each(each);
    }
    // Of `struct linux_dirent64`: 8 bytes inode, 8 bytes offset, 2 bytes length of the record, 1
    // byte type, the name.
    const LENGTH_AT: usize = 16;
    const NAME_AT: usize = 19;
    let mut buffer = [0u64; 128];
    loop {
        // SAFETY: the kernel writes at most this many bytes.
        let count = unsafe { libc::syscall(libc::SYS_getdents64, directory, buffer.as_mut_ptr(), size_of_val(&buffer)) };
        let Some(count) = usize::try_from(count).ok().filter(|&count| count > 0) else { break };
        // SAFETY: bytes of an array of integers.
        let bytes = unsafe { std::slice::from_raw_parts(buffer.as_ptr().cast::<u8>(), count) };
        let mut rest = bytes;
        while rest.len() > NAME_AT {
            let length = usize::from(u16::from_ne_bytes([rest[LENGTH_AT], rest[LENGTH_AT + 1]]));
            let Some(record) = rest.get(..length).filter(|record| record.len() > NAME_AT) else { break };
            let digits = record[NAME_AT..].iter().take_while(|c| c.is_ascii_digit());
            let name_ends = record[NAME_AT] == b'.';
            let fd = digits.fold(0, |fd: RawFd, &c| fd.wrapping_mul(10).wrapping_add(RawFd::from(c - b'0')));
            if !name_ends && fd != directory {
                each(fd);
            }
            rest = &rest[length..];
        }
    }
    // SAFETY: opened above.
    unsafe { libc::close(directory) };
}

#[cfg(test)]
#[path = "../tests/unit/sys/descriptors.rs"]
mod tests;
