//! Samples of a file, or of standard input, to the region.

use std::io::{self, Read};
use std::os::fd::{AsFd, OwnedFd};
use std::sync::Arc;
use std::thread;
use std::time::{Duration, Instant};

use nix::errno::Errno;
use nix::poll::{PollFd, PollFlags, PollTimeout, poll, ppoll};
use nix::sys::time::TimeSpec;
use villas_shm::Sample;
use villas_shm_node::open::{SILENCE, SLICE};
use villas_shm_node::sample::fill;

use super::Options;
use super::schedule::Schedule;
use super::session::Session;
use crate::config::NodeConfig;
use crate::formats::{Output, ReadError, Reader, Source};
use crate::log::log;
use crate::progress::Progress;
use crate::record::{Record, Time};
use crate::signals::Signals;

/// The most samples that are written at once if more are ready, whatever `vectorize` says: this
/// affects only the speed, because the reader decides how many it takes.
pub(super) const BATCH: usize = 64;

/// How often a paced sender looks whether somebody is there to send to.
const FIRST_WAIT: Duration = Duration::from_millis(10);

/// How many malformed lines are described; further ones are only counted.
const DESCRIBED: u64 = 100;

/// The thread that sends.
pub(super) struct Sender {
    session: Arc<Session>,
    /// Readable when the session is over.
    wake: OwnedFd,
    reader: Reader,
    /// What the values of the region are.
    signals: Signals,
    progress: Progress,
    /// When each sample is due.
    schedule: Option<Schedule>,
    /// Samples get the time at which they are sent.
    now: bool,
    batch: usize,
    limit: u64,
    /// Blocks that were allocated and not yet filled.
    free: Vec<Sample>,
    /// Samples that were filled and not yet written.
    filled: Vec<Sample>,
    skipped: u64,
    said_all_out: bool,
    /// The queue is long enough to keep the reader busy while the sender pauses.
    is_paced: bool,
    pace: Pace,
    /// The last write moved nothing, or there is no peer.
    is_stuck: bool,
}

impl Sender {
    pub(super) fn new(
        session: Arc<Session>,
        wake: OwnedFd,
        file: Source,
        config: &NodeConfig,
        signals: Signals,
        options: &Options,
    ) -> Result<Self, String> {
        let format = file.format();
        let wakes = wake.try_clone().map_err(|error| format!("cannot wait for input: {error}"))?;
        let input = file.bytes_by(|input| Wakeable { input, wake: wakes, session: Arc::clone(&session) });
        // The region's own: another process may have created it with other parameters.
        let villas_shm::Config { queuelen, samplelen, .. } = session.channel.config();
        let batch = BATCH.max(config.output.vectorize as usize).min(queuelen as usize);
        Ok(Self {
            session,
            wake,
            reader: Reader::new(input, format, &signals).with_limit(samplelen as usize).looking_at_times(),
            signals,
            progress: Progress::new(options.output.as_ref().is_some_and(Output::is_stdout)),
            schedule: options.pace.map(Schedule::new).transpose()?,
            now: options.now,
            batch,
            limit: options.send_limit.unwrap_or(u64::MAX),
            free: Vec::with_capacity(batch),
            filled: Vec::with_capacity(batch),
            skipped: 0,
            said_all_out: false,
            is_paced: queuelen >= 2 * BATCH as u32,
            pace: Pace::default(),
            is_stuck: false,
        })
    }

    /// Sends until the input or the session is over; returns how many lines were no samples.
    pub(super) fn run(mut self) -> Result<u64, String> {
        let result = self.send_all();
        if let Some(summary) = self.schedule.as_ref().and_then(Schedule::summary) {
            log!(Info, "{summary}");
        }
        if result? {
            self.session.set_sent_all();
        }
        Ok(self.skipped)
    }

