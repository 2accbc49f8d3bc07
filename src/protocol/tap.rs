//! A look at samples and messages as they pass, by a process that takes no part.
//!
//! A tap stores nothing. It copies a block or a message that others may write at that moment, and
//! then finds out whether they did. What it cannot know counts as missed.
//!
//! | edge | stores | loads | what it carries |
//! |---|---|---|---|
//! | T1 | home side: tag, release, light fence, then the header's reset | tap: the copy, heavy fence, then the tag, acquire, then `sent` | a copy of anything written after a hand-out sees that hand-out's tag, or a later one and the send in between |
//! | T2 | reader: `taken`, light fence, then its edits | tap: the copy, heavy fence, then `taken` | a copy of any edit of the reader sees that the reader has taken it |
//! | T3 | producer: it has seen `head` (R2), light fence, then it writes over a message | tap: the copy, heavy fence, then `head` | a copy of anything written over an SPSC message sees that the message was taken |
//! | T4 | producer, consumer: it has seen `tail`, `head` beyond its run (M2), light fence, then it writes the messages | tap: the copy, heavy fence, then `tail` and `head` | a copy of anything written over an MPSC or MPMC message sees `tail` a lap ahead; a copy of a consumer's edit sees that `head` has passed it |
//!
//! The light fences order stores only, and a tap's copy is checked byte by byte: so the copy may be
//! made by any means, such as `pread`, that loads after what was loaded before.
//!
//! `docs/layout-2.md` has the argument for blocks. The tag has the low halves of both `sent`, so
//! that a block that was handed out again, and not yet sent, differs from one that was sent.

use crate::error::{Error, Result};
use crate::protocol::atomics::heavy_fence;
use crate::protocol::channel_words::{Block, ChannelWords, Side};
use crate::protocol::queue::Entries;

/// What the home side of a block stores when it hands the block out: the low 16 bits of its own
/// `sent`, then of the other side's.
#[inline(always)]
pub(crate) fn tag(own: u64, other: u64) -> u32 {
    own as u32 & 0xffff | (other as u32) << 16
}

/// Whether a block with this tag was handed out, and not sent, since `from` sent it at `position`.
fn was_handed_out(tag: u32, home: Side, from: Side, position: u64) -> bool {
    let half = if from == home { tag as u16 } else { (tag >> 16) as u16 };
    half == position.wrapping_add(1) as u16
}

/// How far an index can be ahead of a tap: no ring or queue moves on so far while a process sleeps.
const MOST_AHEAD: i64 = 1 << 50;

/// How many positions from `next` on are certainly overwritten, by an index that others have moved
/// to `index`, where `length` stay.
pub(super) fn overwritten(next: u64, index: u64, length: u32) -> Result<u64> {
    let ahead = index.wrapping_sub(next) as i64;
    if ahead < -i64::from(length) || ahead > MOST_AHEAD {
        return Err(Error::corrupt("the region is corrupt: an index is further than can be from where it was"));
    }
    Ok((ahead - i64::from(length)).max(0) as u64)
}

/// A copy, while it is not known whether it is whole.
pub(crate) struct Sighting<C> {
    pub(crate) position: u64,
    /// The number of the block, or the index of the message.
    pub(crate) place: u32,
    /// `sent` by A, by B, before the copy.
    sent: [u64; 2],
    tag: u32,
    pub(crate) copy: Option<C>,
    /// It may have been changed by its reader, or belong in part to what replaces it.
    pub(crate) may_have_changed: bool,
}

impl<C> Sighting<C> {
    pub(super) fn new(position: u64, place: u32) -> Sighting<C> {
        Sighting { position, place, sent: [0; 2], tag: 0, copy: None, may_have_changed: false }
    }
}

/// What a tap has found out.
pub(crate) struct Sightings<C> {
    /// What was copied whole, in the order of positions.
    pub(crate) seen: Vec<Sighting<C>>,
    /// How many more have passed.
    pub(crate) missed: u64,
}

/// The words of a channel as a tap reaches them. What was fetched is as it was at some moment
/// between the beginning and the end of the fetch, and fetches are ordered.
pub(crate) trait Tapped {
    type Words: ChannelWords;
    type Copy;
    fn words(&self) -> &Self::Words;
    /// Fetches `taken` of both sides.
    fn fetch_taken(&mut self) -> Result<()>;
    /// Fetches so many entries of the queue that `from` writes.
    fn fetch_entries(&mut self, from: Side, position: u64, count: u32) -> Result<()>;
    /// Fetches the headers of these blocks.
    fn fetch_headers(&mut self, blocks: &[u32]) -> Result<()>;
    /// Copies these blocks, whose headers may be anything, to `take`, in their order.
    fn copy(&mut self, blocks: &[u32], take: impl FnMut(usize, Self::Copy)) -> Result<()>;
}

