//! What is measured: a way to carry messages, and the work of a slice.

use crate::Times;
use crate::clock::{now_ns, ns_between, ns_per_tick, ticks};
use crate::rig::{Run, Side, fail};

/// Something that both processes do together, a slice at a time.
pub trait Contender {
    /// For people.
    fn name(&self) -> String;

    /// Opens this process's end; both processes open at the same time.
    ///
    /// # Errors
    /// A message for people.
    fn open(&mut self, side: Side, name: &str) -> Result<(), String>;

    /// Closes it.
    fn close(&mut self);

    /// The node calls it when both have opened, so that a name that is no longer needed does not
    /// outlive a failure.
    fn unlink(&mut self, _name: &str) {}

    /// Bytes of memory that it takes, if the objects in `/dev/shm` do not show them.
    fn memory(&self) -> Option<u64> {
        None
    }

    /// The node's part of a slice; returns the nanoseconds that its `count` items took.
    fn node(&mut self, run: &Run, count: u64, times: Option<&mut Times>) -> f64;

    /// The program's part.
    fn program(&mut self, run: &Run, count: u64);
}

/// A connection that carries numbered messages. Each word of message `n` is `n`, and the receiver
/// adds the words up, so that no contender is measured on memory that no process touches.
pub trait Transport {
    /// For people.
    fn name(&self) -> String;

    /// Words of a message that hold its number.
    fn words(&self) -> u64;

    /// As for [`Contender::open`].
    ///
    /// # Errors
    /// A message for people.
    fn open(&mut self, side: Side, name: &str) -> Result<(), String>;

    /// As for [`Contender::close`].
    fn close(&mut self);

    /// As for [`Contender::unlink`].
    fn unlink(&mut self, _name: &str) {}

    /// As for [`Contender::memory`].
    fn memory(&self) -> Option<u64> {
        None
    }

    /// Sends the messages `first` to `first + count - 1`; waits for room.
    fn send(&mut self, first: u64, count: usize);

    /// Takes up to `most` messages, of which `first` is the first; waits for one. Returns how many,
    /// and the sum of their words.
    fn receive(&mut self, first: u64, most: usize) -> (usize, u64);

    /// Takes a message and sends it back; returns the sum of its words.
    #[inline(always)]
    fn echo(&mut self, number: u64) -> u64 {
        let (_, sum) = self.receive(number, 1);
        self.send(number, 1);
        sum
    }
}

/// Writes a message.
///
/// # Safety
/// `place` points to `words` words that only this thread uses.
#[inline(always)]
pub unsafe fn fill(place: *mut u64, words: usize, number: u64) {
    for word in 0..words {
        // SAFETY: as the caller promises.
        unsafe { place.add(word).write(number) };
    }
}

/// Adds up the words of a message.
///
/// # Safety
/// `place` points to `words` words that no thread writes now.
#[inline(always)]
#[must_use]
pub unsafe fn sum(place: *const u64, words: usize) -> u64 {
    let mut sum = 0u64;
    for word in 0..words {
        // SAFETY: as the caller promises.
        sum = sum.wrapping_add(unsafe { place.add(word).read() });
    }
    sum
}

/// The work that a transport does.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Work {
    /// One message there and back, repeatedly.
    Trip,
    /// As `Trip`, but each side acts only after it has seen the other asleep. The time of waiting
    /// for that is not counted.
    Asleep,
    /// One message to a sleeping receiver: the time until it has it.
    Wake,
    /// One message to a sleeping receiver: the time of the sender's call.
    WakeCost,
    /// Messages in one direction, sent and taken in batches.
    Stream {
        /// Messages per batch.
        batch: usize,
    },
}

impl Work {
    /// Messages per batch, for a stream.
    #[must_use]
    pub fn batch(self) -> Option<usize> {
        if let Work::Stream { batch } = self { Some(batch) } else { None }
    }
}

/// A transport at work.
pub struct Exchange<T> {
    transport: T,
    work: Work,
    /// The number of the next message; each process counts for itself.
    next: u64,
}

impl<T: Transport> Exchange<T> {
    /// A transport with its work.
    pub fn new(transport: T, work: Work) -> Exchange<T> {
        Exchange { transport, work, next: 1 }
    }

    /// As [`Exchange::new`], as a boxed contender.
    pub fn boxed(transport: T, work: Work) -> Box<dyn Contender>
    where
        T: 'static,
    {
        Box::new(Exchange::new(transport, work))
    }

    fn check(&self, first: u64, count: u64, sum: u64) {
        let numbers = count.wrapping_mul(first).wrapping_add(count * count.saturating_sub(1) / 2);
        if sum != self.transport.words().wrapping_mul(numbers) {
            fail("the messages do not add up: one was lost, came twice or was changed");
        }
    }

    #[inline(always)]
    fn exchange(&mut self, number: u64) -> u64 {
        self.transport.send(number, 1);
        self.transport.receive(number, 1).1
    }

