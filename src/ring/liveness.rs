//! A participant of a ring: its place, and which others are alive.
//!
//! A sole producer or consumer has a place of its own, whose number is fixed; where several may be,
//! each takes a free one. The number of the place is the owner's number in the words of `mpmc`.
//! `region` knows its holder, and whether that lives. A newcomer undoes what a dead predecessor had
//! claimed under its number before it says that it has come: so a claim that was seen before the
//! holder was looked at (S1) belongs to this holder or to a dead one.

use crate::error::{Error, Result};
use crate::layout::Layout;
use crate::layout::ring::{CONSUMER, FIRST_SHARED, PRODUCER, RingBell, RingView};
use crate::memory::zeroed::Table;
use crate::protocol::atomics::{Shared32, Shared64};
use crate::protocol::doorbell::{self, QUICK_LOOKS};
use crate::protocol::gate::Common;
use crate::protocol::interrupts::Interrupts;
use crate::protocol::mpmc::{self, Obstacle};
use crate::protocol::ring_words::{Policy, Role, broken};
use crate::protocol::spsc;
use crate::readiness::{Polled, Readiness, Resting, Rests, Wish};
use crate::region::{Claim, RIVAL_NAP, RIVAL_PATIENCE, is_patient, taken_over};
use crate::sys::Slept;
use crate::waiting::{Habit, Watched};
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering::Relaxed};
use std::time::{Duration, Instant};

/// A mapped ring, before this process takes part in it.
pub(crate) type RingRegion = crate::region::Region<RingView>;

/// For so long an owner that does not wait lets a claim be, before it asks whether its owner lives.
const GRACE_MICROS: u64 = 1_000;
/// Between two questions about the same claim.
const AGAIN_MICROS: u64 = 15_000;
/// The longest sleep while a claim is in the way: two deaths, one behind the other, are found
/// within 50 ms.
const CLAIM_SLICE: Duration = Duration::from_millis(20);

/// What this role works with, besides the region.
pub(crate) enum End {
    Producer(spsc::Producer),
    Consumer(spsc::Consumer),
    /// Any end of a ring where several may be on one side, with a word for each slot.
    Shared(Role, Table<u64>),
}

/// See the module's description.
pub(crate) struct RingLiveness {
    pub(crate) region: RingRegion,
    pub(crate) place: u32,
    incarnation: u64,
    interrupts: Interrupts,
    /// An end waits for one thing only, messages or room.
    habit: Habit,
    /// The claim that is in the way, since when, and when its owner was asked for last.
    claim: [AtomicU64; 2],
    claim_since: AtomicU64,
    claim_asked: AtomicU64,
    /// The owner that was asked for last was dead: it, and those that died with it, often leave
    /// several claims, and none of the others is given time first.
    expects_dead: AtomicBool,
    opened: Instant,
    readiness: Readiness,
    rests: Rests<(RingHint, RingBell)>,
}

/// The place for `role`: a fixed one, or the first that can be had.
fn reserve(region: &RingRegion, role: Role) -> Result<(u32, u64)> {
    let facts = region.view.facts();
    let fixed = match (facts.policy, role) {
        (Policy::Spsc, Role::Producer) => Some(PRODUCER),
        (Policy::Spsc | Policy::Mpsc, Role::Consumer) => Some(CONSUMER),
        _ => None,
    };
    if let Some(place) = fixed {
        return Ok((place, region.claim(place)?));
    }
    let start = Instant::now();
    loop {
        let mut contended = 0;
        // First those that ask for no look at the living.
        for wants_clean in [true, false] {
            for place in FIRST_SHARED..facts.places {
                if wants_clean && !is_clean(region, place) {
                    continue;
                }
                match region.try_claim(place)? {
                    Claim::Reserved(incarnation) => return Ok((place, incarnation)),
                    Claim::Held => {}
                    Claim::Contended => contended += 1,
                }
            }
        }
        let places = facts.places - FIRST_SHARED;
        if contended == 0 {
            return Err(Error::new(libc::EBUSY, format!("all {places} places in {} are held by live processes", region.origin)));
        }
        if !is_patient(start, RIVAL_PATIENCE, &region.object) {
            return Err(Error::new(
                libc::EBUSY,
                format!(
                    "none of the {places} places in {} is free: processes are about to take some, or to remove the ring; try again",
                    region.origin
                ),
            ));
        }
        std::thread::sleep(RIVAL_NAP);
    }
}

/// Whether the last holder of a place has closed, or there was none.
fn is_clean(region: &RingRegion, place: u32) -> bool {
    let holder = region.view.holder(place);
    holder.closed.observe() == holder.incarnation.observe() // S1, S2
}

