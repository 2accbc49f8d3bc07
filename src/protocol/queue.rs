//! The two queues of a channel: bounded, each with one producing and one consuming side.
//!
//! A queue is a circular array of 32-bit entries; their number is a power of two, at least
//! `queuelen`. The lowest bit of an entry says whether it is published: it is the phase of its lap,
//! 1 in the first lap, 0 in the second, and so on, so a zeroed queue is empty. One bit suffices
//! because at most one lap is outstanding. The consumer looks at the entry that it expects; shared
//! memory has no tail. Positions count from 0 and never wrap (at 10^9 samples a second they last
//! 500 years).
//!
//! | edge | stores | loads | what it carries |
//! |---|---|---|---|
//! | Q1 | producer: entry, release | consumer: entry, acquire | a consumer that sees the entry sees the sample's contents and `sent` |
//! | Q2 | consumer: `taken`, release | producer: `taken`, acquire | the consumer has read the entry before the producer overwrites it |

use crate::protocol::channel_words::{ChannelWords, Side};

/// Turns positions into indexes and phases.
#[derive(Clone, Copy)]
pub(super) struct Entries {
    /// The number of entries: a power of two.
    pub(super) length: u32,
}

impl Entries {
    pub(super) fn new(length: u32) -> Entries {
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
    /// The block number in the entry for `position`, if the entry is published.
    #[inline(always)]
    pub(super) fn look<W: ChannelWords>(self, words: &W, from: Side, position: u64) -> Option<u32> {
        let entry = words.entry(from, self.index(position)).observe(); // Q1
        (entry & 1 == self.phase(position)).then_some(entry >> 1)
    }
}

/// The writing end of a queue.
#[derive(Clone, Copy)]
pub(crate) struct QueueWriter {
    side: Side,
    entries: Entries,
    queuelen: u64,
    position: u64,
    /// How many more entries certainly fit. In range 0 ..= `queuelen`.
    room: u64,
}

impl QueueWriter {
    /// Finds the end of what `side` has published: it counts the entries after the consumer's
    /// `taken` whose phase is right. The consumer may run meanwhile, since only the recovered side
    /// overwrites entries.
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

    /// Whether one more entry certainly fits, without loading the peer's word.
    #[inline(always)]
    pub(crate) fn has_room(&self) -> bool {
        self.room > 0
    }

    /// Whether one more entry fits, according to the peer's word.
    #[inline(always)]
    pub(crate) fn look_for_room<W: ChannelWords>(&mut self, words: &W) -> bool {
        let taken = words.taken(self.side.other()).observe(); // Q2
        // The peer can write anything there; an impossible value counts as no room.
        self.room = self.queuelen.saturating_sub(self.position.wrapping_sub(taken));
        self.room > 0
    }

    /// How many entries the peer has not taken, according to its word. The peer can write anything
    /// there; an impossible value counts as a full queue.
    pub(crate) fn pending<W: ChannelWords>(&self, words: &W) -> u64 {
        self.position.wrapping_sub(words.taken(self.side.other()).observe()).min(self.queuelen) // a look: Q2
    }

    /// Publishes `block`. [`QueueWriter::has_room`] or [`QueueWriter::look_for_room`] must have
    /// returned true.
    #[inline(always)]
    pub(crate) fn publish<W: ChannelWords>(&mut self, words: &W, block: u32) {
        debug_assert!(self.room > 0);
        let entry = block << 1 | self.entries.phase(self.position);
        words.entry(self.side, self.entries.index(self.position)).publish(entry); // Q1
        self.position = self.position.wrapping_add(1);
        self.room -= 1;
    }

    /// Publishes a block that the dead predecessor had marked. The predecessor had checked for
    /// room; this process has not.
    pub(crate) fn publish_marked<W: ChannelWords>(&mut self, words: &W, block: u32) {
        self.room = 1;
        self.publish(words, block); // Q1
    }
}

impl QueueWriter {
    /// What a thread needs to look for room by itself.
    pub(crate) fn lookout(&self) -> RoomLookout {
        RoomLookout { reader: self.side.other(), full_at: self.position.wrapping_sub(self.queuelen) }
    }
}

/// A look for room, without access to the writer.
#[derive(Clone, Copy)]
pub(crate) struct RoomLookout {
    reader: Side,
    /// The reader's `taken` when the queue was full.
    full_at: u64,
}

impl RoomLookout {
    /// Whether the reader has taken an entry since.
    #[inline(always)]
    pub(crate) fn is_worth_a_look<W: ChannelWords>(&self, words: &W) -> bool {
        words.taken(self.reader).observe() != self.full_at // a look: Q2
    }
}

/// The reading end of a queue.
#[derive(Clone, Copy)]
pub(crate) struct QueueReader {
    /// The side that writes the queue.
    from: Side,
    entries: Entries,
    position: u64,
}

impl QueueReader {
    /// Continues after the last entry that `side` has taken.
    pub(crate) fn recover<W: ChannelWords>(words: &W, side: Side, length: u32) -> QueueReader {
        QueueReader { from: side.other(), entries: Entries::new(length), position: words.taken(side).get() }
    }

    pub(crate) fn position(&self) -> u64 {
        self.position
    }

    /// The block number in the next entry, if that is published. It may be any number: the peer
    /// wrote it.
    #[inline(always)]
    pub(crate) fn peek<W: ChannelWords>(&self, words: &W) -> Option<u32> {
        self.peek_at(words, self.position)
    }

    /// The block number in the entry for `position`, if that is published. `position` must not be
    /// behind the reader.
    #[inline(always)]
    pub(crate) fn peek_at<W: ChannelWords>(&self, words: &W, position: u64) -> Option<u32> {
        self.entries.look(words, self.from, position)
    }

    /// How many entries are published and not taken. Looks at each.
    pub(crate) fn pending<W: ChannelWords>(&self, words: &W) -> u64 {
        let published = |ahead: &u64| self.entries.look(words, self.from, self.position.wrapping_add(*ahead)).is_some();
        (0..u64::from(self.entries.length)).take_while(published).count() as u64
    }

    /// Moves on to `position`, and tells the producer.
    #[inline(always)]
    pub(crate) fn take<W: ChannelWords>(&mut self, words: &W, position: u64) {
        self.position = position;
        words.taken(self.from.other()).publish(position); // Q2
    }

    /// What a thread needs to look for an entry by itself.
    pub(crate) fn lookout(&self) -> EntryLookout {
        EntryLookout { from: self.from, entries: self.entries, position: self.position }
    }
}

/// A look at one entry, without access to the reader.
#[derive(Clone, Copy)]
pub(crate) struct EntryLookout {
    from: Side,
    entries: Entries,
    position: u64,
}

impl EntryLookout {
    /// Whether the entry is published, or no longer the next one because another thread of this
    /// side has read it.
    #[inline(always)]
    pub(crate) fn is_worth_a_look<W: ChannelWords>(&self, words: &W) -> bool {
        self.entries.look(words, self.from, self.position).is_some() || words.taken(self.from.other()).get() != self.position
    }
}
