//! Memory that is this process's alone: of stable type, zeroed, or found by address.

pub(crate) mod address_map;
pub(crate) mod slab;
pub(crate) mod tag;
pub(crate) mod zeroed;