    /// Returns whether everything to be sent was sent.
    fn send_all(&mut self) -> Result<bool, String> {
        let mut record = Record::default();
        let mut is_first = true;
        loop {
            let planned = self.session.sent() + self.filled.len() as u64;
            if self.filled.len() >= self.batch || planned >= self.limit || !self.reader.is_ready() {
                if !self.write()? {
                    return Ok(false);
                }
                if planned >= self.limit {
                    return Ok(true);
                }
            }
            match self.reader.read(&mut record) {
                // This error ends a wait when the session is over.
                Err(ReadError::Fatal(_)) if self.is_over() => return Ok(false),
                Err(ReadError::Fatal(what)) => return Err(format!("cannot read {}: {what}", self.reader.name())),
                Err(ReadError::Malformed(what)) => self.skip(&what),
                Ok(false) => return self.write(),
                Ok(true) => {
                    if std::mem::take(&mut is_first) {
                        self.signals.expect(self.reader.signals(), self.reader.name())?;
                    }
                    let Self { reader, progress, schedule, .. } = self;
                    progress.step(schedule.is_some(), || reader.progress());
                    if !self.wait_until_due(&record)? || !self.append(&mut record, planned)? {
                        return Ok(false);
                    }
                }
            }
        }
    }

    /// With `--pace`, waits until a sample is due; before the first one, until there is somebody to
    /// send to. `false` if the session ends first.
    fn wait_until_due(&mut self, record: &Record) -> Result<bool, String> {
        if self.schedule.as_ref().is_some_and(Schedule::is_new) {
            while !self.session.is_loopback && !self.session.has_come() {
                self.note_stuck(true);
                self.session.wait_to_begin();
                if !self.pause(FIRST_WAIT)? {
                    return Ok(false);
                }
            }
        }
        let Some(schedule) = &mut self.schedule else { return Ok(true) };
        let due = schedule.due(record.origin, Instant::now());
        loop {
            let wait = due.saturating_duration_since(Instant::now());
            if wait.is_zero() {
                break;
            }
            // What was due before must not wait for this one.
            if !self.write()? || !self.pause(wait)? {
                return Ok(false);
            }
        }
        if let Some(schedule) = &mut self.schedule {
            schedule.note(due);
        }
        Ok(true)
    }

    /// Waits for at most this time; `false` if the session is over.
    fn pause(&self, limit: Duration) -> Result<bool, String> {
        let mut fds = [PollFd::new(self.wake.as_fd(), PollFlags::POLLIN)];
        match ppoll(&mut fds, Some(TimeSpec::from_duration(limit)), None) {
            Ok(_) | Err(Errno::EINTR) => Ok(!self.is_over()),
            Err(errno) => Err(format!("cannot wait: {errno}")),
        }
    }

    fn is_over(&self) -> bool {
        self.session.is_stopped() || self.session.peer_ended() || self.session.time_over().is_some()
    }

    fn skip(&mut self, problem: &str) {
        self.skipped += 1;
        let place = self.reader.place();
        if self.skipped <= DESCRIBED {
            log!(Error, "{place}: {problem}");
        } else if self.skipped == DESCRIBED + 1 {
            log!(Error, "{place}: malformed too; further ones are only counted");
        }
    }

    /// Copies a record into a block, and waits for a block if necessary; `false` if the session
    /// ends first.
    fn append(&mut self, record: &mut Record, sequence: u64) -> Result<bool, String> {
        let mut since = None;
        while self.free.is_empty() {
            if self.is_over() {
                return Ok(false);
            }
            self.allocate()?;
            let since = *since.get_or_insert_with(Instant::now);
            // The other end has taken samples and must put them.
            if !self.said_all_out && self.free.is_empty() && since.elapsed() >= SILENCE && self.session.not_taken() == 0 {
                self.said_all_out = true;
                log!(Warning, "the other end holds all samples and gives none back: does it put them (sample_put)?");
            }
        }
        if let Some(mut sample) = self.free.pop() {
            if self.now {
                record.origin = Some(Time::now());
            }
            fill(&mut sample, record, sequence).map_err(|error| format!("cannot fill a sample: {error}"))?;
            self.filled.push(sample);
        }
        Ok(true)
    }

