//! System V segments, from `/proc/sysvipc/shm`.

use super::entry::{Entry, Id, Kind, State};
use super::processes::Processes;
use std::time::Instant;

/// All segments. None where the kernel has no System V shared memory.
pub(super) fn list(processes: &Processes) -> Vec<Entry> {
    let text = std::fs::read_to_string("/proc/sysvipc/shm").unwrap_or_default();
    text.lines().skip(1).filter_map(|line| parse(line, processes)).collect()
}

/// `key shmid perms size cpid lpid nattch uid gid cuid cgid atime dtime ctime …`
fn parse(line: &str, processes: &Processes) -> Option<Entry> {
    let fields: Vec<&str> = line.split_ascii_whitespace().collect();
    let number = |at: usize| fields.get(at)?.parse::<u64>().ok();
    let (key, id) = (fields.first()?.parse().ok()?, fields.get(1)?.parse().ok()?);
    let attach_count = number(6)?;
    let bits = u32::from_str_radix(fields.get(2)?, 8).ok()?;
    Some(Entry {
        kind: Kind::SystemV,
        id: Id::SystemV { key, id },
        size: number(3)?,
        mode: bits & 0o777,
        uid: number(7)? as u32,
        created: number(13),
        state: if attach_count > 0 { State::Live } else { State::Unused },
        note: (bits & 0o1000 != 0).then(|| "removed; it goes when the last process detaches it".into()),
        attached: processes.of_segment(id),
        attach_count: Some(attach_count),
        version: None,
        parameters: Vec::new(),
        peers: Vec::new(),
        queues: Vec::new(),
        blocks: None,
        counters: Vec::new(),
        at: Instant::now(),
        identity: (key as u64, id as u64),
    })
}
