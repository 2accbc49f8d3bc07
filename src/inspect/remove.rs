//! Removal of what nobody uses any more.

use super::{Entry, Id, Kind, PeerState};
use crate::error::{Error, Result};
use crate::sys::object::{Name, Object};
use crate::sys::sysv;
use std::time::{Duration, Instant};

/// Who only looks has an object open for a moment.
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

    /// Removes the object, unless it is in use: then it is left as it is. `force` removes the name of one that is in use, too: who has it
    /// open keeps it. An object that has got the name since is left alone.
    ///
    /// # Errors
    /// `EBUSY` a live process is attached, the message names it; `ESTALE` the name leads to another object by now; `ENOENT` it is
    /// gone already; `EACCES` as the system says.
    pub fn remove(&self, force: bool) -> Result<()> {
        match &self.id {
            Id::SystemV { key, id } => {
                let now = super::look_system_v(Some(*key), Some(*id));
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
        let _held = if force { None } else { Some(self.reserve(name)?) };
        if name.target() != Ok(Some(self.identity)) {
            return Err(replaced(name));
        }
        name.unlink()
    }

    /// Whether [`Entry::remove`] would remove it: asks the kernel whether anybody has it open, for which the object must be this user's,
    /// and who opens it at this very moment waits some microseconds.
    ///
    /// # Errors
    /// As [`Entry::remove`].
    pub fn check_removable(&self) -> Result<()> {
        match &self.id {
            Id::Name(name) => self.reserve(&Name::new(name)?).map(drop),
            Id::SystemV { .. } if self.attach_count == Some(0) => Ok(()),
            Id::SystemV { .. } => Err(self.busy()),
        }
    }

    /// While the object is held, nobody can take a place in the region in it, nor judge it.
    fn reserve(&self, name: &Name) -> Result<Object> {
        if self.kind == Kind::Unknown {
            return Err(Error::new(libc::EBUSY, format!("\"{name}\" cannot be looked into, so who uses it is not known")));
        }
        let object = Object::open(name)?;
        if object.identity() != self.identity {
            return Err(replaced(name));
        }
        if !object.lock_all()? || is_in_use(&object) {
            return Err(super::look(name.as_os_str(), 0).unwrap_or_else(|_| self.clone()).busy());
        }
        Ok(object)
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

/// Whether anybody else has it open or mapped. What cannot be known counts as in use.
fn is_in_use(object: &Object) -> bool {
    let start = Instant::now();
    while object.is_open_elsewhere() != Some(false) {
        if start.elapsed() >= PATIENCE {
            return true;
        }
        std::thread::sleep(Duration::from_millis(1));
    }
    false
}
