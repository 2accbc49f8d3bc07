//! What the two processes could do without a library.
//!
//! Positions go on from slice to slice, counted by each process: in a local variable within a slice, or the compiler would store
//! them to memory in each turn. Payload is plain memory behind raw pointers; the index that is stored with release after it and loaded
//! with acquire before it says whose it is.

use crate::clock::{now_ns, ns_between, ns_per_tick, ticks};
use crate::contender::{Contender, Transport, fill, sum};
use crate::rig::{Run, Side, fail, futex_wait, futex_wake};
use crate::{Line, Shared, Times, Zeroable};
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
    /// Before the fork.
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

/// Takes turns, one by one or timed each.
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
struct TripWords<const W: usize> {
    ping: Line<AtomicU64>,
    pong: Line<AtomicU64>,
    ping_payload: Payload<W>,
    pong_payload: Payload<W>,
}

// SAFETY: atomics, and cells of integers.
unsafe impl<const W: usize> Zeroable for TripWords<W> {}

/// Payload of `W` words and an index line in each direction.
pub struct BareTrip<const W: usize> {
    words: Shared<TripWords<W>>,
    turn: u64,
}

impl<const W: usize> BareTrip<W> {
    /// Before the fork.
    #[must_use]
    pub fn boxed() -> Box<dyn Contender> {
        Box::new(BareTrip::<W> { words: Shared::zeroed(), turn: 0 })
    }
}

impl<const W: usize> Contender for BareTrip<W> {
    fn name(&self) -> String {
        format!("bare ping-pong of {} bytes", 8 * W)
    }

    fn open(&mut self, _side: Side, _name: &str) -> Result<(), String> {
        Ok(())
    }

    fn close(&mut self) {}

    fn memory(&self) -> Option<u64> {
        Some(2 * (8 * W as u64 + 64))
    }

    fn node(&mut self, _run: &Run, count: u64, times: Option<&mut Times>) -> f64 {
        let words = &*self.words;
        let mut payload = [self.turn; W];
        let turn = |turn: u64| {
            // SAFETY: the node writes `ping` while it is its turn, and reads `pong` after the program's.
            unsafe {
                words.ping_payload.at().write(payload);
                words.ping.0.store(turn + 1, Ordering::Release);
                while words.pong.0.load(Ordering::Acquire) != turn + 1 {}
                payload = words.pong_payload.at().read();
            }
        };
        let (first, end) = (self.turn, self.turn + count);
        self.turn = end;
        turns(first, end, times, turn)
    }

    fn program(&mut self, _run: &Run, count: u64) {
        let words = &*self.words;
        for turn in self.turn..self.turn + count {
            while words.ping.0.load(Ordering::Acquire) != turn + 1 {}
            // SAFETY: as for the node, the other way round.
            unsafe {
                let payload = words.ping_payload.at().read();
                words.pong_payload.at().write(payload);
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

/// A number and a futex in each direction: what the kernel can do. A transport, so that it sleeps and wakes as the contenders do.
pub struct Futex {
    bells: Shared<Bells>,
    side: Side,
}

impl Futex {
    /// Before the fork.
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

/// Bytes of the ring of a bare stream, and of the rings of contenders where that is for us to say.
pub const STREAM_BYTES: usize = 160 << 10;

/// Messages of so many words that a stream's ring holds: 1024, or fewer large ones, a power of two.
#[must_use]
pub const fn stream_capacity(words: usize) -> usize {
    let fitting = STREAM_BYTES * 8 / (8 * words);
    let mut capacity = 16;
    while capacity < 1024 && capacity * 2 <= fitting {
        capacity *= 2;
    }
    capacity
}

#[repr(C)]
struct StreamWords {
    head: Line<AtomicU64>,
    tail: Line<AtomicU64>,
    items: Payload<STREAM_WORDS>,
}

/// Room for 1024 items of 184 words.
const STREAM_WORDS: usize = 1024 * 184;

// SAFETY: atomics, and a cell of integers.
unsafe impl Zeroable for StreamWords {}

/// Items of `W` words in a ring, in one direction; the index is published once for each batch. With `COPY` each process copies
/// between the ring and memory of its own; without, it fills and adds up in place.
pub struct BareStream<const W: usize, const COPY: bool> {
    words: Shared<StreamWords>,
    batch: usize,
    position: u64,
    tail: u64,
    private: Box<[u64; W]>,
}

impl<const W: usize, const COPY: bool> BareStream<W, COPY> {
    const CAPACITY: usize = stream_capacity(W);
    const FITS: () = assert!(Self::CAPACITY * W <= STREAM_WORDS);

    /// Before the fork.
    #[must_use]
    pub fn boxed(batch: usize) -> Box<dyn Contender> {
        let () = Self::FITS;
        Box::new(BareStream::<W, COPY> { words: Shared::zeroed(), batch, position: 0, tail: 0, private: Box::new([0; W]) })
    }

    #[inline(always)]
    fn slot(&self, position: u64) -> *mut u64 {
        self.words.items.at().cast::<u64>().wrapping_add(position as usize % Self::CAPACITY * W)
    }
}

impl<const W: usize, const COPY: bool> Contender for BareStream<W, COPY> {
    fn name(&self) -> String {
        let what = if COPY { "memcpy between processes" } else { "bare stream" };
        format!("{what}, {} bytes, batch {}", 8 * W, self.batch)
    }

    fn open(&mut self, _side: Side, _name: &str) -> Result<(), String> {
        Ok(())
    }

    fn close(&mut self) {}

    fn memory(&self) -> Option<u64> {
        Some((8 * W * Self::CAPACITY) as u64)
    }

    fn node(&mut self, run: &Run, count: u64, _times: Option<&mut Times>) -> f64 {
        let (mut position, end, mut tail) = (self.position, self.position + count, self.tail);
        let from = now_ns();
        while position < end {
            let batch_end = (position + self.batch as u64).min(end);
            while batch_end - tail > Self::CAPACITY as u64 {
                tail = self.words.tail.0.load(Ordering::Acquire);
            }
            while position < batch_end {
                let slot = self.slot(position);
                // SAFETY: the slot has room for the words, and is the node's as the tail was seen to have passed it.
                unsafe {
                    if COPY {
                        self.private[0] = position;
                        std::ptr::copy_nonoverlapping(self.private.as_ptr(), slot, W);
                    } else {
                        fill(slot, W, position);
                    }
                }
                position += 1;
            }
            self.words.head.0.store(position, Ordering::Release);
        }
        run.await_program();
        (self.position, self.tail) = (end, tail);
        (now_ns() - from) as f64
    }

    fn program(&mut self, _run: &Run, count: u64) {
        let (mut position, end, mut total) = (self.position, self.position + count, 0u64);
        while position < end {
            let mut head;
            loop {
                head = self.words.head.0.load(Ordering::Acquire);
                if head != position {
                    break;
                }
            }
            while position < head {
                let slot = self.slot(position);
                // SAFETY: the slot has the words, and the head was seen to have passed it.
                unsafe {
                    if COPY {
                        std::ptr::copy_nonoverlapping(slot, self.private.as_mut_ptr(), W);
                        total = total.wrapping_add(std::hint::black_box(&self.private)[0]);
                    } else {
                        total = total.wrapping_add(sum(slot, W));
                    }
                }
                position += 1;
            }
            self.words.tail.0.store(position, Ordering::Release);
        }
        let words = if COPY { 1 } else { W as u64 };
        if total != words * (count * self.position + count * (count - 1) / 2) {
            fail("the values do not add up");
        }
        self.position = end;
    }
}
