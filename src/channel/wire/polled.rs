//! The descriptors of a channel in VILLASnode's layout. No bell tells of room, and only a helper that
//! counts among the condition's waiters hears of samples.

use super::doorbell;
use super::liveness::{NAP, WireHint, WireLiveness};
use crate::channel::backend::Liveness;
use crate::error::{Error, Result};
use crate::protocol::atomics::Shared32;
use crate::readiness::{PeerProcess, Polled, Readiness, Resting, Rests, Wish};
use crate::waiting::Watched;
use std::sync::atomic::Ordering::{AcqRel, Acquire, Release};
use std::time::Duration;

/// How long a reader that rests tries to take the mutex: it may not wait.
const PATIENCE: Duration = Duration::from_micros(50);

impl WireLiveness {
    /// Whether the helper was counted.
    fn count_out(&self) -> bool {
        let was_counted = self.is_counted.swap(false, AcqRel);
        if was_counted {
            doorbell::count_out(&self.input().view);
        }
        was_counted
    }
}

impl Resting for WireLiveness {
    fn rests(&self) -> &Rests<WireHint> {
        &self.rests
    }
}

impl Polled for WireLiveness {
    fn readiness(&self) -> &Readiness {
        &self.readiness
    }

    fn bells(&self, wish: Wish) -> [Option<&Shared32>; 3] {
        match wish {
            Wish::Read => doorbell::bells(&self.input().view).map(Some),
            Wish::Write => [None; 3],
        }
    }

    /// Those of glibc: all but the lowest.
    fn counts(&self) -> u32 {
        !1
    }

    /// Counts the helper out first. In the other order, a reader between the two steps would take the
    /// flag down and rely on a count that then ends.
    fn raise(&self, wish: Wish) {
        if wish == Wish::Read {
            self.count_out();
        }
        self.readiness.raise(wish);
    }

    /// A broadcast changes two words. Whoever counts the helper out raises the flag.
    fn answer(&self, wish: Wish) {
        if self.count_out() {
            self.readiness.raise(wish);
        }
    }

    fn may_go_on(&self, wish: Wish) -> bool {
        self.has_changed(wish)
    }

    /// The helper counts among the condition's waiters until the flag is raised, so that a writer
    /// broadcasts. If it is counted already, a broadcast that it has not heard yet will raise the
    /// flag.
    fn arm_to_rest(&self, wish: Wish) -> Option<Duration> {
        if wish == Wish::Write {
            return Some(NAP);
        }
        if self.is_counted.load(Acquire) {
            return None;
        }
        // A broadcast uses up the count, so the helper must find it noted when it hears of one.
        let note = || self.is_counted.store(true, Release);
        if doorbell::count_in(&self.input().view, PATIENCE, note).is_some() { None } else { Some(NAP) }
    }

    fn check_pollable(&self) -> Result<()> {
        if !self.is_polling() {
            return Ok(());
        }
        Err(Error::new(
            libc::ENOTSUP,
            "a channel of VILLASnode's layout in \"polling\" mode has no descriptor, because its writers wake nobody: open both ends with mode \"pthread\"",
        ))
    }

    /// Does not make a broadcast that is owed: the peer could hold up the keeper in it, and with that
    /// all other handles. So it does not count as a probe either, after which calls would leave it out.
    fn tend(&self) -> PeerProcess {
        if !self.ask_for_peer(self.pace().micros()) {
            self.raise(Wish::Read);
            self.raise(Wish::Write);
            return PeerProcess::Unneeded;
        }
        match self.peer.as_ref().map(|peer| peer.maker()) {
            None => PeerProcess::Unneeded,
            Some(maker) => maker.and_then(|maker| maker.pid_for(&self.me)).map_or(PeerProcess::Unknown, PeerProcess::Process),
        }
    }
}
