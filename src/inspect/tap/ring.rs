//! A tap of a ring.

use crate::error::{Error, Result};
use crate::inspect::entry::{Passed, Sender, Waiting};
use crate::inspect::snapshot::{Snapshot, give};
use crate::layout::Layout;
use crate::layout::ring::{INDICES, RingView};
use crate::protocol::ring_tap::{RingFollower, TappedRing};
use crate::sys::object::Object;
use std::ops::Deref;

/// A copy of parts of a ring, which is loaded anew for each look.
pub(in crate::inspect) struct RingPages<'r, O> {
    pub(in crate::inspect) region: &'r Snapshot<O>,
    pub(in crate::inspect) view: RingView,
}

impl<O: Deref<Target = Object>> RingPages<'_, O> {
    fn at(&self, index: u32) -> u64 {
        let facts = self.view.facts();
        facts.slots + u64::from(index) * u64::from(facts.stride)
    }
}

impl<O: Deref<Target = Object>> TappedRing for RingPages<'_, O> {
    type Words = RingView;
    type Copy = Waiting;
    fn words(&self) -> &RingView {
        &self.view
    }
    fn fetch_indices(&mut self) -> Result<()> {
        self.region.load_next(INDICES.start, INDICES.end - INDICES.start)
    }
    fn fetch_slots(&mut self, index: u32, count: u32) -> Result<()> {
        self.region.load_next(self.at(index), u64::from(count) * u64::from(self.view.facts().stride))
    }
    fn copy(&self, index: u32) -> Waiting {
        Waiting::Message(self.region.bytes(self.at(index), self.view.facts().element_size.into()))
    }
}

/// The newest message, if it can still be copied.
pub(in crate::inspect) fn newest_message<O: Deref<Target = Object>>(pages: &mut RingPages<'_, O>) -> Result<Option<Passed>> {
    let policy = pages.view.facts().policy;
    let mut follower = RingFollower::new(pages, policy)?;
    let mut passed = Vec::new();
    if follower.next > 0 {
        follower.step_back(pages)?;
        give(Sender::Producer, follower.follow(pages, 1)?, &mut passed);
    }
    Ok(passed.pop())
}

/// See the module's description.
pub(super) struct RingTap<O> {
    region: Snapshot<O>,
    view: RingView,
    follower: RingFollower,
}

impl<O: Deref<Target = Object> + Clone> RingTap<O> {
    pub(super) fn new(object: O) -> Result<RingTap<O>> {
        let (size, least) = (object.size(), RingView::LEAST as u64);
        if size < least {
            return Err(Error::corrupt(format!("it has only {size} bytes")));
        }
        let head = Snapshot::new(object.clone(), least)?;
        head.load(0, least)?;
        let facts = head.facts::<RingView>(size)?;
        let region = Snapshot::new(object, facts.total_size)?;
        region.load(0, least)?;
        let view: RingView = region.view(facts);
        let follower = RingFollower::new(&mut RingPages { region: &region, view }, facts.policy)?;
        Ok(RingTap { region, view, follower })
    }

    /// Returns how many were missed.
    pub(super) fn follow(&mut self, into: &mut Vec<Passed>, most: u32) -> Result<u64> {
        let mut pages = RingPages { region: &self.region, view: self.view };
        // A fetch ends at the ring's end.
        let before = into.len();
        let missed = give(Sender::Producer, self.follower.follow(&mut pages, most)?, into);
        let left = most.saturating_sub((into.len() - before) as u32);
        Ok(missed + give(Sender::Producer, self.follower.follow(&mut pages, left)?, into))
    }
}
