//! The region of a channel, byte by byte.
//!
//! ```text
//! 0x0000  Facts    never written after the region has a name             256 bytes
//! 0x0100  Slot A   who holds the node side      } written by the holder  128
//! 0x0180  Slot B   who holds the program side   } of that side's lock    128
//! 0x0200  Words A  ┌ 0x000 taken                A: written on each read  128
//!                  │ 0x080 used, kept, counters A: rarely                128
//!                  │ 0x100 bell: data           futex word, when A sleeps 128
//!                  └ 0x180 bell: room           futex word, when A sleeps 128
//! 0x0400  Words B  the same
//! 0x0600  (zero)
//! 0x1000  entries A → B   u32 × ring_len, from a multiple of 128
//!         entries B → A   u32 × ring_len, from a multiple of 128
//!         pool            block_size × 2 × home_blocks, from a multiple of 128; first the blocks at home on side A
//! ```
//!
//! Words of different writers are 128 bytes apart, because processors fetch lines in adjacent pairs. The slots are written at
//! attach and close only, so that a look at the peer's costs no cache miss.
//!
//! All offsets follow from `queuelen`, `samplelen` and `spare`. They are stored too, for other programs' sake; attaching
//! computes them again and refuses a region where they differ, so that one check covers them all.

#[cfg(test)]
#[path = "../tests/fields/channel.rs"]
mod fields;

use super::Layout;
use super::blocks::Blocks;
use super::holder::Slot;
use super::sample::{self, Raw};
use crate::error::{Error, Result};
use crate::protocol::atomics::{self, Shared32, Shared64};
use crate::protocol::channel_words::{Bell, Side, Words};
use crate::sys;
use crate::sys::Slept;
use std::mem::{offset_of, size_of};
use std::time::Duration;

/// The first eight bytes of a region.
pub(crate) const MAGIC: u64 = u64::from_le_bytes(*b"VILLASHM");
/// The version of this layout.
pub(crate) const VERSION: u32 = 1;
/// The largest queue length.
pub(crate) const MAX_QUEUELEN: u32 = 1 << 20;
/// The most values that a sample can have.
pub(crate) const MAX_SAMPLELEN: u32 = 1 << 16;

/// A pool has fewer than 2^32 cache lines.
const MAX_POOL: u64 = (1 << 32) * sample::LINE as u64;

/// What never changes in a region.
#[repr(C)]
pub(crate) struct RawFacts {
    pub(crate) magic: Shared64,
    pub(crate) version: Shared32,
    pub(crate) polling: Shared32,
    pub(crate) total_size: Shared64,
    pub(crate) queuelen: Shared32,
    pub(crate) samplelen: Shared32,
    pub(crate) spare: Shared32,
    pub(crate) ring_len: Shared32,
    pub(crate) block_size: Shared32,
    pub(crate) home_blocks: Shared32,
    pub(crate) rings: [Shared64; 2],
    pub(crate) pool: Shared64,
    /// Seconds since 1970.
    pub(crate) created: Shared64,
    _reserved: [u64; 22],
}

#[repr(C, align(128))]
pub(super) struct Apart<T>(pub(super) T);

#[repr(C)]
pub(crate) struct Counters {
    pub(crate) used: Shared64,
    pub(crate) kept: Shared64,
    pub(crate) waits: Shared64,
    pub(crate) wakeups: Shared64,
    /// Samples that holders of the side were given again, for the sake of those who look at the region.
    pub(crate) redelivered: Shared64,
}

#[repr(C)]
struct SideWords {
    taken: Apart<Shared64>,
    counters: Apart<Counters>,
    bells: [Apart<Shared32>; 2],
}

#[repr(C)]
struct Head {
    facts: RawFacts,
    slots: [Apart<Slot>; 2],
    words: [SideWords; 2],
}

pub(crate) const ENTRIES: u64 = 0x1000;
const _: () = {
    assert!(size_of::<RawFacts>() == 0x100 && size_of::<Apart<Slot>>() == 0x80);
    assert!(offset_of!(RawFacts, version) == 8 && offset_of!(RawFacts, total_size) == 16);
    assert!(offset_of!(Head, slots) == 0x100 && offset_of!(Head, words) == 0x200);
    assert!(offset_of!(SideWords, counters) == 0x80 && offset_of!(SideWords, bells) == 0x100);
    assert!(size_of::<SideWords>() == 0x200 && size_of::<Head>() <= ENTRIES as usize);
};

/// The facts of a region, checked and kept in private memory.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Facts {
    pub(crate) polling: bool,
    pub(crate) queuelen: u32,
    pub(crate) samplelen: u32,
    pub(crate) spare: u32,
    /// Entries of each queue: a power of two, at least `queuelen`.
    pub(crate) ring_len: u32,
    pub(crate) block_size: u32,
    /// Blocks at home on each side.
    pub(crate) home_blocks: u32,
    pub(crate) rings: [u64; 2],
    pub(crate) pool: u64,
    pub(crate) total_size: u64,
}

