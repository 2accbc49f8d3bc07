//! One side of an open channel, used by a script, with what must hold whatever the peer writes.

use std::time::Duration;

use villas_shm::{Channel, Direction, Sample, Timespec, fuzzing};

use crate::input::Input;
use crate::{allow, ends};

/// The kinds of calls.
pub(crate) const CALLS: usize = 16;
/// Long enough to be asleep at its end.
const NAP: Duration = Duration::from_micros(20);
/// Calls of one run that may take a nap, where the input asks for naps at all: on a busy machine each of them takes longer than all the rest.
const NAPS: u32 = 3;
const MOST_HELD: usize = 64;

pub(crate) struct Side {
    channel: Channel,
    held: Vec<Sample>,
    queuelen: u64,
    samplelen: usize,
    home_blocks: u64,
    /// Where the pool begins, and where the region ends.
    pool: usize,
    end: usize,
    naps: u32,
}

/// Numbers of blocks; no input makes a region with more.
struct Blocks([u64; 16]);

impl Blocks {
    /// Whether it was not there.
    fn insert(&mut self, block: usize) -> bool {
        let (word, bit) = (&mut self.0[block / 64], 1 << (block % 64));
        let is_new = *word & bit == 0;
        *word |= bit;
        is_new
    }

    fn len(&self) -> u64 {
        self.0.iter().map(|word| u64::from(word.count_ones())).sum()
    }
}

impl Side {
    pub(crate) fn new(channel: Channel, has_naps: bool) -> Side {
        let config = channel.config();
        let home_blocks = u64::from(config.queuelen + config.spare);
        let (base, size) = fuzzing::span(&channel);
        let entries = (config.queuelen.next_power_of_two() as usize * 4).next_multiple_of(128);
        Side {
            channel,
            held: Vec::new(),
            queuelen: config.queuelen.into(),
            samplelen: config.samplelen as usize,
            home_blocks,
            pool: base + 0x1000 + 2 * entries,
            end: base + size,
            naps: if has_naps { NAPS } else { 0 },
        }
    }

    /// The number of a sample's block, by the map of the region in `docs`; it must have one.
    fn block(&self, sample: &Sample) -> usize {
        let pool = self.pool;
        let length = (88 + 8 * self.samplelen).next_multiple_of(64);
        let at = fuzzing::address(sample);
        assert!(at >= pool && (at - pool) % length == 0, "no sample begins at {at:#x}, the pool at {pool:#x}");
        let block = (at - pool) / length;
        assert!(block < 2 * self.home_blocks as usize && at + length <= self.end, "block {block} is none");
        block
    }

    fn blocks_held(&self) -> Blocks {
        let mut blocks = Blocks([0; 16]);
        for sample in &self.held {
            blocks.insert(self.block(sample));
        }
        blocks
    }

    /// Looks at samples that were handed out, of which this process must not have held the blocks if they are `fresh`.
    fn keep(&mut self, got: Vec<Sample>, is_fresh: bool) {
        let mut before = self.blocks_held();
        for sample in got {
            let block = self.block(&sample);
            assert!(before.insert(block) || !is_fresh, "block {block} was handed out while it is held");
            assert_eq!(sample.capacity(), self.samplelen);
            self.look(&sample);
            self.held.push(sample);
        }
        self.held.truncate(MOST_HELD);
    }

    fn look(&self, sample: &Sample) {
        assert!(sample.len() <= sample.capacity(), "{} values of {}", sample.len(), sample.capacity());
        let mut values = vec![0.0; self.samplelen + 1];
        assert!(sample.read_values(&mut values) <= self.samplelen);
        std::hint::black_box((values, sample.sequence(), sample.flags(), sample.origin(), sample.received()));
    }

    fn pick(&self, input: &mut Input) -> Option<usize> {
        (!self.held.is_empty()).then(|| input.below(self.held.len()))
    }

    fn nap(&mut self, input: &mut Input) -> Option<Duration> {
        if input.byte() & 1 == 0 || self.naps == 0 {
            return Some(Duration::ZERO);
        }
        self.naps -= 1;
        Some(NAP)
    }

    fn write(&mut self, from: usize, most: usize, timeout: Option<Option<Duration>>) {
        let from = from.min(self.held.len());
        let to = from.saturating_add(most).min(self.held.len());
        let mut samples: Vec<Sample> = self.held.drain(from..to).collect();
        let before = samples.len();
        let done = match timeout {
            None => self.channel.write(&mut samples),
            Some(timeout) => self.channel.timed_write(&mut samples, timeout),
        };
        let count =
            allow(done, &[libc::EAGAIN, libc::ETIMEDOUT, libc::EINTR, libc::EINVAL, libc::EPIPE, libc::ESTALE]).unwrap_or(0);
        assert_eq!(count + samples.len(), before);
        self.held.extend(samples);
    }

