//! The channel of a node: created, or opened at its other end.

use std::cell::{Cell, RefCell};
use std::os::unix::fs::MetadataExt;
use std::path::Path;
use std::sync::Arc;
use std::sync::mpsc::{Receiver, TryRecvError};
use std::time::Instant;

use nix::errno::Errno;
use villas_shm::{Channel, Direction};

use super::Event;
use super::session::{SILENCE, SLICE};
use crate::config::{Layout, NodeConfig};
use crate::log::log;
use crate::signals::Signals;

/// An open channel; on drop, what was created for it is removed.
pub(super) struct Region {
    channel: Arc<Channel>,
    /// Whether the other end cannot come back once it is gone.
    ends_with_peer: bool,
    /// Whether the layout is VILLASnode's, where some programs do not flag the valid parts of a
    /// sample's header.
    pub(super) is_wire: bool,
    created: Option<Created>,
    /// Whether it was reported that the name was removed, or leads to another region.
    pub(super) is_loss_told: Cell<bool>,
}

/// A name to remove in the end, if it still leads to the same object.
struct Created {
    name: String,
    object: Option<(u64, u64)>,
}

impl Created {
    fn new(name: &str) -> Self {
        Self { name: name.into(), object: object(name) }
    }
}

/// Device and inode number of a name's object.
fn object(name: &str) -> Option<(u64, u64)> {
    let data = Path::new("/dev/shm").join(name.trim_start_matches('/')).symlink_metadata().ok()?;
    Some((data.dev(), data.ino()))
}

/// How the wait for a channel ended.
pub(super) enum Opened {
    Open(Region),
    /// A signal came first.
    Signalled,
    /// The started program ended first.
    ProgramEnded,
}

impl Region {
    /// Creates what the configuration describes, and takes the node's end of it. With two regions
    /// it waits for the other side.
    pub(super) fn create(config: &NodeConfig, inbox: &Receiver<Event>, deadline: Option<Instant>) -> Result<Opened, String> {
        match &config.layout {
            Layout::OneRegion(name) => {
                let parameters = parameters(config).in_signals(config.input.signals.filled_from(&[]));
                let channel = Channel::create(name, &parameters)
                    .map_err(|error| format!("cannot create the region \"{name}\": {error}"))?;
                Ok(Opened::Open(Self::new(channel, Some(Created::new(name)), false, false)))
            }
            Layout::TwoRegions { input, output } => Self::shake_hands(config, input, output, inbox, deadline),
        }
    }

    /// Waits for a region that another process creates, and takes its program's end.
    pub(super) fn open(config: &NodeConfig, inbox: &Receiver<Event>, deadline: Option<Instant>) -> Result<Opened, String> {
        let name = match &config.layout {
            Layout::OneRegion(name) => name,
            Layout::TwoRegions { input, output } => return Self::shake_hands(config, input, output, inbox, deadline),
        };
        let mut wait = Wait::new(inbox, deadline);
        loop {
            let error = match Channel::timed_open(name, Some(SLICE)) {
                Ok(channel) => return Ok(Opened::Open(Self::new(channel, None, true, false))),
                Err(error) => error,
            };
            if error.errno() != Errno::ETIMEDOUT as i32 || wait.is_late() {
                return Err(format!("cannot open the region \"{name}\": {error}"));
            }
            if let Some(event) = wait.event() {
                return Ok(event);
            }
            wait.say(|| format!("the region \"{name}\": no node has created it yet (\"villas-shm pipe\" without -x does that)"));
        }
    }

    /// Writes the region `output`, reads `input`, and waits for a peer that does the opposite. Both
    /// ends do the same.
    fn shake_hands(
        config: &NodeConfig,
        input: &str,
        output: &str,
        inbox: &Receiver<Event>,
        deadline: Option<Instant>,
    ) -> Result<Opened, String> {
        let is_loopback = input == output;
        if is_loopback && config.exec.is_some() {
            log!(
                Warning,
                "\"in.name\" and \"out.name\" are both \"{input}\", so the node reads what it writes, and no program can \
                 take part: is one of the names mistyped?"
            );
        }
        let wait = RefCell::new((Wait::new(inbox, deadline), None));
        let cancelled = || {
            let (wait, event) = &mut *wait.borrow_mut();
            wait.say(|| {
                format!("a program that reads \"{output}\" and writes \"{input}\" (\"villas-shmem {input} {output}\" does)")
            });
            *event = wait.event();
            event.is_some() || wait.is_late()
        };
        match Channel::open_wire_unless(output, input, &parameters(config), cancelled) {
            Ok(channel) => Ok(Opened::Open(Self::new(channel, None, !is_loopback, true))),
            Err(error) => match wait.into_inner().1 {
                Some(event) => Ok(event),
                None if error.errno() == Errno::ECANCELED as i32 => Err(format!(
                    "no program that reads \"{output}\" and writes \"{input}\" has come within the time limit of the session (-T)"
                )),
                None => Err(format!("cannot open the regions \"{output}\" and \"{input}\": {error}")),
            },
        }
    }

