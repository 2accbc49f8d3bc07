//! Removal of what nobody uses any more.

use super::entry::{Entry, Id, Kind, PeerState};
use super::look;
use crate::error::{Error, Result};
use crate::sys::object::{AnyLock, Name, Object};
use crate::sys::sysv;
use std::time::{Duration, Instant};

/// An observer has an object open for a moment only.
const PATIENCE: Duration = Duration::from_millis(100);

impl Entry {
    /// The live processes that are attached, in words.
    pub fn users(&self) -> String {
        let mut users: Vec<String> = Vec::new();
        let alive = self.peers.iter().filter(|peer| peer.state == PeerState::Alive).map(|peer| &peer.process);
        for process in alive.chain(&self.attached) {
            let user = format!("process {} ({})", process.pid, process.program.escape_debug());
            if !users.contains(&user) {
                users.push(user);
            }
        }
        if users.is_empty() { "a process that cannot be seen from here".into() } else { users.join(", ") }
    }

    /// Removes the object, unless it is in use: then it is left as it is. `force` removes the name
    /// of an object in use, too: its processes keep it open. An object that has got the name since
    /// is left alone.
    ///
    /// # Errors
    /// `EBUSY` a live process is attached, the message names it; `ESTALE` the name leads to another
    /// object by now; `ENOENT` it is gone already; `EACCES` as the system says.
    pub fn remove(&self, force: bool) -> Result<()> {
        match &self.id {
            Id::SystemV { key, id } => {
                let now = look::look_system_v(Some(*key), Some(*id));
                let Some(now) = now.first() else {
                    return Err(Error::new(libc::ENOENT, format!("there is no segment with the number {id} any more")));
                };
                if now.attach_count != Some(0) && !force {
                    return Err(now.busy());
                }
                let failed = |e| Error::system(e, format_args!("cannot remove the System V segment with the number {id}"));
                sysv::remove(*id).map_err(failed)
            }
            Id::Name(name) => self.remove_name(&Name::new(name)?, force),
        }
    }

    fn remove_name(&self, name: &Name, force: bool) -> Result<()> {
        let unlink = || if name.target() == Ok(Some(self.identity)) { name.unlink() } else { Err(replaced(name)) };
        if force {
            return unlink();
        }
        self.when_unused(name, |object| {
            // Others may have come since it was asked: behind the lock nobody takes a place in the
            // region any more.
            let is_mine = object.lock_all()? && object.is_open_elsewhere() == Some(false);
            if is_mine { unlink().map(Some) } else { Ok(None) }
        })
    }

    /// Whether [`Entry::remove`] would remove it. Asks the kernel whether anybody has it open, for
    /// which the object must be this user's; takes no lock. A process that opens the object at this
    /// very moment waits some microseconds.
    ///
    /// # Errors
    /// As [`Entry::remove`].
    pub fn check_removable(&self) -> Result<()> {
        match &self.id {
            Id::Name(name) => self.when_unused(&Name::new(name)?, |_| Ok(Some(()))),
            Id::SystemV { .. } if self.attach_count == Some(0) => Ok(()),
            Id::SystemV { .. } => Err(self.busy()),
        }
    }

    /// Does something with the object when nobody has a lock on it, nor has it open or mapped: at
    /// once or within [`PATIENCE`], as others may only look at it. What cannot be known counts as
    /// in use. `then`: `None` if somebody has come.
    ///
    /// Nothing is held between two tries: neither a lock, for which processes that start would
    /// wait, nor a descriptor, by which two that want to remove it would be in each other's way.
    fn when_unused<T>(&self, name: &Name, then: impl Fn(&Object) -> Result<Option<T>>) -> Result<T> {
        if self.kind == Kind::Unknown {
            return Err(Error::new(libc::EBUSY, format!("\"{name}\" cannot be looked into, so who uses it is not known")));
        }
        let start = Instant::now();
        loop {
            let object = Object::open(name)?;
            if object.identity() != self.identity {
                return Err(replaced(name));
            }
            // Asked once: a rival that removes the object may let go between two questions.
            let lock = object.any_lock();
            if lock == AnyLock::None && object.is_open_elsewhere() == Some(false) {
                if let Some(done) = then(&object)? {
                    return Ok(done);
                }
            }
            let is_held = lock == AnyLock::OfSome;
            drop(object);
            if is_held || start.elapsed() >= PATIENCE {
                return Err(look::look(name.as_os_str(), 0).unwrap_or_else(|_| self.clone()).busy());
            }
            std::thread::sleep(Duration::from_millis(1));
        }
    }

    fn busy(&self) -> Error {
        let what = match &self.id {
            Id::Name(name) => format!("{name:?}"),
            Id::SystemV { id, .. } => format!("the segment {id}"),
        };
        Error::new(libc::EBUSY, format!("{what} is in use: {}", self.users()))
    }
}

fn replaced(name: &Name) -> Error {
    Error::new(libc::ESTALE, format!("\"{name}\" is another object by now: look again"))
}
