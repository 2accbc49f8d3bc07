//! From the channel to Zenoh.
//!
//! Two threads take turns. The leader reads the channel, and publishes what it has read itself: no
//! hand-over delays a sample. Publishing blocks while the link is congested, and a thread that
//! blocks cannot read. So the other thread, the follower, looks at the leader every few
//! milliseconds while samples are published. If the leader is stuck, the follower takes over the
//! reading, and what it reads goes into the queue; the one that was stuck publishes the queue when it
//! comes back, and follows.

use std::sync::atomic::{AtomicBool, Ordering::Relaxed};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use nix::errno::Errno;
use serde::Serialize;
use villas_shm::{Channel, Flags, Sample};
use villas_shm_node::log::log;
use villas_shm_node::open::{SILENCE, SLICE};
use zenoh::Wait;
use zenoh::pubsub::Publisher;

use crate::attachment::{self, Head};
use crate::cli::OnFull;
use crate::format::Encoder;
use crate::queue::{Cargo, Queue};

/// The most samples that are read at once.
const READ: usize = 512;

/// How often the follower looks at the leader.
const TICK: Duration = Duration::from_millis(5);

/// After so many looks at which nothing was published the follower sleeps until it is woken.
const IDLE_TICKS: u32 = 200;

/// How long what was read may take to be published in the end.
pub(crate) const FLUSH: Duration = Duration::from_secs(3);

/// What was counted. Samples that were taken are published, dropped or queued.
#[derive(Clone, Copy, Debug, Default, Serialize)]
pub(crate) struct Counts {
    pub(crate) taken: u64,
    pub(crate) published: u64,
    pub(crate) messages: u64,
    pub(crate) bytes: u64,
    pub(crate) dropped: u64,
    pub(crate) queued: u64,
}

struct State {
    queue: Queue,
    counts: Counts,
    /// The thread that reads. Those of an earlier channel have lower numbers than `first`.
    leader: usize,
    first: usize,
    /// A thread publishes, until the queue has nothing that is due.
    is_publishing: bool,
    /// Odd while a call to publish has not returned.
    calls: u64,
    /// The follower is to be woken when something is published.
    follower_sleeps: bool,
    is_matched: bool,
    /// Nothing more is read; until then what was read is published.
    stop: Option<Instant>,
    /// The channel in which a thread may wait for samples.
    channel: Option<Arc<Channel>>,
}

impl State {
    /// Whether a message is to be published now.
    fn is_due(&self, max_delay: Duration) -> bool {
        let is_old = || self.queue.oldest().is_some_and(|taken| taken.elapsed() >= max_delay);
        self.queue.has_message() || (self.queue.len() > 0 && (self.stop.is_some() || is_old()))
    }

    /// How long a read may wait.
    fn wait(&self, max_delay: Duration) -> Duration {
        match self.queue.oldest() {
            Some(taken) if self.is_matched && !self.is_publishing => SLICE.min(max_delay.saturating_sub(taken.elapsed())),
            _ => SLICE,
        }
    }

    fn interrupt(&self) {
        if let Some(channel) = &self.channel {
            channel.interrupt();
        }
    }
}

/// The queue and its state, which outlast a channel.
pub(crate) struct Shared {
    state: Mutex<State>,
    changed: Condvar,
    /// A message was published, and the queue has room. It is not `changed`, as it comes with each
    /// message, and the follower is to sleep.
    published: Condvar,
}