/// The place of a tap in the queue that one side writes.
pub(crate) struct Follower {
    from: Side,
    entries: Entries,
    queuelen: u32,
    home_blocks: u32,
    /// The position of the next sample.
    pub(crate) next: u64,
}

impl Follower {
    /// Begins at the oldest sample that the reader has not taken.
    pub(crate) fn new<T: Tapped>(tap: &mut T, from: Side, entries: u32, queuelen: u32, home_blocks: u32) -> Result<Follower> {
        tap.fetch_taken()?;
        let next = tap.words().taken(from.other()).observe(); // Q2
        Ok(Follower { from, entries: Entries::new(entries), queuelen, home_blocks, next })
    }

    /// Moves on to samples that are sent, at most `most`; returns their blocks.
    fn advance<T: Tapped>(&mut self, tap: &mut T, most: u32) -> Result<Sightings<T::Copy>> {
        let mut found = Sightings { seen: Vec::new(), missed: 0 };
        tap.fetch_taken()?;
        let taken = tap.words().taken(self.from.other()).observe(); // Q2: what is taken was sent
        found.missed = overwritten(self.next, taken, self.entries.length)?;
        self.next = self.next.wrapping_add(found.missed);
        let ahead = taken.wrapping_add(u64::from(self.queuelen)).wrapping_sub(self.next);
        let count = ahead.min(u64::from(self.entries.length)).min(u64::from(most)) as u32;
        tap.fetch_entries(self.from, self.next, count)?;
        for _ in 0..count {
            match self.entries.look(tap.words(), self.from, self.next) {
                Some(block) if block < 2 * self.home_blocks => found.seen.push(Sighting::new(self.next, block)),
                // It is overwritten, or names no block: its reader will complain.
                None if (taken.wrapping_sub(self.next) as i64) <= 0 => break,
                _ => found.missed += 1,
            }
            self.next = self.next.wrapping_add(1);
        }
        Ok(found)
    }

    /// Moves on to the end of what is sent, without a copy; returns the last block.
    pub(crate) fn skip<T: Tapped>(&mut self, tap: &mut T) -> Result<Option<Sighting<T::Copy>>> {
        let mut last = None;
        // A writer may be as fast.
        for _ in 0..16 {
            let mut found = self.advance(tap, self.entries.length)?;
            if found.seen.is_empty() && found.missed == 0 {
                break;
            }
            last = found.seen.pop();
        }
        Ok(last)
    }

    /// Copies the samples that have passed since, at most `most`.
    pub(crate) fn follow<T: Tapped>(&mut self, tap: &mut T, most: u32) -> Result<Sightings<T::Copy>> {
        let mut found = self.advance(tap, most)?;
        let mut rejected: Vec<_> = found.seen.iter().map(|one| Sighting::new(one.position, one.place)).collect();
        self.examine(tap, &mut found.seen)?;
        rejected.retain(|one| found.seen.binary_search_by_key(&one.position, |seen| seen.position).is_err());
        if !rejected.is_empty() {
            // One that was sent back during the copy lies still now. This look stands by itself: it uses
            // nothing of the first one but position and place.
            let doubted = rejected.len();
            self.examine(tap, &mut rejected)?;
            found.missed += (doubted - rejected.len()) as u64;
            found.seen.append(&mut rejected);
            found.seen.sort_unstable_by_key(|one| one.position);
        }
        Ok(found)
    }

    /// Copies these samples, and leaves those whose copies are whole.
    pub(crate) fn examine<T: Tapped>(&self, tap: &mut T, batch: &mut Vec<Sighting<T::Copy>>) -> Result<()> {
        let from = self.from;
        tap.fetch_headers(&places(batch))?;
        batch.retain_mut(|one| {
            let block = tap.words().block(one.place);
            one.sent = [Side::A, Side::B].map(|side| block.sent(side).observe()); // Q1 carried it here
            one.sent[from as usize] == one.position.wrapping_add(1)
        });
        tap.copy(&places(batch), |at, copy| batch[at].copy = Some(copy))?;
        if !heavy_fence() {
            // T1, T2: without it, nobody knows.
            batch.clear();
        }
        tap.fetch_headers(&places(batch))?;
        for one in batch.iter_mut() {
            one.tag = tap.words().block(one.place).tag().observe(); // T1: before `sent`
        }
        tap.fetch_headers(&places(batch))?;
        batch.retain(|one| {
            let block = tap.words().block(one.place);
            let home = if one.place < self.home_blocks { Side::A } else { Side::B };
            [Side::A, Side::B].map(|side| block.sent(side).get()) == one.sent
                && !was_handed_out(one.tag, home, from, one.position)
        });
        tap.fetch_taken()?;
        let taken = tap.words().taken(from.other()).get(); // T2
        batch.iter_mut().for_each(|one| one.may_have_changed = taken.wrapping_sub(one.position) as i64 > 0);
        Ok(())
    }
}

fn places<C>(batch: &[Sighting<C>]) -> Vec<u32> {
    batch.iter().map(|one| one.place).collect()
}
