//! The main thread: it opens the session and the channel, supervises, reports, and ends.

use std::cell::{Cell, RefCell};
use std::hash::{BuildHasher, RandomState};
use std::sync::atomic::{AtomicBool, Ordering::Relaxed};
use std::sync::mpsc::{Receiver as Inbox, RecvTimeoutError, Sender, channel};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use nix::sys::signal::Signal;
use villas_shm::Channel;
use villas_shm_node::config::{self, NodeConfig};
use villas_shm_node::events::{catch_signals, spawn};
use villas_shm_node::exec::Program;
use villas_shm_node::log::log;
use villas_shm_node::open::{Cancelled, Opened, Region, SILENCE, be_the_program, open};
use villas_shm_node::signals::Signals;
use zenoh::key_expr::KeyExpr;
use zenoh::pubsub::Publisher;
use zenoh::qos::CongestionControl;
use zenoh::query::Querier;
use zenoh::sample::Locality;
use zenoh::{Session, Wait};

use crate::announce::{self, Announcement};
use crate::cli::Cli;
use crate::engine;
use crate::format::Encoder;
use crate::publish::{Ended, FLUSH, Sending, Shared};
use crate::queue::Queue;
use crate::reason;
use crate::receive::Receiver;
use crate::stats::{Moment, Reporter};

/// Between two reports.
const SECOND: Duration = Duration::from_secs(1);

/// How often Zenoh is asked who subscribes: its listener misses that the last one has gone when that
/// is told before its routes have changed.
const LOOK: Duration = Duration::from_millis(200);

/// How long the session may take to close.
const CLOSE: Duration = Duration::from_secs(5);

/// The events of the main thread.
enum Event {
    Signal(Signal),
    ProgramEnded,
    Opened(Result<Session, String>),
    /// The other side has told its signals.
    Told(Result<Signals, String>),
    /// A thread of the way to Zenoh has ended, which has this number.
    Sent(usize, Result<Ended, String>),
    Closed,
}

/// Why a channel is used no longer.
enum Over {
    Signalled,
    PeerGone,
    Failed(String),
}

/// Runs the command; whether all went well. Errors that are not returned have been reported.
pub(crate) fn run(cli: &Cli) -> Result<bool, String> {
    if cli.queue < cli.batch {
        return Err(format!("a queue of {} samples never has {} for a message: raise --queue", cli.queue, cli.batch));
    }
    let publish = key(&cli.publish, "--publish")?;
    let subscribe = key(&cli.subscribe, "--subscribe")?;
    if publish == subscribe {
        return Err(format!("--publish and --subscribe are both \"{publish}\": each direction needs a key of its own"));
    }
    let mut config = config::load(&cli.config, &cli.node).map_err(|error| error.to_string())?;
    let (events, inbox) = channel();
    catch_signals(events.clone(), Event::Signal)?;
    if cli.swap {
        be_the_program(&mut config);
    }
    let zenoh = engine::configure(cli)?;
    spawn(events.clone(), Event::Opened, move || engine::open(zenoh));
    let Some(session) = session(cli, &inbox)? else { return Ok(true) };
    let bridge = Bridge::new(cli, session, publish, subscribe, events, inbox)?;
    let good = bridge.run(config).unwrap_or_else(|message| {
        log!(Error, "{message}");
        false
    });
    Ok(bridge.finish() && good)
}

fn key(text: &str, option: &str) -> Result<KeyExpr<'static>, String> {
    let key = KeyExpr::try_from(text.to_owned()).map_err(|error| format!("{option} {text}: it is no key of Zenoh: {error}"))?;
    if key.is_wild() {
        return Err(format!("{option} {text}: it must name one key, without * and $*"));
    }
    Ok(key)
}

/// The session, once it is open; `None`: a signal came first.
fn session(cli: &Cli, inbox: &Inbox<Event>) -> Result<Option<Session>, String> {
    let mut is_silent = true;
    loop {
        match inbox.recv_timeout(SILENCE) {
            Ok(Event::Opened(result)) => return result.map(Some),
            Ok(Event::Signal(_)) => return Ok(None),
            Ok(_) => {}
            Err(_) if is_silent => {
                is_silent = false;
                let reason = reason::last().map_or(String::new(), |reason| format!(": {reason}"));
                log!(Info, "waiting for a connection to {}{reason}", cli.connect.join(", "));
            }
            Err(_) => {}
        }
    }
}

