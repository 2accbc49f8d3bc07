//! The descriptor of an end of a ring, which event loops poll (`readiness`).

use super::core::Core;
use super::handle::{Outcome, RingHandle};
use super::liveness::{RingHint, RingLiveness};
use crate::error::Result;
use crate::layout::ring::RingBell;
use crate::protocol::ring_words::Role;
use crate::readiness::{self, Polled, Source, Wish};
use crate::waiting::Attempt;
use std::os::fd::RawFd;

impl Source for RingHandle {
    fn visit(&self, look: &mut dyn FnMut(&dyn Polled)) {
        let _helper = self.polled.helper();
        // Either this sees that the gate is closed, or the closer sees this helper and waits for it. So
        // a helper is never the last to leave a closed gate, which would clear it after the close.
        if !self.gate.is_closed_by_now() {
            self.look(|liveness| look(liveness));
        }
    }
}

/// What an end waits for.
fn wish(core: &Core) -> Wish {
    match core.role() {
        Role::Producer => Wish::Write,
        Role::Consumer => Wish::Read,
    }
}

impl RingHandle {
    /// Passes the descriptor of this end to `take`, while it cannot be closed; made at the first call.
    pub(crate) fn fd<R>(&'static self, take: impl FnOnce(RawFd) -> Result<R>) -> Result<R> {
        let mut pass = self.enter()?;
        let (liveness, core) = pass.parts();
        liveness.check_tenure()?;
        self.polled.begin();
        take(readiness::open(self, liveness, wish(core))?)
    }

    /// As that of a channel. In the turn of a call that has the other role, nothing rests.
    #[inline(never)]
    pub(super) fn settle<T>(
        &self,
        done: Result<Outcome<T>>,
        attempt: impl FnMut(&RingLiveness, &mut Core) -> Result<Attempt<T, (RingHint, RingBell)>>,
    ) -> Result<Outcome<T>> {
        match done {
            Ok(Err(why)) => {
                let mut pass = self.enter()?;
                let wish = wish(pass.parts().1);
                let found = readiness::rest(pass, wish, || self.gate.is_closed(), attempt)?;
                Ok(found.ok_or(why))
            }
            Err(e) => {
                self.look(|liveness| [Wish::Read, Wish::Write].map(|wish| liveness.raise(wish)));
                Err(e)
            }
            done => done,
        }
    }
}
