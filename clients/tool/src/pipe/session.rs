//! State that the threads of a session share.

use std::io;
use std::os::fd::OwnedFd;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering::Relaxed};
use std::sync::{Arc, Mutex, OnceLock, PoisonError};
use std::time::{Duration, Instant};

use nix::errno::Errno;
use nix::fcntl::OFlag;
use nix::unistd;
use villas_shm::Channel;
use villas_shm_node::open::{Region, SILENCE};

/// The shortest time for which a rate is reported: a shorter one shows only the first moments.
const SHORTEST: Duration = Duration::from_millis(100);

/// State and counters of one session.
///
/// All is `Relaxed`: threads check the flags regularly. The counters that decide when it is over
/// are stored before the flag or the `OnceLock` that makes a thread look at them.
pub(super) struct Session {
    pub(super) channel: Arc<Channel>,
    /// The regions of the other end, for messages.
    pub(super) region: String,
    /// The program or call that would open them, for messages.
    pub(super) opener: String,
    /// Whether the other end cannot come back once it is gone.
    pub(super) ends_with_peer: bool,
    /// There is no other end: this process reads what it writes.
    pub(super) is_loopback: bool,
    /// Some programs do not flag the valid parts of a sample's header.
    pub(super) is_wire: bool,
    /// A program was started, which may need a moment to open the region.
    pub(super) has_program: bool,
    started: Instant,
    came: AtomicBool,
    stopped: AtomicBool,
    /// Whether it was reported that the name no longer leads here.
    told_of_name: AtomicBool,
    time_over: OnceLock<Instant>,
    peer_ended: AtomicBool,
    /// Dropped to end the sender's wait for standard input.
    wake: Mutex<Option<OwnedFd>>,
    /// Set once nothing more will be sent.
    sent_all: OnceLock<Instant>,
    /// Since when the queue accepts nothing: it is full, or the peer is gone.
    stuck_since: Mutex<Option<Instant>>,
    /// Since when a paced sender waits for somebody to send to.
    waits_since: OnceLock<Instant>,
    first: OnceLock<Instant>,
    sent: AtomicU64,
    received: AtomicU64,
    redelivered: AtomicU64,
    last: Mutex<Option<Instant>>,
}

impl Session {
    /// A new session, and the end of a pipe that becomes readable when the session is over.
    pub(super) fn new(region: &Region, has_program: bool) -> io::Result<(Self, OwnedFd)> {
        let (reader, writer) = unistd::pipe2(OFlag::O_CLOEXEC)?;
        let session = Self {
            channel: region.channel(),
            region: region.describe(),
            opener: region.opener(),
            ends_with_peer: region.ends_with_peer(),
            is_loopback: region.is_wire && !region.ends_with_peer(),
            is_wire: region.is_wire,
            has_program,
            started: Instant::now(),
            came: AtomicBool::new(false),
            stopped: AtomicBool::new(false),
            told_of_name: AtomicBool::new(false),
            time_over: OnceLock::new(),
            peer_ended: AtomicBool::new(false),
            wake: Mutex::new(Some(writer)),
            sent_all: OnceLock::new(),
            stuck_since: Mutex::new(None),
            waits_since: OnceLock::new(),
            first: OnceLock::new(),
            sent: AtomicU64::new(0),
            received: AtomicU64::new(0),
            redelivered: AtomicU64::new(0),
            last: Mutex::new(None),
        };
        Ok((session, reader))
    }

    /// Tells both threads to end at once.
    pub(super) fn stop(&self) {
        self.stopped.store(true, Relaxed);
        self.wake_all();
    }

    /// Tells the sender to end, and the receiver to end when nothing is left to receive: the
    /// started program has ended, or the node has closed.
    pub(super) fn peer_has_ended(&self) {
        self.peer_ended.store(true, Relaxed);
        self.wake_all();
    }

    /// Tells the sender to end, and the receiver to end when the peer has taken what was sent.
    pub(super) fn time_is_over(&self) {
        let _ = self.time_over.set(Instant::now());
        self.wake_all();
    }

    fn wake_all(&self) {
        *self.wake.lock().unwrap_or_else(PoisonError::into_inner) = None;
        self.channel.interrupt();
    }

    /// Whether both threads were told to end.
    pub(super) fn is_stopped(&self) -> bool {
        self.stopped.load(Relaxed)
    }

    /// Whether the started program has ended, or the node has closed.
    pub(super) fn peer_ended(&self) -> bool {
        self.peer_ended.load(Relaxed)
    }

