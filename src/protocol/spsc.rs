//! The ring with one producer and one consumer.
//!
//! Only the producer writes a slot's word: 1 + the position of the message in the slot. The
//! consumer therefore learns from the word beside a message that the message is there, and loads no
//! index. Positions never repeat, so no word has to be cleared. The consumer stores its position in
//! `head`, on a cache line that the producer loads only when the room that it knows of is used up.
//!
//! A batch is published by the word of its first message, stored last, so the consumer sees all of
//! it or nothing.
//!
//! | edge | stores | loads | what it carries |
//! |---|---|---|---|
//! | R1 | producer: messages, then the word, release | consumer: the word, acquire, then the message | whole messages |
//! | R2 | consumer: it has copied the messages, then `head`, release | producer: `head`, acquire, then it writes over them | nothing is overwritten before it is read |
//!
//! The later words of a batch need no order among themselves: a consumer that sees the first one
//! (R1) sees them all. The consumer loads them with acquire nevertheless, because the run that it
//! sees may extend into later batches, each with its own first word.
//!
//! ## Death
//!
//! The private state of the two, their positions, is recovered from the region. `head` is the
//! consumer's position at any instant: a message that was only partly copied is delivered to the
//! successor. The producer stores `tail` after the word, for others to look at. A new producer
//! continues from `tail` past all words that say that their messages are published: at most one
//! batch. Beyond them may stand the later words of a batch that was never published. Once the new
//! producer had published a message before them, the consumer would take the dead producer's
//! messages too, so the new producer clears those words before it publishes anything.

use super::atomics::light_store_fence;
use super::ring_words::{RingWords, broken};
use crate::error::Result;
use core::ops::Range;

/// The producer's private state.
#[derive(Clone, Copy)]
pub(crate) struct Producer {
    capacity: u32,
    /// Position of the next message.
    position: u64,
    /// Its slot: `position` modulo `capacity`.
    index: u32,
    /// `head` as last loaded; in range `position - capacity ..= position`.
    head: u64,
}

/// The consumer's private state.
#[derive(Clone, Copy)]
pub(crate) struct Consumer {
    capacity: u32,
    /// Position of the next message.
    position: u64,
    /// Its slot.
    index: u32,
    /// `tail` as last loaded: only a hint of what to prefetch.
    tail: u64,
}

/// How many slots ahead to prefetch, only where the other side is known to be done: a line that is
/// fetched too early is taken from the other side while it still uses it.
pub(crate) const AHEAD: u32 = 6;
/// The consumer loads `tail` once per this many messages, to know how far it may prefetch.
const LOOK_EVERY: u64 = 32;

/// The slot that is `count` after `index`; `count` is at most `capacity`.
#[inline(always)]
fn after(index: u32, count: u32, capacity: u32) -> u32 {
    let next = index + count;
    if next >= capacity { next - capacity } else { next }
}

/// The `count` slots from `index` on, which go on at the ring's beginning; `count` is at most
/// `capacity`.
#[inline(always)]
fn run(index: u32, count: u32, capacity: u32) -> [Range<u32>; 2] {
    let before_end = count.min(capacity - index);
    [index..index + before_end, 0..count - before_end]
}

/// Refuses positions that only garbage can have: 2^64 messages take centuries. So `1 + position`
/// does not overflow.
pub(super) fn check(position: u64) -> Result<u64> {
    if position > u64::MAX / 2 { Err(broken("a position is beyond any that can be reached")) } else { Ok(position) }
}

