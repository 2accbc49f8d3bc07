//! A tap of a channel in one region.

use crate::channel::signals;
use crate::error::Result;
use crate::inspect::entry::{Passed, Sender, Waiting};
use crate::inspect::snapshot::{Snapshot, give, sample};
use crate::layout::channel::{ChannelView, ENTRIES, TAKEN};
use crate::layout::sample::DATA;
use crate::layout::signals::Signal;
use crate::protocol::channel_words::{ChannelWords, Side};
use crate::protocol::tap::{Follower, Tapped};
use crate::sys::object::Object;
use std::ops::{Deref, Range};

/// Blocks that are longer are not loaded whole for their headers.
const LONG: u64 = 1024;

/// A copy of parts of a region, which is loaded anew for each look.
pub(in crate::inspect) struct Pages<'r, O> {
    pub(in crate::inspect) region: &'r Snapshot<O>,
    pub(in crate::inspect) view: ChannelView,
}

impl<O: Deref<Target = Object>> Pages<'_, O> {
    fn load_block(&self, block: u32, length: u64) -> Result<()> {
        let facts = self.view.facts();
        self.region.load_next(facts.pool + u64::from(block) * u64::from(facts.block_size), length)
    }

    /// Short blocks that follow each other are loaded at once.
    fn load_blocks(&self, blocks: &[u32], long: impl Fn(u32) -> u64) -> Result<()> {
        let size = u64::from(self.view.facts().block_size);
        if size > LONG {
            return blocks.iter().try_for_each(|&block| self.load_block(block, long(block)));
        }
        blocks.chunk_by(|&a, &b| a + 1 == b).try_for_each(|run| self.load_block(run[0], size * run.len() as u64))
    }
}

impl<O: Deref<Target = Object>> Tapped for Pages<'_, O> {
    type Words = ChannelView;
    type Copy = Waiting;
    fn words(&self) -> &ChannelView {
        &self.view
    }
    fn fetch_taken(&mut self) -> Result<()> {
        self.region.load_next(TAKEN.start, TAKEN.end - TAKEN.start)
    }
    fn fetch_entries(&mut self, from: Side, position: u64, count: u32) -> Result<()> {
        let facts = self.view.facts();
        let first = position as u32 & (facts.entries - 1);
        let count = count.min(facts.entries);
        let behind = count.min(facts.entries - first);
        let load = |entries: Range<u32>| {
            let at = facts.queues[from as usize] + 4 * u64::from(entries.start);
            self.region.load_next(at, 4 * entries.len() as u64)
        };
        load(first..first + behind)?;
        load(0..count - behind)
    }
    fn fetch_headers(&mut self, blocks: &[u32]) -> Result<()> {
        self.load_blocks(blocks, |_| DATA as u64)
    }
    fn copy(&mut self, blocks: &[u32], mut take: impl FnMut(usize, Waiting)) -> Result<()> {
        let view = self.view;
        let raw = |block| view.block(block);
        self.load_blocks(blocks, |block| DATA as u64 + 8 * u64::from(raw(block).len()))?;
        blocks.iter().enumerate().for_each(|(at, &block)| take(at, sample(raw(block))));
        Ok(())
    }
}

fn follower<O: Deref<Target = Object>>(pages: &mut Pages<'_, O>, from: Side) -> Result<Follower> {
    let facts = *pages.view.facts();
    Follower::new(pages, from, facts.entries, facts.queuelen, facts.home_blocks)
}

fn sender(from: Side) -> Sender {
    if from == Side::A { Sender::Node } else { Sender::Program }
}

/// The newest sample that `from` has sent, if it can still be copied.
pub(in crate::inspect) fn newest_sample<O: Deref<Target = Object>>(
    pages: &mut Pages<'_, O>,
    from: Side,
) -> Result<Option<Passed>> {
    let mut follower = follower(pages, from)?;
    follower.skip(pages)?;
    let mut passed = Vec::new();
    if follower.next > 0 {
        follower.next -= 1;
        give(sender(from), follower.follow(pages, 1)?, &mut passed);
    }
    Ok(passed.pop())
}

/// See the module's description.
pub(super) struct ChannelTap<O> {
    region: Snapshot<O>,
    view: ChannelView,
    followers: [Follower; 2],
    /// Of node to program, of program to node.
    pub(super) signals: [Vec<Signal>; 2],
}

impl<O: Deref<Target = Object> + Clone> ChannelTap<O> {
    pub(super) fn new(object: O) -> Result<ChannelTap<O>> {
        let size = object.size();
        let head = Snapshot::new(object.clone(), ENTRIES)?;
        head.load(0, ENTRIES.min(size))?;
        let facts = head.facts::<ChannelView>(size)?;
        let region = Snapshot::new(object, facts.total_size)?;
        region.load(0, ENTRIES)?;
        region.load(facts.signals(), facts.signals_size)?;
        let signals = signals::tables(&facts, &region.bytes(facts.signals(), facts.signals_size))?;
        let view = region.view::<ChannelView>(facts);
        let mut pages = Pages { region: &region, view };
        let mut followers = [follower(&mut pages, Side::A)?, follower(&mut pages, Side::B)?];
        for one in &mut followers {
            one.skip(&mut pages)?;
        }
        Ok(ChannelTap { region, view, followers, signals: signals.map(|table| table.to_vec()) })
    }

    /// Returns how many were missed.
    pub(super) fn follow(&mut self, into: &mut Vec<Passed>, most: u32) -> Result<u64> {
        let mut pages = Pages { region: &self.region, view: self.view };
        let mut missed = 0;
        for (side, follower) in [Side::A, Side::B].into_iter().zip(&mut self.followers) {
            missed += give(sender(side), follower.follow(&mut pages, most)?, into);
        }
        Ok(missed)
    }
}
