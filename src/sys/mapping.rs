//! Mappings of shared memory objects.

use super::object::Object;
use super::resident;
use super::trial::{IS_FUZZED, forbid};
use crate::error::{Error, Result};
use nix::errno::Errno;
use nix::sys::mman::{self, MapFlags, ProtFlags};
use std::fs::File;
use std::num::NonZeroUsize;
use std::os::fd::AsFd;
use std::os::unix::fs::FileExt;
use std::ptr::NonNull;

/// Regions begin at multiples of this many bytes, so that a table of addresses needs one entry for
/// each step (`registry`). The fuzzer uses pages and need not reserve address space: the sanitizer
/// marks all reserved memory, in a shadow one eighth as large.
pub(crate) const STEP: usize = if IS_FUZZED { 1 << 12 } else { 1 << 21 };

/// The pages that are checked for other mappings: those of a region's head, in any layout.
const LOOKED_AT: usize = 16;

/// A mapping, unmapped when dropped.
pub(crate) struct Mapping {
    base: NonNull<u8>,
    length: usize,
}

// SAFETY: the mapping belongs to no thread.
unsafe impl Send for Mapping {}
// SAFETY: a mapping gives out only its address and length.
unsafe impl Sync for Mapping {}

impl Mapping {
    /// Maps the first `length` bytes of `object` for reading and writing, at a multiple of
    /// [`STEP`].
    pub(crate) fn new(object: &Object, length: usize) -> Result<Mapping> {
        // The fuzzer has no children to keep the mapping from.
        if IS_FUZZED {
            return Mapping::plain(object, length, true);
        }
        let failed = |e: Errno| Error::memory(e, format_args!("cannot map {length} bytes"));
        let size = NonZeroUsize::new(length).ok_or_else(|| failed(Errno::EINVAL))?;
        // Reserve more than needed, map the object over an aligned part of it, and unmap the rest.
        let room = length.next_multiple_of(STEP) + STEP;
        let reserve = NonZeroUsize::new(room).ok_or_else(|| failed(Errno::ENOMEM))?;
        // SAFETY: a fresh anonymous mapping at an address of the kernel's choice.
        let start =
            unsafe { mman::mmap_anonymous(None, reserve, ProtFlags::PROT_NONE, MapFlags::MAP_PRIVATE | MapFlags::MAP_NORESERVE) }
                .map_err(failed)?;
        let first = start.as_ptr() as usize;
        let base = first.next_multiple_of(STEP);
        let fixed = NonZeroUsize::new(base);
        let end = base + length.next_multiple_of(page());
        // A mapping keeps the open description and its locks, so a forked child must not inherit
        // it: its parent would seem to live on. A child that is forked before the `madvise` below
        // unmaps it.
        object.maps(base, end - base);
        // SAFETY: the range lies within the reservation, which nobody else knows.
        let mapped = unsafe {
            mman::mmap(
                fixed,
                size,
                ProtFlags::PROT_READ | ProtFlags::PROT_WRITE,
                MapFlags::MAP_SHARED | MapFlags::MAP_FIXED,
                object,
                0,
            )
        };
        let unmap = |from: usize, to: usize| {
            let Some(at) = NonNull::new(from as *mut core::ffi::c_void) else { return };
            if to > from {
                // SAFETY: the range is the part of the reservation that is not used.
                let _ = unsafe { mman::munmap(at, to - from) };
            }
        };
        // SAFETY: the range is the mapping just made.
        let kept = mapped.and_then(|at| unsafe { mman::madvise(at, length, mman::MmapAdvise::MADV_DONTFORK) }.map(|()| at));
        if kept.is_err() {
            unmap(first, first + room);
        }
        object.mapped();
        let mapping = Mapping { base: kept.map_err(failed)?.cast(), length };
        unmap(first, base);
        unmap(end, first + room);
        // SAFETY: the mapping just made.
        unsafe { resident::lock_if_asked(mapping.base, length) }?;
        Ok(mapping)
    }

    /// Maps the first `length` bytes of `object` at any address. A forked child inherits the
    /// mapping.
    pub(crate) fn plain(object: impl AsFd, length: usize, writable: bool) -> Result<Mapping> {
        let failed = |e: Errno| Error::memory(e, format_args!("cannot map {length} bytes (mmap)"));
        let size = NonZeroUsize::new(length).ok_or_else(|| failed(Errno::EINVAL))?;
        let access = if writable { ProtFlags::PROT_READ | ProtFlags::PROT_WRITE } else { ProtFlags::PROT_READ };
        // SAFETY: a fresh mapping at an address of the kernel's choice.
        let base = unsafe { mman::mmap(None, size, access, MapFlags::MAP_SHARED, object, 0) }.map_err(failed)?;
        let mapping = Mapping { base: base.cast(), length };
        mapping.forbid_rest_of_page(true);
        // SAFETY: just mapped.
        unsafe { resident::lock_if_asked(mapping.base, length) }?;
        Ok(mapping)
    }

    /// Whether another process has mapped and touched one of the first pages. `None`: the kernel
    /// does not say, or this process has not touched them itself. With large pages the kernel may
    /// say yes although no other process has it mapped.
    pub(crate) fn is_mapped_elsewhere(&self) -> Option<bool> {
        const PRESENT: u64 = 1 << 63;
        /// "Exclusively mapped", of `/proc/PID/pagemap`.
        const ALONE: u64 = 1 << 56;
        let mut words = [0; LOOKED_AT * 8];
        let at = self.base.as_ptr() as usize / page() * 8;
        let wanted = self.length.div_ceil(page()).min(LOOKED_AT) * 8;
        let count = File::open("/proc/self/pagemap").and_then(|map| map.read_at(&mut words[..wanted], at as u64)).ok()?;
        let pages = words[..count].chunks_exact(8).filter_map(|word| Some(u64::from_ne_bytes(word.try_into().ok()?)));
        pages.filter(|page| page & PRESENT != 0).map(|page| page & ALONE == 0).reduce(|some, one| some || one)
    }

    /// For the fuzzer: forbids or allows the memory after the object's end.
    fn forbid_rest_of_page(&self, is_forbidden: bool) {
        if IS_FUZZED {
            forbid(self.base().wrapping_add(self.length), self.length.next_multiple_of(page()) - self.length, is_forbidden);
        }
    }

    pub(crate) fn base(&self) -> *const u8 {
        self.base.as_ptr()
    }

    pub(crate) fn length(&self) -> usize {
        self.length
    }
}

impl Drop for Mapping {
    fn drop(&mut self) {
        self.forbid_rest_of_page(false);
        // SAFETY: the range is ours. Dropping a mapping promises that no pointer into it is left in
        // this process.
        let _ = unsafe { mman::munmap(self.base.cast(), self.length) };
    }
}

fn page() -> usize {
    // SAFETY: no memory is involved.
    let size = unsafe { libc::sysconf(libc::_SC_PAGESIZE) };
    usize::try_from(size).unwrap_or(4096)
}
