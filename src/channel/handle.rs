//! A channel that is open in this process, and everything that can be done with it.
//!
//! Handles live in memory whose type is stable (`memory::slab`): a closed one is used again by a later open, never freed.
//! So a call on a handle that another thread or a signal handler has closed finds a closed gate, and a late `put` finds
//! its pool by address until the last sample is put.

use super::backend::{Ends, Lives, Peer};
use super::registry::Registry;
use super::{Config, Stats};
use crate::error::{Error, Result};
use crate::layout::sample::Raw;
use crate::memory::slab::Reused;
use crate::memory::tag::Tag;
use crate::protocol::gate::{Common, Gate, Pass};
use crate::sys::{barrier, fork};
use crate::waiting::{self, Attempt, Limit, Watched};
use std::ffi::c_void;
use std::sync::atomic::{AtomicI32, Ordering::Relaxed};
use std::time::Duration;

/// What a C program sees of a [`Handle`]: `struct shmem_shared` in atomics, as handles are used again.
#[repr(C)]
#[derive(Default)]
pub(crate) struct Public {
    channel: Tag,
    polling: AtomicI32,
}

/// An open channel; [`Handle::find`] and the C interface know it by its address.
#[repr(C)]
pub(crate) struct Handle<E: Ends> {
    public: Public,
    gate: Gate<E::Life, E>,
}

/// Registers this process for asymmetric fences and forks. Before a region is used.
pub(crate) fn prepare<E: Registered>() -> Result<()> {
    barrier::register();
    // In the child of a fork: the channels are the parent's.
    fork::on_child(|| E::registry().handles.iter().for_each(|handle| handle.gate.abandon()))
}

/// A layout whose handles have a registry.
pub(crate) trait Registered: Ends {
    fn registry() -> &'static Registry<Handle<Self>>;
}

/// How many samples went through, and why not more.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Count {
    pub(crate) count: usize,
    /// An `errno`; 0 when all that was asked for went through.
    pub(crate) why: i32,
}

/// What a wait on these ends looks at.
type HintOf<E> = <<E as Ends>::Life as Watched>::Hint;

/// How long a plain `read` waits before it gives its caller a chance to look at a flag.
pub(crate) const READ_LIMIT: Limit = Limit::For(Duration::from_millis(100), libc::EAGAIN);

impl<E: Ends> Reused for Handle<E> {
    fn claim(&self) -> bool {
        self.gate.claim()
    }
    fn unclaim(&self) {
        self.gate.unclaim();
    }
}

impl<E: Registered> Handle<E> {
    /// Makes a handle of ends that have been taken over.
    // In boxes on the way, as `Region`.
    #[allow(clippy::boxed_local)]
    #[inline(never)]
    pub(crate) fn new(life: Box<E::Life>, ends: Box<E>) -> Result<&'static Handle<E>> {
        let registry = E::registry();
        let make = || Handle { public: Public::default(), gate: Gate::new() };
        let handle = registry.handles.take(make);
        for (base, length) in life.spans() {
            if !registry.pools.set(base, length, handle) {
                life.on_deserted();
                handle.gate.unclaim();
                return Err(Error::new(
                    libc::ENOMEM,
                    "no memory for a table of addresses, or the region is mapped beyond those that this library serves",
                ));
            }
        }
        handle.public.polling.store(i32::from(life.is_polling()), Relaxed);
        handle.public.channel.mark(E::KIND);
        handle.gate.fill(*life, *ends);
        Ok(handle)
    }

    /// The channel in one of whose regions `address` lies.
    #[inline(always)]
    pub(crate) fn find(address: usize) -> Option<&'static Handle<E>> {
        E::registry().pools.get(address)
    }
}

