//! Removes everything that is certainly stale.

use std::os::unix::ffi::OsStrExt;

use nix::libc;
use nix::unistd::geteuid;
use villas_shm::inspect::{self, Entry, Id, Kind, PeerState, State};

use super::{print, words};
use crate::cli::CleanArgs;
use crate::log::log;

pub(crate) fn run(args: &CleanArgs) -> Result<bool, String> {
    let entries = inspect::list().map_err(|error| error.to_string())?;
    let mine: Vec<&Entry> = entries.iter().filter(|entry| entry.uid == geteuid().as_raw()).collect();
    let mut stale: Vec<&Entry> = mine.iter().copied().filter(|entry| is_stale(entry)).collect();
    // Only the semaphores of removed regions; any other may belong to another program.
    let semaphores = mine.iter().filter(|entry| entry.kind == Kind::Semaphore && stale.iter().any(|region| is_of(entry, region)));
    let semaphores: Vec<&Entry> = semaphores.copied().filter(|entry| entry.check_removable().is_ok()).collect();
    stale.extend(semaphores);

    let (mut count, mut bytes, mut failed) = (0, 0, false);
    for entry in &stale {
        print(&format!("{}\n", describe(entry)))?;
        let removed = if args.dry_run { Ok(()) } else { entry.remove(false) };
        match removed {
            Ok(()) => (count, bytes) = (count + 1, bytes + entry.size),
            // Another process has removed it, or has just opened it.
            Err(error) if matches!(error.errno(), libc::ENOENT | libc::ESTALE) => {}
            Err(error) => {
                failed = true;
                log!(Error, "not removed: {error}");
            }
        }
    }
    let done = if args.dry_run { "would be removed" } else { "removed" };
    print(&format!("{count} {} {done}, {} bytes\n", if count == 1 { "object" } else { "objects" }, bytes))?;
    Ok(!failed)
}

/// Whether it is a region whose processes are certainly gone.
fn is_stale(entry: &Entry) -> bool {
    let is_region = matches!(entry.kind, Kind::Channel | Kind::Ring | Kind::Wire);
    // A look at `/proc` may miss readers of a wire region; the kernel knows them.
    let may_be = entry.state == State::Stale || entry.kind == Kind::Wire && entry.state == State::Unknown;
    is_region && may_be && entry.check_removable().is_ok()
}

fn is_of(semaphore: &Entry, region: &Entry) -> bool {
    match (&semaphore.id, &region.id) {
        (Id::Name(semaphore), Id::Name(name)) => {
            region.kind == Kind::Wire && semaphore.as_bytes().strip_prefix(b"sem.").is_some_and(|rest| rest == name.as_bytes())
        }
        _ => false,
    }
}

fn describe(entry: &Entry) -> String {
    let mut text = format!("stale: {} {}", words::kind(entry), words::name(entry));
    let gone: Vec<String> = entry.peers.iter().filter(|peer| peer.state != PeerState::Alive).map(words::peer).collect();
    if !gone.is_empty() {
        text.push_str(&format!(", {}", gone.join(", ")));
    }
    let left: u64 = entry.queues.iter().map(|queue| queue.depth).sum();
    if left > 0 {
        text.push_str(&format!(", {left} unread in it"));
    }
    text
}
