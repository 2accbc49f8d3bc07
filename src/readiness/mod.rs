//! Descriptors to poll: eventfds that are readable while a call would not wait.
//!
//! The protocol is in `protocol::readiness`. Helper threads raise the flags: [`watcher`] has those
//! that listen to doorbells, [`keeper`] the one that looks after all that no doorbell tells of. Both
//! reach a handle through [`Source::visit`], which lasts for a few system calls at most and keeps
//! the handle's memory mapped. They keep no lock while they sleep or visit. A program that asks for
//! no descriptor has none of these threads.
//!
//! A bell tells of most events, at once. It cannot tell of what a peer has done that was stopped, or
//! died, before it rang, nor of what a hostile one conceals: once in a slice a helper looks at what
//! each flag that rests waits for, as a waiting call does.
//!
//! A descriptor lives in the common part of its handle's gate. So it is written to within a visit
//! only, and its number is closed when the gate clears.

mod keeper;
mod watcher;

use crate::error::{Error, Result};
use crate::protocol::atomics::Shared32;
use crate::protocol::doorbell::{self, SLICE};
use crate::protocol::gate::{Common, Idle, Pass};
use crate::protocol::mutex::Mutex;
use crate::protocol::readiness::{self, Flag};
use crate::sys::fork;
use crate::sys::own_fd::EventFd;
use crate::sys::thread::{Standing, Uncancelled};
use crate::waiting::{Attempt, Watched};
use keeper::Keeper;
use nix::errno::Errno;
use std::os::fd::{FromRawFd, OwnedFd, RawFd};
use std::sync::OnceLock;
use std::sync::atomic::Ordering::{Acquire, Relaxed, Release, SeqCst};
use std::sync::atomic::{AtomicBool, AtomicPtr, AtomicU32, AtomicU64};
use std::time::{Duration, Instant};
use watcher::{Watch, Watchers};

/// What a descriptor tells of.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Wish {
    /// A read, or a pop, would not wait.
    Read = 0,
    /// A write, an allocation, or a push would not wait.
    Write = 1,
}

/// The common part of a handle that has descriptors.
pub(crate) trait Polled {
    fn readiness(&self) -> &Readiness;
    /// The words that change when what is wished for may be possible. Their addresses never change.
    fn bells(&self, wish: Wish) -> [Option<&Shared32>; 3];
    /// The bits of these words that count wake-ups.
    fn counts(&self) -> u32 {
        doorbell::COUNT
    }
    /// Whether a call would find something by now, or its end, although no bell has told: once in a
    /// slice a helper looks, as a waiting call does.
    fn may_go_on(&self, wish: Wish) -> bool;
    /// Raises the descriptor, if there is one.
    fn raise(&self, wish: Wish) {
        self.readiness().raise(wish);
    }
    /// Arms the bell for `wish`. `Some`: no bell may tell, so look in these intervals
    /// ([`Polled::may_go_on`]).
    fn arm_to_rest(&self, wish: Wish) -> Option<Duration>;
    /// `ENOTSUP` if there can be no descriptor.
    fn check_pollable(&self) -> Result<()> {
        Ok(())
    }
    /// Raises the descriptor because a bell has told; not needed if it does not rest.
    fn answer(&self, wish: Wish) {
        self.raise(wish);
    }
    /// Distinguishes a peer from those before it.
    fn peer_number(&self) -> u64 {
        0
    }
    /// Probes the peer, and raises the descriptors if no call waits for it any more. Returns the
    /// peer.
    fn tend(&self) -> PeerProcess {
        PeerProcess::Unneeded
    }
}

/// A [`Polled`] that remembers what its rests wait for.
pub(crate) trait Resting: Watched<Hint: Copy> + Polled {
    fn rests(&self) -> &Rests<Self::Hint>;
    /// As [`Polled::may_go_on`], as far as the hint of the last rest tells.
    fn has_changed(&self, wish: Wish) -> bool {
        let hint = *self.rests().0[wish as usize].lock();
        hint.is_some_and(|hint| self.is_worth_a_look(&hint) || self.is_blind(&hint) || self.is_over(&hint))
    }
}

