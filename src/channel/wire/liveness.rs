//! What all threads of an open channel in the wire layout share: both regions, and what is known of
//! the peer.
//!
//! If this library made the peer's region, the trailer names the process, which holds a lock on it,
//! as in the own layout. A VILLASnode leaves no such trace. But it keeps its own region mapped
//! while it lives, and besides it only this process does, so the question is whether any other
//! process has that region open. If the kernel does not answer (another user's object), the
//! question is asked about this side's own region, which the peer has mapped once it has been seen
//! to. If nothing can be known, the peer counts as alive.

use super::doorbell::{self, Waiter};
use super::presence::Presence;
use crate::channel::backend::{KnownPeer, Liveness, THOROUGH_MICROS};
use crate::channel::config::Config;
use crate::channel::handle::Registered;
use crate::channel::signals::Direction;
use crate::error::{Error, Result};
use crate::layout::signals::{self, SignalTable};
use crate::layout::trailer::Trailer;
use crate::layout::wire::{STOPPED, Which, WireView};
use crate::protocol::atomics::Shared32;
use crate::protocol::doorbell::SLICE;
use crate::protocol::gate::Common;
use crate::protocol::interrupts::Interrupts;
use crate::readiness::{Readiness, Rests};
use crate::sys::Slept;
use crate::sys::mapping::Mapping;
use crate::sys::object::{Name, Object};
use crate::sys::process::Identity;
use crate::sys::thread::Uncancelled;
use crate::sys::{futex, semaphore};
use crate::waiting::{Habit, Pace, Watched};
use std::sync::atomic::Ordering::{Acquire, Relaxed, Release};
use std::sync::atomic::{AtomicBool, AtomicU64};
use std::time::{Duration, Instant};

/// The byte that a process of this library locks in its region while it lives.
pub(crate) const ALIVE: u64 = 1 << 60;
/// The byte that a process locks in a leftover region while it removes the region.
const REMOVAL: u64 = ALIVE + 1;
/// Sleep in a wait for which no notification exists: for room in a queue, or a free block.
pub(super) const NAP: Duration = Duration::from_micros(500);
/// How long a reader tries to take the mutex before it naps instead.
const READER_PATIENCE: Duration = Duration::from_millis(5);
/// How long a writer tries to take the mutex, while the peer lives, before it leaves the broadcast
/// to a later call.
const WRITER_PATIENCE: Duration = Duration::from_secs(1);
/// How long a close waits for the peer to take queued samples.
const CLOSE_PATIENCE: Duration = Duration::from_secs(1);

/// A mapped region. Field order: the mapping is dropped before the object, and with that the lock.
pub(super) struct Mapped {
    pub(super) view: WireView,
    mapping: Mapping,
    pub(super) object: Object,
    pub(super) name: Name,
    /// Whether this library made it.
    is_ours: bool,
    /// What its samples are, as far as it was asked.
    pub(super) signals: SignalTable,
}

impl Mapped {
    /// A region that was checked, or made by this process.
    pub(super) fn new(view: WireView, mapping: Mapping, object: Object, name: Name) -> Box<Mapped> {
        // SAFETY: this many bytes are mapped.
        let is_ours = unsafe { Trailer::find(mapping.base(), mapping.length() as u64) }.is_some();
        Box::new(Mapped { view, mapping, object, name, is_ours, signals: SignalTable::default() })
    }

    fn trailer(&self) -> Option<&Trailer> {
        // SAFETY: the mapping has this length, and outlives what borrows from `self`.
        unsafe { Trailer::find(self.mapping.base(), self.mapping.length() as u64) }
    }

    /// Copies the signals that the region names, which are none if VILLASnode made it.
    pub(super) fn ask_signals(&mut self) -> Result<()> {
        let Some(trailer) = self.trailer() else { return Ok(()) };
        let (at, size, count) = trailer.signals(self.mapping.length() as u64, self.view.facts().capacity())?;
        if (size, count) == (0, 0) {
            return Ok(());
        }
        // SAFETY: the table lies before the trailer in the mapping, as was checked.
        let table = unsafe { signals::copy(self.mapping.base().add(at as usize), size) }?;
        self.signals = SignalTable::checked(&signals::decode(&table, count)?)?;
        Ok(())
    }

