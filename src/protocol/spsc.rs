//! The ring with one producer and one consumer.
//!
//! The word of a slot has one writer, the producer: 1 + the position of the message in it. So the consumer sees in the word beside the
//! message that it is there, and looks at no index; positions never come again, so nothing has to be cleared. The consumer
//! stores how far it has come in `head`, on a line that the producer looks at only when the room that it knows of is used up.
//!
//! A batch is published by the word of its first message, stored last: all or nothing of it is seen.
//!
//! | edge | stores | loads | what it carries |
//! |---|---|---|---|
//! | R1 | producer: messages, then the word, release | consumer: the word, acquire, then the message | whole messages |
//! | R2 | consumer: it has copied the messages, then `head`, release | producer: `head`, acquire, then it writes over them | nothing is overwritten before it is read |
//!
//! The words of a batch but the first need no order among themselves: whoever sees the first (R1) sees them. They are loaded with acquire
//! all the same, since the run that the consumer sees may go on into later batches, each with its own first.
//!
//! ## Death
//!
//! What is private to the two, their positions, is found again in the region. `head` is the consumer's position at any instant: a message
//! whose copying was cut off is offered to the successor. `tail` is stored after the word, to be looked at by others; the producer's successor
//! goes on from there as far as words say that messages are published, at most a batch. Words of a batch that was never published may stand
//! beyond; they would publish the successor's predecessors' messages, so they are cleared before anything is published.

use super::ring_words::{RingWords, broken};
use crate::error::Result;

/// What the producer keeps for itself.
pub(crate) struct Producer {
    capacity: u32,
    /// Of the next message.
    position: u64,
    /// Its slot: `position` modulo `capacity`.
    index: u32,
    /// `head` as it was seen last; in range `position - capacity ..= position`.
    head: u64,
}

/// What the consumer keeps for itself.
pub(crate) struct Consumer {
    capacity: u32,
    /// Of the next message.
    position: u64,
    /// Its slot.
    index: u32,
    /// `tail` as it was seen last: only a hint.
    tail: u64,
}

/// So many slots ahead lines are fetched, where it is known that the other side is done with them: a line that is fetched too early is taken
/// away from under the other's hands.
const AHEAD: u32 = 6;
/// The consumer looks at `tail` once in so many messages, to know how far it may fetch.
const LOOK_EVERY: u64 = 32;

/// The slot that is `count` behind `index`; `count` is at most `capacity`.
#[inline(always)]
fn after(index: u32, count: u32, capacity: u32) -> u32 {
    let next = index + count;
    if next >= capacity { next - capacity } else { next }
}

/// `1 +` the position, and no position is `u64::MAX`: 2^64 messages take centuries, and garbage of this kind is refused.
fn check(position: u64) -> Result<u64> {
    if position > u64::MAX / 2 { Err(broken("a position is beyond any that can be reached")) } else { Ok(position) }
}

/// `tail` may be behind by the last batch, if the producer died between its word and `tail`; so look on from there.
fn true_tail<W: RingWords>(words: &W) -> Result<(u64, u64)> {
    let capacity = u64::from(words.capacity());
    // In this order: neither is then ahead of the other by more than the other can have gone on in between.
    let stored = check(words.tail().observe())?; // R1: it follows the word
    let head = check(words.head().observe())?; // R2
    if stored > head + capacity || head > stored + capacity {
        return Err(broken("head and tail are further apart than its capacity"));
    }
    let mut tail = stored.max(head);
    while tail < head + capacity && words.word((tail % capacity) as u32).observe() == tail + 1 {
        // R1
        tail += 1;
    }
    Ok((head, tail))
}

impl Producer {
    /// Goes on where the last producer has come to: closed (`is_clean`), or dead at any instruction.
    pub(crate) fn recover<W: RingWords>(words: &W, is_clean: bool) -> Result<Producer> {
        let capacity = u64::from(words.capacity());
        let (head, tail) = true_tail(words)?;
        let unpublished = if is_clean { 0..0 } else { tail + 1..(head + capacity).max(tail + 1) };
        for position in unpublished {
            let word = words.word((position % capacity) as u32);
            if word.get() == position + 1 {
                word.set(0);
            }
        }
        words.tail().set(tail);
        Ok(Producer { capacity: words.capacity(), position: tail, index: (tail % capacity) as u32, head })
    }

