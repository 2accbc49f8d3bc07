//! References to samples of an open channel: given up, added, checked. Also after a close, while a
//! sample is still held.

use super::backend::{Backend, Liveness};
use super::handle::ChannelHandle;
use crate::error::{Error, Result};
use crate::layout::sample::Raw;
use crate::protocol::gate::Pass;

impl<E: Backend> ChannelHandle<E> {
    #[cold]
    fn closed_sample(&self) -> Error {
        Error::invalid("not a live sample: its channel is closed and all its samples are put")
    }

    /// Takes a turn for work on samples: even after a close, while a sample is still held.
    #[inline(always)]
    fn enter_late(&self) -> Result<Pass<'_, E::Liveness, E>> {
        match self.gate.enter(true) {
            Some(pass) => Ok(pass),
            None => Err(self.closed_sample()),
        }
    }

    /// Gives up a reference to the sample at `address` by the fast path; returns how many are left.
    /// `None`: take the slow path, [`ChannelHandle::put_slow`].
    #[inline(always)]
    pub(crate) fn put_fast(&self, address: usize) -> Option<u32> {
        let mut turn = self.gate.enter_as_owner()?;
        let (liveness, backend) = turn.parts();
        if liveness.has_tenure() { backend.put(address) } else { None }
    }

    /// Gives up a reference to the sample at `address`; returns how many are left.
    #[inline(always)]
    pub(crate) fn put(&self, address: usize) -> Result<u32> {
        match self.put_fast(address) {
            Some(left) => Ok(left),
            None => self.put_slow(address),
        }
    }

    /// The slow path of [`ChannelHandle::put`], also after a close.
    #[inline(never)]
    pub(crate) fn put_slow(&self, address: usize) -> Result<u32> {
        let mut pass = self.enter_late()?;
        let (liveness, backend) = pass.parts();
        let left = if liveness.has_tenure() { backend.put(address) } else { backend.drop_reference(address) };
        backend.give_back();
        left.ok_or_else(|| not_live("put"))
    }

    /// Gives up one reference to each sample whose address `next` gives, up to the first that this
    /// process does not hold; returns how many.
    #[inline(always)]
    pub(crate) fn put_many(&self, mut next: impl FnMut(usize) -> Option<usize>) -> usize {
        let mut count = 0;
        if let Some(mut turn) = self.gate.enter_as_owner() {
            let (liveness, backend) = turn.parts();
            if liveness.has_tenure() {
                count = backend.put_all(&mut next);
                backend.notify_room();
            }
        }
        if count > 0 { count } else { self.put_many_slow(next) }
    }

    /// The slow path of [`ChannelHandle::put_many`], also after a close.
    #[inline(never)]
    fn put_many_slow(&self, mut next: impl FnMut(usize) -> Option<usize>) -> usize {
        let Ok(mut pass) = self.enter_late() else { return 0 };
        let (liveness, backend) = pass.parts();
        let mut count = 0;
        if liveness.has_tenure() {
            count = backend.put_all(next);
            backend.give_back();
            backend.notify_room();
        } else {
            while next(count).and_then(|address| backend.drop_reference(address)).is_some() {
                count += 1;
            }
        }
        count
    }

    /// Adds a reference to the sample at `address`; returns how many there are.
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

    /// Passes the sample at `address` to `look`: a live one, or, in the wire layout, one that was
    /// sent and not handed out again. `look` runs in this side's turn, so meanwhile the sample is
    /// not handed out and the mapping stays.
    pub(crate) fn look_at<R>(&self, address: usize, look: impl FnOnce(&Raw) -> Result<R>) -> Result<R> {
        let mut pass = self.enter_late()?;
        let backend = pass.parts().1;
        let sample = backend.live(address).or_else(|| backend.sent(address));
        look(&sample.ok_or_else(|| not_live("used"))?)
    }
}

#[cold]
fn not_live(what: &str) -> Error {
    Error::invalid(format!(
        "not a live sample of this process: it cannot be {what}, it was written or put already (copy what is to be kept before the write)"
    ))
}