    /// Locks the byte that shows that the maker lives.
    pub(super) fn lock(&self) -> Result<bool> {
        self.object.lock(ALIVE)
    }

    /// Reserves the removal of a dead process's region. `false`: another process is removing it.
    pub(super) fn lock_for_removal(&self) -> Result<bool> {
        self.object.lock(REMOVAL)
    }

    /// The maker of the region, if it is a process of this library.
    pub(super) fn maker(&self) -> Option<Identity> {
        self.trailer().map(|trailer| trailer.holder().identity())
    }

    /// Whether the maker of the region is alive. `None`: unknown. `thorough`: also detects a reused
    /// pid.
    pub(super) fn is_maker_alive(&self, observer: &Identity, thorough: bool) -> Option<bool> {
        match self.trailer() {
            Some(trailer) => Some(self.object.is_locked(ALIVE) && !trailer.holder().identity().is_gone(observer, thorough)),
            None => self.object.is_open_elsewhere(),
        }
    }

    /// Whether this library made the region, so that it names its maker.
    pub(super) fn is_ours(&self) -> bool {
        self.is_ours
    }

    /// Whether no other process can find the region by its name any more.
    pub(super) fn is_lost(&self) -> bool {
        self.object.is_unlinked() || self.object.is_replaced(&self.name)
    }

    /// Whether another process has the region mapped. `None`: unknown.
    pub(super) fn is_mapped_elsewhere(&self) -> Option<bool> {
        self.mapping.is_mapped_elsewhere()
    }
}

impl Drop for Mapped {
    fn drop(&mut self) {
        super::Wire::registry().forget(self.mapping.base() as usize, self.mapping.length());
    }
}

/// See the module's description.
pub(crate) struct WireLiveness {
    own: Mapped,
    /// `None`: both names are the same.
    pub(super) peer: Option<Mapped>,
    pub(super) me: Identity,
    /// Whether the peer was seen to have this side's region open.
    seen: AtomicBool,
    presence: Presence,
    /// Whether the peer is known to be dead.
    gone: AtomicBool,
    /// Whether the peer was told that this side has closed.
    told: AtomicBool,
    /// When the peer was last probed thoroughly.
    examined: AtomicU64,
    /// Whether a broadcast is still to be made.
    owed: AtomicBool,
    /// In private memory: ends naps.
    nap: Shared32,
    pace: Pace,
    waits: AtomicU64,
    wakeups: AtomicU64,
    pub(super) readiness: Readiness,
    pub(super) rests: Rests<WireHint>,
    /// Whether the helper counts among the waiters of the input region, for a descriptor that rests.
    pub(super) is_counted: AtomicBool,
}

impl WireLiveness {
    #[inline(never)]
    pub(super) fn new(own: Box<Mapped>, peer: Option<Box<Mapped>>, me: Identity) -> Box<WireLiveness> {
        Box::new(WireLiveness {
            own: *own,
            peer: peer.map(|peer| *peer),
            me,
            seen: AtomicBool::new(false),
            presence: Presence::new(),
            gone: AtomicBool::new(false),
            told: AtomicBool::new(false),
            examined: AtomicU64::new(0),
            owed: AtomicBool::new(false),
            nap: Shared32::new(0),
            pace: Pace::new(),
            waits: AtomicU64::new(0),
            wakeups: AtomicU64::new(0),
            readiness: Readiness::new(),
            rests: Rests::new(),
            is_counted: AtomicBool::new(false),
        })
    }

    /// Sleeps and wake-ups of this side.
    pub(super) fn counters(&self) -> (u64, u64) {
        (self.waits.load(Relaxed), self.wakeups.load(Relaxed))
    }

    pub(super) fn input(&self) -> &Mapped {
        self.peer.as_ref().unwrap_or(&self.own)
    }

    /// Wakes the readers of this side's samples.
    pub(super) fn notify_readers(&self) {
        if self.own.view.facts().polling {
            return;
        }
        if self.owed.load(Relaxed) {
            // A peer has held the mutex for a second, or takes it again and again: later writes
            // must not wait for it.
            self.broadcast(Duration::ZERO);
        } else if doorbell::is_anyone_waiting(&self.own.view) {
            self.broadcast(WRITER_PATIENCE);
        }
    }

