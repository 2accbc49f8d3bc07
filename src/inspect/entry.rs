//! What a look at an object finds.

use super::processes::Process;
use crate::layout::holder::Holder;
use crate::layout::signals::Signal;
use crate::protocol::flags::Flags;
use crate::sys::clock::Timespec;
use crate::sys::object::Object;
use crate::sys::process::Identity;
use std::ffi::OsString;
use std::time::Instant;

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
    /// Not a plain object, or this user may not look into it.
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

/// A sample or message that waits, or has passed.
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
pub enum Waiting {
    /// In a channel.
    Sample {
        /// What its header says.
        flags: Flags,
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

/// The sender of a sample or message that a tap sees.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Sender {
    /// The node of a channel.
    Node,
    /// The program of a channel.
    Program,
    /// A producer of a ring.
    Producer,
}

/// A copy of a sample or message that has passed.
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
pub struct Passed {
    /// Its sender.
    pub from: Sender,
    /// How many this direction of the channel, or the ring, had passed before it.
    pub position: u64,
    /// Its reader had it at the time of the copy. So the copy may have the reader's changes in part
    /// or whole. In a channel, it may be an answer that was sent back in the same place, or what the
    /// reader's answer was overwritten with. In a ring, part of it may belong to a later message, or,
    /// if producers give up what they had begun, it may be of a message that was never sent. A copy
    /// without this mark is what was sent.
    pub may_have_changed: bool,
    /// What it is.
    pub what: Waiting,
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
    /// The last sample or message that was sent, if it can still be copied, and if any that wait were
    /// asked for. Not in VILLASnode's layout.
    pub newest: Option<Passed>,
    /// What the values of its samples are, if the region says.
    pub signals: Vec<Signal>,
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
    /// The processes that have it mapped, as far as `/proc` shows them.
    pub attached: Vec<Process>,
    /// How many have it mapped. `None`: not all processes can be looked into.
    pub attach_count: Option<u64>,
    /// Of a region's layout.
    pub version: Option<u32>,
    /// What a region was made with.
    pub parameters: Vec<(&'static str, Parameter)>,
    /// The processes that hold a place in a region.
    pub peers: Vec<Peer>,
    /// A region's queues.
    pub queues: Vec<Queue>,
    /// How many blocks of a pool are free, and how many there are. What a process has allocated and
    /// not yet written counts as free: nobody else can see it.
    pub blocks: Option<(u64, u64)>,
    /// Further events, counted since the region was made.
    pub counters: Vec<(&'static str, u64)>,
    /// When it was looked at. What was counted between two looks, by the time between them, is a
    /// rate.
    pub at: Instant,
    /// Tells the object from others that get its name later.
    pub(super) identity: (u64, u64),
}

impl Entry {
    /// Whether both are looks at the same object, and not at two that had the same name one after
    /// the other.
    pub fn is_same_object(&self, other: &Entry) -> bool {
        self.identity == other.identity && self.id == other.id
    }

    pub(super) fn state_by_attachments(&self) -> State {
        match (self.attached.is_empty(), self.attach_count) {
            (false, _) => State::Live,
            (true, Some(_)) => State::Unused,
            (true, None) => State::Unknown,
        }
    }

    /// Enters the holder of a place; whether it is alive.
    pub(super) fn add_peer(
        &mut self,
        role: &'static str,
        holder: &Holder,
        me: &Identity,
        is_locked: bool,
        is_closed: bool,
    ) -> bool {
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
    pub(super) fn judge(&mut self, is_held: bool, object: &Object) {
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