impl RingLiveness {
    /// Takes part in the ring as `role`. Undoes what a dead predecessor has left unfinished.
    #[inline(never)]
    pub(crate) fn enter(region: Box<RingRegion>, role: Role) -> Result<(Box<RingLiveness>, Box<End>)> {
        let (place, incarnation) = reserve(&region, role)?;
        let is_clean = is_clean(&region, place);
        let view = &region.view;
        let end = match (view.facts().policy, role) {
            (Policy::Spsc, Role::Producer) => End::Producer(spsc::Producer::recover(view, is_clean)?),
            (Policy::Spsc, Role::Consumer) => End::Consumer(spsc::Consumer::recover(view)?),
            _ => End::Shared(role, Table::resident(view.facts().capacity as usize, "the slots that are out")?),
        };
        if matches!(end, End::Shared(..)) && !is_clean {
            mpmc::settle_all(view, place)?;
        }
        view.holder(place).role.set(role as u32);
        region.announce(place, incarnation);
        let liveness = Box::new(RingLiveness {
            region: *region,
            place,
            incarnation,
            interrupts: Interrupts::new(),
            habit: Habit::default(),
            claim: [AtomicU64::new(0), AtomicU64::new(0)],
            claim_since: AtomicU64::new(0),
            claim_asked: AtomicU64::new(0),
            expects_dead: AtomicBool::new(false),
            opened: Instant::now(),
            readiness: Readiness::new(),
            rests: Rests::new(),
        });
        liveness.ring_all();
        Ok((liveness, Box::new(end)))
    }

    #[inline(always)]
    pub(crate) fn view(&self) -> &RingView {
        &self.region.view
    }

    /// Wakes the sleepers on `bell`, in the turn of this end.
    #[inline(always)]
    pub(crate) fn notify(&self, bell: RingBell) {
        doorbell::notify(self.view().doorbell(bell));
    }

    /// Ends the waits of this handle that have begun, or else the next one. Async-signal-safe.
    pub(crate) fn interrupt(&self) {
        self.interrupts.raise();
        self.ring_all();
    }

    /// Wakes all sleepers, in a turn or out of it.
    pub(crate) fn ring_all(&self) {
        for bell in [RingBell::Data, RingBell::Room] {
            doorbell::notify_out_of_turn(self.view().doorbell(bell));
        }
    }

    /// Whether this process still holds its place.
    #[inline(always)]
    pub(super) fn has_tenure(&self) -> bool {
        self.view().holder(self.place).incarnation.get() == self.incarnation
    }

    /// Looks for a short while whether an attempt is worth it.
    #[inline(always)]
    pub(super) fn changes_soon(&self, hint: RingHint, bell: RingBell) -> bool {
        let hint = (hint, bell);
        (0..QUICK_LOOKS).any(|_| self.is_worth_a_look(&hint))
    }

    /// `ESTALE` when another process has taken this place over.
    #[inline(always)]
    pub(crate) fn check_tenure(&self) -> Result<()> {
        if self.has_tenure() { Ok(()) } else { Err(taken_over()) }
    }

    /// How many producers and consumers are alive, as far as can be known.
    pub(crate) fn count_living(&self) -> [u64; 2] {
        let mut living = [0; 2];
        for place in 0..self.view().facts().places {
            let role = self.view().holder(place).role.get();
            if place != self.place && !self.is_alive(place) {
                continue;
            }
            if let Ok(role) = Role::from_number(i64::from(role)) {
                living[role as usize - 1] += 1;
            }
        }
        living
    }

    /// Whether the holder of another's place is alive. A holder that has closed has no claims any
    /// more.
    fn is_alive(&self, place: u32) -> bool {
        let holder = self.view().holder(place);
        let incarnation = holder.incarnation.observe(); // S1
        incarnation != 0 && holder.closed.observe() != incarnation && self.region.is_incarnation_alive(place, incarnation, true) // S2
    }

    /// Takes the claim of a dead participant out of the way; `is_own`: this end has made it. `true`:
    /// it may be worth another attempt.
    pub(crate) fn clear_way(&self, obstacle: &Obstacle, is_own: bool, is_about_to_sleep: bool) -> Result<bool> {
        let Some(owner) = obstacle.owner() else { return Ok(false) };
        let is_dead = if owner != self.place {
            self.finds_dead(owner, obstacle, is_about_to_sleep)?
        } else if is_own {
            false
        } else {
            // A predecessor's that came late, or a successor's. That would have said that it has
            // come before it claimed (S1), and the claim was seen before this look.
            self.check_tenure()?;
            true
        };
        if is_dead {
            mpmc::settle(self.view(), obstacle)?;
            self.ring_all();
        }
        Ok(is_dead)
    }

    /// Asks the kernel for the owner of the claim: at once when the caller is about to sleep or has
    /// just met a dead owner, and now and then; an attempt that does not wait gives a claim some
    /// time first. `false`: it lives, or was not asked for.
    fn finds_dead(&self, owner: u32, obstacle: &Obstacle, is_about_to_sleep: bool) -> Result<bool> {
        if !self.is_due(obstacle, is_about_to_sleep) {
            return Ok(false);
        }
        if owner >= self.view().facts().places {
            return Err(broken("a slot's owner is none of its participants"));
        }
        let is_dead = !self.is_alive(owner);
        self.expects_dead.store(is_dead, Relaxed);
        Ok(is_dead)
    }

