//! Shared memory objects as somebody sees them who does not use the library: any bytes in them, any store to them.

use std::cell::{Cell, OnceCell};
use std::ffi::{CStr, CString};
use std::fs::{File, OpenOptions};
use std::os::fd::AsRawFd;
use std::os::unix::fs::{FileExt, MetadataExt, OpenOptionsExt};
use std::path::PathBuf;
use std::sync::Once;
use std::sync::atomic::{AtomicU8, AtomicU32, AtomicU64, Ordering::Relaxed};

use crate::input::Poke;

/// What the names begin with, and then a process's number, its own or that of who cleans up after it.
const PREFIX: &str = "villas-fuzz";

/// Removes what has been left by processes that were killed.
fn sweep() {
    let entries = std::fs::read_dir("/dev/shm").into_iter().flatten();
    for name in entries.filter_map(|entry| entry.ok()?.file_name().into_string().ok()) {
        let bare = name.strip_prefix("sem.").unwrap_or(&name);
        let owner = bare.strip_prefix(PREFIX).and_then(|rest| rest.split('-').nth(1)?.parse::<u32>().ok());
        if owner.is_some_and(|owner| !PathBuf::from(format!("/proc/{owner}")).exists()) {
            let _ = std::fs::remove_file(path(&name));
        }
    }
}

/// A name of this process's own. `VILLAS_SHM_FUZZ_NAME` is the beginning of all, for who cleans up after a crash.
fn name(what: &str) -> String {
    static SWEPT: Once = Once::new();
    SWEPT.call_once(sweep);
    thread_local! {
        // Tests of one process run in threads.
        static OWN: OnceCell<String> = const { OnceCell::new() };
    }
    OWN.with(|own| {
        let own = own.get_or_init(|| {
            let prefix = std::env::var("VILLAS_SHM_FUZZ_NAME").unwrap_or_else(|_| PREFIX.into());
            format!("{prefix}-{}-{:?}", std::process::id(), std::thread::current().id()).replace(['(', ')'], "")
        });
        format!("{own}-{what}")
    })
}

fn path(name: &str) -> PathBuf {
    PathBuf::from("/dev/shm").join(name)
}

/// Which object has this path: its device and its number.
fn target(path: &CStr) -> Option<(u64, u64)> {
    // SAFETY: integers, for which zero is valid.
    let mut status: libc::stat = unsafe { std::mem::zeroed() };
    // SAFETY: a path that ends, and room for what is told.
    let told = unsafe { libc::lstat(path.as_ptr(), &mut status) };
    (told == 0).then_some((status.st_dev, status.st_ino))
}

/// A name that goes when this does, whatever it leads to then.
pub(crate) struct Name(pub(crate) String, CString);

impl Name {
    pub(crate) fn new(what: &str) -> Name {
        let name = name(what);
        let path = CString::new(format!("/dev/shm/{name}")).expect("no zeros");
        Name(name, path)
    }

    /// What is in the object now.
    pub(crate) fn bytes(&self) -> Vec<u8> {
        std::fs::read(path(&self.0)).expect("it is there")
    }
}

impl Drop for Name {
    fn drop(&mut self) {
        let _ = std::fs::remove_file(path(&self.0));
    }
}

/// An object with bytes in it that somebody has left. It is the same object for one input after the other: to make one, and to give its
/// memory back, costs more than most inputs do.
pub(crate) struct Stage {
    memory: Memory,
    file: File,
    // Last: until then nobody else has the name.
    pub(crate) name: Name,
}

impl Stage {
    /// Calls `work` with an object of these bytes.
    pub(crate) fn with<R>(bytes: &[u8], work: impl FnOnce(&Stage) -> R) -> R {
        thread_local! {
            static KEPT: Cell<Option<Stage>> = const { Cell::new(None) };
        }
        let mut stage = KEPT.take().filter(|stage| stage.memory.room >= bytes.len()).unwrap_or_else(|| Stage::new(bytes.len()));
        stage.fill(bytes);
        let result = work(&stage);
        // Whoever replaces a region takes its name away.
        if stage.file.metadata().is_ok_and(|data| data.nlink() == 1) {
            KEPT.set(Some(stage));
        }
        result
    }

    fn new(least: usize) -> Stage {
        let name = Name::new("stage");
        let path = path(&name.0);
        let _ = std::fs::remove_file(&path);
        let file = OpenOptions::new().read(true).write(true).create_new(true).mode(0o600).open(path).expect("a name of our own");
        let memory = Memory::new(&file, 0, least.max(1).next_multiple_of(1 << 18)).expect("there are addresses");
        Stage { memory, file, name }
    }

    fn fill(&mut self, bytes: &[u8]) {
        if self.memory.size != bytes.len() {
            self.file.set_len(bytes.len() as u64).expect("it is open");
            self.memory.size = bytes.len();
        }
        // By a call, which allocates what is missing, or fails.
        self.file.write_all_at(bytes, 0).expect("there is room in /dev/shm");
    }