    fn allocate(&mut self) -> Result<(), String> {
        let wanted = self.batch - self.filled.len();
        match self.session.channel.alloc_many(&mut self.free, wanted) {
            Ok(_) => {
                self.pace.reset();
                Ok(())
            }
            Err(error) if error.is_transient() => {
                // All blocks are in use: filled ones must be sent before any can come back.
                self.write()?;
                self.pace.wait();
                Ok(())
            }
            Err(error) => self.wait_after(&error).map_err(|error| format!("cannot allocate a sample: {error}")),
        }
    }

    /// Writes all filled samples. Waits while the queue is full or, after a death, while there is
    /// no peer. `false` if the session ends first.
    fn write(&mut self) -> Result<bool, String> {
        while !self.filled.is_empty() {
            if self.is_over() {
                return Ok(false);
            }
            self.session.start_clock();
            let result = if self.is_paced {
                self.session.channel.write(&mut self.filled)
            } else {
                self.session.channel.timed_write(&mut self.filled, Some(SLICE))
            };
            match result {
                Ok(count) => {
                    self.session.count_sent(count as u64);
                    if let Some(schedule) = &mut self.schedule {
                        schedule.sent(count, Instant::now());
                    }
                    self.pace.reset();
                    self.note_stuck(false);
                    if self.is_paced && !self.filled.is_empty() {
                        self.pace.wait();
                    }
                }
                Err(error) if error.is_transient() => {
                    self.note_stuck(true);
                    if self.is_paced {
                        self.pace.wait();
                    }
                }
                Err(error) => self.wait_after(&error).map_err(|error| format!("cannot send: {error}"))?,
            }
        }
        Ok(true)
    }

    /// Tells the session whether the queue accepts samples.
    fn note_stuck(&mut self, is_stuck: bool) {
        if is_stuck != self.is_stuck {
            self.is_stuck = is_stuck;
            self.session.set_stuck(is_stuck);
        }
    }

    /// Waits for a successor of a peer that is gone; returns errors that waiting does not cure. A
    /// started program has no successor, but its end ends the session.
    fn wait_after<'a>(&mut self, error: &'a villas_shm::Error) -> Result<(), &'a villas_shm::Error> {
        if error.errno() == Errno::EPIPE as i32 {
            self.note_stuck(true);
            let _ = self.session.channel.wait(Some(SLICE));
        } else if !error.is_transient() && self.session.is_to_be_told(error.errno()) {
            return Err(error);
        }
        Ok(())
    }
}

/// The pauses of a sender that is ahead of its reader.
///
/// It sleeps for about as long as the reader takes for a good part of the queue, instead of being
/// woken for every place; longer and longer while nothing moves.
struct Pace(Duration);

impl Pace {
    const SHORTEST: Duration = Duration::from_micros(50);
    const LONGEST: Duration = Duration::from_millis(10);

    fn wait(&mut self) {
        thread::sleep(self.0);
        self.0 = (2 * self.0).min(Self::LONGEST);
    }

    fn reset(&mut self) {
        self.0 = Self::SHORTEST;
    }
}

impl Default for Pace {
    fn default() -> Self {
        Self(Self::SHORTEST)
    }
}

/// A stream whose wait ends with an error when the session is over. After that it still reads what
/// is available without a wait, so that the end of a short input is always seen.
struct Wakeable<R> {
    input: R,
    wake: OwnedFd,
    session: Arc<Session>,
}

impl<R: Read + AsFd> Read for Wakeable<R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let mut fds = [PollFd::new(self.input.as_fd(), PollFlags::POLLIN), PollFd::new(self.wake.as_fd(), PollFlags::POLLIN)];
        poll(&mut fds, PollTimeout::NONE)?;
        if fds[0].any() == Some(false) || self.session.is_stopped() {
            return Err(io::ErrorKind::ConnectionAborted.into());
        }
        self.input.read(buffer)
    }
}
