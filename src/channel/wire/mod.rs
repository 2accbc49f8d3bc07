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
//! | V3 | closer: all pushes, then `state` = 5, release | reader: `state`, acquire, then one more look at the queue | closing loses nothing |

mod doorbell;
mod liveness;
mod open;
mod polled;
mod presence;
mod region;
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
use crate::protocol::bounded::Seen;
use crate::protocol::doorbell::QUICK_LOOKS;
use crate::protocol::gate::Idle;
pub(crate) use liveness::{ALIVE, WireHint, WireLiveness};
pub(crate) use open::{open, total_size};
use region::WireRegion;

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

    fn take(&mut self, most: usize, last: bool, give: impl FnMut(usize, Raw)) -> Result<usize> {
        let outcome = self.input_mut().receive(most, last, give);
        self.keep_if_more();
        self.read += *outcome.as_ref().unwrap_or(&0) as u64;
        outcome
    }

    /// Gives up a reference, for a run of blocks: [`Wire::keep_if_more`] must follow.
    #[inline(always)]
    fn drop_one(&mut self, address: usize) -> Option<u32> {
        let (region, block) = self.locate(address)?;
        region.put(block)
    }

    /// Keeps the blocks that were put only while the next sample is there: the program has reason to
    /// come back then, whatever else it waits for.
    #[inline(always)]
    fn keep_if_more(&mut self) {
        if self.own.has_freed() || self.peer.as_ref().is_some_and(WireRegion::has_freed) {
            let position = self.input().view.queue(Which::Samples).head.get();
            let next = self.input().view.cell(Which::Samples, position).sequence.observe(); // V1: a look
            if next != position.wrapping_add(1) {
                self.give_back();
            }
        }
    }

    /// The block of a sample that can be sent, and whether it lies in this side's own region.
    #[inline(always)]
    fn sendable(&mut self, address: usize) -> Result<(u32, bool)> {
        let own = std::ptr::from_ref(&self.own);
        let Some((region, block)) = self.locate(address) else { return Err(foreign()) };
        if !region.is_held(block) {
            return Err(foreign());
        }
        let is_own = std::ptr::eq(region, own);
        if !region.is_sound(block, is_own) {
            return Err(Error::invalid("the sample's length exceeds its capacity, or its capacity was changed"));
        }
        Ok((block, is_own))
    }

    /// Sends the first of up to `most` samples, and those behind it that fit into the same run.
    /// Returns an error only if it concerns the first one. 0: no room.
    #[inline(always)]
    fn write_some(&mut self, most: usize, mut address: impl FnMut(usize) -> usize) -> Result<usize> {
        let room = self.own.room(most);
        let mut staged = 0;
        loop {
            match self.sendable(address(staged)) {
                Ok((block, true)) if room.count() > 0 => self.own.stage(block),
                Ok((from, false)) if room.count() > 0 && staged == 0 => return self.write_copy(from, room).map(usize::from),
                Err(e) if staged == 0 => return Err(e),
                _ => break,
            }
            staged += 1;
            if staged == room.count() {
                break;
            }
        }
        Ok(if staged > 0 { self.own.send(room) } else { 0 })
    }

    /// Sends a copy of a received sample, because a sample stays in its region. `false`: no block is
    /// free, or another writer took the room.
    fn write_copy(&mut self, from: u32, room: Seen) -> Result<bool> {
        let Some(peer) = &mut self.peer else { return Err(foreign()) };
        let Some(block) = self.own.alloc(1) else { return Ok(false) };
        let copied = self.own.view.blocks().raw(block).copy_from(&peer.view.blocks().raw(from));
        let sent = copied.map(|()| {
            self.own.stage(block);
            self.own.send(room) == 1
        });
        let (region, block) = if let Ok(true) = sent { (peer, from) } else { (&mut self.own, block) };
        region.put(block);
        self.keep_if_more();
        sent
    }
}

fn foreign() -> Error {
    Error::invalid("not a live sample of this channel: foreign, or written or put already")
}

impl Idle for Wire {
    fn is_idle(&self) -> bool {
        self.own.held() == 0 && self.peer.as_ref().is_none_or(|peer| peer.held() == 0)
    }

    /// Before the peer learns that this side has closed.
    fn settle(&mut self) {
        self.give_back();
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
        let before = sent;
        let outcome = loop {
            if sent == count {
                break Ok(());
            }
            match self.write_some(count - sent, |at| address(sent + at)) {
                Ok(0) => break Ok(()),
                Ok(more) => sent += more,
                Err(e) => break Err(e),
            }
        };
        self.written += (sent - before) as u64;
        (sent, outcome)
    }

    fn notify_data(&mut self, liveness: &WireLiveness) {
        liveness.notify_readers();
    }

    fn room_hint(&self) -> WireHint {
        WireHint::Room(self.own.view.queue(Which::Samples).tail.get())
    }

    fn alloc(&mut self, most: usize, mut give: impl FnMut(usize, Raw)) -> usize {
        let mut count = 0;
        while count < most {
            match self.own.alloc(most - count) {
                Some(block) => {
                    give(count, self.own.view.blocks().raw(block));
                    count += 1;
                }
                None if self.own.give_back() > 0 => {}
                None => break,
            }
        }
        count
    }

    fn put(&mut self, address: usize) -> Option<u32> {
        let left = self.drop_one(address);
        self.keep_if_more();
        left
    }

    fn put_all(&mut self, mut next: impl FnMut(usize) -> Option<usize>) -> usize {
        let mut count = 0;
        while next(count).and_then(|address| self.drop_one(address)).is_some() {
            count += 1;
        }
        self.keep_if_more();
        count
    }

    fn drop_reference(&mut self, address: usize) -> Option<u32> {
        self.put(address)
    }

    fn give_back(&mut self) {
        self.own.give_back();
        self.peer.as_mut().map(WireRegion::give_back);
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
        self.own.is_sent(block).then_some(raw)
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
            blocks_free: pending(own, Which::Free) + self.own.kept() as u64,
            held: u64::from(self.own.held() + self.peer.as_ref().map_or(0, WireRegion::held)),
            held_own: u64::from(self.own.held()),
            region_size: own.facts().total_size(),
        }
    }
}
