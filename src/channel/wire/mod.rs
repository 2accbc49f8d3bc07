//! Channels in VILLASnode's layout: two regions, each made by the process that writes into it.
//!
//! Rules of the own layout that hold here too: nothing that the other program wrote is trusted,
//! closing loses nothing, deaths are detected, no wait is without limit. Rules that cannot hold: a
//! word has several writers, because the queues are made for many producers and consumers; and a
//! death is not repaired: both regions are given up and opened anew.
//!
//! A sample belongs to the region in which it lies. The region counts its references for both
//! processes. Each process also counts its own privately, so a broken peer cannot make this process
//! use a sample that it does not hold.
//!
//! | edge | stores | loads | what it carries |
//! |---|---|---|---|
//! | V1 | pusher: the sample and `data`, then `sequence` = position + 1, release | puller: `sequence`, acquire | a whole sample, or a block that its last user has left |
//! | V2 | puller: `data` is read, then `sequence` = position + cells, release | pusher: `sequence`, acquire | the cell may be used again |
//! | V4 | a user of a block: its last use of it, then takes its share off `references`, release | the user that takes the last share off: the same word, acquire, then pushes the block to its pool | all uses come before the block is handed out again (V1) |
//! | V3 | closer: all pushes, then `state` = 5, release | reader: `state`, acquire, then one more look at the queue | closing loses nothing |

mod doorbell;
mod liveness;
mod open;
mod polled;
mod presence;
#[cfg(any(test, feature = "_test_fuzzing"))]
#[path = "../../tests/wire/mod.rs"]
pub(crate) mod tests;

use super::backend::Backend;
use super::handle::{ChannelHandle, Registered};
use super::registry::Registry;
use super::stats::Stats;
use crate::error::{Error, Result};
use crate::layout::sample::Raw;
use crate::layout::wire::{Which, WireView};
use crate::memory::tag::HandleKind;
use crate::memory::zeroed::{Table, Zeroable};
use crate::protocol::atomics::relax;
use crate::protocol::channel_words::Block;
use crate::protocol::doorbell::QUICK_LOOKS;
use crate::protocol::gate::Idle;
use crate::sys::trial::usual_or;
pub(crate) use liveness::{ALIVE, WireHint, WireLiveness};
pub(crate) use open::{open, total_size};

/// Attempts at a queue that others use too, before it counts as full or empty. Each failure means
/// that another process made progress.
const ATTEMPTS: u32 = usual_or(1000, 50);

/// What this process knows of a block.
#[derive(Clone, Copy)]
struct WireBlock {
    /// References within this process.
    references: u32,
    /// This process's references in the region. For a block that this process does not hold:
    /// [`SENT`], or 0.
    shares: u32,
}

/// This side has sent the block and has not handed it out again.
const SENT: u32 = u32::MAX;

// SAFETY: integers.
unsafe impl Zeroable for WireBlock {}

/// A region, as this process uses it.
struct WireRegion {
    view: WireView,
    blocks: Table<WireBlock>,
    /// Blocks to which this process holds references.
    held: u32,
}

impl WireRegion {
    fn new(view: WireView) -> Result<WireRegion> {
        let blocks = Table::resident(view.facts().blocks as usize, "the private state of the blocks")?;
        Ok(WireRegion { view, blocks, held: 0 })
    }

    /// Takes one of the region's references into this process.
    fn receive(&mut self, block: u32) -> Result<()> {
        let private = &mut self.blocks[block as usize];
        if private.references == u32::MAX >> 1 {
            return Err(Error::corrupt("the peer sends a block that this side has not given back"));
        }
        if private.references == 0 {
            self.held += 1;
            private.shares = 0;
        }
        private.references += 1;
        private.shares += 1;
        Ok(())
    }

    fn is_held(&self, block: u32) -> bool {
        self.blocks[block as usize].references != 0
    }