impl Facts {
    /// Computes the layout; the parameters must be in range.
    pub(crate) fn new(polling: bool, queuelen: u32, samplelen: u32, spare: u32) -> Result<Facts> {
        let check = |what: &str, value: u32, least: u32, most: u32| {
            if (least..=most).contains(&value) {
                Ok(())
            } else {
                Err(Error::invalid(format!("{what} is {value}, but must be from {least} to {most}")))
            }
        };
        check("queuelen", queuelen, 1, MAX_QUEUELEN)?;
        check("samplelen", samplelen, 1, MAX_SAMPLELEN)?;
        check("spare", spare, 1, MAX_QUEUELEN)?;
        let ring_len = queuelen.next_power_of_two();
        let ring_bytes = (u64::from(ring_len) * 4).next_multiple_of(128);
        let home_blocks = queuelen + spare;
        let block_size = sample::block_size(samplelen);
        let pool = ENTRIES + 2 * ring_bytes;
        let pool_bytes = 2 * u64::from(home_blocks) * block_size;
        if pool_bytes >= MAX_POOL {
            return Err(Error::invalid(format!(
                "queuelen {queuelen} with samplelen {samplelen} takes {} GiB of memory, more than a region can have",
                pool_bytes >> 30
            )));
        }
        Ok(Facts {
            polling,
            queuelen,
            samplelen,
            spare,
            ring_len,
            block_size: block_size as u32,
            home_blocks,
            rings: [ENTRIES, ENTRIES + ring_bytes],
            pool,
            total_size: pool + pool_bytes,
        })
    }

    pub(crate) fn blocks(&self) -> u32 {
        2 * self.home_blocks
    }

    /// Reads and checks the facts of a region of `size` bytes.
    pub(crate) fn read(raw: &RawFacts, size: u64) -> Result<Facts> {
        if size < ENTRIES {
            return Err(Error::corrupt(format!(
                "the object has {size} bytes, fewer than any region of this library: not ours, or cut short"
            )));
        }
        if raw.magic.observe() != MAGIC {
            return Err(Error::corrupt("the object does not begin like a region of this library: another program made it"));
        }
        let version = raw.version.get();
        if version == 0 {
            return Err(Error::new(libc::EAGAIN, "the region is not ready yet: its maker is still at work"));
        }
        if version != VERSION {
            return Err(Error::new(
                libc::EPROTO,
                format!("the region has layout version {version}, this library knows {VERSION}: update the older program"),
            ));
        }
        let polling = raw.polling.get();
        let facts = Facts::new(polling == 1, raw.queuelen.get(), raw.samplelen.get(), raw.spare.get())
            .map_err(|e| Error::corrupt(format!("the region's header is inconsistent: {e}")))?;
        let stored = Facts {
            ring_len: raw.ring_len.get(),
            block_size: raw.block_size.get(),
            home_blocks: raw.home_blocks.get(),
            rings: [raw.rings[0].get(), raw.rings[1].get()],
            pool: raw.pool.get(),
            total_size: raw.total_size.get(),
            ..facts
        };
        if polling > 1 || stored != facts || facts.total_size != size {
            return Err(Error::corrupt(format!(
                "the region's header is inconsistent: queuelen {}, samplelen {} and spare {} take {} bytes, it says {}, the object has {size}",
                facts.queuelen, facts.samplelen, facts.spare, facts.total_size, stored.total_size
            )));
        }
        Ok(facts)
    }

    /// Writes the facts into a fresh region; the version comes last.
    pub(crate) fn write(&self, raw: &RawFacts, created: u64) {
        raw.magic.set(MAGIC);
        raw.polling.set(u32::from(self.polling));
        raw.total_size.set(self.total_size);
        raw.queuelen.set(self.queuelen);
        raw.samplelen.set(self.samplelen);
        raw.spare.set(self.spare);
        raw.ring_len.set(self.ring_len);
        raw.block_size.set(self.block_size);
        raw.home_blocks.set(self.home_blocks);
        raw.rings[0].set(self.rings[0]);
        raw.rings[1].set(self.rings[1]);
        raw.pool.set(self.pool);
        raw.created.set(created);
        raw.version.publish(VERSION);
    }
}

/// A mapped region whose facts have been checked: where each shared word is.
///
/// It holds no mapping: who makes it keeps the mapping for as long (`channel::native::Life`).
#[derive(Clone, Copy)]
pub(crate) struct View {
    base: *const u8,
    blocks: Blocks,
    facts: Facts,
    /// [`atomics::is_asymmetric`], which stays true once it is, in the reach of the hot path.
    is_asymmetric: bool,
}

