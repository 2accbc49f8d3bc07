//! Private memory of this process: type-stable, zeroed, or found by address.

pub(crate) mod address_map;
pub(crate) mod slab;
pub(crate) mod tag;
pub(crate) mod zeroed;
