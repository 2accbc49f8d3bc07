//! One side of a channel: its ends of the two queues, its view of the pool, and their repair after
//! a death.

use crate::error::{Error, Result};
use crate::memory::zeroed::Table;
use crate::protocol::channel_words::{Block, ChannelBell, ChannelWords, Side};
use crate::protocol::doorbell::{QUICK_LOOKS, notify, notify_own};
use crate::protocol::flags::Flags;
use crate::protocol::gate::Idle;
use crate::protocol::hand::{Hand, Holding};
use crate::protocol::pool::{Orphan, Pool};
use crate::protocol::queue::{EntryLookout, QueueReader, QueueWriter, RoomLookout};

/// The state that one thread at a time works on.
pub(crate) struct Half<W> {
    words: W,
    side: Side,
    output: QueueWriter,
    input: QueueReader,
    pool: Pool,
    /// The blocks that the dead predecessor held, the last received first. The first `again_left`
    /// are still to be redelivered.
    again: Table<Orphan>,
    again_left: usize,
    redelivered: u64,
}

/// How a write ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Written {
    /// All samples are sent.
    All,
    /// There is no room for the next sample.
    Full,
    /// This process does not hold the next sample.
    Foreign,
    /// The next sample's header is impossible.
    Unsound,
    /// The next sample has not come back since it was last sent.
    Out,
}

