//! What the programs have in common that take the place of VILLASnode on the node side of a
//! channel: `villas-shm` and `villas-shm-bridge`.

#![deny(unsafe_code)]

pub mod config;
pub mod encoding;
pub mod events;
pub mod exec;
pub mod json;
pub mod log;
pub mod losses;
pub mod open;
pub mod record;
pub mod sample;
pub mod signals;
