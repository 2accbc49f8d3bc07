//! The channel of a node: created, or opened at its other end.

use std::cell::{Cell, RefCell};
use std::os::unix::fs::MetadataExt;
use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, Instant};

use nix::errno::Errno;
use villas_shm::{Channel, Direction};

use crate::config::{Layout, NodeConfig};
use crate::log::log;
use crate::signals::Signals;

/// The longest wait on a channel between two looks at what else may have happened.
pub const SLICE: Duration = Duration::from_millis(100);

/// After this time a wait is reported.
pub const SILENCE: Duration = Duration::from_secs(1);

/// An open channel; on drop, what was created for it is removed.
pub struct Region {
    channel: Arc<Channel>,
    /// Whether the other end cannot come back once it is gone.
    ends_with_peer: bool,
    /// Whether the layout is VILLASnode's, where some programs do not flag the valid parts of a
    /// sample's header.
    pub is_wire: bool,
    created: Option<Created>,
    /// Whether it was reported that the name was removed, or leads to another region.
    pub is_loss_told: Cell<bool>,
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
pub enum Opened {
    /// It is open.
    Open(Region),
    /// Something else came first.
    Cancelled(Cancelled),
}

/// What may end the wait for a channel.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Cancelled {
    /// A signal.
    Signalled,
    /// The end of the program that was started.
    ProgramEnded,
}

/// Makes the configuration that of the program at the other end.
pub fn be_the_program(config: &mut NodeConfig) {
    config.swap();
    if config.exec.take().is_some() {
        log!(Info, "the exec program is not started: with -x, this is the program");
    }
}

/// Opens the channel, at the program's end if `swap` is set, and calls `start`, which starts the
/// program, when it is time for that.
pub fn open(
    config: &NodeConfig,
    swap: bool,
    cancelled: Look,
    deadline: Option<Instant>,
    start: impl FnOnce() -> Result<(), String>,
) -> Result<Opened, String> {
    // With two regions each side waits for the other, so the program must be started first.
    let starts_first = matches!(&config.layout, Layout::TwoRegions { input, output } if input != output);
    let open = || if swap { Region::open(config, cancelled, deadline) } else { Region::create(config, cancelled, deadline) };
    if starts_first {
        start()?;
        return open();
    }
    let opened = open()?;
    if let Opened::Open(_) = &opened {
        // From here on the name exists, and is removed with the region whatever happens.
        start()?;
    }
    Ok(opened)
}

impl Region {
    /// Creates what the configuration describes, and takes the node's end of it. With two regions
    /// it waits for the other side.
    fn create(config: &NodeConfig, cancelled: Look, deadline: Option<Instant>) -> Result<Opened, String> {
        match &config.layout {
            Layout::OneRegion(name) => {
                let parameters = parameters(config).in_signals(config.input.signals.filled_from(&[]));
                let channel = Channel::create(name, &parameters)
                    .map_err(|error| format!("cannot create the region \"{name}\": {error}"))?;
                Ok(Opened::Open(Self::new(channel, Some(Created::new(name)), false, false)))
            }
            Layout::TwoRegions { input, output } => Self::shake_hands(config, input, output, cancelled, deadline),
        }
    }

    /// Waits for a region that another process creates, and takes its program's end.
    fn open(config: &NodeConfig, cancelled: Look, deadline: Option<Instant>) -> Result<Opened, String> {
        let name = match &config.layout {
            Layout::OneRegion(name) => name,
            Layout::TwoRegions { input, output } => return Self::shake_hands(config, input, output, cancelled, deadline),
        };
        let mut wait = Wait::new(deadline);
        loop {
            let error = match Channel::timed_open(name, Some(SLICE)) {
                Ok(channel) => return Ok(Opened::Open(Self::new(channel, None, true, false))),
                Err(error) => error,
            };
            if error.errno() != Errno::ETIMEDOUT as i32 || wait.is_late() {
                return Err(format!("cannot open the region \"{name}\": {error}"));
            }
            if let Some(event) = cancelled() {
                return Ok(Opened::Cancelled(event));
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
        cancelled: Look,
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
        let wait = RefCell::new((Wait::new(deadline), None));
        let is_over = || {
            let (wait, event) = &mut *wait.borrow_mut();
            wait.say(|| {
                format!("a program that reads \"{output}\" and writes \"{input}\" (\"villas-shmem {input} {output}\" does)")
            });
            *event = cancelled();
            event.is_some() || wait.is_late()
        };
        match Channel::open_wire_unless(output, input, &parameters(config), is_over) {
            Ok(channel) => Ok(Opened::Open(Self::new(channel, None, !is_loopback, true))),
            Err(error) => match wait.into_inner().1 {
                Some(event) => Ok(Opened::Cancelled(event)),
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

    /// The channel, which its threads share.
    pub fn channel(&self) -> Arc<Channel> {
        Arc::clone(&self.channel)
    }

    /// What the values are that are read, and those that are written: what the region says, which
    /// the configuration must not contradict; else what the configuration says; else `types`.
    pub fn signals(&self, config: &NodeConfig, types: &Signals) -> Result<[Signals; 2], String> {
        let of = |direction, stated: &Signals, key| -> Result<Signals, String> {
            let named = self.channel.signals(direction);
            if named.is_empty() {
                return Ok(if stated.is_empty() { types } else { stated }.clone());
            }
            if !stated.is_empty() {
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
    pub fn describe(&self) -> String {
        self.created.as_ref().map_or_else(|| "its region".into(), |Created { name, .. }| format!("the region \"{name}\""))
    }

    /// The program or call that would open it, for messages.
    pub fn opener(&self) -> String {
        self.created.as_ref().map_or_else(String::new, |Created { name, .. }| format!("\"villas-shmem {name}\" does"))
    }

    /// Whether the other end cannot come back once it is gone.
    pub fn ends_with_peer(&self) -> bool {
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

/// Whether something has come that ends the wait.
type Look<'a> = &'a dyn Fn() -> Option<Cancelled>;

/// A wait for the other end, which the clock may end.
struct Wait {
    deadline: Option<Instant>,
    started: Instant,
    silent: bool,
}

impl Wait {
    fn new(deadline: Option<Instant>) -> Self {
        Self { deadline, started: Instant::now(), silent: true }
    }

    fn is_late(&self) -> bool {
        self.deadline.is_some_and(|deadline| Instant::now() >= deadline)
    }

    /// Reports once, after a while, what the wait is for.
    fn say(&mut self, what: impl FnOnce() -> String) {
        if self.silent && self.started.elapsed() >= SILENCE {
            log!(Info, "waiting for {}", what());
            self.silent = false;
        }
    }
}
