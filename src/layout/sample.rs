//! A block of the pool: a sample's header, then its values.
//!
//! The layout is that of VILLASnode 1.2 on x86-64, so that a pointer to a sample means the same
//! with every peer. The 32 bytes from 24, where VILLASnode keeps `signals`, `refcnt` and
//! `pool_off`, hold the four queue positions of the block's life.
//!
//! ```text
//!   0  sequence u64                     40  sent  by B  u64
//!   8  length   u32   values in use     48  done  by B  u64
//!  12  capacity u32   values that fit   56  ts.origin   i64 s, i64 ns
//!  16  flags    i32                     72  ts.received i64 s, i64 ns
//!  20  tag      u32   (`protocol::tap`) 88  data, 8 bytes each
//!  24  sent  by A  u64
//!  32  done  by A  u64
//! ```

use crate::error::{Error, Result};
use crate::protocol::atomics::{Shared32, Shared64, load_bytes, store_bytes};
use crate::protocol::channel_words::{Block, Side};
use crate::sys::processor;

/// The header of a block. Any process may change any byte at any time, hence atomics only.
#[repr(C)]
pub(crate) struct Header {
    pub(crate) sequence: Shared64,
    pub(crate) length: Shared32,
    pub(crate) capacity: Shared32,
    pub(crate) flags: Shared32,
    pub(crate) tag: Shared32,
    /// Side A's `sent` and `done`, side B's `sent` and `done`.
    pub(crate) positions: [[Shared64; 2]; 2],
    /// Seconds, nanoseconds.
    pub(crate) origin: [Shared64; 2],
    /// Seconds, nanoseconds.
    pub(crate) received: [Shared64; 2],
}

/// Where the values begin.
pub(crate) const DATA: usize = 88;
/// Blocks begin on cache lines.
pub(crate) const LINE: usize = 64;

const _: () = {
    use core::mem::{offset_of, size_of};
    assert!(size_of::<Header>() == DATA);
    assert!(offset_of!(Header, length) == 8);
    assert!(offset_of!(Header, capacity) == 12);
    assert!(offset_of!(Header, flags) == 16);
    assert!(offset_of!(Header, tag) == 20);
    assert!(offset_of!(Header, positions) == 24);
    assert!(offset_of!(Header, origin) == 56);
    assert!(offset_of!(Header, received) == 72);
};

/// Bytes of a block for samples of `samplelen` values: whole cache lines.
pub(crate) const fn block_size(samplelen: u32) -> u64 {
    (DATA as u64 + 8 * samplelen as u64).next_multiple_of(LINE as u64)
}

/// A block in mapped memory, and how many values it has room for.
#[derive(Clone, Copy)]
pub(crate) struct Raw {
    header: *const Header,
    capacity: u32,
}

// SAFETY: it only leads to atomics, which every thread may use.
unsafe impl Send for Raw {}
// SAFETY: as above.
unsafe impl Sync for Raw {}

impl Raw {
    /// # Safety
    /// At `block`, 8-aligned, is mapped memory for a header and `capacity` values, for as long as
    /// the copies of this are used.
    #[inline(always)]
    pub(crate) unsafe fn new(block: *const u8, capacity: u32) -> Raw {
        Raw { header: block.cast(), capacity }
    }

    /// What a C program knows the sample by.
    #[inline(always)]
    pub(crate) fn address(&self) -> *const u8 {
        self.header.cast()
    }

    #[inline(always)]
    pub(crate) fn capacity(&self) -> u32 {
        self.capacity
    }

    #[inline(always)]
    pub(crate) fn header(&self) -> &Header {
        // SAFETY: mapped and aligned (`new`), all atomics.
        unsafe { &*self.header }
    }

    /// How many values it has; bounded, because a peer may change it after it was checked.
    #[inline(always)]
    pub(crate) fn len(&self) -> u32 {
        self.header().length.get().min(self.capacity)
    }

