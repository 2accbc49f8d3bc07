//! A ring that is open in this process, and everything that can be done with it.
//!
//! Handles live in memory whose type is stable, as those of channels do (`channel::handle`): a call
//! on a handle that another thread or a signal handler has closed finds a closed gate.

use super::buffers::{ToFill, ToPush};
use super::core::Core;
use super::liveness::{End, RingHint, RingLiveness};
use super::stats::RingStats;
use super::transfer::{
    Tried, attempt_past_the_dead, get_and_notify, get_many, get_next, not_peeked, not_reserved, peek, put_and_notify, put_many,
    put_next, reserve,
};
use crate::error::{Error, Result};
use crate::layout::ring::{RingBell, RingView};
use crate::memory::slab::{Reused, Slab};
use crate::memory::tag::{HandleKind, Tag};
use crate::protocol::doorbell::QUICK_LOOKS;
use crate::protocol::gate::{Gate, Pass};
use crate::protocol::ring_words::Role;
use crate::readiness::{Polled, PolledPart, Wish};
use crate::sys::{barrier, fork};
use crate::waiting::{self, Attempt, Limit};
use std::ffi::c_void;
use std::sync::atomic::{AtomicBool, Ordering::Relaxed};

/// An open ring; the C interface knows it by its address.
#[repr(C)]
pub(crate) struct RingHandle {
    tag: Tag,
    /// Closed with its endpoint, which would else go on with whatever ring has this handle next.
    is_endpoints: AtomicBool,
    pub(super) gate: Gate<RingLiveness, Core>,
    pub(super) polled: PolledPart,
}

/// Looks of a sole consumer for its message. Each is hardly more than a load, so that more of them
/// than of other looks pass in the time in which a busy peer answers.
const LOOKS: u32 = 4 * QUICK_LOOKS;

impl Reused for RingHandle {
    fn claim(&self) -> bool {
        self.gate.claim()
    }
    fn unclaim(&self) {
        self.gate.unclaim();
    }
}

static HANDLES: Slab<RingHandle> = Slab::new();

/// In the child of a fork: the rings are the parent's.
fn in_child() {
    for handle in HANDLES.iter() {
        handle.gate.abandon();
        handle.polled.abandon();
    }
}

/// Done, or the `errno` for which it was not: `EAGAIN`, `ETIMEDOUT`, `EINTR`.
pub(crate) type Outcome<T> = std::result::Result<T, i32>;

impl RingHandle {
    /// Registers this process for asymmetric fences and forks. Before a region is used.
    pub(crate) fn prepare() -> Result<()> {
        barrier::register();
        fork::on_child(in_child)
    }

