//! What all threads of a side share while a channel is open: the region, this side's place in it,
//! and what is known of the peer.
//!
//! `region`, with its edge S1, tells who is alive.
//!
//! | edge | stores | loads | what it carries |
//! |---|---|---|---|
//! | S2 | closer: all it ever wrote, then `closed`, release | peer: `closed`, acquire, then one more look at the queue | closing loses nothing |
//! | S3 | prober: sees that the peer's lock is gone, then stores `gone`, release | another thread of this side: `gone`, acquire | it sees all that the dead had stored, too |
//!
//! The prober itself needs no edge: the kernel releases the lock after all stores of the dead
//! process.

use super::Native;
use crate::channel::backend::{KnownPeer, Liveness, THOROUGH_MICROS};
use crate::channel::config::Config;
use crate::channel::handle::Registered;
use crate::channel::signals::{BothWays, Direction};
use crate::error::{Error, Result};
use crate::layout::channel::ChannelView;
use crate::layout::signals::SignalTable;
use crate::protocol::atomics::Shared32;
use crate::protocol::channel_words::{ChannelBell, ChannelDoorbell, ChannelWords, Side};
use crate::protocol::doorbell;
use crate::protocol::gate::Common;
use crate::protocol::interrupts::Interrupts;
use crate::protocol::queue::{EntryLookout, RoomLookout};
use crate::readiness::{PeerProcess, Polled, Readiness, Resting, Rests, Wish};
use crate::region::taken_over;
use crate::sys::Slept;
use crate::waiting::{Habit, Pace, Watched};
use std::sync::atomic::Ordering::{Acquire, Relaxed, Release};
use std::sync::atomic::{AtomicBool, AtomicU64};
use std::time::Duration;

/// After this time without a live peer, and again each time it has passed, check whether the name
/// still leads to the region.
const ALONE_MICROS: u64 = 1_000_000;

/// A mapped region of a channel, before this process holds a side of it.
pub(crate) type ChannelRegion = crate::region::Region<ChannelView>;

impl ChannelRegion {
    /// The last node, if it has closed or died. `None`: a node is there. If not `thorough`, a dead
    /// node whose pid another process has now may seem alive.
    pub(crate) fn gone_node(&self, thorough: bool) -> Option<u64> {
        let holder = self.view.holder(Side::A);
        let incarnation = holder.incarnation.observe(); // S1
        let is_there = incarnation != 0
            && holder.closed.observe() != incarnation // S2
            && self.is_incarnation_alive(Side::A, incarnation, thorough);
        (!is_there).then_some(incarnation)
    }

    /// The incarnation of the last holder of `side`.
    pub(crate) fn last_of(&self, side: Side) -> u64 {
        self.view.holder(side).incarnation.observe() // S1
    }

    /// Becomes the claimed incarnation. `found` was the peer's incarnation before.
    #[inline(never)]
    pub(crate) fn occupy(self: Box<Self>, side: Side, incarnation: u64, found: u64, signals: BothWays) -> Box<NativeLiveness> {
        self.announce(side, incarnation);
        Box::new(NativeLiveness {
            region: *self,
            signals,
            side,
            incarnation,
            found,
            seen: AtomicU64::new(0),
            gone: AtomicU64::new(0),
            looked: AtomicU64::new(0),
            examined: AtomicU64::new(0),
            asks_at: AtomicU64::new(0),
            is_lost: AtomicBool::new(false),
            pace: Pace::new(),
            readiness: Readiness::new(),
            rests: Rests::new(),
        })
    }
}