    fn new(channel: Channel, created: Option<Created>, ends_with_peer: bool, is_wire: bool) -> Self {
        Self { channel: Arc::new(channel), ends_with_peer, is_wire, created, is_loss_told: Cell::new(false) }
    }

    pub(super) fn channel(&self) -> Arc<Channel> {
        Arc::clone(&self.channel)
    }

    /// What the values are that are read, and those that are written: what the region says, which
    /// the configuration must not contradict; else what the configuration says; else `types`.
    pub(super) fn signals(&self, config: &NodeConfig, types: &Signals) -> Result<[Signals; 2], String> {
        let of = |direction, stated: &Signals, key| -> Result<Signals, String> {
            let named = self.channel.signals(direction);
            if named.is_empty() {
                return Ok(if stated.len() > 0 { stated } else { types }.clone());
            }
            if stated.len() > 0 {
                self.channel.expect_signals(direction, &stated.filled_from(named)).map_err(|error| {
                    format!(
                        "{error}. Correct the signals of \"{key}\" in the configuration, or leave them out to take those of \
                         the region."
                    )
                })?;
            }
            Ok(Signals::new(named.to_vec()))
        };
        let (input, output) = (&config.input, &config.output);
        Ok([of(Direction::In, &input.signals, input.key)?, of(Direction::Out, &output.signals, output.key)?])
    }

    /// The regions of the other end, for messages.
    pub(super) fn describe(&self) -> String {
        self.created.as_ref().map_or_else(|| "its region".into(), |Created { name, .. }| format!("the region \"{name}\""))
    }

    /// The program or call that would open it, for messages.
    pub(super) fn opener(&self) -> String {
        self.created.as_ref().map_or_else(String::new, |Created { name, .. }| format!("\"villas-shmem {name}\" does"))
    }

    /// Whether the other end cannot come back once it is gone.
    pub(super) fn ends_with_peer(&self) -> bool {
        self.ends_with_peer
    }
}

impl Drop for Region {
    fn drop(&mut self) {
        // A thread that is stuck in standard output still has the channel; the program sees the end
        // nevertheless.
        self.channel.close();
        let Some(Created { name, object: created }) = &self.created else { return };
        match object(name) {
            // No object was noted if the name was removed right after the creation.
            now if (now.is_none() || now != *created) && self.is_loss_told.get() => {}
            None => log!(Info, "the name \"{name}\" of the region was already removed by another process"),
            now if now != *created => log!(Info, "the name \"{name}\" leads to another region by now and is left alone"),
            _ => {
                // Another process may have replaced it since the check; a process that this harms
                // is told so (ESTALE).
                if let Err(error) = Channel::unlink(name) {
                    if error.errno() != Errno::ENOENT as i32 {
                        log!(Warning, "cannot remove the region \"{name}\": {error}");
                    }
                }
            }
        }
    }
}

/// Without the signals that are read: with two regions their writer names them, and what the
/// configuration does not state of them is its writer's choice.
fn parameters(config: &NodeConfig) -> villas_shm::Config {
    let sizes = villas_shm::Config::new().polling(config.polling).queuelen(config.queuelen).samplelen(config.samplelen);
    sizes.history(config.history).out_signals(config.output.signals.filled_from(&[]))
}

/// A wait for the other end, which signals and the clock may end.
struct Wait<'a> {
    inbox: &'a Receiver<Event>,
    deadline: Option<Instant>,
    started: Instant,
    silent: bool,
}

impl<'a> Wait<'a> {
    fn new(inbox: &'a Receiver<Event>, deadline: Option<Instant>) -> Self {
        Self { inbox, deadline, started: Instant::now(), silent: true }
    }

    fn is_late(&self) -> bool {
        self.deadline.is_some_and(|deadline| Instant::now() >= deadline)
    }

    /// An event that ends the wait, if one has come.
    fn event(&self) -> Option<Opened> {
        match self.inbox.try_recv() {
            Ok(Event::ProgramEnded) => Some(Opened::ProgramEnded),
            Ok(_) => Some(Opened::Signalled),
            Err(TryRecvError::Empty | TryRecvError::Disconnected) => None,
        }
    }

    /// Reports once, after a while, what the wait is for.
    fn say(&mut self, what: impl FnOnce() -> String) {
        if self.silent && self.started.elapsed() >= SILENCE {
            log!(Info, "waiting for {}", what());
            self.silent = false;
        }
    }
}
