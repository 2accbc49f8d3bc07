//! One side of a channel: its ends of the two queues and its view of the pool, and how they are repaired after a death.

use crate::error::{Error, Result};
use crate::memory::zeroed::Table;
use crate::protocol::channel_words::{Block, ChannelBell, ChannelWords, Side};
use crate::protocol::doorbell::{QUICK_LOOKS, notify};
use crate::protocol::flags::Flags;
use crate::protocol::gate::Idle;
use crate::protocol::pool::{Orphan, Pool};
use crate::protocol::queue::{EntryLookout, QueueReader, QueueWriter, RoomLookout};

/// What one thread at a time works on.
pub(crate) struct Half<W> {
    words: W,
    side: Side,
    output: QueueWriter,
    input: QueueReader,
    pool: Pool,
    /// What the predecessor had in its hands, in the order in which it came, last first; so many are left.
    again: Table<Orphan>,
    again_left: usize,
    redelivered: u64,
}

/// How far a write came, and why not further.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Written {
    /// All are sent.
    All,
    /// There is no room for the next one.
    Full,
    /// The next one is not in this process's hands.
    Foreign,
    /// The next one says something impossible.
    Unsound,
    /// The next one has not come back since it was sent last.
    Out,
}

impl Written {
    /// Why the next one cannot be sent.
    #[cold]
    #[inline(never)]
    pub(crate) fn error(self) -> Error {
        match self {
            Written::All | Written::Full => Error::new(libc::EAGAIN, "there is no room"),
            Written::Foreign => Error::invalid("not a live sample of this channel: foreign, or written or put already"),
            Written::Unsound => Error::invalid("the sample's length exceeds its capacity, or its capacity was changed"),
            Written::Out => Error::invalid("the sample is still out: the peer has not put it since it was written last"),
        }
    }
}

/// The numbers that the repair and the parts need.
#[derive(Clone, Copy)]
pub(crate) struct Sizes {
    pub(crate) queuelen: u32,
    pub(crate) entries: u32,
    pub(crate) home_blocks: u32,
}

