//! A copy of parts of an object, at the places where a mapping would have them: so that the same
//! code reads both.

use super::entry::{Passed, Sender, Waiting};
use crate::error::{Error, Result};
use crate::layout::Layout;
use crate::layout::sample::Raw;
use crate::layout::trailer::{TRAILER, Trailer};
use crate::layout::wire::{HEAD, WireFacts, WireView};
use crate::memory::zeroed::Table;
use crate::protocol::atomics::{Ordering, fence};
use crate::protocol::flags::Flags;
use crate::protocol::tap::Sightings;
use crate::sys::clock::Timespec;
use crate::sys::object::Object;
use std::ops::Deref;

/// What is not loaded is zero. Nothing that is loaded is ever changed by others.
pub(super) struct Snapshot<O> {
    object: O,
    base: *mut u8,
    size: usize,
    _memory: Table<u8>,
}

// SAFETY: the memory is its own, and others reach it by atomics only.
unsafe impl<O: Send> Send for Snapshot<O> {}

impl<O: Deref<Target = Object>> Snapshot<O> {
    /// For the first `size` bytes of an object. Takes addresses, and memory for what is loaded.
    pub(super) fn new(object: O, size: u64) -> Result<Snapshot<O>> {
        let no_memory = || Error::new(libc::ENOMEM, format!("no memory for a look at {size} bytes"));
        let size = usize::try_from(size).map_err(|_| no_memory())?;
        let mut memory = Table::<u8>::new(size, &format!("a look at {size} bytes"))?;
        Ok(Snapshot { object, base: memory.as_mut_ptr(), size, _memory: memory })
    }

    /// Loads `length` bytes at `at` anew.
    pub(super) fn load(&self, at: u64, length: u64) -> Result<()> {
        let cut = || Error::corrupt("it is shorter than it says, or was cut short at this moment");
        let end = at.checked_add(length).filter(|&end| end <= self.size as u64).ok_or_else(cut)?;
        // SAFETY: within the memory, which belongs to this, and which others reach by atomics only.
        let to = unsafe { std::slice::from_raw_parts_mut(self.base.add(at as usize), (end - at) as usize) };
        match self.object.read_at(at, to) {
            Ok(count) if count == to.len() => Ok(()),
            Ok(_) => Err(cut()),
            Err(e) => Err(Error::system(e, "cannot read it")),
        }
    }

    /// As [`Snapshot::load`], behind all that was loaded before.
    pub(super) fn load_next(&self, at: u64, length: u64) -> Result<()> {
        fence(Ordering::SeqCst);
        self.load(at, length)
    }

    /// A copy of bytes that are loaded.
    pub(super) fn bytes(&self, at: u64, length: u64) -> Vec<u8> {
        assert!(at.checked_add(length).is_some_and(|end| end <= self.size as u64));
        // SAFETY: within the memory.
        unsafe { std::slice::from_raw_parts(self.base.add(at as usize), length as usize) }.to_vec()
    }

    /// The facts of a region that begins here, checked against the object's size; its head is
    /// loaded.
    pub(super) fn facts<L: Layout>(&self, size: u64) -> Result<L::Facts> {
        assert!(self.size >= L::LEAST);
        // SAFETY: page-aligned, and as long as `LEAST`.
        unsafe { L::read(self.base, size) }
    }

    /// The region with these facts, which must be those of this snapshot.
    pub(super) fn view<L: Layout>(&self, facts: L::Facts) -> L {
        assert!(self.size as u64 >= L::size(&facts));
        // SAFETY: page-aligned and long enough; the callers drop it before this.
        unsafe { L::view(self.base, facts) }
    }

    /// As [`Snapshot::facts`], for the wire layout: `size` is that of the object, of which the head
    /// is loaded.
    pub(super) fn wire_facts(&self, size: u64) -> Result<WireFacts> {
        assert!(self.size as u64 >= HEAD);
        // SAFETY: page-aligned; nothing behind the head is looked at.
        unsafe { WireFacts::read(self.base, size) }
    }

    /// The region with these facts, which are those of an object of this snapshot's size.
    pub(super) fn wire_view(&self, facts: WireFacts) -> WireView {
        // SAFETY: `wire_facts` has checked them against the size.
        unsafe { WireView::new(self.base, facts) }
    }

    /// The trailer, if this library made the region; loads it.
    pub(super) fn trailer(&self) -> Result<Option<&Trailer>> {
        let Some(at) = (self.size as u64).checked_sub(TRAILER) else { return Ok(None) };
        self.load(at, TRAILER)?;
        // SAFETY: so many bytes are there.
        Ok(unsafe { Trailer::find(self.base, self.size as u64) })
    }
}

/// The sample in a block that is loaded.
pub(super) fn sample(raw: Raw) -> Waiting {
    let header = raw.header();
    let time =
        |words: &[crate::protocol::atomics::Shared64; 2]| Timespec { sec: words[0].get() as i64, nsec: words[1].get() as i64 };
    Waiting::Sample {
        flags: Flags::from_bits(header.flags.get() as i32),
        sequence: header.sequence.get(),
        origin: time(&header.origin),
        received: time(&header.received),
        values: (0..raw.len()).map(|index| raw.value(index).get()).collect(),
    }
}

/// Appends what a tap has found; returns how many it has missed.
pub(super) fn give(from: Sender, found: Sightings<Waiting>, into: &mut Vec<Passed>) -> u64 {
    into.extend(found.seen.into_iter().filter_map(|one| {
        Some(Passed { from, position: one.position, may_have_changed: one.may_have_changed, what: one.copy? })
    }));
    found.missed
}