struct Bridge<'a> {
    cli: &'a Cli,
    session: Session,
    subscribe: KeyExpr<'static>,
    publisher: Arc<Publisher<'static>>,
    /// By which the other side tells its signals, and that it is there.
    questions: Querier<'static>,
    incarnation: u64,
    shared: Arc<Shared>,
    receiver: Arc<Receiver>,
    announcement: Announcement,
    events: Sender<Event>,
    inbox: Inbox<Event>,
    reporter: RefCell<Reporter<'a>>,
    next_report: Cell<Instant>,
    /// The channel that is open, and what is written into it.
    open: RefCell<Option<(Arc<Channel>, Signals)>>,
    said: RefCell<String>,
    program: RefCell<Option<Program>>,
    has_ended: Cell<bool>,
    was_connected: Cell<bool>,
}

impl<'a> Bridge<'a> {
    fn new(
        cli: &'a Cli,
        session: Session,
        publish: KeyExpr<'static>,
        subscribe: KeyExpr<'static>,
        events: Sender<Event>,
        inbox: Inbox<Event>,
    ) -> Result<Self, String> {
        let shared = Arc::new(Shared::new(Queue::new(cli.queue as usize, cli.batch as usize)));
        let publisher = session.declare_publisher(publish).encoding(cli.format.encoding()).allowed_destination(Locality::Remote);
        let publisher = publisher.congestion_control(CongestionControl::Block).wait();
        let publisher = publisher.map_err(|error| format!("cannot publish under \"{}\": {error}", cli.publish))?;
        let questions = announce::questions(&session, &cli.subscribe)?;
        let matched = Arc::clone(&shared);
        // It is called at once if somebody does.
        let listener = publisher.matching_listener().callback(move |status| matched.set_matched(status.matching()));
        listener.background().wait().map_err(|error| format!("cannot learn who subscribes: {error}"))?;
        // Not 0, which means none.
        let incarnation = RandomState::new().hash_one(std::process::id()).max(1);
        Ok(Self {
            cli,
            session,
            subscribe,
            publisher: Arc::new(publisher),
            questions,
            incarnation,
            shared,
            receiver: Arc::new(Receiver::default()),
            announcement: Announcement::default(),
            events,
            inbox,
            reporter: RefCell::new(Reporter::new(cli, incarnation)),
            next_report: Cell::new(Instant::now() + SECOND),
            open: RefCell::default(),
            said: RefCell::default(),
            program: RefCell::default(),
            has_ended: Cell::new(false),
            was_connected: Cell::new(false),
        })
    }

    /// Opens the channel and opens it again, until all is over; whether all went well.
    fn run(&self, mut config: NodeConfig) -> Result<bool, String> {
        // The region says them, if a node has created it.
        if !self.cli.swap {
            self.announce(&config.input.signals);
        }
        let _queryable = announce::answer(&self.session, &self.cli.publish, &self.announcement)?;
        if !self.cli.swap && config.output.signals.is_empty() {
            let Some(signals) = self.ask()? else { return Ok(true) };
            config.samplelen = config.samplelen.max(signals.len() as u32);
            config.output.signals = signals;
        }
        loop {
            let cancelled = || self.cancelled();
            let region = match open(&config, self.cli.swap, &cancelled, None, || self.start(&config))? {
                Opened::Open(region) => region,
                Opened::Cancelled(Cancelled::Signalled) => return Ok(true),
                Opened::Cancelled(Cancelled::ProgramEnded) => return self.judge_program(true),
            };
            match self.bridge(&config, &region)? {
                Over::Signalled => return Ok(true),
                Over::Failed(message) => {
                    region.is_loss_told.set(true);
                    return Err(message);
                }
                Over::PeerGone if config.exec.is_some() => {
                    // It closes the channel before it ends.
                    let deadline = Instant::now() + self.cli.grace;
                    while !self.has_ended.get() && Instant::now() < deadline {
                        if let Some(Event::Signal(_)) = self.next(deadline) {
                            return Ok(true);
                        }
                    }
                    return self.judge_program(false);
                }
                Over::PeerGone => log!(Info, "the other end of the channel has closed: waiting for it to come back"),
            }
        }
    }

    fn announce(&self, signals: &Signals) {
        *self.announcement.lock().unwrap_or_else(PoisonError::into_inner) = Some(announce::to_json(signals));
    }

    fn start(&self, config: &NodeConfig) -> Result<(), String> {
        if let Some(words) = &config.exec {
            let events = self.events.clone();
            let program = Program::start(words, move || drop(events.send(Event::ProgramEnded)))?;
            self.program.replace(Some(program));
        }
        Ok(())
    }

    /// Whether the program that was started has ended well.
    fn judge_program(&self, is_early: bool) -> Result<bool, String> {
        let mut program = self.program.borrow_mut();
        let Some(program) = &mut *program else { return Ok(true) };
        let is_good = !is_early && program.status().is_some_and(|status| status.success());
        if is_good { Ok(true) } else { Err(program.ended_early()) }
    }