/// See the module's description. Field order: the mapping is dropped before the object, and with
/// that the locks.
pub(crate) struct NativeLiveness {
    pub(crate) region: ChannelRegion,
    signals: BothWays,
    pub(crate) side: Side,
    incarnation: u64,
    /// The peer's incarnation before this side was taken. If that peer is dead, it was another
    /// process's peer.
    found: u64,
    /// The peer's last incarnation that was seen alive.
    seen: AtomicU64,
    /// The peer's last incarnation that is known to be dead.
    gone: AtomicU64,
    /// The peer's last incarnation that was probed.
    looked: AtomicU64,
    /// When the peer was last probed thoroughly.
    examined: AtomicU64,
    /// When to check next whether the name still leads here. 0: the last probe found the peer
    /// alive.
    asks_at: AtomicU64,
    /// No peer is there, and none can come by the name.
    is_lost: AtomicBool,
    pace: Pace,
    readiness: Readiness,
    rests: Rests<NativeHint>,
}

impl Drop for NativeLiveness {
    fn drop(&mut self) {
        let (base, length) = self.spans()[0];
        Native::registry().forget(base, length);
    }
}

impl NativeLiveness {
    pub(crate) fn view(&self) -> &ChannelView {
        &self.region.view
    }

    /// Counts a peer that is already dead as seen: what it left is read, then its end is reported.
    /// `incarnation` is the one that was probed, since another peer may have come meanwhile.
    pub(crate) fn note_dead_peer(&self, incarnation: u64) {
        self.seen.store(incarnation, Relaxed);
        self.gone.store(incarnation, Release); // S3
    }

    /// Counts a peer that has just been probed thoroughly as seen alive.
    pub(crate) fn note_live_peer(&self, incarnation: u64) {
        let now = self.pace.note_probe();
        self.seen.store(incarnation, Relaxed);
        self.looked.store(incarnation, Relaxed);
        self.examined.store(now, Relaxed);
    }

    /// Tells the peer that this side has come or gone.
    pub(crate) fn notify_peer(&self) {
        for bell in [ChannelBell::Data, ChannelBell::Room] {
            doorbell::notify_out_of_turn(self.view().doorbell(self.side, self.side.other(), bell));
        }
    }

    /// The incarnation of the last peer.
    pub(crate) fn peer_incarnation(&self) -> u64 {
        self.region.last_of(self.side.other())
    }

    /// Asks the kernel whether the peer is alive.
    fn ask_for_peer(&self, now: u64) -> bool {
        let KnownPeer::Present(incarnation) = self.peer() else { return false };
        // Check for a reused pid once a second only: this check is expensive, and pids are not
        // reused that soon.
        let is_new = self.looked.swap(incarnation, Relaxed) != incarnation;
        let thorough = is_new || now.wrapping_sub(self.examined.load(Relaxed)) >= THOROUGH_MICROS;
        if thorough {
            self.examined.store(now, Relaxed);
        }
        if self.region.is_incarnation_alive(self.side.other(), incarnation, thorough) {
            self.seen.store(incarnation, Relaxed);
            return true;
        }
        if self.seen.load(Relaxed) == incarnation || self.found != incarnation {
            self.gone.store(incarnation, Release); // S3
        }
        false
    }

    /// Notes whether there was a live peer at `now`; once a second without one, checks whether one
    /// can still come. Relaxed: it orders nothing, and concurrent threads at worst check once more
    /// than necessary.
    fn note_company(&self, is_there: bool, now: u64) {
        match (is_there, self.asks_at.load(Relaxed)) {
            (true, 0) => {}
            (true, _) => {
                self.asks_at.store(0, Relaxed);
                self.is_lost.store(false, Relaxed);
            }
            (false, 0) => self.asks_at.store(now + ALONE_MICROS, Relaxed),
            (false, at) if now >= at => {
                self.asks_at.store(now + ALONE_MICROS, Relaxed);
                self.is_lost.store(self.region.origin.is_lost(&self.region.object), Relaxed);
            }
            (false, _) => {}
        }
    }

    fn bell(&self, hint: &NativeHint) -> ChannelDoorbell<'_, ChannelView> {
        let bell = match hint {
            NativeHint::Entry(_) | NativeHint::Peer(_) => ChannelBell::Data,
            NativeHint::Room(_) | NativeHint::Block => ChannelBell::Room,
        };
        self.own_bell(bell)
    }

    fn own_bell(&self, bell: ChannelBell) -> ChannelDoorbell<'_, ChannelView> {
        self.view().doorbell(self.side, self.side, bell)
    }
}

