//! The region of a channel, byte by byte.
//!
//! ```text
//! 0x0000  facts      never written after the region has a name             256 bytes
//!                    from 0x50: signals u64, signals_size u64, signal_counts u32 × 2, history u32
//! 0x0100  holder A   who holds the node side      } written by the holder  128
//! 0x0180  holder B   who holds the program side   } of that side's lock    128
//! 0x0200  words A    ┌ 0x000 taken                    A: written on each read  128
//!                    │ 0x080 used, kept, counters     A: rarely                128
//!                    │ 0x100 doorbell: data           futex word, when A sleeps 128
//!                    └ 0x180 doorbell: room           futex word, when A sleeps 128
//! 0x0400  words B    as words A
//! 0x0600  (zero)
//! 0x1000  entries A → B   u32 × entries, from a multiple of 128
//!         entries B → A   u32 × entries, from a multiple of 128
//!         pool            block_size × 2 × home_blocks, a multiple of 128; side A's home first
//!         signals         signals_size bytes (`signals`): those of A → B, then those of B → A
//! ```
//!
//! Words of different writers are 128 bytes apart, because processors fetch lines in adjacent
//! pairs. The holders are written at attach and close only, so that a look at the peer's costs no
//! cache miss.
//!
//! All offsets follow from `queuelen`, `samplelen` and `spare`, the region's end also from
//! `signals_size`. They are stored too, for other programs' sake; attaching computes them again and
//! refuses a region where they differ, so that one check covers them all.

#[cfg(test)]
#[path = "../tests/fields/channel.rs"]
mod fields;

use super::Layout;
use super::blocks::Blocks;
use super::holder::Holder;
use super::sample::{self, Raw};
use super::signals;
use crate::error::{Error, Result};
use crate::memory::zeroed::Table;
use crate::protocol::atomics::{self, Shared32, Shared64};
use crate::protocol::channel_words::{ChannelBell, ChannelWords, Side};
use crate::sys;
use crate::sys::Slept;
use std::mem::{offset_of, size_of};
use std::time::Duration;

/// The first eight bytes of a region.
pub(crate) const MAGIC: u64 = u64::from_le_bytes(*b"VILLASHM");
/// The version of this layout.
pub(crate) const VERSION: u32 = 3;
/// The largest queue length.
pub(crate) const MAX_QUEUELEN: u32 = 1 << 20;
/// The most values that a sample can have.
pub(crate) const MAX_SAMPLELEN: u32 = 1 << 16;
/// The most blocks that a block can wait for before it is used again.
pub(crate) const MAX_HISTORY: u32 = 1 << 20;

/// A pool has fewer than 2^32 cache lines.
const MAX_POOL: u64 = (1 << 32) * sample::LINE as u64;

/// What never changes in a region.
#[repr(C)]
pub(crate) struct RawChannelFacts {
    pub(crate) magic: Shared64,
    pub(crate) version: Shared32,
    pub(crate) polling: Shared32,
    pub(crate) total_size: Shared64,
    pub(crate) queuelen: Shared32,
    pub(crate) samplelen: Shared32,
    pub(crate) spare: Shared32,
    pub(crate) entries: Shared32,
    pub(crate) block_size: Shared32,
    pub(crate) home_blocks: Shared32,
    pub(crate) queues: [Shared64; 2],
    pub(crate) pool: Shared64,
    /// Seconds since 1970.
    pub(crate) created: Shared64,
    /// Where the table of signals begins.
    pub(crate) signals: Shared64,
    pub(crate) signals_size: Shared64,
    pub(crate) signal_counts: [Shared32; 2],
    pub(crate) history: Shared32,
    _reserved: [u32; 37],
}

#[repr(C, align(128))]
pub(super) struct Apart<T>(pub(super) T);

#[repr(C)]
pub(crate) struct ChannelCounters {
    pub(crate) used: Shared64,
    pub(crate) kept: Shared64,
    pub(crate) waits: Shared64,
    pub(crate) wakeups: Shared64,
    /// Samples that holders of the side were given again; only `inspect` reads it.
    pub(crate) redelivered: Shared64,
}

