//! Creating and opening a region: the rules for taking a side, and for what dead processes have
//! left.
//!
//! `create` on a name that leads to a region:
//!
//! | node side | program side | parameters | outcome |
//! |---|---|---|---|
//! | alive | any | the same | `EBUSY` |
//! | alive or dead | alive | others | `EPROTO` |
//! | dead | alive | the same | the node side is repaired and taken over |
//! | dead | dead | any | the name is given to a new region |
//!
//! A region without a name is handed over by descriptor. It cannot be replaced, because other
//! processes have the descriptor. If no process holds its node side, `recreate_fd` repairs it and
//! takes it over.
//!
//! To replace a region, `create` first claims *both* of its sides, so no program can attach between
//! the look and the removal of the name. After each claim, `create` and `open` check that the name
//! still leads to the region, and start again if not.

use super::Native;
use super::liveness::{ChannelRegion, NativeLiveness};
use crate::channel::backend::Liveness;
use crate::channel::config::Config;
use crate::channel::handle::{self, ChannelHandle};
use crate::channel::signals::{self, BothWays, Direction};
use crate::error::{Error, Result};
use crate::layout::Layout;
use crate::layout::channel::{ChannelFacts, ChannelView, MAGIC};
use crate::protocol::channel_words::Side;
use crate::protocol::gate::Common;
use crate::protocol::half::{Half, Sizes};
use crate::region::{Origin, RIVAL_NAP, RIVAL_PATIENCE, is_patient, without_size};
use crate::sys::environment;
use crate::sys::nap::nap;
use crate::sys::object::{Name, Object};
use crate::waiting::Limit;
use std::ffi::OsStr;
use std::os::fd::{OwnedFd, RawFd};
use std::time::{Duration, Instant};

fn sizes(facts: &ChannelFacts) -> Sizes {
    Sizes { queuelen: facts.queuelen, entries: facts.entries, home_blocks: facts.home_blocks, history: facts.history }
}

/// What was asked for: the parameters, the signals and their table.
struct AskedFor {
    facts: ChannelFacts,
    signals: BothWays,
    table: Vec<u8>,
}

impl AskedFor {
    fn new(config: &Config) -> Result<AskedFor> {
        let facts =
            ChannelFacts::new(config.polling, config.queuelen, config.samplelen, config.spare)?.with_history(config.history)?;
        let of = |direction| signals::asked_for(config, direction, config.samplelen);
        let signals = [of(Direction::In)?, of(Direction::Out)?];
        let (facts, table) = signals::with_signals(facts, &signals)?;
        Ok(AskedFor { facts, signals, table })
    }
}

/// The signals that the region names.
fn signals_of(region: &ChannelRegion, side: Side) -> Result<BothWays> {
    signals::of_region(&region.view, side).map_err(|e| Error::new(e.errno(), format!("{}: {e}", region.origin)))
}

/// A side that was taken over, with its backend.
type Entered = (Box<NativeLiveness>, Box<Native>);

/// A new region with its node side taken, before it has a name.
struct Fresh<'c> {
    name: Name,
    wanted: AskedFor,
    config: &'c Config,
    mode: u32,
    made: Option<Entered>,
}

impl Fresh<'_> {
    #[inline(never)]
    fn make(&mut self) -> Result<()> {
        if self.made.is_none() {
            let region = ChannelRegion::fresh(self.wanted.facts, self.name, self.mode, self.config.group)?;
            // The holder is filled in before the name exists, so a program that finds the name
            // finds a live node.
            self.made = Some(begun(region, &self.wanted)?);
        }
        Ok(())
    }

    /// Creates the region before the old one is removed, so that the old one's contents survive a
    /// failure. If memory suffices for one region only, the new one is created afterwards.
    fn make_beside(&mut self, old: &Object) -> Result<()> {
        match self.make() {
            Err(e) if e.errno() == libc::ENOSPC && old.leaves_room_for(ChannelView::size(&self.wanted.facts)) => Ok(()),
            // The memory that may be locked may suffice for one region.
            Err(e) if e.errno() == libc::ENOMEM && environment::asks_for(c"SHMEM_LOCK") => Ok(()),
            made => made,
        }
    }

    /// Gives the region the name that an old one has just lost. Done at once, because any further
    /// step could fail. `None`: the name is taken, or the old region must be freed first to make
    /// room.
    fn follow(&mut self) -> Result<Option<&'static ChannelHandle<Native>>> {
        if self.made.is_some() { self.link() } else { Ok(None) }
    }

    /// Gives the region its name. `None`: the name is taken.
    fn link(&mut self) -> Result<Option<&'static ChannelHandle<Native>>> {
        self.make()?;
        match self.made.take() {
            Some((liveness, backend)) if liveness.region.object.link(&self.name)? => {
                let identity = liveness.region.object.identity();
                handle_of(liveness, backend).map(Some).inspect_err(|_| {
                    if self.name.target() == Ok(Some(identity)) {
                        let _ = self.name.remove();
                    }
                })
            }
            made => {
                self.made = made;
                Ok(None)
            }
        }
    }
}

