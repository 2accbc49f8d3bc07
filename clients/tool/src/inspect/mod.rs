//! What is in shared memory: `ls`, `show`, `top`, `rm`, `clean`. The library does all the looking
//! and judging.

mod clean;
mod json;
mod show;
mod table;
mod top;
mod words;

use std::io;

use villas_shm::inspect::{self, Entry, Id, State};

use crate::cli::{LsArgs, RmArgs, ShowArgs, Target};
use crate::log::log;
use crate::standard;

pub(crate) use clean::run as clean;
pub(crate) use show::record;
pub(crate) use table::shorten;
pub(crate) use top::run as top;
pub(crate) use words::plain;

fn print(text: &str) -> Result<bool, String> {
    standard::print(text).map(|()| true)
}

pub(crate) fn ls(args: &LsArgs) -> Result<bool, String> {
    let entries = inspect::list().map_err(|error| error.to_string())?;
    if args.json {
        return print(&json::list(&entries));
    }
    let width = terminal_size::terminal_size_of(io::stdout()).map(|(width, _)| usize::from(width.0));
    print(&table::table(&entries, width))?;
    let stale = entries.iter().filter(|entry| entry.state == State::Stale).count();
    if stale > 0 && width.is_some() {
        log!(Info, "{stale} stale; \"villas-shm clean\" removes your own");
    }
    Ok(true)
}

pub(crate) fn show(args: &ShowArgs) -> Result<bool, String> {
    let entry = find(&args.target, args.waiting)?;
    if args.json {
        return print(&json::one(&entry));
    }
    if args.hex {
        return match &entry.id {
            Id::Name(name) => show::hex(name).map(|()| true),
            Id::SystemV { .. } => {
                Err("the bytes of a System V segment can be seen only by attaching it, which others would notice in its attach count, \
                     and which allocates what nobody has used yet"
                    .into())
            }
        };
    }
    print(&show::show(&entry, args.types.as_ref()))
}

pub(crate) fn rm(args: &RmArgs) -> Result<bool, String> {
    let entry = find(&args.target, 0)?;
    entry.remove(args.force).map_err(|error| match error.errno() {
        nix::libc::EBUSY => format!("not removed: {error} (--force removes it anyway)"),
        _ => error.to_string(),
    })?;
    Ok(true)
}

fn find(target: &Target, waiting: usize) -> Result<Entry, String> {
    if let Some(name) = &target.name {
        return inspect::look(name, waiting).map_err(|error| error.to_string());
    }
    let what = match (target.key, target.id) {
        (Some(key), _) => format!("the key {key:#010x}"),
        (_, id) => format!("the number {}", id.unwrap_or_default()),
    };
    let found = inspect::look_system_v(target.key, target.id);
    found.into_iter().next().ok_or_else(|| format!("there is no System V segment with {what}"))
}