/// What the last rests wait for.
pub(crate) struct Rests<H>([Mutex<Option<H>>; 2]);

impl<H> Rests<H> {
    pub(crate) fn new() -> Rests<H> {
        Rests([const { Mutex::new(None) }; 2])
    }
}

/// The peer of a handle, as the keeper sees it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum PeerProcess {
    /// There is none, or none whose end would be told.
    Unneeded,
    /// It is this process.
    Process(u32),
    /// It lives, but only a probe tells for how long.
    Unknown,
}

/// A handle; it lives forever.
pub(crate) trait Source: Sync {
    /// Passes the common part to `look`, unless the handle is closed.
    fn visit(&self, look: &mut dyn FnMut(&dyn Polled));
}

/// What a handle has outside its gate for its descriptors.
#[derive(Default)]
pub(crate) struct PolledPart {
    /// Whether it has any.
    is_on: AtomicBool,
    /// Helper threads that visit it.
    helpers: AtomicU32,
}

/// How long a close waits for helpers, which may have lost their processor. Not for ever: it may have
/// interrupted the thread that has what they need.
const HELPERS_PATIENCE: Duration = Duration::from_secs(1);

impl PolledPart {
    /// A call that finds nothing asks this. Relaxed: a thread that sees it late leaves a flag raised.
    #[inline(always)]
    pub(crate) fn is_on(&self) -> bool {
        self.is_on.load(Relaxed)
    }
    pub(crate) fn begin(&self) {
        self.is_on.store(true, Relaxed);
    }
    pub(crate) fn reset(&self) {
        self.is_on.store(false, Relaxed);
    }
    /// In the child of a fork, which has no helpers.
    pub(crate) fn abandon(&self) {
        self.helpers.store(0, Relaxed);
    }

    /// A helper's visit, until it is dropped. SeqCst, with the look at the gate that follows
    /// (`Source::visit`), against a closer that closes the gate, then loads the number
    /// ([`PolledPart::await_helpers`]): at least one of the two sees the other.
    pub(crate) fn helper(&self) -> impl Drop + '_ {
        struct Helper<'h>(&'h AtomicU32);
        impl Drop for Helper<'_> {
            fn drop(&mut self) {
                self.0.fetch_sub(1, SeqCst);
            }
        }
        self.helpers.fetch_add(1, SeqCst);
        Helper(&self.helpers)
    }

    /// Waits until helpers have left a gate that is closed, which takes microseconds. The caller, who
    /// is still inside, clears it then: what a clear does is no work for a helper, and the program may
    /// open the name again at once, or end. Async-signal-safe.
    pub(crate) fn await_helpers(&self) {
        if self.is_on() {
            let begin = Instant::now();
            let mut patience = Standing::new();
            while self.helpers.load(SeqCst) != 0 && begin.elapsed() < HELPERS_PATIENCE {
                patience.give_way();
            }
        }
    }
}

/// A handle while it is open, as a helper thread knows it.
#[derive(Clone, Copy)]
struct Client {
    source: &'static dyn Source,
    number: u64,
}

impl Client {
    /// `None`: the handle was closed, or is in use by a later open.
    fn visit<R>(&self, mut work: impl FnMut(&dyn Polled) -> R) -> Option<R> {
        let mut done = None;
        self.source.visit(&mut |polled| {
            if polled.readiness().number == self.number {
                done = Some(work(polled));
            }
        });
        done
    }
}

/// The descriptors of an open handle. In private memory, and without a heap: a signal handler may
/// drop it.
pub(crate) struct Readiness {
    /// No other open handle of this process has it.
    number: u64,
    descriptors: [OnceLock<Descriptor>; 2],
    /// The peer that the keeper knows.
    kept_peer: AtomicU64,
}

struct Descriptor {
    eventfd: EventFd,
    helpers: &'static Helpers,
    /// When the keeper looks whether to raise it, in microseconds after the helpers began. 0: never.
    due: AtomicU64,
    /// Microseconds to the next look, if that one finds nothing. 0: raise it in any case, because
    /// only a call can tell.
    again: AtomicU64,
}