/// `head`, and the true tail. The stored `tail` lacks the last batch if the producer died between
/// storing its word and `tail`, so the search continues from there.
fn true_tail<W: RingWords>(words: &W) -> Result<(u64, u64)> {
    let capacity = u64::from(words.capacity());
    // The caller has one of the two ends, whose index stands still meanwhile; an observer has a copy.
    // So the other index is within the capacity, and `tail` lacks one batch at most.
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
    /// Continues where the last producer stopped: closed (`is_clean`), or dead at any instruction.
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
        light_store_fence(); // T3
        Ok(Producer { capacity: words.capacity(), position: tail, index: (tail % capacity) as u32, head })
    }

    /// How many messages fit. Loads `head` again if there seems to be room for fewer than `wanted`.
    #[inline(always)]
    pub(crate) fn room<W: RingWords>(&mut self, words: &W, wanted: u32) -> Result<u32> {
        if self.known_room() >= wanted {
            return Ok(self.known_room());
        }
        let head = words.head().observe(); // R2
        if head > self.position || self.position - head > u64::from(self.capacity) {
            return Err(broken("head is not within its capacity behind tail"));
        }
        self.head = head;
        light_store_fence(); // T3
        Ok(self.known_room())
    }

    /// How many messages fit, as far as is known.
    #[inline(always)]
    pub(crate) fn known_room(&self) -> u32 {
        self.capacity - (self.position - self.head) as u32
    }

    /// The slot of the next message.
    #[inline(always)]
    pub(crate) fn index(&self) -> u32 {
        self.index
    }

    /// The slots of a batch of `count`.
    #[inline(always)]
    pub(crate) fn run(&self, count: u32) -> [Range<u32>; 2] {
        run(self.index, count, self.capacity)
    }

    /// `head` as last loaded: a wait for room waits for another value.
    pub(crate) fn head(&self) -> u64 {
        self.head
    }

    /// Message `at` of the batch is written, in slot `index`. [`Producer::publish`] stores the word
    /// of the first one.
    #[inline(always)]
    pub(crate) fn stage<W: RingWords>(&self, words: &W, index: u32, at: u32) {
        if at > 0 {
            words.word(index).publish(self.position + u64::from(at) + 1); // R1
        }
    }

    /// Makes the batch of `count` written and staged messages visible.
    #[inline(always)]
    pub(crate) fn publish<W: RingWords>(&mut self, words: &W, count: u32) {
        words.word(self.index).publish(self.position + 1); // R1
        self.index = after(self.index, count, self.capacity);
        self.position += u64::from(count);
        words.tail().set(self.position);
    }
}

impl Consumer {
    /// Continues where the last consumer stopped.
    pub(crate) fn recover<W: RingWords>(words: &W) -> Result<Consumer> {
        let (head, _) = true_tail(words)?;
        let index = (head % u64::from(words.capacity())) as u32;
        Ok(Consumer { capacity: words.capacity(), position: head, index, tail: head })
    }

    /// Whether the message `at` places ahead, in slot `index`, is there.
    #[inline(always)]
    pub(crate) fn is_there<W: RingWords>(&self, words: &W, index: u32, at: u32) -> bool {
        words.word(index).observe() == self.position + u64::from(at) + 1 // R1
    }

    /// Whether the next message is there within so many looks.
    #[inline(always)]
    pub(crate) fn comes<W: RingWords>(&self, words: &W, looks: u32) -> bool {
        let (word, published) = (words.word(self.index), self.position + 1);
        for _ in 0..looks {
            if word.observe() == published {
                // R1
                return true;
            }
            words.attend(self.index);
        }
        false
    }

    /// How many messages are there, as far as is known. `looks`: looks at `tail`; else now and then.
    #[inline(always)]
    pub(crate) fn known_messages<W: RingWords>(&mut self, words: &W, looks: bool) -> u32 {
        if looks || self.position % LOOK_EVERY == 0 {
            self.tail = words.tail().get();
        }
        self.tail.saturating_sub(self.position).min(u64::from(self.capacity)) as u32
    }

    /// The slot of the next message, and the word that it will have.
    pub(crate) fn awaited(&self) -> (u32, u64) {
        (self.index, self.position + 1)
    }

    /// The slot of the next message.
    #[inline(always)]
    pub(crate) fn index(&self) -> u32 {
        self.index
    }

    /// The next `count` slots.
    #[inline(always)]
    pub(crate) fn run(&self, count: u32) -> [Range<u32>; 2] {
        run(self.index, count, self.capacity)
    }

    /// Gives back the slots of `count` messages.
    #[inline(always)]
    pub(crate) fn release<W: RingWords>(&mut self, words: &W, count: u32) {
        self.index = after(self.index, count, self.capacity);
        self.position += u64::from(count);
        words.head().publish(self.position); // R2
    }
}

/// Messages that are published and not taken.
pub(crate) fn pending<W: RingWords>(words: &W) -> Result<u32> {
    let (head, tail) = true_tail(words)?;
    Ok((tail - head) as u32)
}