    fn trips(&mut self, count: u64) -> f64 {
        let (first, mut sum) = (self.next, 0u64);
        let from = now_ns();
        for number in first..first + count {
            sum = sum.wrapping_add(self.exchange(number));
        }
        let ns = now_ns() - from;
        self.check(first, count, sum);
        ns as f64
    }

    fn timed_trips(&mut self, count: u64, times: &mut Times) -> f64 {
        let (first, mut sum, rate) = (self.next, 0u64, ns_per_tick());
        let from = now_ns();
        for number in first..first + count {
            let sent = ticks();
            sum = sum.wrapping_add(self.exchange(number));
            times.saturating_record(ns_between(sent, ticks(), rate).max(1));
        }
        let ns = now_ns() - from;
        self.check(first, count, sum);
        ns as f64
    }

    fn asleep(&mut self, run: &Run, count: u64, times: Option<&mut Times>) -> f64 {
        let (first, mut sum, mut ns, mut ignored) = (self.next, 0u64, 0, crate::no_times());
        let times = times.unwrap_or(&mut ignored);
        for number in first..first + count {
            run.await_peer_asleep();
            let from = now_ns();
            sum = sum.wrapping_add(self.exchange(number));
            let took = (now_ns() - from).saturating_sub(run.note());
            times.saturating_record(took.max(1));
            ns += took;
        }
        self.check(first, count, sum);
        ns as f64
    }

    /// The node notes when it sends. The program cannot reach the node's histogram, so it notes how
    /// long the message took.
    fn wake(&mut self, run: &Run, count: u64, times: Option<&mut Times>) -> f64 {
        let (mut ns, mut ignored) = (0, crate::no_times());
        let times = times.unwrap_or(&mut ignored);
        for number in self.next..self.next + count {
            run.await_peer_asleep();
            let from = now_ns();
            run.set_note(from);
            self.transport.send(number, 1);
            let mut took = now_ns() - from;
            if self.work == Work::Wake {
                // The program answers through the note, with a moment that is not before this one.
                while run.note() == from {}
                took = run.note() - from;
            }
            times.saturating_record(took.max(1));
            ns += took;
        }
        run.await_program();
        ns as f64
    }

    fn stream(&mut self, run: &Run, count: u64, batch: usize) -> f64 {
        let from = now_ns();
        let (mut number, end) = (self.next, self.next + count);
        while number < end {
            let now = batch.min((end - number) as usize);
            self.transport.send(number, now);
            number += now as u64;
        }
        run.await_program();
        (now_ns() - from) as f64
    }

    fn take_stream(&mut self, count: u64, batch: usize) {
        let (mut number, end, mut total) = (self.next, self.next + count, 0u64);
        while number < end {
            let (taken, sum) = self.transport.receive(number, batch);
            number += taken as u64;
            total = total.wrapping_add(sum);
        }
        self.check(self.next, count, total);
    }
}

impl<T: Transport> Contender for Exchange<T> {
    fn name(&self) -> String {
        self.transport.name()
    }

    fn open(&mut self, side: Side, name: &str) -> Result<(), String> {
        self.next = 1;
        self.transport.open(side, name)
    }

    fn close(&mut self) {
        self.transport.close();
    }

    fn unlink(&mut self, name: &str) {
        self.transport.unlink(name);
    }

    fn memory(&self) -> Option<u64> {
        self.transport.memory()
    }

    fn node(&mut self, run: &Run, count: u64, times: Option<&mut Times>) -> f64 {
        let ns = match (self.work, times) {
            (Work::Trip, None) => self.trips(count),
            (Work::Trip, Some(times)) => self.timed_trips(count, times),
            (Work::Asleep, times) => self.asleep(run, count, times),
            (Work::Wake | Work::WakeCost, times) => self.wake(run, count, times),
            (Work::Stream { batch }, _) => self.stream(run, count, batch),
        };
        self.next += count;
        ns
    }

    fn program(&mut self, run: &Run, count: u64) {
        let (first, mut sum) = (self.next, 0u64);
        match self.work {
            Work::Stream { batch } => self.take_stream(count, batch),
            Work::Trip => {
                for number in first..first + count {
                    sum = sum.wrapping_add(self.transport.echo(number));
                }
                self.check(first, count, sum);
            }
            Work::Asleep => {
                for number in first..first + count {
                    sum = sum.wrapping_add(self.transport.receive(number, 1).1);
                    run.set_note(run.await_peer_asleep());
                    self.transport.send(number, 1);
                }
                self.check(first, count, sum);
            }
            Work::Wake | Work::WakeCost => {
                for number in first..first + count {
                    sum = sum.wrapping_add(self.transport.receive(number, 1).1);
                    run.set_note(now_ns());
                }
                self.check(first, count, sum);
            }
        }
        self.next += count;
    }
}
