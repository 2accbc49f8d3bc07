//! The two queues of a channel: bounded, one producing and one consuming side each.
//!
//! A queue has 32-bit entries, used in a circle, a power of two of them, at least `queuelen`. An entry says by itself that it is published:
//! its lowest bit is the phase of its lap, 1 in the first, 0 in the second, and so on, so that a zeroed queue is an empty one. No
//! more entries are out than there are, hence one bit suffices. The consumer looks at the entry that it expects;
//! there is no tail in shared memory. Positions count from 0 and never wrap (at 10^9 samples a second, in 500 years).
//!
//! | edge | stores | loads | what it carries |
//! |---|---|---|---|
//! | Q1 | producer: entry, release | consumer: entry, acquire | the sample's contents and `sent` are seen by who sees the entry |
//! | Q2 | consumer: `taken`, release | producer: `taken`, acquire | the consumer's look at the entry comes before the entry is overwritten |

use crate::protocol::channel_words::{ChannelWords, Side};

/// Turns positions into indexes and phases.
#[derive(Clone, Copy)]
struct Entries {
    /// How many entries: a power of two.
    length: u32,
}

impl Entries {
    fn new(length: u32) -> Entries {
        debug_assert!(length.is_power_of_two());
        Entries { length }
    }
    #[inline(always)]
    fn index(self, position: u64) -> u32 {
        position as u32 & (self.length - 1)
    }
    #[inline(always)]
    fn phase(self, position: u64) -> u32 {
        u32::from(position as u32 & self.length == 0)
    }
    /// The block number in the entry for `position`, if that is published.
    #[inline(always)]
    fn look<W: ChannelWords>(self, words: &W, from: Side, position: u64) -> Option<u32> {
        let entry = words.entry(from, self.index(position)).observe(); // Q1
        (entry & 1 == self.phase(position)).then_some(entry >> 1)
    }
}

/// The writing end of a queue.
pub(crate) struct QueueWriter {
    side: Side,
    entries: Entries,
    queuelen: u64,
    position: u64,
    /// How many more fit for certain. In range 0 ..= `queuelen`.
    room: u64,
}

impl QueueWriter {
    /// Finds the end of what `side` has published: the entries behind what the consumer has taken whose phase is right.
    /// The consumer may go on meanwhile; entries are overwritten only by the side that is recovered here.
    pub(crate) fn recover<W: ChannelWords>(words: &W, side: Side, queuelen: u32, length: u32) -> QueueWriter {
        let entries = Entries::new(length);
        let taken = words.taken(side.other()).observe(); // Q2
        let mut position = taken;
        while position.wrapping_sub(taken) < u64::from(length) && entries.look(words, side, position).is_some() {
            position = position.wrapping_add(1);
        }
        QueueWriter { side, entries, queuelen: u64::from(queuelen), position, room: 0 }
    }

    pub(crate) fn position(&self) -> u64 {
        self.position
    }

    /// Whether one more fits for certain, without a look at the peer's word.
    #[inline(always)]
    pub(crate) fn has_room(&self) -> bool {
        self.room > 0
    }

    /// Whether one more fits, by the peer's word.
    #[inline(always)]
    pub(crate) fn look_for_room<W: ChannelWords>(&mut self, words: &W) -> bool {
        let taken = words.taken(self.side.other()).observe(); // Q2
        // A peer can write anything there; what makes no sense is no room.
        self.room = self.queuelen.saturating_sub(self.position.wrapping_sub(taken));
        self.room > 0
    }

    /// How many the peer has not taken, by its word. It can write anything there; what makes no sense is a full queue.
    pub(crate) fn pending<W: ChannelWords>(&self, words: &W) -> u64 {
        self.position.wrapping_sub(words.taken(self.side.other()).observe()).min(self.queuelen) // a look: Q2
    }

    /// Publishes `block`; there must be room, as far as [`QueueWriter::has_room`] or [`QueueWriter::look_for_room`] knows.
    #[inline(always)]
    pub(crate) fn publish<W: ChannelWords>(&mut self, words: &W, block: u32) {
        debug_assert!(self.room > 0);
        let entry = block << 1 | self.entries.phase(self.position);
        words.entry(self.side, self.entries.index(self.position)).publish(entry); // Q1
        self.position = self.position.wrapping_add(1);
        self.room -= 1;
    }

    /// The same in a repair, for a block that the dead had marked: it had seen the room, of which nothing is known here.
    pub(crate) fn publish_marked<W: ChannelWords>(&mut self, words: &W, block: u32) {
        self.room = 1;
        self.publish(words, block); // Q1
    }
}

impl QueueWriter {
    /// What a thread that waits for room needs in order to look for itself.
    pub(crate) fn lookout(&self) -> RoomLookout {
        RoomLookout { reader: self.side.other(), full_at: self.position.wrapping_sub(self.queuelen) }
    }
}

/// A look for room, without the producer.
#[derive(Clone, Copy)]
pub(crate) struct RoomLookout {
    reader: Side,
    /// What the reader had taken when the queue was full.
    full_at: u64,
}

impl RoomLookout {
    /// Whether the reader has taken something since.
    #[inline(always)]
    pub(crate) fn is_worth_a_look<W: ChannelWords>(&self, words: &W) -> bool {
        words.taken(self.reader).observe() != self.full_at // a look: Q2
    }
}

/// The reading end of a queue.
pub(crate) struct QueueReader {
    /// The side that writes the queue.
    from: Side,
    entries: Entries,
    position: u64,
}

impl QueueReader {
    /// Goes on where `side` has taken the last one.
    pub(crate) fn recover<W: ChannelWords>(words: &W, side: Side, length: u32) -> QueueReader {
        QueueReader { from: side.other(), entries: Entries::new(length), position: words.taken(side).get() }
    }

    pub(crate) fn position(&self) -> u64 {
        self.position
    }

    /// The block number in the next entry, if there is one. It may be any number: the peer wrote it.
    #[inline(always)]
    pub(crate) fn peek<W: ChannelWords>(&self, words: &W) -> Option<u32> {
        self.peek_at(words, self.position)
    }

    /// The same for the entry of a position that is not behind.
    #[inline(always)]
    pub(crate) fn peek_at<W: ChannelWords>(&self, words: &W, position: u64) -> Option<u32> {
        self.entries.look(words, self.from, position)
    }

    /// How many entries are published from here on. Looks at each.
    pub(crate) fn pending<W: ChannelWords>(&self, words: &W) -> u64 {
        let published = |ahead: &u64| self.entries.look(words, self.from, self.position.wrapping_add(*ahead)).is_some();
        (0..u64::from(self.entries.length)).take_while(published).count() as u64
    }

    /// Goes on to `position`, and tells the producer so.
    #[inline(always)]
    pub(crate) fn take<W: ChannelWords>(&mut self, words: &W, position: u64) {
        self.position = position;
        words.taken(self.from.other()).publish(position); // Q2
    }

    /// What a thread that waits needs in order to look for itself.
    pub(crate) fn lookout(&self) -> EntryLookout {
        EntryLookout { from: self.from, entries: self.entries, position: self.position }
    }
}

/// A look at one entry, without the consumer.
#[derive(Clone, Copy)]
pub(crate) struct EntryLookout {
    from: Side,
    entries: Entries,
    position: u64,
}

impl EntryLookout {
    /// Whether the entry is published, or another thread of this side has read on, so that another entry is the next.
    #[inline(always)]
    pub(crate) fn is_worth_a_look<W: ChannelWords>(&self, words: &W) -> bool {
        self.entries.look(words, self.from, self.position).is_some() || words.taken(self.from.other()).get() != self.position
    }
}
