//! The handshake: each side makes its own region, says so by a semaphore of its name, and opens the
//! other's.
//!
//! VILLASnode's side trusts the semaphore. This side does not, as a crash leaves posts behind, and
//! regions: a post is a reason to look. The other's region is taken when it is complete, its maker
//! lives, the name leads to it, and the other is certain to come or has come: it has posted, or it
//! has this side's region open, to stay (`presence`). This side posts when it has seen such a
//! region, and again for another, since the first may have taken the post and died.
//!
//! A peer that posts, opens this side's region, and is gone before this side has looked has taken
//! this side's post, and has removed the name of its own semaphore: so with each other region the
//! semaphores are opened anew, too.
//!
//! What is left of this name by the dead is removed; what a live process of this library holds is
//! `EBUSY`. A region without a trailer under this side's own name is a leftover of a VILLASnode
//! program that was in this place: it is replaced, as VILLASnode does, even where another process
//! has it mapped, since that may be the other side, which survived.

use super::Wire;
use super::doorbell;
use super::liveness::{Mapped, WireLiveness};
use super::presence::Presence;
use crate::channel::config::Config;
use crate::channel::handle::{self, ChannelHandle};
use crate::error::{Error, Result};
use crate::layout::channel::MAGIC;
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

/// What the facts of a region are read from lies in here.
const FIRST_PAGE: u64 = 4096;
/// Between two looks at what no semaphore tells.
const SLICE: Duration = Duration::from_millis(20);
/// So long nobody has this side's region, whose name is gone, before that is told.
const ALONE: Duration = Duration::from_secs(1);

/// Bytes of a region of this library with these parameters; 0 means the default.
pub(crate) fn total_size(config: &Config) -> Result<u64> {
    Ok(WireFacts::new(config.polling, config.queuelen, config.samplelen)?.total_size())
}

/// Opens a channel: writes into the region of `wname`, reads from that of `rname`.
/// While it waits for the other side, `cancelled` is asked now and then.
pub(crate) fn open(
    wname: &OsStr,
    rname: &OsStr,
    config: &Config,
    limit: &Limit,
    cancelled: &dyn Fn() -> bool,
) -> Result<&'static ChannelHandle<Wire>> {
    if !cfg!(all(target_arch = "x86_64", target_os = "linux", target_env = "gnu")) {
        return Err(Error::new(
            libc::ENOTSUP,
            "VILLASnode's layout is known on x86-64 Linux with glibc only: use a channel of one region",
        ));
    }
    let (wname, rname) = (Name::new(wname)?, Name::new(rname)?);
    let facts = WireFacts::new(config.polling, config.queuelen, config.samplelen)?;
    handle::prepare::<Wire>()?;
    let me = Identity::mine();
    let own = make(wname, facts, config, &me)?;
    let peer = if wname == rname { None } else { Some(shake_hands(&own, rname, config, &me, limit, cancelled)?) };
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
            // The other side has come, and its region may wait for this one's samples.
            link.on_deserted();
            Err(e)
        }
    }
}

/// Makes this side's region.
#[inline(never)]
fn make(name: Name, facts: WireFacts, config: &Config, me: &Identity) -> Result<Box<Mapped>> {
    let mode = config.permission_bits()?;
    let object = Object::unnamed(facts.total_size(), mode, config.group)?;
    let mapping = Mapping::new(&object, facts.total_size() as usize)?;
    // SAFETY: the mapping is as long as the facts say and goes with the view.
    let view = unsafe { WireView::new(mapping.base(), facts) };
    view.initialise();
    view.fresh_trailer().holder().occupy(unix_time(), me);
    let region = Mapped::new(view, mapping, object, name);
    region.lock()?;
    let start = Instant::now();
    while !region.object.link(&name)? {
        clear(&name, config, me, start)?;
    }
    Ok(region)
}

