//! One side of a channel: its ends of the two queues and its view of the pool, and how they are repaired after a death.

use crate::error::{Error, Result};
use crate::layout::sample::flags;
use crate::layout::{Bell, Side, Words};
use crate::pool::{Orphan, Pool};
use crate::queue::{Consumer, Lookout, Producer, RoomLookout};
use crate::sys::gate::Idle;
use crate::sys::table::Table;
use crate::wait::ring;

/// Looks at the next entry before a read that finds none begins to wait. Few for the fuzzer, which is to make many calls.
const QUICK_LOOKS: u32 = if cfg!(feature = "fuzzing") { 8 } else { 512 };

/// What one thread at a time works on.
pub(crate) struct Half<W> {
    words: W,
    side: Side,
    output: Producer,
    input: Consumer,
    pool: Pool,
    /// What the predecessor had in its hands, in the order in which it came, last first; so many are left.
    again: Table<Orphan>,
    again_left: usize,
    redelivered: u64,
}

/// The numbers that the repair and the parts need.
#[derive(Clone, Copy)]
pub(crate) struct Sizes {
    pub(crate) queuelen: u32,
    pub(crate) ring_len: u32,
    pub(crate) home_blocks: u32,
}

impl<W: Words + Clone> Half<W> {
    /// Takes over `side` as its last holder left it: closed, or dead at any instruction. The caller holds the side's lock.
    ///
    /// Each step stores what the dead would have stored next, or nothing; so it may die here too, and the next one begins again.
    pub(crate) fn recover(words: W, side: Side, sizes: Sizes) -> Result<Half<W>> {
        let mut output = Producer::recover(&words, side, sizes.queuelen, sizes.ring_len);
        let input = Consumer::recover(&words, side, sizes.ring_len);
        let pool = Pool::recover(&words, side, sizes.home_blocks)?;
        // Roll forward: a block that was marked goes out after all.
        if let Some(block) = pool.unpublished(&words, output.position())? {
            pool.complete(&words, block, output.position(), input.position());
            output.publish(&words, block);
            ring(&words.chime(side, side.other(), Bell::Data));
        }
        words.kept(side).set(0);
        let mut orphans: Vec<Orphan> = pool.orphans(&words, input.position()).collect();
        orphans.sort_unstable_by_key(|orphan| std::cmp::Reverse(orphan.sent));
        // In a table, because a `Vec` could not be dropped by a signal handler that closes the channel.
        let mut again = Table::resident(orphans.len(), "the repair")?;
        again.copy_from_slice(&orphans);
        let again_left = orphans.len();
        Ok(Half { words, side, output, input, pool, again, again_left, redelivered: 0 })
    }

    #[inline(always)]
    pub(crate) fn words(&self) -> &W {
        &self.words
    }

    pub(crate) fn side(&self) -> Side {
        self.side
    }

    pub(crate) fn pool(&self) -> &Pool {
        &self.pool
    }

    /// How many this side has written, since the region was made.
    pub(crate) fn written(&self) -> u64 {
        self.output.position()
    }

    /// How many this process was given again.
    pub(crate) fn redelivered(&self) -> u64 {
        self.redelivered
    }

    /// How many this side has taken, since the region was made.
    pub(crate) fn taken(&self) -> u64 {
        self.input.position()
    }

    /// Whether whoever takes over `side` will find something to read. Stores nothing.
    pub(crate) fn has_leftovers(words: &W, side: Side, sizes: Sizes) -> Result<bool> {
        let input = Consumer::recover(words, side, sizes.ring_len);
        let pool = Pool::recover(words, side, sizes.home_blocks)?;
        Ok(input.peek(words).is_some() || pool.orphans(words, input.position()).next().is_some())
    }

    /// How many wait to be taken by this side.
    pub(crate) fn queued_in(&self) -> u64 {
        self.again_left as u64 + self.input.pending(&self.words)
    }

    /// How many of this side's wait to be taken by the peer.
    pub(crate) fn queued_out(&self) -> u64 {
        self.output.pending(&self.words)
    }

    /// What a waiting reader looks at.
    pub(crate) fn lookout(&self) -> Lookout {
        self.input.lookout()
    }

    /// What a waiting writer looks at.
    pub(crate) fn room_lookout(&self) -> RoomLookout {
        self.output.lookout()
    }

    /// Hands out up to `most` empty samples, each given to `give`; how many. Fewer: no more are free.
    #[inline(always)]
    pub(crate) fn alloc(&mut self, most: usize, mut give: impl FnMut(&W, usize, u32)) -> usize {
        let words = self.words.clone();
        for count in 0..most {
            let Some(block) = self.pool.next(&words).or_else(|| self.pool.search(&self.words)) else { return count };
            give(&words, count, block);
        }
        most
    }