    /// Asks the other side for its signals until it tells them; `None`: a signal came first.
    fn ask(&self) -> Result<Option<Signals>, String> {
        let started = Instant::now();
        let mut is_silent = true;
        loop {
            self.ask_once()?;
            let again = Instant::now() + SILENCE;
            while Instant::now() < again {
                match self.next(again) {
                    Some(Event::Told(Ok(signals))) => return Ok(Some(signals)),
                    Some(Event::Told(Err(error))) => self.say(error),
                    Some(Event::Signal(_)) => return Ok(None),
                    _ => {}
                }
            }
            if is_silent && started.elapsed() >= SILENCE {
                is_silent = false;
                let key = announce::key(&self.cli.subscribe);
                log!(
                    Info,
                    "waiting for the other side to tell its signals at \"{key}\", as the configuration has none for what goes to the program"
                );
            }
        }
    }

    /// What the other side publishes must be what the channel holds.
    fn ask_again(&self) {
        if let Err(error) = self.ask_once() {
            log!(Warning, "{error}");
        }
    }

    fn ask_once(&self) -> Result<(), String> {
        let events = Mutex::new(self.events.clone());
        let told = move |signals| drop(events.lock().unwrap_or_else(PoisonError::into_inner).send(Event::Told(signals)));
        announce::ask(&self.questions, told)
    }

    /// The next event until `deadline`; reports when it is time.
    fn next(&self, deadline: Instant) -> Option<Event> {
        loop {
            let now = Instant::now();
            if now >= self.next_report.get() {
                self.next_report.set(now + SECOND);
                self.report(false);
            }
            self.look_for_subscribers();
            let until = deadline.min(self.next_report.get()).min(now + LOOK);
            match self.inbox.recv_timeout(until.saturating_duration_since(now)) {
                Ok(event) => {
                    self.has_ended.set(self.has_ended.get() || matches!(event, Event::ProgramEnded));
                    return Some(event);
                }
                Err(RecvTimeoutError::Timeout) if Instant::now() < deadline => {}
                Err(_) => return None,
            }
        }
    }

    fn look_for_subscribers(&self) {
        if let Ok(status) = self.publisher.matching_status().wait() {
            self.shared.set_matched(status.matching());
        }
    }

    /// What ends the wait for a channel.
    fn cancelled(&self) -> Option<Cancelled> {
        match self.next(Instant::now()) {
            Some(Event::Signal(_)) => Some(Cancelled::Signalled),
            Some(Event::ProgramEnded) => Some(Cancelled::ProgramEnded),
            _ => None,
        }
    }

    fn report(&self, is_last: bool) {
        let (incoming, news) = self.receiver.look();
        let connections = engine::connections(&self.session);
        let has_come = !self.was_connected.replace(connections != (0, 0)) && self.was_connected.get();
        if (news.has_new_publisher || has_come) && !is_last {
            self.ask_again();
        }
        let has_program = self.open.borrow().as_ref().is_some_and(|(channel, _)| channel.peer_alive());
        let moment = Moment {
            out: self.shared.counts(),
            incoming,
            news,
            is_matched: self.shared.is_matched(),
            has_publisher: self.questions.matching_status().wait().is_ok_and(|status| status.matching()),
            connections,
            has_program,
            is_last,
        };
        self.reporter.borrow_mut().report(moment);
    }