/// A handle's descriptor as the protocol's flag.
pub(crate) struct FlagOf<'p>(pub(crate) &'p dyn Polled, pub(crate) Wish);

impl Flag for FlagOf<'_> {
    fn raise(&self) {
        self.0.raise(self.1);
    }
    fn take_down(&self) {
        if let Some(descriptor) = self.0.readiness().get(self.1) {
            descriptor.eventfd.lower();
        }
    }
}

impl Readiness {
    pub(crate) fn new() -> Readiness {
        static NUMBERS: AtomicU64 = AtomicU64::new(1);
        Readiness {
            number: NUMBERS.fetch_add(1, Relaxed),
            descriptors: [const { OnceLock::new() }; 2],
            kept_peer: AtomicU64::new(u64::MAX),
        }
    }

    fn get(&self, wish: Wish) -> Option<&Descriptor> {
        self.descriptors[wish as usize].get()
    }

    /// Whether a program has asked for this descriptor.
    pub(crate) fn has(&self, wish: Wish) -> bool {
        self.get(wish).is_some()
    }

    /// Async-signal-safe.
    pub(crate) fn raise(&self, wish: Wish) {
        if let Some(descriptor) = self.get(wish) {
            descriptor.eventfd.raise();
        }
    }

    /// Tells the keeper of a peer that it does not know.
    fn note_peer(&self, peer_number: u64) {
        if self.kept_peer.load(Relaxed) != peer_number {
            self.descriptors.iter().find_map(OnceLock::get).into_iter().for_each(|any| any.helpers.keeper.rouse());
        }
    }

    /// Notes that the flag rests. `looks`: the keeper looks in these intervals whether to raise it.
    /// `claim`: it raises it after this time, because only a call can tell.
    ///
    /// `due` is stored last, with release, and loaded first, with acquire: whoever sees it sees its
    /// `again`.
    fn rests(&self, wish: Wish, looks: Option<Duration>, claim: Option<Duration>) {
        let Some(descriptor) = self.get(wish) else { return };
        let micros = |time: Option<Duration>| time.map_or(0, |time| time.as_micros() as u64);
        let limit = micros(looks.or(claim));
        descriptor.again.store(if claim.is_some() { 0 } else { limit }, Relaxed);
        descriptor.due.store(if limit == 0 { 0 } else { descriptor.helpers.micros() + limit }, Release);
        if limit > 0 {
            descriptor.helpers.keeper.rouse();
        }
    }
}

/// Lets the flag rest after an attempt that found nothing. Makes another first, whose result it
/// returns. `None`: that one found nothing either.
pub(crate) fn rest<S: Common + Resting, C: Idle, T>(
    mut pass: Pass<'_, S, C>,
    wish: Wish,
    is_closed: impl Fn() -> bool,
    mut attempt: impl FnMut(&S, &mut C) -> Result<Attempt<T, S::Hint>>,
) -> Result<Option<T>> {
    let _whole = Uncancelled::new();
    let (common, core) = pass.parts();
    let flag = FlagOf(common, wish);
    let mut longest = SLICE;
    let look = || match attempt(common, core) {
        Ok(Attempt::Done(done)) => Some(Ok(done)),
        Ok(Attempt::Wait(hint)) => {
            longest = common.longest_sleep(&hint);
            *common.rests().0[wish as usize].lock() = Some(hint);
            None
        }
        Err(e) => Some(Err(e)),
    };
    let found = match readiness::rest(&flag, || common.arm_to_rest(wish), look) {
        Ok(found) => found.map(Some)?,
        Err(looks) => {
            // Waits for a claim are in short slices, in which its owner is asked for.
            common.readiness().rests(wish, looks, (longest < SLICE).then_some(longest));
            common.readiness().note_peer(common.peer_number());
            None
        }
    };
    // A close raises the flag for good after it has closed the gate. If it did so before the flag
    // was lowered, this thread sees the closed gate: the kernel orders the two.
    if is_closed() {
        flag.raise();
    }
    Ok(found)
}

