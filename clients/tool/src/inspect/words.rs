//! How tables, texts and JSON name the parts of an object.

use std::ffi::OsStr;
use std::os::unix::ffi::OsStrExt;
use std::time::{SystemTime, UNIX_EPOCH};

use nix::unistd::{Uid, User};
use villas_shm::inspect::{Entry, Id, Kind, Peer, PeerState, Queue, State};

pub(super) fn kind(entry: &Entry) -> &'static str {
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

pub(super) fn state(entry: &Entry) -> &'static str {
    match entry.state {
        State::Live => "live",
        State::Stale => "stale",
        State::Unused => "unused",
        State::Corrupt => "corrupt",
        _ => "unknown",
    }
}

pub(super) fn peer_state(peer: &Peer) -> &'static str {
    match peer.state {
        PeerState::Alive => "alive",
        PeerState::Closed => "closed",
        _ => "dead",
    }
}

/// Any program may choose a name: a terminal must not take it for commands.
pub(crate) fn plain(text: &str) -> String {
    let is_plain = |c| matches!(c, '\'' | '"' | '\\');
    text.chars().map(|c| if is_plain(c) { c.to_string() } else { c.escape_debug().to_string() }).collect()
}

/// As [`plain`], for a name of any bytes: those that are no text become `\xNN`.
pub(super) fn text(name: &OsStr) -> String {
    let chunk = |chunk: std::str::Utf8Chunk| {
        let invalid: String = chunk.invalid().iter().map(|byte| format!("\\x{byte:02x}")).collect();
        plain(chunk.valid()) + &invalid
    };
    name.as_bytes().utf8_chunks().map(chunk).collect()
}

/// The name, or key and number.
pub(super) fn name(entry: &Entry) -> String {
    id(&entry.id)
}

pub(super) fn id(id: &Id) -> String {
    match id {
        Id::Name(name) => text(name),
        Id::SystemV { key: 0, id } => format!("private id {id}"),
        Id::SystemV { key, id } => format!("key {key:#010x} id {id}"),
    }
}

pub(super) fn owner(uid: u32) -> String {
    match User::from_uid(Uid::from_raw(uid)) {
        Ok(Some(user)) => user.name,
        _ => uid.to_string(),
    }
}

/// `node 4711 (villas-shm)`, and what is wrong with it.
pub(super) fn peer(peer: &Peer) -> String {
    let mut text = format!("{} {} ({})", peer.role, peer.process.pid, plain(&peer.process.program));
    if peer.state != PeerState::Alive {
        text.push(' ');
        text.push_str(peer_state(peer));
    }
    if peer.is_foreign {
        text.push_str(" of another pid namespace");
    }
    text
}

pub(super) fn queue(queue: &Queue) -> String {
    format!("{}/{}", queue.depth, queue.capacity)
}

/// The processes that have it mapped, as far as visible.
pub(super) fn attached(entry: &Entry) -> Vec<String> {
    entry.attached.iter().map(|process| format!("{} ({})", process.pid, plain(&process.program))).collect()
}

/// How many processes have it mapped.
pub(super) fn users(entry: &Entry) -> String {
    entry.attach_count.map_or_else(|| format!("{}+", entry.attached.len()), |count| count.to_string())
}

/// `512`, `708K`, `1.5G`: at most five characters.
pub(super) fn size(bytes: u64) -> String {
    let mut size = bytes as f64;
    for unit in ["", "K", "M", "G", "T", "P"] {
        if size < 1000.0 {
            return if size < 10.0 && !unit.is_empty() { format!("{size:.1}{unit}") } else { format!("{size:.0}{unit}") };
        }
        size /= 1024.0;
    }
    format!("{size:.0}E")
}

/// `12s`, `3m`, `5h`, `9d`. `-`: unknown.
pub(super) fn age(created: Option<u64>) -> String {
    let now = SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |d| d.as_secs());
    match created.map(|created| now.saturating_sub(created)) {
        None => "-".into(),
        Some(seconds @ ..120) => format!("{seconds}s"),
        Some(seconds @ ..7200) => format!("{}m", seconds / 60),
        Some(seconds @ ..172_800) => format!("{}h", seconds / 3600),
        Some(seconds) => format!("{}d", seconds / 86_400),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_fit_for_a_terminal_whatever_bytes_they_are() {
        for (name, shown) in [
            (&b"plant"[..], "plant"),
            ("größe \\".as_bytes(), "größe \\"),
            (b"gr\xf6\xdfe", "gr\\xf6\\xdfe"),
            (b"\x1b[2J\x9b", "\\u{1b}[2J\\x9b"),
        ] {
            assert_eq!(text(OsStr::from_bytes(name)), shown);
        }
    }

    #[test]
    fn sizes_are_short() {
        for (bytes, text) in [
            (0, "0"),
            (999, "999"),
            (1000, "1.0K"),
            (1536, "1.5K"),
            (10_240, "10K"),
            (724_992, "708K"),
            (1 << 20, "1.0M"),
            (3 << 40, "3.0T"),
            (u64::MAX, "16E"),
        ] {
            assert_eq!(size(bytes), text);
        }
    }
}
