//! A segment that is attached to this process, as the C interface knows it.
//!
//! Handles live in type-stable memory, like those of channels (`channel::handle`). A lookup
//! searches the list of all handles, so any pointer may be given.

use super::Segment;
use crate::error::{Error, Result};
use crate::memory::slab::{Reused, Slab};
use crate::memory::tag::{HandleKind, Tag};
use crate::protocol::gate::{Common, Gate, Idle};
use crate::sys::{barrier, fork};
use std::ffi::c_void;

/// An open segment. Its address identifies it to the C interface.
#[repr(C)]
pub(crate) struct SegmentHandle {
    tag: Tag,
    gate: Gate<Segment, NoTurns>,
}

impl Reused for SegmentHandle {
    fn claim(&self) -> bool {
        self.gate.claim()
    }
    fn unclaim(&self) {
        self.gate.unclaim();
    }
}

impl Common for Segment {
    fn on_deserted(&self) {}
}

/// Calls on a segment take no turns.
struct NoTurns;

impl Idle for NoTurns {
    fn is_idle(&self) -> bool {
        true
    }
}

static HANDLES: Slab<SegmentHandle> = Slab::new();

/// In the child of a fork: other threads of the parent may have been in calls.
fn in_child() {
    HANDLES.iter().for_each(|handle| handle.gate.keep());
}

impl SegmentHandle {
    /// Makes a handle of a segment.
    pub(crate) fn new(segment: Segment) -> Result<&'static SegmentHandle> {
        barrier::register();
        fork::on_child(in_child)?;
        let handle = HANDLES.take(|| SegmentHandle { tag: Tag::default(), gate: Gate::new() });
        handle.tag.mark(HandleKind::Segment);
        handle.gate.fill(segment, NoTurns);
        Ok(handle)
    }

    /// The handle at `pointer`, which may be any pointer.
    pub(crate) fn find(pointer: *const c_void) -> Result<&'static SegmentHandle> {
        let found = HANDLES.iter().find(|handle| std::ptr::from_ref(*handle).cast() == pointer);
        found.ok_or_else(|| Error::invalid("the pointer does not lead to a segment"))
    }

    /// Passes the segment to `look`. It stays attached until `look` returns.
    pub(crate) fn look<R>(&self, look: impl FnOnce(&Segment) -> Result<R>) -> Result<R> {
        match self.gate.visit() {
            Some(visit) => visit.with(look),
            None => Err(Error::invalid("the segment is closed")),
        }
    }

    /// Detaches the segment when the last call that uses it, in any thread, has ended.
    pub(crate) fn close(&self) -> Result<()> {
        let is_closed = self.gate.visit().is_some_and(|visit| visit.close());
        if is_closed { Ok(()) } else { Err(Error::invalid("the segment is closed already")) }
    }
}
