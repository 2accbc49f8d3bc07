//! Where samples come from: a tap that is looked at again and again, until an end.

use std::ffi::OsString;
use std::sync::mpsc::{self, RecvTimeoutError};
use std::time::{Duration, Instant};

use nix::errno::Errno;
use nix::sys::signal::Signal;
use villas_shm::inspect::{Kind, Passed, Tap};

use crate::events;
use crate::log::log;

/// The time between two looks. With a history of 64, nothing is missed at 100 000 samples a second.
const EVERY: Duration = Duration::from_micros(500);
/// Samples of each direction that one look takes.
const MOST: usize = 1024;

/// See the module's description.
pub(crate) struct Source {
    name: OsString,
    tap: Tap,
    /// Of regions before this one.
    missed: u64,
    signals: mpsc::Receiver<Signal>,
    end: Option<Instant>,
}

impl Source {
    /// Begins behind what was sent so far. Ends after `duration`, by a signal, or with the region.
    pub(crate) fn open(name: &OsString, duration: Option<Duration>) -> Result<Self, String> {
        let (events, signals) = mpsc::channel();
        events::catch_signals(events, |signal| signal)?;
        let tap = Tap::open(name).map_err(|error| error.to_string())?;
        let end = duration.and_then(|duration| Instant::now().checked_add(duration));
        Ok(Self { name: name.clone(), tap, missed: 0, signals, end })
    }

    pub(crate) fn kind(&self) -> Kind {
        self.tap.kind()
    }

    pub(crate) fn tap(&self) -> &Tap {
        &self.tap
    }

    /// How many have passed unseen.
    pub(crate) fn missed(&self) -> u64 {
        self.missed + self.tap.missed()
    }

    /// Gives what has passed since the last look, also if that is nothing, until the end, or until
    /// `give` says no.
    pub(crate) fn follow(&mut self, mut give: impl FnMut(&Tap, &mut Vec<Passed>) -> Result<bool, String>) -> Result<(), String> {
        let mut batch = Vec::new();
        loop {
            let is_over = self.end.is_some_and(|end| Instant::now() >= end) || self.is_told_to_stop();
            match self.tap.follow(&mut batch, MOST) {
                Ok(_) => {}
                Err(error) if error.errno() == Errno::ESTALE as i32 => match self.next_region()? {
                    true => continue,
                    false => return Ok(()),
                },
                Err(error) => return Err(error.to_string()),
            }
            if !give(&self.tap, &mut batch)? || is_over {
                return Ok(());
            }
        }
    }

    /// Waits for the next look.
    fn is_told_to_stop(&self) -> bool {
        !matches!(self.signals.recv_timeout(EVERY), Err(RecvTimeoutError::Timeout))
    }

    /// Goes on with the region that the name leads to now; `false`: there is none.
    fn next_region(&mut self) -> Result<bool, String> {
        match Tap::open(&self.name) {
            Ok(tap) => {
                log!(Info, "a node has replaced the region; what it sends follows");
                self.missed += self.tap.missed();
                self.tap = tap;
                Ok(true)
            }
            Err(error) if error.errno() == Errno::ENOENT as i32 => {
                log!(Info, "the region was removed");
                Ok(false)
            }
            Err(error) => Err(error.to_string()),
        }
    }
}