    /// Locks a byte of the object, far beyond its end, as the holder of a place does; until the lock is dropped.
    pub(crate) fn lock(&self, byte: u64) -> Lock<'_> {
        assert!(self.set_lock(libc::F_WRLCK, byte), "nobody else has the object open");
        Lock { stage: self, byte }
    }

    fn set_lock(&self, kind: libc::c_int, byte: u64) -> bool {
        // SAFETY: integers, for which zero is valid.
        let mut range: libc::flock = unsafe { std::mem::zeroed() };
        range.l_type = kind as libc::c_short;
        range.l_start = byte as libc::off_t;
        range.l_len = 1;
        // SAFETY: the descriptor is open, the argument is what the command takes.
        unsafe { libc::fcntl(self.file.as_raw_fd(), libc::F_OFD_SETLK, &range) == 0 }
    }

    /// What is in the object now, for stores to it.
    pub(crate) fn memory(&self) -> Option<&Memory> {
        (self.memory.size >= 8).then_some(&self.memory)
    }

    /// Whether the object has these bytes and no others.
    pub(crate) fn is(&self, bytes: &[u8]) -> bool {
        let size = self.file.metadata().map_or(0, |data| data.len() as usize);
        // SAFETY: within the object, and nobody stores to it during the comparison.
        size == bytes.len() && unsafe { std::slice::from_raw_parts(self.memory.base, size) } == bytes
    }
}

/// A locked byte.
pub(crate) struct Lock<'s> {
    stage: &'s Stage,
    byte: u64,
}

impl Drop for Lock<'_> {
    fn drop(&mut self) {
        self.stage.set_lock(libc::F_UNLCK, self.byte);
    }
}

/// All of an object, mapped by itself.
pub(crate) struct Memory {
    base: *mut u8,
    /// Of the object.
    size: usize,
    /// Of the mapping, which may go beyond the object's end.
    room: usize,
    identity: (u64, u64),
}

impl Memory {
    /// The object of this name; `last` if it is the same one. `None`: nothing has the name, or it is too small for a [`Poke`].
    pub(crate) fn of(name: &Name, last: Option<Memory>) -> Option<Memory> {
        let identity = target(&name.1)?;
        if last.as_ref().is_some_and(|last| last.identity == identity) {
            return last;
        }
        let file: File = OpenOptions::new().read(true).write(true).open(path(&name.0)).ok()?;
        let size = file.metadata().ok()?.len() as usize;
        if size < 8 { None } else { Memory::new(&file, size, size) }
    }

    fn new(file: &File, size: usize, room: usize) -> Option<Memory> {
        let data = file.metadata().ok()?;
        let access = libc::PROT_READ | libc::PROT_WRITE;
        // SAFETY: a fresh mapping at an address of the kernel's choice.
        let base = unsafe { libc::mmap(std::ptr::null_mut(), room, access, libc::MAP_SHARED, file.as_raw_fd(), 0) };
        assert_ne!(base, libc::MAP_FAILED);
        Some(Memory { base: base.cast(), size, room, identity: (data.dev(), data.ino()) })
    }

    pub(crate) fn size(&self) -> usize {
        self.size
    }

    /// The 8 bytes from `at` on, which need not be aligned.
    pub(crate) fn word(&self, at: usize) -> u64 {
        assert!(at + 8 <= self.size);
        let byte = |index| {
            // SAFETY: within the mapping; all who use it do so by atomics.
            unsafe { AtomicU8::from_ptr(self.base.add(at + index)) }.load(Relaxed)
        };
        u64::from_le_bytes(std::array::from_fn(byte))
    }

    pub(crate) fn poke(&self, Poke { at, width, value }: Poke) {
        assert!(at + width <= self.size && at % width == 0);
        // SAFETY: within the mapping, aligned; all who use it do so by atomics.
        unsafe {
            let to = self.base.add(at);
            match width {
                1 => AtomicU8::from_ptr(to).store(value as u8, Relaxed),
                4 => AtomicU32::from_ptr(to.cast()).store(value as u32, Relaxed),
                _ => AtomicU64::from_ptr(to.cast()).store(value, Relaxed),
            }
        }
    }
}

impl Drop for Memory {
    fn drop(&mut self) {
        // SAFETY: the mapping is this value's, and nothing points into it.
        unsafe { libc::munmap(self.base.cast(), self.room) };
    }
}

/// The same pokes on bytes that are in no object yet.
pub(crate) fn poke(bytes: &mut [u8], Poke { at, width, value }: Poke) {
    bytes[at..at + width].copy_from_slice(&value.to_le_bytes()[..width]);
}

pub(crate) fn word(bytes: &[u8], at: usize) -> u64 {
    u64::from_le_bytes(std::array::from_fn(|index| bytes[at + index]))
}