/// Creates the region of `name` and takes its node side.
pub(crate) fn create(name: &OsStr, config: &Config) -> Result<&'static ChannelHandle<Native>> {
    let name = Name::new(name)?;
    let mut fresh = Fresh { name, wanted: AskedFor::new(config)?, config, mode: config.permission_bits()?, made: None };
    handle::prepare::<Native>()?;
    let start = Instant::now();
    loop {
        let handle = match Object::open(&name) {
            Ok(object) => take_over(object, &mut fresh, start)?,
            Err(e) if e.errno() == libc::ENOENT => fresh.link()?,
            Err(e) => return Err(e),
        };
        if let Some(handle) = handle {
            return Ok(handle);
        }
    }
}

/// Creates a region of sealed size without a name, and takes its node side. Also returns a
/// descriptor to hand over.
pub(crate) fn create_fd(config: &Config) -> Result<(&'static ChannelHandle<Native>, OwnedFd)> {
    let (wanted, mode) = (AskedFor::new(config)?, config.permission_bits()?);
    handle::prepare::<Native>()?;
    let (region, descriptor) = ChannelRegion::sealed(wanted.facts, mode, config.group)?;
    let (liveness, backend) = begun(region, &wanted)?;
    Ok((handle_of(liveness, backend)?, descriptor))
}

/// Takes over the node side of the region behind a descriptor. No process may hold that side. The
/// descriptor stays the caller's.
pub(crate) fn recreate_fd(fd: RawFd, config: &Config) -> Result<&'static ChannelHandle<Native>> {
    let wanted = AskedFor::new(config)?;
    config.permission_bits()?;
    let region = of_descriptor(fd, config.any_owner)?;
    let signals = signals_of(&region, Side::A)?;
    if let Some(others) = others(&region, &signals, &wanted) {
        return Err(Error::new(libc::EPROTO, format!("the region of descriptor {fd} has other parameters: {others}")));
    }
    let incarnation = region.claim(Side::A)?;
    let program = region.last_of(Side::B);
    attached(region, Side::A, incarnation, program, None, signals)
}

fn of_descriptor(fd: RawFd, any_owner: bool) -> Result<Box<ChannelRegion>> {
    handle::prepare::<Native>()?;
    let object = Object::of_descriptor(fd)?;
    object.check_owner(Origin::Unnamed, any_owner)?;
    ChannelRegion::existing(object, Origin::Unnamed)
}

/// Takes over the node side of an existing region, or removes the region. `None`: start again.
fn take_over(object: Object, fresh: &mut Fresh, start: Instant) -> Result<Option<&'static ChannelHandle<Native>>> {
    let name = fresh.name;
    object.check_owner(Origin::Named(name), fresh.config.any_owner)?;
    let is_deserted = !ChannelRegion::has_any_lock(&object);
    let existing = ChannelRegion::existing(object, Origin::Named(name)).and_then(|region| {
        let signals = signals_of(&region, Side::A)?;
        Ok((region, signals))
    });
    let (region, signals) = match existing {
        Ok(found) => found,
        Err(e) if matches!(e.errno(), libc::EBADMSG | libc::EPROTO | libc::EAGAIN) => return remove_unreadable(fresh, e, start),
        // An error of the system is no fault of the region.
        Err(e) => return Err(e),
    };
    if is_deserted {
        // The region will be replaced. The slow part comes before the claims, because other
        // processes wait for those.
        fresh.make_beside(&region.object)?;
    }
    let refusal = others(&region, &signals, &fresh.wanted)
        .map(|others| Error::new(libc::EPROTO, format!("the region \"{name}\" is in use with other parameters: {others}")));
    if let (Some(refusal), false) = (&refusal, is_deserted) {
        if region.is_alive(Side::A) || region.is_alive(Side::B) {
            return Err(refusal.clone());
        }
    }
    let incarnation = match region.claim(Side::A) {
        Err(e) if e.errno() == libc::EBADMSG => {
            drop(region);
            return remove_unreadable(fresh, e, start);
        }
        claimed => claimed?,
    };
    if !region.object.is_named(&name)? {
        return Ok(None);
    }
    let program = region.last_of(Side::B);
    match region.claim(Side::B) {
        Ok(_) => {
            // Both sides are dead. No process can attach while both claims are held; they end with
            // the object. The claims may have taken time: check the name again.
            if region.object.is_named(&name)? {
                fresh.make_beside(&region.object)?;
                name.unlink()?;
                return fresh.follow();
            }
            Ok(None)
        }
        Err(e) if e.errno() == libc::EBADMSG => {
            drop(region);
            remove_unreadable(fresh, e, start)
        }
        Err(e) if e.errno() != libc::EBUSY => Err(e),
        Err(_) => match refusal {
            None => attached(region, Side::A, incarnation, program, None, signals).map(Some),
            Some(refusal) => Err(refusal),
        },
    }
}