impl Written {
    /// Why the next sample cannot be sent.
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

/// The sizes of a channel's queues and pool.
#[derive(Clone, Copy)]
pub(crate) struct Sizes {
    pub(crate) queuelen: u32,
    pub(crate) entries: u32,
    pub(crate) home_blocks: u32,
    /// Others of its home that are handed out before a block is handed out again.
    pub(crate) history: u32,
}

impl<W: ChannelWords + Clone> Half<W> {
    /// Takes over `side` from its last holder, which closed it or died at any instruction. The
    /// caller holds the side's lock.
    ///
    /// Each step stores what the dead holder would have stored next, or nothing. So this process
    /// may die here too, and its successor repeats the repair.
    pub(crate) fn recover(words: W, side: Side, sizes: Sizes) -> Result<Half<W>> {
        let mut output = QueueWriter::recover(&words, side, sizes.queuelen, sizes.entries);
        let input = QueueReader::recover(&words, side, sizes.entries);
        let pool = Pool::recover(&words, side, sizes)?;
        // Roll forward: a block that was marked is sent after all.
        if let Some(block) = pool.unpublished(&words, output.position())? {
            pool.complete(&words, block, output.position(), input.position());
            output.publish_marked(&words, block);
            notify(words.doorbell(side, side.other(), ChannelBell::Data));
        }
        words.kept(side).set(0);
        let mut orphans: Vec<Orphan> = pool.orphans(&words, input.position()).collect();
        orphans.sort_unstable_by_key(|orphan| std::cmp::Reverse(orphan.sent));
        // A table, because a signal handler that closes the channel could not drop a `Vec`.
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

    /// Samples that this side has written since the region was created.
    pub(crate) fn written(&self) -> u64 {
        self.output.position()
    }

    /// Samples that were redelivered to this process.
    pub(crate) fn redelivered(&self) -> u64 {
        self.redelivered
    }

    /// Samples that this side has taken since the region was created.
    pub(crate) fn taken(&self) -> u64 {
        self.input.position()
    }

    /// Whether the next holder of `side` will find something to read. Stores nothing.
    pub(crate) fn has_leftovers(words: &W, side: Side, sizes: Sizes) -> Result<bool> {
        let input = QueueReader::recover(words, side, sizes.entries);
        let pool = Pool::recover(words, side, sizes)?;
        Ok(input.peek(words).is_some() || pool.orphans(words, input.position()).next().is_some())
    }

    /// Samples that this side has still to take.
    pub(crate) fn queued_in(&self) -> u64 {
        self.again_left as u64 + self.input.pending(&self.words)
    }

    /// Samples of this side that the peer has still to take.
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

    /// Hands out up to `most` empty samples, each through `give`; returns how many. Fewer than
    /// `most` means that no more are free.
    #[inline(always)]
    pub(crate) fn alloc(&mut self, most: usize, mut give: impl FnMut(usize, u32, W::Block)) -> usize {
        if most == 0 {
            return 0;
        }
        let count = match self.pool.prepared(&self.words) {
            Some((number, block)) => {
                give(0, number, block);
                1
            }
            None => self.pool.next(&self.words, 1, &mut give),
        };
        if count < most { self.alloc_more(count, most, give) } else { count }
    }

    #[inline(never)]
    fn alloc_more(&mut self, mut count: usize, most: usize, mut give: impl FnMut(usize, u32, W::Block)) -> usize {
        // A copy, kept in registers, as in `Pool::next`.
        let words = self.words.clone();
        loop {
            let before = count;
            count += self.pool.next(&words, most - before, |at, number, block| give(before + at, number, block));
            if count == most {
                return count;
            }
            let Some((number, block)) = self.pool.search(&self.words) else { return count };
            give(count, number, block);
            count += 1;
        }
    }

    /// Sends the samples number `sent` to `count - 1`, whose addresses `address` gives; each send
    /// gives up one reference. Returns how many of the `count` are sent then, and why not all.
    #[inline(always)]
    pub(crate) fn write(&mut self, sent: usize, count: usize, mut address: impl FnMut(usize) -> usize) -> (usize, Written) {
        if count != 1 || sent != 0 {
            return self.write_many(sent, count, address);
        }
        let written = Self::write_one(&self.words, &mut self.pool.hold(), &mut self.output, address(0));
        (usize::from(written == Written::All), written)
    }

    #[inline(never)]
    fn write_many(&mut self, mut sent: usize, count: usize, mut address: impl FnMut(usize) -> usize) -> (usize, Written) {
        // Copies, kept in registers, as in `Pool::next`.
        let (words, mut holding, mut output) = (self.words.clone(), self.pool.hold(), self.output);
        let mut written = Written::All;
        while sent < count {
            written = Self::write_one(&words, &mut holding, &mut output, address(sent));
            if written != Written::All {
                break;
            }
            sent += 1;
        }
        self.output = output;
        (sent, written)
    }

    #[inline(always)]
    fn write_one(words: &W, holding: &mut Holding<'_>, output: &mut QueueWriter, address: usize) -> Written {
        let Some((number, block)) = words.block_at(address) else { return Written::Foreign };
        let Some(hand) = holding.hand(number, block) else { return Written::Foreign };
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

    /// Wakes the peer's readers after a write.
    #[inline(always)]
    pub(crate) fn notify_data(&self) {
        notify(self.words.doorbell(self.side, self.side.other(), ChannelBell::Data));
    }

    /// Receives up to `most` samples, each through `give`. Returns an error only if it concerns the
    /// first one.
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
        match self.pool.hold().receive(&self.words, number, self.input.position().wrapping_add(1)) {
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

    /// Continues a read at `position`.
    #[inline(never)]
    fn read_more(
        &mut self,
        mut position: u64,
        mut count: usize,
        most: usize,
        mut give: impl FnMut(usize, u32, W::Block),
    ) -> usize {
        let (words, mut holding, input) = (self.words.clone(), self.pool.hold(), self.input);
        while count < most {
            let Some(number) = input.peek_at(&words, position) else { break };
            let Ok(block) = holding.receive(&words, number, position.wrapping_add(1)) else { break };
            give(count, number, block);
            position = position.wrapping_add(1);
            count += 1;
        }
        self.input.take(&self.words, position);
        count
    }

    /// Redelivers what the dead predecessor held, before any fresh sample.
    #[cold]
    #[inline(never)]
    fn read_again(&mut self, most: usize, give: &mut impl FnMut(usize, u32, W::Block)) -> Result<usize> {
        let mut count = 0;
        while count < most && self.again_left != 0 {
            let Orphan { block: number, sent, .. } = self.again[self.again_left - 1];
            let block = match self.pool.hold().receive(&self.words, number, sent) {
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

    /// Looks for a sample for a short while: a peer that is at work answers within it, and to leave
    /// the turn and take it again would cost as much. Other threads wait half a microsecond longer
    /// for their turn.
    #[inline(always)]
    pub(crate) fn has_input_soon(&mut self) -> bool {
        self.pool.prepare(&self.words);
        (0..QUICK_LOOKS).any(|_| self.input.peek(&self.words).is_some())
    }

    /// Adds a reference; returns how many there are. 0: this process holds no sample at `address`.
    pub(crate) fn get(&mut self, address: usize) -> u32 {
        let Some((number, block)) = self.words.block_at(address) else { return 0 };
        self.pool.hold().hand(number, block).map_or(0, Hand::get)
    }

    /// Gives up one reference to each sample whose address `next` gives, until it gives none or one
    /// that this process does not hold; returns how many. [`Half::notify_room`] must follow.
    #[inline(always)]
    pub(crate) fn put_all(&mut self, mut next: impl FnMut(usize) -> Option<usize>) -> usize {
        let words = self.words.clone();
        let mut count = 0;
        let mut holding = self.pool.hold();
        while let Some((number, block)) = next(count).and_then(|address| words.block_at(address)) {
            let Some(hand) = holding.hand(number, block) else { break };
            hand.put();
            count += 1;
        }
        count
    }

    /// Wakes the threads of both sides that wait for a block.
    pub(crate) fn notify_room(&self) {
        notify_own(self.words.doorbell(self.side, self.side, ChannelBell::Room));
        notify(self.words.doorbell(self.side, self.side.other(), ChannelBell::Room));
    }

    /// Gives up a reference; returns how many are left. `None`: this process holds no sample at
    /// `address`.
    #[inline(always)]
    pub(crate) fn put(&mut self, address: usize) -> Option<u32> {
        let (number, block) = self.words.block_at(address)?;
        let left = self.pool.hold().hand(number, block)?.put();
        if left == 0 {
            let home = self.pool.home(number);
            let bell = self.words.doorbell(self.side, home, ChannelBell::Room);
            if home == self.side { notify_own(bell) } else { notify(bell) }
        }
        Some(left)
    }

    /// As [`Half::put`], for a process that no longer holds its side: stores nothing in the region.
    #[cold]
    pub(crate) fn drop_reference(&mut self, address: usize) -> Option<u32> {
        let (number, block) = self.words.block_at(address)?;
        Some(self.pool.hold().hand(number, block)?.drop_reference())
    }
}

impl<W> Idle for Half<W> {
    fn is_idle(&self) -> bool {
        self.pool.is_idle()
    }
}