impl Shared {
    pub(crate) fn new(queue: Queue) -> Self {
        let state = State {
            queue,
            counts: Counts::default(),
            leader: 0,
            first: 0,
            is_publishing: false,
            calls: 0,
            follower_sleeps: false,
            is_matched: false,
            stop: None,
            channel: None,
        };
        Self { state: Mutex::new(state), changed: Condvar::new(), published: Condvar::new() }
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn wake_all(&self) {
        self.changed.notify_all();
        self.published.notify_all();
    }

    /// Notes whether somebody subscribes.
    pub(crate) fn set_matched(&self, is_matched: bool) {
        let mut state = self.lock();
        if std::mem::replace(&mut state.is_matched, is_matched) == is_matched {
            return;
        }
        // A program that waits for answers of its own may get older ones.
        if let (true, Some(taken)) = (is_matched, state.queue.oldest()) {
            let (count, waited) = (state.queue.len(), taken.elapsed());
            if waited >= SILENCE {
                log!(Info, "{count} samples go to it that have waited, for up to {:.0} s", waited.as_secs_f64());
            }
        }
        // A leader that waits for samples publishes those that have been waiting.
        state.interrupt();
        self.wake_all();
    }

    /// Whether somebody subscribes.
    pub(crate) fn is_matched(&self) -> bool {
        self.lock().is_matched
    }

    /// Begins with a channel; the numbers of its two threads.
    pub(crate) fn begin(&self, channel: &Arc<Channel>) -> [usize; 2] {
        let mut state = self.lock();
        // A thread of the last one may still be stuck.
        state.first += 2;
        (state.leader, state.stop) = (state.first, None);
        state.channel = Some(Arc::clone(channel));
        [state.first, state.first + 1]
    }

    /// Tells the threads to publish what was read, until `deadline`, and to end.
    pub(crate) fn stop(&self, deadline: Instant) {
        let mut state = self.lock();
        state.stop.get_or_insert(deadline);
        state.interrupt();
        self.wake_all();
    }

    /// The counters.
    pub(crate) fn counts(&self) -> Counts {
        let state = self.lock();
        Counts { queued: state.counts.queued + state.queue.len() as u64, ..state.counts }
    }
}

/// Whether the other end is gone, and with it, perhaps, the region's name.
fn is_end(error: &villas_shm::Error) -> bool {
    [Errno::EPIPE as i32, Errno::ESTALE as i32].contains(&error.errno())
}

/// How the reading of a channel ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Ended {
    /// It was stopped.
    Stopped,
    /// The other end is gone, and all that it wrote has been read.
    PeerGone,
}

/// One channel's way to Zenoh.
pub(crate) struct Sending {
    pub(crate) shared: Arc<Shared>,
    pub(crate) channel: Arc<Channel>,
    pub(crate) publisher: Arc<Publisher<'static>>,
    pub(crate) incarnation: u64,
    /// A sample waits for others of its message no longer than this.
    pub(crate) max_delay: Duration,
    pub(crate) on_full: OnFull,
    /// Whether the other end cannot come back once it is gone.
    pub(crate) ends_with_peer: bool,
    /// The program that was started has ended: what it has written is read, and no more.
    pub(crate) has_ended: AtomicBool,
}

impl Sending {
    /// The work of thread `me`.
    pub(crate) fn run(&self, me: usize, mut encoder: Encoder) -> Result<Ended, String> {
        let mut ended = None;
        while ended.is_none() && self.is_leader(me) {
            ended = self.lead(me, &mut encoder)?;
        }
        for loss in encoder.losses() {
            log!(Warning, "{loss}");
        }
        Ok(ended.unwrap_or(Ended::Stopped))
    }

    /// Reads and publishes until another thread leads, or all is over.
    fn lead(&self, me: usize, encoder: &mut Encoder) -> Result<Option<Ended>, String> {
        let mut samples = Vec::with_capacity(READ);
        loop {
            let state = self.publish(self.shared.lock())?;
            if state.leader != me {
                // The other one waits for samples, and publishes the rest when it is due.
                state.interrupt();
                return Ok(None);
            }
            if state.stop.is_some() {
                self.flush(state)?;
                return Ok(Some(Ended::Stopped));
            }
            let most = match self.on_full {
                OnFull::Wait => READ.min(state.queue.capacity().saturating_sub(state.queue.len())),
                OnFull::DropOldest | OnFull::DropNewest => READ,
            };
            if most == 0 {
                drop(self.shared.published.wait_timeout(state, SLICE));
                continue;
            }
            let wait = state.wait(self.max_delay);
            drop(state);
            // Relaxed: loaded before the read, which finds all that was written until then.
            let is_last = self.has_ended.load(Relaxed);
            match self.channel.timed_read(&mut samples, most, Some(wait)) {
                Ok(_) => self.keep(&mut samples, encoder),
                Err(error) if is_last || (self.ends_with_peer && is_end(&error)) => {
                    log!(Debug, "nothing more is to be read: {error}");
                    self.shared.stop(Instant::now() + FLUSH);
                    self.flush(self.shared.lock())?;
                    return Ok(Some(Ended::PeerGone));
                }
                Err(error) if error.is_transient() => {}
                // Another peer may come.
                Err(error) if error.errno() == Errno::EPIPE as i32 => drop(self.channel.wait(Some(wait))),
                Err(error) => return Err(format!("cannot read the channel: {error}")),
            }
        }
    }