    /// Sends the blocks that `next` gives by their place, from `sent` on, each giving up one reference, and counts them.
    /// `true`: until it gave none; `false`: until there was no room.
    #[inline(always)]
    pub(crate) fn write(&mut self, sent: &mut usize, mut next: impl FnMut(&W, usize) -> Option<u32>) -> Result<bool> {
        // A copy, for inlined code only, which has it in registers: what lies behind `self` is loaded again after each store to
        // shared memory.
        let words = self.words.clone();
        let mut count = *sent;
        let outcome = loop {
            let Some(block) = next(&words, count) else { break Ok(true) };
            let Some(hand) = self.pool.hand(block) else {
                break Err("not a live sample of this channel: foreign, or written or put already");
            };
            if !words.is_sound(block) {
                break Err("the sample's length exceeds its capacity, or its capacity was changed");
            }
            if !hand.is_back(&words) {
                break Err("the sample is still out: the peer has not put it since it was written last");
            }
            if !self.output.has_room() && !self.output.look_for_room(&words) {
                break Ok(false);
            }
            hand.send(&words, self.output.position());
            self.output.publish(&words, block);
            count += 1;
        };
        *sent = count;
        outcome.map_err(Error::invalid)
    }

    /// Tells the peer's readers that something was written.
    #[inline(always)]
    pub(crate) fn ring_data(&self) {
        ring(&self.words.chime(self.side, self.side.other(), Bell::Data));
    }

    /// Receives up to `most` samples, each given to `give`. An error only when there was none before it.
    #[inline(always)]
    pub(crate) fn read(&mut self, most: usize, mut give: impl FnMut(&W, usize, u32)) -> Result<usize> {
        let words = self.words.clone();
        let mut count = 0;
        if self.again_left != 0 {
            count = self.read_again(most, &mut give)?;
        }
        let mut position = self.input.position();
        let mut failed = None;
        while count < most {
            let Some(block) = self.input.peek_at(&words, position) else { break };
            let next = position.wrapping_add(1);
            if let Err(why) = self.pool.receive(&words, block, next) {
                failed = Some(why);
                break;
            }
            position = next;
            give(&words, count, block);
            count += 1;
        }
        if position != self.input.position() {
            self.input.take(&words, position);
            ring(&self.words.chime(self.side, self.side.other(), Bell::Room));
        }
        match failed {
            Some(why) if count == 0 => Err(Error::corrupt(why)),
            _ => Ok(count),
        }
    }

    /// First comes what the predecessor had in its hands.
    #[cold]
    #[inline(never)]
    fn read_again(&mut self, most: usize, give: &mut impl FnMut(&W, usize, u32)) -> Result<usize> {
        let mut count = 0;
        while count < most && self.again_left != 0 {
            let Orphan { block, sent, .. } = self.again[self.again_left - 1];
            if let Err(why) = self.pool.receive(&self.words, block, sent) {
                return if count == 0 { Err(Error::corrupt(why)) } else { Ok(count) };
            }
            self.again_left -= 1;
            self.redelivered += 1;
            self.words.count_redelivered(self.side);
            self.words.mark(block, flags::REDELIVERED);
            give(&self.words, count, block);
            count += 1;
        }
        Ok(count)
    }

    /// Looks for a short while whether a sample comes: a peer that is at work answers within it, and to leave the turn
    /// and take it again would cost as much. Threads that wait for their turn wait for half a microsecond.
    #[inline(always)]
    pub(crate) fn has_input_soon(&self) -> bool {
        let words = self.words.clone();
        (0..QUICK_LOOKS).any(|_| self.input.peek(&words).is_some())
    }

    /// One reference more; how many there are then. 0: nobody here holds `block`.
    pub(crate) fn get(&mut self, block: u32) -> u32 {
        self.pool.hand(block).map_or(0, |hand| hand.get())
    }

    /// One reference less to each block that `next` gives by its place, until it gives none or one that nobody here holds; how
    /// many. [`Half::ring_room`] must follow.
    #[inline(always)]
    pub(crate) fn put_all(&mut self, mut next: impl FnMut(&W, usize) -> Option<u32>) -> usize {
        let words = self.words.clone();
        let mut count = 0;
        while let Some(hand) = next(&words, count).and_then(|block| self.pool.hand(block)) {
            hand.put(&words);
            count += 1;
        }
        count
    }

    /// Wakes who waits for a block, on either side.
    pub(crate) fn ring_room(&self) {
        ring(&self.words.chime(self.side, self.side, Bell::Room));
        ring(&self.words.chime(self.side, self.side.other(), Bell::Room));
    }

    /// One reference less; how many are left. `None`: nobody here holds `block`.
    #[inline(always)]
    pub(crate) fn put(&mut self, block: u32) -> Option<u32> {
        let words = self.words.clone();
        let left = self.pool.hand(block)?.put(&words);
        if left == 0 {
            ring(&self.words.chime(self.side, self.pool.home(block), Bell::Room));
        }
        Some(left)
    }
}

impl<W> Half<W> {
    /// The same for a process that no longer holds its side: stores nothing in the region.
    #[cold]
    pub(crate) fn drop_reference(&mut self, block: u32) -> Option<u32> {
        Some(self.pool.hand(block)?.drop_reference())
    }
}

impl<W> Idle for Half<W> {
    fn is_idle(&self) -> bool {
        self.pool.is_idle()
    }
}
