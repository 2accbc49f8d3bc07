//! `villas-shm pipe`: samples to a node's region, and back.
//!
//! One thread sends (`send.rs`), one receives (`receive.rs`); neither waits for the other. The main
//! thread only supervises (`supervise.rs`).

mod receive;
mod schedule;
mod send;
mod session;
mod supervise;

use std::sync::Arc;
use std::sync::mpsc::{Receiver, Sender, channel};
use std::time::{Duration, Instant};

use nix::sys::signal::Signal;
use villas_shm_node::open::{Cancelled, Opened, Region, be_the_program, open};

use crate::config::NodeConfig;
use crate::events;
use crate::exec::Program;
use crate::formats::{Output, Source, Writer};
use crate::log::log;
use crate::signals::Signals;
use receive::Ended;
use session::Session;
use supervise::Supervisor;

/// How long nothing may arrive after the end of standard input, by default.
pub(crate) const LINGER: Duration = Duration::from_secs(2);

/// What the command line says.
pub(crate) struct Options {
    /// Where samples to send are read; `None`: nothing is sent.
    pub(crate) input: Option<Source>,
    /// Where received samples are written; `None`: they are discarded.
    pub(crate) output: Option<Output>,
    /// Send at the pace of the timestamps, so many times as fast.
    pub(crate) pace: Option<f64>,
    /// Replace each timestamp by the time at which the sample is sent.
    pub(crate) now: bool,
    /// Stop sending after this many samples.
    pub(crate) send_limit: Option<u64>,
    /// End after this many samples were received.
    pub(crate) receive_limit: Option<u64>,
    /// End after this time.
    pub(crate) time_limit: Option<Duration>,
    /// How long nothing may arrive once all is sent; `None`: without limit.
    pub(crate) linger: Option<Duration>,
    /// How long the program may take to end by itself after the end of its channel.
    pub(crate) grace: Duration,
    /// What the values are, where neither the region nor the configuration says.
    pub(crate) types: Signals,
}

/// The events of the main thread.
enum Event {
    Signal(Signal),
    ProgramEnded,
    /// The sender has ended; how many lines it skipped.
    Sent(Result<u64, String>),
    Received(Result<Ended, String>),
}

/// Runs the command, at the other end of the channel if `swap` is set. Returns whether all went
/// well; errors have been reported.
pub(crate) fn run(mut config: NodeConfig, mut options: Options, swap: bool) -> Result<bool, String> {
    // A time beyond the clock's range never comes.
    let deadline = options.time_limit.and_then(|limit| Instant::now().checked_add(limit));
    let (events, inbox) = channel();
    events::catch_signals(events.clone(), Event::Signal)?;
    if swap {
        be_the_program(&mut config);
    }
    let mut program = None;
    let start = || {
        if let Some(words) = &config.exec {
            let events = events.clone();
            program = Some(Program::start(words, move || drop(events.send(Event::ProgramEnded)))?);
        }
        Ok(())
    };
    let cancelled = || match inbox.try_recv() {
        Ok(Event::ProgramEnded) => Some(Cancelled::ProgramEnded),
        Ok(_) => Some(Cancelled::Signalled),
        Err(_) => None,
    };
    let opened = open(&config, swap, &cancelled, deadline, start);
    let mut sees_the_end = false;
    let good = opened.and_then(|opened| match opened {
        Opened::Open(region) => {
            let (good, has_come) =
                with_region(&config, &mut options, deadline, &region, program.as_mut(), events.clone(), &inbox)?;
            sees_the_end = has_come;
            Ok(good)
        }
        Opened::Cancelled(Cancelled::Signalled) => Ok(true),
        Opened::Cancelled(Cancelled::ProgramEnded) => Err(program.as_mut().map_or_else(String::new, Program::ended_early)),
    });
    let good = good.unwrap_or_else(|message| {
        log!(Error, "{message}");
        false
    });
    // Last, because it may take long: the name is free for another session meanwhile.
    if let Some(program) = program {
        let name = program.name().to_owned();
        // A program that never opened the channel does not see its end.
        let is_urgent = || !sees_the_end || inbox.try_iter().any(|event| matches!(event, Event::Signal(_)));
        let status = program.stop(options.grace, is_urgent).map_err(|error| format!("cannot stop {name}: {error}"))?;
        log!(Debug, "{name} has ended: {status}");
    }
    Ok(good)
}

/// Returns whether all went well, and whether a program ever attached.
fn with_region(
    config: &NodeConfig,
    options: &mut Options,
    deadline: Option<Instant>,
    region: &Region,
    program: Option<&mut Program>,
    events: Sender<Event>,
    inbox: &Receiver<Event>,
) -> Result<(bool, bool), String> {
    let [read, written] = region.signals(config, &options.types)?;
    let (session, wake) = Session::new(region, config.exec.is_some()).map_err(|error| format!("cannot make a pipe: {error}"))?;
    let session = Arc::new(session);
    let sends = options.input.is_some();
    if let Some(file) = options.input.take() {
        let sender = send::Sender::new(Arc::clone(&session), wake, file, config, written, options)?;
        events::spawn(events.clone(), Event::Sent, || sender.run());
    } else {
        session.set_sent_all();
    }
    let writer = options.output.take().map(|output| Writer::new(output, read).map(Writer::with_offset));
    let receiver = receive::Receiver::new(Arc::clone(&session), config, writer.transpose()?, options);
    events::spawn(events, Event::Received, || receiver.run());
    let good = Supervisor::new(&session, 1 + u32::from(sends), deadline).watch(program, inbox);
    region.is_loss_told.set(session.has_told_of_name());
    Ok((good, session.has_come()))
}
