//! The handshake: each side makes its own region, announces it by a semaphore of its name, and
//! opens the other's.
//!
//! VILLASnode's side trusts the semaphore. This side does not, because a crash leaves posts and
//! regions behind: a post is only a reason to look. This side accepts the other's region if it is
//! complete, its maker lives, the name leads to it, and the other is certain to come or has come.
//! That is so once the other has posted, or has this side's region open to stay (`presence`). This
//! side posts when it has seen such a region, and posts again for another region, because the first
//! peer may have taken the post and died.
//!
//! A peer may post, open this side's region, and die before this side has looked. It has then taken
//! this side's post and removed the name of its own semaphore. So this side reopens the semaphores,
//! too, for each new region of the other.
//!
//! Leftovers of dead processes under this name are removed; a name that a live process of this
//! library holds is `EBUSY`. A region without a trailer under this side's own name is a leftover of
//! a VILLASnode program that was in this place. It is replaced, as VILLASnode does, even if another
//! process has it mapped: that may be the other side, which survived.

use super::Wire;
use super::doorbell;
use super::liveness::{Mapped, WireLiveness};
use super::presence::Presence;
use crate::channel::config::Config;
use crate::channel::handle::{self, ChannelHandle};
use crate::channel::signals::{Direction, asked_for, check_peer};
use crate::error::{Error, Result};
use crate::layout::channel::{MAGIC, MAX_SAMPLELEN};
use crate::layout::glibc;
use crate::layout::signals::{self, SignalTable};
use crate::layout::wire::{STOPPED, Which, WireFacts, WireView};
use crate::protocol::gate::Common;
use crate::region::{Origin, RIVAL_NAP, RIVAL_PATIENCE, is_patient};
use crate::sys::clock::unix_time;
use crate::sys::mapping::Mapping;
use crate::sys::object::{Name, Object};
use crate::sys::process::Identity;
use crate::sys::semaphore::{self, Permissions, Semaphore};
use crate::waiting::Limit;
use std::ffi::OsStr;
use std::time::{Duration, Instant};

/// The first page of a region holds everything that its facts are read from.
const FIRST_PAGE: u64 = 4096;
/// Time between two looks for what no semaphore announces.
const SLICE: Duration = Duration::from_millis(20);
/// How long this side's region must be without both a name and a peer before that is reported.
const ALONE: Duration = Duration::from_secs(1);

/// The facts of a region with these parameters, and the signals that it names.
fn wanted(config: &Config) -> Result<(WireFacts, SignalTable)> {
    let facts = WireFacts::new(config.polling, config.queuelen, config.samplelen)?;
    let signals = asked_for(config, Direction::Out, config.samplelen)?;
    Ok((facts.with_signals(signals::size(signals.iter())), signals))
}

/// The size in bytes of a region with these parameters; 0 means the default.
pub(crate) fn total_size(config: &Config) -> Result<u64> {
    Ok(wanted(config)?.0.total_size())
}

/// Opens a channel that writes into the region of `wname` and reads from that of `rname`. While it
/// waits for the other side, it calls `cancelled` regularly.
pub(crate) fn open(
    wname: &OsStr,
    rname: &OsStr,
    config: &Config,
    limit: &Limit,
    cancelled: &dyn Fn() -> bool,
) -> Result<&'static ChannelHandle<Wire>> {
    if !glibc::IS_KNOWN {
        return Err(Error::new(
            libc::ENOTSUP,
            "VILLASnode's layout is known on x86-64 and aarch64 with glibc only: use a channel of one region",
        ));
    }
    let (wname, rname) = (Name::new(wname)?, Name::new(rname)?);
    let (facts, signals) = wanted(config)?;
    let expected = asked_for(config, Direction::In, MAX_SAMPLELEN)?;
    if wname == rname {
        check_peer(&signals, &expected)?;
    }
    handle::prepare::<Wire>()?;
    let me = Identity::mine();
    let own = make(wname, facts, signals, config, &me)?;
    let peer = if wname == rname { None } else { Some(shake_hands(&own, rname, config, &expected, &me, limit, cancelled)?) };
    opened(own, peer, me)
}

/// Makes a handle of both regions.
#[inline(never)]
fn opened(own: Box<Mapped>, peer: Option<Box<Mapped>>, me: Identity) -> Result<&'static ChannelHandle<Wire>> {
    let views = (own.view, peer.as_ref().map(|peer| peer.view));
    let link = WireLiveness::new(own, peer, me);
    match Wire::new(views.0, views.1) {
        Ok(wire) => ChannelHandle::new(link, Box::new(wire)),
        Err(e) => {
            // The other side has come, and may wait for this side's samples.
            link.on_deserted();
            Err(e)
        }
    }
}