    pub(crate) fn call(&mut self, input: &mut Input) {
        let which = input.below(CALLS);
        ends("a call", || self.make_call(which, input));
        self.check();
    }

    fn make_call(&mut self, which: usize, input: &mut Input) {
        const READ: [i32; 6] = [libc::EAGAIN, libc::ETIMEDOUT, libc::EINTR, libc::EBADMSG, libc::EPIPE, libc::ESTALE];
        const ALLOC: [i32; 5] = [libc::EAGAIN, libc::ETIMEDOUT, libc::EINTR, libc::EPIPE, libc::ESTALE];
        let mut got = Vec::new();
        match which {
            0 => {
                let sample = allow(self.channel.alloc(), &ALLOC);
                self.keep(sample.into_iter().collect(), true);
            }
            1 => {
                allow(self.channel.alloc_many(&mut got, input.below(9)), &ALLOC);
                self.keep(got, true);
            }
            2 => {
                let nap = self.nap(input);
                allow(self.channel.timed_alloc(&mut got, 1 + input.below(3), nap), &ALLOC);
                self.keep(got, true);
            }
            3 | 4 => {
                allow(self.channel.try_read(&mut got, input.below(6)), &READ);
                self.keep(got, false);
            }
            5 => {
                let nap = self.nap(input);
                allow(self.channel.timed_read(&mut got, 1 + input.below(4), nap), &READ);
                self.keep(got, false);
            }
            6 | 7 => {
                if let Some(at) = self.pick(input) {
                    self.write(at, 1, None);
                }
            }
            8 => self.write(0, input.below(9), None),
            9 => {
                let nap = self.nap(input);
                self.write(0, 1 + input.below(9), Some(nap));
            }
            10 => {
                if let Some(at) = self.pick(input) {
                    self.held.swap_remove(at);
                }
            }
            11 => {
                let at = self.pick(input).filter(|_| self.held.len() < MOST_HELD);
                if let Some(at) = at {
                    self.held.push(self.held[at].clone());
                }
            }
            12 => {
                if let Some(at) = self.pick(input) {
                    let values = vec![f64::from(input.byte()); input.below(self.samplelen + 1)];
                    let sample = &mut self.held[at];
                    sample.write_values(&values).expect("as many as fit");
                    sample.set_sequence(input.byte().into());
                    sample.set_flags(villas_shm::Flags::from_bits(input.byte().into()));
                    sample.set_origin(Timespec { sec: 1, nsec: 2 });
                    assert_eq!(sample.write_values(&vec![0.0; self.samplelen + 1]).unwrap_err().errno(), libc::EINVAL);
                }
            }
            13 => {
                let pair = self.pick(input).zip(self.pick(input));
                if let Some((to, from)) = pair.filter(|(to, from)| to != from) {
                    let mut sample = self.held.swap_remove(to);
                    if let Some(from) = self.held.get(from) {
                        allow(sample.copy_from(from), &[]);
                    }
                    self.held.push(sample);
                }
            }
            14 => {
                self.channel.interrupt();
                let ways = [libc::ETIMEDOUT, libc::ESTALE, libc::EPIPE, libc::EINTR];
                allow(self.channel.wait(Some(Duration::ZERO)), &ways);
            }
            _ => {
                std::hint::black_box(self.channel.peer_alive());
                self.held.iter().for_each(|sample| self.look(sample));
            }
        }
    }

    /// What this side says of itself, against what it was seen to do and what the region was made for.
    fn check(&self) {
        let stats = self.channel.stats();
        let (_, size) = fuzzing::span(&self.channel);
        assert_eq!((stats.blocks, stats.region_size), (2 * self.home_blocks, size as u64));
        assert_eq!(stats.held, self.blocks_held().len());
        assert!(stats.blocks_free <= self.home_blocks, "{stats:?}");
        assert!(stats.queued_in <= self.queuelen.next_power_of_two() + stats.blocks, "{stats:?}");
        assert!(stats.queued_out <= self.queuelen.next_power_of_two(), "{stats:?}");
        let config = self.channel.config();
        assert_eq!((u64::from(config.queuelen), config.samplelen as usize), (self.queuelen, self.samplelen));
        for (at, signal) in config.in_signals.iter().enumerate() {
            assert_eq!(self.channel.signal_index(Direction::In, signal.name()).expect("it is open"), at);
        }
    }
}