/// Removes what the dead have left under the name of this side's region. If a rival is at it,
/// returns for another try; `start` is when the tries began.
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
        // VILLASnode, or a process of it that died, was at it; only its regions are not paid for.
        Err(e) if matches!(e.errno(), libc::EAGAIN | libc::ENOSPC) => return unlink(name),
        Err(e) => return Err(e),
    };
    if let Some(maker) = found.maker() {
        if found.is_maker_alive(me, true) != Some(false) {
            let message = format!("\"{name}\" is written by {}, which is alive", maker.described_to(me));
            return Err(Error::new(libc::EBUSY, message));
        }
    }
    // Two that find the same leftover: the second would remove what the first has put in its place.
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

/// Maps a region that any program may have made and checks it. `EAGAIN`: its maker is still at
/// work.
#[inline(never)]
fn attach(object: Object, name: Name) -> Result<Box<Mapped>> {
    let size = object.size();
    let length = usize::try_from(size).map_err(|_| Error::corrupt("the region is larger than the address space"))?;
    if length == 0 {
        return Err(Error::new(libc::EAGAIN, format!("the region \"{name}\" is not ready yet: the object has no size so far")));
    }
    // VILLASnode does not pay for its regions. All of one is paid for here only when it turns out
    // to be one.
    object.allocate(size.min(FIRST_PAGE))?;
    let mapping = Mapping::new(&object, length)?;
    // SAFETY: so many bytes are mapped.
    let facts =
        unsafe { WireFacts::read(mapping.base(), size) }.map_err(|e| Error::new(e.errno(), format!("\"{name}\": {e}")))?;
    object.allocate(size)?;
    // SAFETY: the facts were checked against the length of the mapping, which goes with the view.
    let view = unsafe { WireView::new(mapping.base(), facts) };
    Ok(Mapped::new(view, mapping, object, name))
}

/// Makes the two sides known to each other. Leaves nothing behind when it fails.
#[inline(never)]
fn shake_hands(
    own: &Mapped,
    rname: Name,
    config: &Config,
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
    match outcome {
        Ok(peer) => {
            semaphore::unlink(&wname);
            Ok(peer)
        }
        Err(e) => {
            if let Some(posts) = &posts {
                posts.mine.drain();
            }
            drop(posts);
            // Another may have attached already, and would wait for samples without end.
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
/// This side's post lies there only while a live region of the other side does, one for each: a
/// peer that finds the post of a dead process goes into the dead process's region.
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
    // What a predecessor has posted and nobody has taken would let the other into what is no more.
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
            // A peer that came since the wait has posted to the semaphores of before, and removed
            // the name of its own.
            has_posted |= posts.theirs.take();
            // The former peer may have taken the post, and removed the names of the semaphores with
            // its own end.
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
            // A VILLASnode's region says nothing of its maker: an observer of what a dead one has
            // left is no peer.
            Ok(peer) if !has_come && !peer.is_ours() && maker.ask(&peer) == Some(false) => {
                "its maker was not seen to live".into()
            }
            Ok(peer) if has_posted || has_come => return Ok(peer),
            Ok(_) => "it is there, but busy with another peer".into(),
            // None so far, or what a maker is at work on, or another is about to replace. The post
            // was of a process that is no more: a maker posts after its region is there.
            Err(e) if matches!(e.errno(), libc::ENOENT | libc::EAGAIN | libc::EBADMSG) => {
                has_posted = false;
                e.to_string()
            }
            // What the system says does not pass by itself.
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

/// Waits for the other's post. `false`: the time is over.
fn wait_for_post(posts: &Posts, rname: &Name, limit: Duration) -> Result<bool> {
    match posts.theirs.wait(limit) {
        Ok(posted) => Ok(posted),
        Err(nix::errno::Errno::EINTR) => {
            Err(Error::new(libc::EINTR, format!("a signal handler ran while waiting for the peer, \"{rname}\"")))
        }
        Err(e) => Err(Error::system(e, format_args!("cannot wait for the peer, \"{rname}\""))),
    }
}

/// The region of the other side, if it is there, complete, current, and of a maker that lives.
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
