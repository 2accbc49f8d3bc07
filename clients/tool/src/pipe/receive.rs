//! The region to standard output.

use std::fmt;
use std::fs::File;
use std::io::{self, Write};
use std::os::fd::AsFd;
use std::sync::Arc;
use std::time::{Duration, Instant};

use nix::errno::Errno;
use villas_shm::{Sample, flags};

use super::Options;
use super::sample::take;
use super::send::{BATCH, is_transient};
use super::session::{SILENCE, SLICE, Session};
use crate::config::NodeConfig;
use crate::human::{Record, Time, header, print};
use crate::log::log;
use crate::signals::Signals;

/// So much text is gathered before it is written while more samples are ready.
const CHUNK: usize = 64 << 10;

/// A program that has just been started may take so long before it opens the region: not before then
/// does `--linger` end the session.
const START_TIME: Duration = Duration::from_secs(5);

/// Why there is nothing more to receive.
pub(super) enum Ended {
    /// The tool was told to stop.
    Stopped,
    /// As many as were asked for.
    Limit,
    /// As many as were sent.
    AllBack,
    /// All that was sent was taken, and nothing is to be received.
    AllTaken,
    /// Nothing for a while.
    Quiet,
    /// No program has opened the region in its time.
    NobodyCame,
    /// The time that the session was given.
    TimeOver,
    /// The program that was started has ended, or the node has closed.
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
            Self::NobodyCame => "no program has opened the region",
            Self::TimeOver => "the time is over",
            Self::PeerGone { .. } => "the other end is gone",
        })
    }
}

/// The thread that receives.
pub(super) struct Receiver {
    session: Arc<Session>,
    signals: Signals,
    batch: usize,
    /// Samples are printed, not thrown away.
    prints: bool,
    limit: Option<u64>,
    linger: Option<Duration>,
    output: Vec<u8>,
    header_printed: bool,
    started: Instant,
    /// When a sample came, or the peer: `linger` counts from there.
    last_activity: Option<Instant>,
    said_that_it_waits: bool,
    /// When as many had come as were sent.
    all_back: Option<Instant>,
    received: u64,
    redelivered: u64,
    /// Numbers samples that have no sequence number.
    running: u64,
}

impl Receiver {
    pub(super) fn new(session: Arc<Session>, config: &NodeConfig, options: &Options) -> Self {
        Self {
            session,
            signals: config.input.signals.clone(),
            batch: BATCH.max(config.input.vectorize as usize),
            prints: options.receives,
            limit: options.receive_limit,
            linger: options.linger,
            output: Vec::with_capacity(2 * CHUNK),
            header_printed: false,
            started: Instant::now(),
            last_activity: None,
            said_that_it_waits: false,
            all_back: None,
            received: 0,
            redelivered: 0,
            running: 0,
        }
    }

    /// Receives until the session is over.
    pub(super) fn run(mut self) -> Result<Ended, String> {
        let mut stdout = File::from(io::stdout().as_fd().try_clone_to_owned().map_err(stdout_error)?);
        let ended = self.receive_all(&mut stdout)?;
        if self.prints {
            self.print_header(0);
        }
        self.flush(&mut stdout)?;
        Ok(ended)
    }

    fn receive_all(&mut self, stdout: &mut File) -> Result<Ended, String> {
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
                // Nothing is ready, so this is the moment to show what there is.
                self.flush(stdout)?;
                // Asked before the wait: what came until then is found by it.
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
            if self.prints {
                self.print(&samples, &mut record);
            }
            self.count(&samples);
            samples.clear();
            if self.output.len() >= CHUNK {
                self.flush(stdout)?;
            }
        }
    }

    fn print(&mut self, samples: &[Sample], record: &mut Record) {
        let now = Time::now();
        for sample in samples {
            take(sample, now, !self.session.is_wire, record);
            if self.session.is_wire {
                // As VILLASnode does: its own client sets no flags.
                record.origin.get_or_insert(now);
                record.sequence.get_or_insert(self.running);
                self.running += 1;
            }
            self.print_header(record.values.len());
            print(record, &self.signals, &mut self.output);
        }
    }

    fn count(&mut self, samples: &[Sample]) {
        let arrival = Instant::now();
        let redelivered = samples.iter().filter(|sample| sample.flags() & flags::REDELIVERED != 0).count() as u64;
        self.last_activity = Some(arrival);
        self.received += samples.len() as u64;
        self.redelivered += redelivered;
        self.session.count_received(samples.len() as u64, redelivered, arrival);
    }

    /// Names the columns: those of the configuration, else as many as the first sample has.
    fn print_header(&mut self, values: usize) {
        if !self.header_printed {
            let count = if self.signals.len() > 0 { self.signals.len() } else { values };
            header(&self.signals, count, true, &mut self.output);
            self.header_printed = true;
        }
    }

    fn flush(&mut self, stdout: &mut File) -> Result<(), String> {
        stdout.write_all(&self.output).map_err(stdout_error)?;
        self.output.clear();
        Ok(())
    }

    /// After a wait in vain.
    fn idle(&mut self, error: Option<villas_shm::Error>) -> Result<(), String> {
        if self.last_activity.is_none() && self.session.channel.peer_alive() {
            log!(Debug, "a program has opened the region");
            self.last_activity = Some(Instant::now());
        }
        if self.last_activity.is_none() && !self.said_that_it_waits && self.started.elapsed() >= SILENCE {
            log!(Info, "waiting for a program: none has opened {} yet", self.session.region);
            self.said_that_it_waits = true;
        }
        match error {
            None => Ok(()),
            Some(error) if is_transient(error.errno()) => Ok(()),
            // Who comes again makes a region of its own.
            Some(error)
                if self.session.ends_with_peer && [Errno::EPIPE as i32, Errno::ESTALE as i32].contains(&error.errno()) =>
            {
                self.session.peer_has_ended();
                Ok(())
            }
            Some(error) if error.errno() == Errno::EPIPE as i32 => {
                // The peer is gone and left nothing; perhaps there will be another.
                if !self.session.peer_ended() {
                    let _ = self.session.channel.wait(Some(SLICE));
                }
                Ok(())
            }
            Some(error) => Err(receive_error(&error)),
        }
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
        let sent_all = self.session.sent_all()?;
        if !self.prints {
            return (self.session.not_taken() == 0).then_some(Ended::AllTaken);
        }
        let sent = self.session.sent();
        // What is marked may have been counted before; then as much is missing still.
        if sent > 0 && self.received - self.redelivered >= sent {
            let since = *self.all_back.get_or_insert_with(Instant::now);
            return self.is_settled(since).then_some(Ended::AllBack);
        }
        let quiet_since = self.last_activity.map_or(sent_all, |last| last.max(sent_all));
        // A time that no clock reaches never comes.
        let mut end = quiet_since.checked_add(self.linger?)?;
        if self.session.has_program && self.last_activity.is_none() {
            end = end.max(self.started + START_TIME);
        }
        let why = if self.last_activity.is_some() { Ended::Quiet } else { Ended::NobodyCame };
        (Instant::now() >= end).then_some(why)
    }

    /// Whether the peer has taken all, or has had its time to do so: one that does not echo may still
    /// be about to.
    fn is_settled(&self, since: Instant) -> bool {
        self.session.not_taken() == 0 || since.elapsed() >= SLICE
    }
}

fn receive_error(error: &villas_shm::Error) -> String {
    format!("cannot receive: {error}")
}

fn stdout_error(error: io::Error) -> String {
    format!("cannot write standard output: {error}")
}
