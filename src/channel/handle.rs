//! A channel that is open in this process, and all its operations.
//!
//! Handles live in type-stable memory (`memory::slab`): a later open reuses a closed handle, and
//! none is freed. So a call on a handle that another thread or a signal handler has closed finds a
//! closed gate. A late `put` finds its pool by address until the last sample is put.

use super::backend::{Backend, KnownPeer, Liveness};
use super::config::Config;
use super::count::{Count, counted};
use super::registry::Registry;
use super::stats::Stats;
use crate::error::{Error, Result};
use crate::layout::sample::Raw;
use crate::memory::slab::Reused;
use crate::memory::tag::Tag;
use crate::protocol::gate::{Common, Gate, Pass};
use crate::readiness::{Polled, PolledPart, Wish};
use crate::sys::{barrier, fork};
use crate::waiting::{self, Attempt, Limit, Watched};
use std::ffi::c_void;
use std::sync::atomic::{AtomicI32, Ordering::Relaxed};

/// The part of a [`ChannelHandle`] that a C program sees: `struct shmem_shared`. Its fields are
/// atomics because handles are reused.
#[repr(C)]
#[derive(Default)]
pub(crate) struct CPart {
    channel: Tag,
    polling: AtomicI32,
}

/// An open channel. Its address identifies it to [`ChannelHandle::find`] and the C interface.
#[repr(C)]
pub(crate) struct ChannelHandle<E: Backend> {
    c_part: CPart,
    pub(super) gate: Gate<E::Liveness, E>,
    pub(super) polled: PolledPart,
}

/// Registers this process for asymmetric fences and forks. Must precede the use of a region.
pub(crate) fn prepare<E: Registered>() -> Result<()> {
    barrier::register();
    fork::on_child(in_child::<E>)
}

/// In the child of a fork, the channels belong to the parent. A function and no closure, as hooks
/// are told apart by their addresses, and a closure may have several.
fn in_child<E: Registered>() {
    for handle in E::registry().handles.iter() {
        handle.gate.abandon();
        handle.polled.abandon();
    }
}

/// A layout whose handles have a registry.
pub(crate) trait Registered: Backend {
    fn registry() -> &'static Registry<ChannelHandle<Self>>;
}

/// What a wait on this backend looks at.
pub(super) type HintOf<E> = <<E as Backend>::Liveness as Watched>::Hint;

impl<E: Backend> Reused for ChannelHandle<E> {
    fn claim(&self) -> bool {
        self.gate.claim()
    }
    fn unclaim(&self) {
        self.gate.unclaim();
    }
}

impl<E: Registered> ChannelHandle<E> {
    /// Makes a handle of a side that has been taken over.
    // Passed in boxes, as for `Region`.
    #[allow(clippy::boxed_local)]
    #[inline(never)]
    pub(crate) fn new(liveness: Box<E::Liveness>, backend: Box<E>) -> Result<&'static ChannelHandle<E>> {
        let registry = E::registry();
        let make = || ChannelHandle { c_part: CPart::default(), gate: Gate::new(), polled: PolledPart::default() };
        let handle = registry.handles.take(make);
        for (base, length) in liveness.spans() {
            if !registry.pools.set(base, length, handle) {
                liveness.on_deserted();
                handle.gate.unclaim();
                return Err(Error::new(
                    libc::ENOMEM,
                    "no memory for a table of addresses, or the region is mapped beyond those that this library serves",
                ));
            }
        }
        handle.c_part.polling.store(i32::from(liveness.is_polling()), Relaxed);
        handle.c_part.channel.mark(E::KIND);
        handle.polled.reset();
        handle.gate.fill(*liveness, *backend);
        Ok(handle)
    }

    /// The channel whose region contains `address`.
    #[inline(always)]
    pub(crate) fn find(address: usize) -> Option<&'static ChannelHandle<E>> {
        E::registry().pools.get(address)
    }
}

