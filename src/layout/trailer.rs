//! What this library appends to its own regions of the wire layout: the table of signals, up to a
//! multiple of 8, and a trailer, which is the last 128 bytes of the object.
//!
//! ```text
//!    0  magic u64, version u32, (padding)
//!   16  length u64         of VILLASnode's part; the table begins there
//!   24  signals_size u64   bytes of the table, 0 without signals
//!   32  signal_count u32
//!   64  holder 64          the region's maker
//! ```

use super::channel::MAX_SAMPLELEN;
use super::holder::Holder;
use super::signals;
use crate::error::{Error, Result};
use crate::protocol::atomics::{Shared32, Shared64};

/// See the module's description. `holder.incarnation` is stored last, when the region is ready.
#[repr(C)]
pub(crate) struct Trailer {
    pub(super) magic: Shared64,
    pub(super) version: Shared32,
    pub(super) _padding: u32,
    /// Where VILLASnode's part of the region ends, and the table of signals begins. Behind that is
    /// the trailer.
    pub(super) length: Shared64,
    pub(super) signals_size: Shared64,
    pub(super) signal_count: Shared32,
    pub(super) _reserved: [u32; 7],
    pub(super) holder: Holder,
}

pub(crate) const TRAILER: u64 = size_of::<Trailer>() as u64;
const TRAILER_MAGIC: u64 = u64::from_le_bytes(*b"VILLASHW");
const TRAILER_VERSION: u32 = 1;

const _: () = assert!(TRAILER == 128 && std::mem::offset_of!(Trailer, holder) == 64);

impl Trailer {
    /// Fills the trailer of a fresh region, except for its holder.
    pub(super) fn fill(&self, length: u64, signals_size: usize, signal_count: usize) {
        self.magic.set(TRAILER_MAGIC);
        self.version.set(TRAILER_VERSION);
        self.length.set(length);
        self.signals_size.set(signals_size as u64);
        self.signal_count.set(signal_count as u32);
    }

    pub(crate) fn holder(&self) -> &Holder {
        &self.holder
    }

    /// Where the table of signals before a trailer at `at` begins, and its bytes. `None`: the
    /// trailer does not say so.
    fn table(&self, at: u64) -> Option<(u64, u64)> {
        let (length, size) = (self.length.get(), self.signals_size.get());
        let (_, most) = signals::possible_size(MAX_SAMPLELEN.into());
        (size <= most && length.checked_add(size.next_multiple_of(8)) == Some(at)).then_some((length, size))
    }

    /// Where the table of signals of a region of `size` bytes lies, its bytes, and how many signals
    /// there are. Samples have room for `capacity` values.
    pub(crate) fn signals(&self, size: u64, capacity: u32) -> Result<(u64, u64, usize)> {
        let count = self.signal_count.get();
        match self.table(size - TRAILER) {
            Some((at, size)) if count <= capacity => Ok((at, size, count as usize)),
            _ => {
                Err(Error::corrupt(format!("the region's trailer is inconsistent: it has {count} signals of at most {capacity}")))
            }
        }
    }

    /// The trailer of a region of `size` bytes, if this library made it.
    ///
    /// # Safety
    /// At `base`, page-aligned, are `size` mapped bytes, for as long as the trailer is used.
    pub(crate) unsafe fn find<'r>(base: *const u8, size: u64) -> Option<&'r Trailer> {
        let at = size.checked_sub(TRAILER).filter(|at| at % 8 == 0)?;
        // SAFETY: within the mapping, 8-aligned, all atomics.
        let trailer = unsafe { &*base.add(at as usize).cast::<Trailer>() };
        let is_ours = trailer.holder.incarnation.observe() != 0
            && trailer.magic.get() == TRAILER_MAGIC
            && trailer.version.get() == TRAILER_VERSION
            && trailer.table(at).is_some();
        is_ours.then_some(trailer)
    }
}
