//! Shared memory objects as somebody sees them who does not use the library: any bytes in them, any store to them.

use std::fs::{File, OpenOptions};
use std::os::fd::AsRawFd;
use std::os::unix::fs::{FileExt, OpenOptionsExt};
use std::path::PathBuf;
use std::sync::atomic::{AtomicU8, AtomicU32, AtomicU64, Ordering::Relaxed};

use crate::input::Poke;

/// A name of this process's own. `VILLAS_SHM_FUZZ_NAME` is the beginning of all, for who cleans up after a crash.
pub(crate) fn name(what: &str) -> String {
    let prefix = std::env::var("VILLAS_SHM_FUZZ_NAME").unwrap_or_else(|_| "villas-fuzz".into());
    // Tests of one process run in threads.
    format!("{prefix}-{what}-{}-{:?}", std::process::id(), std::thread::current().id()).replace(['(', ')'], "")
}

fn path(name: &str) -> PathBuf {
    PathBuf::from("/dev/shm").join(name)
}

/// A name that goes when this does, whatever it leads to then.
pub(crate) struct Name(pub(crate) String);

impl Name {
    pub(crate) fn new(what: &str) -> Name {
        Name(name(what))
    }

    /// Gives the name to an object with these bytes.
    pub(crate) fn fill(&self, bytes: &[u8]) {
        let file = OpenOptions::new().read(true).write(true).create(true).truncate(true).mode(0o600).open(path(&self.0));
        file.and_then(|file| file.write_all_at(bytes, 0)).expect("there is room in /dev/shm");
    }

    /// Locks a byte of the object, far beyond its end, as the holder of a place does.
    pub(crate) fn lock(&self, byte: u64) -> File {
        let file = OpenOptions::new().read(true).write(true).open(path(&self.0)).expect("it is there");
        // SAFETY: integers, for which zero is valid.
        let mut range: libc::flock = unsafe { std::mem::zeroed() };
        range.l_type = libc::F_WRLCK as libc::c_short;
        range.l_start = byte as libc::off_t;
        range.l_len = 1;
        // SAFETY: the descriptor is open, the argument is what the command takes.
        let locked = unsafe { libc::fcntl(file.as_raw_fd(), libc::F_OFD_SETLK, &range) };
        assert_eq!(locked, 0, "nobody else has the object open");
        file
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

/// All of an object, mapped by itself.
pub(crate) struct Memory {
    base: *mut u8,
    size: usize,
}

impl Memory {
    /// `None`: nothing has the name, or it is too small for a [`Poke`].
    pub(crate) fn of(name: &Name) -> Option<Memory> {
        let file: File = OpenOptions::new().read(true).write(true).open(path(&name.0)).ok()?;
        let size = file.metadata().ok()?.len() as usize;
        if size < 8 {
            return None;
        }
        let access = libc::PROT_READ | libc::PROT_WRITE;
        // SAFETY: a fresh mapping at an address of the kernel's choice.
        let base = unsafe { libc::mmap(std::ptr::null_mut(), size, access, libc::MAP_SHARED, file.as_raw_fd(), 0) };
        assert_ne!(base, libc::MAP_FAILED);
        Some(Memory { base: base.cast(), size })
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
        unsafe { libc::munmap(self.base.cast(), self.size) };
    }
}

/// The same pokes on bytes that are in no object yet.
pub(crate) fn poke(bytes: &mut [u8], Poke { at, width, value }: Poke) {
    bytes[at..at + width].copy_from_slice(&value.to_le_bytes()[..width]);
}

pub(crate) fn word(bytes: &[u8], at: usize) -> u64 {
    u64::from_le_bytes(std::array::from_fn(|index| bytes[at + index]))
}
