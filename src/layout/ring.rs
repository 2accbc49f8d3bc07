//! The region of a ring, byte by byte.
//!
//! ```text
//! 0x0000  facts        never written after the region has a name        256 bytes
//! 0x0100  tail         written by producers                             128
//! 0x0180  head         written by consumers                             128
//! 0x0200  bell: data   futex word, when consumers sleep                 128
//! 0x0280  bell: room   futex word, when producers sleep                 128
//! 0x0300  counters     rarely                                           128
//! 0x0380  (zero)
//! 0x0400  places       64 × places: the producer, the consumer; where several may be, the others
//!         slots        stride × capacity, from a multiple of 128
//! ```
//!
//! A slot is a message with its word behind it:
//!
//! ```text
//! 0                     element_size
//! | message             | 0 to 7 unused | word, 8 bytes | unused, up to the stride |
//! ```
//!
//! The word stands behind the message, so that polling it does not take the line away from a
//! producer that writes the message's beginning. The stride is 16 for messages of up to 8 bytes,
//! else a multiple of 32: so the message is aligned to 16 or 32 bytes, the word never crosses a
//! line, no slot touches a line more than its bytes need, and small slots share lines in whole
//! numbers. Whole lines would cost a stream of 152-byte messages a sixth of its rate (192 bytes
//! where 160 do).
//!
//! All offsets follow from policy, element size and capacity. They are stored too, for other
//! programs' sake; attaching computes them again and refuses a region where they differ.

#[cfg(test)]
#[path = "../tests/fields/ring.rs"]
mod fields;

use super::channel::Apart;
use super::holder::Holder;
use crate::error::{Error, Result};
use crate::layout::Layout;
use crate::protocol::atomics::{self, Shared32, Shared64};
use crate::protocol::doorbell::Doorbell;
use crate::protocol::ring_words::{Cause, Policy, RingWords};
use crate::protocol::run_word::MAX_OWNERS;
use crate::sys::Slept;
use crate::sys::{self, processor};
use std::mem::{offset_of, size_of};
use std::time::Duration;

/// The first eight bytes of a region.
pub(crate) const MAGIC: u64 = u64::from_le_bytes(*b"VILLRING");
/// The version of this layout.
pub(crate) const VERSION: u32 = 3;
/// The most elements of a ring.
pub(crate) const MAX_CAPACITY: u64 = 1 << 20;
/// The most bytes of an element.
pub(crate) const MAX_ELEMENT_SIZE: u64 = 1 << 20;
/// Participants at a time, where there may be more than one producer or consumer; besides a sole
/// consumer.
pub(crate) const SHARED_PLACES: u32 = 256;
const _: () = assert!(FIRST_SHARED + SHARED_PLACES <= MAX_OWNERS);

/// So many bytes of a slot are fetched ahead; the processor finds the rest of a long message by
/// itself.
const EXPECTED: u32 = 256;

/// The beginning of a message is fetched while its word is awaited, in slots of this size: the two
/// lines of such a message come at once then, instead of one after the other. A shorter one has one
/// line; the producer of a longer one is still at work on it.
const ATTENDED: std::ops::RangeInclusive<u32> = 65..=128;

/// The place of a sole producer.
pub(crate) const PRODUCER: u32 = 0;
/// The place of a sole consumer.
pub(crate) const CONSUMER: u32 = 1;
/// The first of the places of which each participant takes one.
pub(crate) const FIRST_SHARED: u32 = 2;

/// What never changes in a region.
#[repr(C)]
pub(crate) struct RawRingFacts {
    magic: Shared64,
    version: Shared32,
    policy: Shared32,
    total_size: Shared64,
    element_size: Shared32,
    capacity: Shared32,
    stride: Shared32,
    places: Shared32,
    slots: Shared64,
    /// Seconds since 1970.
    created: Shared64,
    _reserved: [u64; 25],
}

/// Events that are rare, counted since the region was made.
#[repr(C)]
pub(crate) struct RingCounters {
    /// Places in the ring that dead producers had claimed and not published.
    pub(crate) skipped: Shared64,
    /// Messages that dead consumers had claimed and not released.
    pub(crate) lost: Shared64,
    pub(crate) waits: Shared64,
    pub(crate) wakeups: Shared64,
}