    /// How many messages fit, found out anew if it seems to be fewer than `wanted`.
    #[inline(always)]
    pub(crate) fn room<W: RingWords>(&mut self, words: &W, wanted: u32) -> Result<u32> {
        let used = (self.position - self.head) as u32;
        if self.capacity - used >= wanted {
            return Ok(self.capacity - used);
        }
        let head = words.head().observe(); // R2
        if head > self.position || self.position - head > u64::from(self.capacity) {
            return Err(broken("head is not within its capacity behind tail"));
        }
        self.head = head;
        Ok(self.capacity - (self.position - head) as u32)
    }

    /// Fetches what will be written after message `at` of the next batch, as far as there is room.
    #[inline(always)]
    pub(crate) fn fetch_ahead<W: RingWords>(&self, words: &W, at: u32) {
        let used = (self.position - self.head) as u32 + at;
        if used + AHEAD < self.capacity {
            words.expect(self.index(at + AHEAD), true);
        }
    }

    /// The slot of message `at` of the next batch.
    #[inline(always)]
    pub(crate) fn index(&self, at: u32) -> u32 {
        after(self.index, at, self.capacity)
    }

    /// `head` as it was seen last, for who waits for another.
    pub(crate) fn head(&self) -> u64 {
        self.head
    }

    /// Message `at` of the batch is written; the first is left to [`Producer::publish`].
    #[inline(always)]
    pub(crate) fn stage<W: RingWords>(&self, words: &W, at: u32) {
        if at > 0 {
            words.word(self.index(at)).publish(self.position + u64::from(at) + 1); // R1
        }
    }

    /// Makes the batch of `count` messages, which are written and staged, visible.
    #[inline(always)]
    pub(crate) fn publish<W: RingWords>(&mut self, words: &W, count: u32) {
        words.word(self.index).publish(self.position + 1); // R1
        self.index = self.index(count);
        self.position += u64::from(count);
        words.tail().set(self.position);
    }
}

impl Consumer {
    /// Goes on where the last consumer has come to.
    pub(crate) fn recover<W: RingWords>(words: &W) -> Result<Consumer> {
        let (head, _) = true_tail(words)?;
        let index = (head % u64::from(words.capacity())) as u32;
        Ok(Consumer { capacity: words.capacity(), position: head, index, tail: head })
    }

    /// Whether message `at` of those to come is there; `at` is below the capacity.
    #[inline(always)]
    pub(crate) fn is_there<W: RingWords>(&self, words: &W, at: u32) -> bool {
        words.word(self.index(at)).observe() == self.position + u64::from(at) + 1 // R1
    }

    /// Fetches what will be read after message `at` of those to come, as far as it is published.
    #[inline(always)]
    pub(crate) fn fetch_ahead<W: RingWords>(&mut self, words: &W, at: u32, is_batch: bool) {
        let position = self.position + u64::from(at);
        if (at == 0 && is_batch) || position % LOOK_EVERY == 0 {
            self.tail = words.tail().get();
        }
        if at + AHEAD < self.capacity && position + u64::from(AHEAD) < self.tail {
            words.expect(self.index(at + AHEAD), false);
        }
    }

    /// The slot of the next message, and the word that it will have.
    pub(crate) fn awaited(&self) -> (u32, u64) {
        (self.index, self.position + 1)
    }

    /// The slot of message `at` of those to come.
    #[inline(always)]
    pub(crate) fn index(&self, at: u32) -> u32 {
        after(self.index, at, self.capacity)
    }

    /// Gives the slots of `count` messages back.
    #[inline(always)]
    pub(crate) fn release<W: RingWords>(&mut self, words: &W, count: u32) {
        self.index = self.index(count);
        self.position += u64::from(count);
        words.head().publish(self.position); // R2
    }
}

/// Messages that are published and not taken.
pub(crate) fn pending<W: RingWords>(words: &W) -> Result<u32> {
    let (head, tail) = true_tail(words)?;
    Ok((tail - head) as u32)
}