/// Makes this side's region.
#[inline(never)]
fn make(name: Name, facts: WireFacts, signals: SignalTable, config: &Config, me: &Identity) -> Result<Box<Mapped>> {
    let mode = config.permission_bits()?;
    let object = Object::unnamed(facts.total_size(), mode, config.group)?;
    let mapping = Mapping::new(&object, facts.total_size() as usize)?;
    // SAFETY: the mapping is as long as the facts say and goes with the view.
    let view = unsafe { WireView::new(mapping.base(), facts) };
    view.initialise();
    let trailer = view.fresh_trailer(signals.len(), &signals::encode(signals.iter()));
    trailer.holder().occupy(unix_time(), me);
    let mut region = Mapped::new(view, mapping, object, name);
    region.signals = signals;
    region.lock()?;
    let start = Instant::now();
    while !region.object.link(&name)? {
        clear(&name, config, me, start)?;
    }
    Ok(region)
}

/// Removes a dead process's region under the name of this side's region. If a rival is removing it,
/// returns so that the caller tries again; `start` is when the tries began.
#[inline(never)]
fn clear(name: &Name, config: &Config, me: &Identity, start: Instant) -> Result<()> {
    let object = match Object::open(name) {
        Err(e) if e.errno() == libc::ENOENT => return Ok(()),
        object => object?,
    };
    object.check_owner(Origin::Named(*name), config.any_owner)?;
    if object.begins_with(MAGIC) {
        return Err(Error::new(
            libc::EBUSY,
            format!("\"{name}\" is a region of the other layout, of a node that creates it: take another name, or remove it"),
        ));
    }
    let found = match attach(object, *name) {
        Ok(region) => region,
        // VILLASnode made it, or a process of it that died: only its regions have no memory
        // allocated.
        Err(e) if matches!(e.errno(), libc::EAGAIN | libc::ENOSPC) => return unlink(name),
        Err(e) => return Err(e),
    };
    if let Some(maker) = found.maker() {
        if found.is_maker_alive(me, true) != Some(false) {
            let message = format!("\"{name}\" is written by {}, which is alive", maker.described_to(me));
            return Err(Error::new(libc::EBUSY, message));
        }
    }
    // If two processes find the same leftover, the second would remove the region that the first
    // has put in its place.
    if !found.lock_for_removal()? {
        if is_patient(start, RIVAL_PATIENCE, &found.object) {
            std::thread::sleep(RIVAL_NAP);
            return Ok(());
        }
        return Err(Error::new(libc::EBUSY, format!("\"{name}\" is being opened by another process at this moment")));
    }
    if found.object.is_named(name)? {
        unlink(name)?;
    }
    Ok(())
}

fn unlink(name: &Name) -> Result<()> {
    match name.unlink() {
        Err(e) if e.errno() == libc::ENOENT => Ok(()),
        done => done,
    }
}

/// Maps and checks a region that any program may have made. `EAGAIN`: its maker has not finished
/// it.
#[inline(never)]
fn attach(object: Object, name: Name) -> Result<Box<Mapped>> {
    let size = object.size();
    let length = usize::try_from(size).map_err(|_| Error::corrupt("the region is larger than the address space"))?;
    if length == 0 {
        return Err(Error::new(libc::EAGAIN, format!("the region \"{name}\" is not ready yet: the object has no size so far")));
    }
    // VILLASnode does not allocate the memory of its regions. The whole of it is allocated here
    // only once the object turns out to be a region.
    object.allocate(size.min(FIRST_PAGE))?;
    let mapping = Mapping::new(&object, length)?;
    // SAFETY: this many bytes are mapped.
    let facts =
        unsafe { WireFacts::read(mapping.base(), size) }.map_err(|e| Error::new(e.errno(), format!("\"{name}\": {e}")))?;
    object.allocate(size)?;
    // SAFETY: the facts were checked against the length of the mapping, which goes with the view.
    let view = unsafe { WireView::new(mapping.base(), facts) };
    Ok(Mapped::new(view, mapping, object, name))
}

/// Makes the two sides known to each other. Leaves nothing behind if it fails.
#[inline(never)]
fn shake_hands(
    own: &Mapped,
    rname: Name,
    config: &Config,
    expected: &SignalTable,
    me: &Identity,
    limit: &Limit,
    cancelled: &dyn Fn() -> bool,
) -> Result<Box<Mapped>> {
    let wname = own.name;
    let look = || look(&rname, config, me);
    let permissions = Permissions { any_owner: config.any_owner, mode: config.permission_bits()?, group: config.group };
    let (outcome, posts) = match Posts::open(&wname, &rname, permissions) {
        Ok(mut posts) => (find_peer(own, &rname, &mut posts, look, limit, cancelled), Some(posts)),
        Err(e) => (Err(e), None),
    };
    let agreed = outcome.and_then(|mut peer| {
        peer.ask_signals()?;
        check_peer(&peer.signals, expected)?;
        Ok(peer)
    });
    match agreed {
        Ok(peer) => {
            semaphore::unlink(&wname);
            Ok(peer)
        }
        Err(e) => {
            if let Some(posts) = &posts {
                posts.mine.drain();
            }
            drop(posts);
            // Another process may have attached already, and would wait for samples forever.
            own.view.queue(Which::Samples).state.publish(STOPPED); // V3
            if !own.view.facts().polling {
                doorbell::broadcast(&own.view, SLICE);
            }
            if own.object.may_be_named(&wname) {
                let _ = wname.unlink();
            }
            semaphore::unlink_unused(&wname);
            semaphore::unlink_unused(&rname);
            Err(e)
        }
    }
}