impl<E: Backend> ChannelHandle<E> {
    /// The handle at `address`, if there is one.
    ///
    /// # Safety
    /// `pointer` leads to readable memory as large as a [`Tag`], aligned as one.
    #[inline(always)]
    pub(crate) unsafe fn at(pointer: *const c_void) -> Option<&'static ChannelHandle<E>> {
        // SAFETY: as the caller promises.
        let is_one = unsafe { &*pointer.cast::<Tag>() }.is(E::KIND);
        // SAFETY: only handles of this layout have its tag, and they live forever.
        is_one.then(|| unsafe { &*pointer.cast::<ChannelHandle<E>>() })
    }

    pub(super) fn closed(&self) -> Error {
        Error::new(libc::EPIPE, "this channel is closed in this process (or belongs to the parent that forked it)")
    }

    #[inline(always)]
    pub(super) fn enter(&self) -> Result<Pass<'_, E::Liveness, E>> {
        match self.gate.enter(false) {
            Some(pass) => Ok(pass),
            None => Err(self.closed()),
        }
    }

    pub(crate) fn look<R>(&self, look: impl FnOnce(&E::Liveness) -> R) -> Option<R> {
        Some(self.gate.visit()?.with(look))
    }

    /// As [`waiting::repeat`]. Checks before each attempt that this process still holds its side,
    /// and before each wait that the wait can end.
    fn repeat<T>(
        &self,
        limit: &Limit,
        pass: Pass<'_, E::Liveness, E>,
        mut attempt: impl FnMut(&E::Liveness, &mut E) -> Result<Attempt<T, HintOf<E>>>,
    ) -> Result<std::result::Result<T, i32>> {
        waiting::repeat(limit, pass, || self.closed(), |liveness, backend, _| checked(liveness, backend, &mut attempt))
    }

    /// Receives up to `most` samples by the fast path, which does only the work of the usual case.
    /// `patient`: looks for a sample for a short while. 0: take the slow path,
    /// [`ChannelHandle::read_slow`], which also finds out what is unusual.
    #[inline(always)]
    pub(crate) fn read_fast(&self, most: usize, patient: bool, mut give: impl FnMut(usize, Raw)) -> Result<usize> {
        let Some(mut turn) = self.gate.enter_as_owner() else { return Ok(0) };
        let (liveness, backend) = turn.parts();
        let mut give = |at, raw: Raw| {
            raw.expect_reader();
            give(at, raw);
        };
        let mut looked = !patient;
        while liveness.has_tenure() {
            let count = backend.read(most, &mut give)?;
            if count > 0 || looked || !backend.has_input_soon() {
                return Ok(count);
            }
            looked = true;
        }
        Ok(0)
    }

    /// Receives up to `most` samples.
    #[inline(always)]
    pub(crate) fn read(&self, most: usize, limit: &Limit, mut give: impl FnMut(usize, Raw)) -> Result<Count> {
        match self.read_fast(most, !matches!(limit, Limit::Now), &mut give)? {
            0 => self.read_slow(most, limit, give),
            count => Ok(Count { count, why: 0 }),
        }
    }

    /// The slow path of [`ChannelHandle::read`]: waits for a sample, and finds out whether one can
    /// come.
    #[inline(never)]
    pub(crate) fn read_slow(&self, most: usize, limit: &Limit, mut give: impl FnMut(usize, Raw)) -> Result<Count> {
        let pass = self.enter()?;
        if most == 0 {
            return Ok(Count { count: 0, why: 0 });
        }
        let patient = !matches!(limit, Limit::Now);
        let mut attempt = |liveness: &E::Liveness, backend: &mut E| {
            let count = backend.read(most, &mut give)?;
            if count > 0 {
                return Ok(Attempt::Done(count));
            }
            if !patient {
                liveness.pace().probe_now_and_then(liveness);
            }
            if liveness.peer() == KnownPeer::Gone {
                // What the peer wrote before its end may have come after the read above (S2).
                let count = backend.read_last(most, &mut give)?;
                return if count > 0 { Ok(Attempt::Done(count)) } else { Err(liveness.end()) };
            }
            if liveness.peer() == KnownPeer::Never {
                if let Some(e) = liveness.replaced() {
                    return Err(e);
                }
            }
            Ok(Attempt::Wait(backend.entry_hint()))
        };
        let done = self.repeat(limit, pass, &mut attempt);
        Ok(match self.settle(Wish::Read, done, attempt)? {
            Ok(count) => Count { count, why: 0 },
            Err(why) => Count { count: 0, why },
        })
    }

    /// Sends `count` samples, whose addresses `address` gives, by the fast path; returns how many.
    /// If fewer, continue on the slow path, [`ChannelHandle::write_slow`].
    #[inline(always)]
    pub(crate) fn write_fast(&self, count: usize, address: impl FnMut(usize) -> usize) -> usize {
        let Some(mut turn) = self.gate.enter_as_owner() else { return 0 };
        let (liveness, backend) = turn.parts();
        if !liveness.has_tenure() || liveness.peer() == KnownPeer::Gone {
            return 0;
        }
        let (sent, _) = backend.write(0, count, address);
        if sent > 0 {
            backend.notify_data(liveness);
        }
        sent
    }

    /// Sends `count` samples, whose addresses `address` gives, and waits for room for at most
    /// `limit`.
    #[inline(always)]
    pub(crate) fn write(&self, count: usize, limit: &Limit, mut address: impl FnMut(usize) -> usize) -> Result<Count> {
        let sent = self.write_fast(count, &mut address);
        if sent == count {
            return Ok(Count { count, why: 0 });
        }
        self.write_slow(sent, count, limit, address)
    }

    /// The slow path of [`ChannelHandle::write`]: continues after `sent` samples, waits for room,
    /// and finds out whether the peer is still there.
    #[inline(never)]
    pub(crate) fn write_slow(
        &self,
        mut sent: usize,
        count: usize,
        limit: &Limit,
        mut address: impl FnMut(usize) -> usize,
    ) -> Result<Count> {
        let mut attempt = |liveness: &E::Liveness, backend: &mut E| {
            let before = sent;
            let outcome = loop {
                if liveness.peer() == KnownPeer::Gone {
                    break Err(liveness.end());
                }
                let result;
                (sent, result) = backend.write(sent, count, &mut address);
                match result {
                    Err(e) => break Err(e),
                    Ok(()) if sent == count => break Ok(Attempt::Done(())),
                    Ok(()) => {}
                }
                liveness.pace().probe_now_and_then(liveness);
                if liveness.peer() != KnownPeer::Gone {
                    break Ok(Attempt::Wait(backend.room_hint()));
                }
            };
            if sent != before {
                backend.notify_data(liveness);
            }
            outcome
        };
        let done = self.enter().and_then(|pass| self.repeat(limit, pass, &mut attempt));
        let done = self.settle(Wish::Write, done, attempt);
        counted(sent, done)
    }

    /// Hands out up to `most` empty samples by the fast path; returns how many. If fewer, continue
    /// on the slow path, [`ChannelHandle::alloc_slow`].
    #[inline(always)]
    pub(crate) fn alloc_fast(&self, most: usize, give: impl FnMut(usize, Raw)) -> usize {
        let Some(mut turn) = self.gate.enter_as_owner() else { return 0 };
        let (liveness, backend) = turn.parts();
        if liveness.has_tenure() { backend.alloc(most, give) } else { 0 }
    }

    /// Hands out `most` empty samples, and waits for them for at most `limit`.
    #[inline(always)]
    pub(crate) fn alloc(&self, most: usize, limit: &Limit, mut give: impl FnMut(usize, Raw)) -> Result<Count> {
        let count = self.alloc_fast(most, &mut give);
        if count == most && most > 0 {
            return Ok(Count { count, why: 0 });
        }
        self.alloc_slow(count, most, limit, give)
    }

    /// The slow path of [`ChannelHandle::alloc`]: waits for blocks, after `count` have been handed
    /// out.
    #[inline(never)]
    pub(crate) fn alloc_slow(
        &self,
        mut count: usize,
        most: usize,
        limit: &Limit,
        mut give: impl FnMut(usize, Raw),
    ) -> Result<Count> {
        let patient = !matches!(limit, Limit::Now);
        let mut take = |backend: &mut E| {
            let before = count;
            count += backend.alloc(most - before, |at, sample| give(before + at, sample));
            count == most
        };
        let mut attempt = |liveness: &E::Liveness, backend: &mut E| {
            // Look at the peer first: if it is gone, the blocks that it gave back before its end are
            // available afterwards (S2).
            if !patient && E::IS_POOL_SHORT {
                liveness.pace().probe_now_and_then(liveness);
            }
            let is_gone = liveness.peer() == KnownPeer::Gone && (patient || E::IS_POOL_SHORT);
            if take(backend) {
                return Ok(Attempt::Done(()));
            }
            if is_gone { Err(liveness.end()) } else { Ok(Attempt::Wait(liveness.block_hint())) }
        };
        let done = self.enter().and_then(|pass| self.repeat(limit, pass, &mut attempt));
        let done = self.settle(Wish::Write, done, attempt);
        counted(count, done)
    }

    /// Waits until there is a live peer.
    pub(crate) fn wait(&self, limit: &Limit) -> Result<()> {
        let done = self.repeat(limit, self.enter()?, |liveness, _| {
            // Loaded before the look, so that a peer that comes after the look is another one.
            let hint = liveness.peer_hint();
            if matches!(liveness.peer(), KnownPeer::Present(_)) && liveness.probe_peer() {
                return Ok(Attempt::Done(()));
            }
            if let Some(e) = liveness.replaced() {
                return Err(e);
            }
            if liveness.peer() == KnownPeer::Gone && liveness.is_final() {
                return Err(liveness.end());
            }
            Ok(Attempt::Wait(hint))
        })?;
        match done {
            Ok(()) => Ok(()),
            Err(libc::EINTR) => Err(Error::new(libc::EINTR, "a signal handler ran, or the wait was interrupted")),
            Err(why) => Err(Error::new(why, "no peer has attached within the time")),
        }
    }

    /// The parameters of the region; the defaults if the channel is closed.
    pub(crate) fn config(&self) -> Config {
        self.gate.enter(true).map_or_else(Config::default, |mut pass| pass.parts().0.config())
    }

    /// Address and length of the regions in this process, its own first; zeros if the channel is
    /// closed.
    pub(crate) fn spans(&self) -> [(usize, usize); 2] {
        self.look(E::Liveness::spans).unwrap_or_default()
    }

    pub(crate) fn is_peer_alive(&self) -> Result<bool> {
        self.look(E::Liveness::probe_peer).ok_or_else(|| self.closed())
    }

    pub(crate) fn stats(&self) -> Result<Stats> {
        let mut pass = self.enter()?;
        let (liveness, backend) = pass.parts();
        Ok(backend.stats(liveness))
    }

    /// Ends the waits that have begun, or else the next one. Async-signal-safe.
    pub(crate) fn interrupt(&self) -> Result<()> {
        let interrupt = |liveness: &E::Liveness| {
            liveness.interrupts().raise();
            liveness.notify_own();
        };
        self.look(interrupt).ok_or_else(|| self.closed())
    }

    /// Closes the channel in this process: marks it and wakes the waiters, without a lock.
    /// Async-signal-safe. The region is unmapped when the last call has left and the last sample is
    /// put.
    pub(crate) fn close(&self) -> Result<()> {
        let already = || Error::invalid("this channel is closed already");
        let visit = self.gate.visit().ok_or_else(already)?;
        visit.with(E::Liveness::before_close);
        if !visit.close() {
            return Err(already());
        }
        // The waiters leave; the last one stores in the region that this side has closed.
        visit.with(E::Liveness::notify_own);
        visit.with(|liveness| [Wish::Read, Wish::Write].map(|wish| liveness.raise(wish)));
        self.polled.await_helpers();
        Ok(())
    }
}

/// Makes an attempt, if this process still holds its side. An attempt that has to wait fails if the
/// wait cannot end.
pub(super) fn checked<E: Backend, T>(
    liveness: &E::Liveness,
    backend: &mut E,
    attempt: &mut impl FnMut(&E::Liveness, &mut E) -> Result<Attempt<T, HintOf<E>>>,
) -> Result<Attempt<T, HintOf<E>>> {
    liveness.check_tenure()?;
    let outcome = attempt(liveness, backend);
    if let Ok(Attempt::Done(_)) = outcome {
        return outcome;
    }
    backend.give_back();
    outcome.and_then(|wait| liveness.lost().map_or(Ok(wait), Err))
}