    /// Gives up a reference; returns how many are left. With the last one the block goes back to
    /// its pool, unless another process holds it.
    fn put(&mut self, block: u32) -> Option<u32> {
        let private = &mut self.blocks[block as usize];
        private.references = private.references.checked_sub(1)?;
        if private.references == 0 {
            self.held -= 1;
            let shares = std::mem::take(&mut private.shares);
            // V4
            if self.view.references(block).add(shares.wrapping_neg()) == shares {
                push(&self.view, Which::Free, block);
            }
        }
        Some(self.blocks[block as usize].references)
    }

    fn get(&mut self, block: u32) -> u32 {
        let private = &mut self.blocks[block as usize];
        if private.references == 0 || private.references == u32::MAX >> 1 {
            return 0;
        }
        private.references += 1;
        private.references
    }

    /// Takes a free block from the pool.
    fn alloc(&mut self) -> Option<u32> {
        for _ in 0..ATTEMPTS {
            // Corruption here is in this side's own region, so the peer caused it: treat the pool
            // as empty.
            let block = pull(&self.view, Which::Free, false).ok()??;
            if self.is_held(block) {
                continue;
            }
            self.view.blocks().raw(block).reset();
            self.view.complete(block);
            self.view.references(block).set(1);
            self.blocks[block as usize] = WireBlock { references: 1, shares: 1 };
            self.held += 1;
            return Some(block);
        }
        None
    }

    /// Whether a block's header is possible. `capacity`: also check that its capacity is unchanged.
    fn is_sound(&self, block: u32, capacity: bool) -> bool {
        let header = self.view.blocks().header(block);
        let most = self.view.facts().capacity();
        header.length.get() <= most && (!capacity || header.capacity.get() == most)
    }

    fn has_room(&self) -> bool {
        let position = self.view.queue(Which::Samples).tail.get();
        self.view.cell(Which::Samples, position).sequence.observe() == position // V2: a look
    }

    /// Sends a block that this process holds. `false`: another writer took the room.
    fn send(&mut self, block: u32) -> bool {
        // The references and the contents must be right before the peer can see the block.
        let WireBlock { references, shares } = self.blocks[block as usize];
        let before = if references > 1 { 1 } else { 1u32.wrapping_sub(shares) };
        self.view.complete(block);
        self.view.references(block).add(before); // V4
        if !push(&self.view, Which::Samples, block) {
            self.view.references(block).add(before.wrapping_neg()); // V4
            return false;
        }
        let private = &mut self.blocks[block as usize];
        private.references -= 1;
        if private.references == 0 {
            private.shares = SENT;
            self.held -= 1;
        }
        true
    }
}

/// Appends a block to a queue. `false`: full.
fn push(view: &WireView, which: Which, block: u32) -> bool {
    let queue = view.queue(which);
    for _ in 0..ATTEMPTS {
        let position = queue.tail.get();
        let cell = view.cell(which, position);
        let ahead = cell.sequence.observe().wrapping_sub(position) as i64; // V2
        if ahead < 0 {
            return false;
        }
        if ahead == 0 && queue.tail.exchange(position, position.wrapping_add(1)) {
            cell.data.set(view.data_of(which, block));
            cell.sequence.publish(position.wrapping_add(1)); // V1
            return true;
        }
        relax();
    }
    false
}

/// Takes the next block of a queue. `last`: the other user is dead and will never fill a cell that
/// it has claimed.
fn pull(view: &WireView, which: Which, last: bool) -> Result<Option<u32>> {
    let queue = view.queue(which);
    for _ in 0..ATTEMPTS {
        let position = queue.head.get();
        let cell = view.cell(which, position);
        let ahead = cell.sequence.observe().wrapping_sub(position.wrapping_add(1)) as i64; // V1
        if ahead < 0 {
            let claimed = queue.tail.observe().wrapping_sub(position); // V1: a look
            if !last || claimed <= 1 || claimed > view.cells(which) {
                return Ok(None);
            }
        }
        if ahead <= 0 {
            let block = view.block_of(which, cell.data.get());
            if ahead == 0 && block.is_none() {
                return Err(Error::corrupt("a queue names a block that does not exist: the region is corrupt"));
            }
            if queue.head.exchange(position, position.wrapping_add(1)) {
                cell.sequence.publish(position.wrapping_add(view.cells(which))); // V2
                if ahead == 0 {
                    return Ok(block);
                }
            }
        }
        relax();
    }
    Ok(None)
}

