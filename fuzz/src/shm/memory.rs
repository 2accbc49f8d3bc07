//! The bytes of an object, in a `memfd` that one object after the other has. It is mapped once for each mapping that is in use at a time.

use std::ffi::c_int;
use std::os::fd::RawFd;

use villas_shm::fuzzing::forbidden;

use super::{Errno, PAGE, calls::real};

/// Most objects have memory of this size.
pub(super) const ROOM: usize = 1 << 18;

pub(super) struct Memory {
    file: RawFd,
    pub(super) room: usize,
    /// All of it, mapped for the model itself.
    pub(super) base: *mut u8,
    pub(super) views: Vec<View>,
}

// SAFETY: the mappings belong to no thread.
unsafe impl Send for Memory {}

/// A mapping, for one after the other.
pub(super) struct View {
    pub(super) at: *mut u8,
    access: c_int,
    /// Of which description, and how long.
    pub(super) used: Option<(usize, usize)>,
}

impl Memory {
    pub(super) fn new(least: usize) -> Result<Memory, Errno> {
        let room = least.next_multiple_of(ROOM);
        // SAFETY: a text that ends.
        let file = unsafe { libc::memfd_create(c"villas-fuzz".as_ptr(), libc::MFD_CLOEXEC) };
        assert!(file >= 0, "no memfd");
        // SAFETY: plain integers.
        let sized = unsafe {
            if room == ROOM { libc::ftruncate(file, room as i64) } else { real::posix_fallocate(file, 0, room as i64) }
        };
        let mut memory = Memory { file, room, base: std::ptr::null_mut(), views: Vec::new() };
        if sized != 0 {
            return Err(libc::ENOSPC);
        }
        memory.base = memory.map(libc::PROT_READ | libc::PROT_WRITE);
        Ok(memory)
    }

    fn map(&self, access: c_int) -> *mut u8 {
        // SAFETY: a fresh mapping at an address of the kernel's choice.
        let at = unsafe { real::mmap(std::ptr::null_mut(), self.room, access, libc::MAP_SHARED, self.file, 0) };
        assert_ne!(at, libc::MAP_FAILED, "no addresses");
        at.cast()
    }

    /// A mapping of the first `length` bytes.
    pub(super) fn view(&mut self, length: usize, access: c_int, description: usize) -> *mut u8 {
        assert!(length <= self.room, "a mapping of {length} bytes of {}", self.room);
        let free = self.views.iter().position(|view| view.used.is_none() && view.access == access);
        let index = free.unwrap_or_else(|| {
            let at = self.map(access);
            forbidden::close(at, self.room);
            self.views.push(View { at, access, used: None });
            self.views.len() - 1
        });
        let view = &mut self.views[index];
        view.used = Some((description, length));
        forbidden::open(view.at, length.next_multiple_of(PAGE));
        view.at
    }

    /// Makes bytes zero.
    pub(super) fn clear(&self, from: usize, to: usize) {
        if from < to {
            // SAFETY: within the mapping, which is this value's.
            unsafe { self.base.add(from).write_bytes(0, to - from) };
        }
    }
}

impl View {
    /// Takes the mapping back; of which description it was.
    pub(super) fn end(&mut self, length: usize) -> Option<usize> {
        let (description, mapped) = self.used.take()?;
        assert_eq!(mapped, length, "a part of a mapping is unmapped");
        forbidden::close(self.at, mapped.next_multiple_of(PAGE));
        Some(description)
    }
}

impl Drop for Memory {
    fn drop(&mut self) {
        for view in &self.views {
            assert!(view.used.is_none(), "it is mapped");
            forbidden::open(view.at, self.room);
            // SAFETY: the mapping is this value's, and nobody uses it.
            unsafe { real::munmap(view.at.cast(), self.room) };
        }
        // SAFETY: as above.
        unsafe {
            if !self.base.is_null() {
                real::munmap(self.base.cast(), self.room);
            }
            libc::close(self.file);
        }
    }
}