#[repr(C)]
struct RingHead {
    facts: RawRingFacts,
    tail: Apart<Shared64>,
    head: Apart<Shared64>,
    doorbells: [Apart<Shared32>; 2],
    counters: Apart<RingCounters>,
    _zero: Apart<()>,
}

const PLACES: u64 = 0x400;
/// The bytes of `tail` and `head`.
pub(crate) const INDICES: std::ops::Range<u64> = 0x100..0x188;
const _: () = {
    assert!(
        size_of::<RawRingFacts>() == 0x100
            && offset_of!(RawRingFacts, version) == 8
            && offset_of!(RawRingFacts, total_size) == 16
    );
    assert!(offset_of!(RingHead, tail) == 0x100 && offset_of!(RingHead, head) == 0x180);
    assert!(offset_of!(RingHead, doorbells) == 0x200 && offset_of!(RingHead, counters) == 0x300);
    assert!(size_of::<RingHead>() <= PLACES as usize);
};

/// The facts of a region, checked and kept in private memory.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct RingFacts {
    pub(crate) policy: Policy,
    /// 1 to [`MAX_ELEMENT_SIZE`].
    pub(crate) element_size: u32,
    /// 1 to [`MAX_CAPACITY`].
    pub(crate) capacity: u32,
    /// Bytes from one slot to the next.
    pub(crate) stride: u32,
    pub(crate) places: u32,
    /// Where the slots begin.
    pub(crate) slots: u64,
    pub(crate) total_size: u64,
}

stored!(RingFacts in RawRingFacts: total_size, element_size, capacity, stride, places, slots);

/// Where in a slot its word is.
const fn word_offset(element_size: u64) -> u64 {
    element_size.next_multiple_of(8)
}

const fn stride(element_size: u64) -> u64 {
    let slot = word_offset(element_size) + 8;
    if slot <= 16 { 16 } else { slot.next_multiple_of(32) }
}

impl RingFacts {
    /// Computes the layout.
    pub(crate) fn new(policy: Policy, element_size: u64, capacity: u64) -> Result<RingFacts> {
        let check = |what: &str, value: u64, most: u64| {
            if (1..=most).contains(&value) {
                Ok(())
            } else {
                Err(Error::invalid(format!("{what} is {value}, but must be from 1 to {most}")))
            }
        };
        check("the element size", element_size, MAX_ELEMENT_SIZE)?;
        check("the capacity", capacity, MAX_CAPACITY)?;
        let places = if policy == Policy::Spsc { FIRST_SHARED } else { FIRST_SHARED + SHARED_PLACES };
        let slots = (PLACES + u64::from(places) * size_of::<Holder>() as u64).next_multiple_of(128);
        let stride = stride(element_size);
        Ok(RingFacts {
            policy,
            element_size: element_size as u32,
            capacity: capacity as u32,
            stride: stride as u32,
            places,
            slots,
            total_size: slots + stride * capacity,
        })
    }

    /// Reads and checks the facts of a region of `size` bytes.
    fn read(raw: &RawRingFacts, size: u64) -> Result<RingFacts> {
        if raw.magic.observe() == super::channel::MAGIC {
            return Err(Error::corrupt("this region is a channel, not a ring: open it as a channel, or take another name"));
        }
        if raw.magic.get() != MAGIC {
            return Err(Error::corrupt("the object does not begin like a ring of this library: another program made it"));
        }
        let version = raw.version.get();
        if version == 0 {
            return Err(Error::new(libc::EAGAIN, "the ring is not ready yet: its maker is still at work"));
        }
        if version != VERSION {
            return Err(Error::new(
                libc::EPROTO,
                format!("the ring has layout version {version}, this library knows {VERSION}: update the older program"),
            ));
        }
        let inconsistent = |why: String| Error::corrupt(format!("the ring's header is inconsistent: {why}"));
        let policy = Policy::from_number(i64::from(raw.policy.get())).map_err(|e| inconsistent(e.to_string()))?;
        let facts = RingFacts::new(policy, u64::from(raw.element_size.get()), u64::from(raw.capacity.get()))
            .map_err(|e| inconsistent(e.to_string()))?;
        let stored = raw.load(facts);
        if stored != facts || facts.total_size != size {
            return Err(inconsistent(format!(
                "{} elements of {} bytes take {} bytes, it says {}, the object has {size}",
                facts.capacity, facts.element_size, facts.total_size, stored.total_size
            )));
        }
        Ok(facts)
    }