impl<W: ChannelWords + Clone> Half<W> {
    /// Takes over `side` as its last holder left it: closed, or dead at any instruction. The caller holds the side's lock.
    ///
    /// Each step stores what the dead would have stored next, or nothing; so it may die here too, and the next one begins again.
    pub(crate) fn recover(words: W, side: Side, sizes: Sizes) -> Result<Half<W>> {
        let mut output = QueueWriter::recover(&words, side, sizes.queuelen, sizes.entries);
        let input = QueueReader::recover(&words, side, sizes.entries);
        let pool = Pool::recover(&words, side, sizes.home_blocks)?;
        // Roll forward: a block that was marked goes out after all.
        if let Some(block) = pool.unpublished(&words, output.position())? {
            pool.complete(&words, block, output.position(), input.position());
            output.publish_marked(&words, block);
            notify(words.doorbell(side, side.other(), ChannelBell::Data));
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
        let input = QueueReader::recover(words, side, sizes.entries);
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
    pub(crate) fn lookout(&self) -> EntryLookout {
        self.input.lookout()
    }

    /// What a waiting writer looks at.
    pub(crate) fn room_lookout(&self) -> RoomLookout {
        self.output.lookout()
    }

    /// Hands out up to `most` empty samples, each given to `give`; how many. Fewer: no more are free.
    #[inline(always)]
    pub(crate) fn alloc(&mut self, most: usize, mut give: impl FnMut(usize, u32, W::Block)) -> usize {
        if most == 0 {
            return 0;
        }
        let first = match self.pool.prepared(&self.words) {
            None => self.pool.next(&self.words),
            first => first,
        };
        let mut count = 0;
        if let Some((number, block)) = first {
            give(0, number, block);
            count = 1;
        }
        if count < most { self.alloc_more(count, most, give) } else { count }
    }

    #[inline(never)]
    fn alloc_more(&mut self, mut count: usize, most: usize, mut give: impl FnMut(usize, u32, W::Block)) -> usize {
        // A copy, in registers: what lies behind `self` is loaded again after each store to shared memory.
        let words = self.words.clone();
        while count < most {
            if let Some((number, block)) = self.pool.next(&words) {
                give(count, number, block);
            } else if let Some((number, block)) = self.pool.search(&self.words) {
                give(count, number, block);
            } else {
                break;
            }
            count += 1;
        }
        count
    }

    /// Sends the `count` samples whose addresses `address` gives by their place, from `sent` on, each giving up one reference. How many
    /// are sent then, and why not all.
    #[inline(always)]
    pub(crate) fn write(&mut self, sent: usize, count: usize, mut address: impl FnMut(usize) -> usize) -> (usize, Written) {
        if count != 1 || sent != 0 {
            return self.write_many(sent, count, address);
        }
        let written = Self::write_one(&self.words, &mut self.pool, &mut self.output, address(0));
        (usize::from(written == Written::All), written)
    }

    #[inline(never)]
    fn write_many(&mut self, mut sent: usize, count: usize, mut address: impl FnMut(usize) -> usize) -> (usize, Written) {
        let words = self.words.clone();
        while sent < count {
            let written = Self::write_one(&words, &mut self.pool, &mut self.output, address(sent));
            if written != Written::All {
                return (sent, written);
            }
            sent += 1;
        }
        (sent, Written::All)
    }

    #[inline(always)]
    fn write_one(words: &W, pool: &mut Pool, output: &mut QueueWriter, address: usize) -> Written {
        let Some((number, block)) = words.block_at(address) else { return Written::Foreign };
        let Some(hand) = pool.hand(number, block) else { return Written::Foreign };
        if !hand.is_sound() {
            return Written::Unsound;
        }
        if !hand.is_back() {
            return Written::Out;
        }
        if !output.has_room() && !output.look_for_room(words) {
            return Written::Full;
        }
        hand.send(words, output.position());
        output.publish(words, number); // Q1
        Written::All
    }

    /// Tells the peer's readers that something was written.
    #[inline(always)]
    pub(crate) fn notify_data(&self) {
        notify(self.words.doorbell(self.side, self.side.other(), ChannelBell::Data));
    }

    /// Receives up to `most` samples, each given to `give`. An error only when there was none before it.
    #[inline(always)]
    pub(crate) fn read(&mut self, most: usize, mut give: impl FnMut(usize, u32, W::Block)) -> Result<usize> {
        let mut count = 0;
        if self.again_left != 0 {
            count = self.read_again(most, &mut give)?;
        }
        if count >= most {
            return Ok(count);
        }
        let Some(number) = self.input.peek(&self.words) else { return Ok(count) };
        match self.pool.receive(&self.words, number, self.input.position().wrapping_add(1)) {
            Ok(block) => give(count, number, block),
            Err(why) if count == 0 => return Err(Error::corrupt(why)),
            Err(_) => return Ok(count),
        }
        count += 1;
        let position = self.input.position().wrapping_add(1);
        if count < most {
            count = self.read_more(position, count, most, give);
        } else {
            self.input.take(&self.words, position);
        }
        notify(self.words.doorbell(self.side, self.side.other(), ChannelBell::Room));
        Ok(count)
    }

    /// Goes on from `position`.
    #[inline(never)]
    fn read_more(
        &mut self,
        mut position: u64,
        mut count: usize,
        most: usize,
        mut give: impl FnMut(usize, u32, W::Block),
    ) -> usize {
        let words = self.words.clone();
        while count < most {
            let Some(number) = self.input.peek_at(&words, position) else { break };
            let Ok(block) = self.pool.receive(&words, number, position.wrapping_add(1)) else { break };
            give(count, number, block);
            position = position.wrapping_add(1);
            count += 1;
        }
        self.input.take(&self.words, position);
        count
    }

    /// First comes what the predecessor had in its hands.
    #[cold]
    #[inline(never)]
    fn read_again(&mut self, most: usize, give: &mut impl FnMut(usize, u32, W::Block)) -> Result<usize> {
        let mut count = 0;
        while count < most && self.again_left != 0 {
            let Orphan { block: number, sent, .. } = self.again[self.again_left - 1];
            let block = match self.pool.receive(&self.words, number, sent) {
                Ok(block) => block,
                Err(why) if count == 0 => return Err(Error::corrupt(why)),
                Err(_) => break,
            };
            self.again_left -= 1;
            self.redelivered += 1;
            self.words.count_redelivered(self.side);
            block.mark(Flags::REDELIVERED.bits());
            give(count, number, block);
            count += 1;
        }
        Ok(count)
    }

    /// Looks for a short while whether a sample comes: a peer that is at work answers within it, and to leave the turn
    /// and take it again would cost as much. Threads that wait for their turn wait for half a microsecond.
    #[inline(always)]
    pub(crate) fn has_input_soon(&mut self) -> bool {
        self.pool.prepare(&self.words);
        (0..QUICK_LOOKS).any(|_| self.input.peek(&self.words).is_some())
    }

    /// One reference more; how many there are then. 0: nobody here holds a sample at `address`.
    pub(crate) fn get(&mut self, address: usize) -> u32 {
        let Some((number, block)) = self.words.block_at(address) else { return 0 };
        self.pool.hand(number, block).map_or(0, |hand| hand.get())
    }

    /// One reference less to each sample whose address `next` gives by its place, until it gives none or one that nobody here holds; how
    /// many. [`Half::notify_room`] must follow.
    #[inline(always)]
    pub(crate) fn put_all(&mut self, mut next: impl FnMut(usize) -> Option<usize>) -> usize {
        let words = self.words.clone();
        let mut count = 0;
        while let Some((number, block)) = next(count).and_then(|address| words.block_at(address)) {
            let Some(hand) = self.pool.hand(number, block) else { break };
            hand.put();
            count += 1;
        }
        count
    }

    /// Wakes who waits for a block, on either side.
    pub(crate) fn notify_room(&self) {
        notify(self.words.doorbell(self.side, self.side, ChannelBell::Room));
        notify(self.words.doorbell(self.side, self.side.other(), ChannelBell::Room));
    }

    /// One reference less; how many are left. `None`: nobody here holds a sample at `address`.
    #[inline(always)]
    pub(crate) fn put(&mut self, address: usize) -> Option<u32> {
        let (number, block) = self.words.block_at(address)?;
        let left = self.pool.hand(number, block)?.put();
        if left == 0 {
            notify(self.words.doorbell(self.side, self.pool.home(number), ChannelBell::Room));
        }
        Some(left)
    }

    /// The same for a process that no longer holds its side: stores nothing in the region.
    #[cold]
    pub(crate) fn drop_reference(&mut self, address: usize) -> Option<u32> {
        let (number, block) = self.words.block_at(address)?;
        Some(self.pool.hand(number, block)?.drop_reference())
    }
}

impl<W> Idle for Half<W> {
    fn is_idle(&self) -> bool {
        self.pool.is_idle()
    }
}
