//! What the two processes could do without a library.
//!
//! Positions continue from slice to slice, counted by each process. Within a slice they are in a
//! local variable, or the compiler would store them to memory in each turn. The payload is plain
//! memory behind raw pointers. An index, stored with release after the payload and loaded with
//! acquire before it, says which process owns it.

use crate::clock::{now_ns, ns_between, ns_per_tick, ticks};
use crate::contender::{Contender, Transport, fill, sum};
use crate::rig::{Run, Side, fail, futex_wait, futex_wake};
use crate::{Line, Shared, SharedWords, Times, Zeroable};
use std::cell::UnsafeCell;
use std::sync::atomic::{AtomicU32, AtomicU64, Ordering};

/// Both processes write one cache line in turn.
pub struct LineTrip {
    line: Shared<Line<AtomicU64>>,
    turn: u64,
}

// SAFETY: one atomic.
unsafe impl Zeroable for Line<AtomicU64> {}

impl LineTrip {
    /// Must be called before the fork.
    #[must_use]
    pub fn boxed() -> Box<dyn Contender> {
        Box::new(LineTrip { line: Shared::zeroed(), turn: 0 })
    }
}

impl Contender for LineTrip {
    fn name(&self) -> String {
        "bare ping-pong of one cache line".into()
    }

    fn open(&mut self, _side: Side, _name: &str) -> Result<(), String> {
        Ok(())
    }

    fn close(&mut self) {}

    fn memory(&self) -> Option<u64> {
        Some(64)
    }

    fn node(&mut self, _run: &Run, count: u64, times: Option<&mut Times>) -> f64 {
        let line = &self.line.0;
        let turn = |turn: u64| {
            line.store(2 * turn + 1, Ordering::Release);
            while line.load(Ordering::Acquire) != 2 * turn + 2 {}
        };
        let (first, end) = (self.turn, self.turn + count);
        self.turn = end;
        turns(first, end, times, turn)
    }

    fn program(&mut self, _run: &Run, count: u64) {
        for turn in self.turn..self.turn + count {
            while self.line.0.load(Ordering::Acquire) != 2 * turn + 1 {}
            self.line.0.store(2 * turn + 2, Ordering::Release);
        }
        self.turn += count;
    }
}

/// Takes turns, without timing or each one timed.
#[inline(always)]
fn turns(first: u64, end: u64, times: Option<&mut Times>, mut turn: impl FnMut(u64)) -> f64 {
    let from = now_ns();
    match times {
        None => (first..end).for_each(turn),
        Some(times) => {
            let rate = ns_per_tick();
            for number in first..end {
                let sent = ticks();
                turn(number);
                times.saturating_record(ns_between(sent, ticks(), rate).max(1));
            }
        }
    }
    (now_ns() - from) as f64
}

#[repr(C, align(4096))]
struct Payload<const W: usize>(UnsafeCell<[u64; W]>);

impl<const W: usize> Payload<W> {
    fn at(&self) -> *mut [u64; W] {
        self.0.get()
    }
}

#[repr(C)]
struct TripWords {
    ping: Line<AtomicU64>,
    pong: Line<AtomicU64>,
    ping_payload: Payload<MOST_WORDS>,
    pong_payload: Payload<MOST_WORDS>,
}

// SAFETY: atomics, and cells of integers.
unsafe impl Zeroable for TripWords {}

/// Words of the largest message of a yardstick.
pub const MOST_WORDS: usize = 8192 + 128;

/// A payload of `W` words and an index line in each direction; 0: as many words as [`BareTrip::of`]
/// was given.
pub struct BareTrip<const W: usize> {
    words: Shared<TripWords>,
    length: usize,
    private: Box<[u64]>,
    turn: u64,
}

impl<const W: usize> BareTrip<W> {
    /// Must be called before the fork.
    #[must_use]
    pub fn boxed() -> Box<dyn Contender> {
        const { assert!(W > 0 && W <= MOST_WORDS) };
        Box::new(BareTrip::<W> { words: Shared::zeroed(), length: W, private: vec![0; W].into(), turn: 0 })
    }

    /// The number of words, known to the compiler if `W` is not 0.
    #[inline(always)]
    fn length(&self) -> usize {
        if W == 0 { self.length } else { W }
    }
}

impl BareTrip<0> {
    /// Must be called before the fork; for up to [`MOST_WORDS`] words.
    #[must_use]
    pub fn of(words: usize) -> Box<dyn Contender> {
        assert!(words > 0 && words <= MOST_WORDS, "{words} words are too many");
        Box::new(BareTrip::<0> { words: Shared::zeroed(), length: words, private: vec![0; words].into(), turn: 0 })
    }
}

impl<const W: usize> Contender for BareTrip<W> {
    fn name(&self) -> String {
        format!("bare ping-pong of {} bytes", 8 * self.length())
    }

    fn open(&mut self, side: Side, _name: &str) -> Result<(), String> {
        if side == Side::Node {
            self.words.renew();
        }
        self.turn = 0;
        Ok(())
    }

