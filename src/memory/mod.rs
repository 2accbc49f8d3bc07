//! Memory that is this process's alone: of stable type, zeroed, or found by address.

#[cfg(not(loom))]
pub(crate) mod address_map;
#[cfg(not(loom))]
pub(crate) mod slab;
pub(crate) mod table;
#[cfg(not(loom))]
pub(crate) mod tag;