/// Removes a region of this library that is damaged or of another version, if no process has a lock
/// on any of its bytes. `None`: start again.
fn remove_unreadable(fresh: &mut Fresh, why: Error, start: Instant) -> Result<Option<&'static ChannelHandle<Native>>> {
    let name = fresh.name;
    let object = match Object::open(&name) {
        Err(e) if e.errno() == libc::ENOENT => return Ok(None),
        object => object?,
    };
    if !object.begins_with(MAGIC) {
        return Err(match why.errno() {
            libc::EAGAIN => without_size(&name),
            _ => why,
        });
    }
    if object.lock_all()? {
        // No other process judges the region while the lock is held, but the name may lead to
        // another object by now.
        if object.is_named(&name)? {
            fresh.make_beside(&object)?;
            name.unlink()?;
            return fresh.follow();
        }
        Ok(None)
    } else if is_patient(start, RIVAL_PATIENCE, &object) {
        // Another creator may be removing it.
        std::thread::sleep(RIVAL_NAP);
        Ok(None)
    } else {
        Err(why)
    }
}

/// What differs between a region, which has these signals, and what was asked for.
fn others(region: &ChannelRegion, named: &BothWays, wanted: &AskedFor) -> Option<String> {
    let mode = |polling| if polling { "polling" } else { "pthread" };
    let AskedFor { facts: wanted, signals: asked, .. } = wanted;
    let found = region.view.facts();
    let mut parts = Vec::new();
    for (what, is, asked) in [
        ("queuelen", found.queuelen, wanted.queuelen),
        ("samplelen", found.samplelen, wanted.samplelen),
        ("spare", found.spare, wanted.spare),
        ("history", found.history, wanted.history),
    ] {
        if is != asked {
            parts.push(format!("{what} is {is} there, {asked} was asked for"));
        }
    }
    if found.polling != wanted.polling {
        parts.push(format!("mode is {} there, {} was asked for", mode(found.polling), mode(wanted.polling)));
    }
    parts.extend(signals::differences(named, asked));
    (!parts.is_empty()).then(|| parts.join("; "))
}

/// Opens the region of `name` and takes its program side.
pub(crate) fn open(name: &OsStr) -> Result<&'static ChannelHandle<Native>> {
    open_or(Name::new(name)?, RIVAL_PATIENCE)
}

/// As [`open`], with this much patience with a rival for the side.
fn open_or(name: Name, patience: Duration) -> Result<&'static ChannelHandle<Native>> {
    handle::prepare::<Native>()?;
    loop {
        if let Some(handle) = attach(name, patience)? {
            return Ok(handle);
        }
    }
}

/// Attaches to the region of `name`. `None`: the name leads elsewhere by now, start again.
fn attach(name: Name, patience: Duration) -> Result<Option<&'static ChannelHandle<Native>>> {
    let object = Object::open(&name)?;
    object.check_owner(Origin::Named(name), false)?;
    attach_to(ChannelRegion::existing(object, Origin::Named(name))?, patience)
}

/// Opens the region behind a descriptor, which stays the caller's, and takes its program side.
pub(crate) fn open_fd(fd: RawFd) -> Result<&'static ChannelHandle<Native>> {
    match attach_to(of_descriptor(fd, false)?, RIVAL_PATIENCE)? {
        Some(handle) => Ok(handle),
        None => Err(Error::corrupt("a region without a name has been replaced")),
    }
}

/// As [`attach`].
fn attach_to(region: Box<ChannelRegion>, patience: Duration) -> Result<Option<&'static ChannelHandle<Native>>> {
    let origin = region.origin;
    let view = region.view;
    let sizes = sizes(view.facts());
    let is_worth_it = |gone: Option<u64>| -> Result<bool> { Ok(gone.is_none() || Half::has_leftovers(&view, Side::B, sizes)?) };
    let nothing = || {
        Error::new(
            libc::ENOENT,
            format!("{origin} is what a node that is gone has left, and nothing is left to read in it: start the node"),
        )
    };
    // Not thorough: a side that was claimed needlessly is given back, and everything is checked
    // again under the claim.
    if !is_worth_it(region.gone_node(false))? {
        return if origin.leads_to(&region.object)? { Err(nothing()) } else { Ok(None) };
    }
    let signals = signals_of(&region, Side::B)?;
    // A process that has claimed the side without entering it has been stopped for a while, perhaps
    // with the whole machine. A waiting open retries.
    let contended = || {
        Error::new(
            libc::EAGAIN,
            format!("a process is about to take the program side of {origin}, or a node to replace the region: try again"),
        )
    };
    let incarnation = match region.claim_or(Side::B, patience, contended) {
        Ok(incarnation) => incarnation,
        // A node that replaces the region holds this side for a moment; afterwards the name leads
        // elsewhere.
        Err(_) if !origin.leads_to(&region.object)? => return Ok(None),
        Err(e) => return Err(e),
    };
    if !origin.leads_to(&region.object)? {
        return Ok(None);
    }
    // In this order: if another node comes in between, the live one is not `found`, and the handle
    // probes it by itself (`Watched::wants_probe`).
    let found = region.last_of(Side::A);
    let gone = region.gone_node(true);
    if !is_worth_it(gone)? {
        return Err(nothing());
    }
    attached(region, Side::B, incarnation, gone.unwrap_or(found), Some(gone.is_none()), signals).map(Some)
}