    fn close(&mut self) {}

    fn memory(&self) -> Option<u64> {
        Some(2 * (8 * self.length() as u64 + 64))
    }

    fn node(&mut self, _run: &Run, count: u64, times: Option<&mut Times>) -> f64 {
        let (first, end, length) = (self.turn, self.turn + count, self.length());
        self.turn = end;
        let (words, private) = (&*self.words, self.private.as_mut_ptr());
        let (ping, pong) = (words.ping_payload.at().cast::<u64>(), words.pong_payload.at().cast::<u64>());
        let turn = |turn: u64| {
            // SAFETY: there are as many words at each of the three; the node writes `ping` while it
            // is its turn, and reads `pong` after the program's.
            unsafe {
                std::ptr::copy_nonoverlapping(private, ping, length);
                words.ping.0.store(turn + 1, Ordering::Release);
                while words.pong.0.load(Ordering::Acquire) != turn + 1 {}
                std::ptr::copy_nonoverlapping(pong, private, length);
            }
        };
        turns(first, end, times, turn)
    }

    fn program(&mut self, _run: &Run, count: u64) {
        let (words, length, private) = (&*self.words, self.length(), self.private.as_mut_ptr());
        let (ping, pong) = (words.ping_payload.at().cast::<u64>(), words.pong_payload.at().cast::<u64>());
        for turn in self.turn..self.turn + count {
            while words.ping.0.load(Ordering::Acquire) != turn + 1 {}
            // SAFETY: as for the node, the other way round.
            unsafe {
                std::ptr::copy_nonoverlapping(ping, private, length);
                std::ptr::copy_nonoverlapping(private, pong, length);
            }
            words.pong.0.store(turn + 1, Ordering::Release);
        }
        self.turn += count;
    }
}

#[repr(C)]
struct Bells {
    ping: Line<AtomicU32>,
    pong: Line<AtomicU32>,
    number: Line<AtomicU64>,
}

// SAFETY: atomics only.
unsafe impl Zeroable for Bells {}

/// A number and a futex in each direction: what the kernel can do. A transport, so that it sleeps
/// and wakes like the contenders.
pub struct Futex {
    bells: Shared<Bells>,
    side: Side,
}

impl Futex {
    /// Must be called before the fork.
    #[must_use]
    pub fn new() -> Futex {
        Futex { bells: Shared::zeroed(), side: Side::Node }
    }
}

impl Default for Futex {
    fn default() -> Futex {
        Futex::new()
    }
}

impl Transport for Futex {
    fn name(&self) -> String {
        "bare futex".into()
    }

    fn words(&self) -> u64 {
        1
    }

    fn open(&mut self, side: Side, _name: &str) -> Result<(), String> {
        self.side = side;
        self.bells.ping.0.store(0, Ordering::Relaxed);
        self.bells.pong.0.store(0, Ordering::Relaxed);
        Ok(())
    }

    fn close(&mut self) {}

    fn memory(&self) -> Option<u64> {
        Some(2 * 64)
    }

    fn send(&mut self, first: u64, _count: usize) {
        let bell = if self.side == Side::Node { &self.bells.ping.0 } else { &self.bells.pong.0 };
        bell.store(first as u32, Ordering::Release);
        futex_wake(bell);
    }

    fn receive(&mut self, first: u64, _most: usize) -> (usize, u64) {
        let bell = if self.side == Side::Node { &self.bells.pong.0 } else { &self.bells.ping.0 };
        while bell.load(Ordering::Acquire) != first as u32 {
            futex_wait(bell, first.wrapping_sub(1) as u32);
        }
        (1, first)
    }
}

/// Bytes of a bare stream's ring, and of the contenders' rings if they are configurable.
pub const STREAM_BYTES: usize = 160 << 10;

/// The capacity of a stream's ring in messages of this many words: 1024, or fewer if they are
/// large, but at least two batches, because the sender waits until a whole batch fits. A power of
/// two.
#[must_use]
pub const fn stream_capacity(words: usize, batch: usize) -> usize {
    let fitting = STREAM_BYTES * 8 / (8 * words);
    let mut capacity = 16;
    while capacity < 2 * batch || (capacity < 1024 && capacity * 2 <= fitting) {
        capacity *= 2;
    }
    capacity
}

/// The length of a contender's queue of messages of this many words, if it can be chosen: that of
/// the bare stream's ring, or 16 for exchanges of one message at a time.
#[must_use]
pub const fn queue_length(words: usize, batch: Option<usize>) -> usize {
    match batch {
        Some(batch) => stream_capacity(words, batch),
        None => 16,
    }
}

#[repr(C)]
struct StreamEnds {
    head: Line<AtomicU64>,
    tail: Line<AtomicU64>,
}

// SAFETY: atomics.
unsafe impl Zeroable for StreamEnds {}

