//! Objects as JSON; `ls --help` describes it.

use std::ffi::OsStr;
use std::os::unix::ffi::OsStrExt;

use serde_json::{Map, Value, json};
use villas_shm::Timespec;
use villas_shm::inspect::{Entry, Id, Parameter, Queue, Waiting};

use super::words;
use crate::signals::Signal;

pub(super) fn list(entries: &[Entry]) -> String {
    let objects: Vec<Value> = entries.iter().map(entry).collect();
    format!("{:#}\n", json!({ "version": 1, "objects": objects }))
}

pub(super) fn one(of: &Entry) -> String {
    format!("{:#}\n", entry(of))
}

fn entry(entry: &Entry) -> Value {
    let (name, key, id) = match &entry.id {
        Id::Name(name) => (Some(name.as_os_str()), None, None),
        Id::SystemV { key, id } => (None, Some(key), Some(id)),
    };
    let parameters = entry.parameters.iter().map(|(name, value)| {
        let value = match value {
            Parameter::Number(number) => json!(number),
            Parameter::Word(word) => json!(word),
        };
        (name.to_string(), value)
    });
    let peer = |peer: &villas_shm::inspect::Peer| {
        json!({
            "role": peer.role, "pid": peer.process.pid, "program": peer.process.program, "since": peer.since,
            "state": words::peer_state(peer), "foreign": peer.is_foreign,
        })
    };
    json!({
        "kind": words::kind(entry), "name": name.map(OsStr::to_string_lossy), "name_bytes": name.and_then(bytes), "key": key, "id": id, "size": entry.size,
        "mode": format!("{:04o}", entry.mode), "uid": entry.uid, "owner": words::owner(entry.uid),
        "created": entry.created, "state": words::state(entry), "note": entry.note,
        "attached": entry.attached.iter().map(|p| json!({ "pid": p.pid, "program": p.program })).collect::<Vec<_>>(),
        "attach_count": entry.attach_count, "layout_version": entry.version,
        "parameters": parameters.collect::<Map<_, _>>(),
        "peers": entry.peers.iter().map(peer).collect::<Vec<_>>(),
        "queues": entry.queues.iter().map(queue).collect::<Vec<_>>(),
        "blocks": entry.blocks.map(|(free, total)| json!({ "free": free, "total": total })),
        "counters": entry.counters.iter().map(|(name, count)| (name.to_string(), json!(count))).collect::<Map<_, _>>(),
    })
}

/// In hexadecimal, a name that is not UTF-8: as text it would lose its bytes.
fn bytes(name: &OsStr) -> Option<String> {
    let hex = |name: &OsStr| name.as_bytes().iter().map(|byte| format!("{byte:02x}")).collect();
    name.to_str().is_none().then(|| hex(name))
}

fn queue(queue: &Queue) -> Value {
    json!({
        "direction": queue.direction, "depth": queue.depth, "capacity": queue.capacity, "written": queue.written,
        "read": queue.read, "signals": queue.signals.iter().map(signal).collect::<Vec<_>>(),
        "waiting": queue.waiting.iter().map(waiting).collect::<Vec<_>>(),
        "newest": queue.newest.as_ref().map(|newest| json!({
            "position": newest.position, "may_have_changed": newest.may_have_changed, "what": waiting(&newest.what),
        })),
    })
}

fn signal(signal: &Signal) -> Value {
    json!({ "name": signal.name(), "unit": signal.unit(), "type": signal.kind().to_string() })
}

fn waiting(waiting: &Waiting) -> Value {
    let time = |at: &Timespec| json!([at.sec, at.nsec]);
    match waiting {
        Waiting::Sample { flags, sequence, origin, received, values, .. } => json!({
            "flags": flags.bits(), "sequence": sequence, "origin": time(origin), "received": time(received),
            "values": values.iter().map(|bits| format!("{bits:016x}")).collect::<Vec<_>>(),
        }),
        Waiting::Message(bytes) => json!(bytes.iter().map(|byte| format!("{byte:02x}")).collect::<String>()),
        _ => Value::Null,
    }
}