impl Liveness for NativeLiveness {
    #[inline(always)]
    fn peer(&self) -> KnownPeer {
        let holder = self.view().holder(self.side.other());
        let incarnation = holder.incarnation.observe(); // S1
        if incarnation == 0 {
            KnownPeer::Never
        } else if holder.closed.observe() == incarnation || self.gone.load(Acquire) == incarnation {
            KnownPeer::Gone // S2, S3
        } else {
            KnownPeer::Present(incarnation)
        }
    }

    fn has_peer_died(&self) -> bool {
        let holder = self.view().holder(self.side.other());
        self.peer() == KnownPeer::Gone && holder.closed.observe() != holder.incarnation.observe() // S2, S1
    }

    fn probe_peer(&self) -> bool {
        let now = self.pace.note_probe();
        let is_alive = self.ask_for_peer(now);
        self.note_company(is_alive, now);
        is_alive
    }

    #[inline(always)]
    fn has_tenure(&self) -> bool {
        self.view().holder(self.side).incarnation.get() == self.incarnation
    }

    #[inline(always)]
    fn check_tenure(&self) -> Result<()> {
        if self.has_tenure() { Ok(()) } else { Err(taken_over()) }
    }

    #[cold]
    fn end(&self) -> Error {
        // A caller that retries without waiting must also find out that it is alone.
        self.pace.probe_now_and_then(self);
        let end = || Error::new(libc::EPIPE, "the peer has closed or died, and nothing is left to read");
        self.replaced().or_else(|| self.lost()).unwrap_or_else(end)
    }

    fn is_final(&self) -> bool {
        false
    }

    #[cold]
    fn replaced(&self) -> Option<Error> {
        let ChannelRegion { object, origin, .. } = &self.region;
        origin.leads_elsewhere(object).then(|| Error::new(libc::ESTALE, format!("{origin} is another region by now: open again")))
    }

    fn lost(&self) -> Option<Error> {
        // A process that has the region may have attached since the check.
        if !self.is_lost.load(Relaxed) || self.probe_peer() || !self.is_lost.load(Relaxed) {
            return None;
        }
        let origin = &self.region.origin;
        let lost = || {
            Error::new(
                libc::ESTALE,
                format!(
                    "nobody can come any more: the name {origin} was removed, and no peer has the region; open again. \
                     systemd-logind (RemoveIPC), Python's resource tracker or the end of a container may have removed it"
                ),
            )
        };
        Some(self.replaced().unwrap_or_else(lost))
    }

    fn pace(&self) -> &Pace {
        &self.pace
    }

    fn block_hint(&self) -> NativeHint {
        NativeHint::Block
    }

    fn peer_hint(&self) -> NativeHint {
        NativeHint::Peer(self.peer_incarnation())
    }

    fn notify_own(&self) {
        for bell in [ChannelBell::Data, ChannelBell::Room] {
            doorbell::notify_out_of_turn(self.own_bell(bell));
        }
    }

    fn spans(&self) -> [(usize, usize); 2] {
        [(self.view().base() as usize, self.view().facts().total_size as usize), (0, 0)]
    }

    fn config(&self) -> Config {
        let facts = self.view().facts();
        Config {
            polling: facts.polling,
            queuelen: facts.queuelen,
            samplelen: facts.samplelen,
            spare: facts.spare,
            history: facts.history,
            ..Config::default()
        }
    }

    fn signals(&self, direction: Direction) -> &SignalTable {
        &self.signals[direction as usize]
    }
}

impl Common for NativeLiveness {
    /// Stores in the region that this side has closed: after the last call, so that all its writes
    /// come first.
    fn on_deserted(&self) {
        let closed = &self.view().holder(self.side).closed;
        if self.has_tenure() && closed.get() != self.incarnation {
            closed.publish(self.incarnation); // S2
            self.notify_peer();
        }
    }
}

