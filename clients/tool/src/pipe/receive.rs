//! The region to standard output, or to a file.

use std::fmt;
use std::sync::Arc;
use std::time::{Duration, Instant};

use nix::errno::Errno;
use villas_shm::{Flags, Sample};
use villas_shm_node::open::{SILENCE, SLICE};
use villas_shm_node::sample::take;

use super::Options;
use super::send::BATCH;
use super::session::Session;
use crate::config::NodeConfig;
use crate::formats::Writer;
use crate::log::log;
use crate::record::{Record, Time};

/// More samples than this are not kept until their lines are written: the other end needs their
/// blocks.
const MOST_UNSHOWN: usize = 256;

/// How long a started program may take to open the region: `--linger` does not end the session
/// before.
const START_TIME: Duration = Duration::from_secs(5);

/// Why receiving has ended.
pub(super) enum Ended {
    /// The tool was told to stop.
    Stopped,
    /// As many samples came as were asked for.
    Limit,
    /// As many samples came back as were sent.
    AllBack,
    /// All sent samples were taken, and none are to be received.
    AllTaken,
    /// Nothing came for a while.
    Quiet,
    /// The program is gone, and no other has come for a while.
    Left,
    /// The reader of the output has left.
    NoReader,
    /// No program has opened the region in its time.
    NobodyCame,
    /// The session's time is over.
    TimeOver,
    /// The started program has ended, or the node has closed.
    PeerGone {
        /// More samples were asked for.
        too_early: bool,
    },
}

impl fmt::Display for Ended {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Stopped => "told to stop",
            Self::Limit => "received as many samples as were asked for",
            Self::AllBack => "received as many samples as were sent",
            Self::AllTaken => "all that was sent was taken",
            Self::Quiet => "nothing arrives any more",
            Self::Left => "the program has left, and no other has come",
            Self::NoReader => "nobody reads the output any more",
            Self::NobodyCame => "no program has opened the region",
            Self::TimeOver => "the time is over",
            Self::PeerGone { .. } => "the other end is gone",
        })
    }
}

/// The thread that receives.
pub(super) struct Receiver {
    session: Arc<Session>,
    /// Where samples are written; `None`: they are discarded.
    writer: Option<Writer>,
    /// Samples that `writer` has gathered only. They are put when the lines are written: the
    /// successor of a tool that is killed gets them again.
    unshown: Vec<Sample>,
    batch: usize,
    /// More are not gathered.
    most_unshown: usize,
    limit: Option<u64>,
    linger: Option<Duration>,
    started: Instant,
    /// When the last sample came, or the peer: `linger` counts from there.
    last_activity: Option<Instant>,
    said_that_it_waits: bool,
    /// When a program was last attached; at first, the beginning.
    alone_since: Instant,
    /// When as many samples had come as were sent.
    all_back: Option<Instant>,
    received: u64,
    redelivered: u64,
    /// The number of the next sample without a sequence number.
    running: u64,
}

impl Receiver {
    pub(super) fn new(session: Arc<Session>, config: &NodeConfig, writer: Option<Writer>, options: &Options) -> Self {
        // A batch is not written at once: the other end must have blocks meanwhile.
        let half = session.channel.config().queuelen as usize / 2;
        Self {
            session,
            most_unshown: MOST_UNSHOWN.min(half).max(1),
            writer,
            batch: BATCH.max(config.input.vectorize as usize),
            limit: options.receive_limit,
            linger: options.linger,
            unshown: Vec::new(),
            started: Instant::now(),
            last_activity: None,
            said_that_it_waits: false,
            alone_since: Instant::now(),
            all_back: None,
            received: 0,
            redelivered: 0,
            running: 0,
        }
    }

    /// Receives until the session is over.
    pub(super) fn run(mut self) -> Result<Ended, String> {
        let ended = self.receive_all()?;
        for loss in self.writer.take().map_or(Ok(Vec::new()), Writer::finish)? {
            log!(Warning, "{loss}");
        }
        self.unshown.clear();
        Ok(ended)
    }

    fn receive_all(&mut self) -> Result<Ended, String> {
        let session = Arc::clone(&self.session);
        let mut samples: Vec<Sample> = Vec::with_capacity(self.batch);
        let mut record = Record::default();
        loop {
            if let Some(ended) = self.is_over() {
                return Ok(ended);
            }
            let most = self.limit.map_or(u64::MAX, |limit| limit - self.received).min(self.batch as u64) as usize;
            let mut result = session.channel.try_read(&mut samples, most);
            if samples.is_empty() {
                // Nothing is ready: write what there is.
                if self.writer.as_ref().is_none_or(Writer::is_due) && !self.flush()? {
                    return Ok(Ended::NoReader);
                }
                // Loaded before the wait, which finds everything that came until then.
                let last_wait = session.peer_ended();
                result = session.channel.read(&mut samples, most);
                if samples.is_empty() {
                    if last_wait {
                        return Ok(Ended::PeerGone { too_early: self.limit.is_some() });
                    }
                    self.idle(result.err())?;
                    continue;
                }
            }
            if let Err(error) = result {
                return Err(receive_error(&error));
            }
            self.write(&samples, &mut record)?;
            self.count(&samples);
            self.unshown.append(&mut samples);
            let is_full = self.unshown.len() >= self.most_unshown || self.writer.as_ref().is_some_and(Writer::is_full);
            if is_full && !self.flush()? {
                return Ok(Ended::NoReader);
            }
        }
    }