#[repr(C)]
struct SideWords {
    taken: Apart<Shared64>,
    counters: Apart<ChannelCounters>,
    doorbells: [Apart<Shared32>; 2],
}

#[repr(C)]
struct ChannelHead {
    facts: RawChannelFacts,
    holders: [Apart<Holder>; 2],
    words: [SideWords; 2],
}

pub(crate) const ENTRIES: u64 = 0x1000;
/// The bytes from `taken` of A to that of B.
pub(crate) const TAKEN: std::ops::Range<u64> = 0x200..0x408;
const _: () = {
    assert!(size_of::<RawChannelFacts>() == 0x100 && size_of::<Apart<Holder>>() == 0x80);
    assert!(offset_of!(RawChannelFacts, version) == 8 && offset_of!(RawChannelFacts, total_size) == 16);
    assert!(offset_of!(RawChannelFacts, signals) == 0x50 && offset_of!(RawChannelFacts, signal_counts) == 0x60);
    assert!(offset_of!(RawChannelFacts, history) == 0x68);
    assert!(offset_of!(ChannelHead, holders) == 0x100 && offset_of!(ChannelHead, words) == TAKEN.start as usize);
    assert!(TAKEN.end - TAKEN.start == size_of::<SideWords>() as u64 + 8);
    assert!(offset_of!(SideWords, counters) == 0x80 && offset_of!(SideWords, doorbells) == 0x100);
    assert!(size_of::<SideWords>() == 0x200 && size_of::<ChannelHead>() <= ENTRIES as usize);
};

/// The facts of a region, checked and kept in private memory.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct ChannelFacts {
    pub(crate) polling: bool,
    pub(crate) queuelen: u32,
    pub(crate) samplelen: u32,
    pub(crate) spare: u32,
    /// Entries of each queue: a power of two, at least `queuelen`.
    pub(crate) entries: u32,
    pub(crate) block_size: u32,
    /// Blocks at home on each side.
    pub(crate) home_blocks: u32,
    pub(crate) queues: [u64; 2],
    pub(crate) pool: u64,
    pub(crate) signals_size: u64,
    /// Of A → B, of B → A.
    pub(crate) signal_counts: [u32; 2],
    /// How many others of its home are used before a block is used again, if so many are free.
    pub(crate) history: u32,
    pub(crate) total_size: u64,
}

stored!(ChannelFacts in RawChannelFacts:
    total_size, queuelen, samplelen, spare, entries, block_size, home_blocks, pool, signals_size, history);

impl ChannelFacts {
    /// Computes the layout of a region without signals; the parameters must be in range.
    pub(crate) fn new(polling: bool, queuelen: u32, samplelen: u32, spare: u32) -> Result<ChannelFacts> {
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
        let entries = queuelen.next_power_of_two();
        let queue_bytes = (u64::from(entries) * 4).next_multiple_of(128);
        let home_blocks = queuelen + spare;
        let block_size = sample::block_size(samplelen);
        let pool = ENTRIES + 2 * queue_bytes;
        let pool_bytes = 2 * u64::from(home_blocks) * block_size;
        if pool_bytes >= MAX_POOL {
            return Err(Error::invalid(format!(
                "queuelen {queuelen} with samplelen {samplelen} takes {} GiB of memory, more than a region can have",
                pool_bytes >> 30
            )));
        }
        Ok(ChannelFacts {
            polling,
            queuelen,
            samplelen,
            spare,
            entries,
            block_size: block_size as u32,
            home_blocks,
            queues: [ENTRIES, ENTRIES + queue_bytes],
            pool,
            signals_size: 0,
            signal_counts: [0; 2],
            history: 0,
            total_size: pool + pool_bytes,
        })
    }