    /// Lets samples go both ways until the channel's end or a signal.
    fn bridge(&self, config: &NodeConfig, region: &Region) -> Result<Over, String> {
        let [read, written] = region.signals(config, &Signals::default())?;
        self.announce(&read);
        let channel = region.channel();
        let threads = self.shared.begin(&channel);
        let sending = Arc::new(Sending {
            shared: Arc::clone(&self.shared),
            channel: Arc::clone(&channel),
            publisher: Arc::clone(&self.publisher),
            incarnation: self.incarnation,
            max_delay: self.cli.max_delay,
            on_full: self.cli.on_full,
            ends_with_peer: region.ends_with_peer(),
            has_ended: AtomicBool::new(self.has_ended.get()),
        });
        for me in threads {
            let (sending, encoder) = (Arc::clone(&sending), Encoder::new(self.cli.format, read.clone(), !region.is_wire));
            let events = self.events.clone();
            let event = |result: Result<(usize, Result<Ended, String>), String>| match result {
                Ok((me, ended)) => Event::Sent(me, ended),
                Err(panicked) => Event::Sent(usize::MAX, Err(panicked)),
            };
            spawn(events, event, move || Ok((me, sending.run(me, encoder))));
        }
        self.receiver.set_channel(Some((Arc::clone(&channel), written.clone())));
        self.open.replace(Some((channel, written)));
        self.ask_again();
        let receiver = Arc::clone(&self.receiver);
        let subscriber = self.session.declare_subscriber(self.subscribe.clone()).allowed_origin(Locality::Remote);
        let subscriber = subscriber.callback(move |message| receiver.take(&message)).wait();
        let over = match subscriber {
            Ok(subscriber) => {
                let over = self.supervise(&sending, threads[0]);
                // What arrives from here on is counted by the next one as a gap.
                if let Err(error) = subscriber.undeclare().wait() {
                    log!(Debug, "the subscriber was not undeclared: {error}");
                }
                over
            }
            Err(error) => (Over::Failed(format!("cannot subscribe to \"{}\": {error}", self.subscribe)), 2),
        };
        self.receiver.set_channel(None);
        let (mut over, mut running) = over;
        let deadline = Instant::now() + FLUSH;
        self.shared.stop(deadline);
        // A second signal ends it at once.
        while running > 0 {
            match self.next(deadline) {
                Some(Event::Sent(me, result)) if me >= threads[0] => {
                    running -= 1;
                    if let (Err(message), false) = (result, matches!(over, Over::Failed(_))) {
                        over = Over::Failed(message);
                    }
                }
                Some(Event::Signal(_)) if matches!(over, Over::PeerGone) => over = Over::Signalled,
                None | Some(Event::Signal(_)) => break,
                Some(_) => {}
            }
        }
        self.open.replace(None);
        Ok(over)
    }

    /// Waits until the channel is used no longer: why, and how many threads still run.
    fn supervise(&self, sending: &Sending, first: usize) -> (Over, u32) {
        loop {
            // Reports come in between.
            match self.next(Instant::now() + SECOND) {
                Some(Event::Signal(signal)) => {
                    log!(Debug, "{signal}: ending");
                    return (Over::Signalled, 2);
                }
                Some(Event::ProgramEnded) => {
                    // Relaxed: the interrupted read comes after it.
                    sending.has_ended.store(true, Relaxed);
                    sending.channel.interrupt();
                }
                // A thread of the last channel may have been stuck until now.
                Some(Event::Sent(me, _)) if me < first => {}
                Some(Event::Sent(_, Ok(_))) => return (Over::PeerGone, 1),
                Some(Event::Sent(_, Err(message))) => return (Over::Failed(message), 1),
                Some(Event::Told(told)) => self.compare(told),
                _ => {}
            }
        }
    }

    /// Compares the signals that the other side publishes with those of the channel.
    fn compare(&self, told: Result<Signals, String>) {
        let open = self.open.borrow();
        let Some((_, written)) = &*open else { return };
        let problem = match told {
            Ok(theirs) => announce::contradiction(written, &theirs),
            Err(error) => Some(error),
        };
        if let Some(problem) = problem {
            self.say(problem);
        }
    }

    /// Says what is wrong with the signals that the other side has told, unless it was said last.
    fn say(&self, problem: String) {
        let key = announce::key(&self.cli.subscribe);
        if *self.said.borrow() != problem {
            log!(Error, "the signals at \"{key}\" do not fit: {problem}");
            self.said.replace(problem);
        }
    }

    /// Ends the program and the session, and says what was done; whether all was handed over.
    fn finish(self) -> bool {
        let counts = self.shared.counts();
        if let Some(program) = self.program.take() {
            let name = program.name().to_owned();
            // A program that never opened the channel does not see its end.
            let sees_the_end = counts.taken > 0 || self.receiver.look().0.forwarded > 0;
            let is_urgent = || !sees_the_end || self.inbox.try_iter().any(|event| matches!(event, Event::Signal(_)));
            match program.stop(self.cli.grace, is_urgent) {
                Ok(status) => log!(Debug, "{name} has ended: {status}"),
                Err(error) => log!(Error, "cannot stop {name}: {error}"),
            }
        }
        self.report(true);
        let (session, events) = (self.session.clone(), self.events.clone());
        spawn(
            events,
            |_: Result<(), String>| Event::Closed,
            move || {
                engine::close(&session);
                Ok(())
            },
        );
        let deadline = Instant::now() + CLOSE;
        loop {
            match self.inbox.recv_timeout(deadline.saturating_duration_since(Instant::now())) {
                Ok(Event::Closed | Event::Signal(_)) => break,
                Err(_) => {
                    log!(Warning, "the session of Zenoh does not close: what it has not sent yet is lost");
                    break;
                }
                Ok(_) => {}
            }
        }
        if counts.queued > 0 {
            let count = counts.queued;
            log!(
                Error,
                "{count} samples were taken from the channel and not handed to Zenoh: nobody subscribed, or the link was down"
            );
        }
        counts.queued == 0
    }
}