// SAFETY: a view only leads to atomics, which every thread may use.
unsafe impl Send for View {}
// SAFETY: as above.
unsafe impl Sync for View {}

impl View {
    /// # Safety
    /// `base` must be the page-aligned start of a mapping of `facts.total_size` bytes that stays for as long as the view is used.
    pub(crate) unsafe fn new(base: *const u8, facts: Facts) -> View {
        // SAFETY: the pool lies within the mapping, 128-aligned; a block has room for `samplelen` values.
        let blocks = unsafe { Blocks::new(base.add(facts.pool as usize), facts.blocks(), facts.block_size, facts.samplelen) };
        View { base, blocks, facts, is_asymmetric: atomics::is_asymmetric() }
    }

    pub(crate) fn facts(&self) -> &Facts {
        &self.facts
    }

    pub(crate) fn base(&self) -> *const u8 {
        self.base
    }

    fn head(&self) -> &Head {
        // SAFETY: a region is at least as long as its head (checked by `Facts::read`), page-aligned, and all of `Head`
        // is atomics or padding that nobody reads.
        unsafe { &*self.base.cast::<Head>() }
    }

    pub(crate) fn raw_facts(&self) -> &RawFacts {
        &self.head().facts
    }

    pub(crate) fn slot(&self, side: Side) -> &Slot {
        &self.head().slots[side as usize].0
    }

    pub(crate) fn counters(&self, side: Side) -> &Counters {
        &self.head().words[side as usize].counters.0
    }
}

impl Layout for View {
    type Facts = Facts;
    type Place = Side;
    const LEAST: usize = size_of::<RawFacts>();
    const CLOSED_IS_FREE: bool = false;
    const INCARNATION_BITS: u32 = 60;

    unsafe fn read(base: *const u8, size: u64) -> Result<Facts> {
        // SAFETY: at least as long as the facts, as the caller promises.
        Facts::read(unsafe { &*base.cast::<RawFacts>() }, size)
    }
    unsafe fn view(base: *const u8, facts: Facts) -> View {
        // SAFETY: as the caller promises.
        unsafe { View::new(base, facts) }
    }
    fn write(&self, created: u64) {
        self.facts().write(self.raw_facts(), created);
    }
    fn size(facts: &Facts) -> u64 {
        facts.total_size
    }
    fn slot(&self, side: Side) -> &Slot {
        View::slot(self, side)
    }
    fn first_byte(side: Side) -> u64 {
        (side as u64 + 1) << Self::INCARNATION_BITS
    }
    fn describe(side: Side) -> &'static str {
        match side {
            Side::A => "node side",
            Side::B => "program side",
        }
    }
}

impl Words for View {
    type Block = Raw;
    #[inline(always)]
    fn block(&self, number: u32) -> Raw {
        self.blocks.raw(number)
    }
    #[inline(always)]
    fn block_at(&self, address: usize) -> Option<(u32, Raw)> {
        self.blocks.at(address)
    }
    #[inline(always)]
    fn light_fence(&self) {
        if self.is_asymmetric {
            atomics::light_fence_here();
        } else {
            atomics::light_fence();
        }
    }
    #[inline(always)]
    fn entry(&self, from: Side, slot: u32) -> &Shared32 {
        debug_assert!(slot < self.facts.ring_len);
        let ring = self.facts.rings[from as usize] as usize;
        // SAFETY: `queue` masks slots to the ring's length; the ring lies within the mapping, 4-aligned.
        unsafe { &*self.base.add(ring + 4 * slot as usize).cast::<Shared32>() }
    }
    #[inline(always)]
    fn taken(&self, side: Side) -> &Shared64 {
        &self.head().words[side as usize].taken.0
    }
    fn used(&self, side: Side) -> &Shared64 {
        &self.counters(side).used
    }
    fn kept(&self, side: Side) -> &Shared64 {
        &self.counters(side).kept
    }
    #[inline(always)]
    fn bell(&self, side: Side, bell: Bell) -> &Shared32 {
        &self.head().words[side as usize].bells[bell as usize].0
    }
    fn count_redelivered(&self, side: Side) {
        self.counters(side).redelivered.count();
    }
    fn sleep(&self, side: Side, bell: Bell, seen: u32, slice: Duration) -> Slept {
        self.counters(side).waits.count();
        sys::futex::wait(self.bell(side, bell).as_ptr(), seen, slice)
    }
    fn wake(&self, by: Side, side: Side, bell: Bell) {
        self.counters(by).wakeups.count();
        sys::futex::wake(self.bell(side, bell).as_ptr());
    }
}
