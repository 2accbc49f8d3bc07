//! What is in shared memory on this host, seen without taking part.
//!
//! Objects are opened read-only and copied piece by piece into private memory, where everything is checked as when a region is
//! opened; nothing is mapped, joined, locked, taken, or written. So a look at a region cannot disturb its processes, and whatever is in it,
//! or happens to it meanwhile, cannot disturb the look. While others are at work the figures are those of about the same microsecond.
//!
//! Who is alive is told by the locks of a region (asked for, not taken) and the identities in it; for what has no locks of this
//! library's, by who has it mapped, as far as `/proc` shows that.

mod channel;
#[cfg(all(test, target_arch = "x86_64", target_env = "gnu"))]
#[path = "../tests/inspect/handshakes.rs"]
mod handshakes;
mod processes;
mod remove;
mod ring;
mod snapshot;
mod sysv;
#[cfg(test)]
#[path = "../tests/inspect/tests.rs"]
mod tests;
mod wire;

use crate::error::{Error, Result};
use crate::layout;
use crate::layout::holder::Holder;
use crate::sys::clock::Timespec;
use crate::sys::object::{self, Name, Object, Whose};
use crate::sys::process::Identity;
use nix::fcntl::OFlag;
pub use processes::Process;
pub(crate) use processes::Processes;
use std::ffi::{OsStr, OsString};
use std::fs::Metadata;
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::MetadataExt;
use std::time::{Instant, UNIX_EPOCH};

/// What an object in shared memory is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Kind {
    /// A channel in one region.
    Channel,
    /// One of the two regions of a channel in VILLASnode's layout.
    Wire,
    /// A ring.
    Ring,
    /// A POSIX object of another program's, or without a structure.
    Posix,
    /// A System V segment.
    SystemV,
    /// A named POSIX semaphore.
    Semaphore,
    /// Not a plain object, or one that this user may not look into.
    Unknown,
}

/// What has become of it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum State {
    /// A live process is attached.
    Live,
    /// A region of this library or of VILLASnode's that nobody alive holds.
    Stale,
    /// Another object that nobody has attached: its owner may come back.
    Unused,
    /// It begins like a region of this library, but is inconsistent.
    Corrupt,
    /// It cannot be known.
    Unknown,
}

/// Where an object is.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum Id {
    /// A POSIX name, without the slash: any bytes.
    Name(OsString),
    /// A System V segment.
    SystemV {
        /// 0: private.
        key: i32,
        /// Its number.
        id: i32,
    },
}

/// Whether a process that a region names is alive.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum PeerState {
    /// It is, as far as can be known.
    Alive,
    /// It has closed.
    Closed,
    /// It ended without closing.
    Dead,
}

/// A process that a region names.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Peer {
    /// `node`, `program`, `writer`, `producer`, `consumer`.
    pub role: &'static str,
    /// Its process, by its own pid namespace.
    pub process: Process,
    /// Whether the pid means nothing here: the process lives in another pid namespace.
    pub is_foreign: bool,
    /// When it came, in seconds since 1970.
    pub since: u64,
    /// Whether it is alive.
    pub state: PeerState,
}

/// A sample or message that waits.
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
pub enum Waiting {
    /// In a channel.
    Sample {
        /// Its [`flags`](crate::flags).
        flags: i32,
        /// Its sequence number.
        sequence: u64,
        /// When it was made.
        origin: Timespec,
        /// When it was received.
        received: Timespec,
        /// The 8 bytes of each value.
        values: Vec<u64>,
    },
    /// In a ring: its bytes.
    Message(Vec<u8>),
}

/// One direction of a channel, or a ring. Events count since the region was made.
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
pub struct Queue {
    /// From whom to whom; empty for a ring.
    pub direction: &'static str,
    /// How many wait.
    pub depth: u64,
    /// How many fit.
    pub capacity: u64,
    /// How many were written.
    pub written: u64,
    /// How many were read.
    pub read: u64,
    /// The first of those that wait, as many as were asked for.
    pub waiting: Vec<Waiting>,
}

/// A parameter of a region.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Parameter {
    /// A number.
    Number(u64),
    /// A word.
    Word(&'static str),
}