impl<E: Ends> Handle<E> {
    /// The handle at `address`, if there is one.
    ///
    /// # Safety
    /// `pointer` leads to readable memory as large as a [`Tag`], aligned as one.
    #[inline(always)]
    pub(crate) unsafe fn at(pointer: *const c_void) -> Option<&'static Handle<E>> {
        // SAFETY: as the caller promises.
        let is_one = unsafe { &*pointer.cast::<Tag>() }.is(E::KIND);
        // SAFETY: only handles of this layout have its tag, and they live for ever.
        is_one.then(|| unsafe { &*pointer.cast::<Handle<E>>() })
    }

    fn closed(&self) -> Error {
        Error::new(libc::EPIPE, "this channel is closed in this process (or belongs to the parent that forked it)")
    }

    #[inline(always)]
    fn enter(&self) -> Result<Pass<'_, E::Life, E>> {
        match self.gate.enter(false) {
            Some(pass) => Ok(pass),
            None => Err(self.closed()),
        }
    }

    pub(crate) fn look<R>(&self, look: impl FnOnce(&E::Life) -> R) -> Option<R> {
        Some(self.gate.visit()?.with(look))
    }

    /// As [`waiting::repeat`]; checks before each attempt that this process still holds its side,
    /// and before each wait that somebody can end it.
    fn repeat<T>(
        &self,
        limit: &Limit,
        pass: Pass<'_, E::Life, E>,
        mut attempt: impl FnMut(&E::Life, &mut E) -> Result<Attempt<T, HintOf<E>>>,
    ) -> Result<std::result::Result<T, i32>> {
        waiting::repeat(
            limit,
            pass,
            || self.closed(),
            |life, half, _| {
                life.check_tenure()?;
                match attempt(life, half)? {
                    Attempt::Wait(hint) => life.lost().map_or(Ok(Attempt::Wait(hint)), Err),
                    done => Ok(done),
                }
            },
        )
    }

    /// Receives up to `most` samples, by the short way: nothing but what a call does that finds all as usual. `patient`: looks for a short
    /// while whether one comes. 0: go the long way, [`Handle::read_patiently`], which also finds out what is not as usual.
    #[inline(always)]
    pub(crate) fn read_at_once(&self, most: usize, patient: bool, mut give: impl FnMut(usize, Raw)) -> Result<usize> {
        let Some(mut turn) = self.gate.enter_as_owner() else { return Ok(0) };
        let (life, half) = turn.parts();
        let mut looked = !patient;
        while life.has_tenure() {
            let count = half.read(most, &mut give)?;
            if count > 0 || looked || !half.has_input_soon() {
                return Ok(count);
            }
            looked = true;
        }
        Ok(0)
    }

    /// Receives up to `most` samples.
    #[inline(always)]
    pub(crate) fn read(&self, most: usize, limit: &Limit, mut give: impl FnMut(usize, Raw)) -> Result<Count> {
        match self.read_at_once(most, !matches!(limit, Limit::Now), &mut give)? {
            0 => self.read_patiently(most, limit, give),
            count => Ok(Count { count, why: 0 }),
        }
    }

    /// Nothing is there, so it seems: waits for it, and finds out whether anything can come.
    #[inline(never)]
    pub(crate) fn read_patiently(&self, most: usize, limit: &Limit, mut give: impl FnMut(usize, Raw)) -> Result<Count> {
        let pass = self.enter()?;
        if most == 0 {
            return Ok(Count { count: 0, why: 0 });
        }
        let patient = !matches!(limit, Limit::Now);
        let done = self.repeat(limit, pass, |life, half| {
            let count = half.read(most, &mut give)?;
            if count > 0 {
                return Ok(Attempt::Done(count));
            }
            if !patient {
                life.pace().probe_now_and_then(life);
            }
            if life.peer() == Peer::Gone {
                // What it wrote before its end may have come after the look above (S2).
                let count = half.read_last(most, &mut give)?;
                return if count > 0 { Ok(Attempt::Done(count)) } else { Err(life.end()) };
            }
            if life.peer() == Peer::Never {
                if let Some(e) = life.replaced() {
                    return Err(e);
                }
            }
            Ok(Attempt::Wait(half.entry_hint()))
        })?;
        Ok(match done {
            Ok(count) => Count { count, why: 0 },
            Err(why) => Count { count: 0, why },
        })
    }

    /// Sends `count` samples, whose addresses `address` gives by their place, by the short way; how many. Fewer: go on by the long way,
    /// [`Handle::write_patiently`].
    #[inline(always)]
    pub(crate) fn write_at_once(&self, count: usize, address: impl FnMut(usize) -> usize) -> usize {
        let Some(mut turn) = self.gate.enter_as_owner() else { return 0 };
        let (life, half) = turn.parts();
        if !life.has_tenure() || life.peer() == Peer::Gone {
            return 0;
        }
        let (sent, _) = half.write(0, count, address);
        if sent > 0 {
            half.ring_data(life);
        }
        sent
    }

    /// Sends `count` samples, whose addresses `address` gives by their place, until there is no room.
    #[inline(always)]
    pub(crate) fn write(&self, count: usize, limit: &Limit, mut address: impl FnMut(usize) -> usize) -> Result<Count> {
        let sent = self.write_at_once(count, &mut address);
        if sent == count {
            return Ok(Count { count, why: 0 });
        }
        self.write_patiently(sent, count, limit, address)
    }

    /// Something is not as usual: goes on from `sent`, waits for room, and finds out whether the peer is still there.
    #[inline(never)]
    pub(crate) fn write_patiently(
        &self,
        mut sent: usize,
        count: usize,
        limit: &Limit,
        mut address: impl FnMut(usize) -> usize,
    ) -> Result<Count> {
        let done = self.enter().and_then(|pass| {
            self.repeat(limit, pass, |life, half| {
                let before = sent;
                let outcome = loop {
                    if life.peer() == Peer::Gone {
                        break Err(life.end());
                    }
                    let result;
                    (sent, result) = half.write(sent, count, &mut address);
                    match result {
                        Err(e) => break Err(e),
                        Ok(()) if sent == count => break Ok(Attempt::Done(())),
                        Ok(()) => {}
                    }
                    life.pace().probe_now_and_then(life);
                    if life.peer() != Peer::Gone {
                        break Ok(Attempt::Wait(half.room_hint()));
                    }
                };
                if sent != before {
                    half.ring_data(life);
                }
                outcome
            })
        });
        counted(sent, done)
    }

    /// Hands out up to `most` empty samples by the short way; how many. Fewer: go on by the long way, [`Handle::alloc_patiently`].
    #[inline(always)]
    pub(crate) fn alloc_at_once(&self, most: usize, give: impl FnMut(usize, Raw)) -> usize {
        let Some(mut turn) = self.gate.enter_as_owner() else { return 0 };
        let (life, half) = turn.parts();
        if life.has_tenure() { half.alloc(most, give) } else { 0 }
    }

    /// Hands out up to `most` empty samples; waits until there are so many.
    #[inline(always)]
    pub(crate) fn alloc(&self, most: usize, limit: &Limit, mut give: impl FnMut(usize, Raw)) -> Result<Count> {
        let count = self.alloc_at_once(most, &mut give);
        if count == most && most > 0 {
            return Ok(Count { count, why: 0 });
        }
        self.alloc_patiently(count, most, limit, give)
    }

    /// No block is free, or something is not as usual: waits for one. `count` have been handed out.
    #[inline(never)]
    pub(crate) fn alloc_patiently(
        &self,
        mut count: usize,
        most: usize,
        limit: &Limit,
        mut give: impl FnMut(usize, Raw),
    ) -> Result<Count> {
        let patient = !matches!(limit, Limit::Now);
        let mut take = |half: &mut E| {
            let before = count;
            count += half.alloc(most - before, |at, sample| give(before + at, sample));
            count == most
        };
        let done = self.enter().and_then(|pass| {
            self.repeat(limit, pass, |life, half| {
                // Whether it is gone is looked at first: what the peer gave back before its end can be had then (S2).
                if !patient && E::IS_POOL_SHORT {
                    life.pace().probe_now_and_then(life);
                }
                let is_gone = life.peer() == Peer::Gone && (patient || E::IS_POOL_SHORT);
                if take(half) {
                    return Ok(Attempt::Done(()));
                }
                if is_gone { Err(life.end()) } else { Ok(Attempt::Wait(life.block_hint())) }
            })
        });
        counted(count, done)
    }

    /// Waits until there is a live peer.
    pub(crate) fn wait(&self, limit: &Limit) -> Result<()> {
        let done = self.repeat(limit, self.enter()?, |life, _| {
            // Loaded before the look, so that one that comes after it is another.
            let hint = life.peer_hint();
            if matches!(life.peer(), Peer::Present(_)) && life.probe_peer() {
                return Ok(Attempt::Done(()));
            }
            if let Some(e) = life.replaced() {
                return Err(e);
            }
            if life.peer() == Peer::Gone && life.is_final() {
                return Err(life.end());
            }
            Ok(Attempt::Wait(hint))
        })?;
        match done {
            Ok(()) => Ok(()),
            Err(libc::EINTR) => Err(Error::new(libc::EINTR, "a signal handler ran, or the wait was interrupted")),
            Err(why) => Err(Error::new(why, "no peer has attached within the time")),
        }
    }

    #[cold]
    fn closed_sample(&self) -> Error {
        Error::invalid("not a live sample: its channel is closed and all its samples are put")
    }

    /// Takes a turn for work on samples; also after a close, as long as a sample is out.
    #[inline(always)]
    fn enter_late(&self) -> Result<Pass<'_, E::Life, E>> {
        match self.gate.enter(true) {
            Some(pass) => Ok(pass),
            None => Err(self.closed_sample()),
        }
    }

    /// One reference less to the sample at `address`, by the short way; how many are left. `None`: go the long way, [`Handle::put_late`].
    #[inline(always)]
    pub(crate) fn put_at_once(&self, address: usize) -> Option<u32> {
        let mut turn = self.gate.enter_as_owner()?;
        let (life, half) = turn.parts();
        if life.has_tenure() { half.put(address) } else { None }
    }

    /// One reference less to the sample at `address`; how many are left.
    #[inline(always)]
    pub(crate) fn put(&self, address: usize) -> Result<u32> {
        match self.put_at_once(address) {
            Some(left) => Ok(left),
            None => self.put_late(address),
        }
    }

    /// The same when something is not as usual; also after a close.
    #[inline(never)]
    pub(crate) fn put_late(&self, address: usize) -> Result<u32> {
        let mut pass = self.enter_late()?;
        let (life, half) = pass.parts();
        let left = if life.has_tenure() { half.put(address) } else { half.drop_reference(address) };
        left.ok_or_else(|| not_live("put"))
    }

    /// One reference less to each of the samples whose addresses `next` gives by their place, up to the first that is
    /// not one of this channel; how many.
    #[inline(always)]
    pub(crate) fn put_many(&self, mut next: impl FnMut(usize) -> Option<usize>) -> usize {
        let mut count = 0;
        if let Some(mut turn) = self.gate.enter_as_owner() {
            let (life, half) = turn.parts();
            if life.has_tenure() {
                count = half.put_all(&mut next);
                half.ring_room();
            }
        }
        if count > 0 { count } else { self.put_many_late(next) }
    }

    /// The same when something is not as usual; also after a close.
    #[inline(never)]
    fn put_many_late(&self, mut next: impl FnMut(usize) -> Option<usize>) -> usize {
        let Ok(mut pass) = self.enter_late() else { return 0 };
        let (life, half) = pass.parts();
        let mut count = 0;
        if life.has_tenure() {
            count = half.put_all(next);
            half.ring_room();
        } else {
            while next(count).and_then(|address| half.drop_reference(address)).is_some() {
                count += 1;
            }
        }
        count
    }

    /// One reference more to the sample at `address`; how many there are.
    pub(crate) fn get(&self, address: usize) -> Result<u32> {
        let mut pass = self.enter_late()?;
        let references = pass.parts().1.get(address);
        if references == 0 { Err(not_live("referenced")) } else { Ok(references) }
    }

    /// Checks that a live sample begins at `address`.
    pub(crate) fn live(&self, address: usize) -> Result<Raw> {
        let mut pass = self.enter_late()?;
        let sample = pass.parts().1.live(address);
        sample.ok_or_else(|| not_live("used"))
    }

    /// Lets `look` see the sample at `address`: a live one, or, in the wire layout, one that was
    /// sent and not handed out again. In this side's turn, in which nobody hands it out, and the
    /// mapping stays.
    pub(crate) fn look_at<R>(&self, address: usize, look: impl FnOnce(&Raw) -> Result<R>) -> Result<R> {
        let mut pass = self.enter_late()?;
        let ends = pass.parts().1;
        let sample = ends.live(address).or_else(|| ends.sent(address));
        look(&sample.ok_or_else(|| not_live("used"))?)
    }

    /// The parameters of the region; the defaults when the channel is closed.
    pub(crate) fn config(&self) -> Config {
        self.gate.enter(true).map_or_else(Config::default, |mut pass| pass.parts().0.config())
    }

    /// Where the regions lie in this process, the own one first; zeros when the channel is closed.
    pub(crate) fn spans(&self) -> [(usize, usize); 2] {
        self.look(E::Life::spans).unwrap_or_default()
    }

    pub(crate) fn is_peer_alive(&self) -> Result<bool> {
        self.look(E::Life::probe_peer).ok_or_else(|| self.closed())
    }

    pub(crate) fn stats(&self) -> Result<Stats> {
        let mut pass = self.enter()?;
        let (life, half) = pass.parts();
        Ok(half.stats(life))
    }

    /// Ends the waits that have begun, or else the next one. Async-signal-safe.
    pub(crate) fn interrupt(&self) -> Result<()> {
        let interrupt = |life: &E::Life| {
            life.interrupts().raise();
            life.ring_own();
        };
        self.look(interrupt).ok_or_else(|| self.closed())
    }

    /// Closes the channel in this process: marks, wakes, takes no lock. Async-signal-safe. The region is unmapped when
    /// the last call has left and the last sample is put.
    pub(crate) fn close(&self) -> Result<()> {
        let already = || Error::invalid("this channel is closed already");
        let visit = self.gate.visit().ok_or_else(already)?;
        visit.with(E::Life::before_close);
        if !visit.close() {
            return Err(already());
        }
        // The others leave; the last one says in the region that this side has closed.
        visit.with(E::Life::ring_own);
        Ok(())
    }
}

/// What was moved counts, whatever came after it.
fn counted(count: usize, done: Result<std::result::Result<(), i32>>) -> Result<Count> {
    match done {
        Ok(Ok(())) => Ok(Count { count, why: 0 }),
        Ok(Err(why)) => Ok(Count { count, why }),
        Err(e) if count > 0 => Ok(Count { count, why: e.errno() }),
        Err(e) => Err(e),
    }
}

#[cold]
fn not_live(what: &str) -> Error {
    Error::invalid(format!(
        "not a live sample of this process: it cannot be {what}, it was written or put already (copy what is to be kept before the write)"
    ))
}