fn bell_for(wish: Wish) -> ChannelBell {
    match wish {
        Wish::Read => ChannelBell::Data,
        Wish::Write => ChannelBell::Room,
    }
}

impl Polled for NativeLiveness {
    fn readiness(&self) -> &Readiness {
        &self.readiness
    }
    fn bells(&self, wish: Wish) -> [Option<&Shared32>; 3] {
        [Some(self.view().bell(self.side, bell_for(wish))), None, None]
    }
    fn may_go_on(&self, wish: Wish) -> bool {
        self.has_changed(wish) || !self.has_tenure()
    }
    fn arm_to_rest(&self, wish: Wish) -> Option<Duration> {
        doorbell::arm(&self.own_bell(bell_for(wish))).limit()
    }
    fn peer_number(&self) -> u64 {
        self.peer_incarnation()
    }
    fn tend(&self) -> PeerProcess {
        let is_alive = self.probe_peer();
        let peer = self.peer();
        if peer == KnownPeer::Gone
            || !self.has_tenure()
            || self.lost().is_some()
            || peer == KnownPeer::Never && self.replaced().is_some()
        {
            self.raise(Wish::Read);
            self.raise(Wish::Write);
        }
        if !is_alive {
            return PeerProcess::Unneeded;
        }
        self.region.process(self.side.other()).map_or(PeerProcess::Unknown, PeerProcess::Process)
    }
}

impl Resting for NativeLiveness {
    fn rests(&self) -> &Rests<NativeHint> {
        &self.rests
    }
}

/// What a waiter can look at without a turn, to see whether an attempt is worthwhile.
#[derive(Clone, Copy)]
pub(crate) enum NativeHint {
    /// The next entry of the queue that is read.
    Entry(EntryLookout),
    /// Room in the queue that is written.
    Room(RoomLookout),
    /// Nothing: there are many ways for a block to become free.
    Block,
    /// An incarnation of the peer other than this one.
    Peer(u64),
}

impl Watched for NativeLiveness {
    type Hint = NativeHint;
    type Armed = doorbell::Armed;

    #[inline(always)]
    fn is_worth_a_look(&self, hint: &NativeHint) -> bool {
        let view: &ChannelView = self.view();
        match hint {
            NativeHint::Entry(lookout) => lookout.is_worth_a_look(view),
            NativeHint::Room(lookout) => lookout.is_worth_a_look(view),
            NativeHint::Block => false,
            NativeHint::Peer(last) => self.peer_incarnation() != *last,
        }
    }
    fn is_blind(&self, hint: &NativeHint) -> bool {
        matches!(hint, NativeHint::Block)
    }
    fn is_over(&self, hint: &NativeHint) -> bool {
        self.peer() == KnownPeer::Gone && !matches!(hint, NativeHint::Peer(_))
    }
    fn arm(&self, hint: &NativeHint) -> doorbell::Armed {
        doorbell::arm(&self.bell(hint))
    }
    fn sleep(&self, hint: &NativeHint, armed: doorbell::Armed, limit: Duration) -> Slept {
        doorbell::sleep(&self.bell(hint), armed, limit)
    }
    fn interrupts(&self) -> &Interrupts {
        self.pace.interrupts()
    }
    fn is_polling(&self) -> bool {
        self.view().facts().polling
    }
    fn habit(&self, hint: &NativeHint) -> Option<&Habit> {
        match hint {
            NativeHint::Entry(_) => Some(&self.pace.for_samples),
            NativeHint::Room(_) | NativeHint::Block => Some(&self.pace.for_room),
            NativeHint::Peer(_) => None,
        }
    }
    fn probe(&self) {
        self.probe_peer();
    }
    fn wants_probe(&self) -> bool {
        matches!(self.peer(), KnownPeer::Present(incarnation) if incarnation != self.looked.load(Relaxed))
    }
    fn since_probe(&self) -> Duration {
        self.pace.since_probe()
    }
}