    #[cold]
    fn broadcast(&self, patience: Duration) {
        let start = Instant::now();
        self.wakeups.fetch_add(1, Relaxed);
        loop {
            let done = doorbell::broadcast(&self.own.view, SLICE.min(patience));
            if done || start.elapsed() >= patience || self.peer() == KnownPeer::Gone || !self.probe_peer() {
                self.owed.store(!done, Relaxed);
                return;
            }
        }
    }

    /// Retries a broadcast that could not be made. Every later call does this.
    fn pay_what_is_owed(&self) {
        if self.owed.load(Relaxed) {
            self.broadcast(Duration::ZERO);
        }
    }

    /// Asks the kernel whether the peer is alive, `now` by the pace's clock. Waits for nothing that the
    /// peer can hold.
    pub(super) fn ask_for_peer(&self, now: u64) -> bool {
        let Some(peer) = &self.peer else { return true };
        if self.peer() == KnownPeer::Gone {
            return false;
        }
        let thorough = now.wrapping_sub(self.examined.load(Relaxed)) >= THOROUGH_MICROS;
        if thorough {
            self.examined.store(now, Relaxed);
        }
        let alive = match peer.is_maker_alive(&self.me, thorough) {
            Some(alive) => alive,
            None => !self.seen.load(Relaxed) && !self.is_attached() || self.own.object.is_open_elsewhere() != Some(false),
        };
        if !alive {
            self.gone.store(true, Release); // S3, as of the own layout
        }
        alive
    }

    fn has_peer_closed(&self) -> bool {
        self.peer.as_ref().is_some_and(|peer| peer.view.queue(Which::Samples).state.observe() == STOPPED) // V3
    }

    /// Whether the peer has this side's region open.
    fn is_attached(&self) -> bool {
        self.seen.load(Relaxed) || {
            let open = self.presence.ask(&self.own) == Some(true);
            self.seen.store(open, Relaxed);
            open
        }
    }

    /// Whether this side can close without loss for the peer. The peer must have this side's region
    /// open. If its kind of reader forgets queued samples when it sees the end, it must also have
    /// taken them.
    fn may_close(&self, peer: &Mapped) -> bool {
        let queue = self.own.view.queue(Which::Samples);
        let is_attached = self.seen.load(Relaxed) || self.presence.ask_at_close(&self.own);
        is_attached && (peer.is_ours || queue.head.observe() == queue.tail.observe())
    }
}

/// What a waiting call looks at.
#[derive(Clone, Copy)]
pub(crate) enum WireHint {
    /// The position of the next sample.
    Entry(u64),
    /// The position of the next free place.
    Room(u64),
    /// Nothing: no notification exists for a free block, and another peer never comes.
    Nothing,
}

impl Watched for WireLiveness {
    type Hint = WireHint;
    /// Membership of the waiters of the input region. `None`: no notification exists, or the mutex
    /// stayed locked.
    type Armed = Option<Waiter>;

    fn is_worth_a_look(&self, hint: &WireHint) -> bool {
        let (own, input) = (&self.own.view, &self.input().view);
        match hint {
            WireHint::Entry(position) => input.cell(Which::Samples, *position).sequence.observe() == position.wrapping_add(1),
            WireHint::Room(position) => own.cell(Which::Samples, *position).sequence.observe() == *position,
            WireHint::Nothing => false,
        }
    }

    fn is_blind(&self, hint: &WireHint) -> bool {
        matches!(hint, WireHint::Nothing)
    }

    fn is_over(&self, _: &WireHint) -> bool {
        self.peer() == KnownPeer::Gone
    }

    fn arm(&self, hint: &WireHint) -> Option<Waiter> {
        match hint {
            WireHint::Entry(_) => Waiter::new(&self.input().view, READER_PATIENCE),
            WireHint::Room(_) | WireHint::Nothing => None,
        }
    }

    fn sleep(&self, _: &WireHint, armed: Option<Waiter>, limit: Duration) -> Slept {
        self.waits.fetch_add(1, Relaxed);
        match armed {
            Some(waiter) => waiter.sleep(limit.min(SLICE)),
            None => futex::wait(self.nap.as_ptr(), self.nap.observe(), limit.min(NAP)),
        }
    }

