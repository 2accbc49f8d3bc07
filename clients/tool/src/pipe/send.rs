//! Standard input to the region.

use std::io::{self, Read};
use std::os::fd::{AsFd, OwnedFd};
use std::sync::Arc;
use std::thread;
use std::time::{Duration, Instant};

use nix::errno::Errno;
use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
use villas_shm::Sample;

use super::sample::fill;
use super::session::{SILENCE, SLICE, Session};
use crate::config::NodeConfig;
use crate::human::{has_few_nanoseconds, parse};
use crate::lines::{Lines, Next};
use crate::log::log;
use crate::record::{Record, Remarks};
use crate::signals::Signals;
use crate::standard;

/// The most samples that are written at once if more are ready, whatever `vectorize` says: this
/// affects only the speed, because the reader decides how many it takes.
pub(super) const BATCH: usize = 64;

/// How many lines are checked for times in another notation.
const LOOKED_AT: u32 = 1000;

/// How many malformed lines are described; further ones are only counted.
const DESCRIBED: u64 = 100;

/// The thread that sends.
pub(super) struct Sender {
    session: Arc<Session>,
    wake: OwnedFd,
    signals: Signals,
    samplelen: usize,
    batch: usize,
    limit: u64,
    /// Blocks that were allocated and not yet filled.
    free: Vec<Sample>,
    /// Samples that were filled and not yet written.
    filled: Vec<Sample>,
    skipped: u64,
    said_all_out: bool,
    /// Lines whose time was checked.
    looked_at: u32,
    /// The queue is long enough to keep the reader busy while the sender pauses.
    is_paced: bool,
    pace: Pace,
    /// The last write moved nothing, or there is no peer.
    is_stuck: bool,
}

impl Sender {
    pub(super) fn new(session: Arc<Session>, wake: OwnedFd, config: &NodeConfig, signals: Signals, limit: Option<u64>) -> Self {
        // The region's own: another process may have created it with other parameters.
        let villas_shm::Config { queuelen, samplelen, .. } = session.channel.config();
        let batch = BATCH.max(config.output.vectorize as usize).min(queuelen as usize);
        Self {
            session,
            wake,
            signals,
            samplelen: samplelen as usize,
            batch,
            limit: limit.unwrap_or(u64::MAX),
            free: Vec::with_capacity(batch),
            filled: Vec::with_capacity(batch),
            skipped: 0,
            said_all_out: false,
            looked_at: 0,
            is_paced: queuelen >= 2 * BATCH as u32,
            pace: Pace::default(),
            is_stuck: false,
        }
    }

    /// Sends until standard input or the session is over; returns how many lines were no samples.
    pub(super) fn run(mut self) -> Result<u64, String> {
        if self.send_all()? {
            self.session.set_sent_all();
        }
        Ok(self.skipped)
    }

    /// Returns whether everything to be sent was sent.
    fn send_all(&mut self) -> Result<bool, String> {
        let input = standard::stdin()?;
        let wake = self.wake.try_clone().map_err(stdin_error)?;
        let mut lines = Lines::new(Wakeable { input, wake, session: Arc::clone(&self.session) });
        let (mut record, mut remarks) = (Record::default(), Remarks::default());
        loop {
            let planned = self.session.sent() + self.filled.len() as u64;
            if self.filled.len() >= self.batch || planned >= self.limit || !lines.is_ready() {
                if !self.write()? {
                    return Ok(false);
                }
                if planned >= self.limit {
                    return Ok(true);
                }
            }
            let problem = match lines.next() {
                // This error ends a wait when the session is over.
                Err(_) if self.is_over() => return Ok(false),
                Err(error) => return Err(stdin_error(error)),
                Ok(Next::End) => return self.write(),
                Ok(Next::TooLong) => "this line is too long to be a sample".to_owned(),
                Ok(Next::Line(line)) => match parse(line, &self.signals, self.samplelen, &mut record) {
                    Ok(false) => continue,
                    Ok(true) => {
                        self.look_at_time(line);
                        remarks.say(format_args!("standard input, line {}", lines.number()), &record);
                        if self.append(&record, planned)? {
                            continue;
                        }
                        return Ok(false);
                    }
                    Err(malformed) => malformed.to_string(),
                },
            };
            self.skip(lines.number(), &problem);
        }
    }

    /// Checks the first lines, and warns once if the nanoseconds of a time look like a decimal
    /// fraction.
    fn look_at_time(&mut self, line: &[u8]) {
        if self.looked_at < LOOKED_AT {
            self.looked_at += 1;
            if let Some(time) = has_few_nanoseconds(line) {
                log!(
                    Warning,
                    "a time is \"{time}\": the digits behind the point count nanoseconds (1.5 is 1 s and 5 ns); write all nine for a fraction of a second"
                );
                self.looked_at = LOOKED_AT;
            }
        }
    }

    fn is_over(&self) -> bool {
        self.session.is_stopped() || self.session.peer_ended() || self.session.time_over().is_some()
    }

    fn skip(&mut self, line: u64, problem: &str) {
        self.skipped += 1;
        if self.skipped <= DESCRIBED {
            log!(Error, "standard input, line {line}: {problem}");
        } else if self.skipped == DESCRIBED + 1 {
            log!(Error, "standard input, line {line}: malformed too; further ones are only counted");
        }
    }

    /// Copies a record into a block, and waits for a block if necessary; `false` if the session
    /// ends first.
    fn append(&mut self, record: &Record, sequence: u64) -> Result<bool, String> {
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

fn stdin_error(error: io::Error) -> String {
    format!("cannot read standard input: {error}")
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