    /// Writes the facts into a fresh region; the version comes last.
    fn write(&self, raw: &RawRingFacts, created: u64) {
        raw.magic.set(MAGIC);
        raw.policy.set(self.policy as u32);
        raw.store(self);
        raw.created.set(created);
        raw.version.publish(VERSION);
    }
}

/// The two reasons for which a participant sleeps; each has a futex word.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum RingBell {
    /// A message has come.
    Data = 0,
    /// A slot has become free.
    Room = 1,
}

/// A mapped ring whose facts have been checked: where each shared word is. It holds no mapping.
#[derive(Clone, Copy)]
pub(crate) struct RingView {
    base: *const u8,
    slots: *const u8,
    word_offset: u32,
    /// So many bytes of a slot are fetched ahead.
    expected: u32,
    /// Bits of an index: slots that differ only in these share a line.
    same_line: u32,
    /// [`atomics::is_asymmetric`], which stays true once it is, in the reach of the hot path.
    is_asymmetric: bool,
    facts: RingFacts,
}

// SAFETY: a view leads to atomics, which every thread may use, and to messages, which `ring` gives
// to one at a time.
unsafe impl Send for RingView {}
// SAFETY: as above.
unsafe impl Sync for RingView {}

impl RingView {
    pub(crate) fn facts(&self) -> &RingFacts {
        &self.facts
    }

    fn region_head(&self) -> &RingHead {
        // SAFETY: a ring is at least as long as its head (`Layout::LEAST`), page-aligned, and all
        // of `RingHead` is atomics or padding that nobody reads.
        unsafe { &*self.base.cast::<RingHead>() }
    }

    /// When the ring was made, in seconds since 1970.
    pub(crate) fn created(&self) -> u64 {
        self.region_head().facts.created.get()
    }

    pub(crate) fn counters(&self) -> &RingCounters {
        &self.region_head().counters.0
    }

    /// Where the message of slot `index` is, which must be below the capacity.
    #[inline(always)]
    pub(crate) fn message(&self, index: u32) -> *mut u8 {
        debug_assert!(index < self.facts.capacity);
        self.slots.wrapping_add(index as usize * self.facts.stride as usize).cast_mut()
    }

    /// Bytes of a message.
    #[inline(always)]
    pub(crate) fn length(&self) -> usize {
        self.facts.element_size as usize
    }

    /// The slot whose message begins at `address`.
    pub(crate) fn index_of(&self, address: usize) -> Option<u32> {
        let offset = address.checked_sub(self.slots as usize)?;
        let stride = self.facts.stride as usize;
        (offset % stride == 0 && offset / stride < self.facts.capacity as usize).then_some((offset / stride) as u32)
    }

    /// The futex word of a bell.
    #[inline(always)]
    pub(crate) fn bell(&self, bell: RingBell) -> &Shared32 {
        &self.region_head().doorbells[bell as usize].0
    }

    /// A bell, to ring it or sleep on it.
    #[inline(always)]
    pub(crate) fn doorbell(&self, bell: RingBell) -> RingDoorbell<'_> {
        RingDoorbell { view: self, bell }
    }
}