/// Enters this process as the holder of `side`, and repairs the side. `peer` was the last
/// incarnation of the other side before. `is_alive` says whether it lives, if that was just
/// checked.
#[inline(never)]
fn entered(
    region: Box<ChannelRegion>,
    side: Side,
    incarnation: u64,
    peer: u64,
    is_alive: Option<bool>,
    signals: BothWays,
) -> Result<Entered> {
    let view = region.view;
    let liveness = region.occupy(side, incarnation, peer, signals);
    match is_alive {
        Some(true) => liveness.note_live_peer(peer),
        Some(false) => liveness.note_dead_peer(peer),
        None => {
            liveness.probe_peer();
        }
    }
    match Half::recover(view, side, sizes(view.facts())) {
        Ok(half) => Ok((liveness, Box::new(half))),
        Err(e) => {
            liveness.on_deserted();
            Err(e)
        }
    }
}

/// Enters the node side of a region that no other process has.
fn begun(region: Box<ChannelRegion>, wanted: &AskedFor) -> Result<Entered> {
    region.view.write_signals(&wanted.table);
    let signals = signals::of_region(&region.view, Side::A)?;
    let incarnation = region.claim(Side::A)?;
    entered(region, Side::A, incarnation, 0, None, signals)
}

/// Makes a handle of an entered side, and tells the peer.
fn handle_of(liveness: Box<NativeLiveness>, backend: Box<Native>) -> Result<&'static ChannelHandle<Native>> {
    let handle = ChannelHandle::new(liveness, backend)?;
    handle.look(NativeLiveness::notify_peer);
    Ok(handle)
}

/// Enters a side and makes its handle.
fn attached(
    region: Box<ChannelRegion>,
    side: Side,
    incarnation: u64,
    peer: u64,
    is_alive: Option<bool>,
    signals: BothWays,
) -> Result<&'static ChannelHandle<Native>> {
    let (liveness, backend) = entered(region, side, incarnation, peer, is_alive, signals)?;
    handle_of(liveness, backend)
}

/// The shortest and the longest sleep between two looks for a region.
const NAPS: (Duration, Duration) = (Duration::from_micros(200), Duration::from_millis(20));

/// How long to sleep before the next look for a region: an eighth of the time waited so far. So a
/// region that comes soon is found soon, and a long wait wakes 50 times a second.
///
/// This polls because nothing announces a death: of a node that was replacing the region, or of a
/// program that was attaching. inotify would announce a new name, but closing its descriptor waits
/// for other users of watches in the kernel: usually 5 ms, up to 400 ms under other load, in an
/// open that has already succeeded.
fn time_to_look(waited: Duration) -> Duration {
    (waited / 8).clamp(NAPS.0, NAPS.1)
}

/// As [`open`], but waits for the region to appear.
pub(crate) fn timed_open(name: &OsStr, limit: Limit) -> Result<&'static ChannelHandle<Native>> {
    let start = Instant::now();
    let name = Name::new(name)?;
    loop {
        // The naps are enough patience.
        match open_or(name, Duration::ZERO) {
            Err(e) if matches!(e.errno(), libc::ENOENT | libc::EAGAIN) => {
                let waited = start.elapsed();
                let left = match limit {
                    Limit::Forever => Duration::MAX,
                    Limit::For(limit, _) => limit.saturating_sub(waited),
                    Limit::Now => Duration::ZERO,
                };
                if left.is_zero() {
                    return Err(Error::new(libc::ETIMEDOUT, format!("the region \"{name}\" has not appeared in time: {e}")));
                }
                if nap(time_to_look(waited).min(left)).is_err() {
                    return Err(Error::new(libc::EINTR, format!("a signal handler ran while waiting for the region \"{name}\"")));
                }
            }
            other => return other,
        }
    }
}

#[cfg(test)]
#[path = "../../tests/unit/channel/native/open.rs"]
mod tests;
