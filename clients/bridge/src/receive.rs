//! From Zenoh to the channel, in the thread in which Zenoh hands a message over.
//!
//! While the channel has no room, that thread waits, and Zenoh makes the publisher wait. It must
//! not wait for long: Zenoh closes a link that has been congested for five seconds, and the thread
//! serves others. So after `PATIENCE` the samples are dropped and counted, and the following ones
//! at once, until there is room again.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use hdrhistogram::Histogram;
use nix::errno::Errno;
use serde::Serialize;
use villas_shm::{Channel, Sample};
use villas_shm_node::record::Record;
use villas_shm_node::signals::Signals;
use zenoh::sample::SampleKind;

use crate::arrivals::{Arrival, Arrivals};
use crate::attachment::{self, Head, Marks};
use crate::batch::Batch;
use crate::format::{BadMessage, MOST_BYTES, decode, fill};

/// The longest wait for room in a full channel.
const PATIENCE: Duration = Duration::from_secs(2);

/// The longest latency that is told from longer ones, in nanoseconds: an hour.
const LONGEST: u64 = 3600 * 1_000_000_000;

/// The most samples that are written at once.
const WRITE: usize = 64;

/// What was counted. Samples that were received are forwarded, bad or dropped.
#[derive(Clone, Debug, Default, Serialize)]
pub(crate) struct Counts {
    pub(crate) messages: u64,
    pub(crate) bytes: u64,
    pub(crate) received: u64,
    pub(crate) forwarded: u64,
    /// Messages without an attachment.
    pub(crate) foreign_messages: u64,
    pub(crate) gaps: u64,
    pub(crate) before: u64,
    pub(crate) late: u64,
    pub(crate) redelivered: u64,
    pub(crate) dropped: BTreeMap<&'static str, u64>,
    pub(crate) bad_samples: BTreeMap<&'static str, u64>,
    pub(crate) bad_messages: BTreeMap<&'static str, u64>,
}

/// What is to be said of what has arrived since it was asked last.
#[derive(Default)]
pub(crate) struct News {
    /// What was wrong with the last bad message or sample.
    pub(crate) problem: Option<String>,
    /// A publisher came that was not known.
    pub(crate) has_new_publisher: bool,
    /// Two publish at a time.
    pub(crate) has_two_publishers: bool,
    /// In nanoseconds, from publishing to arrival.
    pub(crate) latencies: Option<Histogram<u64>>,
    /// How many publish.
    pub(crate) publishing: usize,
}

/// Where samples go.
struct Target {
    channel: Arc<Channel>,
    signals: Signals,
    limit: usize,
    free: Vec<Sample>,
    filled: Vec<Sample>,
    /// There was no room for so long that samples are dropped at once.
    is_stuck: bool,
}

#[derive(Default)]
struct State {
    target: Option<Target>,
    arrivals: Arrivals,
    batch: Batch,
    counts: Counts,
    news: News,
}

/// The receiver, which outlasts a channel.
#[derive(Default)]
pub(crate) struct Receiver(Mutex<State>);

impl Receiver {
    fn lock(&self) -> MutexGuard<'_, State> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Begins with a channel, or ends with the last one.
    pub(crate) fn set_channel(&self, channel: Option<(Arc<Channel>, Signals)>) {
        self.lock().target = channel.map(|(channel, signals)| Target {
            limit: channel.config().samplelen as usize,
            channel,
            signals,
            free: Vec::new(),
            filled: Vec::new(),
            is_stuck: false,
        });
    }

    /// The counters, and what is new.
    pub(crate) fn look(&self) -> (Counts, News) {
        let mut state = self.lock();
        let publishing = state.arrivals.publishing(Instant::now());
        (state.counts.clone(), News { publishing, ..std::mem::take(&mut state.news) })
    }

    /// Takes a message.
    pub(crate) fn take(&self, message: &zenoh::sample::Sample) {
        let arrived = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
        let mut state = self.lock();
        let state = &mut *state;
        state.counts.messages += 1;
        state.counts.bytes += message.payload().len() as u64;
        match state.read(message) {
            Ok(origin) => {
                if let Some((Head { published, .. }, _)) = &origin {
                    // Clocks out of step must not make it wrap.
                    let latency = (arrived.as_nanos() as u64).saturating_sub(*published);
                    let new = || Histogram::new_with_bounds(1, LONGEST, 3).ok();
                    if let Some(latencies) = state.news.latencies.take().or_else(new) {
                        state.news.latencies.insert(latencies).saturating_record(latency);
                    }
                }
                state.forward(origin);
            }
            Err(bad) => {
                *state.counts.bad_messages.entry(bad.key()).or_default() += 1;
                let key = message.key_expr();
                state.news.problem = Some(format!("a message under {key} is not forwarded: {}", bad.text()));
            }
        }
    }
}

