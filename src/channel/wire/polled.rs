//! The descriptors of a channel in VILLASnode's layout. No bell tells of room, and only a helper that
//! counts among the condition's waiters hears of samples.

use super::doorbell;
use super::liveness::{NAP, READER_PATIENCE, WireLiveness};
use crate::channel::backend::Liveness;
use crate::error::{Error, Result};
use crate::protocol::atomics::Shared32;
use crate::readiness::{PeerProcess, Polled, Readiness, Wish};
use crate::waiting::Watched;
use std::sync::atomic::Ordering::{AcqRel, Acquire, Release};
use std::time::Duration;

/// A flag that rests is raised after this time even if nothing was heard: the words of a condition
/// may come to the same values again while the helper does not look.
const UNHEARD: Duration = Duration::from_secs(1);

impl Polled for WireLiveness {
    fn readiness(&self) -> &Readiness {
        &self.readiness
    }

    /// The words of both groups, as each broadcast wakes the other one.
    fn bells(&self, wish: Wish) -> [Option<&Shared32>; 2] {
        match wish {
            Wish::Read => doorbell::bells(&self.input().view).map(Some),
            Wish::Write => [None; 2],
        }
    }

    /// Counts the helper out first. In the other order, a reader between the two steps would lower
    /// the flag and rely on a count that then ends.
    fn raise(&self, wish: Wish) {
        if wish == Wish::Read && self.is_counted.swap(false, AcqRel) {
            doorbell::count_out(&self.input().view);
        }
        self.readiness.raise(wish);
    }

    /// The helper counts among the condition's waiters until the flag is raised, so that a writer
    /// broadcasts. If it is counted already, a broadcast that it has not heard yet will raise the
    /// flag.
    fn arm_to_rest(&self, wish: Wish) -> Option<Duration> {
        if wish == Wish::Write {
            return Some(NAP);
        }
        if self.is_counted.load(Acquire) {
            return Some(UNHEARD);
        }
        match doorbell::count_in(&self.input().view, READER_PATIENCE) {
            Some(_) => {
                self.is_counted.store(true, Release);
                Some(UNHEARD)
            }
            None => Some(NAP),
        }
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

    fn tend(&self) -> PeerProcess {
        if !self.probe_peer() {
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