impl RingWords for RingView {
    #[inline(always)]
    fn capacity(&self) -> u32 {
        self.facts.capacity
    }
    #[inline(always)]
    fn tail(&self) -> &Shared64 {
        &self.region_head().tail.0
    }
    #[inline(always)]
    fn head(&self) -> &Shared64 {
        &self.region_head().head.0
    }
    #[inline(always)]
    fn word(&self, index: u32) -> &Shared64 {
        // SAFETY: `ring` passes indices below the capacity: its own, or such as it has checked. The
        // slot lies within the mapping, and the word within the slot, 8-aligned.
        unsafe { &*self.message(index).add(self.word_offset as usize).cast::<Shared64>() }
    }
    #[inline(always)]
    fn expect(&self, index: u32, to_write: bool) {
        if index & self.same_line != 0 {
            return;
        }
        let mut line = self.slots.wrapping_add(index as usize * self.facts.stride as usize);
        let end = line.wrapping_add(self.expected as usize);
        while line < end {
            if to_write {
                processor::fetch_to_write::<0>(line)
            } else {
                processor::fetch_to_read(line)
            }
            line = line.wrapping_add(64);
        }
    }
    #[inline(always)]
    fn attend(&self, index: u32) {
        if ATTENDED.contains(&self.facts.stride) {
            processor::fetch_to_read(self.message(index));
        }
    }
    fn count(&self, cause: Cause, messages: u32) {
        let counter = match cause {
            Cause::Skipped => &self.counters().skipped,
            Cause::Lost => &self.counters().lost,
        };
        counter.add(messages.into());
    }
}

/// The doorbell of a ring for one reason.
pub(crate) struct RingDoorbell<'v> {
    view: &'v RingView,
    bell: RingBell,
}

impl Doorbell for RingDoorbell<'_> {
    #[inline(always)]
    fn light_fence(&self) {
        if self.view.is_asymmetric {
            atomics::light_fence_here(); // of W1
        } else {
            atomics::light_fence(); // of W1
        }
    }
    #[inline(always)]
    fn word(&self) -> &Shared32 {
        self.view.bell(self.bell)
    }
    fn is_sole_notifier(&self) -> bool {
        // Its one producer, or its one consumer.
        matches!((self.view.facts.policy, self.bell), (Policy::Spsc, _) | (Policy::Mpsc, RingBell::Room))
    }
    fn sleep(&self, seen: u32, slice: Duration) -> Slept {
        self.view.counters().waits.count();
        sys::futex::wait(self.word().as_ptr(), seen, slice)
    }
    fn wake(&self) {
        self.view.counters().wakeups.count();
        sys::futex::wake(self.word().as_ptr());
    }
}

impl Layout for RingView {
    type Facts = RingFacts;
    type Place = u32;
    const LEAST: usize = PLACES as usize;
    const CLOSED_IS_FREE: bool = true;
    const INCARNATION_BITS: u32 = 48;

    unsafe fn read(base: *const u8, size: u64) -> Result<RingFacts> {
        // SAFETY: long enough, as the caller promises.
        RingFacts::read(unsafe { &*base.cast::<RawRingFacts>() }, size)
    }
    unsafe fn view(base: *const u8, facts: RingFacts) -> RingView {
        let slots = base.wrapping_add(facts.slots as usize);
        let word_offset = word_offset(u64::from(facts.element_size)) as u32;
        RingView {
            base,
            slots,
            word_offset,
            expected: facts.stride.min(EXPECTED),
            same_line: (64 / facts.stride).max(1) - 1,
            is_asymmetric: atomics::is_asymmetric(),
            facts,
        }
    }
    fn write(&self, created: u64) {
        self.facts.write(&self.region_head().facts, created);
    }
    fn size(facts: &RingFacts) -> u64 {
        facts.total_size
    }
    #[inline(always)]
    fn holder(&self, place: u32) -> &Holder {
        assert!(place < self.facts.places);
        // SAFETY: the places lie within the mapping, 64-aligned; `Holder` is atomics only.
        unsafe { &*self.base.add(PLACES as usize + place as usize * size_of::<Holder>()).cast::<Holder>() }
    }
    fn first_byte(place: u32) -> u64 {
        u64::from(place + 1) << Self::INCARNATION_BITS
    }
    fn describe(place: u32) -> &'static str {
        match place {
            PRODUCER => "place of the one producer",
            CONSUMER => "place of the one consumer",
            _ => "place of a participant",
        }
    }
}

#[cfg(test)]
#[path = "../tests/unit/layout/ring.rs"]
mod tests;