    /// Makes a handle of a place that has been taken.
    // In boxes on the way, as `RingRegion`.
    #[allow(clippy::boxed_local)]
    #[inline(never)]
    pub(crate) fn new(liveness: Box<RingLiveness>, end: Box<End>) -> &'static RingHandle {
        let make = || RingHandle {
            tag: Tag::default(),
            is_endpoints: AtomicBool::new(false),
            gate: Gate::new(),
            polled: PolledPart::default(),
        };
        let handle = HANDLES.take(make);
        handle.tag.mark(HandleKind::Ring);
        handle.is_endpoints.store(false, Relaxed);
        handle.polled.reset();
        handle.gate.fill(*liveness, Core::new(*end));
        handle
    }

    /// From now on it is an endpoint's, and closed with it alone.
    pub(crate) fn join_endpoint(&self) {
        self.is_endpoints.store(true, Relaxed);
    }

    /// Closes a ring that is not an endpoint's. Async-signal-safe, as [`RingHandle::close`].
    pub(crate) fn close_alone(&self) -> Result<()> {
        self.check_alone()?;
        self.close()
    }

    fn check_alone(&self) -> Result<()> {
        if self.is_endpoints.load(Relaxed) && !self.gate.is_closed() {
            return Err(Error::invalid("this ring is an endpoint's: close that"));
        }
        Ok(())
    }

    /// The handle at `pointer`, if there is one.
    ///
    /// # Safety
    /// `pointer` leads to readable memory as large as a [`Tag`], aligned as one.
    #[inline(always)]
    pub(crate) unsafe fn at(pointer: *const c_void) -> Option<&'static RingHandle> {
        // SAFETY: as the caller promises.
        let is_one = unsafe { &*pointer.cast::<Tag>() }.is(HandleKind::Ring);
        // SAFETY: only rings have this tag, and they live for ever.
        is_one.then(|| unsafe { &*pointer.cast::<RingHandle>() })
    }

    pub(crate) fn look<R>(&self, look: impl FnOnce(&RingLiveness) -> R) -> Option<R> {
        Some(self.gate.visit()?.with(look))
    }

    #[cold]
    fn closed(&self) -> Error {
        Error::new(libc::EPIPE, "this ring is closed in this process (or belongs to the parent that forked it)")
    }

    #[inline(always)]
    pub(super) fn enter(&self) -> Result<Pass<'_, RingLiveness, Core>> {
        match self.gate.enter(false) {
            Some(pass) => Ok(pass),
            None => Err(self.closed()),
        }
    }

    /// Publishes a message by the fast path, that of a sole producer that knows of room. `false`:
    /// nothing was done; take another path.
    #[inline(always)]
    pub(crate) fn push_fast(&self, message: ToPush) -> bool {
        let Some(mut turn) = self.gate.enter_as_owner() else { return false };
        let (liveness, core) = turn.parts();
        let Core::Producer(ring, false) = core else { return false };
        let is_possible = liveness.has_tenure() && ring.known_room() > 0;
        if is_possible {
            put_next(liveness.view(), ring, message);
            liveness.notify(RingBell::Data);
        }
        is_possible
    }

    /// Takes a message by the fast path, that of a sole consumer; `waits`: looks for a short while
    /// whether one comes, as a peer that is at work answers within it. `false`: nothing was done;
    /// take another path.
    #[inline(always)]
    pub(crate) fn pop_fast(&self, waits: bool, room: ToFill) -> bool {
        let Some(mut turn) = self.gate.enter_as_owner() else { return false };
        let (liveness, core) = turn.parts();
        let Core::Consumer(ring, false) = core else { return false };
        let looks = if waits { LOOKS } else { 1 };
        // Whether the place is still this process's is asked behind the looks, as anybody may have
        // taken it over meanwhile.
        let is_possible = ring.comes(liveness.view(), looks) && liveness.has_tenure();
        if is_possible {
            get_next(liveness.view(), ring, room);
            liveness.notify(RingBell::Room);
        }
        is_possible
    }

    /// Makes attempts after [`RingHandle::attempt_fast`] has found nothing.
    #[inline(never)]
    fn attempt_slow<T>(
        &self,
        limit: &Limit,
        mut attempt: impl FnMut(&RingLiveness, &mut Core) -> Result<Tried<T>>,
    ) -> Result<Outcome<T>> {
        // A call that came before a close may have its first turn after it, when `abandon` has
        // settled what was out: nothing may be claimed any more. The lock of the turn orders the
        // two.
        let mut try_once = |liveness: &RingLiveness, core: &mut Core| {
            if self.gate.is_closed() { Err(self.closed()) } else { attempt(liveness, core) }
        };
        let mut attempt = |liveness: &RingLiveness, core: &mut Core, is_about_to_sleep: bool| {
            liveness.check_tenure()?;
            Ok(match attempt_past_the_dead(liveness, core, is_about_to_sleep, &mut try_once)? {
                Ok(done) => Attempt::Done(done),
                Err(hint) => Attempt::Wait((hint, core.bell())),
            })
        };
        let mut pass = self.enter()?;
        let done = if matches!(limit, Limit::Now) {
            let (liveness, core) = pass.parts();
            let done = attempt(liveness, core, false);
            drop(pass);
            done.map(|done| match done {
                Attempt::Done(done) => Ok(done),
                Attempt::Wait(_) => Err(libc::EAGAIN),
            })
        } else {
            waiting::repeat(limit, pass, || self.closed(), &mut attempt)
        };
        if self.polled.is_on() { self.settle(done, |liveness, core| attempt(liveness, core, false)) } else { done }
    }

    /// Makes an attempt, by the fast path: without a lock, in the turn of the thread that owns the
    /// gate. `waits`: when there is nothing yet, looks for a short while whether something comes,
    /// as a peer that is at work answers within it. `None`: take the slow path.
    #[inline(always)]
    fn attempt_fast<T>(
        &self,
        limit: &Limit,
        waits: bool,
        mut try_once: impl FnMut(&RingLiveness, &mut Core) -> Result<Tried<T>>,
    ) -> Result<Option<Outcome<T>>> {
        let Some(mut turn) = self.gate.enter_as_owner() else { return Ok(None) };
        let (liveness, core) = turn.parts();
        let mut looked = !waits;
        while liveness.has_tenure() {
            match try_once(liveness, core)? {
                Ok(done) => return Ok(Some(Ok(done))),
                // Where each role has one end, no claim of the dead can be in the way.
                Err(RingHint::Message(..) | RingHint::Head(_)) if matches!(limit, Limit::Now) && !self.polled.is_on() => {
                    return Ok(Some(Err(libc::EAGAIN)));
                }
                Err(hint) if looked || !liveness.changes_soon(hint, core.bell()) => break,
                Err(_) => looked = true,
            }
        }
        Ok(None)
    }

    /// Publishes a message.
    #[inline(always)]
    pub(crate) fn push(&self, limit: &Limit, message: ToPush) -> Result<Outcome<()>> {
        if self.push_fast(message) { Ok(Ok(())) } else { self.push_slow(limit, message) }
    }

    /// What [`RingHandle::push_fast`] could not do: waits, and finds out why.
    #[inline(never)]
    pub(crate) fn push_slow(&self, limit: &Limit, message: ToPush) -> Result<Outcome<()>> {
        match self.attempt_fast(limit, false, |liveness, core| put_and_notify(liveness, core, message))? {
            Some(done) => Ok(done),
            None => self.attempt_slow(limit, |liveness, core| put_and_notify(liveness, core, message)),
        }
    }

    /// Takes a message.
    #[inline(always)]
    pub(crate) fn pop(&self, limit: &Limit, room: ToFill) -> Result<Outcome<()>> {
        if self.pop_fast(!matches!(limit, Limit::Now), room) { Ok(Ok(())) } else { self.pop_slow(limit, room) }
    }

    /// What [`RingHandle::pop_fast`] could not do: waits, and finds out why.
    #[inline(never)]
    pub(crate) fn pop_slow(&self, limit: &Limit, room: ToFill) -> Result<Outcome<()>> {
        match self.attempt_fast(limit, !matches!(limit, Limit::Now), |liveness, core| get_and_notify(liveness, core, room))? {
            Some(done) => Ok(done),
            None => self.attempt_slow(limit, |liveness, core| get_and_notify(liveness, core, room)),
        }
    }

    /// Publishes up to `most` messages, as many as fit.
    #[inline(never)]
    pub(crate) fn push_many(&self, most: usize, messages: ToPush) -> Result<Outcome<usize>> {
        if most == 0 {
            return Ok(Ok(0));
        }
        match self.attempt_fast(&Limit::Now, false, |liveness, core| put_many(liveness, core, most, messages))? {
            Some(done) => Ok(done),
            None => self.attempt_slow(&Limit::Now, |liveness, core| put_many(liveness, core, most, messages)),
        }
    }

    /// Takes up to `most` messages, as many as there are.
    #[inline(never)]
    pub(crate) fn pop_many(&self, most: usize, room: ToFill) -> Result<Outcome<usize>> {
        if most == 0 {
            return Ok(Ok(0));
        }
        match self.attempt_fast(&Limit::Now, false, |liveness, core| get_many(liveness, core, most, room))? {
            Some(done) => Ok(done),
            None => self.attempt_slow(&Limit::Now, |liveness, core| get_many(liveness, core, most, room)),
        }
    }

    /// Where the next message may be written, until it is committed or aborted.
    #[inline(always)]
    pub(crate) fn reserve(&self, limit: &Limit) -> Result<Outcome<*mut u8>> {
        match self.attempt_fast(limit, false, reserve)? {
            Some(done) => Ok(done),
            None => self.attempt_slow(limit, reserve),
        }
    }

    /// Where the oldest message is, until it is released.
    #[inline(always)]
    pub(crate) fn peek(&self, limit: &Limit) -> Result<Outcome<*mut u8>> {
        match self.attempt_fast(limit, !matches!(limit, Limit::Now), peek)? {
            Some(done) => Ok(done),
            None => self.attempt_slow(limit, peek),
        }
    }

    /// Publishes what was written to a reserved slot. Also after a close.
    #[inline(always)]
    pub(crate) fn commit(&self, address: usize) -> Result<()> {
        self.give_back(|liveness, core| {
            let view = liveness.view();
            match core {
                Core::Producer(ring, is_reserved @ true) if address == view.message(ring.index()) as usize => {
                    *is_reserved = false;
                    liveness.check_tenure()?;
                    ring.publish(view, 1);
                }
                Core::Shared { role: Role::Producer, out } => {
                    out.remove(view, address).ok_or_else(not_reserved)?.publish(view)?;
                }
                _ => return Err(not_reserved()),
            }
            liveness.notify(RingBell::Data);
            Ok(())
        })
    }

    /// Gives up a reserved slot. Also after a close.
    pub(crate) fn abort(&self, address: usize) -> Result<()> {
        self.give_back(|liveness, core| {
            let view = liveness.view();
            match core {
                Core::Producer(ring, is_reserved @ true) if address == view.message(ring.index()) as usize => {
                    *is_reserved = false;
                    liveness.check_tenure()?;
                }
                Core::Shared { role: Role::Producer, out } => {
                    out.remove(view, address).ok_or_else(not_reserved)?.abort(view)?;
                    // It may have been in the way of messages behind it, or be room now.
                    liveness.ring_all();
                }
                _ => return Err(not_reserved()),
            }
            Ok(())
        })
    }

    /// Gives a slot back that was peeked at. Also after a close.
    #[inline(always)]
    pub(crate) fn release(&self, address: usize) -> Result<()> {
        self.give_back(|liveness, core| {
            let view = liveness.view();
            match core {
                Core::Consumer(ring, is_peeked @ true) if address == view.message(ring.index()) as usize => {
                    *is_peeked = false;
                    liveness.check_tenure()?;
                    ring.release(view, 1);
                }
                Core::Shared { role: Role::Consumer, out } => {
                    out.remove(view, address).ok_or_else(not_peeked)?.release(view)?;
                }
                _ => return Err(not_peeked()),
            }
            liveness.notify(RingBell::Room);
            Ok(())
        })
    }

    /// `work` notes first that the slot is not out any more, as the region is let go whatever has
    /// become of it. A sole end asks then whether the place is still this process's. Where several
    /// may be, nobody has to: a claim that was given up has another word, and of one that was not,
    /// a late end is as good as any.
    #[inline(always)]
    fn give_back(&self, work: impl FnOnce(&RingLiveness, &mut Core) -> Result<()>) -> Result<()> {
        let Some(mut pass) = self.gate.enter(true) else { return Err(self.closed()) };
        let (liveness, core) = pass.parts();
        work(liveness, core)
    }

    /// Messages that can be taken, and messages that fit; what this handle has reserved or peeked
    /// at is neither.
    pub(crate) fn fill(&self) -> Result<(u32, u32)> {
        let mut pass = self.enter()?;
        let (liveness, core) = pass.parts();
        core.fill(liveness.view())
    }

    /// Where the mapping, and what in it, is; for the length of a call, or while a slot is out.
    pub(crate) fn view(&self) -> Result<RingView> {
        let visit = self.gate.visit().ok_or_else(|| self.closed())?;
        Ok(visit.with(|liveness| *liveness.view()))
    }

    pub(crate) fn role(&self) -> Result<Role> {
        Ok(self.enter()?.parts().1.role())
    }

    pub(crate) fn stats(&self) -> Result<RingStats> {
        let mut pass = self.enter()?;
        let (liveness, core) = pass.parts();
        let (pending, available) = core.fill(liveness.view())?;
        let counters = liveness.view().counters();
        let [producers, consumers] = liveness.count_living();
        Ok(RingStats {
            pending: u64::from(pending),
            available: u64::from(available),
            skipped: counters.skipped.get(),
            lost: counters.lost.get(),
            waits: counters.waits.get(),
            wakeups: counters.wakeups.get(),
            producers,
            consumers,
            region_size: liveness.view().facts().total_size,
        })
    }

    /// Changes permission bits and owner of the shared memory object; `None`: as it is.
    pub(crate) fn set_permissions(&self, permissions: Option<u32>, uid: Option<u32>, gid: Option<u32>) -> Result<()> {
        crate::segment::check_permissions(permissions.unwrap_or(0))?;
        let visit = self.gate.visit().ok_or_else(|| self.closed())?;
        visit.with(|liveness| liveness.region.object.set(permissions, uid, gid))
    }

    /// Ends the waits that have begun, or else the next one. Async-signal-safe.
    pub(crate) fn interrupt(&self) -> Result<()> {
        let visit = self.gate.visit().ok_or_else(|| self.closed())?;
        visit.with(RingLiveness::interrupt);
        Ok(())
    }

    /// Closes the ring in this process: marks, wakes, takes no lock. Async-signal-safe. The region
    /// is unmapped when the last call has left and the last slot is given back.
    pub(crate) fn close(&self) -> Result<()> {
        let visit = self.gate.visit().ok_or_else(closed_already)?;
        if !visit.close() {
            return Err(closed_already());
        }
        visit.with(RingLiveness::ring_all);
        visit.with(|liveness| [Wish::Read, Wish::Write].map(|wish| liveness.raise(wish)));
        self.polled.await_helpers();
        Ok(())
    }

    /// Closes a ring that is not an endpoint's, and gives back what is reserved or peeked at. Takes
    /// a turn: not async-signal-safe.
    pub(crate) fn abandon_alone(&self) -> Result<()> {
        self.check_alone()?;
        self.abandon()
    }

    /// Closes the ring, and gives back what is reserved or peeked at: as a death would, except that
    /// nobody has to find out. A message that was peeked at in an SPSC ring stays for the next
    /// consumer.
    pub(crate) fn abandon(&self) -> Result<()> {
        // As long as this visit lasts, the gate is not cleared, and what is behind it is what is
        // closed here.
        let _visit = self.gate.visit().ok_or_else(closed_already)?;
        self.close()?;
        let Some(mut pass) = self.gate.enter(true) else { return Ok(()) };
        let (liveness, core) = pass.parts();
        match core {
            Core::Producer(_, is_out) | Core::Consumer(_, is_out) => *is_out = false,
            Core::Shared { role, out } => {
                let count = out.remove_all(|ticket| {
                    // An error: others have given it up.
                    let _ = match role {
                        Role::Producer => ticket.abort(liveness.view()),
                        Role::Consumer => ticket.release(liveness.view()),
                    };
                });
                if count > 0 {
                    liveness.ring_all();
                }
            }
        }
        Ok(())
    }
}

#[cold]
fn closed_already() -> Error {
    Error::invalid("this ring is closed already")
}