    fn write(&mut self, samples: &[Sample], record: &mut Record) -> Result<(), String> {
        let Some(writer) = &mut self.writer else { return Ok(()) };
        let now = Time::now();
        for sample in samples {
            take(sample, now, !self.session.is_wire, record);
            if self.session.is_wire {
                // As VILLASnode does: its own client sets no flags.
                record.origin.get_or_insert(now);
                record.sequence.get_or_insert(self.running);
                self.running += 1;
            }
            writer.write(record)?;
        }
        Ok(())
    }

    fn count(&mut self, samples: &[Sample]) {
        let arrival = Instant::now();
        let redelivered = samples.iter().filter(|sample| sample.flags().contains(Flags::REDELIVERED)).count() as u64;
        self.last_activity = Some(arrival);
        self.alone_since = arrival;
        self.received += samples.len() as u64;
        self.redelivered += redelivered;
        self.session.count_received(samples.len() as u64, redelivered, arrival);
    }

    /// Writes what was gathered; returns whether it has a reader.
    fn flush(&mut self) -> Result<bool, String> {
        let has_reader = self.writer.as_mut().map_or(Ok(true), Writer::flush)?;
        self.unshown.clear();
        Ok(has_reader)
    }

    /// Handles a wait that ended without a sample.
    fn idle(&mut self, error: Option<villas_shm::Error>) -> Result<(), String> {
        self.look_for_program();
        match error {
            None => Ok(()),
            Some(error) if error.is_transient() => Ok(()),
            // A peer that comes back makes its own region.
            Some(error)
                if self.session.ends_with_peer && [Errno::EPIPE as i32, Errno::ESTALE as i32].contains(&error.errno()) =>
            {
                self.session.peer_has_ended();
                Ok(())
            }
            Some(error) if error.errno() == Errno::EPIPE as i32 => {
                // The peer is gone and left nothing; another may come.
                if !self.session.peer_ended() {
                    let _ = self.session.channel.wait(Some(SLICE));
                }
                Ok(())
            }
            Some(error) if !self.session.is_to_be_told(error.errno()) => Ok(()),
            Some(error) => Err(receive_error(&error)),
        }
    }

    /// Notes when a program is attached; reports once, after a while, what the wait is for.
    fn look_for_program(&mut self) {
        let now = Instant::now();
        let is_there = self.session.channel.peer_alive();
        if is_there {
            self.alone_since = now;
            if self.last_activity.is_none() {
                log!(Debug, "a program has opened the region");
                self.last_activity = Some(now);
            }
        }
        let unread = self.session.not_taken();
        let since = if is_there { self.session.sent_all().unwrap_or(now) } else { self.alone_since };
        if self.said_that_it_waits || self.session.is_loopback || now - since < SILENCE {
            return;
        }
        let region = &self.session.region;
        match (is_there, self.session.has_come()) {
            (false, false) if self.session.has_program => {
                log!(Info, "waiting for the program that was started: it has not opened {region} yet");
            }
            (false, false) => {
                log!(Info, "waiting for a program: none has opened {region} yet ({})", self.session.opener);
            }
            (false, true) if unread > 0 => {
                log!(Info, "waiting for another program: the last one has left, and {unread} sent to it are unread");
            }
            (true, _) if unread > 0 && self.writer.is_none() => {
                log!(Info, "waiting for the program: {unread} sent to it are unread");
            }
            _ => return,
        }
        self.said_that_it_waits = true;
    }

    fn is_over(&mut self) -> Option<Ended> {
        if self.session.is_stopped() {
            return Some(Ended::Stopped);
        }
        if let Some(since) = self.session.time_over() {
            return self.is_settled(since).then_some(Ended::TimeOver);
        }
        if let Some(limit) = self.limit {
            return (self.received >= limit).then_some(Ended::Limit);
        }
        if self.writer.is_none() {
            return self.is_taken();
        }
        if let Some(since) = self.session.waits_to_begin() {
            return self.has_lingered(since);
        }
        let sent_all = self.session.sent_all()?;
        let sent = self.session.sent();
        // Marked samples may have been counted before; then that many are still missing.
        if sent > 0 && self.received - self.redelivered >= sent {
            let since = *self.all_back.get_or_insert_with(Instant::now);
            return self.is_settled(since).then_some(Ended::AllBack);
        }
        let quiet_since = self.last_activity.map_or(sent_all, |last| last.max(sent_all));
        self.has_lingered(quiet_since)
    }

    /// For `-s`: whether all was taken, or no program is there to take it.
    fn is_taken(&self) -> Option<Ended> {
        let idle_since = self.session.sends_nothing_since()?;
        if self.session.sent_all().is_some() && self.session.not_taken() == 0 {
            return Some(Ended::AllTaken);
        }
        // An attached program may take its time.
        let is_there = self.session.channel.peer_alive();
        if is_there { None } else { self.has_lingered(idle_since.max(self.alone_since)) }
    }

    /// Whether `--linger` is over, and a started program has had time to come.
    fn has_lingered(&self, since: Instant) -> Option<Ended> {
        // A time beyond the clock's range never comes.
        let mut end = since.checked_add(self.linger?)?;
        if self.session.has_program && self.last_activity.is_none() {
            end = end.max(self.started + START_TIME);
        }
        if Instant::now() < end {
            return None;
        }
        Some(match (self.session.has_come(), self.session.channel.peer_alive()) {
            (false, _) => Ended::NobodyCame,
            (true, false) => Ended::Left,
            (true, true) => Ended::Quiet,
        })
    }

    /// Whether the peer has taken all, or has had time to: a peer that does not echo may still be
    /// about to.
    fn is_settled(&self, since: Instant) -> bool {
        self.session.not_taken() == 0 || since.elapsed() >= SLICE
    }
}

fn receive_error(error: &villas_shm::Error) -> String {
    format!("cannot receive: {error}")
}