/// The ends of a channel in the wire layout.
pub(crate) struct Wire {
    own: WireRegion,
    /// `None`: both names are the same, so this side reads what it writes.
    peer: Option<WireRegion>,
    written: u64,
    read: u64,
}

static REGISTRY: Registry<ChannelHandle<Wire>> = Registry::new();

impl Registered for Wire {
    fn registry() -> &'static Registry<ChannelHandle<Wire>> {
        &REGISTRY
    }
}

impl Wire {
    fn new(own: WireView, peer: Option<WireView>) -> Result<Wire> {
        Ok(Wire { own: WireRegion::new(own)?, peer: peer.map(WireRegion::new).transpose()?, written: 0, read: 0 })
    }

    fn input(&self) -> &WireRegion {
        self.peer.as_ref().unwrap_or(&self.own)
    }

    fn input_mut(&mut self) -> &mut WireRegion {
        self.peer.as_mut().unwrap_or(&mut self.own)
    }

    /// The region in which a sample begins at `address`, and its block.
    fn locate(&mut self, address: usize) -> Option<(&mut WireRegion, u32)> {
        if let Some((block, _)) = self.own.view.blocks().at(address) {
            return Some((&mut self.own, block));
        }
        let peer = self.peer.as_mut()?;
        let (block, _) = peer.view.blocks().at(address)?;
        Some((peer, block))
    }

    fn take(&mut self, most: usize, last: bool, mut give: impl FnMut(usize, Raw)) -> Result<usize> {
        let input = self.input_mut();
        let view = input.view;
        let mut count = 0;
        while count < most {
            let received = pull(&view, Which::Samples, last).and_then(|block| {
                let Some(block) = block else { return Ok(None) };
                if !input.is_sound(block, false) {
                    return Err(Error::corrupt("a sample's length is not possible: the region is corrupt"));
                }
                input.receive(block).map(|()| Some(block))
            });
            match received {
                Ok(Some(block)) => give(count, view.blocks().raw(block)),
                Err(e) if count == 0 => return Err(e),
                _ => break,
            }
            count += 1;
        }
        self.read += count as u64;
        Ok(count)
    }

    /// Hands out an empty sample.
    fn alloc_one(&mut self) -> Option<Raw> {
        let block = self.own.alloc()?;
        Some(self.own.view.blocks().raw(block))
    }

    /// Sends a sample and gives up one reference. `false`: no room.
    fn write_one(&mut self, address: usize) -> Result<bool> {
        let own = std::ptr::from_ref(&self.own);
        let Some((region, block)) = self.locate(address) else { return Err(foreign()) };
        if !region.is_held(block) {
            return Err(foreign());
        }
        let is_own = std::ptr::eq(region, own);
        if !region.is_sound(block, is_own) {
            return Err(Error::invalid("the sample's length exceeds its capacity, or its capacity was changed"));
        }
        if !self.own.has_room() {
            return Ok(false);
        }
        let sent = if is_own { self.own.send(block) } else { self.write_copy(block)? };
        self.written += u64::from(sent);
        Ok(sent)
    }

    /// Sends a copy of a received sample, because a sample stays in its region.
    fn write_copy(&mut self, from: u32) -> Result<bool> {
        let Some(peer) = &mut self.peer else { return Err(foreign()) };
        let Some(block) = self.own.alloc() else { return Ok(false) };
        let copied = self.own.view.blocks().raw(block).copy_from(&peer.view.blocks().raw(from));
        let sent = copied.map(|()| self.own.send(block));
        match sent {
            Ok(true) => {
                peer.put(from);
            }
            _ => {
                self.own.put(block);
            }
        }
        sent
    }
}

fn foreign() -> Error {
    Error::invalid("not a live sample of this channel: foreign, or written or put already")
}

impl Idle for Wire {
    fn is_idle(&self) -> bool {
        self.own.held == 0 && self.peer.as_ref().is_none_or(|peer| peer.held == 0)
    }
}