    /// When the session's time was over.
    pub(super) fn time_over(&self) -> Option<Instant> {
        self.time_over.get().copied()
    }

    /// Notes that nothing more will be sent, and wakes the receiver, which may be waiting for that.
    pub(super) fn set_sent_all(&self) {
        let _ = self.sent_all.set(Instant::now());
        self.channel.interrupt();
    }

    /// Since when nothing more is sent.
    pub(super) fn sent_all(&self) -> Option<Instant> {
        self.sent_all.get().copied()
    }

    /// Notes whether the queue accepts samples.
    pub(super) fn set_stuck(&self, is_stuck: bool) {
        let mut since = self.stuck_since.lock().unwrap_or_else(PoisonError::into_inner);
        *since = is_stuck.then(|| since.unwrap_or_else(Instant::now));
    }

    /// Since when nothing more can be sent: all is sent, or the queue accepts nothing.
    pub(super) fn sends_nothing_since(&self) -> Option<Instant> {
        self.sent_all().or_else(|| *self.stuck_since.lock().unwrap_or_else(PoisonError::into_inner))
    }

    /// Notes that the sender waits for somebody to send to.
    pub(super) fn wait_to_begin(&self) {
        self.waits_since.get_or_init(Instant::now);
    }

    /// Since when the sender waits for somebody to send to, if nobody has come.
    pub(super) fn waits_to_begin(&self) -> Option<Instant> {
        self.waits_since.get().copied().filter(|_| !self.has_come())
    }

    /// Whether to report an error. Both threads meet the loss of the name (`ESTALE`), which is
    /// reported once and ends the session.
    pub(super) fn is_to_be_told(&self, errno: i32) -> bool {
        if errno != Errno::ESTALE as i32 || !self.told_of_name.swap(true, Relaxed) {
            return true;
        }
        self.stop();
        false
    }

    /// Whether the loss of the name was reported.
    pub(super) fn has_told_of_name(&self) -> bool {
        self.told_of_name.load(Relaxed)
    }

    /// Counts samples that the queue accepted.
    pub(super) fn count_sent(&self, count: u64) {
        self.sent.fetch_add(count, Relaxed);
    }

    /// Notes when the first sample was sent; the rate is counted from there.
    pub(super) fn start_clock(&self) {
        self.first.get_or_init(Instant::now);
    }

    /// How many samples were sent.
    pub(super) fn sent(&self) -> u64 {
        self.sent.load(Relaxed)
    }

    /// Counts samples that arrived at `now`; a predecessor may have seen `redelivered` of them.
    pub(super) fn count_received(&self, count: u64, redelivered: u64, now: Instant) {
        self.start_clock();
        self.received.fetch_add(count, Relaxed);
        self.redelivered.fetch_add(redelivered, Relaxed);
        *self.last.lock().unwrap_or_else(PoisonError::into_inner) = Some(now);
    }

    /// Whether a program ever attached.
    pub(super) fn has_come(&self) -> bool {
        let traces = || self.received.load(Relaxed) > 0 || self.sent() > self.not_taken();
        let has_come = self.came.load(Relaxed) || traces() || self.channel.peer_alive();
        self.came.store(has_come, Relaxed);
        has_come
    }

    /// How many sent samples the peer has not taken.
    pub(super) fn not_taken(&self) -> u64 {
        self.channel.stats().queued_out
    }

    /// A summary in one line.
    pub(super) fn summary(&self) -> String {
        let (sent, received) = (self.sent(), self.received.load(Relaxed));
        let redelivered = self.redelivered.load(Relaxed);
        let mut text = format!("sent {sent}, received {received}, redelivered {redelivered}");
        let last = *self.last.lock().unwrap_or_else(PoisonError::into_inner);
        // Samples that no peer has taken have not moved, however fast they were queued.
        let end = last.or_else(|| self.sent_all().filter(|_| sent > 0 && self.not_taken() == 0));
        if let (Some(&first), Some(end)) = (self.first.get(), end) {
            let moved = end.saturating_duration_since(first);
            text += &format!(", {:.3} s", moved.as_secs_f64());
            if moved >= SHORTEST {
                let count = if received > 0 { received } else { sent };
                text += &format!(", {:.0} samples/s", count as f64 / moved.as_secs_f64());
            }
        }
        let waited = end.unwrap_or(self.started).elapsed();
        if end.is_none() || waited >= SILENCE {
            text += &format!(", waited {:.1} s", waited.as_secs_f64());
        }
        text
    }
}