    fn is_due(&self, obstacle: &Obstacle, is_about_to_sleep: bool) -> bool {
        let now = self.opened.elapsed().as_micros() as u64 + 1;
        let is_known =
            self.claim[0].load(Relaxed) == obstacle.word && self.claim[1].load(Relaxed) == u64::from(obstacle.index) + 1;
        if !is_known {
            self.claim[0].store(obstacle.word, Relaxed);
            self.claim[1].store(u64::from(obstacle.index) + 1, Relaxed);
            self.claim_since.store(now, Relaxed);
            self.claim_asked.store(0, Relaxed);
        }
        let is_due = match self.claim_asked.load(Relaxed) {
            0 => {
                is_about_to_sleep
                    || self.expects_dead.load(Relaxed)
                    || now.saturating_sub(self.claim_since.load(Relaxed)) >= GRACE_MICROS
            }
            asked => now.saturating_sub(asked) >= AGAIN_MICROS,
        };
        if is_due {
            self.claim_asked.store(now, Relaxed);
        }
        is_due
    }
}

impl Drop for RingLiveness {
    /// The last call has left and nothing is in anybody's hands: the place is free from here on.
    /// Async-signal-safe.
    fn drop(&mut self) {
        if self.has_tenure() {
            self.view().holder(self.place).closed.publish(self.incarnation); // S2
        }
    }
}

fn bell_for(wish: Wish) -> RingBell {
    match wish {
        Wish::Read => RingBell::Data,
        Wish::Write => RingBell::Room,
    }
}

/// Nothing tells of a death here: a claim that is in the way raises the flag from time to time, and
/// the next attempt asks for its owner.
impl Polled for RingLiveness {
    fn readiness(&self) -> &Readiness {
        &self.readiness
    }
    fn bells(&self, wish: Wish) -> [Option<&Shared32>; 3] {
        [Some(self.view().bell(bell_for(wish))), None, None]
    }
    fn may_go_on(&self, wish: Wish) -> bool {
        self.has_changed(wish) || !self.has_tenure()
    }
    fn arm_to_rest(&self, wish: Wish) -> Option<Duration> {
        doorbell::arm(&self.view().doorbell(bell_for(wish))).limit()
    }
}

impl Resting for RingLiveness {
    fn rests(&self) -> &Rests<(RingHint, RingBell)> {
        &self.rests
    }
}

impl Common for RingLiveness {
    fn on_deserted(&self) {}
}

/// The word that must change before an attempt is worth it.
#[derive(Clone, Copy)]
pub(crate) enum RingHint {
    /// The slot in the way.
    Slot(Obstacle),
    /// The slot is to get this word.
    Message(u32, u64),
    /// `head` is to leave this position.
    Head(u64),
}

impl Watched for RingLiveness {
    /// With the doorbell that tells of it.
    type Hint = (RingHint, RingBell);
    type Armed = doorbell::Armed;

    #[inline(always)]
    fn is_worth_a_look(&self, (hint, _): &(RingHint, RingBell)) -> bool {
        use crate::protocol::ring_words::RingWords;
        let word = |word: &Shared64| word.get();
        match hint {
            RingHint::Slot(obstacle) => word(self.view().word(obstacle.index)) != obstacle.word,
            RingHint::Message(index, wanted) => word(self.view().word(*index)) == *wanted,
            RingHint::Head(seen) => word(self.view().head()) != *seen,
        }
    }
    fn is_blind(&self, _: &(RingHint, RingBell)) -> bool {
        false
    }
    fn is_over(&self, _: &(RingHint, RingBell)) -> bool {
        false
    }
    fn arm(&self, (_, bell): &(RingHint, RingBell)) -> doorbell::Armed {
        doorbell::arm(&self.view().doorbell(*bell))
    }
    fn sleep(&self, (_, bell): &(RingHint, RingBell), armed: doorbell::Armed, limit: Duration) -> Slept {
        doorbell::sleep(&self.view().doorbell(*bell), armed, limit)
    }
    fn interrupts(&self) -> &Interrupts {
        &self.interrupts
    }
    fn is_polling(&self) -> bool {
        false
    }
    fn habit(&self, _: &(RingHint, RingBell)) -> Option<&Habit> {
        Some(&self.habit)
    }
    /// Attempts ask for owners themselves (`clear_way`).
    fn probe(&self) {}
    fn wants_probe(&self) -> bool {
        false
    }
    fn since_probe(&self) -> Duration {
        Duration::ZERO
    }
    fn longest_sleep(&self, (hint, _): &(RingHint, RingBell)) -> Duration {
        match hint {
            RingHint::Slot(obstacle) if obstacle.owner().is_some() => CLAIM_SLICE,
            _ => doorbell::SLICE,
        }
    }
}