impl Backend for Wire {
    type Liveness = WireLiveness;
    const KIND: HandleKind = HandleKind::Wire;
    const IS_POOL_SHORT: bool = true;

    fn read(&mut self, most: usize, give: impl FnMut(usize, Raw)) -> Result<usize> {
        self.take(most, false, give)
    }

    fn read_last(&mut self, most: usize, give: impl FnMut(usize, Raw)) -> Result<usize> {
        self.take(most, true, give)
    }

    fn has_input_soon(&mut self) -> bool {
        let position = self.input().view.queue(Which::Samples).head.get();
        let cell = self.input().view.cell(Which::Samples, position);
        (0..QUICK_LOOKS).any(|_| cell.sequence.observe() == position.wrapping_add(1)) // V1: a look
    }

    fn entry_hint(&self) -> WireHint {
        WireHint::Entry(self.input().view.queue(Which::Samples).head.get())
    }

    fn write(&mut self, mut sent: usize, count: usize, mut address: impl FnMut(usize) -> usize) -> (usize, Result<()>) {
        while sent < count {
            match self.write_one(address(sent)) {
                Ok(true) => sent += 1,
                Ok(false) => break,
                Err(e) => return (sent, Err(e)),
            }
        }
        (sent, Ok(()))
    }

    fn notify_data(&mut self, liveness: &WireLiveness) {
        liveness.notify_readers();
    }

    fn room_hint(&self) -> WireHint {
        WireHint::Room(self.own.view.queue(Which::Samples).tail.get())
    }

    fn alloc(&mut self, most: usize, mut give: impl FnMut(usize, Raw)) -> usize {
        for count in 0..most {
            let Some(sample) = self.alloc_one() else { return count };
            give(count, sample);
        }
        most
    }

    fn put(&mut self, address: usize) -> Option<u32> {
        let (region, block) = self.locate(address)?;
        region.put(block)
    }

    fn put_all(&mut self, mut next: impl FnMut(usize) -> Option<usize>) -> usize {
        let mut count = 0;
        while next(count).and_then(|address| self.put(address)).is_some() {
            count += 1;
        }
        count
    }

    fn drop_reference(&mut self, address: usize) -> Option<u32> {
        self.put(address)
    }

    /// VILLASnode never waits for a block, and this side polls.
    fn notify_room(&self) {}

    fn get(&mut self, address: usize) -> u32 {
        self.locate(address).map_or(0, |(region, block)| region.get(block))
    }

    fn live(&self, address: usize) -> Option<Raw> {
        [Some(&self.own), self.peer.as_ref()].into_iter().flatten().find_map(|region| {
            let (block, raw) = region.view.blocks().at(address)?;
            region.is_held(block).then_some(raw)
        })
    }

    /// Only this side hands such a block out, and not during its own turn. The reader may change
    /// the block: its words are atomic, and its length is checked against the capacity that this
    /// side knows.
    fn sent(&self, address: usize) -> Option<Raw> {
        let (block, raw) = self.own.view.blocks().at(address)?;
        let WireBlock { references, shares } = self.own.blocks[block as usize];
        (references == 0 && shares == SENT).then_some(raw)
    }

    fn stats(&self, liveness: &WireLiveness) -> Stats {
        let pending = |view: &WireView, which: Which| {
            let queue = view.queue(which);
            queue.tail.observe().wrapping_sub(queue.head.observe()).min(view.cells(which)) // V1, V2: a look
        };
        let (own, input) = (&self.own.view, &self.input().view);
        let peer_blocks = self.peer.as_ref().map_or(0, |peer| peer.view.facts().blocks);
        let (waits, wakeups) = liveness.counters();
        Stats {
            written: self.written,
            read: self.read,
            queued_in: pending(input, Which::Samples),
            queued_out: pending(own, Which::Samples),
            redelivered: 0,
            waits,
            wakeups,
            blocks: u64::from(own.facts().blocks + peer_blocks),
            blocks_free: pending(own, Which::Free),
            held: u64::from(self.own.held + self.peer.as_ref().map_or(0, |peer| peer.held)),
            held_own: u64::from(self.own.held),
            region_size: own.facts().total_size(),
        }
    }
}