/// Items of `W` words in a ring, in one direction; 0: as many words as [`BareStream::of`] was
/// given. The index is published once per batch. With `COPY` each process copies between the ring
/// and its own memory; without, it fills and adds up in place.
pub struct BareStream<const W: usize, const COPY: bool> {
    ends: Shared<StreamEnds>,
    items: SharedWords,
    /// A power of two.
    capacity: usize,
    batch: usize,
    position: u64,
    tail: u64,
    length: usize,
    private: Box<[u64]>,
}

impl<const W: usize, const COPY: bool> BareStream<W, COPY> {
    fn with(words: usize, batch: usize) -> Self {
        assert!(words > 0 && words <= MOST_WORDS, "{words} words are too many");
        let capacity = stream_capacity(words, batch);
        let (ends, items) = (Shared::zeroed(), SharedWords::zeroed(words * capacity));
        BareStream { ends, items, capacity, batch, position: 0, tail: 0, length: words, private: vec![0; words].into() }
    }

    /// Must be called before the fork.
    #[must_use]
    pub fn boxed(batch: usize) -> Box<dyn Contender> {
        Box::new(Self::with(W, batch))
    }

    /// The number of words, known to the compiler if `W` is not 0.
    #[inline(always)]
    fn length(&self) -> usize {
        if W == 0 { self.length } else { W }
    }
}

impl BareStream<0, false> {
    /// Must be called before the fork; for up to [`MOST_WORDS`] words.
    #[must_use]
    pub fn of(words: usize, batch: usize) -> Box<dyn Contender> {
        Box::new(Self::with(words, batch))
    }
}

impl<const W: usize, const COPY: bool> Contender for BareStream<W, COPY> {
    fn name(&self) -> String {
        let what = if COPY { "memcpy between processes" } else { "bare stream" };
        format!("{what}, {} bytes, batch {}", 8 * self.length(), self.batch)
    }

    fn open(&mut self, side: Side, _name: &str) -> Result<(), String> {
        if side == Side::Node {
            self.ends.renew();
            self.items.renew(self.length() * self.capacity);
        }
        (self.position, self.tail) = (0, 0);
        Ok(())
    }

    fn close(&mut self) {}

    fn memory(&self) -> Option<u64> {
        Some((8 * self.length() * self.capacity) as u64)
    }

    fn node(&mut self, run: &Run, count: u64, _times: Option<&mut Times>) -> f64 {
        let (mut position, end, mut tail) = (self.position, self.position + count, self.tail);
        let (length, capacity, items) = (self.length(), self.capacity, self.items.at());
        let private = self.private.as_mut_ptr();
        let from = now_ns();
        while position < end {
            let batch_end = (position + self.batch as u64).min(end);
            while batch_end - tail > capacity as u64 {
                tail = self.ends.tail.0.load(Ordering::Acquire);
            }
            while position < batch_end {
                let slot = items.wrapping_add((position as usize & (capacity - 1)) * length);
                // SAFETY: the slot has room for the words and belongs to the node, because the tail
                // was seen to have passed it.
                unsafe {
                    if COPY {
                        private.write(position);
                        std::ptr::copy_nonoverlapping(private, slot, length);
                    } else {
                        fill(slot, length, position);
                    }
                }
                position += 1;
            }
            self.ends.head.0.store(position, Ordering::Release);
        }
        run.await_program();
        (self.position, self.tail) = (end, tail);
        (now_ns() - from) as f64
    }

    fn program(&mut self, _run: &Run, count: u64) {
        let (mut position, end, mut total) = (self.position, self.position + count, 0u64);
        let (length, capacity, items) = (self.length(), self.capacity, self.items.at());
        while position < end {
            let mut head;
            loop {
                head = self.ends.head.0.load(Ordering::Acquire);
                if head != position {
                    break;
                }
            }
            while position < head {
                let slot = items.wrapping_add((position as usize & (capacity - 1)) * length);
                // SAFETY: the slot has the words, and the head was seen to have passed it.
                unsafe {
                    if COPY {
                        std::ptr::copy_nonoverlapping(slot, self.private.as_mut_ptr(), length);
                        total = total.wrapping_add(std::hint::black_box(&self.private)[0]);
                    } else {
                        total = total.wrapping_add(sum(slot, length));
                    }
                }
                position += 1;
            }
            self.ends.tail.0.store(position, Ordering::Release);
        }
        let words = if COPY { 1 } else { length as u64 };
        if total != words * (count * self.position + count * (count - 1) / 2) {
            fail("the values do not add up");
        }
        self.position = end;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_stream_has_room_for_two_batches_of_messages_of_any_size() {
        for words in [1, 19, 184, 2600, MOST_WORDS] {
            for batch in [1, 16, 64] {
                let capacity = stream_capacity(words, batch);
                assert!(capacity.is_power_of_two() && capacity >= 2 * batch, "{capacity} for {batch} of {words} words");
            }
        }
        assert_eq!([stream_capacity(19, 64), stream_capacity(184, 64), stream_capacity(8192, 1)], [1024, 512, 16]);
    }
}