    /// Appends a table of signals of `size` bytes.
    pub(crate) fn with_signals(self, counts: [u32; 2], size: u64) -> Result<ChannelFacts> {
        let (least, most) = signals::possible_size(counts.into_iter().map(u64::from).sum());
        if counts.into_iter().any(|count| count > self.samplelen) || !(least..=most).contains(&size) {
            return Err(Error::invalid(format!(
                "{} and {} signals in {size} bytes are not possible with samplelen {}",
                counts[0], counts[1], self.samplelen
            )));
        }
        Ok(ChannelFacts { signals_size: size, signal_counts: counts, total_size: self.signals() + size, ..self })
    }

    /// With this many others used before a block is used again.
    pub(crate) fn with_history(self, history: u32) -> Result<ChannelFacts> {
        if history > MAX_HISTORY {
            return Err(Error::invalid(format!("history is {history}, but must be from 0 to {MAX_HISTORY}")));
        }
        Ok(ChannelFacts { history, ..self })
    }

    /// Where the table of signals begins.
    pub(crate) fn signals(&self) -> u64 {
        self.total_size - self.signals_size
    }

    pub(crate) fn blocks(&self) -> u32 {
        2 * self.home_blocks
    }

    /// Reads and checks the facts of a region of `size` bytes.
    pub(crate) fn read(raw: &RawChannelFacts, size: u64) -> Result<ChannelFacts> {
        if size < ENTRIES {
            return Err(Error::corrupt(format!(
                "the object has {size} bytes, fewer than any region of this library: not ours, or cut short"
            )));
        }
        if raw.magic.observe() == super::ring::MAGIC {
            return Err(Error::corrupt("this region is a ring, not a channel: open it as a ring, or take another name"));
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
        let counts = [raw.signal_counts[0].get(), raw.signal_counts[1].get()];
        let facts = ChannelFacts::new(polling == 1, raw.queuelen.get(), raw.samplelen.get(), raw.spare.get())
            .and_then(|facts| facts.with_signals(counts, raw.signals_size.get()))
            .and_then(|facts| facts.with_history(raw.history.get()))
            .map_err(|e| Error::corrupt(format!("the region's header is inconsistent: {e}")))?;
        let stored = raw.load(ChannelFacts { queues: [raw.queues[0].get(), raw.queues[1].get()], ..facts });
        if polling > 1 || stored != facts || raw.signals.get() != facts.signals() || facts.total_size != size {
            return Err(Error::corrupt(format!(
                "the region's header is inconsistent: queuelen {}, samplelen {} and spare {} take {} bytes, it says {}, the object has {size}",
                facts.queuelen, facts.samplelen, facts.spare, facts.total_size, stored.total_size
            )));
        }
        Ok(facts)
    }

    /// Writes the facts into a fresh region; the version comes last.
    pub(crate) fn write(&self, raw: &RawChannelFacts, created: u64) {
        raw.magic.set(MAGIC);
        raw.polling.set(u32::from(self.polling));
        raw.store(self);
        raw.queues[0].set(self.queues[0]);
        raw.queues[1].set(self.queues[1]);
        raw.signals.set(self.signals());
        raw.signal_counts[0].set(self.signal_counts[0]);
        raw.signal_counts[1].set(self.signal_counts[1]);
        raw.created.set(created);
        raw.version.publish(VERSION);
    }
}

/// A mapped region whose facts have been checked: where each shared word is.
///
/// It holds no mapping: its maker keeps the mapping for as long (`region::Region`).
#[derive(Clone, Copy)]
pub(crate) struct ChannelView {
    base: *const u8,
    blocks: Blocks,
    facts: ChannelFacts,
    /// [`atomics::is_asymmetric`], which stays true once it is, in the reach of the hot path.
    is_asymmetric: bool,
}

// SAFETY: a view only leads to atomics, which every thread may use.
unsafe impl Send for ChannelView {}
// SAFETY: as above.
unsafe impl Sync for ChannelView {}

impl ChannelView {
    /// # Safety
    /// `base` must be the page-aligned start of a mapping of `facts.total_size` bytes that stays
    /// for as long as the view is used.
    pub(crate) unsafe fn new(base: *const u8, facts: ChannelFacts) -> ChannelView {
        // SAFETY: the pool lies within the mapping, 128-aligned; a block has room for `samplelen`
        // values.
        let blocks = unsafe { Blocks::new(base.add(facts.pool as usize), facts.blocks(), facts.block_size, facts.samplelen) };
        ChannelView { base, blocks, facts, is_asymmetric: atomics::is_asymmetric() }
    }