    fn interrupts(&self) -> &Interrupts {
        self.pace.interrupts()
    }

    fn is_polling(&self) -> bool {
        self.input().view.facts().polling
    }

    /// No notification exists for room or a block, so a nap always takes its full time, however
    /// soon one is there.
    fn habit(&self, hint: &WireHint) -> Option<&Habit> {
        matches!(hint, WireHint::Entry(_)).then_some(&self.pace.for_samples)
    }

    fn probe(&self) {
        self.probe_peer();
    }

    fn wants_probe(&self) -> bool {
        false
    }

    fn since_probe(&self) -> Duration {
        self.pace.since_probe()
    }
}

impl Liveness for WireLiveness {
    fn pace(&self) -> &Pace {
        &self.pace
    }

    fn peer(&self) -> KnownPeer {
        let is_gone = self.gone.load(Acquire) || self.has_peer_closed(); // S3
        if is_gone { KnownPeer::Gone } else { KnownPeer::Present(1) }
    }

    fn has_peer_died(&self) -> bool {
        self.peer() == KnownPeer::Gone && !self.has_peer_closed()
    }

    fn probe_peer(&self) -> bool {
        let _whole = Uncancelled::new();
        let now = self.pace.note_probe();
        self.pay_what_is_owed();
        self.ask_for_peer(now)
    }

    fn has_tenure(&self) -> bool {
        true
    }

    fn check_tenure(&self) -> Result<()> {
        Ok(())
    }

    #[cold]
    fn end(&self) -> Error {
        Error::new(libc::EPIPE, "the peer has closed or died, and nothing is left to read: open again")
    }

    fn is_final(&self) -> bool {
        true
    }

    fn replaced(&self) -> Option<Error> {
        None
    }

    /// There was a peer when the channel was opened, and none comes after it, so its end is
    /// reported.
    fn lost(&self) -> Option<Error> {
        None
    }

    fn block_hint(&self) -> WireHint {
        WireHint::Nothing
    }

    fn peer_hint(&self) -> WireHint {
        WireHint::Nothing
    }

    /// A sleeper that has made its last look and is about to sleep misses this; it looks again
    /// after its slice.
    fn notify_own(&self) {
        self.nap.add(1);
        futex::wake(self.nap.as_ptr());
        if !self.is_polling() {
            doorbell::shake(&self.input().view);
        }
    }

    fn before_close(&self) {
        let Some(peer) = &self.peer else { return };
        let start = Instant::now();
        while self.peer() != KnownPeer::Gone && !self.may_close(peer) && start.elapsed() < CLOSE_PATIENCE {
            self.pace.probe_now_and_then(self);
            futex::wait(self.nap.as_ptr(), self.nap.observe(), NAP);
        }
    }

    fn spans(&self) -> [(usize, usize); 2] {
        let span = |region: &Mapped| (region.mapping.base() as usize, region.mapping.length());
        [span(&self.own), self.peer.as_ref().map_or((0, 0), span)]
    }

    fn config(&self) -> Config {
        let facts = self.own.view.facts();
        Config::new().polling(facts.polling).queuelen(facts.blocks).samplelen(facts.capacity())
    }

    fn signals(&self, direction: Direction) -> &SignalTable {
        match direction {
            Direction::In => &self.input().signals,
            Direction::Out => &self.own.signals,
        }
    }
}

impl Common for WireLiveness {
    /// Tells the peer that this side has closed, and removes its names.
    fn on_deserted(&self) {
        // Not decided by the state, which the peer could have set.
        if self.told.swap(true, Relaxed) {
            return;
        }
        self.own.view.queue(Which::Samples).state.publish(STOPPED); // V3
        if !self.own.view.facts().polling {
            self.broadcast(SLICE);
        }
        if self.own.object.may_be_named(&self.own.name) {
            let _ = self.own.name.remove();
        }
        if let Some(peer) = &self.peer {
            // The leftovers of a peer that died in its handshake.
            semaphore::unlink_unused(&peer.name);
            semaphore::unlink_unused(&self.own.name);
        }
    }
}
