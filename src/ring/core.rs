//! What one thread at a time works with: an end of a ring, and the slots of it that are out.

use super::liveness::End;
use crate::error::Result;
use crate::layout::ring::{RingBell, RingView};
use crate::memory::zeroed::Table;
use crate::protocol::gate::Idle;
use crate::protocol::mpmc::{Obstacle, Ticket};
use crate::protocol::ring_words::{RingWords, Role};
use crate::protocol::{mpmc_look, spsc};

/// What one thread at a time works with.
pub(super) enum Core {
    /// `true`: a slot is reserved.
    Producer(spsc::Producer, bool),
    /// `true`: a message is peeked at.
    Consumer(spsc::Consumer, bool),
    /// Where several may be: slots that are reserved or peeked at.
    Shared { role: Role, out: Out },
}

/// The slots that this handle has reserved or peeked at. Private, as what the slots' words say of
/// it anybody may have changed: a slot must be given back exactly once for the region to be let go,
/// and only a claim that is still this handle's may be ended.
pub(super) struct Out {
    /// For each slot, the claim by which it is out (`Ticket::claim`), or 0. Made with the handle, so
    /// that no later call can find no memory for it, nor any to lock.
    claims: Table<u64>,
    /// How many of them are.
    count: u32,
}

impl Out {
    /// `false`: the slot is out already, so that others have given its first claim up. Who has
    /// that could not be told from who has this one.
    #[inline(always)]
    pub(super) fn add(&mut self, ticket: &Ticket) -> bool {
        let claim = &mut self.claims[ticket.index as usize];
        let is_new = *claim == 0;
        if is_new {
            *claim = ticket.claim();
            self.count += 1;
        }
        is_new
    }

    /// The claim on the slot whose message begins at `address`, if it is out; no longer then.
    #[inline(always)]
    pub(super) fn remove(&mut self, view: &RingView, address: usize) -> Option<Ticket> {
        let index = view.index_of(address)?;
        let claim = std::mem::take(self.claims.get_mut(index as usize)?);
        if claim == 0 {
            return None;
        }
        self.count -= 1;
        Some(Ticket::kept(index, claim))
    }

    /// Gives each claim that is out to `give`; none is out any more then. Gives how many there were.
    pub(super) fn remove_all(&mut self, mut give: impl FnMut(Ticket)) -> u32 {
        let count = std::mem::take(&mut self.count);
        // Not to touch the pages of a table that was never used.
        if count == 0 {
            return 0;
        }
        for (index, claim) in (0..).zip(self.claims.iter_mut()) {
            match std::mem::take(claim) {
                0 => {}
                claim => give(Ticket::kept(index, claim)),
            }
        }
        count
    }
}

impl Core {
    pub(super) fn new(end: End) -> Core {
        match end {
            End::Producer(ring) => Core::Producer(ring, false),
            End::Consumer(ring) => Core::Consumer(ring, false),
            End::Shared(role, claims) => Core::Shared { role, out: Out { claims, count: 0 } },
        }
    }

    pub(super) fn role(&self) -> Role {
        match self {
            Core::Producer(..) => Role::Producer,
            Core::Consumer(..) => Role::Consumer,
            Core::Shared { role, .. } => *role,
        }
    }

    /// Whether this handle has made the claim. Those that it has made in earlier turns are out, and in
    /// a turn nothing is looked for while it has another.
    pub(super) fn has_made(&self, claim: &Obstacle) -> bool {
        matches!(self, Core::Shared { out, .. } if out.claims.get(claim.index as usize) == Some(&claim.word))
    }

    /// Which doorbell tells when this end can go on.
    pub(super) fn bell(&self) -> RingBell {
        match self.role() {
            Role::Producer => RingBell::Room,
            Role::Consumer => RingBell::Data,
        }
    }

    /// Messages that can be taken, and messages that fit; what is out is neither.
    pub(super) fn fill(&self, view: &RingView) -> Result<(u32, u32)> {
        let capacity = view.capacity();
        let (reserved, peeked) = match self {
            Core::Producer(_, is_out) => (u32::from(*is_out), 0),
            Core::Consumer(_, is_out) => (0, u32::from(*is_out)),
            Core::Shared { role: Role::Producer, out } => (out.count, 0),
            Core::Shared { role: Role::Consumer, out } => (0, out.count),
        };
        if !matches!(self, Core::Shared { .. }) {
            let published = spsc::pending(view)?;
            return Ok((published.saturating_sub(peeked), capacity.saturating_sub(published + reserved)));
        }
        let fill = mpmc_look::fill(view)?;
        let pending = if fill.has_message { fill.between.saturating_sub(reserved) } else { 0 };
        let available = if fill.has_room { capacity.saturating_sub(fill.between + peeked) } else { 0 };
        Ok((pending, available))
    }
}

impl Idle for Core {
    fn is_idle(&self) -> bool {
        match self {
            Core::Producer(_, is_out) | Core::Consumer(_, is_out) => !is_out,
            Core::Shared { out, .. } => out.count == 0,
        }
    }
}