impl State {
    /// Reads a message into the batch; what its attachment says, if it has one.
    fn read(&mut self, message: &zenoh::sample::Sample) -> Result<Option<(Head, Marks)>, BadMessage> {
        let Some(target) = &mut self.target else { return Ok(None) };
        self.batch.begin(target.limit);
        let payload = message.payload();
        if message.kind() != SampleKind::Put {
            return Err(BadMessage::Deletion);
        }
        if payload.len() > MOST_BYTES {
            return Err(BadMessage::Size(payload.len()));
        }
        let attachment = message.attachment().map(|bytes| attachment::decode(&bytes.to_bytes()));
        let attachment = attachment.transpose().map_err(BadMessage::Attachment)?;
        decode(message.encoding(), &payload.to_bytes(), &mut target.signals, &mut self.batch)?;
        if let Some((head, marks)) = &attachment {
            attachment::check(*head, marks, self.batch.len()).map_err(BadMessage::Attachment)?;
        }
        Ok(attachment)
    }

    /// Writes the batch into the channel, apart from samples that have arrived already and those
    /// that do not fit.
    fn forward(&mut self, attachment: Option<(Head, Marks)>) {
        let Self { target, arrivals, batch, counts, news } = self;
        let Some(target) = target else { return };
        let count = batch.len() as u64;
        let (arrival, marks) = match attachment {
            Some((head, marks)) => (arrivals.note(head.incarnation, head.counter, count, Instant::now()), marks),
            None => {
                counts.foreign_messages += 1;
                (Arrival::default(), Marks::default())
            }
        };
        counts.gaps += arrival.missing;
        counts.before += arrival.before;
        counts.late += arrival.late;
        counts.received += count - arrival.late;
        news.has_new_publisher |= arrival.is_new;
        news.has_two_publishers |= arrival.is_one_of_two;
        let deadline = Instant::now() + if target.is_stuck { Duration::ZERO } else { PATIENCE };
        let mut failed = None;
        for (index, sample) in batch.from(arrival.late as usize) {
            let record = match sample {
                Ok(record) => record,
                Err(fault) => {
                    *counts.bad_samples.entry(fault.key()).or_default() += 1;
                    news.problem = Some(format!("sample {index} of a message is not forwarded: {fault}"));
                    continue;
                }
            };
            let is_redelivered = marks.contains(index);
            counts.redelivered += u64::from(is_redelivered);
            if failed.is_none() {
                failed = target.add(record, is_redelivered, batch.len() - index, deadline, counts).err();
            }
            if let Some(reason) = failed {
                *counts.dropped.entry(reason).or_default() += 1;
            }
        }
        let written = target.write(deadline, counts);
        let reason = written.err();
        if let Some(reason) = reason {
            *counts.dropped.entry(reason).or_default() += target.filled.len() as u64;
            target.filled.clear();
        }
        target.is_stuck = failed.or(reason).is_some();
    }
}

impl Target {
    /// Fills a block with a sample, of which there are `left` more in the message. An error is the
    /// reason for which it is dropped.
    fn add(
        &mut self,
        record: &Record,
        is_redelivered: bool,
        left: usize,
        deadline: Instant,
        counts: &mut Counts,
    ) -> Result<(), &'static str> {
        if self.free.is_empty() {
            // Blocks come back only if what was filled is written.
            self.write(deadline, counts)?;
            self.allocate(left.min(WRITE), deadline)?;
        }
        let mut sample = self.free.pop().ok_or(FULL)?;
        fill(&mut sample, record, is_redelivered).map_err(|_| FULL)?;
        self.filled.push(sample);
        Ok(())
    }

    fn allocate(&mut self, most: usize, deadline: Instant) -> Result<(), &'static str> {
        loop {
            let error = match self.channel.alloc_many(&mut self.free, most) {
                Ok(_) => return Ok(()),
                Err(error) => error,
            };
            self.wait_after(&error, deadline)?;
            // One is enough to go on.
            let left = deadline.saturating_duration_since(Instant::now());
            let _ = self.channel.timed_alloc(&mut self.free, 1, Some(left));
            if !self.free.is_empty() {
                return Ok(());
            }
        }
    }

    fn write(&mut self, deadline: Instant, counts: &mut Counts) -> Result<(), &'static str> {
        while !self.filled.is_empty() {
            let left = deadline.saturating_duration_since(Instant::now());
            match self.channel.timed_write(&mut self.filled, Some(left)) {
                Ok(count) => counts.forwarded += count as u64,
                Err(error) => self.wait_after(&error, deadline)?,
            }
        }
        Ok(())
    }

    /// After an error: waits for a program if none is there. If the time is over, or waiting does
    /// not help, the reason.
    fn wait_after(&self, error: &villas_shm::Error, deadline: Instant) -> Result<(), &'static str> {
        let left = deadline.saturating_duration_since(Instant::now());
        if error.is_transient() {
            return if left.is_zero() { Err(FULL) } else { Ok(()) };
        }
        if error.errno() != Errno::EPIPE as i32 {
            return Err(CLOSED);
        }
        match self.channel.wait(Some(left)) {
            Ok(()) => Ok(()),
            Err(error) if error.errno() == Errno::EINTR as i32 && !left.is_zero() => Ok(()),
            Err(error) if error.is_transient() => Err(NO_PROGRAM),
            Err(_) => Err(CLOSED),
        }
    }
}

/// The reasons for which samples are dropped: the queue to the program is full, no program is
/// there, or the channel has been closed.
const FULL: &str = "full";
const NO_PROGRAM: &str = "no_program";
const CLOSED: &str = "closed";
