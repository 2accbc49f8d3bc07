//! The main thread: it waits for events, decides when the session is over, and judges the result.

use std::fmt;
use std::sync::mpsc::Receiver;
use std::time::{Duration, Instant};

use super::Event;
use super::receive::Ended;
use super::session::Session;
use crate::exec::Program;
use crate::log::log;

/// Stopped threads check their waits far more often than this, except a thread that is stuck in a
/// standard output without a reader.
const STOP_TIME: Duration = Duration::from_secs(1);

/// The state of the supervision.
pub(super) struct Supervisor<'a> {
    session: &'a Session,
    good: bool,
    /// Number of threads that still run.
    running: u32,
    /// When the session must end.
    time_limit: Option<Instant>,
    /// When to give up on the threads that still run.
    deadline: Option<Instant>,
    is_signalled: bool,
    ended: Option<Ended>,
}

impl<'a> Supervisor<'a> {
    /// For a session with this many threads.
    pub(super) fn new(session: &'a Session, running: u32, time_limit: Option<Instant>) -> Self {
        Self { session, good: true, running, time_limit, deadline: None, is_signalled: false, ended: None }
    }

    /// Waits until the session is over and both threads have stopped or are given up; returns
    /// whether all went well.
    pub(super) fn watch(mut self, mut program: Option<&mut Program>, inbox: &Receiver<Event>) -> bool {
        while self.running > 0 {
            let event = match self.deadline.or(self.time_limit) {
                None => inbox.recv().ok(),
                Some(deadline) => inbox.recv_timeout(deadline.saturating_duration_since(Instant::now())).ok(),
            };
            // The running threads hold senders, so `None` can only mean that the time is over.
            match event {
                // A node that reads what it writes needs no program.
                Some(Event::ProgramEnded) if self.session.is_loopback => {
                    if let Some(program) = &mut program {
                        self.fail(program.ended_early());
                    }
                }
                Some(event) => self.handle(event),
                None if self.deadline.is_none() => self.session.time_is_over(),
                None => break,
            }
            if self.deadline.is_none() && (self.session.is_stopped() || self.session.time_over().is_some()) {
                self.deadline = Some(Instant::now() + STOP_TIME);
            }
        }
        // A signal from the terminal reaches the program too, and its end may be noticed first.
        self.is_signalled |= inbox.try_iter().any(|event| matches!(event, Event::Signal(_)));
        if let Some(Ended::PeerGone { too_early }) = self.ended {
            if !self.is_signalled {
                // Only now: until here the sender could find the end of its input.
                let complete = !too_early && self.session.sent_all().is_some() && self.session.not_taken() == 0;
                self.judge_peer(program, complete);
            }
        }
        self.judge_queue();
        self.good
    }

    fn handle(&mut self, event: Event) {
        match event {
            Event::Signal(signal) => {
                log!(Debug, "{signal}: ending");
                self.is_signalled = true;
                self.session.stop();
            }
            Event::ProgramEnded => self.session.peer_has_ended(),
            Event::Sent(result) => {
                self.running -= 1;
                match result {
                    Ok(0) => {}
                    Ok(skipped) => self.fail(format_args!("{} skipped", were(skipped, "malformed line"))),
                    Err(error) => {
                        self.fail(error);
                        self.session.stop();
                    }
                }
            }
            Event::Received(result) => {
                self.running -= 1;
                match result {
                    Ok(ended) => {
                        log!(Debug, "ending: {ended}");
                        self.ended = Some(ended);
                    }
                    Err(error) => self.fail(error),
                }
                // When the peer has gone, the sender ends by itself, after the input that is
                // available.
                if matches!(self.ended, Some(Ended::PeerGone { .. })) {
                    self.deadline = Some(Instant::now() + STOP_TIME);
                } else {
                    self.session.stop();
                }
            }
        }
    }

    fn fail(&mut self, message: impl fmt::Display) {
        log!(Error, "{message}");
        self.good = false;
    }

    /// The other end may close by itself when the work is done, not before.
    fn judge_peer(&mut self, program: Option<&mut Program>, complete: bool) {
        match program {
            Some(program) => {
                if !complete || !program.status().is_some_and(|status| status.success()) {
                    self.fail(program.ended_early());
                }
            }
            None if complete => {}
            None => self.fail("the other end has closed or died before all was done"),
        }
    }

    /// All sent samples must have been taken, unless the session was ended on request: by a signal,
    /// or by the number of samples to receive.
    fn judge_queue(&mut self) {
        let queued = self.session.not_taken();
        log!(Info, "{}", self.session.summary());
        let mut message = format!("{} sent but not taken", were(queued, "sample"));
        let is_cut = matches!(self.ended, Some(Ended::NobodyCame | Ended::Left)) && self.session.sent_all().is_none();
        if is_cut {
            message += ", and the rest of the input was not sent";
        }
        match self.ended {
            Some(Ended::NobodyCame) => {
                message += ": no program has opened the region in time (--linger SECONDS gives it more time)";
            }
            Some(Ended::Left) => message += ": the program has left (--linger SECONDS gives another one more time to come)",
            _ => {}
        }
        if matches!(self.ended, Some(Ended::NoReader)) {
            log!(Debug, "{message}");
        } else if queued > 0 && (self.is_signalled || matches!(self.ended, Some(Ended::Limit))) {
            log!(Warning, "{message}");
        } else if queued > 0 || is_cut {
            self.fail(message);
        }
    }
}

/// "1 sample was", "2 samples were".
fn were(count: u64, noun: &str) -> String {
    if count == 1 { format!("1 {noun} was") } else { format!("{count} {noun}s were") }
}