/// The descriptor of `polled`, the common part of `source`; made at the first call. In the turn of
/// the handle, so that one thread at a time makes it.
pub(crate) fn open(source: &'static dyn Source, polled: &dyn Polled, wish: Wish) -> Result<RawFd> {
    let readiness = polled.readiness();
    if let Some(descriptor) = readiness.get(wish) {
        if !descriptor.eventfd.is_ours() {
            return Err(Error::new(
                libc::EBADF,
                "the program has closed this descriptor, which is the library's: open the handle again",
            ));
        }
        return Ok(descriptor.eventfd.number());
    }
    polled.check_pollable()?;
    let helpers = Helpers::get()?;
    let eventfd = EventFd::new()?;
    // No bell tells of what can be read already.
    eventfd.raise();
    let number = eventfd.number();
    let client = Client { source, number: readiness.number };
    let bells = polled.bells(wish);
    let words = bells.iter().enumerate().filter_map(|(part, word)| Some((part, (*word)?)));
    let mut watches: Vec<Watch> = words.map(|(part, word)| Watch::new(client, wish, part, word)).collect();
    let places = helpers.watchers.reserve(watches.len())?;
    let is_first = !readiness.has(Wish::Read) && !readiness.has(Wish::Write);
    let _ = readiness.descriptors[wish as usize].set(Descriptor {
        eventfd,
        helpers,
        due: AtomicU64::new(0),
        again: AtomicU64::new(0),
    });
    for place in places {
        watches.pop().into_iter().for_each(|watch| place.add(watch));
    }
    if is_first {
        helpers.keeper.add(client);
    }
    Ok(number)
}

/// A duplicate of a descriptor of the library, for a caller who may keep it for longer.
pub(crate) fn duplicate(fd: RawFd) -> Result<OwnedFd> {
    // SAFETY: a number and two plain integers.
    let fresh = unsafe { libc::fcntl(fd, libc::F_DUPFD_CLOEXEC, 0) };
    if fresh < 0 {
        return Err(Error::system(Errno::last(), "cannot duplicate the descriptor to poll (fcntl)"));
    }
    // SAFETY: the kernel has just given it to this thread.
    Ok(unsafe { OwnedFd::from_raw_fd(fresh) })
}

/// The helper threads of this process, and what they share.
struct Helpers {
    began: Instant,
    watchers: Watchers,
    keeper: Keeper,
}

static HELPERS: AtomicPtr<Helpers> = AtomicPtr::new(std::ptr::null_mut());

/// The child of a fork has none of its parent's threads, and starts its own.
fn in_child() {
    HELPERS.store(std::ptr::null_mut(), Release);
}

impl Helpers {
    /// Those of this process; made at the first call. They stay forever.
    fn get() -> Result<&'static Helpers> {
        fork::on_child(in_child)?;
        let mut helpers = HELPERS.load(Acquire);
        if helpers.is_null() {
            let made = Helpers { began: Instant::now(), watchers: Watchers::new(), keeper: Keeper::new() };
            let made = Box::into_raw(Box::new(made));
            helpers = match HELPERS.compare_exchange(helpers, made, Release, Acquire) {
                Ok(_) => made,
                Err(other) => {
                    // SAFETY: no other thread knows `made`.
                    drop(unsafe { Box::from_raw(made) });
                    other
                }
            };
        }
        // SAFETY: stays forever.
        let helpers = unsafe { &*helpers };
        helpers.keeper.start(helpers)?;
        Ok(helpers)
    }

    /// The next multiple of `interval` after the beginning: so one wake-up serves many handles.
    fn next(&self, interval: Duration) -> Instant {
        let count = self.began.elapsed().as_micros() / interval.as_micros() + 1;
        self.began + Duration::from_micros((count * interval.as_micros()) as u64)
    }

    /// Microseconds since the beginning, at least 1.
    fn micros(&self) -> u64 {
        self.began.elapsed().as_micros() as u64 + 1
    }
}