    /// The word of value `index`, which must be below the capacity.
    #[inline(always)]
    pub(crate) fn value(&self, index: u32) -> &Shared64 {
        assert!(index < self.capacity, "value {index} of a sample of {}", self.capacity);
        // SAFETY: within the block, 8-aligned.
        unsafe { &*self.address().add(DATA + 8 * index as usize).cast::<Shared64>() }
    }

    /// Where the values are: room for as many as the capacity says.
    #[inline(always)]
    pub(crate) fn values(&self) -> *mut u8 {
        self.address().wrapping_add(DATA).cast_mut()
    }

    /// A hint that the values will be read soon. The lines of a batch then come together, and not as
    /// few at a time as the processor looks ahead in a program that does something with each.
    #[inline(always)]
    pub(crate) fn expect_reader(&self) {
        processor::fetch_to_read(self.values());
    }

    /// Copies the first values out, as many as there are and as `values` has room for; returns how
    /// many.
    #[inline(always)]
    pub(crate) fn read(&self, values: &mut [f64]) -> usize {
        let count = values.len().min(self.len() as usize);
        // SAFETY: no more values than the block has room for, and `values`.
        unsafe { load_bytes(self.values(), values.as_mut_ptr().cast(), 8 * count) };
        count
    }

    /// Copies the first values in, as many as fit.
    #[inline(always)]
    pub(crate) fn write(&self, values: &[f64]) {
        let count = values.len().min(self.capacity as usize);
        // SAFETY: no more values than the block has room for, and `values`.
        unsafe { store_bytes(values.as_ptr().cast(), self.values(), 8 * count) };
    }

    /// Copies all that a sample says from another block.
    pub(crate) fn copy_from(&self, other: &Raw) -> Result<()> {
        let (to, from) = (self.header(), other.header());
        if std::ptr::eq(to, from) {
            return Ok(());
        }
        let length = other.len();
        if length > self.capacity {
            return Err(Error::invalid(format!("{length} values do not fit into a sample of {}", self.capacity)));
        }
        to.length.set(length);
        to.sequence.set(from.sequence.get());
        to.flags.set(from.flags.get());
        for part in 0..2 {
            to.origin[part].set(from.origin[part].get());
            to.received[part].set(from.received[part].get());
        }
        // SAFETY: `length` is within both capacities, and blocks do not overlap.
        unsafe { store_bytes(other.values(), self.values(), 8 * length as usize) };
        Ok(())
    }
}

/// Values that fit into two lines with their header.
const VALUES_IN_TWO_LINES: u32 = ((2 * LINE - DATA) / 8) as u32;

impl Block for Raw {
    #[inline(always)]
    fn sent(&self, side: Side) -> &Shared64 {
        &self.header().positions[side as usize][0]
    }
    #[inline(always)]
    fn done(&self, side: Side) -> &Shared64 {
        &self.header().positions[side as usize][1]
    }
    #[inline(always)]
    fn tag(&self) -> &Shared32 {
        &self.header().tag
    }
    /// Up to three lines: a header and 13 values; the processor finds the rest of a long sample by
    /// itself. No line of the next block, which the peer may be at.
    #[inline(always)]
    fn expect(&self) {
        let start = self.address();
        processor::fetch_to_write::<0>(start);
        processor::fetch_to_write::<LINE>(start);
        if self.capacity > VALUES_IN_TWO_LINES {
            processor::fetch_to_write::<{ 2 * LINE }>(start);
        }
    }
    #[inline(always)]
    fn reset(&self) {
        let header = self.header();
        header.sequence.set(0);
        header.length.set(0);
        header.capacity.set(self.capacity);
        header.flags.set(0);
        for part in [&header.origin, &header.received] {
            part[0].set(0);
            part[1].set(0);
        }
    }
    #[inline(always)]
    fn is_sound(&self) -> bool {
        let header = self.header();
        header.length.get() <= self.capacity && header.capacity.get() == self.capacity
    }
    fn mark(&self, flag: i32) {
        let flags = &self.header().flags;
        flags.set(flags.get() | flag as u32);
    }
}
