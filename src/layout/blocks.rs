//! The blocks of a pool: equally long, one after the other.

use super::sample::{Header, LINE, Raw};

/// Where the blocks of a mapped region are.
#[derive(Clone, Copy)]
pub(crate) struct Blocks {
    first: *const u8,
    /// `2^64 / lines of a block`, rounded up: the block of an address by a multiplication.
    inverse: u64,
    bytes: u64,
    block_size: u32,
    capacity: u32,
}

impl Blocks {
    /// # Safety
    /// `first` leads to `count` blocks of `block_size` bytes, all within mapped memory, 64-aligned,
    /// in fewer than 2^32 cache lines together. `block_size` is a multiple of 64, at least 128,
    /// with room for a header and `capacity` values.
    pub(crate) unsafe fn new(first: *const u8, count: u32, block_size: u32, capacity: u32) -> Blocks {
        let lines = u64::from(block_size) / LINE as u64;
        Blocks { first, inverse: u64::MAX / lines + 1, bytes: u64::from(count) * u64::from(block_size), block_size, capacity }
    }

    #[inline(always)]
    pub(crate) fn address(&self, block: u32) -> *const u8 {
        self.first.wrapping_add(block as usize * self.block_size as usize)
    }

    #[inline(always)]
    pub(crate) fn header(&self, block: u32) -> &Header {
        debug_assert!(u64::from(block) * u64::from(self.block_size) < self.bytes);
        // SAFETY: callers pass numbers of blocks: their own, or such as have been checked. A header
        // fits into a block.
        unsafe { &*self.address(block).cast::<Header>() }
    }

    /// `block` as a sample.
    #[inline(always)]
    pub(crate) fn raw(&self, block: u32) -> Raw {
        debug_assert!(u64::from(block) * u64::from(self.block_size) < self.bytes);
        // SAFETY: as for `header`; a block has room for `capacity` values.
        unsafe { Raw::new(self.address(block), self.capacity) }
    }

    /// Which block begins at `address`, if one does.
    #[inline(always)]
    pub(crate) fn at(&self, address: usize) -> Option<(u32, Raw)> {
        let offset = address.wrapping_sub(self.first as usize);
        if offset as u64 >= self.bytes || offset % LINE != 0 {
            return None;
        }
        // Division by the lines `d` of a block as a multiplication by its inverse, which is (2^64 +
        // e) / d, 0 <= e < d. With line = q d + r the product is 2^64 q + q e + r inverse: the
        // upper half is q, as line and d are below 2^32, and the lower half is below the inverse
        // exactly for r = 0, as q e is at most line, which is below 2^32, which the inverse is not.
        let product = u128::from((offset / LINE) as u64) * u128::from(self.inverse);
        if product as u64 >= self.inverse {
            return None;
        }
        // SAFETY: a block begins there, as in `raw`.
        Some(((product >> 64) as u32, unsafe { Raw::new(self.first.wrapping_add(offset), self.capacity) }))
    }
}