/// An object in shared memory.
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
pub struct Entry {
    /// What it is.
    pub kind: Kind,
    /// Where it is.
    pub id: Id,
    /// Bytes.
    pub size: u64,
    /// Permission bits.
    pub mode: u32,
    /// The user it belongs to.
    pub uid: u32,
    /// When it was made, in seconds since 1970; for a System V segment, when it was changed last.
    pub created: Option<u64>,
    /// What has become of it.
    pub state: State,
    /// Why, where the state does not say enough.
    pub note: Option<String>,
    /// Who has it mapped, as far as `/proc` shows it.
    pub attached: Vec<Process>,
    /// How many have it mapped. `None`: not all processes can be looked into.
    pub attach_count: Option<u64>,
    /// Of a region's layout.
    pub version: Option<u32>,
    /// What a region was made with.
    pub parameters: Vec<(&'static str, Parameter)>,
    /// Who holds a place in a region.
    pub peers: Vec<Peer>,
    /// A region's queues.
    pub queues: Vec<Queue>,
    /// How many blocks of a pool are free, and how many there are. What a process has allocated and not yet written counts as free: nobody
    /// else can see it.
    pub blocks: Option<(u64, u64)>,
    /// Further events, counted since the region was made.
    pub counters: Vec<(&'static str, u64)>,
    /// When it was looked at. What was counted between two looks, by the time between them, is a rate.
    pub at: Instant,
    /// Tells the object from others that get its name later.
    identity: (u64, u64),
}

/// Everything in shared memory on this host, POSIX objects first, by name.
///
/// # Errors
/// As the system says, if `/dev/shm` cannot be read.
pub fn list() -> Result<Vec<Entry>> {
    list_if(|_| true)
}

/// The same, only of the objects that are wanted: nothing else is opened.
///
/// # Errors
/// As [`list`].
pub fn list_if(is_wanted: impl Fn(&Id) -> bool) -> Result<Vec<Entry>> {
    let failed = |e: std::io::Error| Error::new(e.raw_os_error().unwrap_or(libc::EIO), format!("cannot read /dev/shm: {e}"));
    let processes = Processes::now();
    let mut names: Vec<_> =
        std::fs::read_dir(object::directory()).map_err(failed)?.filter_map(|e| Some(e.ok()?.file_name())).collect();
    names.sort_unstable();
    let mut entries = Vec::with_capacity(names.len());
    for name in names {
        let path = object::directory().join(&name);
        let id = Id::Name(name);
        if !is_wanted(&id) {
            continue;
        }
        // One that has gone meanwhile is no longer there.
        if let Ok(data) = std::fs::symlink_metadata(path) {
            entries.push(posix(id, &data, &processes, 0));
        }
    }
    entries.extend(sysv::list(&processes).into_iter().filter(|entry| is_wanted(&entry.id)));
    Ok(entries)
}

/// The object of this name, with up to `waiting` of the samples or messages that wait in each queue.
///
/// # Errors
/// `EINVAL` name; `ENOENT` no such object.
pub fn look(name: impl AsRef<OsStr>, waiting: usize) -> Result<Entry> {
    look_among(name, waiting, Processes::now)
}

/// The same, with a search of its caller's for those who have the object mapped.
pub(crate) fn look_among(name: impl AsRef<OsStr>, waiting: usize, processes: impl FnOnce() -> Processes) -> Result<Entry> {
    let name = Name::new(name)?;
    let data = std::fs::symlink_metadata(object::directory().join(name.as_os_str())).map_err(|e| match e.raw_os_error() {
        Some(libc::ENOENT) => Error::new(libc::ENOENT, format!("there is no \"{name}\" in shared memory")),
        errno => Error::new(errno.unwrap_or(libc::EIO), format!("cannot look at \"{name}\": {e}")),
    })?;
    Ok(posix(Id::Name(name.as_os_str().into()), &data, &processes(), waiting))
}

/// The System V segments with this key (0: the private ones), or with this number.
pub fn look_system_v(key: Option<i32>, id: Option<i32>) -> Vec<Entry> {
    let mut entries = sysv::list(&Processes::now());
    entries.retain(
        |e| matches!(e.id, Id::SystemV { key: k, id: i } if key.is_none_or(|key| key == k) && id.is_none_or(|id| id == i)),
    );
    entries
}

/// Copies bytes of the POSIX object `name`, from `offset`; how many: fewer at its end.
///
/// # Errors
/// `EINVAL` name; `ENOENT`, `EACCES` as the system says.
pub fn read_bytes(name: impl AsRef<OsStr>, offset: u64, to: &mut [u8]) -> Result<usize> {
    let name = Name::new(name)?;
    let failed = |e| Error::system(e, format_args!("cannot read \"{name}\""));
    open(&name)?.read_at(offset, to).map_err(failed)
}

fn open(name: &Name) -> Result<Object> {
    Object::open_as(name, OFlag::O_RDONLY, Whose::Private, format!("there is no \"{name}\" in shared memory"))
}

fn posix(id: Id, data: &Metadata, processes: &Processes, waiting: usize) -> Entry {
    let identity = (data.dev(), data.ino());
    let attached = processes.of_object(identity);
    let mut entry = Entry {
        kind: Kind::Unknown,
        id,
        size: data.size(),
        mode: data.mode() & 0o7777,
        uid: data.uid(),
        created: data.created().ok().and_then(|t| t.duration_since(UNIX_EPOCH).ok()).map(|d| d.as_secs()),
        state: State::Unknown,
        note: None,
        attach_count: processes.are_complete().then_some(attached.len() as u64),
        attached,
        version: None,
        parameters: Vec::new(),
        peers: Vec::new(),
        queues: Vec::new(),
        blocks: None,
        counters: Vec::new(),
        at: Instant::now(),
        identity,
    };
    let why_not = if !data.is_file() {
        Some("not a plain object".to_string())
    } else {
        look_into(&mut entry, waiting).err().map(|e| e.to_string())
    };
    if why_not.is_some() {
        entry.note = why_not;
        entry.state = entry.state_by_attachments();
    }
    entry
}

/// Finds out what a plain object is. An error: it cannot be looked into.
fn look_into(entry: &mut Entry, waiting: usize) -> Result<()> {
    let Id::Name(name) = &entry.id else { return Ok(()) };
    let name = Name::new(name)?;
    // A look would count as somebody who has it open, which the handshake of the wire layout asks for.
    if name.as_os_str().as_bytes().starts_with(object::SEMAPHORE.as_bytes()) && entry.size == size_of::<libc::sem_t>() as u64 {
        entry.kind = Kind::Semaphore;
        entry.state = entry.state_by_attachments();
        return Ok(());
    }
    let object = open(&name)?;
    if object.identity() != entry.identity {
        return Err(Error::new(libc::ESTALE, "it was replaced at this moment"));
    }
    entry.at = Instant::now();
    examine(entry, &object, waiting);
    Ok(())
}

fn examine(entry: &mut Entry, object: &Object, waiting: usize) {
    entry.size = object.size();
    let outcome = if object.begins_with(layout::channel::MAGIC) {
        entry.kind = Kind::Channel;
        channel::look(entry, object, waiting)
    } else if object.begins_with(layout::ring::MAGIC) {
        entry.kind = Kind::Ring;
        ring::look(entry, object, waiting)
    } else {
        entry.kind = Kind::Posix;
        entry.state = entry.state_by_attachments();
        wire::look(entry, object, waiting)
    };
    if let Err(e) = outcome {
        entry.state = if e.errno() == libc::EBADMSG { State::Corrupt } else { State::Unknown };
        entry.note = Some(e.to_string());
    }
}

impl Entry {
    /// Whether both are looks at the same object, and not at two that had the same name one after the other.
    pub fn is_same_object(&self, other: &Entry) -> bool {
        self.identity == other.identity && self.id == other.id
    }

    fn state_by_attachments(&self) -> State {
        match (self.attached.is_empty(), self.attach_count) {
            (false, _) => State::Live,
            (true, Some(_)) => State::Unused,
            (true, None) => State::Unknown,
        }
    }

    /// Enters the holder of a place; whether it is alive.
    fn add_peer(&mut self, role: &'static str, holder: &Holder, me: &Identity, is_locked: bool, is_closed: bool) -> bool {
        let who = holder.identity();
        let is_alive = is_locked && !who.is_gone(me, true);
        let state = match (is_closed, is_alive) {
            (true, _) => PeerState::Closed,
            (false, true) => PeerState::Alive,
            (false, false) => PeerState::Dead,
        };
        let process = Process { pid: who.pid, program: who.program_name() };
        self.peers.push(Peer { role, process, is_foreign: who.namespace != me.namespace, since: holder.attached(), state });
        is_alive
    }

    /// The state of a region of this library whose places have been looked at.
    fn judge(&mut self, is_held: bool, object: &Object) {
        self.state = if is_held {
            State::Live
        } else if object.has_any_lock() {
            self.note =
                Some("a process that it does not name holds a lock on it: one that comes or goes, or a forked child".into());
            State::Unknown
        } else {
            State::Stale
        };
    }
}
