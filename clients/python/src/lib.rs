//! The Python module `villas_shm._native`: the library's Rust interface for Python and numpy.
//!
//! One file per subject. What Python alone can say (exceptions, named tuples, asyncio) is in
//! `python/villas_shm`. Memory that a peer may write is reached by raw pointers and copied: there
//! is no slice or reference of it.

mod batch;
mod channel;
mod count;
mod errors;
mod ls;
mod memory;
mod message;
mod open;
mod ring;
mod sample;
mod segment;
mod signals;
mod time;
mod transfer;
mod value;
mod values;
mod wait;

/// What of the library is compiled. The names of `villas_shm` are made from this.
// Not yet tested with free-threaded Python, which has no lock for all.
#[pyo3::pymodule(gil_used = true)]
mod _native {
    #[pymodule_export]
    use crate::batch::Batch;
    #[pymodule_export]
    use crate::channel::Channel;
    #[pymodule_export]
    use crate::ls::ls;
    #[pymodule_export]
    use crate::open::{create, open, open_wire, unlink};
    #[pymodule_export]
    use crate::ring::{Ring, open_endpoint};
    #[pymodule_export]
    use crate::sample::{Sample, View};
    #[pymodule_export]
    use crate::segment::{Event, Segment};

    #[pymodule_export]
    #[allow(non_upper_case_globals)]
    const __version__: &str = env!("CARGO_PKG_VERSION");
}
