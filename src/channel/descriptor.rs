//! The descriptors of an open channel, which event loops poll (`readiness`).

use super::backend::{Backend, Liveness};
use super::handle::{ChannelHandle, HintOf, checked};
use crate::error::Result;
use crate::readiness::{self, Polled, Source, Wish};
use crate::waiting::Attempt;
use std::os::fd::RawFd;

impl<E: Backend> Source for ChannelHandle<E> {
    fn visit(&self, look: &mut dyn FnMut(&dyn Polled)) {
        let _helper = self.polled.helper();
        // Either this sees that the gate is closed, or the closer sees this helper and waits for it. So
        // a helper is never the last to leave a closed gate, which would clear it after the close.
        if !self.gate.is_closed_by_now() {
            self.look(|liveness| look(liveness));
        }
    }
}

impl<E: Backend> ChannelHandle<E> {
    /// Passes the descriptor for `wish` to `take`, while it cannot be closed; made at the first call.
    pub(crate) fn fd<R>(&'static self, wish: Wish, take: impl FnOnce(RawFd) -> Result<R>) -> Result<R> {
        let mut pass = self.enter()?;
        let (liveness, _) = pass.parts();
        liveness.check_tenure()?;
        self.polled.begin();
        take(readiness::open(self, liveness, wish)?)
    }

    /// Keeps the descriptor in step with a call that has ended as `done`: if it has found nothing,
    /// lets the descriptor rest after one more attempt.
    #[inline(always)]
    pub(super) fn settle<T>(
        &self,
        wish: Wish,
        done: Result<std::result::Result<T, i32>>,
        attempt: impl FnMut(&E::Liveness, &mut E) -> Result<Attempt<T, HintOf<E>>>,
    ) -> Result<std::result::Result<T, i32>> {
        if self.polled.is_on() { self.settle_polled(wish, done, attempt) } else { done }
    }

    #[inline(never)]
    fn settle_polled<T>(
        &self,
        wish: Wish,
        done: Result<std::result::Result<T, i32>>,
        mut attempt: impl FnMut(&E::Liveness, &mut E) -> Result<Attempt<T, HintOf<E>>>,
    ) -> Result<std::result::Result<T, i32>> {
        if !self.look(|liveness| liveness.readiness().has(wish)).unwrap_or(false) {
            return done;
        }
        match done {
            Ok(Err(why)) => {
                let attempt = |liveness: &E::Liveness, backend: &mut E| checked(liveness, backend, &mut attempt);
                let found = readiness::rest(self.enter()?, wish, || self.gate.is_closed(), attempt)?;
                Ok(found.ok_or(why))
            }
            Err(e) => {
                // The end stays readable.
                self.look(|liveness| liveness.raise(wish));
                Err(e)
            }
            done => done,
        }
    }
}
