//! How this process comes by an end of a ring: it takes a place in the ring of that name, or makes
//! the ring.

use super::handle::RingHandle;
use super::liveness::{End, RingLiveness, RingRegion};
use crate::error::{Error, Result};
use crate::layout::ring::RingFacts;
use crate::protocol::ring_words::{Policy, Role};
use crate::region::{Origin, without_size};
use crate::sys::object::{Name, Object};
use std::ffi::OsStr;

/// A ring that somebody wants an end of.
pub(crate) struct Wanted {
    name: Name,
    facts: RingFacts,
    role: Role,
    taken: Option<Taken>,
}

/// A place in a ring. A new ring lacks its name; all else that can fail has been done.
struct Taken {
    liveness: Box<RingLiveness>,
    end: Box<End>,
    /// The ring is new, and nobody else knows it.
    is_fresh: bool,
}

impl Wanted {
    pub(crate) fn new(name: impl AsRef<OsStr>, policy: Policy, role: Role, element_size: u64, capacity: u64) -> Result<Wanted> {
        let wanted = Wanted { name: Name::new(name)?, facts: RingFacts::new(policy, element_size, capacity)?, role, taken: None };
        RingHandle::prepare()?;
        Ok(wanted)
    }

    /// The ring that has the name. `None`: there is none.
    #[inline(never)]
    fn existing(&self) -> Result<Option<Box<RingRegion>>> {
        let name = self.name;
        let object = match Object::open(&name) {
            Err(e) if e.errno() == libc::ENOENT => return Ok(None),
            object => object?,
        };
        object.check_owner(Origin::Named(name), false)?;
        if object.size() == 0 {
            return Err(without_size(&name));
        }
        let region = RingRegion::existing(object, Origin::Named(name))?;
        let found = region.view.facts();
        if *found == self.facts { Ok(Some(region)) } else { Err(mismatch(&name, found, &self.facts)) }
    }

    /// Takes a place in the ring that has the name; in a new one, which gets its name by
    /// [`Wanted::open`], if there is none.
    pub(crate) fn prepare(&mut self) -> Result<()> {
        self.taken = Some(self.take()?);
        Ok(())
    }

    #[inline(never)]
    fn take(&self) -> Result<Taken> {
        loop {
            let existing = self.existing()?;
            let is_fresh = existing.is_none();
            let region = match existing {
                Some(region) => region,
                None => RingRegion::fresh(self.facts, self.name, 0o600, None)?,
            };
            let (liveness, end) = RingLiveness::enter(region, self.role)?;
            // Else it was removed in between: begin again.
            if is_fresh || liveness.region.object.is_named(&self.name)? {
                return Ok(Taken { liveness, end, is_fresh });
            }
        }
    }

    /// Takes a place in the ring, unless that is done; gives it its name if it is new.
    pub(crate) fn open(mut self) -> Result<OpenedRing> {
        loop {
            let Taken { liveness, end, is_fresh } = match self.taken.take() {
                Some(taken) => taken,
                None => self.take()?,
            };
            // Where another has given a ring the name meanwhile, that is the one.
            if !is_fresh || liveness.region.object.link(&self.name)? {
                return Ok(OpenedRing { handle: RingHandle::new(liveness, end), made: is_fresh.then_some(self.name) });
            }
        }
    }
}

/// A ring that is open.
pub(crate) struct OpenedRing {
    pub(crate) handle: &'static RingHandle,
    /// The name that a new ring was given.
    made: Option<Name>,
}

impl OpenedRing {
    /// Closes it, and takes its name back if it was given one here and nobody else has come.
    pub(crate) fn undo(self) {
        if let Some(name) = self.made {
            // Behind the lock nobody takes a place any more: a process that comes meanwhile waits,
            // and finds the name gone.
            let is_alone = |liveness: &RingLiveness| {
                let object = &liveness.region.object;
                object.may_be_named(&name) && object.is_open_elsewhere() != Some(true) && matches!(object.lock_all(), Ok(true))
            };
            if self.handle.look(is_alone) == Some(true) {
                let _ = name.remove();
            }
        }
        let _ = self.handle.close();
    }
}

fn mismatch(name: &Name, found: &RingFacts, wanted: &RingFacts) -> Error {
    let mut parts = Vec::new();
    if found.policy != wanted.policy {
        parts.push(format!("the policy is {} there, {} was asked for", found.policy.name(), wanted.policy.name()));
    }
    for (what, is, asked) in
        [("element size", found.element_size, wanted.element_size), ("capacity", found.capacity, wanted.capacity)]
    {
        if is != asked {
            parts.push(format!("the {what} is {is} there, {asked} was asked for"));
        }
    }
    Error::new(libc::EPROTO, format!("the ring \"{name}\" has other parameters: {}", parts.join("; ")))
}
