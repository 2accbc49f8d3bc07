//! The library's channel, through its Rust interface.

use crate::SAMPLE_HEADER;
use crate::contender::Transport;
use crate::rig::{Side, fail};
use crate::yardsticks::queue_length;
use std::time::Duration;
use villas_shm::{Channel, Config, Flags, Sample};

/// The flags of the measured samples.
pub const FLAGS: Flags = Flags::HAS_TS_ORIGIN.union(Flags::HAS_SEQUENCE).union(Flags::HAS_DATA);

/// How a channel is measured.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Shape {
    /// Values of a sample.
    pub values: usize,
    /// A waiter spins and never sleeps.
    pub polling: bool,
    /// For a stream: messages at a time, with a queue as long as the bare stream's ring.
    pub batch: Option<usize>,
}

impl Shape {
    /// Samples that fit into each queue.
    #[must_use]
    pub fn queuelen(&self) -> usize {
        queue_length(SAMPLE_HEADER / 8 + self.values, self.batch)
    }

    /// Samples that each side can hold beyond those queued.
    #[must_use]
    pub fn spare(&self) -> usize {
        64.min(self.queuelen())
    }

    /// Bytes of a sample.
    #[must_use]
    pub fn bytes(&self) -> usize {
        SAMPLE_HEADER + 8 * self.values
    }

    /// For people.
    #[must_use]
    pub fn mode(&self) -> &'static str {
        if self.polling { "polling" } else { "pthread" }
    }
}

/// A channel, as one process sees it.
pub struct RustChannel {
    shape: Shape,
    channel: Option<Channel>,
    /// Emptied before each call returns.
    samples: Vec<Sample>,
    /// The program's own values.
    values: Vec<f64>,
}

impl RustChannel {
    /// A closed channel.
    #[must_use]
    pub fn new(shape: Shape) -> RustChannel {
        RustChannel { shape, channel: None, samples: Vec::with_capacity(64), values: vec![0.0; shape.values] }
    }
}

#[inline(always)]
fn opened(channel: &Option<Channel>) -> &Channel {
    channel.as_ref().unwrap_or_else(|| fail("the channel is closed"))
}

#[cold]
fn failed(call: &str, error: &villas_shm::Error) -> ! {
    fail(&format!("{call}: {error}"))
}

impl Transport for RustChannel {
    fn name(&self) -> String {
        format!("villas-shm channel, {}, Rust", self.shape.mode())
    }

    fn words(&self) -> u64 {
        self.shape.values as u64
    }

    fn open(&mut self, side: Side, name: &str) -> Result<(), String> {
        let limit = Some(Duration::from_secs(10));
        let config = Config::new()
            .polling(self.shape.polling)
            .queuelen(self.shape.queuelen() as u32)
            .samplelen(self.shape.values as u32)
            .spare(self.shape.spare() as u32);
        let opened = match side {
            Side::Node => Channel::create(name, &config).and_then(|channel| channel.wait(limit).map(|()| channel)),
            Side::Program => Channel::timed_open(name, limit),
        };
        self.channel = Some(opened.map_err(|error| format!("cannot open the channel {name}: {error}"))?);
        Ok(())
    }

    fn close(&mut self) {
        self.channel = None;
    }

    fn unlink(&mut self, name: &str) {
        if let Err(error) = Channel::unlink(name) {
            failed("unlink", &error);
        }
    }

    #[inline(always)]
    fn send(&mut self, first: u64, count: usize) {
        let RustChannel { channel, samples, values, .. } = self;
        let channel = opened(channel);
        let (mut number, end) = (first, first + count as u64);
        while number < end {
            match channel.alloc_many(samples, (end - number) as usize) {
                Err(error) if !error.is_transient() => failed("alloc", &error),
                _ => {}
            }
            for sample in samples.iter_mut() {
                sample.set_sequence(number);
                sample.set_flags(FLAGS);
                sample.set_origin(villas_shm::Timespec { sec: number as i64, nsec: 0 });
                values.fill(f64::from_bits(number));
                if sample.write_values(values).is_err() {
                    fail("the sample is too small");
                }
                number += 1;
            }
            while !samples.is_empty() {
                match channel.write(samples) {
                    Err(error) if !error.is_transient() => failed("write", &error),
                    _ => {}
                }
            }
        }
    }

    #[inline(always)]
    fn receive(&mut self, first: u64, most: usize) -> (usize, u64) {
        let RustChannel { shape, channel, samples, values } = self;
        let channel = opened(channel);
        let mut sum = 0u64;
        // 100 ms without a sample are no failure; the rig's alarm ends this.
        let taken = loop {
            match channel.read(samples, most) {
                Ok(taken) => break taken,
                Err(error) if error.is_transient() => {}
                Err(error) => failed("read", &error),
            }
        };
        for (number, sample) in (first..).zip(samples.iter()) {
            if sample.sequence() != number || sample.len() != shape.values {
                fail(&format!("sample {} with {} values came where {number} was due", sample.sequence(), sample.len()));
            }
            sample.read_values(values);
            sum = values.iter().fold(sum, |sum, value| sum.wrapping_add(value.to_bits()));
        }
        Sample::put_all(samples);
        (taken, sum)
    }
}
