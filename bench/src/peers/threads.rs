//! Queues between two threads of one process: what would be possible without a second process, as a
//! reference.
//!
//! The node's thread is pinned like its process, the other thread to the program's processor, where
//! the program rests meanwhile.

use crossbeam_queue::ArrayQueue;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use villas_shm_measure::Times;
use villas_shm_measure::clock::{now_ns, ns_between, ns_per_tick, ticks};
use villas_shm_measure::contender::{Contender, Work, fill, sum};
use villas_shm_measure::rig::{Run, Side, fail, pin_thread};
use villas_shm_measure::yardsticks::queue_length;

/// One thread's ends of two queues.
pub(crate) trait Ends: Send {
    fn pair(capacity: usize) -> (Self, Self)
    where
        Self: Sized;
    fn name() -> &'static str;
    fn send(&mut self, first: u64, count: usize);
    fn receive(&mut self, most: usize) -> (usize, u64);
}

#[inline(always)]
fn message<const W: usize>(number: u64) -> [u64; W] {
    let mut words = [0; W];
    // SAFETY: an array of `W` words.
    unsafe { fill(words.as_mut_ptr(), W, number) };
    words
}

/// `rtrb`, one producer and one consumer.
pub(crate) struct Rtrb<const W: usize> {
    out: rtrb::Producer<[u64; W]>,
    back: rtrb::Consumer<[u64; W]>,
}

impl<const W: usize> Ends for Rtrb<W> {
    fn pair(capacity: usize) -> (Self, Self) {
        let (to, from) = (rtrb::RingBuffer::new(capacity), rtrb::RingBuffer::new(capacity));
        (Rtrb { out: to.0, back: from.1 }, Rtrb { out: from.0, back: to.1 })
    }

    fn name() -> &'static str {
        "rtrb, threads"
    }

    #[inline(always)]
    fn send(&mut self, first: u64, count: usize) {
        if count == 1 {
            let mut words = message(first);
            while let Err(rtrb::PushError::Full(back)) = self.out.push(words) {
                words = back;
            }
            return;
        }
        let (mut number, end) = (first, first + count as u64);
        while number < end {
            let room = self.out.slots().min((end - number) as usize);
            if let Ok(chunk) = self.out.write_chunk_uninit(room) {
                number += chunk.fill_from_iter((number..end).map(message)) as u64;
            }
        }
    }

    #[inline(always)]
    fn receive(&mut self, most: usize) -> (usize, u64) {
        // SAFETY: arrays of `W` words.
        let add = |words: &[u64; W]| unsafe { sum(words.as_ptr(), W) };
        loop {
            if most == 1 {
                if let Ok(words) = self.back.pop() {
                    return (1, add(&words));
                }
            } else if let waiting @ 1.. = self.back.slots().min(most)
                && let Ok(chunk) = self.back.read_chunk(waiting)
            {
                let (one, two) = chunk.as_slices();
                let total = one.iter().chain(two).map(add).fold(0, u64::wrapping_add);
                chunk.commit_all();
                return (waiting, total);
            }
        }
    }
}

/// crossbeam's bounded queue, for any number of producers and consumers.
pub(crate) struct Crossbeam<const W: usize> {
    out: Arc<ArrayQueue<[u64; W]>>,
    back: Arc<ArrayQueue<[u64; W]>>,
}

impl<const W: usize> Ends for Crossbeam<W> {
    fn pair(capacity: usize) -> (Self, Self) {
        let queue = || Arc::new(ArrayQueue::new(capacity));
        let (to, from) = (queue(), queue());
        (Crossbeam { out: Arc::clone(&to), back: Arc::clone(&from) }, Crossbeam { out: from, back: to })
    }

