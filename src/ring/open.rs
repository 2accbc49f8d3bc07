//! How this process comes by an end of a ring: it takes a place in the one that has the name, or makes the ring.

use super::handle::Handle;
use super::life::{Life, Region};
use super::{Policy, Role};
use crate::error::{Error, Result};
use crate::layout::ring::Facts;
use crate::region::{Origin, without_size};
use crate::sys::object::{Name, Object};

/// A ring that somebody wants an end of.
pub(crate) struct Wanted {
    name: Name,
    facts: Facts,
    /// Made, and without a name so far.
    fresh: Option<Region>,
}

impl Wanted {
    pub(crate) fn new(name: &str, policy: Policy, element_size: u64, capacity: u64) -> Result<Wanted> {
        let wanted = Wanted { name: Name::new(name)?, facts: Facts::new(policy, element_size, capacity)?, fresh: None };
        Handle::prepare()?;
        Ok(wanted)
    }

    /// The ring that has the name. `None`: there is none.
    fn existing(&self) -> Result<Option<Region>> {
        let name = self.name;
        let object = match Object::open(&name) {
            Err(e) if e.errno() == libc::ENOENT => return Ok(None),
            object => object?,
        };
        object.check_owner(Origin::Named(name), false)?;
        if object.size() == 0 {
            return Err(without_size(&name));
        }
        Region::existing(object, Origin::Named(name)).map(Some)
    }

    fn check(&self, region: &Region) -> Result<()> {
        let found = region.view.facts();
        if *found == self.facts { Ok(()) } else { Err(mismatch(&self.name, found, &self.facts)) }
    }

    fn make(&self) -> Result<Region> {
        Region::fresh(self.facts, self.name, 0o600, None)
    }

    /// Sees to it that there is nothing to keep [`Wanted::open`] from having a ring: the one that has the name is as it is wanted, or there is
    /// none, and one can be made.
    pub(crate) fn prepare(&mut self) -> Result<()> {
        match self.existing()? {
            Some(region) => self.check(&region)?,
            None => self.fresh = Some(self.make()?),
        }
        Ok(())
    }

    /// Takes a place in the ring; gives it its name if there is none.
    pub(crate) fn open(mut self, role: Role) -> Result<&'static Handle> {
        loop {
            let region = match self.existing()? {
                Some(region) => region,
                None => {
                    let region = self.fresh.take().map_or_else(|| self.make(), Ok)?;
                    if !region.object.link(&self.name)? {
                        self.fresh = Some(region);
                        continue;
                    }
                    region
                }
            };
            self.check(&region)?;
            let (life, end) = Life::enter(region, role)?;
            // Else it was removed in between: begin again.
            if life.region.object.is_named(&self.name) {
                return Ok(Handle::new(life, end));
            }
        }
    }
}

fn mismatch(name: &Name, found: &Facts, wanted: &Facts) -> Error {
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
