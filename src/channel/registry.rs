//! All handles of one layout, and where their samples lie.

use crate::memory::address_map::AddressMap;
use crate::memory::slab::Slab;

/// See the module's description.
pub(crate) struct Registry<H: 'static> {
    /// All handles that are or were open; none is ever freed.
    pub(super) handles: Slab<H>,
    /// The handle of each mapped region.
    pub(super) pools: AddressMap<H>,
}

impl<H: Sync> Registry<H> {
    pub(crate) const fn new() -> Registry<H> {
        Registry { handles: Slab::new(), pools: AddressMap::new() }
    }

    /// Removes a region from the map of addresses, before it is unmapped.
    pub(super) fn forget(&self, base: usize, length: usize) {
        self.pools.clear(base, length);
    }
}
