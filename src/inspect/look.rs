//! Finding objects, and telling what each of them is.

use super::entry::{Entry, Id, Kind, State};
use super::processes::Processes;
use super::{channel, ring, sysv, wire};
use crate::error::{Error, Result};
use crate::layout;
use crate::sys::object::{self, Name, Object, Whose};
use nix::fcntl::OFlag;
use std::ffi::OsStr;
use std::fs::Metadata;
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::MetadataExt;
use std::time::{Instant, UNIX_EPOCH};

/// Everything in shared memory on this host, POSIX objects first, by name.
///
/// # Errors
/// As the system says, if `/dev/shm` cannot be read.
pub fn list() -> Result<Vec<Entry>> {
    list_if(|_| true)
}

/// As [`list`], for the objects that are wanted: nothing else is opened.
///
/// # Errors
/// As [`list`].
pub fn list_if(is_wanted: impl Fn(&Id) -> bool) -> Result<Vec<Entry>> {
    let failed = |e: std::io::Error| Error::new(e.raw_os_error().unwrap_or(libc::EIO), format!("cannot read /dev/shm: {e}"));
    let processes = Processes::now();
    let mut names: Vec<_> =
        std::fs::read_dir(object::directory()).map_err(failed)?.filter_map(|e| Some(e.ok()?.file_name())).collect();
    names.sort_unstable();
    let mut entries = Vec::with_capacity(names.len());
    for name in names {
        let path = object::directory().join(&name);
        let id = Id::Name(name);
        if !is_wanted(&id) {
            continue;
        }
        // What has gone meanwhile is not listed.
        if let Ok(data) = std::fs::symlink_metadata(path) {
            entries.push(posix(id, &data, &processes, 0));
        }
    }
    entries.extend(sysv::list(&processes).into_iter().filter(|entry| is_wanted(&entry.id)));
    Ok(entries)
}

/// The object of this name, with up to `waiting` of the samples or messages that wait in each
/// queue.
///
/// # Errors
/// `EINVAL` name; `ENOENT` no such object.
pub fn look(name: impl AsRef<OsStr>, waiting: usize) -> Result<Entry> {
    look_among(name, waiting, Processes::now)
}

/// As [`look`], with the caller's own search for processes that have the object mapped.
pub(crate) fn look_among(name: impl AsRef<OsStr>, waiting: usize, processes: impl FnOnce() -> Processes) -> Result<Entry> {
    let name = Name::new(name)?;
    let data = std::fs::symlink_metadata(object::directory().join(name.as_os_str())).map_err(|e| match e.raw_os_error() {
        Some(libc::ENOENT) => Error::new(libc::ENOENT, format!("there is no \"{name}\" in shared memory")),
        errno => Error::new(errno.unwrap_or(libc::EIO), format!("cannot look at \"{name}\": {e}")),
    })?;
    Ok(posix(Id::Name(name.as_os_str().into()), &data, &processes(), waiting))
}

/// The System V segments with this key (0: the private ones), or with this number.
pub fn look_system_v(key: Option<i32>, id: Option<i32>) -> Vec<Entry> {
    let mut entries = sysv::list(&Processes::now());
    entries.retain(
        |e| matches!(e.id, Id::SystemV { key: k, id: i } if key.is_none_or(|key| key == k) && id.is_none_or(|id| id == i)),
    );
    entries
}

/// Copies bytes of the POSIX object `name`, from `offset`; how many: fewer at its end.
///
/// # Errors
/// `EINVAL` name; `ENOENT`, `EACCES` as the system says.
pub fn read_bytes(name: impl AsRef<OsStr>, offset: u64, to: &mut [u8]) -> Result<usize> {
    let name = Name::new(name)?;
    let failed = |e| Error::system(e, format_args!("cannot read \"{name}\""));
    open(&name)?.read_at(offset, to).map_err(failed)
}

pub(super) fn open(name: &Name) -> Result<Object> {
    Object::open_as(name, OFlag::O_RDONLY, Whose::Private, format!("there is no \"{name}\" in shared memory"))
}

fn posix(id: Id, data: &Metadata, processes: &Processes, waiting: usize) -> Entry {
    let identity = (data.dev(), data.ino());
    let attached = processes.of_object(identity);
    let mut entry = Entry {
        kind: Kind::Unknown,
        id,
        size: data.size(),
        mode: data.mode() & 0o7777,
        uid: data.uid(),
        created: data.created().ok().and_then(|t| t.duration_since(UNIX_EPOCH).ok()).map(|d| d.as_secs()),
        state: State::Unknown,
        note: None,
        attach_count: processes.are_complete().then_some(attached.len() as u64),
        attached,
        version: None,
        parameters: Vec::new(),
        peers: Vec::new(),
        queues: Vec::new(),
        blocks: None,
        counters: Vec::new(),
        at: Instant::now(),
        identity,
    };
    let why_not = if !data.is_file() {
        Some("not a plain object".to_string())
    } else {
        look_into(&mut entry, waiting).err().map(|e| e.to_string())
    };
    if why_not.is_some() {
        entry.note = why_not;
        entry.state = entry.state_by_attachments();
    }
    entry
}

/// Finds out what a plain object is. An error: it cannot be looked into.
pub(super) fn look_into(entry: &mut Entry, waiting: usize) -> Result<()> {
    let Id::Name(name) = &entry.id else { return Ok(()) };
    let name = Name::new(name)?;
    // A look would have it open, and the handshake of the wire layout asks whether anybody has.
    if name.as_os_str().as_bytes().starts_with(object::SEMAPHORE.as_bytes()) && entry.size == size_of::<libc::sem_t>() as u64 {
        entry.kind = Kind::Semaphore;
        entry.state = entry.state_by_attachments();
        return Ok(());
    }
    let object = open(&name)?;
    if object.identity() != entry.identity {
        return Err(Error::new(libc::ESTALE, "it was replaced at this moment"));
    }
    entry.at = Instant::now();
    examine(entry, &object, waiting);
    Ok(())
}

pub(super) fn examine(entry: &mut Entry, object: &Object, waiting: usize) {
    entry.size = object.size();
    let outcome = if object.begins_with(layout::channel::MAGIC) {
        entry.kind = Kind::Channel;
        channel::look(entry, object, waiting)
    } else if object.begins_with(layout::ring::MAGIC) {
        entry.kind = Kind::Ring;
        ring::look(entry, object, waiting)
    } else {
        entry.kind = Kind::Posix;
        entry.state = entry.state_by_attachments();
        wire::look(entry, object, waiting)
    };
    if let Err(e) = outcome {
        entry.state = if e.errno() == libc::EBADMSG { State::Corrupt } else { State::Unknown };
        entry.note = Some(e.to_string());
    }
}