    /// Puts what was read into the queue.
    fn keep(&self, samples: &mut Vec<Sample>, encoder: &mut Encoder) {
        let now = Instant::now();
        let mut state = self.shared.lock();
        state.counts.taken += samples.len() as u64;
        for sample in samples.iter() {
            if state.queue.is_full() {
                state.counts.dropped += 1;
                match self.on_full {
                    OnFull::DropNewest => continue,
                    OnFull::DropOldest | OnFull::Wait => state.queue.drop_oldest(),
                }
            }
            let is_redelivered = sample.flags().contains(Flags::REDELIVERED);
            state.queue.push(is_redelivered, now, |message| encoder.encode(sample, message));
        }
        drop(state);
        Sample::put_all(samples);
    }

    /// Publishes what is due, unless another thread does, or nobody subscribes.
    fn publish<'a>(&'a self, mut state: MutexGuard<'a, State>) -> Result<MutexGuard<'a, State>, String> {
        if state.is_publishing {
            return Ok(state);
        }
        while state.is_matched && state.is_due(self.max_delay) {
            state.is_publishing = true;
            let cargo = state.queue.take();
            let (samples, bytes) = (cargo.samples as u64, cargo.bytes.len() as u64);
            let counter = state.counts.published;
            state.counts.queued = samples;
            state.calls += 1;
            let wakes = std::mem::take(&mut state.follower_sleeps);
            drop(state);
            if wakes {
                self.shared.changed.notify_all();
            }
            let result = self.put(cargo, counter);
            state = self.shared.lock();
            state.calls += 1;
            state.counts.queued = 0;
            state.is_publishing = false;
            if let Err(error) = result {
                state.counts.dropped += samples;
                return Err(format!("cannot publish: {error}"));
            }
            state.counts.published += samples;
            state.counts.messages += 1;
            state.counts.bytes += bytes;
            self.shared.published.notify_all();
        }
        Ok(state)
    }

    fn put(&self, cargo: Cargo, counter: u64) -> zenoh::Result<()> {
        let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
        let head = Head { incarnation: self.incarnation, counter, published: now.as_nanos() as u64 };
        let attachment = attachment::encode(head, cargo.samples, cargo.marked.into_iter());
        self.publisher.put(cargo.bytes).attachment(attachment).wait()
    }

    /// Publishes the rest of the queue, unless another thread does. If nobody subscribes, it waits
    /// for somebody until the deadline.
    fn flush<'a>(&'a self, mut state: MutexGuard<'a, State>) -> Result<(), String> {
        loop {
            state = self.publish(state)?;
            let left = state.stop.map_or(Duration::ZERO, |deadline| deadline.saturating_duration_since(Instant::now()));
            if (state.queue.len() == 0 && !state.is_publishing) || left.is_zero() {
                return Ok(());
            }
            state = self.shared.published.wait_timeout(state, left.min(SLICE)).unwrap_or_else(PoisonError::into_inner).0;
        }
    }

    /// Waits as the follower until this thread is to lead; `false` if all is over.
    fn is_leader(&self, me: usize) -> bool {
        let mut state = self.shared.lock();
        let (mut seen, mut idle) = (state.calls, 0);
        loop {
            if state.leader == me {
                return true;
            }
            if state.stop.is_some() || me < state.first {
                return false;
            }
            state = if idle < IDLE_TICKS {
                self.shared.changed.wait_timeout(state, TICK).unwrap_or_else(PoisonError::into_inner).0
            } else {
                state.follower_sleeps = true;
                self.shared.changed.wait(state).unwrap_or_else(PoisonError::into_inner)
            };
            idle = if state.calls == seen { idle + 1 } else { 0 };
            let is_stuck = state.calls == seen && state.calls % 2 == 1;
            if is_stuck && state.stop.is_none() && me >= state.first {
                state.leader = me;
            }
            seen = state.calls;
        }
    }
}