    pub(crate) fn facts(&self) -> &ChannelFacts {
        &self.facts
    }

    pub(crate) fn base(&self) -> *const u8 {
        self.base
    }

    /// Writes the table of signals, of `signals_size` bytes, into a region that has no name yet.
    pub(crate) fn write_signals(&self, table: &[u8]) {
        assert!(table.len() as u64 == self.facts.signals_size);
        // SAFETY: the table lies within the mapping, and no other process has that so far.
        unsafe {
            let to = self.base.add(self.facts.signals() as usize).cast_mut();
            atomics::store_bytes(table.as_ptr(), to, table.len());
        }
    }

    /// A private copy of the table of signals.
    pub(crate) fn copy_signals(&self) -> Result<Table<u8>> {
        // SAFETY: the table lies within the mapping.
        unsafe { signals::copy(self.base.add(self.facts.signals() as usize), self.facts.signals_size) }
    }

    fn head(&self) -> &ChannelHead {
        // SAFETY: a region is at least as long as its head (checked by `ChannelFacts::read`),
        // page-aligned, and all of `ChannelHead` is atomics or padding that nobody reads.
        unsafe { &*self.base.cast::<ChannelHead>() }
    }

    pub(crate) fn raw_facts(&self) -> &RawChannelFacts {
        &self.head().facts
    }

    pub(crate) fn holder(&self, side: Side) -> &Holder {
        &self.head().holders[side as usize].0
    }

    pub(crate) fn counters(&self, side: Side) -> &ChannelCounters {
        &self.head().words[side as usize].counters.0
    }
}

impl Layout for ChannelView {
    type Facts = ChannelFacts;
    type Place = Side;
    const LEAST: usize = size_of::<RawChannelFacts>();
    const CLOSED_IS_FREE: bool = false;
    const INCARNATION_BITS: u32 = 60;

    unsafe fn read(base: *const u8, size: u64) -> Result<ChannelFacts> {
        // SAFETY: at least as long as the facts, as the caller promises.
        ChannelFacts::read(unsafe { &*base.cast::<RawChannelFacts>() }, size)
    }
    unsafe fn view(base: *const u8, facts: ChannelFacts) -> ChannelView {
        // SAFETY: as the caller promises.
        unsafe { ChannelView::new(base, facts) }
    }
    fn write(&self, created: u64) {
        self.facts().write(self.raw_facts(), created);
    }
    fn size(facts: &ChannelFacts) -> u64 {
        facts.total_size
    }
    fn holder(&self, side: Side) -> &Holder {
        ChannelView::holder(self, side)
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

impl ChannelWords for ChannelView {
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
    fn entry(&self, from: Side, holder: u32) -> &Shared32 {
        debug_assert!(holder < self.facts.entries);
        let queue = self.facts.queues[from as usize] as usize;
        // SAFETY: `queue` masks indexes to the number of entries; they lie within the mapping,
        // 4-aligned.
        unsafe { &*self.base.add(queue + 4 * holder as usize).cast::<Shared32>() }
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
    fn bell(&self, side: Side, bell: ChannelBell) -> &Shared32 {
        &self.head().words[side as usize].doorbells[bell as usize].0
    }
    fn count_redelivered(&self, side: Side) {
        self.counters(side).redelivered.count();
    }
    fn sleep(&self, side: Side, bell: ChannelBell, seen: u32, slice: Duration) -> Slept {
        self.counters(side).waits.count();
        sys::futex::wait(self.bell(side, bell).as_ptr(), seen, slice)
    }
    fn wake(&self, by: Side, side: Side, bell: ChannelBell) {
        self.counters(by).wakeups.count();
        sys::futex::wake(self.bell(side, bell).as_ptr());
    }
}
