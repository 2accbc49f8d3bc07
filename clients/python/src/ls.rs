//! What is in shared memory on this host, seen without taking part.

use crate::errors::OrRaise;
use pyo3::prelude::*;
use pyo3::sync::PyOnceLock;
use std::ffi::OsString;
use villas_shm::inspect::{self, Entry, Id, Kind, PeerState, State};

/// A holder: role, pid, program, state.
type Holder = (&'static str, u32, String, &'static str);

fn kind(entry: &Entry) -> &'static str {
    match entry.kind {
        Kind::Channel => "channel",
        Kind::Wire => "wire",
        Kind::Ring => "ring",
        Kind::Posix => "posix",
        Kind::SystemV => "sysv",
        Kind::Semaphore => "sem",
        _ => "unknown",
    }
}

fn state(entry: &Entry) -> &'static str {
    match entry.state {
        State::Live => "live",
        State::Stale => "stale",
        State::Unused => "unused",
        State::Corrupt => "corrupt",
        _ => "unknown",
    }
}

/// Those that hold a place in a region; of another object, those that have it mapped.
fn holders(entry: &Entry) -> Vec<Holder> {
    let peers = entry.peers.iter().map(|peer| {
        let state = match peer.state {
            PeerState::Alive => "alive",
            PeerState::Closed => "closed",
            _ => "dead",
        };
        (peer.role, peer.process.pid, peer.process.program.clone(), state)
    });
    let attached = entry.attached.iter().map(|process| ("mapped", process.pid, process.program.clone(), "alive"));
    if entry.peers.is_empty() { attached.collect() } else { peers.collect() }
}

/// The objects as `villas_shm._ls.Object` takes them.
#[pyfunction]
pub(crate) fn ls(py: Python<'_>) -> PyResult<Vec<Bound<'_, PyAny>>> {
    static MAKE: PyOnceLock<Py<PyAny>> = PyOnceLock::new();
    let make = MAKE.import(py, "villas_shm._ls", "make")?;
    let entries = py.detach(inspect::list).or_raise(py)?;
    let object = |entry: &Entry| {
        let (name, key, id): (Option<OsString>, _, _) = match &entry.id {
            Id::Name(name) => (Some(name.clone()), None, None),
            Id::SystemV { key, id } => (None, Some(*key), Some(*id)),
        };
        let queues: Vec<_> = entry.queues.iter().map(|queue| (queue.direction, queue.depth, queue.capacity)).collect();
        make.call1((
            (name, kind(entry), state(entry), entry.size, entry.mode, entry.uid, key, id, &entry.note),
            holders(entry),
            queues,
        ))
    };
    entries.iter().map(object).collect()
}