    fn name() -> &'static str {
        "crossbeam ArrayQueue, threads"
    }

    #[inline(always)]
    fn send(&mut self, first: u64, count: usize) {
        for number in first..first + count as u64 {
            let mut words = message(number);
            while let Err(back) = self.out.push(words) {
                words = back;
            }
        }
    }

    #[inline(always)]
    fn receive(&mut self, _most: usize) -> (usize, u64) {
        loop {
            if let Some(words) = self.back.pop() {
                // SAFETY: an array of `W` words.
                return (1, unsafe { sum(words.as_ptr(), W) });
            }
        }
    }
}

/// Both threads' ends, at work in the node.
pub(crate) struct Threads<E, const W: usize> {
    ends: Option<(E, E)>,
    work: Work,
    cpu: usize,
    next: u64,
}

impl<E: Ends, const W: usize> Threads<E, W> {
    pub(crate) fn new(work: Work, cpu: usize) -> Self {
        Threads { ends: None, work, cpu, next: 1 }
    }

    fn capacity(&self) -> usize {
        queue_length(W, self.work.batch())
    }
}

fn other<E: Ends>(ends: &mut E, work: Work, first: u64, count: u64) -> u64 {
    let mut total = 0u64;
    match work {
        Work::Stream { batch } => {
            let mut taken = 0;
            while taken < count {
                let (now, sum) = ends.receive(batch.min((count - taken) as usize));
                taken += now as u64;
                total = total.wrapping_add(sum);
            }
        }
        _ => {
            for number in first..first + count {
                total = total.wrapping_add(ends.receive(1).1);
                ends.send(number, 1);
            }
        }
    }
    total
}

fn own<E: Ends>(ends: &mut E, work: Work, first: u64, count: u64, times: Option<&mut Times>) {
    let end = first + count;
    match (work, times) {
        (Work::Stream { batch }, _) => {
            let mut number = first;
            while number < end {
                let now = batch.min((end - number) as usize);
                ends.send(number, now);
                number += now as u64;
            }
        }
        (_, None) => {
            for number in first..end {
                ends.send(number, 1);
                std::hint::black_box(ends.receive(1));
            }
        }
        (_, Some(times)) => {
            let rate = ns_per_tick();
            for number in first..end {
                let sent = ticks();
                ends.send(number, 1);
                std::hint::black_box(ends.receive(1));
                times.saturating_record(ns_between(sent, ticks(), rate).max(1));
            }
        }
    }
}

impl<E: Ends, const W: usize> Contender for Threads<E, W> {
    fn name(&self) -> String {
        E::name().into()
    }

    fn open(&mut self, side: Side, _name: &str) -> Result<(), String> {
        self.next = 1;
        self.ends = (side == Side::Node).then(|| E::pair(self.capacity()));
        Ok(())
    }

    fn close(&mut self) {
        self.ends = None;
    }

    fn memory(&self) -> Option<u64> {
        Some((2 * 8 * W * self.capacity()) as u64)
    }

    fn node(&mut self, run: &Run, count: u64, times: Option<&mut Times>) -> f64 {
        let (work, cpu, first, is_ready) = (self.work, self.cpu, self.next, AtomicBool::new(false));
        let Some((mine, others)) = self.ends.as_mut() else { fail("the queue is closed") };
        let (ns, total) = std::thread::scope(|scope| {
            let thread = scope.spawn(|| {
                pin_thread(cpu).unwrap_or_else(|message| fail(&message));
                is_ready.store(true, Ordering::Release);
                other(others, work, first, count)
            });
            while !is_ready.load(Ordering::Acquire) {
                std::hint::spin_loop();
            }
            let from = now_ns();
            own(mine, work, first, count, times);
            let total = thread.join().unwrap_or_else(|_| fail("the thread panicked"));
            ((now_ns() - from) as f64, total)
        });
        if total != (W as u64).wrapping_mul(count.wrapping_mul(first).wrapping_add(count * (count - 1) / 2)) {
            fail("the messages do not add up: one was lost, came twice or was changed");
        }
        self.next += count;
        run.end_rest();
        ns
    }

    fn program(&mut self, run: &Run, _count: u64) {
        run.rest();
    }
}