/// The semaphores of both names.
struct Posts {
    mine: Semaphore,
    theirs: Semaphore,
    permissions: Permissions,
}

impl Posts {
    fn open(wname: &Name, rname: &Name, permissions: Permissions) -> Result<Posts> {
        Ok(Posts { mine: Semaphore::open(wname, permissions)?, theirs: Semaphore::open(rname, permissions)?, permissions })
    }
}

/// Waits for a region of the other side that is worth attaching to.
///
/// This side's post exists only while a live region of the other side does, one post for each: a
/// peer that finds a dead process's post would open the dead process's region.
#[inline(never)]
fn find_peer(
    own: &Mapped,
    rname: &Name,
    posts: &mut Posts,
    look: impl Fn() -> Result<Box<Mapped>>,
    limit: &Limit,
    cancelled: &dyn Fn() -> bool,
) -> Result<Box<Mapped>> {
    let start = Instant::now();
    let (mut has_posted, mut posted_for) = (false, None);
    let (guest, mut maker) = (Presence::new(), Presence::new());
    let mut lost_since = None;
    // A predecessor's untaken post would lead the other side into a region that no longer exists.
    posts.mine.drain();
    loop {
        let left = match limit {
            Limit::Forever => Duration::MAX,
            Limit::For(limit, _) => limit.saturating_sub(start.elapsed()),
            Limit::Now => Duration::ZERO,
        };
        has_posted |= wait_for_post(posts, rname, SLICE.min(left))?;
        if cancelled() {
            return Err(Error::new(libc::ECANCELED, format!("told not to wait for the peer, \"{rname}\", any more")));
        }
        let found = look();
        let somebody = found.as_ref().ok().map(|peer| peer.object.identity());
        if somebody != posted_for {
            // A peer that came since the wait has posted to the old semaphores, and removed the
            // name of its own.
            has_posted |= posts.theirs.take();
            // The former peer may have taken the post, and removed the names of the semaphores when
            // it ended.
            *posts = Posts::open(&own.name, rname, posts.permissions)?;
            posts.mine.drain();
            if somebody.is_some() {
                posts.mine.post()?;
            }
            posted_for = somebody;
            maker = Presence::new();
        }
        let has_come = guest.ask(own) == Some(true);
        if has_come || !own.is_lost() {
            lost_since = None;
        } else if lost_since.get_or_insert_with(Instant::now).elapsed() >= ALONE {
            return Err(lost(&own.name));
        }
        let why = match found {
            // A VILLASnode's region does not name its maker: an observer that looks at a dead one's
            // region is no peer.
            Ok(peer) if !has_come && !peer.is_ours() && maker.ask(&peer) == Some(false) => {
                "its maker was not seen to live".into()
            }
            Ok(peer) if has_posted || has_come => return Ok(peer),
            Ok(_) => "it is there, but busy with another peer".into(),
            // No region, or its maker is still working on it, or another process is about to
            // replace it. The post came from a process that is dead: a maker posts after its region
            // is there.
            Err(e) if matches!(e.errno(), libc::ENOENT | libc::EAGAIN | libc::EBADMSG) => {
                has_posted = false;
                e.to_string()
            }
            // An error of the system does not pass by itself.
            Err(e) => return Err(e),
        };
        if left.is_zero() {
            return Err(Error::new(libc::ETIMEDOUT, format!("the other side, \"{rname}\", has not come in time: {why}")));
        }
    }
}

fn lost(name: &Name) -> Error {
    Error::new(
        libc::ESTALE,
        format!(
            "nobody can come any more: the name \"{name}\" was removed, and nobody has the region; open again. \
             systemd-logind (RemoveIPC), Python's resource tracker or the end of a container may have removed it"
        ),
    )
}

/// Waits for the other side's post. `false`: the time is over.
fn wait_for_post(posts: &Posts, rname: &Name, limit: Duration) -> Result<bool> {
    match posts.theirs.wait(limit) {
        Ok(posted) => Ok(posted),
        Err(nix::errno::Errno::EINTR) => {
            Err(Error::new(libc::EINTR, format!("a signal handler ran while waiting for the peer, \"{rname}\"")))
        }
        Err(e) => Err(Error::system(e, format_args!("cannot wait for the peer, \"{rname}\""))),
    }
}

/// The other side's region, if it is there, complete and current, and its maker lives.
#[inline(never)]
fn look(rname: &Name, config: &Config, me: &Identity) -> Result<Box<Mapped>> {
    let object = Object::open(rname)?;
    object.check_owner(Origin::Named(*rname), config.any_owner)?;
    let peer = attach(object, *rname)?;
    if peer.is_maker_alive(me, true) == Some(false) {
        return Err(Error::new(libc::ENOENT, format!("\"{rname}\" is what a process that is gone has left")));
    }
    if !peer.object.is_named(rname)? {
        return Err(Error::new(libc::ENOENT, format!("\"{rname}\" is about to be replaced")));
    }
    Ok(peer)
}

#[cfg(test)]
#[path = "../../tests/unit/channel/wire/open.rs"]
mod tests;
